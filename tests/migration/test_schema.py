"""The migrations, applied to nothing, make the schema that was reviewed, and the seed's tables are in it."""

import re
from pathlib import Path

from agentdb_mcp import assets
from agentdb_mcp.core.secrets import ConnectionUri
from agentdb_mcp.store.migrate import migrate, read_migrations
from support.postgres import connected
from support.schema import described

REFERENCE = Path(__file__).with_name("schema.sql")

# From the project's seed, which hosts rely on: table -> column -> type, NOT NULL.
SHARED = {
    "id": ("text", True),
    "ownership_type": ("text", True),
    "neon_project_id": ("text", False),
    "neon_branch_id": ("text", False),
    "neon_connection_uri": ("text", False),
    "database_name": ("text", True),
    "current_period_cost_cents": ("integer", False),
    "last_consumption_sync": ("timestamp without time zone", False),
    "created_at": ("timestamp without time zone", True),
    "updated_at": ("timestamp without time zone", False),
}
SEED = {
    "user_global_database": {**SHARED, "user_id": ("text", True)},
    "workspace_database": {**SHARED, "workspace_id": ("text", True)},
    "user_db_budget": {
        "id": ("text", True),
        "user_id": ("text", True),
        "custom_budget_cents": ("integer", False),
        "budget_exceeded": ("boolean", True),
        "current_period_start": ("timestamp without time zone", True),
        "total_cost_cents": ("integer", False),
        "last_sync": ("timestamp without time zone", False),
        "created_at": ("timestamp without time zone", True),
        "updated_at": ("timestamp without time zone", False),
    },
}


async def test_the_migrations_from_zero_make_the_committed_reference_schema(
    control_uri: ConnectionUri, tmp_path: Path
) -> None:
    async with connected(control_uri) as connection:
        await migrate(connection, read_migrations(assets.folder("migrations")))
        made = await described(connection)
    (tmp_path / "schema.sql").write_text(made)
    assert made == REFERENCE.read_text(), (
        f"when the change is meant: cp {tmp_path / 'schema.sql'} {REFERENCE}"
    )


async def test_the_seeds_tables_have_the_seeds_columns(control_uri: ConnectionUri) -> None:
    async with connected(control_uri) as connection:
        await migrate(connection, read_migrations(assets.folder("migrations")))
        rows = await connection.fetch(
            "SELECT attrelid::regclass::text, attname, format_type(atttypid, atttypmod), attnotnull FROM pg_attribute"
            " WHERE attrelid = ANY ($1::text[]::regclass[]) AND attnum > 0",
            list(SEED),
        )
    found = {(table, column): (kind, needed) for table, column, kind, needed in rows}
    assert {(table, column): found.get((table, column)) for table in SEED for column in SEED[table]} == {
        (table, column): shape for table, columns in SEED.items() for column, shape in columns.items()
    }


def test_the_seeds_indexes_and_keys_are_there() -> None:
    schema = REFERENCE.read_text()
    for index in (
        "idx_user_global_database_user_id",
        "idx_workspace_database_workspace_id",
        "idx_user_db_budget_user_id",
        "idx_user_db_budget_exceeded",
    ):
        assert f"CREATE INDEX {index} " in schema
    for table, key in (
        ("user_global_database", "user_id"),
        ("workspace_database", "workspace_id"),
        ("user_db_budget", "user_id"),
    ):
        assert f"CONSTRAINT {table}_{key}_key UNIQUE ({key})" in schema
        assert re.search(rf"CONSTRAINT {table}_{key}_fkey FOREIGN KEY .* ON DELETE CASCADE", schema)
