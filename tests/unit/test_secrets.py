"""A connection URI cannot be printed, by any of the ways values usually leak."""

import copy
import dataclasses
import json
import logging
import pickle
import traceback

import pytest

from agentdb_mcp.core.secrets import MASK, ConnectionUri

SECRET = "postgresql://agent:hunter2@db.example/app"


@dataclasses.dataclass(frozen=True, slots=True)
class Holder:
    uri: ConnectionUri


@pytest.mark.parametrize(
    "shown",
    [
        repr(ConnectionUri(SECRET)),
        str(ConnectionUri(SECRET)),
        f"{ConnectionUri(SECRET)}",
        f"{ConnectionUri(SECRET)!r:>50}",
        f"{ConnectionUri(SECRET):>50}",
        f"{Holder(ConnectionUri(SECRET))}",
        "%s %r" % (ConnectionUri(SECRET), [ConnectionUri(SECRET)]),  # noqa: UP031
        str({"uri": ConnectionUri(SECRET)}),
        str(dataclasses.asdict(Holder(ConnectionUri(SECRET)))),
    ],
)
def test_no_way_of_printing_shows_it(shown: str) -> None:
    assert "hunter2" not in shown
    assert MASK in shown


def test_a_log_line_does_not_show_it(caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("canary").warning("connecting to %s", ConnectionUri(SECRET))
    assert "hunter2" not in caplog.text


def test_a_traceback_does_not_show_it() -> None:
    with pytest.raises(KeyError) as raised:
        {}[ConnectionUri(SECRET)]
    assert "hunter2" not in "".join(traceback.format_exception(raised.value))


def test_it_is_not_pickled_nor_serialised_nor_listed() -> None:
    uri = ConnectionUri(SECRET)
    with pytest.raises(TypeError):
        pickle.dumps(uri)
    with pytest.raises(TypeError):
        json.dumps(uri)
    with pytest.raises(TypeError):
        vars(uri)


def test_it_does_not_change() -> None:
    with pytest.raises(AttributeError):
        ConnectionUri(SECRET).other = "x"  # pyright: ignore[reportAttributeAccessIssue]


def test_equal_secrets_are_equal_and_copies_are_the_same() -> None:
    uri = ConnectionUri(SECRET)
    assert uri == ConnectionUri(SECRET)
    assert uri != ConnectionUri(SECRET + "x")
    assert len({uri, ConnectionUri(SECRET)}) == 1
    assert copy.copy(uri) is copy.deepcopy(uri) is uri


def test_only_reveal_gives_it() -> None:
    assert ConnectionUri(SECRET).reveal() == SECRET
