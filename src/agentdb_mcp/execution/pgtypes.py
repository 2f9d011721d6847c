"""PostgreSQL's built-in types: their object ids never change, so no connection has to ask for them.

From `pg_type` (src/include/catalog/pg_type.dat in PostgreSQL 18); a test compares with a live catalog.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class PgType:
    """What a value's text form depends on."""

    name: str
    """As format_type says it."""
    element: int = 0
    """Object id of an array's elements, domains resolved; 0 when it is no array."""
    delimiter: str = ","
    """What stands between the elements of an array of this type (`;` for box)."""


JSON_OIDS: Final = frozenset({114, 3802})

# object id, object id of the array over it (0: none of its own), name
_TABLE: Final = """
16 1000 boolean
17 1001 bytea
18 1002 "char"
19 1003 name
20 1016 bigint
21 1005 smallint
22 1006 int2vector
23 1007 integer
24 1008 regproc
25 1009 text
26 1028 oid
27 1010 tid
28 1011 xid
29 1012 cid
30 1013 oidvector
71 210 pg_type
75 270 pg_attribute
81 272 pg_proc
83 273 pg_class
114 199 json
142 143 xml
194 0 pg_node_tree
600 1017 point
601 1018 lseg
602 1019 path
603 1020 box
604 1027 polygon
628 629 line
650 651 cidr
700 1021 real
701 1022 double precision
705 0 unknown
718 719 circle
774 775 macaddr8
790 791 money
829 1040 macaddr
869 1041 inet
1033 1034 aclitem
1042 1014 character
1043 1015 character varying
1082 1182 date
1083 1183 time without time zone
1114 1115 timestamp without time zone
1184 1185 timestamp with time zone
1186 1187 interval
1266 1270 time with time zone
1560 1561 bit
1562 1563 bit varying
1700 1231 numeric
1790 2201 refcursor
2202 2207 regprocedure
2203 2208 regoper
2204 2209 regoperator
2205 2210 regclass
2206 2211 regtype
2249 2287 record
2275 1263 cstring
2276 0 "any"
2277 0 anyarray
2278 0 void
2279 0 trigger
2280 0 language_handler
2281 0 internal
2283 0 anyelement
2776 0 anynonarray
2950 2951 uuid
2970 2949 txid_snapshot
3220 3221 pg_lsn
3361 0 pg_ndistinct
3402 0 pg_dependencies
3500 0 anyenum
3614 3643 tsvector
3615 3645 tsquery
3642 3644 gtsvector
3734 3735 regconfig
3769 3770 regdictionary
3802 3807 jsonb
3831 0 anyrange
3838 0 event_trigger
3904 3905 int4range
3906 3907 numrange
3908 3909 tsrange
3910 3911 tstzrange
3912 3913 daterange
3926 3927 int8range
4072 4073 jsonpath
4089 4090 regnamespace
4096 4097 regrole
4191 4192 regcollation
4451 6150 int4multirange
4532 6151 nummultirange
4533 6152 tsmultirange
4534 6153 tstzmultirange
4535 6155 datemultirange
4536 6157 int8multirange
4537 0 anymultirange
4600 0 pg_brin_bloom_summary
4601 0 pg_brin_minmax_multi_summary
5017 0 pg_mcv_list
5038 5039 pg_snapshot
5069 271 xid8
5077 0 anycompatible
5078 0 anycompatiblearray
5079 0 anycompatiblenonarray
5080 0 anycompatiblerange
"""

_BOX_OID: Final = 603


def _read(table: str) -> dict[int, PgType]:
    types: dict[int, PgType] = {}
    for line in table.split("\n")[1:-1]:
        oid, array_oid, name = line.split(" ", 2)
        types[int(oid)] = PgType(name)
        if array_oid != "0":
            delimiter = ";" if int(oid) == _BOX_OID else ","
            types[int(array_oid)] = PgType(f"{name}[]", int(oid), delimiter)
    return types


BUILTIN: Final = _read(_TABLE)

DESCRIBE_TYPES: Final = """
WITH RECURSIVE step AS (
    SELECT oid, typbasetype AS base FROM pg_catalog.pg_type WHERE typtype = 'd'
    UNION ALL
    SELECT s.oid, t.typbasetype FROM step s JOIN pg_catalog.pg_type t ON t.oid = s.base WHERE t.typtype = 'd'
), bare AS (
    SELECT s.oid, s.base FROM step s JOIN pg_catalog.pg_type t ON t.oid = s.base WHERE t.typtype <> 'd'
)
SELECT t.oid::text, pg_catalog.format_type(t.oid, NULL), COALESCE(eb.base, e.oid, 0)::text, b.typdelim::text
  FROM pg_catalog.pg_type t
  LEFT JOIN bare tb ON tb.oid = t.oid
  JOIN pg_catalog.pg_type b ON b.oid = COALESCE(tb.base, t.oid)
  LEFT JOIN pg_catalog.pg_type e ON e.oid = b.typelem AND b.typlen = -1 AND b.typcategory = 'A'
  LEFT JOIN bare eb ON eb.oid = e.oid
 WHERE t.oid = ANY ($1::pg_catalog.oid[])
"""
"""Asked of the server for other object ids ($1): id, name, element (domains resolved), delimiter."""
