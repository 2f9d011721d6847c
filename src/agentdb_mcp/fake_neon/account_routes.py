"""What concerns the account: who asks, and regions."""

from typing import Final

from agentdb_mcp.fake_neon.account import ORG_ID, REGIONS
from agentdb_mcp.fake_neon.calls import Call
from agentdb_mcp.fake_neon.project_routes import Answer
from agentdb_mcp.fake_neon.views import OWNER_ID, Json

BORN: Final = "2026-01-01T00:00:00Z"


async def regions(call: Call) -> Answer:
    call.check_organization()
    return 200, {
        "regions": [
            {"region_id": each, "name": each, "default": each == REGIONS[0], "geo_lat": "0", "geo_long": "0"}
            for each in REGIONS
        ]
    }


async def me(_call: Call) -> Answer:
    return 200, {
        "id": OWNER_ID,
        "login": "fake",
        "name": "Fake",
        "last_name": "Neon",
        "email": "fake@example.com",
        "image": "",
        "plan": "agent",
        "auth_accounts": [],
        "active_seconds_limit": 0,
        "projects_limit": 1000,
        "branches_limit": 500,
        "max_autoscaling_limit": 56,
    }


async def organizations(_call: Call) -> Answer:
    ours: Json = {
        "id": ORG_ID,
        "name": "Fake",
        "handle": ORG_ID,
        "plan": "agent",
        "created_at": BORN,
        "updated_at": BORN,
        "managed_by": "console",
    }
    return 200, {"organizations": [ours]}


async def auth(_call: Call) -> Answer:
    return 200, {"account_id": ORG_ID, "auth_method": "api_key_org"}
