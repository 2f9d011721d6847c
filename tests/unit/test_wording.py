"""Hints are for whoever reads them: an agent cannot set an environment variable."""

from agentdb_mcp.core.errors import Invalid, Misconfigured, Missing, Unavailable
from agentdb_mcp.entrypoints.mcp.render import failure
from agentdb_mcp.entrypoints.wording import as_told, in_words


def test_what_only_the_operator_can_mend_is_to_be_told_to_the_operator() -> None:
    unset = Misconfigured("encryption_key_missing", "No key is set.", "Set IT.")
    assert as_told(unset)["hint"] == "Tell whoever runs this server. Set IT."
    assert as_told(Misconfigured("settings_invalid", "No."))["hint"] == "Tell whoever runs this server."
    away = Unavailable("control_plane_unavailable", "It is away.", "Check AGENTDB_CONTROL_URL.")
    assert "AGENTDB" not in as_told(away)["hint"]
    assert "Tell whoever runs this server. Set IT." in failure(unset, None).text


def test_other_errors_are_told_as_they_are() -> None:
    error = Invalid("bad_argument", "It is wrong.", "Mend it.")
    assert as_told(error) == error.as_dict()


def test_where_there_is_room_for_one_text_it_holds_message_and_hint_and_nothing_unseen() -> None:
    error = Missing("table_not_found", "There is no such table.", "Did you mean a\U000e0101?")
    assert in_words(as_told(error)) == "There is no such table. Did you mean a\\udb40\\udd01?"
    assert in_words(as_told(Invalid("bad_argument", "It is wrong."))) == "It is wrong."
