"""Identifiers as distinct types, so that a user can never be passed where a workspace is meant."""

from typing import NewType

UserId = NewType("UserId", str)
"""The host's own id for a user: any non-empty text up to 200 characters."""

WorkspaceId = NewType("WorkspaceId", str)
"""The host's own id for a workspace, which is one agent's place of work."""

DatabaseId = NewType("DatabaseId", str)
"""Ours: a random UUID in its 36-character text form. Names of databases and roles derive from it."""

TokenId = NewType("TokenId", str)
"""Ours: the part of a token's text that is no secret, 16 hexadecimal digits."""
