"""The head of a definition that is in two character sets, and which parts of it the server wrote."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cache
from typing import NamedTuple

from backups.dumpfile.dialect import Quoting, quoting
from backups.dumpfile.encodings import WIDE

# No server makes a longer one. What is longer is read as it stands.
LONGEST_HEAD = 1 << 16

_GAP = re.compile(rb"(?:\s|/\*M?!\d{5,6}|\*/|)*+")
_WORD = re.compile(rb"[A-Za-z_]++")
_UTF8_NAME = re.compile(rb"`(?:[^`]|``)*+`|\"(?:[^\"]|\"\")*+\"", re.S)
_QUOTED_TEXT = rb"'(?:[^'\\]|\\.|'')*+'"
_IN_SCHEDULE = re.compile(
    rb"(?P<comment>\bCOMMENT\s+)(?P<text>" + _QUOTED_TEXT + rb")|" + _QUOTED_TEXT + rb"|`(?:[^`]|``)*+`"
    rb"|(?P<do>\bDO\b)|[A-Za-z_]++|[^'`A-Za-z_]",
    re.S | re.I,
)
_RETURNS = re.compile(rb"\s*RETURNS\s(?:" + _QUOTED_TEXT + rb"|[^'\n]|)*+\n", re.S)
_CHARACTERISTIC = re.compile(rb"    (?:COMMENT (" + _QUOTED_TEXT + rb")|[A-Z][A-Z ]*+)\n", re.S)
_CHARACTERISTIC_BEGINS = b"    "
# What comes behind a name, by which one that was read in the wrong character set is noticed.
_BEHIND_USER = re.compile(rb"\s*(?:@|\*/|[A-Z])")
_BEHIND_HOST = re.compile(rb"\s*(?:\*/|[A-Z])", re.I)
_BEHIND_TRIGGER = re.compile(rb"\s*\.|\s+(?:BEFORE|AFTER)\b", re.I)
_BEHIND_EVENTS = re.compile(rb"\s+ON\b", re.I)
_BEHIND_TABLE = re.compile(rb"\s*\.|\s+FOR\b", re.I)
_BEHIND_ROUTINE = re.compile(rb"\s*\(")
_ANYTHING = re.compile(rb"")
_LONGEST_BEHIND = 32
QUOTES = (b"`", b'"')


class Incomplete(Exception):
    """More of the statement is wanted."""


class Part(NamedTuple):
    """A part of a head that the server wrote: `role` is what it is."""

    role: str
    start: int
    end: int


@dataclass
class Head:
    """What stands before a body, and where the body (or the first of what its author typed) begins."""

    kind: str = ""
    parts: list[Part] = field(default_factory=list)
    end: int = 0

    def part(self, role: str) -> Part | None:
        """The part that has this role."""
        return next((part for part in self.parts if part.role == role), None)


def read_head(
    data: bytes | bytearray, at: int, charset: str, sql_mode: str, *, is_whole: bool
) -> Head | None:
    """The head of the definition at `at`; None for what is no trigger, event or routine.

    Raises Incomplete unless it `is_whole`.
    """
    scan = _Scan(data, at, charset, sql_mode, is_whole=is_whole or len(data) - at > LONGEST_HEAD)
    try:
        return scan.head()
    except _NoHead:
        return None


class _NoHead(Exception):
    pass


class _Scan:
    def __init__(
        self, data: bytes | bytearray, at: int, charset: str, sql_mode: str, *, is_whole: bool
    ) -> None:
        self._data, self._at, self._is_whole = data, at, is_whole
        self._most = at + LONGEST_HEAD
        self._charset = charset
        self._quotes = quoting(charset, sql_mode)
        self._client_name = _names(self._quotes)
        self._head = Head()

    def head(self) -> Head:
        """Read it. Raises _NoHead, Incomplete."""
        self._expect(b"CREATE")
        while True:
            word = self._word().upper()
            if word == b"OR":
                self._expect(b"REPLACE")
            elif word == b"DEFINER":
                self._definer()
            elif word != b"AGGREGATE":
                break
        readers = {b"TRIGGER": self._trigger, b"EVENT": self._event}
        readers |= dict.fromkeys((b"PROCEDURE", b"FUNCTION", b"PACKAGE"), self._routine)
        if word not in readers:
            raise _NoHead
        self._head.kind = word.decode().lower()
        readers[word]()
        self._head.end = self._at
        return self._head

    def _trigger(self) -> None:
        self._if_not_exists()
        self._name("name", _BEHIND_TRIGGER)
        if self._is_at(b"."):
            self._at += 1
            self._name("name", _BEHIND_TRIGGER)
        while self._word().upper() != b"ON":
            if self._is_at(b","):
                self._at += 1
        self._name("table", _BEHIND_TABLE)
        if self._is_at(b"."):
            self._at += 1
            self._name("table", _BEHIND_TABLE)
        self._expect(b"FOR", b"EACH", b"ROW")

    def _event(self) -> None:
        self._if_not_exists()
        self._name("name", _BEHIND_EVENTS)
        while True:
            found = self._match(_IN_SCHEDULE)
            if found["comment"]:
                self._head.parts.append(Part("comment", *found.span("text")))
            elif found["do"]:
                return

    def _routine(self) -> None:
        if self._head.kind == "package":
            begin = self._at
            if self._word().upper() != b"BODY":
                self._at = begin
        self._if_not_exists()
        self._name("name", _BEHIND_ROUTINE if self._head.kind != "package" else _ANYTHING)
        if self._head.kind != "package":
            self._parameters()
        if self._head.kind == "function" and (found := self._match_or_none(_RETURNS)):
            self._head.parts.append(Part("type", *found.span()))
        if self._is_at(b"\n", gap=False):
            self._at += 1
        while found := self._characteristic():
            if found[1]:
                self._head.parts.append(Part("comment", *found.span(1)))

    def _characteristic(self) -> re.Match[bytes] | None:
        begins = bytes(self._data[self._at : self._at + len(_CHARACTERISTIC_BEGINS)])
        if begins != _CHARACTERISTIC_BEGINS:
            if _CHARACTERISTIC_BEGINS.startswith(begins):
                self._want_more()
            return None
        return self._match_or_none(_CHARACTERISTIC)

    def _parameters(self) -> None:
        """In parentheses, as their author typed them."""
        pattern = _in_parentheses(self._quotes, WIDE.get(self._charset))
        depth = 0
        while True:
            found = self._match(pattern)
            depth += (found[0] == b"(") - (found[0] == b")")
            if not depth:
                return

    def _definer(self) -> None:
        if not self._is_at(b"="):
            raise _NoHead
        self._at += 1
        self._name("definer", _BEHIND_USER)
        if self._is_at(b"("):
            self._at += 1
            if not self._is_at(b")"):
                raise _NoHead
            self._at += 1
        elif self._is_at(b"@"):
            self._at += 1
            self._name("host", _BEHIND_HOST)

    def _if_not_exists(self) -> None:
        begin = self._at
        self._gap()
        if (found := _WORD.match(self._data, self._at)) and found[0].upper() == b"IF":
            self._expect(b"IF", b"NOT", b"EXISTS")
        else:
            self._at = begin

    # ------------------------------------------------------------ Bytes

    def _name(self, role: str, behind: re.Pattern[bytes]) -> None:
        """A name, read so that what must follow it follows: it may be in either character set."""
        self._gap()
        data, at = self._data, self._at
        if data[at : at + 1] not in QUOTES:
            found = self._match(_bare(WIDE.get(self._charset)))
            self._head.parts.append(Part(role, *found.span()))
            return
        matches = [pattern.match(data, at) for pattern in (_UTF8_NAME, self._client_name)]
        ends = [found.end() for found in matches if found]
        if not ends or max(ends) > len(data) - _LONGEST_BEHIND:
            self._want_more()
        fitting = [end for end in ends if behind.match(data, end)] or ends
        if not fitting:
            raise _NoHead
        self._head.parts.append(Part(role, at, fitting[0]))
        self._at = fitting[0]

    def _expect(self, *words: bytes) -> None:
        for word in words:
            if self._word().upper() != word:
                raise _NoHead

    def _word(self) -> bytes:
        self._gap()
        return self._match(_WORD)[0]

    def _gap(self) -> None:
        found = _GAP.match(self._data, self._at)
        assert found is not None  # noqa: S101  it matches nothing as well
        self._at = found.end()
        # The end may fall into a version comment's mark.
        if self._at > len(self._data) - 10:
            self._want_more()

    def _is_at(self, sign: bytes, *, gap: bool = True) -> bool:
        if gap:
            self._gap()
        if self._at >= len(self._data):
            self._want_more()
        return bytes(self._data[self._at : self._at + 1]) == sign

    def _match(self, pattern: re.Pattern[bytes]) -> re.Match[bytes]:
        found = self._match_or_none(pattern)
        if found is None:
            raise _NoHead
        return found

    def _match_or_none(self, pattern: re.Pattern[bytes]) -> re.Match[bytes] | None:
        if self._at > self._most:
            raise _NoHead
        found = pattern.match(self._data, self._at)
        if found is None or found.end() >= len(self._data):
            self._want_more()
        if found is not None:
            self._at = found.end()
        return found

    def _want_more(self) -> None:
        if not self._is_whole:
            raise Incomplete


@cache
def _names(quotes: Quoting) -> re.Pattern[bytes]:
    return re.compile(quotes.name + rb"|" + quotes.double, re.S)


@cache
def _bare(wide: bytes | None) -> re.Pattern[bytes]:
    return re.compile(rb"(?:" + (wide + rb"|" if wide else b"") + rb"[^\s`\"'(.@,;*/])++", re.S)


@cache
def _in_parentheses(quotes: Quoting, wide: bytes | None) -> re.Pattern[bytes]:
    # What does not end goes on to the end, so that nothing is looked at twice.
    ways = (quotes.text, quotes.double, quotes.name)
    quoted = b"|".join(whole + rb"|" + whole[:1] + rb".*+" for whole in ways)
    comment = rb"/\*(?>(?s:.*?)(?:\*/|\Z))|(?:#|--\s)[^\n]*+(?:\n|\Z)"
    letters = rb"|" + wide if wide else b""
    return re.compile(rb"[\w\s,.:;=*+]++|" + quoted + rb"|" + comment + letters + rb"|.", re.S)
