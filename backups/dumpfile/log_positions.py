"""Where in the server's binary log a dump's moment is, as its manifest tells it under `log`.

A position that is not known to be the dump's own is not told at all: what is replayed from a wrong one is
wrong without a word.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, NamedTuple

from backups.text.sentences import phrase


class How(StrEnum):
    """How an exact position was had."""

    # Told by the server inside the dump's own transaction.
    SNAPSHOT = "snapshot"
    # Asked while nobody could write to the tables.
    LOCK = "lock"


class WhyNot(StrEnum):
    """Why a dump has no exact position."""

    LOG_OFF = "log_off"
    NO_RIGHT = "no_right"
    NOT_LOGGED = "not_logged"
    KIND_OF_SERVER = "kind_of_server"
    NO_SNAPSHOT = "no_snapshot"
    VERSIONED_BY_TRANSACTIONS = "versioned_by_transactions"
    XA = "xa"
    XA_NOT_SEEN = "xa_not_seen"
    FEW_CONNECTIONS = "few_connections"
    CLIENT = "client"
    LOCK_NOT_WANTED = "lock_not_wanted"
    NO_LOCK_RIGHT = "no_lock_right"
    TABLES_IN_USE = "tables_in_use"
    NO_TABLES = "no_tables"
    TOO_MANY_TABLES = "too_many_tables"
    NOT_BEGUN = "not_begun"
    CHANGED = "changed"
    SEQUENCES_CHANGED = "sequences_changed"
    LOG_CHANGED = "log_changed"
    NOT_ASKED = "not_asked"


class Place(NamedTuple):
    """A file of the binary log, and how many bytes of it were written."""

    file: str
    position: int

    def is_between(self, before: Place, after: Place) -> bool:
        """Whether it is no earlier than one place and no later than another one of the same log."""
        names, numbers = zip(*(numbered(place.file) for place in (before, self, after)), strict=True)
        first, own, last = (
            (number, place.position) for number, place in zip(numbers, (before, self, after), strict=True)
        )
        return len(set(names)) == 1 and first <= own <= last


def numbered(file: str) -> tuple[str, int]:
    """A file's name and its number, which has more digits after 999999; -1 where it has none."""
    name, _, number = file.rpartition(".")
    return (name, int(number)) if number.isdecimal() and number.isascii() else (file, -1)


def exact(place: Place, how: How, *, gtid: str | None, server: Mapping[str, Any]) -> dict[str, Any]:
    """What a manifest tells of a position that is the dump's own; `gtid` tells all that was logged before."""
    return {
        "file": place.file,
        "position": place.position,
        "gtid": gtid or None,
        "server": dict(server),
        "exact": True,
        "how": how.value,
        "why_not": None,
    }


def not_exact(why: WhyNot) -> dict[str, Any]:
    """What a manifest tells where there is none."""
    return {
        "file": None,
        "position": None,
        "gtid": None,
        "server": None,
        "exact": False,
        "how": None,
        "why_not": why.value,
    }


def told(log: Mapping[str, Any]) -> str:
    """For people: the position that a manifest tells, or why it tells none."""
    if log["exact"]:
        return phrase("{file}:{position}, exact", file=log["file"], position=log["position"])
    return phrase("no exact position: {why}", why=sentence_of(log["why_not"]))


def sentence_of(why: str | None) -> str:
    """The same of a reason, as the middle of a sentence."""
    try:
        return _SENTENCES[WhyNot(why or "")]
    except ValueError:  # of a later version
        return why or ""


_SENTENCES = {
    WhyNot.LOG_OFF: phrase("the server writes no binary log (log_bin is off)"),
    WhyNot.NO_RIGHT: phrase(
        "the user may not ask for it (MariaDB: GRANT BINLOG MONITOR, MySQL: GRANT REPLICATION CLIENT)"
    ),
    WhyNot.NOT_LOGGED: phrase(
        "the server leaves changes of this database out of its log (binlog_do_db, binlog_ignore_db, or a "
        "replica without log_replica_updates)"
    ),
    WhyNot.KIND_OF_SERVER: phrase("on a cluster of this kind, or with this kind of log, it is not known"),
    WhyNot.NO_SNAPSHOT: phrase(
        "a consistent snapshot does not cover all tables (MyISAM, Aria, MEMORY and others)"
    ),
    WhyNot.VERSIONED_BY_TRANSACTIONS: phrase(
        "a system-versioned table tells its history by transactions, which no dump holds"
    ),
    WhyNot.XA: phrase("an XA transaction was prepared, or was committed just then"),
    WhyNot.XA_NOT_SEEN: phrase(
        "the user may not see XA transactions, which this version needs (GRANT XA_RECOVER_ADMIN)"
    ),
    WhyNot.FEW_CONNECTIONS: phrase("the user has too few connections to ask for it (MAX_USER_CONNECTIONS)"),
    WhyNot.CLIENT: phrase("the dump program did not tell it in a form that is known"),
    WhyNot.LOCK_NOT_WANTED: phrase(
        "it needs a lock on the tables for a moment, and DUMP_CONNECTIONS=1 forbids that"
    ),
    WhyNot.NO_LOCK_RIGHT: phrase(
        "it needs a lock on the tables for a moment, and LOCK TABLES is not granted"
    ),
    WhyNot.TABLES_IN_USE: phrase(
        "it needs a lock on the tables for a moment, and a transaction was writing to them"
    ),
    WhyNot.NO_TABLES: phrase("it needs a lock on the tables, and there are none"),
    WhyNot.TOO_MANY_TABLES: phrase("there are too many tables to lock them for a moment"),
    WhyNot.NOT_BEGUN: phrase("the dump did not begin while the tables were locked"),
    WhyNot.CHANGED: phrase(
        "a table, a definition or a default of the database was made, dropped or altered meanwhile"
    ),
    WhyNot.SEQUENCES_CHANGED: phrase("a sequence was used as the dump began"),
    WhyNot.LOG_CHANGED: phrase("the log was begun anew, or another server answered, as the dump began"),
    WhyNot.NOT_ASKED: phrase("the server could not be asked for it"),
}
