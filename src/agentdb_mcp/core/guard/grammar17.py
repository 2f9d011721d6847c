"""The node types that PostgreSQL 17's grammar can put into a raw parse tree, with their fields.

Derived from libpg_query 17-6 (pgparse 1.0.3): `src/include/pg_query_outfuncs_defs.c` gives the fields that
its JSON writer emits, `src/postgres/src_backend_parser_gram.c` the types that the grammar makes. One line per
type; a field's mark says what stands in it: `*` a list of nodes, `?` a node, `=T` a structure of type T that
the JSON does not tag, none a plain value. `tests/unit/guard/test_grammar.py` holds this table against the
installed library. What is not in it is unknown, and refused.
"""

# ruff: noqa: E501

TABLE = """
Integer ival
Boolean boolval
Float fval
String sval
BitString bsval
List items*
A_Const isnull ival fval boolval sval bsval location
Alias aliasname colnames*
RangeVar catalogname schemaname relname inh relpersistence alias=Alias location
IntoClause rel=RangeVar colNames* accessMethod options* onCommit tableSpaceName viewQuery? skipData
GroupingFunc args* refs* agglevelsup location
MergeSupportFunc msftype msfcollid location
NamedArgExpr arg? name argnumber location
BoolExpr boolop args* location
SubLink subLinkType subLinkId testexpr? operName* subselect? location
CaseExpr casetype casecollid arg? args* defresult? location
CaseWhen expr? result? location
RowExpr args* row_typeid row_format colnames* location
CoalesceExpr coalescetype coalescecollid args* location
MinMaxExpr minmaxtype minmaxcollid inputcollid op args* location
SQLValueFunction op type typmod location
XmlExpr op name named_args* arg_names* args* xmloption indent type typmod location
JsonFormat format_type encoding location
JsonReturning format=JsonFormat typid typmod
JsonValueExpr raw_expr? formatted_expr? format=JsonFormat
JsonIsPredicate expr? format=JsonFormat item_type unique_keys location
JsonBehavior btype expr? coerce location
NullTest arg? nulltesttype argisrow location
BooleanTest arg? booltesttype location
SetToDefault typeId typeMod collation location
CurrentOfExpr cvarno cursor_name cursor_param
JoinExpr jointype isNatural larg? rarg? usingClause* join_using_alias=Alias quals? alias=Alias rtindex
TypeName names* typeOid setof pct_type typmods* typemod arrayBounds* location
ColumnRef fields* location
ParamRef number location
A_Expr kind name* lexpr? rexpr? location
TypeCast arg? typeName=TypeName location
CollateClause arg? collname* location
RoleSpec roletype rolename location
FuncCall funcname* args* agg_order* agg_filter? over=WindowDef agg_within_group agg_star agg_distinct func_variadic funcformat location
A_Star
A_Indices is_slice lidx? uidx?
A_Indirection arg? indirection*
A_ArrayExpr elements* location
ResTarget name indirection* val? location
MultiAssignRef source? colno ncolumns
SortBy node? sortby_dir sortby_nulls useOp* location
WindowDef name refname partitionClause* orderClause* frameOptions startOffset? endOffset? location
RangeSubselect lateral subquery? alias=Alias
RangeFunction lateral ordinality is_rowsfrom functions* alias=Alias coldeflist*
RangeTableFunc lateral docexpr? rowexpr? namespaces* columns* alias=Alias location
RangeTableFuncCol colname typeName=TypeName for_ordinality is_not_null colexpr? coldefexpr? location
RangeTableSample relation? method* args* repeatable? location
ColumnDef colname typeName=TypeName compression inhcount is_local is_not_null is_from_type storage storage_name raw_default? cooked_default? identity identitySequence=RangeVar generated collClause=CollateClause collOid constraints* fdwoptions* location
TableLikeClause relation=RangeVar options relationOid
IndexElem name expr? indexcolname collation* opclass* opclassopts* ordering nulls_ordering
DefElem defnamespace defname arg? defaction location
LockingClause lockedRels* strength waitPolicy
XmlSerialize xmloption expr? typeName=TypeName indent location
PartitionElem name expr? collation* opclass* location
PartitionSpec strategy partParams* location
PartitionBoundSpec strategy is_default modulus remainder listdatums* lowerdatums* upperdatums* location
PartitionCmd name=RangeVar bound=PartitionBoundSpec concurrent
GroupingSet kind content* location
WithClause ctes* recursive location
InferClause indexElems* whereClause? conname location
OnConflictClause action infer=InferClause targetList* whereClause? location
CTESearchClause search_col_list* search_breadth_first search_seq_column location
CTECycleClause cycle_col_list* cycle_mark_column cycle_mark_value? cycle_mark_default? cycle_path_column location cycle_mark_type cycle_mark_typmod cycle_mark_collation cycle_mark_neop
CommonTableExpr ctename aliascolnames* ctematerialized ctequery? search_clause=CTESearchClause cycle_clause=CTECycleClause location cterecursive cterefcount ctecolnames* ctecoltypes* ctecoltypmods* ctecolcollations*
MergeWhenClause matchKind commandType override condition? targetList* values*
TriggerTransition name isNew isTable
JsonOutput typeName=TypeName returning=JsonReturning
JsonArgument val=JsonValueExpr name
JsonFuncExpr op column_name context_item=JsonValueExpr pathspec? passing* output=JsonOutput on_empty=JsonBehavior on_error=JsonBehavior wrapper quotes location
JsonTablePathSpec string? name name_location location
JsonTable context_item=JsonValueExpr pathspec=JsonTablePathSpec passing* columns* on_error=JsonBehavior alias=Alias lateral location
JsonTableColumn coltype name typeName=TypeName pathspec=JsonTablePathSpec format=JsonFormat wrapper quotes columns* on_empty=JsonBehavior on_error=JsonBehavior location
JsonKeyValue key? value=JsonValueExpr
JsonParseExpr expr=JsonValueExpr output=JsonOutput unique_keys location
JsonScalarExpr expr? output=JsonOutput location
JsonSerializeExpr expr=JsonValueExpr output=JsonOutput location
JsonObjectConstructor exprs* output=JsonOutput absent_on_null unique location
JsonArrayConstructor exprs* output=JsonOutput absent_on_null location
JsonArrayQueryConstructor query? output=JsonOutput format=JsonFormat absent_on_null location
JsonAggConstructor output=JsonOutput agg_filter? agg_order* over=WindowDef location
JsonObjectAgg constructor=JsonAggConstructor arg=JsonKeyValue absent_on_null unique
JsonArrayAgg constructor=JsonAggConstructor arg=JsonValueExpr absent_on_null
RawStmt stmt? stmt_location stmt_len
InsertStmt relation=RangeVar cols* selectStmt? onConflictClause=OnConflictClause returningList* withClause=WithClause override
DeleteStmt relation=RangeVar usingClause* whereClause? returningList* withClause=WithClause
UpdateStmt relation=RangeVar targetList* whereClause? fromClause* returningList* withClause=WithClause
MergeStmt relation=RangeVar sourceRelation? joinCondition? mergeWhenClauses* returningList* withClause=WithClause
SelectStmt distinctClause* intoClause=IntoClause targetList* fromClause* whereClause? groupClause* groupDistinct havingClause? windowClause* valuesLists* sortClause* limitOffset? limitCount? limitOption lockingClause* withClause=WithClause op all larg=SelectStmt rarg=SelectStmt
ReturnStmt returnval?
PLAssignStmt name indirection* nnames val=SelectStmt location
CreateSchemaStmt schemaname authrole=RoleSpec schemaElts* if_not_exists
AlterTableStmt relation=RangeVar cmds* objtype missing_ok
ReplicaIdentityStmt identity_type name
AlterTableCmd subtype name num newowner=RoleSpec def? behavior missing_ok recurse
AlterCollationStmt collname*
AlterDomainStmt subtype typeName* name def? behavior missing_ok
GrantStmt is_grant targtype objtype objects* privileges* grantees* grant_option grantor=RoleSpec behavior
ObjectWithArgs objname* objargs* objfuncargs* args_unspecified
AccessPriv priv_name cols*
GrantRoleStmt granted_roles* grantee_roles* is_grant opt* grantor=RoleSpec behavior
AlterDefaultPrivilegesStmt options* action=GrantStmt
CopyStmt relation=RangeVar query? attlist* is_from is_program filename options* whereClause?
VariableSetStmt kind name args* is_local
VariableShowStmt name
CreateStmt relation=RangeVar tableElts* inhRelations* partbound=PartitionBoundSpec partspec=PartitionSpec ofTypename=TypeName constraints* options* oncommit tablespacename accessMethod if_not_exists
Constraint contype conname deferrable initdeferred skip_validation initially_valid is_no_inherit raw_expr? cooked_expr generated_when inhcount nulls_not_distinct keys* including* exclusions* options* indexname indexspace reset_default_tblspc access_method where_clause? pktable=RangeVar fk_attrs* pk_attrs* fk_matchtype fk_upd_action fk_del_action fk_del_set_cols* old_conpfeqop* old_pktable_oid location
CreateTableSpaceStmt tablespacename owner=RoleSpec location options*
DropTableSpaceStmt tablespacename missing_ok
AlterTableSpaceOptionsStmt tablespacename options* isReset
AlterTableMoveAllStmt orig_tablespacename objtype roles* new_tablespacename nowait
CreateExtensionStmt extname if_not_exists options*
AlterExtensionStmt extname options*
AlterExtensionContentsStmt extname action objtype object?
CreateFdwStmt fdwname func_options* options*
AlterFdwStmt fdwname func_options* options*
CreateForeignServerStmt servername servertype version fdwname if_not_exists options*
AlterForeignServerStmt servername version options* has_version
CreateForeignTableStmt base=CreateStmt servername options*
CreateUserMappingStmt user=RoleSpec servername if_not_exists options*
AlterUserMappingStmt user=RoleSpec servername options*
DropUserMappingStmt user=RoleSpec servername missing_ok
ImportForeignSchemaStmt server_name remote_schema local_schema list_type table_list* options*
CreatePolicyStmt policy_name table=RangeVar cmd_name permissive roles* qual? with_check?
AlterPolicyStmt policy_name table=RangeVar roles* qual? with_check?
CreateAmStmt amname handler_name* amtype
CreateTrigStmt replace isconstraint trigname relation=RangeVar funcname* args* row timing events columns* whenClause? transitionRels* deferrable initdeferred constrrel=RangeVar
CreateEventTrigStmt trigname eventname whenclause* funcname*
AlterEventTrigStmt trigname tgenabled
CreatePLangStmt replace plname plhandler* plinline* plvalidator* pltrusted
CreateRoleStmt stmt_type role options*
AlterRoleStmt role=RoleSpec options* action
AlterRoleSetStmt role=RoleSpec database setstmt=VariableSetStmt
DropRoleStmt roles* missing_ok
CreateSeqStmt sequence=RangeVar options* ownerId for_identity if_not_exists
AlterSeqStmt sequence=RangeVar options* for_identity missing_ok
DefineStmt kind oldstyle defnames* args* definition* if_not_exists replace
CreateDomainStmt domainname* typeName=TypeName collClause=CollateClause constraints*
CreateOpClassStmt opclassname* opfamilyname* amname datatype=TypeName items* isDefault
CreateOpClassItem itemtype name=ObjectWithArgs number order_family* class_args* storedtype=TypeName
CreateOpFamilyStmt opfamilyname* amname
AlterOpFamilyStmt opfamilyname* amname isDrop items*
DropStmt objects* removeType behavior missing_ok concurrent
TruncateStmt relations* restart_seqs behavior
CommentStmt objtype object? comment
SecLabelStmt objtype object? provider label
DeclareCursorStmt portalname options query?
ClosePortalStmt portalname
FetchStmt direction howMany portalname ismove
IndexStmt idxname relation=RangeVar accessMethod tableSpace indexParams* indexIncludingParams* options* whereClause? excludeOpNames* idxcomment indexOid oldNumber oldCreateSubid oldFirstRelfilelocatorSubid unique nulls_not_distinct primary isconstraint deferrable initdeferred transformed concurrent if_not_exists reset_default_tblspc
CreateStatsStmt defnames* stat_types* exprs* relations* stxcomment transformed if_not_exists
StatsElem name expr?
AlterStatsStmt defnames* stxstattarget? missing_ok
CreateFunctionStmt is_procedure replace funcname* parameters* returnType=TypeName options* sql_body?
FunctionParameter name argType=TypeName mode defexpr?
AlterFunctionStmt objtype func=ObjectWithArgs actions*
DoStmt args*
CallStmt funccall=FuncCall funcexpr=FuncExpr outargs*
RenameStmt renameType relationType relation=RangeVar object? subname newname behavior missing_ok
AlterObjectDependsStmt objectType relation=RangeVar object? extname=String remove
AlterObjectSchemaStmt objectType relation=RangeVar object? newschema missing_ok
AlterOwnerStmt objectType relation=RangeVar object? newowner=RoleSpec
AlterOperatorStmt opername=ObjectWithArgs options*
AlterTypeStmt typeName* options*
RuleStmt relation=RangeVar rulename whereClause? event instead actions* replace
NotifyStmt conditionname payload
ListenStmt conditionname
UnlistenStmt conditionname
TransactionStmt kind options* savepoint_name gid chain location
CompositeTypeStmt typevar=RangeVar coldeflist*
CreateEnumStmt typeName* vals*
CreateRangeStmt typeName* params*
AlterEnumStmt typeName* oldVal newVal newValNeighbor newValIsAfter skipIfNewValExists
ViewStmt view=RangeVar aliases* query? replace options* withCheckOption
LoadStmt filename
CreatedbStmt dbname options*
AlterDatabaseStmt dbname options*
AlterDatabaseRefreshCollStmt dbname
AlterDatabaseSetStmt dbname setstmt=VariableSetStmt
DropdbStmt dbname missing_ok options*
AlterSystemStmt setstmt=VariableSetStmt
ClusterStmt relation=RangeVar indexname params*
VacuumStmt options* rels* is_vacuumcmd
VacuumRelation relation=RangeVar oid va_cols*
ExplainStmt query? options*
CreateTableAsStmt query? into=IntoClause objtype is_select_into if_not_exists
RefreshMatViewStmt concurrent skipData relation=RangeVar
CheckPointStmt
DiscardStmt target
LockStmt relations* mode nowait
ConstraintsSetStmt constraints* deferred
ReindexStmt kind relation=RangeVar name params*
CreateConversionStmt conversion_name* for_encoding_name to_encoding_name func_name* def
CreateCastStmt sourcetype=TypeName targettype=TypeName func=ObjectWithArgs context inout
CreateTransformStmt replace type_name=TypeName lang fromsql=ObjectWithArgs tosql=ObjectWithArgs
PrepareStmt name argtypes* query?
ExecuteStmt name params*
DeallocateStmt name isall location
DropOwnedStmt roles* behavior
ReassignOwnedStmt roles* newrole=RoleSpec
AlterTSDictionaryStmt dictname* options*
AlterTSConfigurationStmt kind cfgname* tokentype* dicts* override replace missing_ok
PublicationTable relation=RangeVar whereClause? columns*
PublicationObjSpec pubobjtype name pubtable=PublicationTable location
CreatePublicationStmt pubname options* pubobjects* for_all_tables
AlterPublicationStmt pubname options* pubobjects* for_all_tables action
CreateSubscriptionStmt subname conninfo publication* options*
AlterSubscriptionStmt kind subname conninfo publication* options*
DropSubscriptionStmt subname missing_ok behavior
"""

NEVER_RAW = """
IntList OidList TableFunc Var Param Aggref WindowFunc WindowFuncRunCondition SubscriptingRef FuncExpr OpExpr
DistinctExpr NullIfExpr ScalarArrayOpExpr SubPlan AlternativeSubPlan FieldSelect FieldStore RelabelType
CoerceViaIO ArrayCoerceExpr ConvertRowtypeExpr CollateExpr CaseTestExpr ArrayExpr RowCompareExpr
JsonConstructorExpr JsonExpr JsonTablePath JsonTablePathScan JsonTableSiblingJoin MergeAction CoerceToDomain
CoerceToDomainValue NextValueExpr InferenceElem TargetEntry RangeTblRef FromExpr OnConflictExpr Query
PartitionRangeDatum SinglePartitionSpec RangeTblEntry RTEPermissionInfo RangeTblFunction TableSampleClause
WithCheckOption SortGroupClause WindowClause RowMarkClause SetOperationStmt InlineCodeBlock CallContext
"""
"""Types of analysed and planned trees: the library could write them, the grammar never makes them."""
