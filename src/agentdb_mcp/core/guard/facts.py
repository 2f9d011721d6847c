"""What a statement does, as frozen facts: the analysis writes them, the decision reads nothing else."""

from dataclasses import dataclass
from enum import StrEnum

from agentdb_mcp.core.guard.classes import StatementClass


class NameKind(StrEnum):
    """What a name in the text refers to."""

    RELATION = "relation"
    FUNCTION = "function"
    """Called, or made callable: by name, in FROM, by a trigger, a cast, an operator, an aggregate …"""
    TYPE = "type"
    OBJECT = "object"
    """Any other object that lives in a schema."""
    SCHEMA = "schema"
    ROLE = "role"
    TABLESPACE = "tablespace"
    EXTENSION = "extension"
    LANGUAGE = "language"
    SETTING = "setting"
    """A configuration parameter."""


class Access(StrEnum):
    """What is done to the thing named."""

    READ = "read"
    WRITE = "write"
    DEFINE = "define"
    """Created, altered or dropped."""
    ROUTINE = "routine"
    """A setting that a function carries with it, or a schema of its search_path."""


@dataclass(frozen=True, slots=True)
class Name:
    """One use of a name. `position` is the 1-based character in the statement's text, None when unknown."""

    kind: NameKind
    path: tuple[str, ...]
    access: Access
    position: int | None
    argument: str | None = None
    """The first argument of a call, where it is a string constant."""

    @property
    def schema(self) -> str:
        """The schema it was qualified with, or nothing."""
        return self.path[-2] if len(self.path) > 1 else ""

    @property
    def name(self) -> str:
        """The last part."""
        return self.path[-1] if self.path else ""

    @property
    def text(self) -> str:
        """As people write it."""
        return ".".join(self.path)


class Feature(StrEnum):
    """Things a statement does that a policy has a say in, and things that none allows."""

    UPDATE_ALL = "update_all"
    """UPDATE, by itself or in MERGE, of rows that no column picks."""
    DELETE_ALL = "delete_all"
    """DELETE, by itself or in MERGE, of rows that no column picks."""
    CASCADE = "cascade"
    """DROP or TRUNCATE of whatever depends on the thing named."""
    TEMPORARY = "temporary"
    DYNAMIC_SQL = "dynamic_sql"
    SECURITY_DEFINER = "security_definer"
    ROUTINE_TRANSACTION = "routine_transaction"
    """COMMIT or ROLLBACK in a routine."""
    SWALLOWED_CANCEL = "swallowed_cancel"
    """An exception handler that catches cancellation or shutdown."""
    UNREADABLE_BODY = "unreadable_body"
    UNKNOWN_NODE = "unknown_node"
    WHOLE_DATABASE = "whole_database"
    """REINDEX of a database or of the system catalogs, ALTER of everything in a tablespace."""
    ALTER_ACTION = "alter_action"
    """An ALTER TABLE action that is not known to be harmless."""


@dataclass(frozen=True, slots=True)
class Trait:
    """One feature found in the text."""

    feature: Feature
    found: str
    position: int | None


@dataclass(frozen=True, slots=True)
class Command:
    """One SQL command in the text: the statement itself, and what it holds inside."""

    name: str
    """In SQL's words, for instance `CREATE TABLE`."""
    klass: StatementClass
    position: int | None
    top: bool


class Extent(StrEnum):
    """How much of the thing named is lost."""

    THING = "thing"
    """It itself, with what it holds."""
    ROWS = "rows"
    """Every row of it, or what every row said."""
    SOME = "some"
    """Rows that a condition picks: only the run can count them."""


@dataclass(frozen=True, slots=True)
class Loss:
    """Something that cannot be had back once the statement is committed."""

    act: str
    """In SQL's words, for instance `DROP TABLE` or `DELETE`."""
    path: tuple[str, ...]
    """What it strikes, as named; the last part of a column's path is the column."""
    extent: Extent
    cascades: bool = False
    """Whether what depends on it goes too."""


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything the decision may look at."""

    klass: StatementClass
    commands: tuple[Command, ...]
    names: tuple[Name, ...]
    traits: tuple[Trait, ...]
    losses: tuple[Loss, ...]
    depth: int
    """Levels of the parse tree."""
    size: int
    """Bytes of the text in UTF-8."""

    def relations(self) -> frozenset[str]:
        """The last parts of all relations named."""
        return frozenset(name.name for name in self.names if name.kind is NameKind.RELATION)
