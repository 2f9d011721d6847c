"""Neon's own files, as `make conformance-neon` fetched them from npm. Nothing of them is ours to keep."""

import json
import os
import subprocess
from pathlib import Path

TOOLS = Path(os.environ.get("NEON_TOOLS", Path(__file__).parents[2] / ".conformance"))
MODULES = TOOLS / "node_modules"
DOCUMENT = TOOLS / "neon.json"
SCHEMATHESIS = TOOLS / "venv" / "bin" / "schemathesis"

CONVERT = """
const yaml = require("js-yaml"), fs = require("fs");
const text = fs.readFileSync("node_modules/@neondatabase/api-client/public-v2-for-users.gen.yaml", "utf8");
fs.writeFileSync("neon.json", JSON.stringify(yaml.load(text, { schema: yaml.JSON_SCHEMA })));
"""
"""Dates stay text, and response codes, which the file writes as numbers, become text as JSON's keys are."""


def document() -> Path:
    """The OpenAPI file as JSON."""
    if not DOCUMENT.exists():
        subprocess.run(["node", "-e", CONVERT], cwd=TOOLS, check=True, timeout=60)
    return DOCUMENT


def narrowed(operations: dict[str, list[str]]) -> Path:
    """The document with these operations only: path -> methods."""
    whole = json.loads(document().read_text())
    shared = {"parameters", "summary", "description"}
    whole["paths"] = {
        path: {
            key: value
            for key, value in whole["paths"][path].items()
            if key in shared or key.upper() in methods
        }
        for path, methods in operations.items()
    }
    narrow = TOOLS / "ours.json"
    narrow.write_text(json.dumps(whole))
    return narrow
