"""Neon's JSON and our values: tolerant in, exact out."""

import uuid
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from agentdb_mcp.core.databases import DatabaseSpec, Kind
from agentdb_mcp.core.errors import Misconfigured, Missing
from agentdb_mcp.core.ids import DatabaseId
from agentdb_mcp.core.secrets import ApiKey
from agentdb_mcp.providers.neon import open_neon
from agentdb_mcp.providers.neon_defaults import NEON_PROJECT_DEFAULTS, in_region
from agentdb_mcp.providers.neon_fields import Fields
from agentdb_mcp.providers.neon_http import retry_after
from agentdb_mcp.providers.neon_names import ProjectNames
from agentdb_mcp.providers.neon_records import (
    SHUT,
    UNLIMITED,
    Endpoint,
    Operation,
    OperationStatus,
    Project,
    Quota,
)
from agentdb_mcp.providers.neon_refusals import Forbidden, Gone, loggable, refusal
from agentdb_mcp.providers.neon_usage import gb_months
from support.neon import UNRATIONED


@pytest.mark.parametrize("value", [None, 3, "text", [], {"id": None}, {"id": 7}, {"unheard_of": {"id": "x"}}])
def test_a_project_of_any_shape_is_read(value: object) -> None:
    project = Project.of(Fields.of(value))
    assert (project.id, project.name, project.created_at, project.stored_bytes) == ("", "", None, None)


def test_what_has_not_been_metered_is_not_told_as_nothing_used() -> None:
    fields = Fields.of({"compute_time_seconds": 0, "consumption_period_start": "0001-01-01T00:00:00Z"})
    assert Project.of(fields).consumption is None


def test_a_figure_that_neon_leaves_out_is_not_nought() -> None:
    fields = Fields.of({"compute_time_seconds": 7, "consumption_period_start": "2026-03-01T00:00:00Z"})
    metered = Project.of(fields).consumption
    assert metered is not None
    assert (metered.compute_time_seconds, metered.written_data_bytes, metered.period_end) == (7, None, None)


def test_times_are_aware_and_in_utc() -> None:
    fields = Fields.of(
        {"at": "2026-03-10T14:00:00+02:00", "naive": "2026-03-10T14:00:00", "odd": "yesterday"}
    )
    assert fields.time("at") == datetime(2026, 3, 10, 12, tzinfo=UTC)
    assert fields.time("naive") is None
    assert fields.time("odd") is None


def test_numbers_are_not_booleans_nor_texts() -> None:
    fields = Fields.of({"flag": True, "text": "7", "number": 7, "half": 0.5})
    assert [fields.integer(name) for name in ("flag", "text", "number", "half")] == [0, 0, 7, 0]
    assert [fields.number(name) for name in ("flag", "text", "number", "half")] == [0, 0, 7, 0.5]


def test_fields_do_not_print_what_they_hold() -> None:
    assert "hunter2" not in repr(Fields.of({"password": "hunter2"}))


@pytest.mark.parametrize(
    ("word", "ended", "failed"),
    [
        ("scheduling", False, False),
        ("running", False, False),
        ("cancelling", False, False),
        ("a word of next year", False, False),
        ("finished", True, False),
        ("skipped", True, False),
        ("failed", True, True),
        ("error", True, True),
        ("cancelled", True, True),
    ],
)
def test_an_operation_has_ended_or_not(word: str, ended: bool, failed: bool) -> None:
    operation = Operation.of(Fields.of({"id": "x", "status": word}))
    assert (operation.ended, operation.failed) == (ended, failed)


def test_an_unknown_status_is_kept_apart() -> None:
    assert Operation.of(Fields.of({})).status is OperationStatus.UNKNOWN


def test_a_quota_is_always_sent_whole() -> None:
    assert set(UNLIMITED.body()) == {
        "active_time_seconds",
        "compute_time_seconds",
        "written_data_bytes",
        "data_transfer_bytes",
        "logical_size_bytes",
    }
    assert Quota(1, 2, 3, 4, 5).body() == dict(zip(UNLIMITED.body(), (1, 2, 3, 4, 5), strict=True))


def test_the_quota_of_a_pause_holds_no_zero() -> None:
    assert all(value > 0 for value in SHUT.body().values())


def test_an_endpoint_says_whether_it_is_disabled() -> None:
    assert Endpoint.of(Fields.of({"disabled": True})).disabled
    assert not Endpoint.of(Fields.of({"disabled": "yes"})).disabled


def test_byte_hours_become_gigabyte_months() -> None:
    assert gb_months(2_000_000_000 * 744) == Decimal(2)
    assert round(gb_months(15_807_655_176), 4) == Decimal("0.0212")


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "Tue, 10 Mar 2026 12:00:09 GMT", "date": "Tue, 10 Mar 2026 12:00:00 GMT"}, 9.0),
        ({"retry-after": "Tue, 10 Mar 2026 12:00:00 GMT", "date": "Tue, 10 Mar 2026 12:00:09 GMT"}, 0.0),
        ({"retry-after": "Tue, 10 Mar 2026 12:00:09 GMT"}, None),
    ],
)
def test_retry_after_is_read_in_both_forms(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers) == seconds


@pytest.mark.parametrize(
    ("status", "code", "kind", "ours"),
    [
        (404, "", Gone, "database_not_found"),
        (401, "", Misconfigured, "settings_invalid"),
        (403, "", Forbidden, "settings_invalid"),
        (403, "PROJECTS_LIMIT_EXCEEDED", Misconfigured, "provider_limit_reached"),
        (422, "BRANCHES_LIMIT_EXCEEDED", Misconfigured, "provider_limit_reached"),
        (400, "", Misconfigured, "provider_refused"),
        (406, "SOMETHING_NEW", Misconfigured, "provider_refused"),
    ],
)
def test_a_refusal_is_sorted_by_who_can_act(status: int, code: str, kind: type[Exception], ours: str) -> None:
    error = refusal(status, code, "request-1", "/projects/old-leaf-1")
    assert isinstance(error, kind)
    assert isinstance(error, Misconfigured | Missing)
    assert error.code == ours


def test_a_listing_that_is_not_there_is_an_organization_that_neon_does_not_know() -> None:
    assert refusal(404, "", "request-1", "/projects").code == "settings_invalid"


def test_no_address_reaches_the_log() -> None:
    text = loggable("could not reach postgresql://neondb_owner:npg_secret@ep-x/neondb\nnor https://a.b")
    assert text == "could not reach [address] nor [address]"


def test_neon_without_a_key_is_refused_at_once() -> None:
    with pytest.raises(Misconfigured, match="NEON_API_KEY is not set") as caught:
        open_neon(None, UNRATIONED)
    assert caught.value.code == "settings_invalid"


def test_a_key_is_not_printed() -> None:
    assert "napi" not in f"{ApiKey('napi_secret')} {ApiKey('napi_secret')!r}"


def test_every_plan_sleeps_and_is_within_neons_bounds() -> None:
    assert set(NEON_PROJECT_DEFAULTS) == {"free", "pro", "team", "enterprise"}
    for plan in in_region("aws-eu-central-1", 18).values():
        body = plan.body("a name")
        assert (body["region_id"], body["pg_version"]) == ("aws-eu-central-1", 18)
        assert 0 <= plan.size.suspend_timeout_seconds <= 300
        assert 0.25 <= plan.size.min_cu <= plan.size.max_cu
        assert 0 <= plan.history_retention_seconds <= 2_592_000


@pytest.mark.parametrize("prefix", ["agentdb", "a.b", "agentdb-two"])
def test_a_projects_name_leads_back_to_its_database(prefix: str) -> None:
    names, spec = ProjectNames(prefix), DatabaseSpec(DatabaseId(str(uuid.uuid4())), Kind.GLOBAL)
    assert names.read(names.of(spec)) == (spec.id, False)
    assert names.read(names.marked(spec.id)) == (spec.id, True)


def test_names_of_others_are_not_ours() -> None:
    spec = DatabaseSpec(DatabaseId(str(uuid.uuid4())), Kind.AGENT)
    for name in (
        "",
        "agentdb",
        "agentdb-agent-",
        f"agentdb-other-{spec.id}",
        f"agentdb-agent-{spec.id}\n",
        f"agentdb-agent-{spec.id}-copy",
        f"my-agentdb-agent-{spec.id}",
        ProjectNames("agentdb-two").of(spec),
        ProjectNames("agentdb").of(spec).upper(),
    ):
        assert ProjectNames("agentdb").read(name) is None
