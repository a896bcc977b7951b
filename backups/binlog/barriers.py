"""What no replay goes past: statements that cannot be repeated in a copy, each with its code."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum

from backups.dumpfile.lexer import Unexpected
from backups.text.sentences import phrase


class Code(Enum):
    """Why a statement stops a replay. These are kept in rows: a code never changes its meaning."""

    # It may be about the database, and it is not known what it does.
    NOT_UNDERSTOOD = "log.not_understood"
    # Rows changed by a statement, which a copy's triggers and functions would repeat elsewhere.
    STATEMENT_ROWS = "log.statement_rows"
    # The database was dropped or made anew.
    DATABASE = "log.database_replaced"
    # A table went into or out of the database.
    MOVED = "log.table_moved"
    # It is about the database and about another one.
    OTHER_DATABASE = "log.other_database"
    # A table that is kept, read or changed outside of the database.
    OUTSIDE = "log.outside_database"
    # A table of one session.
    TEMPORARY = "log.temporary_table"
    # It would give rows other values.
    NOT_REPEATABLE = "log.not_repeatable"
    # The text is in a character set that is not known here, or in two.
    CHARSET = "log.charset_unclear"


@dataclass(frozen=True)
class Barrier:
    """A statement that stops a replay. `params` never hold its text, which may be anybody's data."""

    code: Code
    params: Mapping[str, str] = field(default_factory=dict)

    @property
    def sentence(self) -> str:
        """Why no replay goes past it."""
        return told(self.code.value, self.params)


def told(code: str, params: Mapping[str, str]) -> str:
    """The same from what is kept of a barrier; a code that is not known is told as what is not understood."""
    sentence = _SENTENCES.get(code, _SENTENCES[Code.NOT_UNDERSTOOD.value])
    statement = " ".join(filter(None, (params.get("verb", ""), params.get("kind", "").upper())))
    named = {"statement": statement, "name": params.get("name", ""), "other": params.get("other", "")}
    return sentence(named | {"charset": params.get("charset", "")})


_SENTENCES: dict[str, Callable[[dict[str, str]], str]] = {
    Code.NOT_UNDERSTOOD.value: lambda named: phrase(
        "A statement ({statement}) may have changed the database, and it is not known how.", **named
    ),
    Code.STATEMENT_ROWS.value: lambda named: phrase(
        "Rows were changed by a statement ({statement}) and not logged one by one: "
        "the session's binlog_format was not ROW.",
        **named,
    ),
    Code.DATABASE.value: lambda named: phrase("The database was dropped or made anew."),
    Code.MOVED.value: lambda named: phrase(
        "A table was moved between the database and {other} ({statement}).", **named
    ),
    Code.OTHER_DATABASE.value: lambda named: phrase(
        "A statement ({statement}) is about the database and about {other}.", **named
    ),
    Code.OUTSIDE.value: lambda named: phrase(
        "A statement ({statement}) made {name} depend on something outside of the database: "
        "a file, a server, another table.",
        **named,
    ),
    Code.TEMPORARY.value: lambda named: phrase(
        "A session made a temporary table, and what it did with it was logged as statements."
    ),
    Code.NOT_REPEATABLE.value: lambda named: phrase(
        "A statement ({statement}) of {name} gives something else each time that it runs.", **named
    ),
    Code.CHARSET.value: lambda named: phrase(
        "A statement is in the character set {charset}, and its letters cannot be told for sure.", **named
    ),
}


class Stops(Unexpected):
    """It is understood, and stops a replay if it is ours."""

    def __init__(self, code: Code) -> None:
        self.why = code
        super().__init__(code.value)
