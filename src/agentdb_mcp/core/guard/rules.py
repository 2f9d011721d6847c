"""Every rule the guard can refuse by: stable ids, and the words that teach.

docs/reference/guard-rules.md has the same table; a test compares both ways.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Rule:
    """`message` says what was found and why it is refused, `hint` the nearest thing that is allowed.

    Both may use {found} and the keywords that the rule's judge gives.
    """

    id: str
    message: str
    hint: str


_ALL: Final = (
    Rule("text.type", "The SQL must be text, not {found}.", "Pass one SQL statement as a string."),
    Rule(
        "text.size",
        "The statement is too long: {found}, and this database takes {limit} bytes.",
        "Send large data as parameters, or in several statements.",
    ),
    Rule("text.encoding", "The statement is not valid Unicode: it holds {found}.", "Send valid UTF-8 text."),
    Rule(
        "text.nul", "The statement holds {found}, which PostgreSQL cannot read.", "Leave NUL characters out."
    ),
    Rule(
        "text.blank",
        "The statement holds {found}, which looks like a blank but is a letter to PostgreSQL.",
        "Use plain spaces between words.",
    ),
    Rule("text.comments", "The statement opens too many comments: {found}.", "Leave comments out."),
    Rule(
        "text.tokens",
        "The statement has too many words and signs: {found}.",
        "Send rows in several statements, or lists as one array parameter.",
    ),
    Rule("text.operator", "The operator is too long: {found}.", "PostgreSQL's operators have at most 63."),
    Rule(
        "text.depth",
        "The statement nests too deeply: {found}.",
        "Split it up, or use WITH queries instead of nesting.",
    ),
    Rule("syntax", "{found}", "Mend the statement where the position points."),
    Rule("statement.none", "There is no statement in the text.", "Send one SQL statement."),
    Rule(
        "statement.many",
        "The text holds {found} statements, and each call takes one.",
        "Send them as `statements`, all or none, or one call at a time.",
    ),
    Rule(
        "statement.unknown",
        "The statement uses {found}, which this guard does not know and so does not pass.",
        "Write it another way.",
    ),
    Rule(
        "statement.transaction",
        "{found} is refused: each call is one transaction of its own.",
        "Leave it out. For steps that belong together send `statements`, or call the tool `transaction`.",
    ),
    Rule("statement.session", "{found} is refused: nothing of a session outlives the call.", "{instead}"),
    Rule(
        "statement.copy",
        "COPY is refused: this connection carries statements and rows, not files or streams.",
        "Read with SELECT; write many rows with the tool `load_rows`.",
    ),
    Rule("statement.server", "{found} is refused: it reaches beyond this database.", "{instead}"),
    Rule("statement.command", "{found} is refused by the policy {policy}.", "{instead}"),
    Rule("tool.mismatch", "{found} {does}, and `{tool}` {takes}.", "Send the same statement to `{right}`."),
    Rule("function.refused", "The function {found} is refused: {why}.", "{instead}"),
    Rule(
        "function.unlisted",
        "The function {found} is not among those that the policy {policy} allows.",
        "Use a common built-in function, or compute the value outside the database.",
    ),
    Rule(
        "relation.catalog",
        "The system catalog {found} is refused: it tells of the server or of other databases.",
        "Ask information_schema, pg_class or pg_attribute. Names that begin with pg_ are the system's.",
    ),
    Rule(
        "relation.protected",
        "{found} belongs to the system: it can be read at most.",
        "Define and change things in public or in a schema of your own.",
    ),
    Rule(
        "relation.schema",
        "The schema of {found} is not open to the policy {policy}.",
        "Use {instead}.",
    ),
    Rule(
        "relation.database",
        "{found} names another database, and a statement reaches only its own.",
        "Write schema.table; which database is meant is a parameter of the call.",
    ),
    Rule(
        "type.refused",
        "The type {found} is refused: its values are names of roles or databases of the server.",
        "Keep the value as text or as a number.",
    ),
    Rule(
        "schema.kept",
        "The schema {found} is part of the database's set-up.",
        "Drop the tables in it instead.",
    ),
    Rule(
        "role.named",
        "The role {found} is refused: roles belong to the server.",
        "Use PUBLIC or CURRENT_USER, or leave the clause out.",
    ),
    Rule(
        "tablespace.named",
        "The tablespace {found} is refused: storage belongs to the server.",
        "Leave the clause out.",
    ),
    Rule("extension.refused", "The extension {found} is refused.", "These are allowed: {instead}."),
    Rule("language.refused", "Routines in the language {found} are refused.", "{instead}"),
    Rule("setting.refused", "The setting {found} is refused: settings belong to the server.", "{instead}"),
    Rule(
        "dml.update_all",
        "UPDATE of {found} without a condition on a column would change every row.",
        "Say which rows, by a column: WHERE id = 1, or in MERGE a condition of ON and WHEN.",
    ),
    Rule(
        "dml.delete_all",
        "DELETE from {found} without a condition on a column would remove every row.",
        "Say which rows, by a column: WHERE id = 1, or in MERGE a condition of ON and WHEN.",
    ),
    Rule(
        "ddl.cascade",
        "CASCADE would also remove what depends on the thing named.",
        "Name the dependents and drop each by itself.",
    ),
    Rule(
        "ddl.temporary",
        "The temporary {found} is refused: no session outlives its call.",
        "Use a WITH query, or an ordinary table that you drop afterwards.",
    ),
    Rule("ddl.alter_action", "The action {found} of ALTER TABLE is refused.", "Leave it out."),
    Rule(
        "maintenance.whole_database",
        "{found} as a whole is refused: it holds the system's parts too.",
        "Name a table, an index or a schema of your own.",
    ),
    Rule(
        "routine.dynamic_sql",
        "The routine runs SQL made at run time ({found}), which cannot be checked.",
        "Write the statements themselves, without EXECUTE.",
    ),
    Rule(
        "routine.security_definer",
        "{found} is refused: it would lend one role's rights to another.",
        "Leave it out: SECURITY INVOKER is the default.",
    ),
    Rule(
        "routine.transaction",
        "{found} within a routine is refused: each call is one transaction of its own.",
        "Leave it out.",
    ),
    Rule(
        "routine.swallowed_cancel",
        "The handler for {found} is refused: it would outlive the time limit.",
        "Catch the errors that you expect, or OTHERS, which leaves cancellation alone.",
    ),
    Rule(
        "routine.unreadable",
        "The routine's body cannot be checked: {found}.",
        "Mend the body, or make it simpler.",
    ),
    Rule(
        "parser.disagreement",
        "Two parsers read this statement differently ({found}), so it is refused.",
        "Write it more plainly: without comments inside, unusual quoting or unusual blanks.",
    ),
    Rule("guard.internal", "The statement could not be judged, so it is refused.", "Write it another way."),
)

RULES: Final = {rule.id: rule for rule in _ALL}
"""By id."""
