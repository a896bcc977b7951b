"""What a dump makes, object by object, so that two dumps can be compared whoever wrote them.

Two programs write the same rows in other portions, with other comments and other settings around
them. So rows are counted and digested one by one, whatever their order, and a definition is taken
as the statement that makes it, not as the part of the file in which it stands.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from backups.dumpfile.ready import Does, Ready
from backups.dumpfile.values import QUOTED, ROW
from backups.text.kinds import kind_word
from backups.text.sentences import phrase, plural

_BLANK_OUTSIDE = re.compile(rb"(" + QUOTED + rb")|\s++", re.S)
_HEAD_ENDS = re.compile(rb"\bVALUES?\s*(?=\()", re.I)
_WORDS = 1 << 128
# MariaDB's versioning by transactions: where such a row begins its life, and that it lives.
_NUMBERS, _ROW_STARTS = re.compile(rb"\bbigint"), b" GENERATED ALWAYS AS ROW START"
_LIVES = rb"18446744073709551615"
_TRANSACTION = re.compile(rb"(?<=[,(])\d+(?=," + _LIVES + rb"[,)])|(?<=," + _LIVES + rb",)\d+(?=[,)])")


@dataclass
class Rows:
    """How many rows a table got, and a digest in which their order does not count."""

    count: int = 0
    digest: int = 0


@dataclass
class Tally:
    """What was made by a dump: tables by their definition, rows by table, and all else by kind and name.

    `numbered` are tables whose rows tell the number of a transaction, which a server gives anew and
    which counts as equal; with `only_numbered` nothing else is kept.
    """

    only_numbered: bool = False
    numbered: set[str] = field(default_factory=set)
    rows: dict[str, Rows] = field(default_factory=dict)
    tables: dict[str, bytes] = field(default_factory=dict)
    definitions: dict[tuple[str, str], bytes] = field(default_factory=dict)
    # Tables that get keys apart from their definition, which then is only a part of it.
    completed_later: set[str] = field(default_factory=set)

    def add(self, ready: Ready) -> None:
        """Take in a statement that is sent."""
        if ready.does == Does.TABLE and _is_numbered(ready.text):
            self.numbered.add(ready.table)
        if self.only_numbered and ready.table not in self.numbered:
            return
        if ready.does == Does.TABLE:
            self.tables[ready.table] = ready.text
            self.rows[ready.table] = Rows()
        elif ready.does == Does.ROWS:
            self._add_rows(ready)
        elif ready.does == Does.LATER and ready.table:
            self.completed_later.add(ready.table)
        elif ready.does == Does.DEFINITION and ready.kind and not ready.text.startswith(b"DROP "):
            self.definitions[ready.kind, ready.name] = b" ".join(ready.text.split())

    def _add_rows(self, ready: Ready) -> None:
        head = _HEAD_ENDS.search(ready.text)
        if head is None:
            return
        rows = self.rows.setdefault(ready.table, Rows())
        for row in ROW.finditer(ready.text, head.end()):
            said = _BLANK_OUTSIDE.sub(lambda found: found[1] or b"", row[0])
            if ready.table in self.numbered:
                said = _TRANSACTION.sub(b"", said)
            rows.count += 1
            digest = hashlib.blake2b(said, digest_size=16).digest()
            rows.digest = (rows.digest + int.from_bytes(digest)) % _WORDS


def _is_numbered(table: bytes) -> bool:
    """Whether a line of its definition has a number for the transaction in which a row begins its life."""
    return any(
        mark and _NUMBERS.search(before)
        for before, mark, _ in (line.rpartition(_ROW_STARTS) for line in table.split(b"\n"))
    )


def differences(wanted: Tally, found: Tally, normalised: Mapping[str, tuple[str, str]]) -> list[str]:
    """What is not the same, in short phrases. `normalised` has each table's definition on both sides, in one
    spelling."""
    found_differences = []
    for table, rows in wanted.rows.items():
        again = found.rows.get(table, Rows())
        if rows.count != again.count:
            found_differences.append(
                phrase(
                    "table {table} has {rows} after the restore, and {rows_count} in the file",
                    table=table,
                    rows=plural("{n} row", "{n} rows", n=again.count),
                    rows_count=rows.count,
                )
            )
        elif rows.digest != again.digest:
            found_differences.append(
                phrase(
                    "rows of {table} are written otherwise after the restore ({count} on both sides)",
                    table=table,
                    count=rows.count,
                )
            )
    found_differences += [
        phrase("table {name} is defined otherwise", name=name)
        for name, (one, other) in normalised.items()
        if one != other
    ]
    for (kind, name), text in wanted.definitions.items():
        if found.definitions.get((kind, name), text) != text:
            found_differences.append(
                phrase(
                    "{kind} {name} is defined otherwise after the restore", kind=kind_word(kind), name=name
                )
            )
    return found_differences
