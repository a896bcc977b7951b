"""A table's definition taken apart, so that its keys can be made once its rows are there. Pure, no I/O.

Sorting the rows into an index once costs a fraction of keeping it in order row by row. SHOW CREATE
TABLE lists keys in the order in which they were made, so either all secondary keys wait or none.
Only the commonest shape is taken apart: whatever is not known to come out the same is left whole.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass

from backups.dumpfile.quoted import NAME_BYTES, TEXT_BYTES, once_or_more
from backups.dumpfile.rewriting import normalised_table

_CREATE = b"CREATE TABLE "
_QUOTED = rb"`(?:[^`]|``)*+`"
_TEXT = rb"'(?:[^'\\]|\\.|'')*+'"
# No newline but in quotes, no double quotes, no comment: neither those of a version nor others.
_ITEM = rb"  " + once_or_more(rb"[^`'\"\n/]|/(?!\*)|" + _QUOTED + rb"|" + _TEXT) + rb"\n"
_TABLE = re.compile(
    _CREATE + rb"(?P<name>" + _QUOTED + rb") \(\n"
    rb"(?P<items>" + once_or_more(_ITEM) + rb")"
    rb"(?P<options>\) ENGINE=InnoDB(?: AUTO_INCREMENT=\d+| DEFAULT CHARSET=\w+| COLLATE=\w+"
    rb"| ROW_FORMAT=(?:DYNAMIC|COMPACT)| COMMENT=" + _TEXT + rb"|)*+)",
    re.S,
)  # fmt: skip
_ITEMS = re.compile(_ITEM, re.S)
_PART = _QUOTED + rb"(?:\(\d+\))?"
_PARTS = rb"\((?P<parts>" + _PART + rb"(?:," + _PART + rb"|)*+)\)"
_USING = rb"(?: USING BTREE)?"
_PRIMARY_KEY = re.compile(rb"PRIMARY KEY " + _PARTS + _USING, re.S)
_KEY = re.compile(rb"(?P<unique>UNIQUE )?KEY " + _QUOTED + rb" " + _PARTS + _USING, re.S)
_COLUMNS = rb"\(" + _QUOTED + rb"(?:, ?" + _QUOTED + rb"|)*+\)"
_FOREIGN_KEY = re.compile(
    rb"CONSTRAINT " + _QUOTED + rb" FOREIGN KEY " + _COLUMNS + rb" REFERENCES " + _QUOTED + rb" " + _COLUMNS +
    rb"(?: ON (?:DELETE|UPDATE) (?:RESTRICT|CASCADE|SET NULL|NO ACTION|SET DEFAULT)|)*+",
    re.S,
)  # fmt: skip
_REFERENCES = re.compile(rb" REFERENCES (?:" + _QUOTED + rb"\.)?(" + _QUOTED + rb")", re.S)
_CHECK = re.compile(rb"CONSTRAINT " + _QUOTED + rb" CHECK ", re.S)
_COLUMN = re.compile(_QUOTED, re.S)
_IN_QUOTES = re.compile(NAME_BYTES + rb"|" + TEXT_BYTES, re.S)
# Depends on what else is in the database, or says that the server keeps more than the rows.
_STRANGE_COLUMN = re.compile(rb"\b(?:nextval|lastval|ROW (?:START|END)|SYSTEM VERSIONING)\b", re.I)
# Outside of names and texts, which come first.
_NEXT_NUMBER = re.compile(rb"(" + NAME_BYTES + rb"|" + TEXT_BYTES + rb")| AUTO_INCREMENT=\d++", re.S)
_GENERATED = re.compile(rb"\bAS \(")


@dataclass(frozen=True)
class Plan:
    """A table in steps: the statement that makes it, with its keys or without, and those that add the rest.

    `keys` and `foreign_keys` are empty where there are none. Rows of a table with a primary key
    lie in its order, whoever brings them. Without `rows_stay` something may be done to them once all
    is loaded: columns computed anew, CHECKs enforced.
    """

    whole: bytes
    bare: bytes
    keys: bytes
    foreign_keys: bytes
    has_primary_key: bool
    rows_stay: bool


@dataclass
class _Items:
    """The lines of a definition, sorted by what they are."""

    kept: list[bytes]
    keys: list[bytes]
    foreign_keys: list[bytes]
    generated: set[bytes]
    key_columns: set[bytes]
    primary: bytes = b""
    increments: bytes = b""
    has_unique: bool = False
    has_check: bool = False


def plan_for(definition: bytes) -> Plan | None:
    """The steps for a CREATE TABLE; None where the table should be made just as it is written."""
    found = _TABLE.fullmatch(definition)
    if found is None:
        return None
    lines = [line[2:-1] for line in _ITEMS.findall(found["items"])]
    if [line.endswith(b",") for line in lines] != [True] * (len(lines) - 1) + [False]:
        return None
    items = _sorted([line.removesuffix(b",") for line in lines])
    if items is None or not _can_wait(items):
        return None

    def made(lines: list[bytes]) -> bytes:
        body = b",\n".join(b"  " + line for line in lines)
        return bytes(_CREATE + found["name"] + b" (\n" + body + b"\n" + found["options"])

    return Plan(
        whole=made([line for line in map(_without_comma, lines) if line not in items.foreign_keys]),
        bare=made(items.kept),
        keys=_added(found["name"], items.keys),
        foreign_keys=_added(found["name"], items.foreign_keys),
        has_primary_key=bool(items.primary),
        rows_stay=not items.generated and not items.has_check,
    )


def comparable(definition: bytes, collations: Mapping[str, str]) -> str:
    """A digest of a definition as a dump or SHOW CREATE TABLE has it, whatever number comes next.

    `collations` as `rewriting.normalised_table` takes them.
    """
    definition = _NEXT_NUMBER.sub(lambda found: found[1] or b"", normalised_table(definition, collations))
    return hashlib.sha256(definition).hexdigest()


def names_in_lower_case(definition: bytes) -> bytes:
    """A definition as a server may have it that gives tables names in lower case."""

    def spelled(found: re.Match[bytes]) -> bytes:
        return found[0].decode(errors="surrogateescape").lower().encode(errors="surrogateescape")

    return _IN_QUOTES.sub(lambda found: spelled(found) if found[0][:1] == b"`" else found[0], definition)


def referenced_by(definition: bytes) -> set[str]:
    """The names of tables, in small letters, to which foreign keys of a definition may refer."""
    names = (found[1][1:-1].replace(b"``", b"`") for found in _REFERENCES.finditer(definition))
    return {name.decode(errors="surrogateescape").lower() for name in names}


def _without_comma(line: bytes) -> bytes:
    return line.removesuffix(b",")


def _added(table: bytes, items: list[bytes]) -> bytes:
    added = b",\n  ".join(b"ADD " + item for item in items)
    return b"ALTER TABLE " + table + b"\n  " + added if items else b""


def _sorted(lines: list[bytes]) -> _Items | None:
    """None where a line is not known."""
    items = _Items([], [], [], set(), set())
    for line in lines:
        if _FOREIGN_KEY.fullmatch(line):
            items.foreign_keys.append(line)
        elif key := _KEY.fullmatch(line):
            items.keys.append(line)
            items.key_columns.update(_COLUMN.findall(key["parts"]))
            items.has_unique = items.has_unique or bool(key["unique"])
        elif line.startswith(b"`") and _add_column(items, line):
            items.kept.append(line)
        elif key := _PRIMARY_KEY.fullmatch(line):
            items.primary = key["parts"]
            items.kept.append(line)
        elif _CHECK.match(line):
            items.kept.append(line)
            items.has_check = True
        else:
            return None
    return items


def _add_column(items: _Items, line: bytes) -> bool:
    """Note what is special about a column; answers False where that is beyond us."""
    name = _COLUMN.match(line)
    words = _IN_QUOTES.sub(b"``", line)
    if name is None or _STRANGE_COLUMN.search(words):
        return False
    if b" AUTO_INCREMENT" in words:
        items.increments = name[0]
    if _GENERATED.search(words):
        items.generated.add(name[0])
    return True


def _can_wait(items: _Items) -> bool:
    """Whether nothing needs a secondary key while rows come in.

    Without a primary key the rows lie in the order of a unique one.
    """
    if items.has_unique and not items.primary:
        return False
    if items.increments and not items.primary.startswith(items.increments):
        return False
    return not items.key_columns & items.generated
