"""One JSON object a line on stderr, without secrets, without frames' local values, without agents' SQL."""

import logging
import re
import sys
from typing import Any, Final

import structlog

_URI: Final = re.compile(r"\b(postgres(?:ql)?|https?)://[^\s'\"]*@[^\s'\"]*", re.IGNORECASE)
_KEY: Final = re.compile(r"\b[0-9A-Fa-f]{64}\b")


def redact(_: Any, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """The last net: no log line of ours holds a URI or a key, and should one of a library's, it is masked."""
    return {name: _masked(value) for name, value in event.items()}


def _masked(value: Any) -> Any:
    match value:
        case str():
            return _KEY.sub("***", _URI.sub(r"\1://***", value))
        case dict():
            return {name: _masked(inner) for name, inner in value.items()}
        case list() | tuple():
            return [_masked(inner) for inner in value]
        case _:
            return value


def configure(level: str) -> None:
    """Sends every log line of this process, libraries' included, to stderr as JSON."""
    tracebacks = structlog.processors.ExceptionRenderer(
        structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
    )
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            tracebacks,
            redact,
            structlog.processors.JSONRenderer(),
        ],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    # sqlglot repeats statements in its warnings; what an agent wrote is not ours to log.
    logging.getLogger("sqlglot").setLevel(logging.CRITICAL)
