"""What a person reads: what is lost, in words that the agent's own cannot bend."""

from agentdb_mcp.core.access import Principal
from agentdb_mcp.core.changes import Statement, Touched
from agentdb_mcp.core.databases import Kind
from agentdb_mcp.core.guard import Extent, Loss
from agentdb_mcp.core.ids import UserId, WorkspaceId
from agentdb_mcp.core.schema import Stake
from agentdb_mcp.services.questions import Act, about_losses, about_rows, visible

WHO = Principal(UserId("ada"), WorkspaceId("shop"))
DROP = Loss("DROP TABLE", ("customer",), Extent.THING, cascades=True)


def act(*statements: str, kind: Kind = Kind.AGENT) -> Act:
    return Act(WHO, kind, "execute", [Statement(sql) for sql in statements])


def test_a_question_names_the_database_the_losses_and_the_statement() -> None:
    text = about_losses(act("DROP TABLE customer CASCADE"), [DROP], {DROP: (Stake("s", "customer", 1_204),)})
    assert text.splitlines() == [
        'The agent of workspace "shop" wants to destroy something in its own database (agent).',
        "This cannot be undone:",
        "- DROP TABLE customer, and what depends on it: about 1,204 rows",
        "Statement:",
        "| DROP TABLE customer CASCADE",
        "It runs only if you accept.",
    ]


def test_every_kind_of_loss_has_its_words() -> None:
    losses = [
        Loss("TRUNCATE", ("s", "a"), Extent.ROWS),
        Loss("UPDATE", ("b",), Extent.ROWS),
        Loss("DROP COLUMN", ("c", "d"), Extent.THING),
        Loss("DROP CAST", (), Extent.THING),
        Loss("DROP SCHEMA", ("e",), Extent.THING),
    ]
    stakes = {losses[1]: (Stake("public", "b", None),), losses[4]: tuple(many_tables())}
    text = about_losses(act("…", kind=Kind.GLOBAL), losses, stakes)
    assert "the database that all agents of the user share (global)" in text
    assert "- every row of s.a is deleted (TRUNCATE)\n" in text
    assert "- every row of b is overwritten (UPDATE): rows not counted yet\n" in text
    assert "- DROP COLUMN c.d\n" in text
    assert "- DROP CAST\n" in text
    assert "- DROP SCHEMA e: 12 tables, about 24 rows (t0, t1, " in text
    assert "t9 and 2 more)" in text


def many_tables() -> list[Stake]:
    return [Stake("e", f"t{number}", 2) for number in range(12)]


def test_rows_that_were_counted_are_told_by_table() -> None:
    touched = [Touched("public", "a", 5, 1_000, 1), Touched("public", "log", 9, 0, 0)]
    text = about_rows(act("UPDATE a SET x = 1 WHERE y"), touched, 100)
    assert "It changes 1,001 rows, and up to 100 pass unasked." in text
    assert "- public.a: 1,000 overwritten, 1 deleted\n" in text
    assert "log" not in text, "rows that were added are no loss"


def test_no_character_of_a_name_or_a_statement_moves_hides_or_ends_anything() -> None:
    name = "a\n- nothing is lost\x1b[8m\u202e\u200b\u00a0\u3164"
    text = about_losses(act(f'DROP TABLE "{name}"'), [Loss("DROP TABLE", (name,), Extent.THING)], {})
    assert text.count("\n- ") == 1
    assert "- DROP TABLE a\\n- nothing is lost\\x1b[8m\\u202e\\u200b\\xa0\\u3164\n" in text
    assert "\n| - nothing is lost\\x1b[8m" in text, "a line of the statement is marked as its own"
    assert all(char.isprintable() or char == "\n" for char in text)
    assert visible("x\U000e0101") == "x\\udb40\\udd01", "what Python takes for printable"


def test_long_statements_lose_their_middle_and_long_lists_their_end() -> None:
    losses = [Loss("DROP TABLE", (f"t{number}",), Extent.THING) for number in range(500)]
    text = about_losses(act("DELETE FROM a -- " + "x" * 100_000 + " the end"), losses, {})
    assert len(text) < 3_500
    assert "- and 480 more losses like these" in text
    assert "characters are not shown" in text
    assert "the end\n" in text
    assert "lines are not shown" in about_losses(act("\n" * 5 + "a\n" * 700), [DROP], {})
    assert len(visible("n" * 10_000)) < 230


def test_several_statements_are_asked_about_together() -> None:
    text = about_losses(act("DROP TABLE a", "DELETE FROM b"), [DROP], {})
    assert "2 statements:\n| DROP TABLE a;\n| DELETE FROM b\n" in text
