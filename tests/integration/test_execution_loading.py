"""Rows loaded through COPY mean what the same values mean as parameters, and what is wrong is told by row."""

import asyncio
from typing import Any

import pytest

from agentdb_mcp.core.access import Target
from agentdb_mcp.core.errors import AgentDbError, Invalid, SqlFailed
from agentdb_mcp.core.results import Caps, JsonValue
from agentdb_mcp.core.secrets import ConnectionUri
from agentdb_mcp.execution.copying import Place
from agentdb_mcp.execution.pgtypes import BUILTIN
from agentdb_mcp.execution.pools import Pools
from agentdb_mcp.execution.rows import encoded
from agentdb_mcp.execution.runner import Runner
from support.postgres import connected
from support.statements import approved, ddl, write
from support.waiting import until

CAPS = Caps(rows=100_000, bytes=50_000_000)
LONG = "1" * 200

VALUES: dict[str, list[JsonValue]] = {
    "boolean": [True, False, "t", " YES ", "off", 1, "0", "maybe", "", [], 2],
    "smallint": [0, -32768, 32767, "12", " +7 ", 32768, 1.5, "x", True, "0x10", "1_0", ""],
    "integer": [0, -2147483648, 2147483647, 2147483648, 1.0, "9" * 40, "0" * 40 + "1", {}, "1e3", "\u00a01"],
    "bigint": [0, -9223372036854775808, "9223372036854775807", 9223372036854775808],
    "double precision": [
        0,
        "-0",
        0.1,
        1e308,
        "1e309",
        "1e-400",
        "NaN",
        "-Infinity",
        "inf",
        ".5",
        "5.",
        "",
        "1,5",
        10**400,
        True,
    ],
    "real": [0.1, 1e38, "1e39", "NaN", "16777217"],
    "numeric": [
        0,
        -1,
        "0.00",
        "-0.0",
        "1.10",
        "12345678901234567890.123456789",
        "0.0001",
        "0.00001",
        "10000",
        "1e5",
        "1.5e-3",
        "NaN",
        "Infinity",
        "1e131071",
        "1e2000",
        LONG,
        "." + LONG,
        "1_000",
        "0x1f",
        "abc",
        "",
        True,
        0.1,
        "-00012.3400",
        "99999999",
        "100000000.00010000",
    ],
    "numeric(6,2)": ["1.005", 1234.5, 12345, "-9999.994", "9999.995"],
    "text": ["", "a", "\\N", "tab\tnew\nline\\r", "é𝄞", 5, True, 1.5, {"a": 1}, [1], "nul\0", "half\ud800"],
    "varchar(3)": ["abc", "ab", "abcd", "abc  "],
    "char(3)": ["a", "abc", "abcd"],
    "json": [{"a": [1, None]}, [1, 2], "[1, 2]", '"text"', "text", 5, True, "NaN", "", '{"a": "\\u0000"}'],
    "jsonb": [{"b": 1, "a": [1, None]}, [1, 2], '{"a": 1, "a": 2}', '"text"', "text", 5, "1 2", '"\\u0000"'],
    "uuid": [
        "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
        "{A0EEBC999C0B4EF8BB6D6BB9BD380A11}",
        "a0ee-bc99-9c0b4ef8bb6d6bb9bd380a11",
        "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1",
        "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11-",
        5,
    ],
    "bytea": ["\\x00ff", "\\xABcd", "\\xa", "\\x0g", "plain é", "\\000\\\\", "", "\\x"],
    "date": [
        "2024-02-29",
        "2023-02-29",
        "0001-01-01",
        "infinity",
        "44-03-15 BC",
        "1 Jan 2024",
        "12024-01-01",
        "0000-01-01",
        "2024-13-01",
    ],
    "timestamp": [
        "2024-01-31 12:30:00.123456",
        "2024-01-31T12:30",
        "2024-01-31 24:00",
        "2024-01-31 12:30+02",
        "2024-01-31",
        "-infinity",
        "2024-01-31 12:30:61",
        "1999-12-31 23:59:59.9999999",
    ],
    "timestamptz": [
        "2024-01-31 12:30:00.5+02",
        "2024-01-31T12:30:00Z",
        "1969-07-20 20:17:40-0530",
        "2024-01-31 12:30",
        "2024-01-31 12:30:00 Europe/Berlin",
        "2024-02-30 12:30Z",
        "2024-01-31 12:30+15:59",
        "2024-01-31 12:30+99",
    ],
    "interval": ["1 day", "P1DT2H", "never"],
    "inet": ["10.0.0.1/8", "x"],
    "int4range": ["[1,5)", "empty", "[5,1)"],
    "integer[]": [[1, None, 3], [], [[1, 2], [3, 4]], [[1], [2, 3]], [1, [2]], "{1,2}", "{1", [[]], ["x"], 5],
    "text[]": [["a", 'q"\\', "NULL", None, "", "{}", "é"], [["a"], ["b"]], [1, True]],
    "jsonb[]": [[{"a": 1}, [1, 2], "3", None], [[1, 2], [3]]],
    "numeric[]": [["1.50", 2, None], ["x"]],
    "timestamptz[]": [["2024-01-31 12:30Z", None], ["tomorrow?"]],
    "real[]": [[0.1, None]],
    "mood": ["sad", "happy", "odd"],
    "small": [1, 9, 10, "x"],
    "mood[]": [["sad", None], ["odd"]],
    "point": ["(1,2)", [1, 2]],
}


@pytest.fixture
def runner(pools: Pools) -> Runner:
    return Runner(pools)


@pytest.fixture(scope="module")
def typed(target: Target) -> Target:
    async def make() -> None:
        async with connected(target.writer) as writer:
            await writer.execute("CREATE TYPE mood AS ENUM ('sad', 'happy')")
            await writer.execute("CREATE DOMAIN small AS int CHECK (VALUE < 10)")

    asyncio.run(make())
    return target


async def load(runner: Runner, target: Target, place: Place, *rows: JsonValue, **more: Any) -> int | None:
    made = await runner.load(target, write(place.insertion()), place, rows, caps=CAPS, **more)
    return made.results[0].affected


async def rows_of(runner: Runner, target: Target, sql: str) -> Any:
    return (await runner.run(target, approved(sql), [], CAPS)).rows


async def tried(work: Any) -> str:
    try:
        await work
    except AgentDbError as error:
        return error.code
    return "ok"


@pytest.mark.parametrize("kind", VALUES)
async def test_a_value_means_what_it_means_as_a_parameter(runner: Runner, typed: Target, kind: str) -> None:
    await runner.run(typed, ddl("DROP TABLE IF EXISTS one, other"), [], CAPS)
    for name in ("one", "other"):
        await runner.run(typed, ddl(f"CREATE TABLE {name} (v {kind})"), [], CAPS)
    for value in [None, *VALUES[kind]]:
        loaded = await tried(load(runner, typed, Place("public", "one", ("v",)), [value]))
        sent = await tried(runner.run(typed, write("INSERT INTO other VALUES ($1)"), [value], CAPS))
        assert (loaded == "ok") == (sent == "ok"), (value, loaded, sent)
        one, other = [
            await rows_of(runner, typed, f"SELECT v::text FROM {name}") for name in ("one", "other")
        ]
        assert one == other, value
        for name in ("one", "other"):
            await runner.run(typed, write(f"DELETE FROM {name}"), [], CAPS)


@pytest.mark.parametrize(
    ("kind", "value", "form"),
    [
        (23, 1, "binary"),
        (1700, "1.5", "binary"),
        (1184, "2024-01-31T12:30Z", "binary"),
        (1007, [1], "binary"),
        (1184, "tomorrow", "text"),
        (1186, "1 day", "text"),
        (700, 1, "text"),
        (1231, "{1}", "text"),
    ],
)
def test_what_is_known_for_certain_goes_over_in_binary(kind: int, value: JsonValue, form: str) -> None:
    assert encoded([[value]], ["v"], [kind], [BUILTIN[kind]])[0] == form


@pytest.fixture
async def ware(runner: Runner, typed: Target) -> Place:
    await runner.run(typed, ddl("DROP TABLE IF EXISTS ware, maker CASCADE"), [], CAPS)
    await runner.run(typed, ddl("CREATE TABLE maker (id int PRIMARY KEY)"), [], CAPS)
    sql = """CREATE TABLE ware (id int PRIMARY KEY, price numeric(6,2) CHECK (price >= 0), name varchar(5) NOT NULL,
             maker int REFERENCES maker, since date, span interval)"""
    await runner.run(typed, ddl(sql), [], CAPS)
    return Place("public", "ware", ("id", "price", "name"))


async def test_all_that_is_wrong_is_told_by_row_and_column_and_nothing_is_loaded(
    runner: Runner, typed: Target, ware: Place
) -> None:
    rows: list[list[JsonValue]] = [[1, "1.5", "a"], ["two", 2, "b"], [3, "cheap", "nul\0"], [2**40, 1, "c"]]
    with pytest.raises(Invalid) as refused:
        await load(runner, typed, ware, *rows)
    assert refused.value.code == "rows_invalid"
    assert refused.value.problems == [
        "row 2, id: 'two' is not of type integer",
        "row 3, price: 'cheap' is not of type numeric",
        "row 3, name: it holds a NUL character; PostgreSQL's text has none",
        "row 4, id: '1099511627776' is not within the range of integer",
    ]
    assert "4 values or rows do not fit; nothing was loaded." in refused.value.message
    assert await rows_of(runner, typed, "SELECT count(*) FROM ware") == ((0,),)
    ragged: list[JsonValue] = [[1, 1], ["x", 1, "a"], 7, [1], [1, 1, "a"]]
    with pytest.raises(Invalid, match="4 values or rows") as shapes:
        await load(runner, typed, ware, *ragged)
    assert shapes.value.problems == [
        "row 1: 2 values for 3 columns",
        "row 2, id: 'x' is not of type integer",
        "row 3: not an array",
        "row 4: 1 value for 3 columns",
    ]
    with pytest.raises(Invalid, match="The first 20 of them") as many:
        await load(runner, typed, ware, *[list[JsonValue](("x", 1, "a")) for _ in range(50)])
    assert len(many.value.problems) == 20


@pytest.mark.parametrize(
    ("row", "sqlstate", "column"),
    [
        ([7, 1, "a"], "23505", None),
        ([8, -1, "a"], "23514", None),
        ([8, 1, None], "23502", "name"),
        ([8, 1, "toolong"], "22001", "name"),
        ([8, 123456, "a"], "22003", "price"),
    ],
)
async def test_what_a_constraint_refuses_is_told_by_row(
    runner: Runner, typed: Target, ware: Place, *, row: list[JsonValue], sqlstate: str, column: str | None
) -> None:
    good: list[list[JsonValue]] = [[number, 1, "a"] for number in range(8)]
    with pytest.raises(SqlFailed) as failed:
        await load(runner, typed, ware, *good, row, [9, 1, "a"])
    assert (failed.value.sqlstate, failed.value.context["row"]) == (sqlstate, "9")
    assert failed.value.context.get("column") == column
    assert "Nothing was loaded." in failed.value.hint
    assert await rows_of(runner, typed, "SELECT count(*) FROM ware") == ((0,),)


async def test_what_only_postgresql_can_read_is_told_by_row_too(
    runner: Runner, typed: Target, ware: Place
) -> None:
    place = Place("public", "ware", ("id", "name", "since", "span"))
    with pytest.raises(SqlFailed) as failed:
        await load(runner, typed, place, [1, "a", "2024-01-01", "1 day"], [2, "b\n\t", "1 Jan 2024", "soon"])
    assert (failed.value.context["row"], failed.value.context["column"]) == ("2", "span")
    assert await load(runner, typed, place, [1, "b\n\\N", "1 Jan 2024", None], [2, "c", None, "1 h"]) == 2
    found = await rows_of(runner, typed, "SELECT name, since, span FROM ware ORDER BY id")
    assert found == (("b\n\\N", "2024-01-01", None), ("c", None, "PT1H"))


async def test_a_foreign_key_refuses_the_load_and_names_the_value(
    runner: Runner, typed: Target, ware: Place
) -> None:
    place = Place("public", "ware", ("id", "name", "maker"))
    with pytest.raises(SqlFailed) as failed:
        await load(runner, typed, place, [1, "a", None], [2, "b", 99])
    assert failed.value.sqlstate == "23503"
    assert "(99)" in failed.value.detail


async def test_names_with_quotes_and_63_bytes_are_names(runner: Runner, typed: Target) -> None:
    table, column = 'we"ird, line 7"; --', "é" * 31
    sql = f"""CREATE TABLE "{table.replace('"', '""')}" ("{column}" int, "a, b" int CHECK ("a, b" > 0))"""
    await runner.run(typed, ddl(sql), [], CAPS)
    place = Place("public", table, (column, "a, b"))
    assert await load(runner, typed, place, [1, 2], [3, 4]) == 2
    with pytest.raises(SqlFailed) as failed:
        await load(runner, typed, place, [1, 2], [3, -4])
    assert failed.value.context["row"] == "2"


async def test_fifty_thousand_rows_in_one_call(runner: Runner, typed: Target, ware: Place) -> None:
    rows: list[list[JsonValue]] = [[number, f"{number % 1000}.25", "w"] for number in range(50_000)]
    assert await load(runner, typed, ware, *rows) == 50_000
    found = await rows_of(runner, typed, "SELECT count(*), sum(id)::bigint, min(price)::text FROM ware")
    assert found == ((50_000, 1_249_975_000, "0.25"),)


async def test_in_a_transaction_a_load_is_a_part_of_it(runner: Runner, typed: Target, ware: Place) -> None:
    transaction = await runner.begin(typed, idle_seconds=60)
    assert await load(runner, typed, ware, [1, 1, "a"], within=transaction) == 1
    with pytest.raises(SqlFailed) as failed:
        await load(runner, typed, ware, [2, 1, "b"], [1, 1, "a"], within=transaction)
    assert "the transaction goes on" in failed.value.hint
    with pytest.raises(Invalid, match="1 value or row does not fit"):
        await load(runner, typed, ware, ["x", 1, "b"], within=transaction)
    assert await load(runner, typed, ware, [3, 1, "c"], within=transaction) == 1
    assert await rows_of(runner, typed, "SELECT count(*) FROM ware") == ((0,),)
    await transaction.commit()
    assert await rows_of(runner, typed, "SELECT id FROM ware ORDER BY id") == ((1,), (3,))


@pytest.mark.parametrize("is_held", [False, True])
async def test_a_load_that_is_cancelled_loads_nothing(
    runner: Runner, typed: Target, ware: Place, admin_uri: ConnectionUri, is_held: bool
) -> None:
    transaction = await runner.begin(typed, idle_seconds=60) if is_held else None
    async with connected(typed.writer) as other, connected(admin_uri) as admin:
        await other.execute("BEGIN; INSERT INTO ware VALUES (1, 1, 'mine')")
        call = asyncio.create_task(load(runner, typed, ware, [0, 1, "a"], [1, 1, "b"], within=transaction))
        waits = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'COPY%')"
        await until(lambda: admin.fetchval(waits))
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await until(lambda: admin.fetchval(waits.replace("EXISTS", "NOT EXISTS", 1)))
        await other.execute("ROLLBACK")
    if transaction is not None:
        assert await load(runner, typed, ware, [5, 1, "e"], within=transaction) == 1
        await transaction.commit()
    found = await rows_of(runner, typed, "SELECT id FROM ware")
    assert found == (((5,),) if is_held else ())
