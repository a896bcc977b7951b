"""How many rows a table has in a dump, and a sum over them in which their order does not count.

Nothing orders the rows of a table without a key, so that two dumps of the same rows may differ byte by
byte. The sum is of SHA-256 digests, one for each row as the dump writes it, modulo 2^256: two rows that are
equal count twice, where an XOR would lose them.
"""

from __future__ import annotations

import hashlib
import re
from enum import Enum
from typing import Any

from backups import at_first_use

_SUMS = 1 << 256
_INSERTS = (b"INSERT INTO ", b"INSERT  IGNORE INTO ", b"REPLACE INTO ")
# 4096 columns, each of 64 characters that are doubled backticks.
_LONGEST_COLUMNS = 1 << 20
# Between the table's name and the first row.
_HEAD = at_first_use.pattern(
    rb"\s*+(?:\((?:[^()`]++|`[^`]*+(?:``[^`]*+)*+`|)*+\)\s*+)?VALUES\s*+(?=\()", re.S
)
_WRITTEN = rb"[^'\\]*+(?:\\.[^'\\]*+)*+"
# Nothing as the last way: see `quoted.once_or_more`.
_VALUES = rb"[^()']*+(?:'" + _WRITTEN + rb"'[^()']*+|)*+"
# Nearly all rows: those that are there from one end to the other.
_WHOLE = at_first_use.pattern(rb"[,\s]*+\((" + _VALUES + rb")\)", re.S)
# From within a row to its end, or to that of what there is; a text may be cut, and behind a backslash.
_ROW = at_first_use.pattern(
    _VALUES + rb"(?:(?P<end>\))|(?P<text>'" + _WRITTEN + rb")(?P<escape>\\?)\Z|\Z)", re.S
)
# The same from within a text.
_TEXT = at_first_use.pattern(_WRITTEN + rb"(?:(?P<end>')|(?P<escape>\\?)\Z)", re.S)
_BETWEEN = at_first_use.pattern(rb"[,\s]*+(?:(?P<row>\()|(?P<end>;)|\Z)")


class _At(Enum):
    """Where in a table's rows the stream is."""

    NOWHERE = "nowhere"
    HEAD = "head"
    BETWEEN = "between rows"
    ROW = "row"
    TEXT = "text"
    # Behind the backslash in a text.
    ESCAPE = "escape"
    # What came is no row as the dump programs write one.
    LOST = "lost"


class RowSum:
    """Takes the statements that bring a table's rows, in pieces of any size, of which none is kept.

    Under the sql_mode of a dump: in texts, a backslash escapes.
    """

    def __init__(self) -> None:
        self._at = _At.NOWHERE
        self._head = b""
        self._row = hashlib.sha256()
        self._count = self._sum = 0

    def add(self, data: bytes | memoryview) -> None:
        """Take in the next bytes; a statement begins with a piece of its own, up to its table's name."""
        text = bytes(data)
        if self._at == _At.NOWHERE:
            self._at = _At.HEAD if text.startswith(_INSERTS) else _At.NOWHERE
            self._head = b""
            return
        at = 0
        while at < len(text) and self._at not in (_At.NOWHERE, _At.LOST):
            at = self._step(text, at)

    def told(self) -> dict[str, Any] | None:
        """For a manifest: how many rows there were, and their sum; None where that is not known."""
        if self._at != _At.NOWHERE:
            return None
        return {"count": self._count, "sum": f"{self._sum % _SUMS:064x}"}

    def _step(self, text: bytes, at: int) -> int:
        """Go on from `at`; answers how far."""
        if self._at == _At.HEAD:
            return self._pass_head(text)
        if self._at == _At.BETWEEN:
            while whole := _WHOLE.match(text, at):
                self._add_row(hashlib.sha256(whole[1]))
                at = whole.end()
            found = _BETWEEN.match(text, at)
            if found is None:
                self._at = _At.LOST
                return len(text)
            if found["row"]:
                self._at, self._row = _At.ROW, hashlib.sha256()
            elif found["end"]:
                self._at = _At.NOWHERE
            return found.end()
        if self._at == _At.ESCAPE:
            self._row.update(text[at : at + 1])
            self._at = _At.TEXT
            return at + 1
        return self._in_row(text, at)

    def _pass_head(self, text: bytes) -> int:
        """The head may come in parts; answers where in `text` the rows begin."""
        before = len(self._head)
        self._head += text[:_LONGEST_COLUMNS]
        if found := _HEAD.match(self._head):
            self._at, self._head = _At.BETWEEN, b""
            return found.end() - before
        if len(self._head) > _LONGEST_COLUMNS:
            self._at, self._head = _At.LOST, b""
        return len(text)

    def _in_row(self, text: bytes, at: int) -> int:
        is_text = self._at == _At.TEXT
        found = (_TEXT if is_text else _ROW).match(text, at)
        if found is None:
            self._at = _At.LOST
            return len(text)
        end = found.end()
        if found["end"] and not is_text:
            self._row.update(text[at : end - 1])
            self._add_row(self._row)
            self._at = _At.BETWEEN
            return end
        self._row.update(text[at:end])
        if found["escape"]:
            self._at = _At.ESCAPE
        elif is_text:
            self._at = _At.ROW if found["end"] else _At.TEXT
        elif found["text"] is not None:
            self._at = _At.TEXT
        return end

    def _add_row(self, row: hashlib._Hash) -> None:
        self._count += 1
        self._sum += int.from_bytes(row.digest())
