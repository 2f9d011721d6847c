"""Who the embedded server runs as: PostgreSQL refuses to run as root, so root steps down."""

import os
import pwd
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agentdb_mcp.core.errors import Misconfigured

CANDIDATES = ("postgres", "nobody")


@dataclass(frozen=True, slots=True)
class ServiceUser:
    """An account without privileges of its own."""

    uid: int
    gid: int
    stepped_down: bool
    """True when this process is root and the server must be another account's."""

    @classmethod
    def choose(cls) -> "ServiceUser":
        """The account of this process, or for root the first of `postgres` and `nobody` that exists."""
        if os.geteuid() != 0:
            return cls(os.geteuid(), os.getegid(), stepped_down=False)
        for name in CANDIDATES:
            try:
                entry = pwd.getpwnam(name)
            except KeyError:
                continue
            return cls(entry.pw_uid, entry.pw_gid, stepped_down=True)
        raise Misconfigured(
            "data_directory_invalid",
            "PostgreSQL does not run as root, and there is neither a `postgres` nor a `nobody` account.",
            "Run as a normal user, or add one of the two accounts.",
        )

    @classmethod
    def owning(cls, data: Path) -> "ServiceUser":
        """The account that made `data`: nobody else may serve it."""
        owner = data.stat()
        me = os.geteuid()
        if me not in (0, owner.st_uid) or owner.st_uid == 0:
            raise Misconfigured(
                "data_directory_invalid",
                f"{data} belongs to another account (uid {owner.st_uid}).",
                "Run as that account, or point AGENTDB_HOME at a folder of your own.",
            )
        return cls(owner.st_uid, owner.st_gid, stepped_down=me == 0)

    def process_arguments(self) -> dict[str, Any]:
        """What `subprocess` needs to run a child as this account."""
        if not self.stepped_down:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def give(self, path: Path) -> None:
        """Make `path` this account's."""
        if self.stepped_down:
            os.chown(path, self.uid, self.gid, follow_symlinks=False)

    def can_pass(self, folder: Path) -> bool:
        """Whether this account gets through `folder` and everything above it, by plain mode bits."""
        if not self.stepped_down:
            return True
        folder = folder.resolve()
        return all(self._may_enter(each.stat()) for each in (folder, *folder.parents))

    def _may_enter(self, found: os.stat_result) -> bool:
        if found.st_uid == self.uid:
            return bool(found.st_mode & stat.S_IXUSR)
        if found.st_gid == self.gid:
            return bool(found.st_mode & stat.S_IXGRP)
        return bool(found.st_mode & stat.S_IXOTH)
