"""What of a table's definition decides how its rows can be compared: its columns and keys. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from backups.dumpfile.quoted import unquoted
from backups.dumpfile.table_text import (
    COLUMN,
    Body,
    body_of,
    is_generated,
    keys_of,
    outside_quotes,
    statement,
)
from backups.loading.table_plan import comparable

# Types of one family write the same value in the same letters.
_INTEGERS = frozenset({b"tinyint", b"smallint", b"mediumint", b"int", b"bigint"})
_TEXTS = frozenset({b"char", b"varchar", b"tinytext", b"text", b"mediumtext", b"longtext", b"enum", b"set"})
# Servers write some numbers in quotes there, and no dump does.
_DEFAULT = re.compile(rb"('(?:[^'\\]|\\.|'')*'|[\w.+-]+)(?=[ ,]|\Z)", re.S)
_COLLATION = re.compile(rb" COLLATE[= ](\w+)")
_CHARSET = re.compile(rb" (?:CHARACTER SET |CHARSET=)(\w+)")
_GENERATED = b"generated "
_BYTES = frozenset({b"varbinary", b"tinyblob", b"blob", b"mediumblob", b"longblob"})


@dataclass(frozen=True)
class Shape:
    """A table's columns, each with what it writes its values as, and the keys that tell its rows apart.

    Names are as the definition has them, in backticks. `keys` are of columns that hold no NULL, the primary
    one first; `digest` is the same whatever number comes next. `order` is how the columns of the first key
    are written, with the collation of each: by these a dump orders its rows.
    """

    columns: Mapping[bytes, bytes]
    keys: Sequence[Sequence[bytes]]
    digest: str
    order: Sequence[tuple[bytes, bytes]] = ()

    @property
    def generated(self) -> frozenset[bytes]:
        """The columns that the server computes."""
        return frozenset(name for name, kind in self.columns.items() if kind.startswith(_GENERATED))


@dataclass(frozen=True)
class Layout:
    """How the rows of a table are compared on both sides: by which columns, told apart by which of them.

    Without a `key` each row counts as a whole. `is_whole` says that both have the same columns, in the same
    order, `is_key_new` that the key is one of the later side alone: several rows of the earlier one may have
    the same. `is_alike` says that key and order of the rows are the same as well. The others are names of
    columns that are not compared, since one side alone has them, or writes them otherwise, or `computed`
    them, and those of which no dump tells the last digits (`rounded`).

    What a server computes is no part of a row: MySQL's dumps have none of it, and of a MariaDB's VIRTUAL
    column, as of one with NOW() or DATABASE(), each dump may have another value. So no row differs by it.
    """

    columns: Sequence[bytes]
    key: Sequence[bytes]
    is_whole: bool
    came: Sequence[str] = ()
    gone: Sequence[str] = ()
    retyped: Sequence[str] = ()
    is_key_new: bool = False
    is_alike: bool = True
    computed: frozenset[bytes] = frozenset()
    rounded: tuple[str, ...] = ()

    @property
    def is_as_written(self) -> bool:
        """Whether rows are the same where they are written alike."""
        return self.is_whole and not self.computed


def shape_of(definition: bytes, collations: Mapping[str, str]) -> Shape | None:
    """The shape of a table by its CREATE TABLE, which may stand among other statements; None without one."""
    body = body_of(definition)
    if body is None:
        return None
    columns = {
        column["name"]: _written_as(column, line) for line in body.lines if (column := COLUMN.match(line))
    }
    keys = keys_of(body.lines)
    digest = comparable(statement(definition[body.begins :]), collations)
    return Shape(columns, keys, digest, _order(body, keys, columns, collations))


def defaults_of(definition: bytes) -> dict[bytes, bytes]:
    """What each column has in rows that do not name it, as a dump writes it without quotes; by plain names.

    NULL where the definition tells no plain value.
    """
    body = body_of(definition)
    found = {}
    for line in body.lines if body is not None else ():
        if column := COLUMN.match(line):
            rest = line[column.end() :]
            told = None
            if b" DEFAULT " in outside_quotes(rest):
                told = _DEFAULT.match(rest.partition(b" DEFAULT ")[2])
            value = told[1].strip(b"'") if told else b"NULL"
            found[unquoted(column["name"]).encode(errors="surrogateescape")] = value
    return found


def _order(
    body: Body, keys: Sequence[Sequence[bytes]], columns: Mapping[bytes, bytes], collations: Mapping[str, str]
) -> list[tuple[bytes, bytes]]:
    """The columns of the first key, each with its collation where it is a text."""
    of_table = _collation(outside_quotes(body.options), collations)
    lines = {column["name"]: outside_quotes(line) for line in body.lines if (column := COLUMN.match(line))}
    return [
        (name, (_collation(lines[name], collations) or of_table) if columns[name] == b"text" else b"")
        for name in next(iter(keys), ())
    ]


def _collation(text: bytes, collations: Mapping[str, str]) -> bytes:
    """The one that is named, or the usual one of the character set that is; nothing without either."""
    if named := _COLLATION.search(text):
        return named[1]
    charset = _CHARSET.search(text)
    return collations.get(charset[1].decode(), charset[1].decode()).encode() if charset else b""


def layout_of(before: Shape, after: Shape) -> Layout:
    """How rows of a table of these two shapes are compared."""
    same = [name for name, kind in after.columns.items() if before.columns.get(name) == kind]
    both = after.columns.keys() & before.columns.keys()
    is_whole = list(before.columns.items()) == list(after.columns.items())
    known = {frozenset(key) for key in before.keys if both.issuperset(key)}
    usable = [key for key in after.keys if set(same).issuperset(key)]
    of_both = next((key for key in usable if frozenset(key) in known), None)
    is_alike = is_whole and before.order == after.order
    key = of_both or next(iter(usable), ())
    computed = (before.generated & after.generated).intersection(same).difference(key)
    columns = [name for name in same if name not in computed]
    return Layout(
        columns=columns,
        key=key,
        is_whole=is_whole,
        came=_told(name for name in after.columns if name not in both),
        gone=_told(name for name in before.columns if name not in both),
        retyped=_told(name for name in after.columns if name in both and name not in same),
        is_key_new=of_both is None and bool(usable),
        is_alike=is_alike,
        computed=computed,
        rounded=_told(name for name in columns if after.columns[name].startswith(b"float")),
    )


def _told(names: Iterable[bytes]) -> tuple[str, ...]:
    return tuple(unquoted(name) for name in names)


def _written_as(column: re.Match[bytes], line: bytes) -> bytes:
    """The same for two columns of which equal values are written alike."""
    word, size, more = column["word"].lower(), column["size"] or b"", column["more"]
    if is_generated(line):
        return _GENERATED + word + size + more
    if word in _INTEGERS and b"zerofill" not in more:
        return b"integer"
    if word in _TEXTS:
        return b"text"
    if word in _BYTES:
        return b"bytes"
    return word + size + more
