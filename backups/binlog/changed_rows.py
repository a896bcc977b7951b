"""Whether a statement that changes rows names none but one database's tables.

In `o.pw` a table may be named, by its alias too, or a database: by where it stands is known which.
"""

from __future__ import annotations

from backups.binlog.selected_names import Selected
from backups.binlog.statement_words import Reading

_MODIFIERS = (b"LOW_PRIORITY", b"HIGH_PRIORITY", b"DELAYED", b"QUICK", b"IGNORE")


def changes_ours_alone(reading: Reading) -> bool:
    """Whether it is an INSERT, REPLACE, UPDATE or DELETE all of whose names are ours. Raises Unexpected.

    The default database of its session is to be ours: `reading` is at its beginning.
    """
    words = reading.words
    verb = words.take().text.upper()
    if verb not in (b"INSERT", b"REPLACE", b"UPDATE", b"DELETE"):
        return False
    while any(words.accept(each) for each in _MODIFIERS):
        pass
    if verb in (b"INSERT", b"REPLACE"):
        words.accept(b"INTO")
    elif verb == b"DELETE" and not words.accept(b"FROM"):
        _pass_deleted(reading)
    Selected(reading, are_named=True, tables_first=True).read()
    return all(each.is_ours for each in reading.named)


def _pass_deleted(reading: Reading) -> None:
    """DELETE a, b.*, database.c FROM …"""
    while True:
        parts = reading.chain()
        if parts[-1].says(b"*"):
            parts.pop()
        reading.resolve(parts)
        if not reading.words.accept(b","):
            break
    reading.words.expect(b"FROM")
