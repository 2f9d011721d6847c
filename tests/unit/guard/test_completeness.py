"""Nothing of the grammar is passed over: what the analysis does not know is refused."""

import json
from pathlib import Path

import pgparse
import pytest

from agentdb_mcp.core.guard import grammar, statements, walk
from agentdb_mcp.core.guard.naming import FROM_ITEMS, NAMES

CORPUS = Path(__file__).parents[2] / "security" / "corpus"


def _statements() -> list[str]:
    lines = (CORPUS / "friendly.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["sql"] for line in lines]


def _tags(node, found):
    if isinstance(node, list):
        for item in node:
            _tags(item, found)
    elif isinstance(node, dict):
        for key, value in node.items():
            found.add(key)
            _tags(value, found)


def test_every_statement_of_the_grammar_has_a_command_and_a_class():
    nodes = [tag for tag in grammar.node_types() if statements.is_statement(tag)]
    nameless = [tag for tag in nodes if tag not in statements.STATEMENT_NODES]
    assert len(nodes) == 112
    assert nameless == []


def test_a_kind_of_object_that_is_not_known_makes_no_command():
    assert statements.command("DropStmt", {"removeType": "OBJECT_OF_THE_FUTURE"}) is None
    assert statements.command("RenameStmt", {"renameType": "OBJECT_OF_THE_FUTURE"}) is None
    assert statements.command("CreateTableAsStmt", {"objtype": "OBJECT_OF_THE_FUTURE"}) is None


def test_every_kind_of_object_of_the_library_is_known_or_refused():
    library = Path(str(pgparse.__file__)).read_bytes()
    kinds = {part.decode() for part in library.split(b"\0") if part.startswith(b"OBJECT_") and part.isascii()}
    known = statements.OBJECTS.keys() | statements.SERVER_OBJECTS.keys()
    refused = {"OBJECT_AMOP", "OBJECT_AMPROC", "OBJECT_DEFACL", "OBJECT_DEFAULT", "OBJECT_PUBLICATION_NAMESPACE",
               "OBJECT_PUBLICATION_REL"}  # fmt: skip
    assert kinds - known - refused == set()


@pytest.fixture(scope="module")
def used() -> dict[str, str]:
    """Node type -> a friendly statement that holds it."""
    found: dict[str, str] = {}
    for sql in _statements():
        tags: set[str] = set()
        _tags(pgparse.parse(sql), tags)
        for tag in tags & grammar.node_types().keys():
            found.setdefault(tag, sql)
    return found


def test_the_friendly_corpus_uses_every_node_type_that_a_policy_allows(used, agent):
    allowed = {
        tag
        for tag in grammar.node_types()
        if not tag.endswith("Stmt") or agent.allows(statements.NAMED.get(tag, ("", None))[0])
    }
    structures = {form for fields in grammar.node_types().values() for form in fields.values()}
    elsewhere = {"AccessPriv", "CreateOpClassItem", "PublicationObjSpec", "PublicationTable", "CurrentOfExpr"}
    assert allowed - used.keys() - structures - walk.LEAVES - elsewhere == set()


def test_a_node_type_that_the_table_lacks_is_refused_wherever_it_stands(used, guard, agent, monkeypatch):
    plans = walk.plans()
    passed = []
    for tag, sql in used.items():
        if tag in walk.LEAVES or tag == "RawStmt":
            continue
        without = {name: plan for name, plan in plans.items() if name != tag}
        monkeypatch.setattr(walk, "plans", lambda without=without: without)
        if guard.inspect(sql + " ", agent).rule != "statement.unknown":
            passed.append((tag, sql))
        guard = type(guard)()
    assert passed == []


def test_a_field_that_the_table_lacks_is_refused(guard, agent, monkeypatch):
    plans = dict(walk.plans())
    plans["SelectStmt"] = plans["SelectStmt"]._replace(plain=plans["SelectStmt"].plain - {"limitOption"})
    monkeypatch.setattr(walk, "plans", lambda: plans)
    verdict = guard.inspect("SELECT 1", agent)
    assert (verdict.rule, verdict.found) == ("statement.unknown", "SelectStmt.limitOption")


HARMLESS_TEXT = {
    "an alias or a column": """Alias.aliasname Alias.colnames ResTarget.name ColumnDef.colname IndexElem.name
        IndexElem.indexcolname PartitionElem.name StatsElem.name CTESearchClause.search_seq_column
        CTECycleClause.cycle_mark_column CTECycleClause.cycle_path_column RangeTableFuncCol.colname
        JsonFuncExpr.column_name JsonTablePathSpec.name JsonTableColumn.name XmlExpr.name NamedArgExpr.name
        JsonArgument.name FunctionParameter.name CommonTableExpr.ctename WindowDef.name WindowDef.refname
        CurrentOfExpr.cursor_name TriggerTransition.name""",
    "the name of a thing made in the schema of a relation that is checked": """InferClause.conname
        Constraint.conname Constraint.indexname CreatePolicyStmt.policy_name AlterPolicyStmt.policy_name
        CreateTrigStmt.trigname IndexStmt.idxname RuleStmt.rulename ClusterStmt.indexname AlterDomainStmt.name
        ReplicaIdentityStmt.name""",
    "a method of storage: there is no code in it that a role could bring": """IntoClause.accessMethod
        CreateStmt.accessMethod IndexStmt.accessMethod Constraint.access_method ColumnDef.compression
        ColumnDef.storage_name""",
    "data": """CommentStmt.comment IndexStmt.idxcomment CreateStatsStmt.stxcomment AlterEnumStmt.oldVal
        AlterEnumStmt.newVal AlterEnumStmt.newValNeighbor CreatePolicyStmt.cmd_name DefElem.defnamespace
        DefElem.defname Constraint.cooked_expr""",
    "read by a handler": """RangeVar.catalogname RangeVar.schemaname RangeVar.relname AlterTableCmd.name
        RenameStmt.subname RenameStmt.newname ReindexStmt.name VariableSetStmt.name""",
}
HARMLESS = {entry for entries in HARMLESS_TEXT.values() for entry in entries.split()}


def test_what_is_declared_harmless_is_in_the_grammar_and_not_a_name():
    known = {f"{tag}.{field}" for tag, fields in grammar.node_types().items() for field in fields}
    names = {f"{tag}.{field}" for tag, field in NAMES}
    assert HARMLESS - known == set()
    assert HARMLESS & names == set()


_WORDS = """
    A_Indirection.indirection AccessPriv.cols Alias.colnames AlterObjectSchemaStmt.object
    AlterOwnerStmt.object AlterTSConfigurationStmt.dicts AlterTSConfigurationStmt.tokentype
    AlterTableCmd.def CTECycleClause.cycle_col_list CTESearchClause.search_col_list ColumnRef.fields
    CommentStmt.object CommonTableExpr.aliascolnames Constraint.exclusions Constraint.fk_attrs
    Constraint.fk_del_set_cols Constraint.including Constraint.keys Constraint.pk_attrs
    CreateEnumStmt.vals CreateStatsStmt.stat_types CreateTrigStmt.args CreateTrigStmt.columns
    DefElem.arg DropStmt.objects FuncCall.funcname IntoClause.colNames JoinExpr.usingClause
    List.items ObjectWithArgs.objname RenameStmt.object ResTarget.indirection VacuumRelation.va_cols
    ViewStmt.aliases
"""
LISTS_OF_WORDS = frozenset(_WORDS.split())
"""Fields that hold bare words in statements that a policy allows, and that are columns, options, or a handler's."""


def test_words_stand_only_where_they_are_known_to(agent):
    strange = set()
    for sql in _statements():
        for raw in pgparse.parse(sql):
            _words(raw["stmt"], strange)
    assert strange - LISTS_OF_WORDS == set()


def _words(tagged, strange):
    for tag, body in tagged.items():
        fields = grammar.node_types()[tag]
        for field, value in body.items() if isinstance(body, dict) else ():
            form = fields.get(field, "")
            if (tag, field) in NAMES or (tag, field) in FROM_ITEMS or form == grammar.PLAIN:
                continue
            items = value if form == grammar.LIST else [value]
            for item in items if form in {grammar.LIST, grammar.NODE} else [{form: value}]:
                if "String" in item:
                    strange.add(f"{tag}.{field}")
                _words(item, strange)
