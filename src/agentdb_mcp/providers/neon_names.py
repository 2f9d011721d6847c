"""Names of our projects. They hold a database's whole id, so that a project can be found, and known for ours,
when everything else about it was lost.
"""

import re
from dataclasses import dataclass
from typing import Final

from agentdb_mcp.core.databases import DatabaseSpec
from agentdb_mcp.core.ids import DatabaseId

MARK: Final = "deleted"
"""In place of the kind, in the name of a project that we are deleting."""


@dataclass(frozen=True, slots=True)
class ProjectNames:
    """Names under one prefix, which is this installation's."""

    prefix: str

    def of(self, spec: DatabaseSpec) -> str:
        """While the database is wanted."""
        return f"{self.prefix}-{spec.kind}-{spec.id}"

    def marked(self, database_id: DatabaseId) -> str:
        """From the moment we delete it."""
        return f"{self.prefix}-{MARK}-{database_id}"

    def read(self, name: str) -> tuple[DatabaseId, bool] | None:
        """The database of that name, and whether the name is the mark. None: not a name of ours."""
        pattern = rf"{re.escape(self.prefix)}-(agent|global|{MARK})-([0-9a-f-]{{36}})"
        found = re.fullmatch(pattern, name)
        return (DatabaseId(found[2]), found[1] == MARK) if found else None
