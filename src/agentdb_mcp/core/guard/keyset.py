"""Reads that can go on behind their last row: the rows of one table, in the order of some of its columns.

Whether those columns are a key is the catalogs' to say (execution/seeking.py). Everything that could give a
row twice, or order by something else than it says, is not recognized, so that such reads go on as all others.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from agentdb_mcp.core.guard.parser import SyntaxRefused, TooDeep, Tree, parse
from agentdb_mcp.core.identifiers import quote_identifier

_CLAUSES: Final = frozenset({"targetList", "fromClause", "whereClause", "sortClause", "limitOption", "op"})
"""No WITH, DISTINCT, GROUP BY, LIMIT, FOR UPDATE, nor what another version may bring."""

_CONSTANTS: Final = frozenset({"A_Const", "ParamRef"})
_DIRECTIONS: Final = {"SORTBY_DEFAULT": False, "SORTBY_ASC": False, "SORTBY_DESC": True}


@dataclass(frozen=True, slots=True)
class Keyset:
    """A read of one table in the order of columns that it also gives, under their own names."""

    relation: tuple[str, ...]
    """The table, as it is named: with its schema, or without."""
    keys: tuple[str, ...]
    descending: bool
    body: str
    """The statement, as it was written, without what may stand after it."""

    def following(self, parameters: int, most_rows: int) -> str:
        """The same read behind a row, whose keys are the parameters after the statement's own.

        A statement of ours around the agent's: to be judged like any other.
        """
        columns = [f"page.{quote_identifier(key)}" for key in self.keys]
        behind = ", ".join(f"${parameters + number}" for number in range(1, len(columns) + 1))
        direction = " DESC" if self.descending else ""
        order = ", ".join(f"{column}{direction}" for column in columns)
        return (
            f"SELECT * FROM (\n{self.body}\n) AS page "
            f"WHERE ({', '.join(columns)}) {'<' if self.descending else '>'} ({behind}) "
            f"ORDER BY {order} LIMIT {most_rows}"
        )


def keyset_of(sql: str) -> Keyset | None:
    """How this read goes on behind its last row; None when that is not certain from its text."""
    try:
        [statement] = parse(sql)
    except (SyntaxRefused, TooDeep, ValueError):
        return None
    select = statement["stmt"].get("SelectStmt")
    if select is None or not _is_plain(select):
        return None
    table = select["fromClause"][0].get("RangeVar", {})
    order = [item["SortBy"] for item in select["sortClause"]]
    directions = {_DIRECTIONS.get(item["sortby_dir"]) for item in order}
    keys = tuple(_column(item["node"], table) for item in order if item["sortby_nulls"] == _UNSAID)
    if not _is_whole_table(table) or len(directions) > 1 or None in directions or len(keys) < len(order):
        return None
    if not all(key and _gives(select["targetList"], key, table) for key in keys):
        return None
    relation = (table["schemaname"], table["relname"]) if "schemaname" in table else (table["relname"],)
    return Keyset(relation, tuple(map(str, keys)), directions == {True}, _body(sql, statement))


_UNSAID: Final = "SORTBY_NULLS_DEFAULT"


def _is_plain(select: Tree) -> bool:
    return (
        select.keys() <= _CLAUSES
        and select["op"] == "SETOP_NONE"
        and select["limitOption"] == "LIMIT_OPTION_DEFAULT"
        and len(select.get("fromClause", ())) == 1
        and "sortClause" in select
        and all(_is_single(item["ResTarget"]["val"]) for item in select.get("targetList", ()))
        and "targetList" in select
    )


def _is_single(value: Tree) -> bool:
    """Whether it surely stands for one value a row: a call or an operator may give several."""
    while "TypeCast" in value:
        value = value["TypeCast"]["arg"]
    return "ColumnRef" in value or not _CONSTANTS.isdisjoint(value)


def _is_whole_table(table: Tree) -> bool:
    return (
        table.get("inh") is True and "catalogname" not in table and "colnames" not in table.get("alias", {})
    )


def _column(value: Tree, table: Tree) -> str | None:
    """The column of the table that stands here, or `*`; None for everything else."""
    fields: Sequence[Any] = value.get("ColumnRef", {}).get("fields", ())
    *qualifier, last = fields or ({},)
    known = table.get("alias", {}).get("aliasname", table.get("relname"))
    if qualifier and [part.get("String", {}).get("sval") for part in qualifier] != [known]:
        return None
    return "*" if "A_Star" in last else last.get("String", {}).get("sval")


def _gives(targets: Sequence[Tree], key: str, table: Tree) -> bool:
    """Whether the column is among the results under its own name (that no other has it, the results show)."""
    for item in targets:
        target = item["ResTarget"]
        column = _column(target["val"], table)
        if column == "*" or (column == key and target.get("name", key) == key):
            return True
    return False


def _body(sql: str, statement: Tree) -> str:
    start = statement.get("stmt_location", 0)
    length = statement.get("stmt_len", 0)
    text = sql.encode()[start:]
    return (text[:length] if length else text).decode()
