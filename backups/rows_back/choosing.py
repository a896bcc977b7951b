"""Conditions that choose rows: read here, and tried on the values of a difference. Never sent to a server.

They look like those of SQL. But text is compared letter by letter, with its case and its blanks, so that a
condition says the same on each server. What NULL makes unknown does not choose, as in SQL.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple, NoReturn

from backups.errors import Problem
from backups.rows_back.literals import value_of
from backups.rows_back.script import RowChange
from backups.rows_back.tables import Column, Of, Table
from backups.text.sentences import phrase

Choice = Callable[[RowChange], bool]

LONGEST = 4000
_DEEPEST = 50
_TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^']|''|)*+')|(?P<hex>0x[0-9A-Fa-f]+)|(?P<number>-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)"
    r"|(?P<name>`(?:[^`]|``|)*+`|[^\W\d]\w*)|(?P<sign><=|>=|<>|!=|[=<>(),.]))"
)
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq, "!=": operator.ne, "<>": operator.ne,
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
_TIME = re.compile(r"(-?)([0-9]+):([0-9]{2})(?::([0-9]{2}(?:\.[0-9]+)?))?")


class _Token(NamedTuple):
    kind: str
    text: str

    def says(self, word: str) -> bool:
        return self.kind in ("name", "sign") and self.text.lower() == word


class _Named(NamedTuple):
    """A column of one side; of none where it is as it was, or of a new row as it is."""

    column: Column
    side: str

    def of(self, change: RowChange) -> Any:
        """Its value, to be compared; None for NULL, and where there is none."""
        then, now = change.then, change.now
        row = then if self.side == "then" or (not self.side and then is not None) else now
        literal = (row or {}).get(self.column.name)
        value = None if literal is None else value_of(literal)
        return None if value is None else _comparable(value, self.column)


def condition(text: str, table: Table) -> Choice:
    """Whether a row is chosen by a condition as in `status = 'paid' and (price < 5 or note is null)`.

    A name is of the value as it was, or where the row was not there yet as it is; `then.price` and
    `now.price` name one of both. Raises Problem.
    """
    if len(text) > LONGEST:
        raise _wrong(phrase("it is longer than {most} characters", most=f"{LONGEST:,}"))
    reader = _Reader(_tokens(text), table)
    choice = reader.either(0)
    if reader.at < len(reader.tokens):
        reader.unexpected()
    return choice


class _Reader:
    def __init__(self, tokens: Sequence[_Token], table: Table) -> None:
        self.tokens, self.at, self._table = tokens, 0, table

    def either(self, depth: int) -> Choice:
        if depth > _DEEPEST:
            raise _wrong(phrase("it has too many brackets in one another"))
        found = [self._all(depth)]
        while self._accept("or"):
            found.append(self._all(depth))
        return found[0] if len(found) == 1 else lambda change: any(each(change) for each in found)

    def _all(self, depth: int) -> Choice:
        found = [self._one(depth)]
        while self._accept("and"):
            found.append(self._one(depth))
        return found[0] if len(found) == 1 else lambda change: all(each(change) for each in found)

    def _one(self, depth: int) -> Choice:
        if self._accept("("):
            found = self.either(depth + 1)
            self._expect(")")
            return found
        named = self._named()
        if self._accept("is"):
            is_not = self._accept("not")
            self._expect("null")
            return lambda change: (named.of(change) is None) != is_not
        for sign, holds in _COMPARE.items():
            if self._accept(sign):
                return _if_known(named, holds, self._value(named.column))
        is_not = self._accept("not")
        if self._accept("in"):
            return _if_known(
                named, lambda value, wanted: (value in wanted) != is_not, self._several(named.column)
            )
        self._expect("like")
        pattern = self._take("text")
        wanted = _pattern(pattern.text[1:-1].replace("''", "'"))
        return _if_known(named, lambda value, _: _is_like(_as_text(value), wanted) != is_not, None)

    def _named(self) -> _Named:
        side, name = "", _plain(self._take("name").text)
        if self._accept("."):
            if name.lower() not in ("then", "now"):
                raise _wrong(phrase("before a dot it has {name}, not then or now", name=name))
            side, name = name.lower(), _plain(self._take("name").text)
        columns = self._table.columns
        column = columns.get(name.encode()) or next(
            (each for key, each in columns.items() if key.decode(errors="replace").lower() == name.lower()),
            None,
        )
        if column is None:
            raise _wrong(phrase("the table {table} has no column {name}", table=self._table.name, name=name))
        if column.is_generated:
            raise _wrong(
                phrase("the server computes the column {name}, and no row is kept with it", name=name)
            )
        return _Named(column, side)

    def _several(self, column: Column) -> list[Any]:
        self._expect("(")
        found = [self._value(column)]
        while self._accept(","):
            found.append(self._value(column))
        self._expect(")")
        return found

    def _value(self, column: Column) -> Any:
        token = self._take("text", "number", "hex")
        if token.kind == "text":
            value = token.text[1:-1].replace("''", "'").encode()
        elif token.kind == "hex":
            digits = token.text[2:]
            value = bytes.fromhex("0" * (len(digits) % 2) + digits)
        else:
            value = token.text.encode()
            if column.of == Of.BITS:
                return Decimal(token.text)
        name = column.name.decode(errors="replace")
        if column.of == Of.TEXT and column.word != b"year" and token.kind != "text":
            raise _wrong(phrase("the column {name} holds text: write its value in quotes", name=name))
        found = _comparable(value, column)
        is_measured = column.of in (Of.NUMBER, Of.FLOAT) or column.word in (b"year", b"time")
        if is_measured and not isinstance(found, Decimal):
            raise _wrong(phrase("the column {name} holds nothing like {value}", name=name, value=token.text))
        return found

    def _accept(self, word: str) -> bool:
        if self.at < len(self.tokens) and self.tokens[self.at].says(word):
            self.at += 1
            return True
        return False

    def _expect(self, word: str) -> None:
        if not self._accept(word):
            self.unexpected()

    def _take(self, *kinds: str) -> _Token:
        if self.at >= len(self.tokens) or self.tokens[self.at].kind not in kinds:
            self.unexpected()
        self.at += 1
        return self.tokens[self.at - 1]

    def unexpected(self) -> NoReturn:
        """Raises Problem for the next token."""
        if self.at >= len(self.tokens):
            raise _wrong(phrase("it ends too early"))
        raise _wrong(phrase("it is not understood from {token} on", token=self.tokens[self.at].text[:40]))


def _tokens(text: str) -> list[_Token]:
    found, at, text = [], 0, text.rstrip()
    while at < len(text):
        token = _TOKEN.match(text, at)
        if token is None:
            raise _wrong(phrase("it is not understood from {token} on", token=text[at:].strip()[:40]))
        found.append(_Token(token.lastgroup or "", token[token.lastgroup or 0]))
        at = token.end()
    return found


def _plain(name: str) -> str:
    return name[1:-1].replace("``", "`") if name.startswith("`") else name


def _if_known(named: _Named, holds: Callable[[Any, Any], bool], wanted: Any) -> Choice:
    def choice(change: RowChange) -> bool:
        value = named.of(change)
        try:
            return value is not None and holds(value, wanted)
        except TypeError:
            # In a dump that somebody else wrote, a column of numbers may hold a text.
            return False

    return choice


def _comparable(value: bytes, column: Column) -> Any:
    """A value as Python compares it: numbers by size, texts by their letters."""
    if column.of == Of.BITS:
        return Decimal(int.from_bytes(value))
    if column.of in (Of.BYTES, Of.SHAPE):
        return value
    text = value.decode(errors="surrogateescape")
    if column.of in (Of.NUMBER, Of.FLOAT) or column.word == b"year":
        try:
            return Decimal(text)
        except InvalidOperation:
            return text
    if column.word == b"time" and (found := _TIME.fullmatch(text)):
        size = int(found[2]) * 3600 + int(found[3]) * 60 + Decimal(found[4] or 0)
        return -size if found[1] else size
    if column.word in (b"datetime", b"timestamp"):
        text += " 00:00:00" if len(text) == len("2024-12-31") else ""
        return text.rstrip("0").rstrip(".") if "." in text else text
    return text


def _as_text(value: Any) -> str:
    return value.decode(errors="surrogateescape") if isinstance(value, bytes) else str(value)


def _pattern(text: str) -> list[str]:
    """A pattern of LIKE, letter by letter; what is taken as it is has a backslash before it."""
    return re.findall(r"\\.|.", text, re.S)


def _is_like(text: str, pattern: Sequence[str]) -> bool:
    """Whether a text is like a pattern: goes back to the last % alone, so its time is bounded."""
    at = place = 0
    again: tuple[int, int] | None = None
    while at < len(text):
        letter = pattern[place] if place < len(pattern) else ""
        if letter == "%":
            place += 1
            again = place, at
        elif letter and (letter == "_" or letter[-1] == text[at]):
            place, at = place + 1, at + 1
        elif again is not None:
            place, at = again[0], again[1] + 1
            again = again[0], at
        else:
            return False
    return all(letter == "%" for letter in pattern[place:])


def _wrong(why: str) -> Problem:
    return Problem(
        phrase("The condition cannot be used: {why}.", why=why),
        code="rows_back.condition",
        safe=phrase("Nothing was changed."),
        do=phrase("Write it as in {example}.", example="status = 'paid' and (price < 5 or note is null)"),
    )
