"""Where the binary log of a server stands, and what it is not safe to take for a dump's own place in it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import MySQLdb
from MySQLdb.constants import ER

from backups.dumpfile.log_positions import Place, WhyNot
from backups.mysql.answers import as_number, fetch_one, fetch_rows
from backups.mysql.connection_limits import connections_left
from backups.mysql.left_out import versioned_by_transactions
from backups.mysql.names import quote
from backups.mysql.schemas import spelling
from backups.mysql.server import MARIADB, MYSQL, ServerInfo
from backups.mysql.server_status import replica
from backups.mysql.table_status import tables_without_snapshot

# From here on MySQL keeps the tables of a prepared XA transaction locked, also after a crash.
_XA_KEEPS_LOCKS = (8, 4)
# Of a user with few, each has its use: several dump programs, and what looks after them.
_SPARED_CONNECTIONS = 8


class NotExact(Exception):
    """A dump that is made now has no exact position, and why."""

    def __init__(self, why: WhyNot) -> None:
        super().__init__(why)
        self.why = why


class LogState(NamedTuple):
    """Where the log is written to, and what was executed before as GTIDs; how many XA COMMITs there were.

    `kept_in` and `left_out` are the databases that the server's settings name, separated by commas.
    """

    place: Place
    kept_in: str
    left_out: str
    gtid: str
    xa_commits: int


def has_log(connection: Any) -> bool:
    """Whether the server writes a binary log."""
    (is_on,) = fetch_one(connection, "SELECT @@GLOBAL.log_bin", as_number)
    return bool(is_on)


def log_state(connection: Any, info: ServerInfo) -> LogState:
    """Where the log stands now, with no XA transaction prepared. Raises NotExact, MySQLdb.Error.

    One that was prepared before a place in the log and is committed behind it has its rows before the place,
    and no dump sees them. Whoever takes the place asks before and after, and compares `xa_commits`: they
    are told last, as a transaction that is not prepared any more may just have been committed.
    """
    place, kept_in, left_out, gtid = _status(connection)
    _refuse_prepared(connection, info)
    rows = fetch_rows(connection, "SHOW GLOBAL STATUS LIKE 'Com_xa_commit'", 2)
    return LogState(place, kept_in, left_out, gtid, sum(as_number(count) for _, count in rows))


def log_end(connection: Any) -> Place:
    """Where the log ends now, whatever is prepared. Raises NotExact, MySQLdb.Error."""
    return _status(connection)[0]


def _status(connection: Any) -> tuple[Place, str, str, str]:
    denied = False
    for statement in ("SHOW BINARY LOG STATUS", "SHOW MASTER STATUS"):
        try:
            rows = fetch_rows(connection, statement, 4, or_more=True)
        except MySQLdb.Error as error:
            if error.args[0] not in (ER.SPECIFIC_ACCESS_DENIED_ERROR, ER.PARSE_ERROR):
                raise
            denied |= error.args[0] == ER.SPECIFIC_ACCESS_DENIED_ERROR
            continue
        for file, position, kept_in, left_out, *gtids in rows:
            gtid = "".join(str(text or "") for text in gtids[:1]).replace("\n", "")
            return Place(str(file), as_number(position)), str(kept_in or ""), str(left_out or ""), gtid
        raise NotExact(WhyNot.LOG_OFF)
    raise NotExact(WhyNot.NO_RIGHT if denied else WhyNot.KIND_OF_SERVER)


def _refuse_prepared(connection: Any, info: ServerInfo) -> None:
    try:
        prepared = fetch_rows(connection, "XA RECOVER", 4, or_more=True)
    except MySQLdb.Error as error:
        if error.args[0] not in (ER.SPECIFIC_ACCESS_DENIED_ERROR, ER.XAER_RMERR):
            raise
        # The lock on all tables, by which a position is had there, shows that none has written to them.
        if info.flavour == MYSQL and info.number >= _XA_KEEPS_LOCKS:
            return
        raise NotExact(WhyNot.XA_NOT_SEEN) from error
    if prepared:
        raise NotExact(WhyNot.XA)


def refuse_unfit(connection: Any, info: ServerInfo, database: str, state: LogState) -> None:
    """Raise NotExact where no place in the log is where a dump of the database begins."""
    if connections_left(connection) < _SPARED_CONNECTIONS:
        raise NotExact(WhyNot.FEW_CONNECTIONS)
    if _is_unknown_kind(connection):
        raise NotExact(WhyNot.KIND_OF_SERVER)
    if not _is_logged(connection, info, database, state):
        raise NotExact(WhyNot.NOT_LOGGED)
    if tables_without_snapshot(connection, database):
        raise NotExact(WhyNot.NO_SNAPSHOT)
    if info.flavour == MARIADB and versioned_by_transactions(connection, database):
        raise NotExact(WhyNot.VERSIONED_BY_TRANSACTIONS)


def _is_unknown_kind(connection: Any) -> bool:
    """Galera's nodes, Aurora, and MariaDB's log that lies in InnoDB: nobody tried those."""
    rows = fetch_rows(
        connection,
        "SHOW GLOBAL VARIABLES WHERE Variable_name IN "
        "('wsrep_on', 'aurora_version', 'binlog_storage_engine')",
        2,
    )
    return any(str(value or "").upper() not in ("", "OFF", "0") for _, value in rows)


def _is_logged(connection: Any, info: ServerInfo, database: str, state: LogState) -> bool:
    spelled = spelling(connection)
    own, left_out = spelled(database), [spelled(name) for name in state.left_out.split(",")]
    if state.kept_in and own not in [spelled(name) for name in state.kept_in.split(",")]:
        return False
    if state.left_out and ("," in database or own in left_out):
        return False
    return not _follows_without_logging(connection, info)


def _follows_without_logging(connection: Any, info: ServerInfo) -> bool:
    """Whether it is a replica that writes nothing into its own log of what it receives."""
    (logs,) = fetch_one(connection, "SELECT @@GLOBAL.log_slave_updates", as_number)
    if logs:
        return False
    if info.flavour == MARIADB:
        rows = fetch_rows(connection, "SHOW GLOBAL STATUS LIKE 'Slaves_running'", 2)
        return any(as_number(count) for _, count in rows)
    return replica(connection) is not None


def log_server(connection: Any) -> dict[str, Any]:
    """Whose log it is: the server's id and, where it has one, the name that no other server has."""
    (number,) = fetch_one(connection, "SELECT @@GLOBAL.server_id", as_number)
    rows = fetch_rows(
        connection, "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('server_uuid', 'server_uid')", 2
    )
    return {"id": number, "uuid": next((str(value) for _, value in rows if value), None)}


def gtid_before(connection: Any, place: Place) -> str | None:
    """MariaDB's GTIDs of all that was logged before a place; None where it does not tell."""
    rows = fetch_rows(connection, "SELECT BINLOG_GTID_POS(%s, %s)", 1, [place.file, place.position])
    return next((str(gtid) for (gtid,) in rows if gtid), None)


def sequence_states(connection: Any, database: str, sequences: Iterable[str]) -> dict[str, tuple[Any, ...]]:
    """What each of MariaDB's sequences would give out next; no transaction holds that fast."""
    return {
        name: fetch_one(
            connection,
            f"SELECT next_not_cached_value, cycle_count FROM {quote(database)}.{quote(name)}",  # noqa: S608
            as_number,
            as_number,
        )
        for name in sequences
    }
