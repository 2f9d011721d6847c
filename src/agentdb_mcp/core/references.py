"""The references hosts write instead of connection strings."""

from agentdb_mcp.core.databases import Kind
from agentdb_mcp.core.errors import Invalid

AGENT_DB_URL = "${AGENT_DB_URL}"
GLOBAL_DB_URL = "${GLOBAL_DB_URL}"

_BY_REFERENCE = {AGENT_DB_URL: (Kind.AGENT,), GLOBAL_DB_URL: (Kind.GLOBAL,)}
_BY_WORD = {"agent": (Kind.AGENT,), "global": (Kind.GLOBAL,), "both": (Kind.AGENT, Kind.GLOBAL)}


def served_databases(word: str | None, reference: str | None) -> tuple[Kind, ...]:
    """The databases a server offers, from `--database` or from the seed's spelling `--database-url`.

    A literal URL is refused without being repeated: a command line is readable by every process.
    """
    if word is not None and reference is not None:
        raise Invalid(
            "bad_argument", "--database and --database-url say the same thing twice.", "Give one of them."
        )
    if reference is not None:
        if reference not in _BY_REFERENCE:
            raise Invalid(
                "bad_argument",
                "--database-url takes a reference, not a URL: every process can read a command line.",
                f"Write '{AGENT_DB_URL}' or '{GLOBAL_DB_URL}' in single quotes, or use --database. "
                "The server finds the sealed URI itself. If a real URL stood there, change its password now.",
            )
        return _BY_REFERENCE[reference]
    if (word or "both") not in _BY_WORD:
        raise Invalid("bad_argument", "--database is one of agent, global and both.")
    return _BY_WORD[word or "both"]
