"""One request under way: who asks, for what, and of which account."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, TypeVar

from agentdb_mcp.fake_neon.account import ORG_ID, Account
from agentdb_mcp.fake_neon.refusals import Refused, invalid
from agentdb_mcp.fake_neon.stage import Stage
from agentdb_mcp.fake_neon.states import Endpoint, Project
from agentdb_mcp.fake_neon.wire import Request

Item = TypeVar("Item")

_ID: Final = re.compile(r"[a-z0-9-]{1,60}")


@dataclass(frozen=True, slots=True)
class Call:
    """Handed to every route."""

    account: Account
    stage: Stage
    request: Request
    names: dict[str, str]
    """The parts of the path that vary."""
    now: datetime

    @property
    def project(self) -> Project:
        """The project in the path. Raises Refused."""
        return self.account.project(self._id("project_id"))

    @property
    def endpoint(self) -> Endpoint:
        """The endpoint in the path. Raises Refused."""
        return self.account.endpoint(self.project, self._id("endpoint_id"))

    def _id(self, name: str) -> str:
        if not _ID.fullmatch(self.names[name]):
            raise invalid(f"{name}: does not match")
        return self.names[name]

    def text(self, name: str, default: str = "") -> str:
        """A query parameter."""
        return self.request.query.get(name, [default])[-1]

    def texts(self, name: str) -> list[str]:
        """A list in the query: repeated, or with commas."""
        return [part for value in self.request.query.get(name, []) for part in value.split(",") if part]

    def integer(self, name: str, default: int, low: int, high: int) -> int:
        """A number in the query. Raises Refused(400) when it is none or out of range."""
        text = self.text(name, str(default))
        if not re.fullmatch(r"-?\d{1,9}", text) or not low <= int(text) <= high:
            raise invalid(f"query parameter {name}: must be between {low} and {high}")
        return int(text)

    def flag(self, name: str) -> bool:
        """A boolean in the query."""
        text = self.text(name, "false")
        if text not in {"true", "false"}:
            raise invalid(f"query parameter {name}: must be true or false")
        return text == "true"

    def after(self, ids: list[str], items: list[Item]) -> list[Item]:
        """What follows the cursor, which is the id of the last one seen."""
        cursor = self.text("cursor")
        if not cursor:
            return items
        return items[ids.index(cursor) + 1 :] if cursor in ids else []

    def moment(self, name: str) -> datetime:
        """A time in the query."""
        try:
            found = datetime.fromisoformat(self.text(name))
        except ValueError:
            raise invalid(f"query parameter {name}: must be a date-time") from None
        if found.tzinfo is None:
            raise invalid(f"query parameter {name}: must have a time zone")
        return found.astimezone(UTC)

    def check_organization(self) -> None:
        """A key of an organization opens that one only."""
        if "org_id" in self.request.query:
            wanted = self.text("org_id")
            if not _ID.fullmatch(wanted):
                raise invalid("query parameter org_id: does not match")
            if wanted != ORG_ID:
                raise Refused(404, "organization not found")
