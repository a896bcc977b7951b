"""A dump cut into its statements, as the loading client of either flavour would.

Quotes, comments and DELIMITER are followed under the settings that the dump itself has made. It is
no more than a cut: what a statement is, and whether it may be sent, is judged elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache, lru_cache

from backups.dumpfile import mixed_heads
from backups.dumpfile.dialect import Dialect, Quoting, quoting
from backups.dumpfile.encodings import WIDE, is_wide
from backups.dumpfile.limits import LONGEST_DEFINITION, LONGEST_ROWS
from backups.dumpfile.rows import Rows, rows_head, values_end
from backups.dumpfile.settings import Settings
from backups.text.sentences import phrase

_BOM = b"\xef\xbb\xbf"
_BETWEEN = re.compile(rb"(?:[\s\x00\x1a]++|(?:--(?=[\s])|#)[^\n]*+\n|/\*(?!M?!)(?>(?s:.*?)\*/)|)*+", re.S)
_COMMENT_BEGINS = (b"--", b"#", b"/*")
_DELIMITER_LINE = re.compile(rb"DELIMITER[ \t]+([^\s'\"`\\]{1,15})[^\S\n]*(?:\n|\Z)", re.I)
_DEFINITION_BEGINS = re.compile(rb"(?:/\*M?!\d{5,6}\s+)?CREATE\b", re.I)
_ROWS_BEGIN = re.compile(rb"(?:INSERT|REPLACE)\s", re.I)
_ROWS_END = re.compile(rb";(?=[\r\n])")
_LONGEST_LINE_OF_DELIMITER = 64
_LARGE = 4 << 20
_LARGE_COMMENT = 1 << 18
# MySQL's quotes of bodies in other languages. https://dev.mysql.com/doc/refman/9.0/en/create-procedure.html
_DOLLAR = rb"(?<![0-9A-Za-z_$\x80-\xff])\$(?:[A-Za-z_\x80-\xff][0-9A-Za-z_\x80-\xff]*+)?\$"


class NoStatement(Exception):
    """What stands there is no statement of a dump: its beginning, and why."""

    # Whether it goes on for longer than is read of any.
    is_endless = False
    # The line of the dump on which it stands, counted from 1.
    line = 1

    def __init__(self, text: bytes, why: str = "") -> None:
        self.text, self.why = text, why
        super().__init__(why)


class Statement:
    """One statement without its delimiter, and the line it began on.

    `settings` are those it is to run under; `rows` is its head where it was seen to be rows of
    plain values to its end.
    """

    __slots__ = ("line", "rows", "settings", "text")

    def __init__(self, text: bytes, settings: Settings, line: int, rows: Rows | None = None) -> None:
        self.text, self.settings, self.line, self.rows = text, settings, line, rows


# A dump may have as many delimiters as it likes.
@lru_cache(maxsize=100)
def _stops(wide: bytes | None, delimiter: bytes, with_dollars: bool) -> re.Pattern[bytes]:
    """Where something begins that may hide a delimiter, and the delimiter."""
    letter = rb"(?P<letter>" + wide + rb")|" if wide else b""
    dollar = rb"|(?P<dollar>" + _DOLLAR + rb")" if with_dollars else b""
    return re.compile(
        letter + rb"(?P<end>" + re.escape(delimiter) + rb")|(?P<quoted>['\"`])|(?P<block>/\*(?!M?!))"
        rb"|(?P<line>--(?=[\s])|#)" + dollar
    )


@cache
def _quoted(quotes: Quoting) -> re.Pattern[bytes]:
    return re.compile(quotes.text + rb"|" + quotes.double + rb"|" + quotes.name, re.S)


class Reader:
    """Takes a dump in pieces of any size and gives out its statements.

    Who takes a statement says, before the next is asked for, under which `settings` what follows is
    to be read. Raises NoStatement for what never ends.
    """

    def __init__(self, dialect: Dialect, settings: Settings) -> None:
        self.settings = settings
        self._dialect = dialect
        self._with_dollars = not dialect.is_mariadb and dialect.version >= 90000
        self._data = bytearray()
        self._at = 0
        # How far the statement at `_at` is known to go on, outside of anything that hides a delimiter; and
        # how far no end of a line of rows was seen, be it inside of a text.
        self._seen = 0
        self._rows_seen = 0
        # The head of the rows at `_at`, and how far their values were read; 0 where none are being read.
        self._head: Rows | None = None
        self._values = 0
        # What is large and not whole is not looked at again before there is a good deal more of it.
        self._wanted = 0
        self._delimiter = b";"
        self._is_first = True
        self._lines = 0
        self._counted = 0
        self.statements = 0

    def feed(self, data: bytes) -> Iterator[Statement]:
        """The statements that end in the next bytes."""
        del self._data[: self._at]
        self._data += data
        self._seen -= self._at
        self._rows_seen -= self._at
        self._counted = max(0, self._counted - self._at)
        self._at = 0
        if self._is_first:
            if len(self._data) < len(_BOM):
                return
            self._is_first = False
            if self._data.startswith(_BOM):
                self._at = len(_BOM)
        yield from self._statements(is_last=False)

    def close(self) -> Iterator[Statement]:
        """The statements that only the end of the dump ends. Raises NoStatement for half a one."""
        self._data += b"\n"
        yield from self._statements(is_last=True)
        rest = bytes(self._data[self._at :].strip())
        if rest and not rest.startswith(_COMMENT_BEGINS[:2]):
            error = NoStatement(rest, phrase("it has no end"))
            error.line = self._line_of(self._at)
            raise error

    def _statements(self, *, is_last: bool) -> Iterator[Statement]:
        while (is_last or len(self._data) - self._at >= self._wanted) and self._pass_between(is_last):
            begin = self._at
            stop = self._end_of_rows() if self._is_rows() else self._end(is_last)
            if stop is None and is_last:
                stop = self._end(is_last)
            if stop is None:
                self._refuse_endless()
                size = len(self._data) - begin
                self._wanted = size + size // 2 if size > _LARGE else 0
                return
            text_end, self._at = stop
            rows = self._head if self._values == text_end else None
            self._seen = self._rows_seen = self._at
            self._values, self._head, self._wanted = 0, None, 0
            text = bytes(memoryview(self._data)[begin:text_end])
            if rows is not None:
                self.statements += 1
                yield Statement(text, self.settings, self._line_of(begin), rows)
            elif text.strip():
                self.statements += 1
                yield Statement(text, self.settings, self._line_of(begin))

    def _line_of(self, at: int) -> int:
        """The line of the dump on which something stands, counted from 1."""
        at = max(at, self._counted)
        self._lines += self._data.count(b"\n", self._counted, at)
        self._counted = at
        return self._lines + 1

    def _pass_between(self, is_last: bool) -> bool:
        """Pass over blanks, comments and DELIMITER lines; answers whether a statement begins there."""
        while True:
            if self._seen > self._at:
                return True  # in the middle of one
            found = _BETWEEN.match(self._data, self._at)
            assert found is not None  # noqa: S101  it matches nothing as well
            self._line_of(found.end())
            self._at = self._seen = found.end()
            left = len(self._data) - self._at
            if not left:
                return False
            if not is_last and (self._is_open_comment() or left < _LONGEST_LINE_OF_DELIMITER):
                self._refuse_endless()
                # It is gone through from its beginning each time.
                self._wanted = left + left // 2 if left > _LARGE_COMMENT else 0
                return False
            self._wanted = 0
            if is_last and self._is_open_comment():
                return False
            line = _DELIMITER_LINE.match(self._data, self._at)
            if line is None:
                return True
            self._delimiter = bytes(line[1])
            self._at = self._seen = line.end()

    def _is_open_comment(self) -> bool:
        """Whether a comment begins here of which the end is not there yet."""
        if self._data.startswith(b"/*", self._at):
            return self._dialect_comment()
        return self._data.startswith((b"-- ", b"--\n", b"--\t", b"--\r", b"#"), self._at)

    def _dialect_comment(self) -> bool:
        return (
            self._data[self._at + 2 : self._at + 3] != b"!"
            and self._data[self._at + 2 : self._at + 4] != b"M!"
        )

    # ------------------------------------------------------------ The end of a statement

    def _is_rows(self) -> bool:
        return self._delimiter == b";" and bool(_ROWS_BEGIN.match(self._data, self._at))

    def _end_of_rows(self) -> tuple[int, int] | None:
        """Where rows end, and where what follows them begins; None while that is not there.

        Values are read once a possible end is there, since nearly always it is the end.
        """
        data, charset, mode = self._data, self.settings.charset, self.settings.sql_mode
        if not _ROWS_END.search(data, max(self._at, self._rows_seen)):
            self._rows_go_on()
            return None
        if self._head is None:
            self._head = rows_head(data, self._at, charset, mode)
            if self._head is None:
                return self._end(is_last=False)
            self._values = self._at + self._head.values
        self._values = values_end(data, self._values, charset, mode)
        what_stops = bytes(data[self._values : self._values + 1])
        if what_stops == b";":
            return self._values, self._values + 1
        if what_stops in (b"'", b'"', b""):
            # In a text that holds what looks like the end.
            self._rows_go_on()
            return None
        return self._end(is_last=False)

    def _rows_go_on(self) -> None:
        self._seen = max(self._at + 1, self._seen)
        self._rows_seen = max(self._at + 1, len(self._data) - 1)

    def _end(self, is_last: bool) -> tuple[int, int] | None:
        """Where the statement's text ends and where what follows begins; None while that is not there."""
        data = self._data
        quotes = quoting(self.settings.charset, self.settings.sql_mode)
        stops = _stops(WIDE.get(self.settings.charset), self._delimiter, self._with_dollars)
        body = self._body(is_last)
        if body is None:
            return None
        at = max(body, self._seen)
        while True:
            found = stops.search(data, at)
            if found is None:
                # The first half of what is looked for may be there.
                self._seen = max(self._at + 1, at, len(data) - _LONGEST_LINE_OF_DELIMITER)
                return None
            kind = found.lastgroup
            if kind == "end":
                return found.start(), found.end()
            if kind == "letter":
                at = found.end()
                continue
            if kind == "line":
                end = data.find(b"\n", found.end())
                if end < 0 or (not is_last and len(data) - end < _LONGEST_LINE_OF_DELIMITER):
                    self._seen = max(self._at + 1, found.start())
                    return None
                if swallowed := self._swallowed(found.start(), end):
                    return swallowed
                at = end
                continue
            past = self._past(kind or "", found, quotes)
            if past is None:
                self._seen = max(self._at + 1, found.start())
                return None
            at = past

    def _body(self, is_last: bool) -> int | None:
        """Where what is in the client's character set begins; None while that is not there."""
        settings = self.settings
        if not is_wide(settings.charset) or not _DEFINITION_BEGINS.match(self._data, self._at):
            return self._at
        try:
            head = mixed_heads.read_head(
                self._data, self._at, settings.charset, settings.sql_mode, is_whole=is_last
            )
        except mixed_heads.Incomplete:
            return None
        return head.end if head else self._at

    def _swallowed(self, begin: int, end: int) -> tuple[int, int] | None:
        """A body that ends in a comment: the dump programs put the delimiter behind it, on its line."""
        comment = bytes(self._data[begin:end]).rstrip()
        if self._delimiter == b";" or not comment.endswith(self._delimiter):
            return None
        if _DELIMITER_LINE.match(self._data, end + 1):
            return begin + len(comment) - len(self._delimiter), end + 1
        # Once more in a line of its own, as Vedetta keeps the definitions of a database.
        again = self._delimiter + b"\n"
        if self._data.startswith(again, end + 1):
            return begin + len(comment) - len(self._delimiter), end + 1 + len(again)
        return None

    def _past(self, kind: str, found: re.Match[bytes], quotes: Quoting) -> int | None:
        """Where what begins at a stop ends, None while that is not there."""
        data = self._data
        if kind == "quoted":
            whole = _quoted(quotes).match(data, found.start())
            # A quote at the very end may be the first half of a doubled one.
            return whole.end() if whole and whole.end() < len(data) else None
        if kind == "block":
            end = data.find(b"*/", found.end())
            return end + 2 if end >= 0 else None
        end = data.find(found[0], found.end())
        return end + len(found[0]) if end >= 0 else None

    def _refuse_endless(self) -> None:
        size = len(self._data) - self._at
        is_rows = _ROWS_BEGIN.match(self._data, self._at)
        if size > (LONGEST_ROWS if is_rows else LONGEST_DEFINITION):
            error = NoStatement(bytes(self._data[self._at : self._at + 200]), phrase("it has no end"))
            error.is_endless = True
            raise error
