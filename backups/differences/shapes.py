"""What of a table's definition decides how its rows can be compared: its columns and keys. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from backups.dumpfile.quoted import DOUBLE_BYTES, NAME_BYTES, TEXT_BYTES, unquoted
from backups.loading.table_plan import comparable

_BEGINS = re.compile(rb"CREATE TABLE " + NAME_BYTES + rb" \(\n", re.S)
_LINE = re.compile(
    rb"  (?>(?:[^`'\"\n]|" + NAME_BYTES + rb"|" + TEXT_BYTES + rb"|" + DOUBLE_BYTES + rb")+)\n", re.S
)
COLUMN = re.compile(
    rb"  (?P<name>" + NAME_BYTES + rb") (?P<word>\w++)(?P<size>\((?:[^()'`]|" + TEXT_BYTES + rb"|)*+\))?"
    rb"(?P<more>(?: unsigned)?(?: zerofill)?)",
    re.S,
)
_PART = NAME_BYTES + rb"(?:\(\d+\))?(?: DESC)?"
# No expression, no period: what these say is no column's value.
KEY = re.compile(
    rb"  (?:(?P<primary>PRIMARY) KEY|UNIQUE KEY " + NAME_BYTES + rb")"
    rb" \((?P<parts>" + _PART + rb"(?:," + _PART + rb"|)*+)\)(?: USING (?:BTREE|HASH))?[,\n ]",
    re.S,
)
_NAMES = re.compile(NAME_BYTES, re.S)
_IN_QUOTES = re.compile(NAME_BYTES + rb"|" + TEXT_BYTES + rb"|" + DOUBLE_BYTES, re.S)
_GENERATED = re.compile(rb"\bAS \(|\bAS ROW (?:START|END)\b")
# Types of one family write the same value in the same letters.
_INTEGERS = frozenset({b"tinyint", b"smallint", b"mediumint", b"int", b"bigint"})
_TEXTS = frozenset({b"char", b"varchar", b"tinytext", b"text", b"mediumtext", b"longtext", b"enum", b"set"})
_BYTES = frozenset({b"varbinary", b"tinyblob", b"blob", b"mediumblob", b"longblob"})


@dataclass(frozen=True)
class Shape:
    """A table's columns, each with what it writes its values as, and the keys that tell its rows apart.

    Names are as the definition has them, in backticks. `keys` are of columns that hold no NULL, the primary
    one first; `digest` is the same whatever number comes next.
    """

    columns: Mapping[bytes, bytes]
    keys: Sequence[Sequence[bytes]]
    digest: str


@dataclass(frozen=True)
class Layout:
    """How the rows of a table are compared on both sides: by which columns, told apart by which of them.

    Without a `key` each row counts as a whole. `is_whole` says that both have the same columns, in the same
    order, `is_key_new` that the key is one of the later side alone: several rows of the earlier one may have
    the same. The others are names of columns that are not compared, since one side alone has them, or writes
    them otherwise.
    """

    columns: Sequence[bytes]
    key: Sequence[bytes]
    is_whole: bool
    came: Sequence[str] = ()
    gone: Sequence[str] = ()
    retyped: Sequence[str] = ()
    is_key_new: bool = False


class Body(NamedTuple):
    """A CREATE TABLE taken apart: where it begins, a line for each column and key, and its options."""

    begins: int
    lines: Sequence[bytes]
    options: bytes


def body_of(definition: bytes) -> Body | None:
    """A CREATE TABLE, which may stand among other statements, taken apart; None without one."""
    begins = _BEGINS.search(definition)
    if begins is None:
        return None
    lines, at = [], begins.end()
    while line := _LINE.match(definition, at):
        at = line.end()
        lines.append(line[0])
    return Body(begins.start(), lines, _statement(definition[at:]))


def outside_quotes(line: bytes) -> bytes:
    """A line without what stands in quotes: names, texts, comments."""
    return _IN_QUOTES.sub(b"", line)


def is_generated(line: bytes) -> bool:
    """Whether a column's line says that the server computes its values."""
    return _GENERATED.search(outside_quotes(line)) is not None


def shape_of(definition: bytes, collations: Mapping[str, str]) -> Shape | None:
    """The shape of a table by its CREATE TABLE, which may stand among other statements; None without one."""
    body = body_of(definition)
    if body is None:
        return None
    columns: dict[bytes, bytes] = {}
    without_null: set[bytes] = set()
    primary: list[Sequence[bytes]] = []
    unique: list[Sequence[bytes]] = []
    for line in body.lines:
        if column := COLUMN.match(line):
            columns[column["name"]] = _written_as(column, line)
            if b" NOT NULL" in outside_quotes(line):
                without_null.add(column["name"])
        elif key := KEY.match(line):
            (primary if key["primary"] else unique).append(_NAMES.findall(key["parts"]))
    keys = [*primary, *(key for key in unique if without_null.issuperset(key))]
    return Shape(columns, keys, comparable(_statement(definition[body.begins :]), collations))


def create_table_of(definition: bytes) -> bytes:
    """The CREATE TABLE that stands among other statements; nothing without one."""
    begins = _BEGINS.search(definition)
    return _statement(definition[begins.start() :]) if begins else b""


def layout_of(before: Shape, after: Shape) -> Layout:
    """How rows of a table of these two shapes are compared."""
    same = [name for name, kind in after.columns.items() if before.columns.get(name) == kind]
    both = after.columns.keys() & before.columns.keys()
    is_whole = list(before.columns.items()) == list(after.columns.items())
    known = {frozenset(key) for key in before.keys if both.issuperset(key)}
    usable = [key for key in after.keys if set(same).issuperset(key)]
    of_both = next((key for key in usable if frozenset(key) in known), None)
    return Layout(
        columns=same,
        key=of_both or next(iter(usable), ()),
        is_whole=is_whole,
        came=_told(name for name in after.columns if name not in both),
        gone=_told(name for name in before.columns if name not in both),
        retyped=_told(name for name in after.columns if name in both and name not in same),
        is_key_new=of_both is None and bool(usable),
    )


def _told(names: Iterable[bytes]) -> tuple[str, ...]:
    return tuple(unquoted(name) for name in names)


def _written_as(column: re.Match[bytes], line: bytes) -> bytes:
    """The same for two columns of which equal values are written alike."""
    word, size, more = column["word"].lower(), column["size"] or b"", column["more"]
    if is_generated(line):
        return b"generated " + word + size + more
    if word in _INTEGERS and b"zerofill" not in more:
        return b"integer"
    if word in _TEXTS:
        return b"text"
    if word in _BYTES:
        return b"bytes"
    return word + size + more


def _statement(text: bytes) -> bytes:
    """One statement out of a section of a dump: each ends at the end of a line."""
    at = 0
    while (found := _END_OR_QUOTED.search(text, at)) is not None:
        if found[0].startswith(b";"):
            return text[: found.start()]
        at = found.end()
    return text.rstrip()


_END_OR_QUOTED = re.compile(rb";(?=\n)|" + NAME_BYTES + rb"|" + TEXT_BYTES + rb"|" + DOUBLE_BYTES, re.S)
