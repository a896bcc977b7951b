"""What no replay goes past: statements that cannot be repeated in a copy, each with its code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from backups.dumpfile.lexer import Unexpected


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


class Stops(Unexpected):
    """It is understood, and stops a replay if it is ours."""

    def __init__(self, code: Code) -> None:
        self.why = code
        super().__init__(code.value)
