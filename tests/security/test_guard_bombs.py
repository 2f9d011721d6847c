"""Texts made to exhaust a parser: each gets its verdict within bounds of processor time and memory."""

import json
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from agentdb_mcp import assets

SIZE = 100_000
CPU_SECONDS = 60
"""For all bombs together, on a slow and busy machine: one that explodes takes hours."""
MEMORY = 50_000_000


def repeated(before: str, unit: str, after: str = "", times: int | None = None) -> str:
    room = SIZE - len(before) - len(after)
    return before + unit * (room // len(unit) if times is None else times) + after


def nested(before: str, left: str, middle: str, right: str, times: int | None = None) -> str:
    room = SIZE - len(before) - len(middle)
    times = room // (len(left) + len(right)) if times is None else times
    return before + left * times + middle + right * times


BOMBS = {
    "a sum": repeated("SELECT 1", "+1"),
    "a concatenation": repeated("SELECT 'a'", "||'a'"),
    "negations": repeated("SELECT ", "NOT ", "true"),
    "signs": repeated("SELECT ", "- ", "1"),
    "a long operator": repeated("SELECT 1 ", "+", " 1"),
    "casts": repeated("SELECT 1", "::int"),
    "subscripts": repeated("SELECT a", "[1]"),
    "some subscripts": repeated("SELECT a", "[1]", times=300),
    "fields": repeated("SELECT (a)", ".b"),
    "a union": repeated("SELECT 1", " UNION SELECT 1"),
    "joins": repeated("SELECT * FROM t", " JOIN t ON a=b"),
    "cross joins": repeated("SELECT * FROM t", ",t"),
    "columns": repeated("SELECT a", ",a"),
    "an order": repeated("SELECT 1 ORDER BY a", ",a"),
    "calls": repeated("SELECT f()", ",f()"),
    "an IN list": repeated("SELECT 1 WHERE a IN (1", ",1", ")"),
    "rows": repeated("INSERT INTO t VALUES (1)", ",(1)"),
    "WITH queries": repeated("WITH a AS (SELECT 1)", ",a AS (SELECT 1)", " SELECT 1"),
    "chained WITH queries": "WITH a0 AS (SELECT 1)"
    + "".join(f",a{n} AS (SELECT * FROM a{n - 1})" for n in range(1, 650))
    + " SELECT 1",
    "added columns": "ALTER TABLE t " + ",".join(f"ADD c{n} int" for n in range(1490)),
    "different calls": "SELECT " + ",".join(f"f{n}()" for n in range(1490)),
    "new columns": "CREATE TABLE t (" + ",".join(f"c{n} int" for n in range(1990)) + ")",
    "statements": repeated("", "SELECT 1;"),
    "semicolons": ";" * SIZE,
    "brackets": nested("SELECT ", "(", "1", ")"),
    "arrays": nested("SELECT ", "ARRAY[", "1", "]"),
    "thirty arrays": nested("SELECT ", "ARRAY[", "1", "]", 30),
    "date(": nested("SELECT ", "date(", "1", ")"),
    "sixty date(": nested("SELECT ", "date(", "1", ")", 60),
    "date( in a comment": "SELECT 1 /* /**/**/ , " + "date(" * 40 + "1" + ")" * 40 + "--*/",
    "ten date( many times": "SELECT " + ",".join([nested("", "date(", "1", ")", 10)] * 200),
    "struct(": nested("SELECT ", "struct(", "1", ")", 60),
    "types": nested("SELECT a::", "struct<", "int", ">", 2000),
    "CASE": nested("SELECT ", "CASE WHEN a THEN ", "1", " END"),
    "subqueries": nested("SELECT ", "(SELECT ", "1", ")"),
    "sixty subqueries": nested("SELECT ", "(SELECT ", "1", ")", 60),
    "nested comments": nested("SELECT 1 ", "/*", "", "*/"),
    "open comments": repeated("SELECT 1 ", "/*"),
    "line comments": repeated("SELECT 1", "--\n"),
    "quotes": "SELECT '" + "''" * 49_000 + "'",
    "open dollars": repeated("SELECT ", "$a$"),
    "dollar constants": repeated("SELECT 1", ",$a$b$a$"),
    "one name": "SELECT " + "a" * 99_000,
    "emoji": 'SELECT "' + "😀" * 20_000 + '"',
    "assignments": repeated("DO $$ DECLARE a int; BEGIN ", "a:=1;", " END $$"),
    "loops in a body": nested("DO $$ BEGIN ", "LOOP ", "NULL;", " END LOOP;") + " END $$",
    "blocks in a body": nested("DO $$ ", "BEGIN ", "NULL;", " END;") + "$$",
    "a sum in a body": repeated("DO $$ DECLARE a int; BEGIN a:=1", "+1", "; END $$"),
    "declarations": repeated("DO $$ DECLARE ", "b record:=1;", " BEGIN END $$"),
    "row variables": "DO $$ DECLARE "
    + "".join(f"v{n} t;" for n in range(1000))
    + " BEGIN "
    + "".join(f"v{n}.a:=1;" for n in range(1000))
    + " END $$",
    "unknown variables beside a long constant": "DO $$ DECLARE "
    + "".join(f"a{n} t;" for n in range(40))
    + f" s text := '{'x' * 90_000}'; BEGIN "
    + "".join(f"z{n}.x:=1;" for n in range(390))
    + " END $$",
    "sums in a body": "DO $$ BEGIN " + ("PERFORM " + "+".join("1" * 8) + ";") * 230 + " END $$",
    "declared variables": "DO $$ DECLARE "
    + "".join(f"a{n} t;" for n in range(600))
    + " BEGIN "
    + "".join(f"a{n}.x:=1;" for n in range(250))
    + " END $$",
    "an SQL body": repeated("CREATE FUNCTION f() RETURNS int LANGUAGE sql AS '", "SELECT 1;", "'"),
    "bodies in bodies": "DO $a$ BEGIN DO $b$ BEGIN DO $c$ BEGIN "
    + "PERFORM 1;" * 9000
    + " END $c$; END $b$; END $a$",
    "too much": "SELECT '" + "x" * 5_000_000 + "'",
}

RUN = """
import json, resource, sys
from pathlib import Path
from agentdb_mcp.core.guard import Guard, load_policies
policy = load_policies(Path(sys.argv[1]))["agent"]
guard = Guard()
guard.inspect("SELECT * FROM t", policy)
guard.inspect("DO $$ DECLARE r t; BEGIN r.a := 1; END $$", policy)
resource.setrlimit(resource.RLIMIT_CPU, (int(sys.argv[2]), int(sys.argv[2])))
bombs = json.load(sys.stdin)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
rules = {name: guard.inspect(sql, policy).rule for name, sql in bombs.items()}
grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
print(json.dumps({"rules": rules, "grown": grown}))
"""


@pytest.fixture(scope="module")
def outcome() -> dict:
    arguments = [sys.executable, "-c", RUN, str(assets.folder("policies")), str(CPU_SECONDS)]
    done = subprocess.run(arguments, input=json.dumps(BOMBS), capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"killed or crashed: {done.returncode} {done.stderr[-500:]}"
    return json.loads(done.stdout)


def test_every_bomb_is_answered_by_a_rule_of_size_or_passes(outcome):
    rules = set(outcome["rules"].values()) - {None}
    assert {rule.partition(".")[0] for rule in rules} <= {"text", "statement", "routine", "syntax"}
    assert "guard.internal" not in rules
    assert len(outcome["rules"]) == len(BOMBS)


def test_no_bomb_takes_much_memory(outcome):
    assert outcome["grown"] < MEMORY


def test_the_limits_leave_room_for_what_agents_send(guard_verdict):
    assert guard_verdict("INSERT INTO t VALUES " + ",".join(["(1, 'some text', now())"] * 590))
    assert guard_verdict("SELECT * FROM t WHERE id IN (" + ",".join(map(str, range(2900))) + ")")
    assert guard_verdict("INSERT INTO notes VALUES ('" + "a long text " * 8000 + "')")
    assert guard_verdict("SELECT " + " || ".join(["a"] * 90))


@pytest.fixture
def guard_verdict():
    from agentdb_mcp.core.guard import Guard, load_policies

    guard, policy = Guard(), load_policies(Path(assets.folder("policies")))["agent"]
    return lambda sql: guard.inspect(sql, policy).allowed


def test_the_smallest_stack_that_python_gives_a_thread_is_enough():
    """Threads get 1 MiB or more on macOS and musl; libpg_query recurses in C."""
    code = f"""
import threading
from pathlib import Path
from agentdb_mcp.core.guard import Guard, load_policies
policy = load_policies(Path({str(assets.folder("policies"))!r}))["agent"]
texts = ["SELECT 1" + "+1" * 2900, "SELECT " + "NOT " * 9900 + "true", "SELECT 1" + " UNION SELECT 1" * 1900]
rules = []
threading.stack_size(1 << 20)
thread = threading.Thread(target=lambda: rules.extend(Guard().inspect(text, policy).rule for text in texts))
thread.start()
thread.join()
assert rules == ["text.depth"] * 3, rules
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_measure_itself_works():
    """A limit that is not enforced here would prove nothing."""
    code = "import resource; resource.setrlimit(resource.RLIMIT_CPU, (1, 1))\nwhile True: pass"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode < 0
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss > 0
