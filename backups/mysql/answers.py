"""What is asked of a server, and its answers in the form that a question has.

A server that turns strange half-way, or a proxy in its place, answers with other rows, columns and kinds
than any server does. That is refused here, so that whoever asks takes what it is given as it was asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from decimal import Decimal
from typing import Any

import MySQLdb

from backups.mysql.problems import MySQLProblem
from backups.mysql.server import shown
from backups.text.sentences import phrase

# A value of an answer to what it was asked for; refuses another kind.
Kind = Callable[[Any], Any]
# Of a strange answer, which may be of any length, no more is made a text.
_SHOWN_ROWS = 3


class StrangeAnswer(MySQLProblem):
    """The answer has a form that no database server gives."""

    code = "mysql.strange_answer"


@contextmanager
def open_cursor(connection: Any) -> Iterator[Any]:
    """A cursor for the length of a block, which ends with what ended it.

    The driver's own would tell of a connection "out of sync" where a Ctrl-C fell into a statement.
    Raises StrangeAnswer where a value is not of the kind that its column is said to be.
    """
    cursor = connection.cursor()
    try:
        yield cursor
    except UnicodeEncodeError:  # of what we say ourselves
        raise
    except (ValueError, ArithmeticError) as error:  # the driver's, which makes texts and numbers of values
        raise strange(error) from error
    finally:
        with suppress(MySQLdb.Error):
            cursor.close()


def execute(connection: Any, statement: str) -> None:
    """Run one statement, whose names are quoted already."""
    with open_cursor(connection) as cursor:
        cursor.execute(statement)


def fetch_all(connection: Any, statement: str, arguments: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    """The rows that a statement answers with, of any form; `arguments` stand where it has %s."""
    with open_cursor(connection) as cursor:
        cursor.execute(statement, arguments or None)
        return list(cursor.fetchall())


def fetch_rows(
    connection: Any, statement: str, columns: int, arguments: Sequence[Any] = (), *, or_more: bool = False
) -> list[tuple[Any, ...]]:
    """The same, each row of so many columns; `or_more` where some servers tell more. Raises StrangeAnswer."""
    rows = fetch_all(connection, statement, arguments)
    if any(len(row) < columns or (len(row) > columns and not or_more) for row in rows):
        raise strange(rows)
    return rows


def fetch_one(connection: Any, statement: str, *kinds: Kind) -> tuple[Any, ...]:
    """The one row that a statement answers with, a value of each of the `kinds`. Raises StrangeAnswer."""
    rows = fetch_rows(connection, statement, len(kinds))
    if len(rows) != 1:
        raise strange(rows)
    return tuple(kind(value) for kind, value in zip(kinds, rows[0], strict=True))


def anything(value: Any) -> Any:
    """A kind: whatever it is, NULL as well."""
    return value


def as_text(value: Any) -> str:
    """A kind: what can be told as a text, so anything but NULL and bytes that are none."""
    if value is None:
        raise strange(value)
    try:
        return value.decode() if isinstance(value, bytes) else str(value)
    except UnicodeDecodeError:
        raise strange(value) from None


def as_number(value: Any) -> int:
    """A kind: a whole number, however the server tells it."""
    if isinstance(value, int):
        return value
    if isinstance(value, Decimal) and value.is_finite():
        return int(value)
    # None of a server's is longer, and Python takes long for many digits.
    if isinstance(value, str | bytes) and len(value) <= _MOST_DIGITS:
        with suppress(ValueError):
            return int(value)
    raise strange(value)


_MOST_DIGITS = 20


def as_time(value: Any) -> datetime:
    """A kind: a date with a time."""
    if not isinstance(value, datetime):
        raise strange(value)
    return value


def strange(answer: object) -> StrangeAnswer:
    """What is said of an answer that no database server gives."""
    if isinstance(answer, list):
        answer = answer[:_SHOWN_ROWS]
    return StrangeAnswer(
        phrase(
            "The program that answers does not answer as a database server does: {shown}.",
            shown=shown(str(answer)),
        ),
        do=phrase(
            "See which program listens there. If a proxy stands before the server, name the server itself."
        ),
    )
