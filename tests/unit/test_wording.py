"""Hints are for whoever reads them: an agent cannot set an environment variable."""

from agentdb_mcp.core.errors import Invalid, Misconfigured, Unavailable
from agentdb_mcp.entrypoints.mcp.render import failure
from agentdb_mcp.entrypoints.wording import as_told


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
