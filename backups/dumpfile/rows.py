"""Statements that bring rows: known by one pattern, since nearly all of a dump are such.

What is between the quotes may be anything; outside of them stand numbers, NULL, and what says how a
text is to be read. So there is no word in it that could be the name of a column, a function or a table.
"""

from __future__ import annotations

import re
from functools import cache
from typing import NamedTuple

from backups.dumpfile.dialect import Dialect, Quoting, quoting
from backups.dumpfile.lexer import Cursor, Kind, Unexpected
from backups.dumpfile.settings import Settings
from backups.text.sentences import phrase

# As https://dev.mysql.com/doc/refman/8.4/en/insert.html and https://mariadb.com/kb/en/insert/ have it.
_VERB = (
    rb"(?:INSERT(?: +(?:LOW_PRIORITY|DELAYED|HIGH_PRIORITY))?(?: +IGNORE)?"
    rb"|REPLACE(?: +(?:LOW_PRIORITY|DELAYED))?) +INTO +"
)
# So far a name may go, each character of four bytes and each a doubled quote, and the words before it.
_LONGEST_HEAD = 64 << 10


class Rows(NamedTuple):
    """The head of a statement that brings rows, and where its values begin."""

    qualifier: bytes | None
    table: bytes
    # Where the whole name begins and where the table's own.
    at: int
    own: int
    values: int


@cache
def _head(quotes: Quoting) -> re.Pattern[bytes]:
    """The commonest spelling of it; any other is read token by token."""
    name = (
        rb"(?:"
        + quotes.name
        + (rb"|" + quotes.double if quotes.double_is_name else b"")
        + rb"|[0-9A-Za-z_]++)"
    )
    columns = rb"\(\s*+" + name + rb"(?:\s*+,\s*+" + name + rb"|)*+\s*+\)"
    return re.compile(
        _VERB + rb"(?P<whole>(?:(?P<qualifier>" + name + rb")\s*+\.\s*+)?(?P<table>" + name + rb"))\s*+"
        rb"(?P<columns>" + columns + rb"\s*+)?VALUES?\s*+(?=\()",
        re.I | re.S,
    )


@cache
def _values(quotes: Quoting) -> re.Pattern[bytes]:
    text = rb"(?:" + quotes.text + (b"" if quotes.double_is_name else rb"|" + quotes.double) + rb")"
    # Two dashes begin a comment.
    between = rb"[0-9.,()\s+]*+(?:-(?!-)[0-9.,()\s+]*+|)*+"
    word_ends = rb"(?![0-9A-Za-z_$\x80-\xff])"
    return re.compile(
        between
        + rb"(?:(?:"
        + text
        + rb"|(?<=[(,\s+-])(?:(?i:NULL|TRUE|FALSE)"
        + word_ends
        + rb"|_[A-Za-z0-9]++ *+(?:"
        + text
        + rb"|0x[0-9A-Fa-f]*+"
        + word_ends
        + rb")|[xXbBnN]"
        + quotes.text
        + rb")|(?<=[(,\s+-]0)[xb][0-9A-Fa-f]*+"
        + word_ends
        + rb"|(?<=[0-9.])[eE][+-]?[0-9]++"
        + word_ends
        + rb")"
        + between
        + rb"|)*+",
        re.S,
    )


def rows_head(text: bytes | bytearray, at: int, charset: str, sql_mode: str) -> Rows | None:
    """The head of rows that begin at `at`, told from there; None where it is none, or spelt otherwise."""
    quotes = quoting(charset, sql_mode)
    found = _head(quotes).match(text, at, at + _LONGEST_HEAD)
    if found is None:
        return None
    return Rows(
        qualifier=None if found["qualifier"] is None else bytes(found["qualifier"]),
        table=bytes(found["table"]),
        at=found.start("whole") - at,
        own=found.start("table") - at,
        values=found.end() - at,
    )


def values_end(text: bytes | bytearray, at: int, charset: str, sql_mode: str) -> int:
    """Where the values that begin at `at` end, which are nothing but values."""
    found = _values(quoting(charset, sql_mode)).match(text, at)
    return found.end() if found else at


def spelled_out(statement: Cursor) -> Rows:
    """The head of rows read token by token. Raises Unexpected for what is no INSERT or REPLACE of values."""
    verb = statement.take()
    if not (verb.says(b"INSERT") or verb.says(b"REPLACE")):
        raise Unexpected
    while (
        statement.accept(b"LOW_PRIORITY")
        or statement.accept(b"HIGH_PRIORITY")
        or statement.accept(b"DELAYED")
        or statement.accept(b"IGNORE")
    ):
        pass
    statement.expect(b"INTO")
    name = statement.name()
    if statement.accept(b"("):
        for token in statement.rest():
            if token.says(b")"):
                break
            if token.kind not in (Kind.NAME, Kind.WORD) and not token.says(b","):
                raise Unexpected
    if not (statement.accept(b"VALUES") or statement.accept(b"VALUE")):
        raise Unexpected
    if not statement.is_as_written:
        # Rows are sent as they are: a version comment would be read as the server likes.
        raise Unexpected(phrase("a version comment stands before its values"))
    qualifier = None if name.qualifier is None else statement.text[name.start : name.own].rstrip(b". \t\r\n")
    return Rows(
        qualifier=qualifier,
        table=statement.text[name.own : name.end],
        at=name.start,
        own=name.own,
        values=statement.reached,
    )


def are_values(statement: bytes, rows: Rows, dialect: Dialect, settings: Settings) -> bool:
    """Whether nothing but values comes, and what Adminer writes behind them: ON DUPLICATE KEY UPDATE."""
    end = values_end(statement, rows.values, settings.charset, settings.sql_mode)
    # A version comment in it would be sent as it is, and read as the server likes.
    tail = Cursor(statement[end:], dialect, settings.charset, settings.sql_mode)
    if b"(" not in statement[rows.values : end]:
        return False
    if not tail.accept(b"ON", b"DUPLICATE", b"KEY", b"UPDATE"):
        return tail.token is None and tail.is_as_written
    while True:
        column = tail.name()
        tail.expect(b"=", b"VALUES", b"(")
        if column.qualifier is not None or tail.name().qualifier is not None:
            return False
        tail.expect(b")")
        if not tail.accept(b","):
            return tail.token is None and tail.is_as_written
