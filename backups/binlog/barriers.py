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
    # What it gives depends on a setting of its session, and the log does not tell that.
    SETTING = "log.setting_untold"
    # It numbers rows, or leaves some out, in the order in which the server finds them.
    ROW_ORDER = "log.row_order"


@dataclass(frozen=True)
class Barrier:
    """A statement that stops a replay. `params` never hold its text, which may be anybody's data.

    `is_neighbours` says that it is of another database, or may be of another one as well.
    """

    code: Code
    params: Mapping[str, str] = field(default_factory=dict)
    is_neighbours: bool = False

    @property
    def sentence(self) -> str:
        """Why no replay goes past it."""
        return told(self.code.value, self.params)


def told(code: str, params: Mapping[str, str]) -> str:
    """The same from what is kept of a barrier; a code that is not known is told as what is not understood."""
    code = code if code in _SENTENCES else Code.NOT_UNDERSTOOD.value
    statement = " ".join(filter(None, (params.get("verb", ""), params.get("kind", "").upper())))
    named = _Named({"statement": statement, **params})
    try:
        return _SENTENCES[code](named)
    except _Untold:
        # Of a piece whose row was lost not all is known again.
        return _WITHOUT_NAMES[code]


class _Untold(Exception):
    """What a sentence would name is not known."""


class _Named(dict[str, str]):
    def the(self, *names: str) -> dict[str, str]:
        """These, all of which must be there. Raises _Untold."""
        if not all(self.get(name) for name in names):
            raise _Untold
        return {name: self[name] for name in names}


_SENTENCES: dict[str, Callable[[_Named], str]] = {
    Code.NOT_UNDERSTOOD.value: lambda named: phrase(
        "A statement ({statement}) may have changed the database, and it is not known how.",
        **named.the("statement"),
    ),
    Code.STATEMENT_ROWS.value: lambda named: phrase(
        "Rows were changed by a statement ({statement}) and not logged one by one: "
        "the session's binlog_format was not ROW.",
        **named.the("statement"),
    ),
    Code.DATABASE.value: lambda named: phrase("The database was dropped or made anew."),
    Code.MOVED.value: lambda named: phrase(
        "A table was moved between the database and {other} ({statement}).", **named.the("other", "statement")
    ),
    Code.OTHER_DATABASE.value: lambda named: phrase(
        "A statement ({statement}) is about the database and about {other}.",
        **named.the("statement", "other"),
    ),
    Code.OUTSIDE.value: lambda named: phrase(
        "A statement ({statement}) made {name} depend on something outside of the database: "
        "a file, a server, another table.",
        **named.the("statement", "name"),
    ),
    Code.TEMPORARY.value: lambda named: phrase(
        "A session made a temporary table, and what it did with it was logged as statements."
    ),
    Code.NOT_REPEATABLE.value: lambda named: phrase(
        "A statement ({statement}) of {name} gives something else each time that it runs.",
        **named.the("statement", "name"),
    ),
    Code.CHARSET.value: lambda named: phrase(
        "A statement is in the character set {charset}, and its letters cannot be told for sure.",
        **named.the("charset"),
    ),
    Code.SETTING.value: lambda named: phrase(
        "What a statement ({statement}) made of {name} depends on the session's {setting}, and the log does "
        "not tell that.",
        **named.the("statement", "name", "setting"),
    ),
    Code.ROW_ORDER.value: lambda named: phrase(
        "A statement ({statement}) went through the rows of {name} in the order in which they lie, and the "
        "log does not tell that.",
        **named.the("statement", "name"),
    ),
}


_WITHOUT_NAMES = {
    Code.NOT_UNDERSTOOD.value: phrase("A statement may have changed the database, and it is not known how."),
    Code.STATEMENT_ROWS.value: phrase(
        "Rows were changed by a statement and not logged one by one: the session's binlog_format was not ROW."
    ),
    Code.MOVED.value: phrase("A table was moved between the database and another one."),
    Code.OTHER_DATABASE.value: phrase("A statement is about the database and about another one."),
    Code.OUTSIDE.value: phrase(
        "A statement made something depend on what is outside of the database: a file, a server, another "
        "table."
    ),
    Code.NOT_REPEATABLE.value: phrase("A statement gives something else each time that it runs."),
    Code.CHARSET.value: phrase(
        "A statement is in a character set that is not known, and its letters cannot be told for sure."
    ),
    Code.SETTING.value: phrase(
        "What a statement did depends on a setting of its session, and the log does not tell that."
    ),
    Code.ROW_ORDER.value: phrase(
        "A statement went through rows in the order in which they lie, and the log does not tell that."
    ),
}


class Stops(Unexpected):
    """It is understood, and stops a replay if it is ours. `setting` is what it depends on."""

    def __init__(self, code: Code, setting: str = "") -> None:
        self.why = code
        self.setting = setting
        super().__init__(code.value)
