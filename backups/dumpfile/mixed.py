"""Definitions that a dump program writes in two character sets at once, put into one.

A body is dumped as its author's client sent it, under that client's character set. What the server
itself puts before it is in UTF-8 all the same: the name of a routine, an event or (MySQL from 8 on)
a trigger, who defines it, a comment, the type that a function gives back. Sent as it is written,
`prüfe` made by a latin1 client becomes `prÃ¼fe`. So the server's parts are translated first.

What a server says of a comment is escaped with backslashes even where the definition's own sql_mode
knows none: left so, each restore would double them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import NamedTuple

from backups.dumpfile.dialect import Quoting, quoting
from backups.dumpfile.encodings import WIDE, bytes_of, text_of
from backups.dumpfile.settings import Settings

# No server makes a longer one. What is longer is read as it stands.
LONGEST_HEAD = 1 << 16

_GAP = re.compile(rb"(?:\s|/\*M?!\d{5,6}|\*/)*+")
_WORD = re.compile(rb"[A-Za-z_]++")
_UTF8_NAME = re.compile(rb"`(?:[^`]|``)*+`|\"(?:[^\"]|\"\")*+\"", re.S)
_QUOTED_TEXT = rb"'(?:[^'\\]|\\.|'')*+'"
_IN_SCHEDULE = re.compile(
    rb"(?P<comment>\bCOMMENT\s+)(?P<text>" + _QUOTED_TEXT + rb")|" + _QUOTED_TEXT + rb"|`(?:[^`]|``)*+`"
    rb"|(?P<do>\bDO\b)|[A-Za-z_]++|[^'`A-Za-z_]",
    re.S | re.I,
)
_RETURNS = re.compile(rb"\s*RETURNS\s(?:" + _QUOTED_TEXT + rb"|[^'\n])*+\n", re.S)
_OF_TYPE = re.compile(r"\bCHARSET (\w+)")
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
_QUOTES = (b"`", b'"')
_UNESCAPED = {b"\\n": b"\n", b"\\r": b"\r", b"\\0": b"\0", b"\\\\": b"\\", b"''": b"'"}
_PLAIN_TEXT = re.compile(rb"'(?:[^']|'')*+'", re.S)
_ESCAPE = re.compile(rb"\\[nr0\\]|''")
_INTRODUCED = re.compile(rb"\b(_[a-z0-9]++)\s*+'([^'\\]*+)'", re.I)


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


def may_be_mixed(settings: Settings) -> bool:
    """Whether a definition under these settings is to be looked at."""
    return not settings.charset.startswith("utf8") or not _escapes(settings.sql_mode)


def is_wide(charset: str) -> bool:
    """Whether quotes can only be found where it is known what is in which character set."""
    return charset in WIDE


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
        if data[at : at + 1] not in _QUOTES:
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
    comment = rb"/\*(?:[^*]|\*(?!/))*+(?:\*/|\Z)|(?:#|--\s)[^\n]*+(?:\n|\Z)"
    letters = rb"|" + wide if wide else b""
    return re.compile(rb"[\w\s,.:;=*+]++|" + quoted + rb"|" + comment + letters + rb"|.", re.S)


# ---------------------------------------------------------------- Into one character set


@dataclass(frozen=True)
class Known:
    """What tells in which character set a name is: the dump's server, its tables, what it drops before."""

    by_mariadb: bool
    is_table: Callable[[str], bool] = lambda _: False
    is_dropped: Callable[[str, str], bool] = lambda _kind, _name: False


class Plain(NamedTuple):
    """A definition in one character set: its statement, its settings, and what is to follow it.

    `why` says what will not be as it was, where that cannot be helped.
    """

    text: bytes
    settings: Settings
    following: bytes = b""
    why: str = ""


def in_one_charset(text: bytes, settings: Settings, known: Known) -> Plain:
    """A definition of a dump with what the server wrote of it in the character set of the rest."""
    head = read_head(text, 0, settings.charset, settings.sql_mode, is_whole=True)
    if head is None:
        return Plain(text, settings)
    said = [(part, _said(text, head, part, settings, known)) for part in head.parts]
    charset = settings.charset
    lacking = [part for part, words in said if words is not None and bytes_of(words, charset) is None]
    if not lacking:
        return Plain(_put(text, said, charset), settings)
    comments = [part for part in head.parts if part.role == "comment"]
    title = _title(text, head, said)
    if lacking == comments and len(comments) == 1 and title and head.kind in ("procedure", "function"):
        return _comment_later(text, settings, f"{head.kind.upper()} {title}", said)
    return _in_utf8(text, settings, said)


def _title(text: bytes, head: Head, said: list[tuple[Part, str | None]]) -> str:
    """What a definition is called, quoted as it stands; empty where that is not to be told."""
    name = head.part("name")
    words = next((words for part, words in said if part is name), None)
    if words is None and name is not None and (data := text[name.start : name.end]).isascii():
        return data.decode()
    return words or ""


def name_of(text: bytes, charset: str, sql_mode: str, known: Known) -> str | None:
    """What a definition is called; None where that is not to be told from it."""
    head = read_head(text, 0, charset, sql_mode, is_whole=True)
    part = head.part("name") if head is not None else None
    if head is None or part is None:
        return None
    quoted = _chosen(text[part.start : part.end], head, part, charset, known)
    return None if quoted is None else _unquoted(quoted)


def _said(text: bytes, head: Head, part: Part, settings: Settings, known: Known) -> str | None:
    """What a part says; None where it is to be left as it stands."""
    data = text[part.start : part.end]
    if part.role in ("comment", "type"):
        if not _escapes(settings.sql_mode):
            data = _without_escapes(data)
            # As no server writes it: it would end elsewhere than it seems to.
            if part.role == "comment" and not _PLAIN_TEXT.fullmatch(data):
                return None
        return text_of(data, "utf8mb4")
    # What stands in no quotes is as its author typed it.
    if data.isascii() or data[:1] not in _QUOTES:
        return None
    return _chosen(data, head, part, settings.charset, known)


def _chosen(data: bytes, head: Head, part: Part, charset: str, known: Known) -> str | None:
    """A name in the character set that it most likely is in; None where it is in neither."""
    readings = [text_of(data, "utf8mb4"), text_of(data, charset)]
    if not _is_written_by_server(data, head, part, known):
        readings.reverse()
    readable = [reading for reading in readings if reading is not None]
    certain = [reading for reading in readable if _is_known(_unquoted(reading), head, part, known)]
    return next(iter(certain or readable), None)


def _is_written_by_server(data: bytes, head: Head, part: Part, known: Known) -> bool:
    """MariaDB translates what it says of routines, and keeps a trigger as its author typed it."""
    if head.kind == "event" or (part.role in ("definer", "host") and head.kind == "trigger"):
        return True
    return not known.by_mariadb and data[:1] in _QUOTES


def _is_known(name: str, head: Head, part: Part, known: Known) -> bool:
    if part.role == "table":
        return known.is_table(name)
    return part.role == "name" and known.is_dropped(head.kind, name)


def _put(text: bytes, said: list[tuple[Part, str | None]], charset: str) -> bytes:
    """The statement with these parts in a character set that has them all."""
    pieces, at = [], 0
    for part, words in said:
        written = None if words is None else bytes_of(words, _taken_as(part, words, charset))
        pieces += [text[at : part.start], text[part.start : part.end] if written is None else written]
        at = part.end
    return b"".join([*pieces, text[at:]])


def _taken_as(part: Part, words: str, charset: str) -> str:
    """In which character set the server takes a part that comes from a client of `charset`."""
    if part.role == "type" and charset == "binary" and (own := _OF_TYPE.search(words)):
        return own[1]
    return charset


def _comment_later(text: bytes, settings: Settings, title: str, said: list[tuple[Part, str | None]]) -> Plain:
    """A comment that was altered by a client of another character set can be given in that way again."""
    comment = next(words for part, words in said if part.role == "comment")
    without = [(part, "''" if part.role == "comment" else words) for part, words in said]
    following = f"ALTER {title} COMMENT {comment}".encode()
    return Plain(_put(text, without, settings.charset), settings, following)


def _in_utf8(text: bytes, settings: Settings, said: list[tuple[Part, str | None]]) -> Plain:
    """The whole in UTF-8, since its own character set has not all of it."""
    why = f"its character set {settings.charset} lacks what it is now called by or refers to, so it is made "
    pieces, at = [], 0
    for part, words in said:
        as_it_stands = text_of(text[part.start : part.end], settings.charset)
        pieces += [_read(text[at : part.start], settings.charset), as_it_stands if words is None else words]
        at = part.end
    pieces.append(_read(text[at:], settings.charset))
    if None in pieces:
        return Plain(text, settings, why=f"{why}under another name")
    whole = "".join(piece for piece in pieces if piece is not None)
    return Plain(whole.encode(), settings.in_utf8, why=f"{why}as by a client of utf8mb4")


def _read(body: bytes, charset: str) -> str | None:
    """What a body says. A text with its own character set before it keeps its bytes, written in digits."""
    return text_of(
        _INTRODUCED.sub(
            lambda found: (
                found[0] if found[2].isascii() else b"%s x'%s'" % (found[1], found[2].hex().encode())
            ),
            body,
        ),
        charset,
    )


def _escapes(sql_mode: str) -> bool:
    return "NO_BACKSLASH_ESCAPES" not in sql_mode.upper()


def _without_escapes(data: bytes) -> bytes:
    return _ESCAPE.sub(lambda found: found[0] if found[0] == b"''" else _UNESCAPED[found[0]], data)


def _unquoted(name: str) -> str:
    quote = name[:1]
    return name[1:-1].replace(2 * quote, quote) if quote in ("`", '"') else name
