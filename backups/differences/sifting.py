"""The pieces of one dump without the rows that the other one has as well."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from backups.differences.meeting import Meeting
from backups.dumpfile.rows import rows_head
from backups.dumpfile.sections import Kind, Piece, Section
from backups.dumpfile.splitter import INSERTS

_ROWS_END = b";\n"
_NEWLINE = ord("\n")
# Of each of two pieces.
_LONGEST_HEAD = 64 << 10
# Of a row of many megabytes nothing is looked for on the other side.
_LONGEST_STATEMENT = 16 << 20
# Statements of what is left over are about as long as those of the dump programs.
_LEFT_BYTES = 1 << 20


class Sifter:
    """One side of a meeting. `may_settle` says of which tables equal rows are left out.

    Letters are read as those of one byte, or of UTF-8: no part of another one may look like a quote.
    """

    def __init__(self, meeting: Meeting, side: int, may_settle: Callable[[str], bool]) -> None:
        self._meeting, self._side, self._may_settle = meeting, side, may_settle
        self._section: Section | None = None
        # A definition that is not whole yet.
        self._held: list[Piece] = []
        # The table that was entered, and whether its rows are settled.
        self._table = ""
        self._settles = False
        # A statement that is not whole yet; None where one passes on as it is.
        self._parts: list[bytes | memoryview] | None = []
        self._size = 0
        self._head = b""
        self._between = b""
        self._left: list[bytes] = []
        # What follows the rows, which are given out late.
        self._after: list[Piece] = []

    def sifted(self, pieces: Iterator[Piece]) -> Iterator[Piece]:
        """What of the pieces is left over. Raises NotMet."""
        for piece in pieces:
            if piece.section is not self._section:
                yield from self._leave(piece.section)
                self._section = piece.section
            if piece.section.kind == Kind.TABLE:
                self._held.append(piece)
            elif piece.section.kind == Kind.ROWS and self._settles:
                yield from self._of_rows(piece)
            else:
                yield piece
        yield from self._leave(None)
        self._meeting.finish(self._side)

    def _leave(self, to: Section | None) -> Iterator[Piece]:
        """A section has come to its end."""
        if self._held:
            self._enter(self._held[-1].section)
            yield from self._held
            self._held = []
        elif self._table and self._section is not None:
            yield from self._end_of_rows(self._section)
        if self._table and (to is None or to.kind != Kind.ROWS):
            # Of a table without rows.
            yield from self._end_of_rows(self._section)

    def _enter(self, section: Section) -> None:
        self._meeting.enter(self._side, section)
        self._table = section.name if section.name in self._meeting.met else ""
        self._settles = bool(self._table) and self._may_settle(self._table)
        self._head = b""

    def _end_of_rows(self, section: Section | None) -> Iterator[Piece]:
        table, self._table = self._table, ""
        if not self._settles or section is None:
            return
        self._settles = False
        self._left += self._meeting.end(self._side, table)
        yield from self._given_out(section)
        yield from self._after
        self._after = []

    # ------------------------------------------------------------ Statements

    def _of_rows(self, piece: Piece) -> Iterator[Piece]:
        if self._parts is not None and not self._parts and not bytes(piece.data[:20]).startswith(INSERTS):
            if self._head:
                self._after.append(piece)
            else:
                yield piece
            return
        ends = bool(self._parts or self._parts is None) and bytes(piece.data[-2:]) == _ROWS_END
        if self._parts is None:
            yield piece
        else:
            self._parts.append(piece.data)
            self._size += len(piece.data)
            if self._size > _LONGEST_STATEMENT and not ends:
                yield from (Piece(piece.section, part, is_comment=False) for part in self._parts)
                self._parts = None
            elif ends:
                yield from self._statement(piece.section, self._parts)
        if ends:
            self._parts, self._size = [], 0

    def _statement(self, section: Section, parts: Sequence[bytes | memoryview]) -> Iterator[Piece]:
        """A whole statement, copied once at most: nearly all of a dump are such."""
        # The name of the table comes by itself, what follows in pieces of any length.
        begins = b"".join([part[:_LONGEST_HEAD] for part in parts[:2]])
        found = rows_head(begins, 0, "utf8mb4", "")
        if found is None and len(parts) > 1:
            parts = [begins := b"".join(parts)]
            found = rows_head(begins, 0, "utf8mb4", "")
        if found is None or section.name != self._table:
            yield Piece(section, b"".join(parts), is_comment=False)
            return
        head, between = begins[: found.values], b",\n" if begins[found.values - 1] == _NEWLINE else b","
        rows = _within(parts, found.values)
        if not self._head:
            self._head, self._between = head, between
        if head != self._head or not rows.endswith(b")"):
            yield Piece(section, head + rows + _ROWS_END, is_comment=False)
            return
        self._left += self._meeting.settle(self._side, self._table, (head, between), rows)
        if sum(map(len, self._left)) > _LEFT_BYTES:
            yield from self._given_out(section)

    def _given_out(self, section: Section) -> Iterator[Piece]:
        """What is left over, as statements again."""
        if self._left:
            text = self._head + self._between.join(self._left) + _ROWS_END
            yield Piece(section, text, is_comment=False)
            self._left = []


def _within(parts: Sequence[bytes | memoryview], begin: int) -> bytes:
    """What stands in a statement from there to its end."""
    *some, last = parts
    some.append(last[: -len(_ROWS_END)])
    while begin:
        some[0], begin = some[0][begin:], max(begin - len(some[0]), 0)
        if not some[0]:
            some.pop(0)
    return b"".join(some)
