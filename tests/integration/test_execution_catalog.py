"""What list_tables and describe_table say, as the agent's reader role sees it."""

from collections.abc import AsyncIterator

import pytest

from agentdb_mcp.core.access import Target
from agentdb_mcp.core.errors import Invalid, Missing, SqlFailed
from agentdb_mcp.core.results import Caps
from agentdb_mcp.core.schema import (
    ColumnDescription,
    Definition,
    Extension,
    ForeignKey,
    Key,
    Listing,
    Partitioning,
    TableDescription,
)
from agentdb_mcp.core.secrets import ConnectionUri
from agentdb_mcp.execution import catalog as catalog_module
from agentdb_mcp.execution.catalog import Catalog
from agentdb_mcp.execution.pools import PoolLimits, Pools
from agentdb_mcp.execution.runner import Runner
from support.statements import ddl, write
from support.wire import through, watched

SHOP = (
    "CREATE SCHEMA shop",
    "CREATE TYPE shop.mood AS ENUM ('good', 'bad')",
    """CREATE TABLE shop.customer (
        id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        email text NOT NULL CONSTRAINT one_mail UNIQUE CONSTRAINT is_mail CHECK (email LIKE '%@%'),
        name varchar(40) DEFAULT 'nobody',
        loud text GENERATED ALWAYS AS (upper(name)) STORED,
        feels shop.mood[],
        dropped int)""",
    "ALTER TABLE shop.customer DROP COLUMN dropped",
    "COMMENT ON TABLE shop.customer IS 'who buys'",
    "COMMENT ON COLUMN shop.customer.email IS 'where the bill goes'",
    """CREATE TABLE shop."Order" (
        "customer id" int NOT NULL CONSTRAINT of_customer REFERENCES shop.customer ON DELETE CASCADE ON UPDATE SET NULL,
        no int, total numeric(10,2), PRIMARY KEY (no, "customer id"))""",
    'CREATE INDEX order_totals ON shop."Order" (total DESC) WHERE total > 0',
    'CREATE VIEW shop.big AS SELECT no FROM shop."Order" WHERE total > 100',
    "CREATE MATERIALIZED VIEW shop.counted AS SELECT count(*) AS n FROM shop.customer",
    "CREATE TABLE shop.visit (day date NOT NULL, n int) PARTITION BY RANGE (day)",
    "CREATE TABLE shop.visit_2025 PARTITION OF shop.visit FOR VALUES FROM ('2025-01-01') TO ('2026-01-01')",
    "CREATE FUNCTION shop.stamp() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
    "CREATE TRIGGER stamped BEFORE INSERT ON shop.customer FOR EACH ROW EXECUTE FUNCTION shop.stamp()",
    "CREATE SCHEMA other",
    "CREATE TABLE other.customer (id int)",
    "CREATE TABLE plain (id int)",
    "INSERT INTO shop.customer (email) SELECT n || '@x' FROM generate_series(1, 500) n",
    "ANALYZE shop.customer",
)


@pytest.fixture
async def catalog(pools: Pools, target: Target) -> AsyncIterator[Catalog]:
    runner = Runner(pools)
    try:
        await runner.run(target, ddl(SHOP[0]), [], Caps())
    except SqlFailed:  # an earlier test of this module has made it
        pass
    else:
        for statement in SHOP[1:]:
            await runner.run(target, ddl(statement), [], Caps())
    return Catalog(pools)


async def described(catalog: Catalog, target: Target, table: str) -> TableDescription:
    return await catalog.describe_table(target, table, schema="shop")


async def test_a_database_tells_its_version_its_size_and_its_extensions(
    catalog: Catalog, target: Target
) -> None:
    facts = await catalog.database_facts(target)
    assert facts.version.split(".")[0].isdecimal()
    assert facts.bytes > 1_000_000
    assert Extension("plpgsql", "1.0", "pg_catalog") in facts.extensions


async def test_a_list_has_a_line_for_each_table_and_view(catalog: Catalog, target: Target) -> None:
    found = await catalog.list_tables(target, Listing())
    assert [(table.schema, table.name, table.kind) for table in found.tables] == [
        ("other", "customer", "table"),
        ("public", "plain", "table"),
        ("shop", "Order", "table"),
        ("shop", "big", "view"),
        ("shop", "counted", "materialized view"),
        ("shop", "customer", "table"),
        ("shop", "visit", "partitioned table"),
    ]
    assert not found.more


async def test_a_line_tells_rows_size_and_comment(catalog: Catalog, target: Target) -> None:
    by_name = {table.name: table for table in (await catalog.list_tables(target, Listing("shop"))).tables}
    customer, view = by_name["customer"], by_name["big"]
    assert (customer.estimated_rows, customer.comment) == (500, "who buys")
    assert customer.bytes is not None
    assert customer.bytes > 16_384
    assert (view.estimated_rows, view.bytes, view.comment) == (None, None, None)


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("cust%", ["customer"]),
        ("ORDER", ["Order"]),
        ("%i%", ["big", "visit"]),
        ("none", []),
        ("_isit", ["visit"]),
    ],
)
async def test_a_list_is_narrowed_by_a_pattern(
    catalog: Catalog, target: Target, pattern: str, names: list[str]
) -> None:
    found = await catalog.list_tables(target, Listing("shop", pattern))
    assert [table.name for table in found.tables] == names


async def test_a_schema_that_is_not_there_is_told_with_those_that_are(
    catalog: Catalog, target: Target
) -> None:
    with pytest.raises(Invalid, match='There is no schema "nope" here') as refused:
        await catalog.list_tables(target, Listing("nope"))
    assert refused.value.hint.startswith("There are: ")
    assert "public" in refused.value.hint
    assert "shop" in refused.value.hint
    assert not (await catalog.list_tables(target, Listing("shop", "no such table"))).tables


async def test_a_list_is_bounded_and_says_so(
    catalog: Catalog, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalog_module, "MOST_TABLES", 2)
    found = await catalog.list_tables(target, Listing())
    assert (len(found.tables), found.more, found.last) == (2, True, "public.plain")
    names: list[str] = []
    while found.more:
        names += [table.name for table in found.tables]
        found = await catalog.list_tables(target, Listing(after=found.last))
    assert names + [table.name for table in found.tables] == [
        *("customer", "plain", "Order", "big", "counted", "customer", "visit")
    ]
    after_plain = await catalog.list_tables(target, Listing(after="plain"))
    assert [table.name for table in after_plain.tables] == ["Order", "big"]


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("customer", ["other.customer", "shop.customer", "shop.Order"]),
        ("CUST buys", ["shop.customer"]),
        ("mail", ["shop.customer"]),
        ("bill", ["shop.customer"]),
        ("i", ["shop.big", "shop.customer", "shop.visit", "shop.Order", "public.plain", "other.customer"]),
        ("customer zebra", []),
        ("%", []),
    ],
)
async def test_words_are_searched_in_names_and_comments_and_the_best_match_comes_first(
    catalog: Catalog, target: Target, search: str, found: list[str]
) -> None:
    listed = await catalog.list_tables(target, Listing(search=search))
    names = [f"{table.schema}.{table.name}" for table in listed.tables]
    assert names == found if search != "i" else set(names) == set(found)


async def test_a_search_names_the_columns_it_found(catalog: Catalog, target: Target) -> None:
    (customer,) = (await catalog.list_tables(target, Listing(search="bill"))).tables
    assert (customer.name, customer.found_in) == ("customer", ("email",))


async def test_a_search_is_bounded_and_has_no_next_page(
    catalog: Catalog, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalog_module, "MOST_FOUND", 1)
    found = await catalog.list_tables(target, Listing(search="customer"))
    assert (len(found.tables), found.more, found.last) == (1, True, None)
    for asked in (Listing(search=" "), Listing(search="x", after="y")):
        with pytest.raises(Invalid):
            await catalog.list_tables(target, asked)


async def test_columns_are_told_in_full(catalog: Catalog, target: Target) -> None:
    assert (await described(catalog, target, "customer")).columns == (
        ColumnDescription("id", "integer", False, None, "always", None, None),
        ColumnDescription("email", "text", False, None, None, None, "where the bill goes"),
        ColumnDescription(
            "name", "character varying(40)", True, "'nobody'::character varying", None, None, None
        ),
        ColumnDescription("loud", "text", True, None, None, "upper((name)::text)", None),
        ColumnDescription("feels", "shop.mood[]", True, None, None, None, None, ("good", "bad")),
    )


async def test_keys_checks_indexes_and_triggers_are_told(catalog: Catalog, target: Target) -> None:
    customer = await described(catalog, target, "customer")
    assert customer.primary_key == Key("customer_pkey", ("id",))
    assert customer.unique_keys == (Key("one_mail", ("email",)),)
    assert customer.checks == (Definition("is_mail", "CHECK (email ~~ '%@%'::text)"),)
    assert [index.name for index in customer.indexes] == ["customer_pkey", "one_mail"]
    assert customer.triggers == (
        Definition(
            "stamped",
            "CREATE TRIGGER stamped BEFORE INSERT ON shop.customer FOR EACH ROW EXECUTE FUNCTION shop.stamp()",
        ),
    )
    assert (customer.view_definition, customer.partitioning) == (None, None)


async def test_foreign_keys_are_told_from_both_ends(catalog: Catalog, target: Target) -> None:
    order = await described(catalog, target, "Order")
    assert order.primary_key == Key("Order_pkey", ("no", "customer id"))
    assert order.foreign_keys == (
        ForeignKey("of_customer", ("customer id",), "shop", "customer", ("id",), "CASCADE", "SET NULL"),
    )
    assert (await described(catalog, target, "customer")).referenced_by == (
        ForeignKey("of_customer", ("id",), "shop", "Order", ("customer id",), "CASCADE", "SET NULL"),
    )


async def test_an_index_keeps_its_order_and_its_condition(catalog: Catalog, target: Target) -> None:
    indexes = {index.name: index.definition for index in (await described(catalog, target, "Order")).indexes}
    assert indexes["order_totals"].endswith("(total DESC) WHERE (total > (0)::numeric)")


async def test_row_security_and_inheritance_are_told(catalog: Catalog, target: Target, pools: Pools) -> None:
    runner = Runner(pools)
    for statement in (
        "CREATE SCHEMA safe",
        "CREATE TABLE safe.base (id int, owner text)",
        "CREATE TABLE safe.heir () INHERITS (safe.base)",
        "ALTER TABLE safe.base ENABLE ROW LEVEL SECURITY",
        "CREATE POLICY own ON safe.base FOR UPDATE USING (owner = 'me') WITH CHECK (id > 0)",
        "CREATE POLICY no ON safe.base AS RESTRICTIVE USING (id < 9)",
    ):
        await runner.run(target, ddl(statement), [], Caps())
    try:
        base = await catalog.describe_table(target, "safe.base")
        assert base.row_security == "enabled"
        assert base.policies == (
            Definition("no", "RESTRICTIVE FOR ALL TO public USING ((id < 9))"),
            Definition("own", "FOR UPDATE TO public USING ((owner = 'me'::text)) WITH CHECK ((id > 0))"),
        )
        heir = await catalog.describe_table(target, "safe.heir")
        assert (base.inherited_by, heir.inherits) == (("safe.heir",), ("safe.base",))
        assert (heir.row_security, heir.policies, base.inherits) == (None, (), ())
    finally:
        await runner.run(target, ddl("DROP SCHEMA safe CASCADE"), [], Caps())


async def test_sample_values_are_few_short_and_only_there_when_asked_for(
    catalog: Catalog, target: Target, pools: Pools
) -> None:
    runner = Runner(pools)
    await runner.run(target, ddl('CREATE TABLE shop.odd ("a ""b" text, n int[], void text)'), [], Caps())
    try:
        await runner.run(target, write("INSERT INTO shop.odd SELECT repeat('x', 200), '{1,2}'"), [], Caps())
        await runner.run(
            target, write("INSERT INTO shop.odd SELECT 'y' FROM generate_series(1, 9)"), [], Caps()
        )
        assert [column.samples for column in (await described(catalog, target, "odd")).columns] == [()] * 3
        asked = await catalog.describe_table(target, "shop.odd", samples=1_000)
        assert [column.samples for column in asked.columns] == [("x" * 80 + "…", "y"), ("{1,2}",), ()]
        one = await catalog.describe_table(target, "shop.odd", samples=1)
        assert one.columns[0].samples == ("x" * 80 + "…",)
        for view in ("big", "visit", "counted"):
            assert (await catalog.describe_table(target, view, schema="shop", samples=2)).columns
        assert not any(
            column.samples for column in (await catalog.describe_table(target, "big", samples=-1)).columns
        )
    finally:
        await runner.run(target, ddl("DROP TABLE shop.odd"), [], Caps())


async def test_a_view_shows_its_query(catalog: Catalog, target: Target) -> None:
    view = await described(catalog, target, "big")
    assert view.view_definition is not None
    assert 'FROM shop."Order"' in view.view_definition
    assert view.columns[0].name == "no"


async def test_a_partitioned_table_and_its_partitions_know_each_other(
    catalog: Catalog, target: Target
) -> None:
    bound = "FOR VALUES FROM ('2025-01-01') TO ('2026-01-01')"
    assert (await described(catalog, target, "visit")).partitioning == Partitioning(
        "RANGE (day)", (Definition("shop.visit_2025", bound),), None, None
    )
    assert (await described(catalog, target, "visit_2025")).partitioning == Partitioning(
        None, (), "shop.visit", bound
    )


@pytest.mark.parametrize(
    ("table", "schema"), [("shop.customer", None), ("customer", "shop"), ("shop.Order", None)]
)
async def test_a_table_is_found_by_its_name_and_its_schema(
    catalog: Catalog, target: Target, table: str, schema: str | None
) -> None:
    found = await catalog.describe_table(target, table, schema=schema)
    assert found.summary.schema == "shop"


async def test_a_name_of_several_schemas_asks_which(catalog: Catalog, target: Target) -> None:
    with pytest.raises(Invalid) as caught:
        await catalog.describe_table(target, "customer")
    assert caught.value.code == "bad_argument"
    assert "other or shop" in caught.value.hint


async def test_the_table_on_the_search_path_comes_first(
    catalog: Catalog, target: Target, pools: Pools
) -> None:
    await Runner(pools).run(target, ddl("CREATE TABLE IF NOT EXISTS shop.plain (other text)"), [], Caps())
    try:
        assert (await catalog.describe_table(target, "plain")).summary.schema == "public"
    finally:
        await Runner(pools).run(target, ddl("DROP TABLE shop.plain"), [], Caps())


@pytest.mark.parametrize(
    ("table", "near"),
    [("custmer", "other.customer or shop.customer"), ("order", "shop.Order"), ("shop.vist", "shop.visit")],
)
async def test_a_missing_table_names_its_neighbours(
    catalog: Catalog, target: Target, table: str, near: str
) -> None:
    with pytest.raises(Missing) as caught:
        await catalog.describe_table(target, table)
    assert caught.value.code == "table_not_found"
    assert near in caught.value.hint


async def test_a_missing_table_without_neighbours_points_to_the_list(
    catalog: Catalog, target: Target
) -> None:
    with pytest.raises(Missing) as caught:
        await catalog.describe_table(target, "zzzzzz", schema="shop")
    assert "list_tables" in caught.value.hint


async def test_what_the_reader_may_not_read_is_not_there(
    catalog: Catalog, target: Target, pools: Pools
) -> None:
    runner = Runner(pools)
    reader = (await runner.read(target, "SELECT current_user", [], Caps())).rows[0][0]
    await runner.run(target, ddl("CREATE TABLE shop.hidden (id int)"), [], Caps())
    await runner.run(target, ddl(f"REVOKE ALL ON shop.hidden FROM {reader}"), [], Caps())
    try:
        assert "hidden" not in [table.name for table in (await catalog.list_tables(target, Listing())).tables]
        with pytest.raises(Missing):
            await catalog.describe_table(target, "hidden", schema="shop")
    finally:
        await runner.run(target, ddl("DROP TABLE shop.hidden"), [], Caps())


async def test_names_are_data_whatever_they_hold(catalog: Catalog, target: Target) -> None:
    for name in ("x' OR '1'='1", '"; DROP TABLE plain; --', "é" * 40, "%"):
        with pytest.raises(Missing):
            await catalog.describe_table(target, name)
    with pytest.raises(Invalid):
        await catalog.describe_table(target, "nul\0")


async def test_each_answer_takes_few_round_trips(catalog: Catalog, target: Target) -> None:
    async with watched(target.reader) as (line, port):
        far = Target(target.database_id, target.kind, "agent", target.writer, through(target.reader, port))
        await catalog.list_tables(far, Listing())
        await catalog.describe_table(far, "plain")
        line.clear()
        await catalog.list_tables(far, Listing())
        assert line.round_trips == 1
        await catalog.describe_table(far, "plain")
        assert line.round_trips == 3


async def test_an_empty_database_has_an_empty_list(control_uri: ConnectionUri) -> None:
    pools = Pools(PoolLimits())
    empty = Target("empty", "agent", "agent", control_uri, control_uri)  # pyright: ignore[reportArgumentType]
    found = await Catalog(pools).list_tables(empty, Listing())
    assert (found.tables, found.more) == ((), False)
    await pools.close()


async def test_before_the_first_analyze_a_table_with_rows_is_never_said_to_be_empty(
    catalog: Catalog, target: Target, pools: Pools
) -> None:
    """PostgreSQL's statistics of live rows come a second or more after the rows."""
    runner = Runner(pools)
    await runner.run(target, ddl("CREATE TABLE newborn (id int)"), [], Caps())
    (newborn,) = (await catalog.list_tables(target, Listing(pattern="newborn"))).tables
    assert newborn.estimated_rows == 0
    await runner.run(target, write("INSERT INTO newborn SELECT generate_series(1, 3)"), [], Caps())
    (newborn,) = (await catalog.list_tables(target, Listing(pattern="newborn"))).tables
    assert newborn.estimated_rows in {None, 3}
    assert (await catalog.describe_table(target, "newborn")).summary.estimated_rows in {None, 3}
    await runner.run(target, ddl("DROP TABLE newborn"), [], Caps())


FALSE_FRIENDS = (
    "CREATE FUNCTION public.lower(name) RETURNS text LANGUAGE sql AS $$ SELECT 'customer'::text $$",
    "CREATE FUNCTION public.strpos(text, name) RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "CREATE FUNCTION public.pg_relation_size(oid) RETURNS int8 LANGUAGE sql AS 'SELECT 0::int8'",
    "CREATE FUNCTION public.pg_total_relation_size(oid) RETURNS int8 LANGUAGE sql AS 'SELECT 7::int8'",
    "CREATE FUNCTION public.pg_partition_tree(oid) RETURNS SETOF oid LANGUAGE sql AS 'SELECT 0::oid'",
    "CREATE FUNCTION public.forged(name, name) RETURNS text LANGUAGE sql AS $$ SELECT 'forged'::text $$",
    "CREATE OPERATOR public.|| (LEFTARG = name, RIGHTARG = name, FUNCTION = public.forged)",
    "CREATE FUNCTION public.never(float4, int4) RETURNS bool LANGUAGE sql AS 'SELECT false'",
    "CREATE OPERATOR public.> (LEFTARG = float4, RIGHTARG = int4, FUNCTION = public.never)",
    "CREATE FUNCTION public.always(oid, regclass) RETURNS bool LANGUAGE sql AS 'SELECT true'",
    "CREATE OPERATOR public.= (LEFTARG = oid, RIGHTARG = regclass, FUNCTION = public.always)",
)
"""They fit better than PostgreSQL's own wherever a catalog's type is not exactly what those take."""


async def test_functions_and_operators_of_an_agent_do_not_speak_for_the_catalogs(
    catalog: Catalog, target: Target, pools: Pools
) -> None:
    async def told() -> list[object]:
        return [
            await catalog.list_tables(target, Listing()),
            await catalog.list_tables(target, Listing(search="mail")),
            await catalog.list_tables(target, Listing(after="shop.counted")),
            await described(catalog, target, "customer"),
            await catalog.stakes(target, [("shop", "customer"), ("shop", None)]),
            (await catalog.database_facts(target)).bytes > 1_000_000,
        ]

    runner, before = Runner(pools), await told()
    for statement in FALSE_FRIENDS:
        await runner.run(target, ddl(statement), [], Caps())
    try:
        assert await told() == before
    finally:
        for statement in reversed(FALSE_FRIENDS):
            name = statement.partition(" RETURNS")[0].removeprefix("CREATE ")
            if "OPERATOR" in name:
                left, right = ("oid", "regclass") if "regclass" in name else ("name", "name")
                left, right = ("float4", "int4") if "float4" in name else (left, right)
                name = f"{name.partition(' (')[0]} ({left}, {right})"
            await runner.run(target, ddl(f"DROP {name}"), [], Caps())
