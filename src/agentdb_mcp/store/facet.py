"""What every part of the store works with."""

from agentdb_mcp.store.connect import ControlPlane
from agentdb_mcp.store.keys import Keys


class Facet:
    """One noun's queries. The store is all of them; each has a file of its own."""

    def __init__(self, control_plane: ControlPlane, keys: Keys) -> None:
        self._control_plane = control_plane
        self._keys = keys
