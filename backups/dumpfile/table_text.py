"""A CREATE TABLE, taken apart by its text as the servers write it: columns, keys, options. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from backups import at_first_use
from backups.dumpfile.quoted import DOUBLE_BYTES, NAME_BYTES, TEXT_BYTES

_BEGINS = at_first_use.pattern(rb"CREATE TABLE " + NAME_BYTES + rb" \(\n", re.S)
_LINE = at_first_use.pattern(
    rb"  (?>(?:[^`'\"\n]|" + NAME_BYTES + rb"|" + TEXT_BYTES + rb"|" + DOUBLE_BYTES + rb")+)\n", re.S
)
COLUMN = at_first_use.pattern(
    rb"  (?P<name>" + NAME_BYTES + rb") (?P<word>\w++)(?P<size>\((?:[^()'`]|" + TEXT_BYTES + rb"|)*+\))?"
    rb"(?P<more>(?: unsigned)?(?: zerofill)?)",
    re.S,
)
_PART = NAME_BYTES + rb"(?:\(\d+\))?(?: DESC)?"
# No expression, no period: what these say is no column's value.
KEY = at_first_use.pattern(
    rb"  (?:(?P<primary>PRIMARY) KEY|UNIQUE KEY " + NAME_BYTES + rb")"
    rb" \((?P<parts>" + _PART + rb"(?:," + _PART + rb"|)*+)\)(?: USING (?:BTREE|HASH))?[,\n ]",
    re.S,
)
_NAMES = at_first_use.pattern(NAME_BYTES, re.S)
_IN_QUOTES = at_first_use.pattern(NAME_BYTES + rb"|" + TEXT_BYTES + rb"|" + DOUBLE_BYTES, re.S)
_END_OR_QUOTED = at_first_use.pattern(
    rb";(?=\n)|" + NAME_BYTES + rb"|" + TEXT_BYTES + rb"|" + DOUBLE_BYTES, re.S
)
_GENERATED = at_first_use.pattern(rb"\bAS \(|\bAS ROW (?:START|END)\b")
_COUNTER = b" AUTO_INCREMENT="
_NEXT_NUMBER = at_first_use.pattern(re.escape(_COUNTER) + rb"(\d{1,20})\b")


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
    return Body(begins.start(), lines, statement(definition[at:]))


def create_table_of(definition: bytes) -> bytes:
    """The CREATE TABLE that stands among other statements; nothing without one."""
    begins = _BEGINS.search(definition)
    return statement(definition[begins.start() :]) if begins else b""


def outside_quotes(line: bytes) -> bytes:
    """A line without what stands in quotes: names, texts, comments."""
    return _IN_QUOTES.sub(b"", line)


def is_generated(line: bytes) -> bool:
    """Whether a column's line says that the server computes its values."""
    return _GENERATED.search(outside_quotes(line)) is not None


def keys_of(lines: Sequence[bytes]) -> list[Sequence[bytes]]:
    """By the lines of a table, its keys of columns that hold no NULL, the primary one first.

    Names of columns are as the definition has them, in backticks.
    """
    without_null: set[bytes] = set()
    primary: list[Sequence[bytes]] = []
    unique: list[Sequence[bytes]] = []
    for line in lines:
        if column := COLUMN.match(line):
            if b" NOT NULL" in outside_quotes(line):
                without_null.add(column["name"])
        elif key := KEY.match(line):
            (primary if key["primary"] else unique).append(_NAMES.findall(key["parts"]))
    return [*primary, *(key for key in unique if without_null.issuperset(key))]


def is_keyless(definition: bytes) -> bool:
    """Whether nothing orders the rows of a table, so that two dumps of the same may list them otherwise."""
    body = body_of(definition)
    return body is None or not keys_of(body.lines)


def next_number(definition: bytes) -> int | None:
    """The AUTO_INCREMENT that a definition shows; None where it shows none."""
    if _COUNTER not in definition:
        return None
    body = body_of(definition)
    found = _NEXT_NUMBER.search(outside_quotes(body.options)) if body else None
    return int(found[1]) if found else None


def statement(text: bytes) -> bytes:
    """One statement out of a section of a dump: each ends at the end of a line."""
    at = 0
    while (found := _END_OR_QUOTED.search(text, at)) is not None:
        if found[0].startswith(b";"):
            return text[: found.start()]
        at = found.end()
    return text.rstrip()
