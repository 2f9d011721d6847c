"""The policy's lists against a real server's catalogs: what a new version brings is noticed here."""

import pytest

from agentdb_mcp import assets
from agentdb_mcp.core.guard import Guard, load_policies
from agentdb_mcp.core.guard.functions import BUILTINS
from support.postgres import connected

AGENT = load_policies(assets.folder("policies"))["agent"]

_REVIEWED = """
    RI_FKey_cascade_del RI_FKey_cascade_upd RI_FKey_check_ins RI_FKey_check_upd RI_FKey_noaction_del
    RI_FKey_noaction_upd RI_FKey_restrict_del RI_FKey_restrict_upd RI_FKey_setdefault_del
    RI_FKey_setdefault_upd RI_FKey_setnull_del RI_FKey_setnull_upd amvalidate array_sample
    array_shuffle bernoulli brinhandler bthandler clock_timestamp current_query currval
    gen_random_uuid ginhandler gisthandler hashhandler heap_tableam_handler lastval nextval
    pg_indexes_size pg_is_in_recovery pg_partition_ancestors pg_partition_tree pg_relation_size
    pg_sequence_last_value pg_table_size pg_total_relation_size pg_trigger_depth random
    random_normal setseed setval spghandler suppress_redundant_updates_trigger system timeofday
    tsvector_update_trigger tsvector_update_trigger_column txid_status unique_key_recheck uuidv4
    uuidv7
"""
REVIEWED_VOLATILE = frozenset(_REVIEWED.split())
"""Volatile built-in functions that a policy may allow: each was looked at. RI functions are for triggers of keys."""


@pytest.fixture
async def server(admin_uri):
    async with connected(admin_uri) as connection:
        yield connection


async def test_every_volatile_function_that_passes_was_reviewed(server):
    rows = await server.fetch(
        "SELECT DISTINCT proname FROM pg_proc WHERE provolatile = 'v'"
        " AND pronamespace = 'pg_catalog'::regnamespace AND NOT 'internal'::regtype = ANY (proargtypes)"
    )
    passing = {row["proname"] for row in rows if AGENT.functions.family_of(row["proname"]) is None}
    assert passing - REVIEWED_VOLATILE == set()


async def test_every_function_listed_as_built_in_is_the_servers(server):
    rows = await server.fetch("SELECT proname FROM pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace")
    there = {row["proname"] for row in rows}
    assert BUILTINS - there == set()


async def test_functions_that_take_or_give_names_of_roles_are_refused(server):
    rows = await server.fetch(
        "SELECT DISTINCT proname FROM pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace"
        " AND (proargtypes::oid[] && ARRAY['regrole'::regtype, 'aclitem'::regtype, 'aclitem[]'::regtype]::oid[]"
        " OR prorettype IN ('regrole'::regtype, 'aclitem'::regtype, 'aclitem[]'::regtype))"
    )
    names = {row["proname"] for row in rows}
    assert len(names) > 10
    passing = {name for name in names if AGENT.functions.family_of(name) is None}
    assert passing - {"hash_aclitem", "hash_aclitem_extended"} == set()


async def test_no_catalog_that_may_be_read_is_shared_between_databases(server):
    rows = await server.fetch(
        "SELECT relname, relisshared FROM pg_class WHERE relnamespace = 'pg_catalog'::regnamespace"
        " AND relkind IN ('r', 'v')"
    )
    shared = {row["relname"]: row["relisshared"] for row in rows}
    assert AGENT.catalogs.names - shared.keys() == set(), "listed, but not there"
    assert [name for name in AGENT.catalogs.names if shared[name]] == []


async def test_no_view_that_may_be_read_shows_other_databases(server):
    """Views over shared catalogs: those that join names of roles to objects of this database alone are all right."""
    rows = await server.fetch(
        "SELECT DISTINCT v.relname AS view, c.relname AS shared FROM pg_depend d"
        " JOIN pg_rewrite r ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid"
        " JOIN pg_class v ON v.oid = r.ev_class JOIN pg_class c ON c.oid = d.refobjid AND c.relisshared"
        " WHERE d.refclassid = 'pg_class'::regclass AND v.relnamespace = 'pg_catalog'::regnamespace"
    )
    found = {row["view"] for row in rows} & AGENT.catalogs.names
    assert found <= {"pg_policies", "pg_tables", "pg_indexes", "pg_matviews"}


async def test_every_view_of_the_information_schema_is_listed_or_left_out_on_purpose(server):
    rows = await server.fetch(
        "SELECT table_name FROM information_schema.tables WHERE table_schema = 'information_schema'"
    )
    there = {row["table_name"] for row in rows}
    assert AGENT.information_schema.names - there == set()
    left_out = {name for name in there - AGENT.information_schema.names if not name.startswith("_pg_")}
    assert left_out == {
        "administrable_role_authorizations", "applicable_roles", "column_options", "enabled_roles",
        "foreign_data_wrapper_options", "foreign_data_wrappers", "foreign_server_options", "foreign_servers",
        "foreign_table_options", "role_column_grants", "role_routine_grants", "role_table_grants",
        "role_udt_grants", "role_usage_grants", "user_mapping_options", "user_mappings",
    }  # fmt: skip


async def test_every_type_that_names_roles_or_databases_is_refused(server):
    rows = await server.fetch("SELECT typname FROM pg_type WHERE typname LIKE 'reg%' AND typtype = 'b'")
    passing = {row["typname"] for row in rows if row["typname"] not in AGENT.refused_types}
    assert passing == {
        "regclass", "regcollation", "regconfig", "regdictionary", "regnamespace", "regoper", "regoperator",
        "regproc", "regprocedure", "regtype",
    }  # fmt: skip


async def test_the_statements_that_pass_are_ones_that_a_newer_server_reads_alike(server):
    """The parser knows PostgreSQL 17; a word that became a keyword later would be read in another way there."""
    major = int(await server.fetchval("SHOW server_version_num")) // 10_000
    words = await server.fetch("SELECT word FROM pg_get_keywords() WHERE catcode = 'R'")
    guard = Guard()
    unknown = [
        row["word"] for row in words if guard.inspect(f"SELECT a AS x FROM t AS {row['word']}", AGENT).allowed
    ]
    assert (major, unknown) == (18, [])
