"""A session's text, and the internals of asyncpg it leans on: these fail first when a new release moves them."""

import inspect
from collections.abc import AsyncIterator, Sequence

import asyncpg
import pytest

from agentdb_mcp.core.access import Target
from agentdb_mcp.core.results import Cell, JsonValue
from agentdb_mcp.core.secrets import ConnectionUri
from agentdb_mcp.execution.answers import Answer
from agentdb_mcp.execution.connecting import connect
from agentdb_mcp.execution.endpoints import parse_endpoint
from agentdb_mcp.execution.pgtypes import BUILTIN
from agentdb_mcp.execution.session import KEPT_STATEMENTS, LONGEST_KEPT, MOST_NOTICES, Session

ROOM = 10_000_000


@pytest.fixture
async def session(target: Target) -> AsyncIterator[Session]:
    opened = await connect(parse_endpoint(target.writer.reveal()), 10)
    yield opened
    opened.terminate()


async def run(
    session: Session, sql: str, *params: JsonValue, most_rows: int = 0, allowance: int = ROOM
) -> Answer:
    prepared = await session.prepare_text(sql, keep=True)
    return await session.execute_text(prepared, params, most_rows=most_rows, allowance=allowance)


async def row(session: Session, sql: str, *params: JsonValue) -> tuple[Cell, ...]:
    (only,) = (await run(session, sql, *params)).rows
    return only


async def types(session: Session, sql: str) -> list[str]:
    return [column.type for column in (await session.prepare_text(sql, keep=False)).columns]


def parameters(function: object) -> list[str]:
    return list(inspect.signature(function).parameters)  # pyright: ignore[reportArgumentType]


def test_the_internals_of_asyncpg_are_where_they_were() -> None:
    assert asyncpg.__version__.startswith("0.32.")
    assert parameters(asyncpg.Connection._get_statement)[:3] == ["self", "query", "timeout"]
    assert {"named", "use_cache"} <= set(parameters(asyncpg.Connection._get_statement))
    assert parameters(asyncpg.Connection._introspect_types) == ["self", "typeoids", "timeout"]
    assert parameters(asyncpg.Connection._process_log_message) == ["self", "fields", "last_query"]
    assert "_stmts_to_close" in asyncpg.Connection.__slots__


async def test_the_internals_of_a_connection_are_where_they_were(session: Session) -> None:
    protocol = session._protocol
    for name in (
        "prepare",
        "bind_execute",
        "bind",
        "execute",
        "query",
        "is_in_transaction",
        "_is_cancelling",
        "_wait_for_cancellation",
    ):
        assert callable(getattr(protocol, name)), name
    state = await session._get_statement("SELECT $1::int AS a", None, named=False, use_cache=False)
    assert [parameter.oid for parameter in state._get_parameters()] == [23]
    assert [(column.name, column.type.name) for column in state._get_attributes()] == [("a", "integer")]
    assert session._transport.get_extra_info("socket").fileno() > 0


async def test_every_builtin_type_is_known_by_its_name_and_its_elements(session: Session) -> None:
    rows = (
        await run(
            session,
            """
            SELECT t.oid::int8, format_type(t.oid, NULL), t.typdelim::text,
                   CASE WHEN t.typlen = -1 AND t.typcategory IN ('A', 'P') AND t.typname LIKE '\\_%'
                        THEN t.typelem::int8 ELSE 0 END
              FROM pg_type t WHERE t.oid = ANY ($1::oid[])""",
            list(BUILTIN),
        )
    ).rows
    # What PostgreSQL has no more (or not yet) is no harm.
    assert len(rows) > 170
    for oid, name, delimiter, element in rows:
        known = BUILTIN[int(str(oid))]
        assert (known.name, known.element) == (name, element)
        if element:
            assert known.delimiter == delimiter


async def test_no_builtin_type_that_holds_data_is_missing(session: Session) -> None:
    rows = (
        await run(
            session,
            "SELECT oid::int8, typname FROM pg_type WHERE oid < 10000 AND typtype <> 'p' AND typrelid = 0",
        )
    ).rows
    assert [
        name for oid, name in rows if int(str(oid)) not in BUILTIN and not str(name).startswith("_")
    ] == []


async def test_values_are_exact_whatever_their_type(session: Session) -> None:
    assert await row(
        session,
        """SELECT NULL, 'null'::json, ''::text, 1.10::numeric, 'NaN'::numeric, 9007199254740993, true,
                  '-infinity'::timestamptz, '4714-11-24 BC'::date, '294276-12-31 23:59:59.999999+00'::timestamptz,
                  '-1 year 2 days -3.5s'::interval, '\\x00ff'::bytea, ARRAY[1, NULL], '{}'::text[], 'epoch'::timestamptz,
                  '24:00:00'::time, '(1,2)'::point, 'a=>b'::text, int4range(1, 5), '12:00+05:30'::timetz""",
    ) == (
        None, "null", "", "1.10", "NaN", "9007199254740993", True,
        "-infinity", "4714-11-24 BC", "294276-12-31 23:59:59.999999+00",
        "P-1Y2DT-3.5S", "\\x00ff", [1, None], [], "1970-01-01 00:00:00+00",
        "24:00:00", "(1,2)", "a=>b", "[1,5)", "12:00:00+05:30",
    )  # fmt: skip


async def test_types_nobody_heard_of_have_names_and_text(session: Session) -> None:
    for statement in (
        "CREATE SCHEMA odd",
        "CREATE TYPE odd.mood AS ENUM ('ok', 'it''s, bad')",
        "CREATE TYPE odd.pair AS (a int, m odd.mood)",
        "CREATE DOMAIN odd.positive AS int CHECK (VALUE > 0)",
        "CREATE DOMAIN odd.small AS odd.positive CHECK (VALUE < 100)",
        "CREATE DOMAIN odd.points AS int[]",
        "CREATE TYPE odd.moods AS RANGE (subtype = odd.mood)",
        "CREATE TABLE odd.t (m odd.mood, ms odd.mood[], p odd.pair, s odd.small, ss odd.small[], d odd.points, r odd.moods)",
    ):
        await run(session, statement)
    inserted = await run(
        session,
        "INSERT INTO odd.t VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING *, t AS whole, ARRAY[t] AS wholes",
        "ok", ["ok", "it's, bad", None], "(1,ok)", 5, [5, 6], [1, 2], "[ok,ok]",
    )  # fmt: skip
    whole = '(ok,"{ok,""it\'s, bad"",NULL}","(1,ok)",5,"{5,6}","{1,2}","[ok,ok]")'
    assert inserted.rows == (
        ("ok", ["ok", "it's, bad", None], "(1,ok)", 5, [5, 6], [1, 2], "[ok,ok]", whole, [whole]),
    )
    assert await types(session, "SELECT *, t AS whole, ARRAY[t] AS wholes FROM odd.t") == [
        "odd.mood", "odd.mood[]", "odd.pair", "integer", "odd.small[]", "integer[]", "odd.moods", "odd.t", "odd.t[]",
    ]  # fmt: skip


async def test_a_table_that_no_driver_can_introspect_is_read(session: Session) -> None:
    answer = await run(session, "SELECT * FROM pg_stats WHERE histogram_bounds IS NOT NULL LIMIT 1")
    assert isinstance(answer.rows, tuple)
    assert "anyarray" in await types(session, "SELECT * FROM pg_stats")


async def test_an_anonymous_record_is_text(session: Session) -> None:
    assert await row(session, "SELECT ROW(1, 'a b', NULL)") == ('(1,"a b",)',)


async def test_columns_are_kept_by_position(session: Session) -> None:
    longest = "ü" * 31
    sql = f'SELECT 1 AS a, 2 AS a, 3 AS "日本 ""x""", 4 AS {longest}'
    prepared = await session.prepare_text(sql, keep=True)
    assert await row(session, sql) == (1, 2, 3, 4)
    assert [column.name for column in prepared.columns] == ["a", "a", '日本 "x"', longest]


async def test_rows_without_columns_are_rows(session: Session) -> None:
    assert (await run(session, "SELECT FROM generate_series(1, 3)")).rows == ((), (), ())


async def test_the_server_stops_at_the_row_limit(session: Session) -> None:
    stopped = await run(session, "SELECT generate_series(1, 1000000000)", most_rows=3)
    assert (stopped.rows, stopped.tag) == (((1,), (2,), (3,)), "")
    assert (await run(session, "SELECT generate_series(1, 3)", most_rows=4)).tag == "SELECT 3"


async def test_texts_past_the_allowance_do_not_stay_in_memory(session: Session) -> None:
    answer = await run(session, "SELECT repeat('x', 100) FROM generate_series(1, 5)", allowance=150)
    assert [len(str(cell)) if cell else cell for (cell,) in answer.rows] == [100, 100, None, None, None]


async def test_notices_are_kept_up_to_a_bound_and_belong_to_their_statement(session: Session) -> None:
    await run(
        session, f"DO $$BEGIN FOR i IN 1..{MOST_NOTICES * 2} LOOP RAISE NOTICE 'n%', i; END LOOP; END$$"
    )
    assert len(session.notices) == MOST_NOTICES
    assert session.notices[0] == "NOTICE: n1"
    await run(session, "SELECT 1")
    assert session.notices == []


async def test_a_statement_whose_result_changed_shape_can_be_prepared_anew(session: Session) -> None:
    await run(session, "CREATE TABLE reshaped AS SELECT 1 AS a")
    assert (await run(session, "SELECT * FROM reshaped")).rows == ((1,),)
    await run(session, "ALTER TABLE reshaped ADD b text DEFAULT 'new'")
    with pytest.raises(asyncpg.InvalidCachedStatementError):
        await run(session, "SELECT * FROM reshaped")
    session.forget("SELECT * FROM reshaped")
    assert (await run(session, "SELECT * FROM reshaped")).rows == ((1, "new"),)


async def test_prepared_statements_are_bounded_on_both_sides(session: Session) -> None:
    for number in range(KEPT_STATEMENTS + 5):
        await run(session, f"SELECT {number}")
    await run(session, f"SELECT '{'x' * LONGEST_KEPT}'")
    ((kept,),) = (await run(session, "SELECT count(*) FROM pg_prepared_statements")).rows
    assert isinstance(kept, int)
    assert KEPT_STATEMENTS <= kept <= KEPT_STATEMENTS + 1


async def test_tidying_up_undoes_what_a_statement_left_behind(session: Session) -> None:
    await run(
        session,
        "SELECT set_config('statement_timeout', '7s', false), set_config('search_path', 'odd', false)",
    )
    await session.tidy()
    assert await session.is_ready()
    assert await row(
        session, "SELECT current_setting('statement_timeout'), current_setting('search_path')"
    ) == (
        "30s",
        "public, extensions",
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [("standard_conforming_strings", "off"), ("TimeZone", "Asia/Tokyo"), ("DateStyle", "German")],
)
async def test_a_session_whose_reading_or_writing_changed_is_not_ready(
    session: Session, name: str, value: str
) -> None:
    assert await session.is_ready()
    await run(session, f"SELECT set_config('{name}', '{value}', false)")
    assert not await session.is_ready()
    assert session.understands_us() is (name != "standard_conforming_strings")


async def test_a_session_that_the_server_ended_is_not_ready(
    session: Session, admin_uri: ConnectionUri
) -> None:
    administrator = await connect(parse_endpoint(admin_uri.reveal()), 10)
    try:
        await administrator.fetchval("SELECT pg_terminate_backend($1, 5000)", session.get_server_pid())
    finally:
        administrator.terminate()
    assert not await session.is_ready()


async def test_parameters_of_every_kind_arrive(session: Session) -> None:
    params: Sequence[JsonValue] = [1, "2.50", True, None, [1, [2]], {"k": "v"}, ["a", None], "2026-01-02"]
    sql = "SELECT $1::int, $2::numeric, $3::bool, $4::text, $5::jsonb, $6::jsonb, $7::text[], $8::date"
    assert await row(session, sql, *params) == (
        1, "2.50", True, None, "[1, [2]]", '{"k": "v"}', ["a", None], "2026-01-02",
    )  # fmt: skip
