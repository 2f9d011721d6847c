"""What a model reads: characters of a cell in a result, and of the list of tools."""

import csv
import io
import json

from agentdb_mcp.core.databases import Kind
from agentdb_mcp.entrypoints.mcp.tools import agent_tools
from bench.clients import StdioClient
from bench.world import OURS, World

ROWS, COLUMNS = 100, 8
QUERY = f"SELECT * FROM item ORDER BY id LIMIT {ROWS}"


def main(world: World) -> str:
    client = StdioClient(OURS, world.environment)
    result = json.loads(client.tool("query", sql=QUERY))["result"]
    listed = json.loads(client.request("tools/list", {}))["result"]["tools"]
    client.close()
    assert len(listed) == len(agent_tools(tuple(Kind)))
    return "\n\n".join((results(result), tools(listed)))


def results(result: dict) -> str:
    """A hundred rows of eight columns: ours, and the same cells in other forms."""
    typed = result["structuredContent"]
    names = [column["name"] for column in typed["columns"]]
    objects = [dict(zip(names, row, strict=True)) for row in typed["rows"]]
    texts = {
        "CSV": as_csv(names, typed["rows"]),
        "**our text**": result["content"][0]["text"],
        "JSON, an object for each row, compact": json.dumps(objects, separators=(",", ":")),
        "the same as the SDK writes it: indented by two": json.dumps(objects, indent=2),
    }
    cells = ROWS * COLUMNS
    lines = [f"| {ROWS} rows x {COLUMNS} columns | characters | of a cell |", "|---|---:|---:|"]
    lines += [f"| {name} | {len(text):,} | {len(text) / cells:.1f} |" for name, text in texts.items()]
    return "\n".join(lines)


def as_csv(names: list[str], rows: list[list]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    writer.writerows([cell if isinstance(cell, str) else json.dumps(cell) for cell in row] for row in rows)
    return text.getvalue()


def tools(listed: list[dict]) -> str:
    bare = [{key: value for key, value in tool.items() if key != "outputSchema"} for tool in listed]
    lines = [f"| tools/list, {len(listed)} tools | characters | tokens at 4 |", "|---|---:|---:|"]
    for name, each in {"without output schemas": bare, "with them": listed}.items():
        length = len(json.dumps(each, separators=(",", ":"), ensure_ascii=False))
        lines.append(f"| {name} | {length:,} | {length / 4:,.0f} |")
    return "\n".join(lines)
