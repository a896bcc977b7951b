"""What of a table's definition decides how its rows can be compared: its columns and keys. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from backups.dumpfile.quoted import unquoted
from backups.dumpfile.table_text import COLUMN, body_of, is_generated, keys_of, statement
from backups.loading.table_plan import comparable

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


def shape_of(definition: bytes, collations: Mapping[str, str]) -> Shape | None:
    """The shape of a table by its CREATE TABLE, which may stand among other statements; None without one."""
    body = body_of(definition)
    if body is None:
        return None
    columns = {
        column["name"]: _written_as(column, line) for line in body.lines if (column := COLUMN.match(line))
    }
    keys = keys_of(body.lines)
    return Shape(columns, keys, comparable(statement(definition[body.begins :]), collations))


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
