"""What is about to be sent names no database but the target, whoever made it.

MariaDB checks no right on a table where BINLOG is allowed, and MySQL none where BINLOG_ADMIN is held: row
events that name the live database would go into it. So they are read once more, from the bytes as they are
sent, and a mistake of ours ends the replay instead of reaching somebody's rows.
"""

from __future__ import annotations

from collections.abc import Iterator

from backups.errors import Problem
from backups.text.sentences import phrase

HEADER = 19
# https://dev.mysql.com/doc/dev/mysql-server/latest/classbinary__log_1_1Table__map__event.html
TABLE_MAP = 19
# Those of MySQL 5.1 that MariaDB still writes, those since 5.6, and MySQL's with parts of JSON.
ROWS = frozenset({23, 24, 25, 30, 31, 32, 39})
_STATEMENT_ENDS = 1
# Of a Table_map event the number of its table, flags, and then the database's name with its length.
_NAME_LENGTH = HEADER + 8


class NotOurs(Problem):
    """What was to be sent might have changed another database than the target."""

    code = "replay.not_ours"


def refuse_others(raw: bytes, target: bytes) -> None:
    """Raise NotOurs unless all these events are rows of the target, which is named in UTF-8.

    `raw` are Table_map and row events, without checksums. Each row event's table has to be told before it,
    in the same statement.
    """
    known: set[bytes] = set()
    is_open = False
    for event in _events(raw):
        number = event[HEADER : HEADER + 6]
        if event[4] == TABLE_MAP:
            length = event[_NAME_LENGTH]
            if event[_NAME_LENGTH + 1 : _NAME_LENGTH + 2 + length] != target + b"\0":
                raise _not_ours()
            known.add(number)
            is_open = True
        elif event[4] in ROWS and number in known:
            is_open = not event[HEADER + 6] & _STATEMENT_ENDS
            if not is_open:
                known.clear()
        else:
            raise _not_ours()
    if is_open:
        raise _not_ours()


def _events(raw: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(raw):
        size = int.from_bytes(raw[at + 9 : at + 13], "little")
        # As long as the shortest of them, which tells where its rows or names begin.
        if not _NAME_LENGTH + 2 <= size <= len(raw) - at:
            raise _not_ours()
        yield raw[at : at + size]
        at += size


def _not_ours() -> NotOurs:
    return NotOurs(
        phrase(
            "The replay was about to send rows to the server that are not of its own database, "
            "and stopped before it did."
        ),
        safe=phrase("Nothing but the copy that was being made has been changed."),
        do=phrase("Please report it, with the log of this run: it is a fault of Vedetta."),
    )
