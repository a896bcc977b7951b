"""Statements in a binary log, with the settings of the session that ran them."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from backups.binlog.compressed import inflated
from backups.binlog.events import OF_SESSION, Event
from backups.binlog.kinds import Kind
from backups.binlog.wire import Wire

# Of `Query.flags2`, as a client's options of a session: sql/query_options.h of both servers.
AUTO_IS_NULL, NOT_AUTOCOMMIT = 1 << 14, 1 << 19
NO_FOREIGN_KEY_CHECKS, RELAXED_UNIQUE_CHECKS = 1 << 26, 1 << 27
# MariaDB's, as 10.11 was seen to write them: CHECK constraints are not held, IF EXISTS is meant in each DDL,
# TIMESTAMPs have no default that is not told, and the columns of a history may be written.
NO_CHECK_CONSTRAINTS, IF_EXISTS = 1 << 15, 1 << 28
EXPLICIT_TIMESTAMP_DEFAULTS, INSERT_HISTORY = 1 << 24, 1 << 30
# So many databases changed by a statement that it names none.
_MANY_DATABASES = 254
# The parts of an ALTER that MariaDB logs when it begins and when it ends (binlog_alter_two_phase).
ALTER_BEGINS, ALTER_ENDS, ALTER_IS_UNDONE = 2, 4, 8
_FRAME = re.compile(rb"(?:BEGIN|COMMIT|ROLLBACK|SAVEPOINT|RELEASE\s+SAVEPOINT|XA)\b", re.I)


@dataclass
class Query:
    """A statement. What the event does not tell is None."""

    # The default database; empty where there was none.
    database: bytes = b""
    # In the character set of the client.
    text: bytes = b""
    when: int = 0
    # Of a second beside `when`.
    microseconds: int | None = None
    # The number of the connection (its thread).
    connection: int = 0
    # How it ended on the server: 0 is well.
    error: int = 0
    flags2: int | None = None
    # It uses a temporary table, or what else is another thing in another session.
    is_of_session: bool = False
    sql_mode: int | None = None
    # Numbers of collations: of the client, the connection, the server.
    charsets: tuple[int, int, int] | None = None
    # auto_increment_increment and _offset, told where they are not 1.
    auto_increment: tuple[int, int] | None = None
    time_zone: bytes | None = None
    # Numbers of a locale and of a collation.
    lc_time_names: int | None = None
    database_charset: int | None = None
    # User and host of who ran it, where the statement depends on that (a definer that was left out).
    invoker: tuple[bytes, bytes] | None = None
    # MySQL: the databases that it changes; None where there are too many, or it does not say.
    updated: tuple[bytes, ...] | None = None
    explicit_timestamp_defaults: bool | None = None
    # MySQL since 8.0: the statement was logged with the change itself, as only InnoDB and its like can do.
    is_atomic: bool = False
    # MySQL: number of a collation, and two switches.
    utf8mb4_collation: int | None = None
    requires_primary_key: int | None = None
    encrypts_tables: int | None = None
    # MySQL from 9.7 on, of a change of rows: whether triggers run for what goes by foreign keys.
    cascade_triggers: int | None = None
    # MariaDB: default collations by character set, as pairs of numbers of collations.
    collations: tuple[tuple[int, int], ...] = ()
    # MariaDB: which part of an ALTER in two phases.
    alter: int = 0
    # The first setting that is not known; what stands after it is not read.
    unknown: int | None = field(default=None)


def is_frame(text: bytes) -> bool:
    """Whether a statement begins or ends what other events do."""
    return bool(_FRAME.match(text))


def parse_query(event: Event) -> Query:
    """Read a statement, compressed or not. Raises Unreadable."""
    wire = Wire(event.body, event.position)
    query = Query(when=event.when, connection=wire.number(4))
    query.is_of_session = bool(event.flags & OF_SESSION)
    wire.skip(4)
    length = wire.number(1)
    query.error = wire.number(2)
    settings = Wire(wire.take(wire.number(2)), event.position)
    while settings.left and query.unknown is None:
        code = settings.number(1)
        read = _SETTINGS.get(code)
        if read is None:
            query.unknown = code
        else:
            read(query, settings)
    query.database = wire.take(length)
    wire.skip(1)
    text = wire.rest()
    query.text = inflated(text, event.position) if event.kind == Kind.QUERY_COMPRESSED else text
    return query


def _invoker(query: Query, wire: Wire) -> None:
    query.invoker = wire.text(), wire.text()


def _updated(query: Query, wire: Wire) -> None:
    count = wire.number(1)
    query.updated = None if count == _MANY_DATABASES else tuple(wire.ended() for _ in range(count))


def _collations(query: Query, wire: Wire) -> None:
    query.collations = tuple((wire.number(2), wire.number(2)) for _ in range(wire.number(1)))


def _charsets(query: Query, wire: Wire) -> None:
    query.charsets = wire.number(2), wire.number(2), wire.number(2)


def _auto_increment(query: Query, wire: Wire) -> None:
    query.auto_increment = wire.number(2), wire.number(2)


def _time_zone(query: Query, wire: Wire) -> None:
    query.time_zone = wire.ascii()


def _alter(query: Query, wire: Wire) -> None:
    query.alter = wire.number(1)
    if query.alter & (ALTER_ENDS | ALTER_IS_UNDONE):
        wire.skip(8)


def _explicit(query: Query, wire: Wire) -> None:
    query.explicit_timestamp_defaults = bool(wire.number(1))


def _atomic(query: Query, wire: Wire) -> None:
    wire.skip(8)
    query.is_atomic = True


def _number(name: str, length: int) -> Callable[[Query, Wire], None]:
    return lambda query, wire: setattr(query, name, wire.number(length))


def _nothing(length: int) -> Callable[[Query, Wire], None]:
    return lambda query, wire: wire.skip(length)


# By the code before each, in the order of their numbers: `Query_event_status_vars` of MySQL's
# libs/mysql/binlog/event/statement_events.h, and Q_… of MariaDB's sql/log_event.h from 128 on.
_SETTINGS: dict[int, Callable[[Query, Wire], None]] = {
    0: _number("flags2", 4),
    1: _number("sql_mode", 8),
    2: lambda query, wire: wire.skip(wire.number(1) + 1),
    3: _auto_increment,
    4: _charsets,
    5: _time_zone,
    6: lambda query, wire: wire.skip(wire.number(1)),
    7: _number("lc_time_names", 2),
    8: _number("database_charset", 2),
    9: _nothing(8),
    10: _nothing(4),
    11: _invoker,
    12: _updated,
    13: _number("microseconds", 3),
    16: _explicit,
    17: _atomic,
    18: _number("utf8mb4_collation", 2),
    19: _number("requires_primary_key", 1),
    20: _number("encrypts_tables", 1),
    21: _number("cascade_triggers", 1),
    128: _number("microseconds", 3),
    129: _nothing(8),
    130: _alter,
    131: _collations,
}
