"""One JSON object a line on stderr, without secrets, without frames' local values, without agents' SQL.

The standard library's logging with a formatter of our own: structlog would add a tenth of a second and
rich to the start of every server, for what are these few lines here.
"""

import json
import logging
import re
import sys
from datetime import UTC, datetime
from typing import Final

_URI: Final = re.compile(r"\b(postgres(?:ql)?|https?)://[^\s'\"]*@[^\s'\"]*", re.IGNORECASE)
_KEY: Final = re.compile(r"\b[0-9A-Fa-f]{64}\b")
_TOKEN: Final = re.compile(r"\b(adb_[0-9a-f]{16})_[A-Za-z0-9_-]+")


def masked(text: str) -> str:
    """The last net: no line of ours holds a URI, a key or a token; should a library's, it is masked."""
    return _TOKEN.sub(r"\1_***", _KEY.sub("***", _URI.sub(r"\1://***", text)))


class JsonLines(logging.Formatter):
    """Level, logger, time (UTC) and event; a traceback as Python prints it, which shows no values."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        line = {
            "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": masked(record.getMessage()),
        }
        if record.exc_info:
            line["exception"] = masked(self.formatException(record.exc_info))
        return json.dumps(line)


def configure(level: str) -> None:
    """Sends every log line of this process, libraries' included, to stderr as JSON."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    # sqlglot repeats statements in its warnings; what an agent wrote is not ours to log.
    logging.getLogger("sqlglot").setLevel(logging.CRITICAL)
    # The SDK and its event streams log whole messages, and sessions' names, below this level.
    for name in ("mcp", "sse_starlette"):
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLogger().level))
