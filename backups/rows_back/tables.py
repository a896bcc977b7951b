"""What of a CREATE TABLE a script needs to know: columns, keys, references to other tables. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from backups.differences.shapes import shape_of
from backups.dumpfile.quoted import NAME_BYTES, unquoted
from backups.dumpfile.table_text import COLUMN, KEY, Body, body_of, is_generated, outside_quotes
from backups.text.sentences import phrase


class Of(Enum):
    """How the values of a column are written and compared."""

    NUMBER = "number"
    FLOAT = "float"
    TEXT = "text"
    BYTES = "bytes"
    BITS = "bits"
    # Bytes that only their digits in HEX() are compared of: GEOMETRY, VECTOR.
    SHAPE = "shape"


@dataclass(frozen=True)
class Column:
    """A column. Its name is UTF-8, without backticks.

    `keeps_time` says that any UPDATE of a row sets it, unless that names it; `is_exact` that its collation
    takes only the same letters for equal.
    """

    name: bytes
    word: bytes
    of: Of
    may_be_null: bool = True
    is_generated: bool = False
    keeps_time: bool = False
    is_exact: bool = False


@dataclass(frozen=True)
class Unique:
    """A key of which no two rows have the same: its columns, and how much of each counts (0: all of it)."""

    columns: Sequence[bytes]
    lengths: Sequence[int]


@dataclass(frozen=True)
class Reference:
    """A foreign key. `database` is empty where the parent lies in the same one.

    `on_delete` and `on_update` are as the definition has them, in capitals; empty where it says nothing.
    """

    columns: Sequence[bytes]
    database: str
    parent: str
    parent_columns: Sequence[bytes]
    on_delete: str = ""
    on_update: str = ""


@dataclass(frozen=True)
class Table:
    """A table as it is now. Names of columns are UTF-8, without backticks.

    `keys` tell its rows apart and hold no NULL, the primary one first. `retyped` are columns of which values
    were written otherwise then, `came` those that were not there yet.
    """

    name: str
    columns: Mapping[bytes, Column]
    keys: Sequence[Sequence[bytes]]
    uniques: Sequence[Unique]
    references: Sequence[Reference]
    engine: str
    is_versioned: bool = False
    retyped: frozenset[bytes] = frozenset()
    came: frozenset[bytes] = frozenset()


_NUMBERS = frozenset(b"tinyint smallint mediumint int bigint decimal numeric".split())
_FLOATS = frozenset(b"float double real".split())
_BYTES = frozenset(b"binary varbinary tinyblob blob mediumblob longblob".split())
_SHAPES = frozenset(
    b"geometry point linestring polygon multipoint multilinestring multipolygon geometrycollection "
    b"geomcollection vector".split()
)
# Whose values are words of the server's, which it writes in one way only.
_PLAIN = frozenset(b"date datetime timestamp time year uuid inet4 inet6".split())
_PART = re.compile(rb"(" + NAME_BYTES + rb")(?:\((\d+)\))?", re.S)
_NAMES = re.compile(NAME_BYTES, re.S)
_LIST = NAME_BYTES + rb"(?:, ?" + NAME_BYTES + rb"|)*+"
_REFERENCE = re.compile(
    rb"  CONSTRAINT " + NAME_BYTES + rb" FOREIGN KEY \((?P<columns>" + _LIST + rb")\) REFERENCES "
    rb"(?:(?P<database>" + NAME_BYTES + rb")\.)?(?P<parent>" + NAME_BYTES + rb") "
    rb"\((?P<parents>" + _LIST + rb")\)(?P<rules>[^`]*)",
    re.S,
)
_RULE = re.compile(rb"ON (DELETE|UPDATE) (CASCADE|SET NULL|SET DEFAULT|NO ACTION|RESTRICT)")
_ENGINE = re.compile(rb" ENGINE ?= ?(\w+)")
_COLLATION = re.compile(rb" COLLATE[= ](\w+)")
_CHARSET = re.compile(rb" (?:CHARACTER SET|CHARSET=)")


def table_of(name: str, now: bytes, then: bytes = b"") -> Table | None:
    """A table by its CREATE TABLE as a dump has it, now and then; None where there is none."""
    body, shape = body_of(now), shape_of(now, {})
    if body is None or shape is None:
        return None
    options = outside_quotes(body.options)
    columns = _columns(body, options)
    before = shape_of(then, {}) if then else None
    retyped, came = set(), set()
    if before is not None:
        retyped = {
            _bare(each) for each, kind in shape.columns.items() if before.columns.get(each, kind) != kind
        }
        came = {_bare(each) for each in shape.columns if each not in before.columns}
    engine = _ENGINE.search(options)
    return Table(
        name=name,
        columns=columns,
        keys=[[_bare(each) for each in key] for key in shape.keys],
        uniques=_uniques(body),
        references=_references(body),
        engine=engine[1].decode() if engine else "",
        is_versioned=b"WITH SYSTEM VERSIONING" in options,
        retyped=frozenset(retyped),
        came=frozenset(came),
    )


def why_not(table: Table) -> str:
    """Why no script gives rows of a table back, as a sentence; empty where one can."""
    if table.engine.upper() != "INNODB":
        return phrase(
            "The engine of the table {table} is {engine}, which has no transactions: a script that stops "
            "would leave half of it.",
            table=table.name,
            engine=table.engine or "?",
        )
    if table.is_versioned:
        return phrase(
            "The table {table} keeps its own history (WITH SYSTEM VERSIONING), which a script cannot give "
            "back.",
            table=table.name,
        )
    return ""


def _columns(body: Body, options: bytes) -> dict[bytes, Column]:
    collation = _COLLATION.search(options)
    of_table = collation[1] if collation else b""
    columns = {}
    for line in body.lines:
        found = COLUMN.match(line)
        if found is None:
            continue
        plain, word = outside_quotes(line), found["word"].lower()
        own = _COLLATION.search(plain)
        # Of a character set of its own, not that of the table counts, and its name is not known here.
        decides = own[1] if own else b"" if _CHARSET.search(plain) else of_table
        name = _bare(found["name"])
        columns[name] = Column(
            name=name,
            word=word,
            of=_of(word),
            may_be_null=b" NOT NULL" not in plain,
            is_generated=is_generated(line),
            keeps_time=b" ON UPDATE " in plain,
            is_exact=word in _PLAIN or decides.endswith((b"_bin", b"_cs")),
        )
    return columns


def _of(word: bytes) -> Of:
    if word in _NUMBERS:
        return Of.NUMBER
    if word in _FLOATS:
        return Of.FLOAT
    if word in _BYTES:
        return Of.BYTES
    if word in _SHAPES:
        return Of.SHAPE
    return Of.BITS if word == b"bit" else Of.TEXT


def _uniques(body: Body) -> list[Unique]:
    found = []
    for line in body.lines:
        if COLUMN.match(line) is None and (key := KEY.match(line)):
            parts = [(_bare(part[1]), int(part[2] or 0)) for part in _PART.finditer(key["parts"])]
            found.append(Unique([name for name, _ in parts], [length for _, length in parts]))
    return found


def _references(body: Body) -> list[Reference]:
    found = []
    for line in body.lines:
        if reference := _REFERENCE.match(line):
            rules = dict(_RULE.findall(reference["rules"]))
            found.append(
                Reference(
                    columns=_all(reference["columns"]),
                    database=unquoted(reference["database"] or b""),
                    parent=unquoted(reference["parent"]),
                    parent_columns=_all(reference["parents"]),
                    on_delete=rules.get(b"DELETE", b"").decode(),
                    on_update=rules.get(b"UPDATE", b"").decode(),
                )
            )
    return found


def _all(names: bytes) -> list[bytes]:
    return [_bare(name) for name in _NAMES.findall(names)]


def _bare(name: bytes) -> bytes:
    return unquoted(name).encode(errors="surrogateescape")
