"""The words of one statement, read as the server reads them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from copy import copy
from enum import Enum
from functools import cache
from typing import NamedTuple

from backups.dumpfile.dialect import Dialect, Quoting, quoting
from backups.dumpfile.encodings import WIDE, decoded, is_utf8, text_of

_BLANK = re.compile(rb"[\s\x00]++")
_LINE_COMMENT = re.compile(rb"(?:--(?=[\s\x00-\x1f\x7f]|$)|#)[^\n]*+(?:\n|$)")
_COMMENT = re.compile(rb"/\*(?>(?s:.*?)\*/)")


# So many blanks stand at most between a version comment's mark and its first word.
_LONGEST_BEFORE = 256


class Unexpected(Exception):
    """The statement is not what it begins as."""


class Kind(Enum):
    """What a token is. A `WORD` is a keyword, a bare name or a number."""

    WORD = "word"
    NAME = "name"
    TEXT = "text"
    SIGN = "sign"


class Token(NamedTuple):
    """A word of a statement and where it stands in it."""

    kind: Kind
    text: bytes
    start: int
    end: int

    def says(self, word: bytes) -> bool:
        """Whether it is this keyword or sign, given in capitals. What is quoted is neither."""
        return self.kind in (Kind.WORD, Kind.SIGN) and self.text.upper() == word


class Name(NamedTuple):
    """A name and what stands before its dot; `start` is where the whole begins, `own` where the name does."""

    qualifier: str | None
    name: str
    start: int
    own: int
    end: int


@cache
def _word(wide: bytes | None) -> re.Pattern[bytes]:
    letter = wide + rb"|" if wide else b""
    return re.compile(rb"(?:" + letter + rb"[0-9A-Za-z_$\x80-\xff])++", re.S)


@cache
def _quoted_tokens(quotes: Quoting) -> re.Pattern[bytes]:
    return re.compile(
        rb"(?P<text>"
        + quotes.text
        + rb")|(?P<name>"
        + quotes.name
        + rb")|(?P<double>"
        + quotes.double
        + rb")",
        re.S,
    )


def resolved(statement: bytes, dialect: Dialect) -> bytes:
    """A statement without version comments, as a server reads it. Raises Unexpected."""
    cursor = Cursor(statement, dialect, "utf8mb4", "")
    for _ in cursor.rest():
        pass
    return cursor.rewritten()


class Cursor:
    """Goes through a statement token by token, and remembers what is to be cut or put otherwise.

    Version comments are resolved for the server: what it would read is read, the rest is cut. So
    what `rewritten` gives holds none of them before the place that was reached.
    """

    def __init__(self, text: bytes, dialect: Dialect, charset: str, sql_mode: str) -> None:
        self.text = text
        self.charset = charset
        self._dialect = dialect
        quotes = quoting(charset, sql_mode)
        self._double_is_name = quotes.double_is_name
        self._quoted = _quoted_tokens(quotes)
        self._at = 0
        # Where an open version comment began.
        self._opened: int | None = None
        self._edits: list[tuple[int, int, bytes]] = []
        self._next: Token | None = None
        # Read only when it is asked for: what follows a head may be a body, which is not ours to read.
        self._is_read = False
        self.reached = 0

    # ------------------------------------------------------------ Reading

    def ahead(self) -> Cursor:
        """Another one at the same place, to look at what follows without going there."""
        other = copy(self)
        other._edits = [*self._edits]
        return other

    @property
    def token(self) -> Token | None:
        """The next token, None at the end. Raises Unexpected."""
        if not self._is_read:
            self._next = self._read()
            self._is_read = True
        return self._next

    def take(self) -> Token:
        """The next token, which must be there."""
        token = self.token
        if token is None:
            raise Unexpected
        self._is_read = False
        self.reached = token.end
        return token

    def sees(self, *words: bytes) -> bool:
        """Whether the next token is one of these keywords or signs."""
        token = self.token
        return token is not None and any(token.says(word) for word in words)

    def accept(self, *words: bytes) -> bool:
        """Pass over the first of these keywords or signs, and then over the others, which must follow it."""
        if not self.sees(words[0]):
            return False
        self.take()
        for word in words[1:]:
            self.expect(word)
        return True

    def expect(self, *words: bytes) -> None:
        """Pass over these. Raises Unexpected."""
        for word in words:
            if not self.sees(word):
                raise Unexpected
            self.take()

    def name(self) -> Name:
        """A name, with or without one before its dot. Raises Unexpected."""
        first = self._name_token()
        if not self.accept(b"."):
            return Name(None, self._plain(first), first.start, first.start, first.end)
        own = self._name_token()
        if self.sees(b"."):
            raise Unexpected
        return Name(self._plain(first), self._plain(own), first.start, own.start, own.end)

    def the_end(self) -> None:
        """Raises Unexpected where anything follows."""
        if self.token is not None:
            raise Unexpected

    def rest(self) -> Iterator[Token]:
        """All tokens that are left."""
        while self.token is not None:
            yield self.take()

    def plain(self, token: Token) -> str:
        """What a quoted name or text, or a bare word, says."""
        return self._plain(token)

    def _name_token(self) -> Token:
        token = self.take()
        if token.kind not in (Kind.NAME, Kind.WORD):
            raise Unexpected
        return token

    def _plain(self, token: Token) -> str:
        text = token.text
        if token.kind == Kind.NAME or token.kind == Kind.TEXT:
            quote = text[:1]
            text = text[1:-1].replace(2 * quote, quote)
        return decoded(text, self.charset)

    def _read(self) -> Token | None:
        text = self.text
        while True:
            self._at = self._after_blanks(self._at)
            if self._at >= len(text):
                return None
            if self._opened is not None and text.startswith(b"*/", self._at):
                self._edits.append((self._at, self._at + 2, b" "))
                self._opened = None
                self._at += 2
                continue
            if text.startswith(b"/*", self._at) and self._version_comment():
                continue
            token = self._token_at(self._at)
            self._at = token.end
            return token

    def _after_blanks(self, at: int) -> int:
        """Past blanks and comments that are none of a version."""
        text = self.text
        while True:
            found = _BLANK.match(text, at) or _LINE_COMMENT.match(text, at)
            if found is None and text.startswith(b"/*", at):
                is_plain = self._dialect.version_comment(text, at) is None
                found = _COMMENT.match(text, at) if is_plain else None
            if found is None:
                return at
            at = found.end()

    def _version_comment(self) -> bool:
        """Open or cut a version comment."""
        found = self._dialect.version_comment(self.text, self._at)
        if found is None or self._opened is not None:
            raise Unexpected  # a comment that does not end, or one in the other
        inside, is_read = found
        if is_read:
            self._edits.append((self._at, inside, b" "))
            self._opened = self._at
            self._at = inside
            return True
        end = self.text.find(b"*/", inside)
        # Servers differ in what a comment in it means.
        if end < 0 or b"/*" in self.text[inside:end]:
            raise Unexpected
        self._edits.append((self._at, end + 2, b" "))
        self._at = end + 2
        return True

    def _token_at(self, at: int) -> Token:
        if found := _word(WIDE.get(self.charset)).match(self.text, at):
            # In other character sets such a byte may be a blank to the server.
            if not found[0].isascii() and not self._is_word(found[0]):
                raise Unexpected
            return Token(Kind.WORD, found[0], at, found.end())
        if found := self._quoted.match(self.text, at):
            is_name = found.lastgroup == "name" or (found.lastgroup == "double" and self._double_is_name)
            return Token(Kind.NAME if is_name else Kind.TEXT, found[0], at, found.end())
        sign = self.text[at : at + 1]
        if sign in (b"'", b'"', b"`"):
            raise Unexpected  # a text that does not end
        return Token(Kind.SIGN, sign, at, at + 1)

    def _is_word(self, word: bytes) -> bool:
        if is_utf8(self.charset):
            return True
        letters = text_of(word, self.charset)
        return letters is not None and all(each.isalpha() or each.isascii() for each in letters)

    # ------------------------------------------------------------ Writing

    @property
    def is_as_written(self) -> bool:
        """Whether there was nothing to resolve or cut so far."""
        return not self._edits

    def cut(self, start: int, end: int, instead: bytes = b"") -> None:
        """Leave a part of the statement out, or put something else there."""
        self._edits.append((start, end, instead))

    def cut_as_if_unsaid(self, start: int, end: int) -> None:
        """Leave out what was just taken, with the blank before it.

        If nothing else is in its version comment, then the whole of that.
        """
        if self._opened is not None:
            comment = self._dialect.version_comment(self.text, self._opened)
            closing = self._after_blanks(end)
            is_near = comment is not None and start - comment[0] <= _LONGEST_BEFORE
            is_alone = is_near and comment is not None and not self.text[comment[0] : start].strip()
            if is_alone and self.text.startswith(b"*/", closing):
                start, end = self._opened, closing + 2
        self.cut(start - self.text[start - 1 : start].isspace(), end)

    def rewritten(self) -> bytes:
        """The statement as it is to be sent, which must have been read to its end. Raises Unexpected."""
        self.the_end()
        if self._opened is not None:
            raise Unexpected
        return self._edited(len(self.text)).strip()

    def with_body(self) -> bytes:
        """The statement as it is to be sent, of which all from here on is a body: left as it is written.

        A version comment that is open here is closed at the very end, where its end is cut. Raises
        Unexpected where it is not.
        """
        at = self.reached
        body = self.text[at:].rstrip()
        if self._is_open_at(at):
            if not body.endswith(b"*/"):
                raise Unexpected
            body = body[:-2].rstrip()
        return (self._edited(at) + body).strip()

    def _is_open_at(self, at: int) -> bool:
        """Whether a version comment was open where `at` is."""
        marks = sorted((start, end) for start, end, _ in self._edits if start < at)
        is_open = False
        for start, _ in marks:
            if self.text.startswith(b"/*", start):
                found = self._dialect.version_comment(self.text, start)
                is_open = bool(found and found[1])
            elif self.text.startswith(b"*/", start):
                is_open = False
        return is_open

    def _edited(self, end: int) -> bytes:
        parts, at = [], 0
        for start, stop, instead in sorted(self._edits):
            if start >= end:
                break
            if start >= at:  # and not within what was cut
                parts += [self.text[at:start], instead]
            at = max(at, stop)
        return b"".join([*parts, self.text[at:end]])
