"""Where the walk puts what it finds, until the facts are frozen."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from agentdb_mcp.core.guard.classes import StatementClass, highest
from agentdb_mcp.core.guard.facts import Access, Command, Facts, Feature, Loss, Name, NameKind, Trait
from agentdb_mcp.core.guard.parser import Offsets


class Scope(NamedTuple):
    """The WITH queries that can be seen from one place. All places of one WITH share its names."""

    order: dict[str, int]
    """Each query's name, and the how-manieth of its WITH it is."""
    visible: int
    """So many of them, from the first, are seen here."""
    outer: "Scope | None"

    def sees(self, name: str) -> bool:
        """Whether a query of that name is in sight, here or further out."""
        scope: Scope | None = self
        while scope is not None:
            if scope.order.get(name, scope.visible) < scope.visible:
                return True
            scope = scope.outer
        return False


@dataclass(slots=True)
class Step:
    """One node to be visited, with what its surroundings say about it. Not frozen: made by the thousands."""

    tag: str
    body: dict[str, Any]
    at: int
    """Byte offset of the nearest place that is known."""
    depth: int
    ctes: Scope | None = None
    """The WITH queries that a relation may refer to here."""
    access: Access = Access.READ
    """What happens to a relation that stands here."""
    parent: str = ""
    executed: bool = True
    """Whether running the statement runs this node: not so under a plain EXPLAIN."""


class RoutineBody(NamedTuple):
    """A function's or DO block's body, still to be analysed."""

    language: str
    text: str | None
    """None when the statement has no body that can be read."""
    source: str
    """The text of the one statement that holds it."""
    at: int
    nesting: int
    executed: bool
    """Whether the statement runs it: DO does, CREATE FUNCTION does not."""


@dataclass(slots=True)
class Collector:
    """Mutable while one statement is analysed; never leaves the analysis."""

    offsets: Offsets
    source: str
    """The text of the one statement that is being walked."""
    klass: StatementClass = StatementClass.READ
    depth: int = 0
    nesting: int = 0
    """How many routine bodies enclose what is being walked."""
    fixed_at: int | None = None
    """Inside a routine body offsets mean nothing to the reader: everything is at the body's own place."""
    commands: list[Command] = field(default_factory=list)
    names: list[Name] = field(default_factory=list)
    traits: list[Trait] = field(default_factory=list)
    losses: list[Loss] = field(default_factory=list)
    bodies: list[RoutineBody] = field(default_factory=list)

    def position(self, at: int) -> int | None:
        """The 1-based character for a byte offset."""
        return self.offsets.position(at if self.fixed_at is None else self.fixed_at)

    def command(self, name: str, klass: StatementClass, step: Step) -> None:
        """A command stands here."""
        top = step.parent == "" and self.fixed_at is None
        self.commands.append(Command(name, klass, self.position(step.at), top))
        self.raise_class(klass, step)

    def raise_class(self, klass: StatementClass, step: Step) -> None:
        """The statement is at least of this class, if it runs what stands here."""
        if step.executed:
            self.klass = highest(self.klass, klass)

    def name(
        self, kind: NameKind, path: tuple[str, ...], access: Access, at: int, argument: str | None = None
    ) -> None:
        """A name is used here. Nothing for the empty path, which is an option left out."""
        if path:
            self.names.append(Name(kind, path, access, self.position(at), argument))

    def trait(self, feature: Feature, found: str, at: int) -> None:
        """A feature stands here."""
        self.traits.append(Trait(feature, found, self.position(at)))

    def routine(self, language: str, text: str | None, step: Step, *, executed: bool) -> None:
        """A body to be analysed later."""
        place = step.at if self.fixed_at is None else self.fixed_at
        runs = executed and step.executed
        self.bodies.append(RoutineBody(language, text, self.source, place, self.nesting + 1, runs))

    def facts(self, size: int) -> Facts:
        """All of it, frozen."""
        return Facts(
            self.klass,
            tuple(self.commands),
            tuple(self.names),
            tuple(self.traits),
            tuple(self.losses),
            self.depth,
            size,
        )


Handler = Callable[[Collector, Step], None]
"""Notes what one node means beyond the names in its fields."""
