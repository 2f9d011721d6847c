"""Rows loaded in bulk, as an agent's host meets it."""

from pathlib import Path

from support.hosts import Host


def test_rows_are_loaded_all_or_none_and_errors_name_them(home: Path, workspace: str) -> None:
    with Host(home, "--workspace", workspace) as host:
        table = """CREATE TABLE "Ware é" (id int GENERATED ALWAYS AS IDENTITY, sku text PRIMARY KEY,
            price numeric CHECK (price > 0), tags text[], twice numeric GENERATED ALWAYS AS (price * 2) STORED)"""
        assert not host.call("execute_ddl", sql=table)["isError"]
        assert not host.call("execute_ddl", sql='CREATE VIEW seen AS SELECT sku FROM "Ware é"')["isError"]
        place = {"table": "Ware é", "columns": ["sku", "price", "tags"]}

        # 50,000 rows in one message.
        rows = [[f"s{number}", "1.50", ["a"] if number % 2 else None] for number in range(50_000)]
        answer = host.call("load_rows", rows=rows, **place)
        assert answer["structuredContent"]["loaded"] == 50_000
        assert answer["content"][0]["text"] == "agent: 50,000 rows loaded"
        sql = 'SELECT count(*), sum(price), count(tags), sum(twice) FROM "Ware é"'
        assert host.rows(sql) == [[50_000, "75000.00", 25_000, "150000.00"]]

        # Sent again with its key, a load is answered and not made again; for other rows there is no such key.
        keyed = {"table": "twin", "columns": ["n"], "idempotency_key": "load-1"}
        assert not host.call("execute_ddl", sql="CREATE TABLE twin (n int CHECK (n < 10))")["isError"]
        assert host.error("load_rows", rows=[[1], [10]], **keyed)["row"] == "2"
        first, again = (host.call("load_rows", rows=[[1], [2]], **keyed) for _ in range(2))
        assert [answer["structuredContent"].get("replayed") for answer in (first, again)] == [None, True]
        assert "now nothing was changed" in again["content"][0]["text"]
        assert host.error("load_rows", rows=[[1], [3]], **keyed)["code"] == "idempotency_conflict"
        assert host.rows("SELECT n FROM twin ORDER BY n") == [[1], [2]]

        # What is wrong is named, and nothing is loaded.
        wrong = host.error("load_rows", rows=[["x", 1, []], ["y", "cheap", "{"], [7, None, ["a"]]], **place)
        assert wrong["code"] == "rows_invalid"
        assert wrong["problems"] == ["row 2, price: 'cheap' is not of type numeric"]
        taken = host.error("load_rows", rows=[["new", 1, None], ["s1", 1, None]], **place)
        assert (taken["code"], taken["sqlstate"], taken["row"]) == ("sql_failed", "23505", "2")
        assert host.error("load_rows", rows=[["new", 0, None]], **place)["sqlstate"] == "23514"
        ragged = host.error("load_rows", rows=[["new", 1, None], ["short"], "none"], **place)
        assert ragged["problems"] == ["row 2: 1 value for 3 columns", "row 3: not an array"]
        assert host.rows(sql)[0][0] == 50_000

        # Names are looked up, and judged as the insertion they stand for.
        for arguments, code, words in (
            ({"table": "Ware e", "columns": ["sku"]}, "table_not_found", "Ware é"),
            ({"table": "Ware é", "columns": ["skuu"]}, "bad_argument", "Did you mean sku?"),
            ({"table": "Ware é", "columns": ["id"]}, "bad_argument", "an identity column"),
            ({"table": "Ware é", "columns": ["twice"]}, "bad_argument", "computes it"),
            ({"table": "Ware é", "columns": ["sku", "sku"]}, "bad_argument", "each once"),
            ({"table": "Ware é", "columns": [1]}, "bad_argument", "names of columns"),
            ({"table": "seen", "columns": ["sku"]}, "bad_argument", "is a view"),
            ({"table": "pg_catalog.pg_class", "columns": ["relname"]}, "statement_denied", "pg_class"),
            ({"table": 'Ware é" (sku) SELECT 1; --', "columns": ["sku"]}, "table_not_found", "There is no"),
        ):
            error = host.error("load_rows", rows=[["z"] * len(arguments["columns"])], **arguments)
            assert error["code"] == code, error
            assert words in f"{error['message']} {error.get('hint', '')} {error.get('found', '')}", error
        assert host.error("load_rows", rows=[], **place)["code"] == "bad_argument"

        # In a transaction, into a table that only it can see.
        handle = host.call("transaction", action="begin")["structuredContent"]["transaction"]
        inside = {"transaction": handle}
        assert host.error("load_rows", rows=[[3]], **keyed, **inside)["code"] == "bad_argument"
        host.call("execute_ddl", sql="CREATE TABLE fresh (n int, at timestamptz, span interval)", **inside)
        fresh = {"table": "public.fresh", "columns": ["n", "at", "span"], **inside}
        assert (
            host.call("load_rows", rows=[[1, "2024-01-31T12:00Z", "1 h"]], **fresh)["structuredContent"][
                "loaded"
            ]
            == 1
        )
        late = host.error("load_rows", rows=[[1, None, "1 h"], [2, None, "soon"]], **fresh)
        assert (late["row"], late["column"]) == ("2", "span")
        assert "the transaction goes on" in late["hint"]
        assert (
            host.call("transaction", action="commit", **inside)["structuredContent"]["state"] == "committed"
        )
        assert host.rows("SELECT n, at, span FROM fresh") == [[1, "2024-01-31 12:00:00+00", "PT1H"]]
