"""A statement of a binary log word by word: its names, each with the database that it means."""

from __future__ import annotations

import re
from copy import copy
from dataclasses import dataclass
from enum import Enum

from backups.binlog.logged import Logged, Wanted
from backups.dumpfile.lexer import Cursor, Kind, Token, Unexpected

_NUMBER = re.compile(rb"\d+(?:[eE]\d+)?|0[xX][0-9a-fA-F]+|0[bB][01]+")
_DIGITS = re.compile(rb"\d+(?:[eE]\d*)?")
# The servers end such a number where its digits do, and read on there: `1e1FROM` and `1.5FROM` are two words.
_EXPONENT = rb"(?:[eE][+-]?+\d++|(?![eE][+-]?\d))"
_GLUED = re.compile(rb"(?:\d++\.\d*+" + _EXPONENT + rb"|\d++[eE][+-]?+\d++)(?=[A-Za-z_$\x80-\xff])")
_GLUED_FRACTION = re.compile(rb"\.\d++" + _EXPONENT + rb"(?=[A-Za-z_$\x80-\xff])")
# In some character sets such a letter is a control character, with which a comment begins.
_MAYBE_COMMENT = re.compile(rb"--[\x7f-\xff]")
# With a blank or a quote between them and a point these are no names, but keywords before `.name`.
_KEYWORDS = frozenset(
    b"SELECT FROM JOIN STRAIGHT_JOIN TABLE LATERAL LIKE REFERENCES RENAME TO AS FOR EXISTS WITH UNION".split()
)
_OF_NAMES = re.compile(rb"[0-9A-Za-z_$\x80-\xff]")
_MOST_PARTS = 3


class Role(Enum):
    """What a statement does with what it names."""

    CHANGED = "changed"
    # What a foreign key points to.
    PARENT = "parent"
    READ = "read"


class Qualifier(Enum):
    """What becomes of the database's name before another one, for another database."""

    # The other's, also where there was none.
    PUT = "put"
    # The other's where there was one.
    REPLACED = "replaced"
    # None: the server keeps the statement as it is typed.
    CUT = "cut"
    # It is the name, and nothing follows it.
    NAME = "name"


@dataclass(frozen=True)
class Named:
    """A table, view, trigger, routine … that a statement names. `is_ours` says that the database is ours."""

    role: Role
    database: str
    name: str
    is_ours: bool
    is_qualified: bool


@dataclass(frozen=True)
class Place:
    """Where a name stands with its qualifier, where it does alone, and what becomes of the qualifier."""

    start: int
    own: int
    becomes: Qualifier
    # A name alone that begins with a digit is no name behind the quotes that come before it.
    bare: bytes = b""


class Words(Cursor):
    """Goes through a statement, and takes nothing that servers may read otherwise."""

    def __init__(self, logged: Logged) -> None:
        super().__init__(logged.text, logged.dialect, logged.charset, logged.quoting_mode)

    def take(self) -> Token:
        """The next token. Raises Unexpected where there is none, or a server may see another one."""
        before = self.reached
        token = super().take()
        # A server's comment of one line ends there, and so may its statement.
        if b"\0" in self.text[before : token.start]:
            raise Unexpected
        # MySQL's texts in dollars, outside of bodies.
        if token.kind == Kind.WORD and token.text.startswith(b"$"):
            raise Unexpected
        if token.kind == Kind.WORD and _GLUED.match(self.text, token.start):
            raise Unexpected
        if _MAYBE_COMMENT.match(self.text, token.start):
            raise Unexpected
        return token

    def glance(self) -> Words:
        """Another one at the same place, only to look: nothing that it finds can be written. It costs the
        same however much was read."""
        other = copy(self)
        other._edits = []
        return other


class Reading:
    """What was read of a statement so far. All of it raises Unexpected where something is not clear."""

    def __init__(self, logged: Logged, wanted: Wanted) -> None:
        self.logged, self.wanted = logged, wanted
        self.words = Words(logged)
        self.named: list[Named] = []
        self.places: list[Place] = []
        self.has_default = wanted.is_named(logged.default_database)

    # ------------------------------------------------------------ Names

    def chain(self, first: Token | None = None) -> list[Token]:
        """A name with those before its dots. The last may be `*`."""
        first = first or self.words.take()
        if first.kind not in (Kind.WORD, Kind.NAME) or self.is_number(first):
            raise Unexpected
        parts = [first]
        while self.words.sees(b".") and not self._begins_number(parts[-1]):
            point = self.words.take()
            if self._is_keyword(parts[-1], point):
                raise Unexpected
            part = self.words.take()
            if part.kind not in (Kind.WORD, Kind.NAME) and not part.says(b"*"):
                raise Unexpected
            parts.append(part)
            if len(parts) > _MOST_PARTS:
                raise Unexpected
        if any(not self.words.plain(part) for part in parts):
            raise Unexpected
        return parts

    def _is_keyword(self, word: Token, point: Token) -> bool:
        """Whether a word before a point is none of a name: names without quotes are next to their points."""
        if word.kind != Kind.WORD or word.text.upper() not in _KEYWORDS:
            return False
        return point.start != word.end or not _OF_NAMES.match(self.words.text, point.end)

    def _begins_number(self, before: Token) -> bool:
        """Whether the point that comes next is that of a number, as in `DEFAULT .5`."""
        point = self.words.token
        if point is None or not self.words.text[point.end : point.end + 1].isdigit():
            return False
        return before.kind == Kind.NAME or point.start != before.end

    def object(self, role: Role = Role.CHANGED, becomes: Qualifier = Qualifier.PUT) -> Named:
        """Take the name of a table or the like, with or without that of its database."""
        return self.resolve(self.chain(), role, becomes)

    def resolve(
        self, parts: list[Token], role: Role = Role.CHANGED, becomes: Qualifier = Qualifier.PUT
    ) -> Named:
        """Remember what a name of one or two parts means."""
        own = parts[-1]
        if len(parts) > 2 or own.kind == Kind.SIGN:
            raise Unexpected
        name = self.words.plain(own)
        if name.casefold().startswith("#mysql50#"):
            raise Unexpected
        if len(parts) == 1:
            named = Named(role, self.logged.default_database, name, self.has_default, False)
        else:
            named = Named(role, self.words.plain(parts[0]), name, self._is_ours(parts[0]), True)
        self.named.append(named)
        if named.is_ours and (named.is_qualified or becomes == Qualifier.PUT):
            self._place(parts[0].start, own, becomes)
        return named

    def column_of_table(self, parts: list[Token]) -> None:
        """Remember a column that is named with its table and its database, or a function of a package."""
        is_ours = self._is_ours(parts[0])
        name = self.words.plain(parts[1])
        self.named.append(Named(Role.READ, self.words.plain(parts[0]), name, is_ours, True))
        if is_ours:
            self._place(parts[0].start, parts[1], Qualifier.REPLACED)

    def _place(self, start: int, own: Token, becomes: Qualifier) -> None:
        begins_with_digit = own.kind == Kind.WORD and own.text[:1].isdigit()
        self.places.append(Place(start, own.start, becomes, own.text if begins_with_digit else b""))

    def database(self) -> bool:
        """Take a database's name, which stands alone; answers whether it is ours."""
        parts = self.chain()
        if len(parts) != 1:
            raise Unexpected
        is_ours = self._is_ours(parts[0])
        name = self.words.plain(parts[0])
        self.named.append(Named(Role.CHANGED, name, "", is_ours, True))
        if is_ours:
            self.places.append(Place(parts[0].start, parts[0].end, Qualifier.NAME))
        return is_ours

    def default_database(self) -> None:
        """The default database is meant, whose name could stand here."""
        at = self.words.reached
        self.named.append(Named(Role.CHANGED, self.logged.default_database, "", self.has_default, False))
        if self.has_default:
            self.places.append(Place(at, at, Qualifier.NAME))

    def _is_ours(self, qualifier: Token) -> bool:
        raw = qualifier.text
        if qualifier.kind == Kind.NAME:
            raw = raw[1:-1].replace(2 * raw[:1], raw[:1])
        return self.wanted.is_named(self.words.plain(qualifier), raw)

    def may_name_another(self) -> bool:
        """Whether anything up to the end has a name before its dot that is not ours: another database's, but
        it may be a table's as well."""
        words = self.words
        while words.token is not None:
            first = words.take()
            if self.is_number(first):
                self.pass_number(first)
            elif first.kind in (Kind.WORD, Kind.NAME) and words.sees(b"."):
                if not self._is_ours(first):
                    return True
                while words.accept(b"."):
                    words.take()
        return False

    # ------------------------------------------------------------ Between names

    def is_number(self, token: Token) -> bool:
        """Whether a word is a number, or its beginning."""
        return token.kind == Kind.WORD and bool(_NUMBER.fullmatch(token.text))

    def pass_number(self, token: Token) -> None:
        """Pass over what is behind the point of a number, which `token` begins: its digits or its point."""
        if token.kind == Kind.WORD and not self._follows_at_once(token.end, b"."):
            return
        point = self.words.take() if token.kind == Kind.WORD else token
        if _GLUED_FRACTION.match(self.words.text, point.start):
            raise Unexpected
        following = self.words.token
        if following is not None and following.start == point.end and _DIGITS.fullmatch(following.text):
            self.words.take()
        elif token.kind == Kind.SIGN:
            raise Unexpected  # a name with nothing before its dot

    def _follows_at_once(self, at: int, sign: bytes) -> bool:
        token = self.words.token
        return token is not None and token.start == at and token.says(sign)

    def pass_in_parentheses(self) -> None:
        """Pass over a list in parentheses, which must come now, and take no name from it."""
        self.words.expect(b"(")
        depth = 1
        while depth:
            token = self.words.take()
            depth += token.says(b"(") - token.says(b")")

    def end(self) -> None:
        """Raises Unexpected where anything follows."""
        self.words.accept(b";")
        self.words.the_end()

    # ------------------------------------------------------------ The statement for another database

    def written(self, qualifier: bytes, *, with_body: bool) -> bytes:
        """The statement with `qualifier`, a database's name in quotes, before what is ours.

        `with_body` says that what was not read is a body and stays as it is. Raises Unexpected.
        """
        words = self.words.ahead()
        instead = {
            Qualifier.PUT: qualifier + b".",
            Qualifier.REPLACED: qualifier + b".",
            Qualifier.CUT: b"",
            Qualifier.NAME: b" " + qualifier + b" ",
        }
        for place in self.places:
            quoted = b"`" + place.bare + b"`" if place.bare else b""
            words.cut(place.start, place.own + len(place.bare), instead[place.becomes] + quoted)
        return words.with_body() if with_body else words.rewritten()
