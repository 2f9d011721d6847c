#!/bin/sh
# Fetches Neon's own tools from npm and schemathesis from PyPI into $NEON_TOOLS, then judges the stand-in by them.
set -eu

if ! command -v npm >/dev/null 2>&1; then
  echo "conformance-neon was not run: it needs Node.js 20.19 or newer, with npm" >&2
  exit 1
fi
mkdir -p "$NEON_TOOLS"
NEON_TOOLS=$(cd "$NEON_TOOLS" && pwd)
export NEON_TOOLS

if [ ! -x "$NEON_TOOLS/venv/bin/schemathesis" ]; then
  if command -v uv >/dev/null 2>&1; then
    uv venv --quiet --python "$PYTHON" "$NEON_TOOLS/venv"
    uv pip install --quiet --python "$NEON_TOOLS/venv/bin/python" schemathesis==4.32.5
  else
    "$PYTHON" -m venv "$NEON_TOOLS/venv"
    "$NEON_TOOLS/venv/bin/python" -m pip install --quiet --disable-pip-version-check schemathesis==4.32.5
  fi
fi
if [ ! -x "$NEON_TOOLS/node_modules/.bin/neonctl" ]; then
  npm install --silent --no-audit --no-fund --prefix "$NEON_TOOLS" \
    @neondatabase/api-client@2.7.3 @neon/sdk@6.1.2 neonctl@5.0.1 js-yaml@4
fi

# Every exchange in our own tests, and Neon's clients, under the eyes of Neon's file.
"$PYTHON" -m pytest -p conformance.neon_witness -k neon \
  tests/integration/test_neon_*.py tests/contract/test_provider_*.py tests/conformance/neon_clients.py
# Requests made from that file.
"$PYTHON" -m pytest tests/conformance/neon_fuzz.py
