"""What is not needed is not loaded: an agent's server starts in a fraction of a second."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize("module", ["agentdb_mcp.providers.neon", "agentdb_mcp.app"])
def test_no_http_client_is_loaded_before_the_first_request(module: str) -> None:
    code = f"import sys, {module}; print('httpx' in sys.modules, 'agentdb_mcp.fake_neon' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.split() == ["False", "False"]
