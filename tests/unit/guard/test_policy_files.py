"""Policies are files: complete, checked, and complained of by line."""

import re
from dataclasses import replace

import pytest

from agentdb_mcp import assets
from agentdb_mcp.core.errors import Misconfigured
from agentdb_mcp.core.guard import Policy, load_policies
from agentdb_mcp.core.guard.classes import TOOLS

AGENT = (assets.folder("policies") / "agent.toml").read_text(encoding="utf-8")


@pytest.fixture
def write(tmp_path):
    def written(text: str, name: str = "agent"):
        path = tmp_path / f"{name}.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return written


def _line(text: str, needle: str) -> int:
    return text[: text.index(needle)].count("\n") + 1


def test_the_shipped_policies_are_these(policies):
    assert set(policies) == {"agent", "global", "readonly", "strict"}


def test_a_policy_says_what_each_tool_takes(policies):
    assert policies["readonly"].commands["query"] == {"SELECT", "EXPLAIN", "SHOW"}
    assert not policies["readonly"].serves("execute")
    assert "CREATE TABLE" in policies["agent"].commands["execute_ddl"]
    assert "TRUNCATE" not in policies["global"].commands["execute"]


def test_what_extends_a_policy_is_no_wider_than_it(policies):
    agent = policies["agent"]
    for name in ("global", "readonly", "strict"):
        policy = policies[name]
        assert all(policy.commands[tool] <= agent.commands[tool] for tool in TOOLS)
        assert policy.features <= agent.features
        assert policy.functions.families == agent.functions.families
        assert replace(policy.limits, max_plan_cost=agent.limits.max_plan_cost) == agent.limits
        assert agent.limits.max_plan_cost is None
        assert policy.catalogs.names <= agent.catalogs.names
        assert policy.extensions.names <= agent.extensions.names


BROKEN = [
    ("max_bytes = 100_000", "max_byte = 100_000", "max_byte", "there is no key 'max_byte' in [limits]"),
    ("[limits]", "[limit]", "[limit]", "there is no table [limit]"),
    ("version = 1", "version = '1'", "version = '1'", "'version' must be whole number"),
    ("version = 1", "version = true", "version = true", "'version' must be whole number"),
    ("max_depth = 64", "max_depth = 0", "max_depth = 0", "'max_depth' must be whole number"),
    ("cascade = true", "cascade = 1", "cascade = 1", "'cascade' must be true or false"),
    (
        'languages = ["sql", "plpgsql"]',
        'languages = "sql"',
        "languages =",
        "'languages' must be a list of texts",
    ),
    ('mode = "refuse"', 'mode = "maybe"', "mode =", "'mode' must be"),
    ("grammar = 17", "grammar = 18", "grammar = 18", "reads PostgreSQL 17's grammar"),
    ('query = ["SELECT"', 'query = ["COMMIT"', "query =", "'COMMIT' is not a command that query can take"),
    ('query = ["SELECT"', 'query = ["DELETE"', "query =", "'DELETE' is not a command that query can take"),
    ('query = ["SELECT"', 'query = ["SELCT"', "query =", "'SELCT' is not a command that query can take"),
    (
        '    "TABLE", "INDEX", "VIEW"',
        '    "DATABASE", "INDEX", "VIEW"',
        "create =",
        "'DATABASE' is not a kind",
    ),
    ('name = "agent"', 'name = "other"', "name =", "the name must be the file's"),
    ("version = 1\n", "version = 1\nowner = 'x'\n", "owner =", "there is no key 'owner' in the head"),
    ("why = ", "wy = ", "wy =", "the keys family, names and why"),
]


@pytest.mark.parametrize(("old", "new", "where", "complaint"), BROKEN)
def test_a_mistake_is_complained_of_with_its_line(write, old, new, where, complaint):
    text = AGENT.replace(old, new, 1)
    assert text != AGENT
    with pytest.raises(Misconfigured, match=re.escape(complaint)) as caught:
        Policy.load(write(text))
    assert caught.value.code == "policy_invalid"
    named = int(caught.value.message.split(":")[1])
    assert named == _line(text, where) or "families" in complaint or "the keys family" in complaint


@pytest.mark.parametrize("key", ["max_bytes", 'allow = ["*"]', "show = [", "enabled = true"])
def test_a_missing_key_is_complained_of(write, key):
    text = (
        AGENT.replace(key, f"# {key}", 1)
        if "[" not in key
        else re.sub(re.escape(key) + r"[^\]]*\]?", "", AGENT, count=1)
    )
    with pytest.raises(Misconfigured):
        Policy.load(write(text))


def test_broken_toml_is_complained_of_with_its_line(write):
    with pytest.raises(Misconfigured, match=r"agent\.toml: .*line 3"):
        Policy.load(write('name = "agent"\nversion = 1\ngrammar = = 17\n'))


def test_a_file_that_is_not_there_is_complained_of(tmp_path):
    with pytest.raises(Misconfigured, match="cannot be read"):
        Policy.load(tmp_path / "none.toml")


def test_a_file_that_is_not_text_is_complained_of(tmp_path):
    (tmp_path / "agent.toml").write_bytes(b"\xff\xfe\0")
    with pytest.raises(Misconfigured, match="cannot be read"):
        Policy.load(tmp_path / "agent.toml")


def test_policies_can_extend_one_another_but_not_in_circles(write):
    write(AGENT)
    child = write(
        'name = "mine"\nextends = "agent"\nversion = 2\ngrammar = 17\n[features]\ncascade = false\n', "mine"
    )
    policy = Policy.load(child)
    assert (policy.name, policy.version) == ("mine", 2)
    assert "cascade" not in policy.features
    assert "update_all" in policy.features
    write('name = "a"\nextends = "b"\nversion = 1\ngrammar = 17\n', "a")
    circle = write('name = "b"\nextends = "a"\nversion = 1\ngrammar = 17\n', "b")
    with pytest.raises(Misconfigured, match="not a policy that this one can extend"):
        Policy.load(circle)
    outside = write('name = "c"\nextends = "../agent"\nversion = 1\ngrammar = 17\n', "c")
    with pytest.raises(Misconfigured, match="not a policy that this one can extend"):
        Policy.load(outside)


def test_the_digest_follows_the_content_and_not_the_comments(write):
    first = Policy.load(write(AGENT)).digest
    assert Policy.load(write("# a comment\n" + AGENT)).digest == first
    assert Policy.load(write(AGENT.replace("cascade = true", "cascade = false"))).digest != first


def test_a_change_of_the_parent_changes_the_child(tmp_path, write):
    child = 'name = "mine"\nextends = "agent"\nversion = 1\ngrammar = 17\n'
    write(AGENT)
    first = Policy.load(write(child, "mine")).digest
    write(AGENT.replace("max_rows", "max_rows").replace("temporary = false", "temporary = true"))
    assert load_policies(tmp_path)["mine"].digest != first
