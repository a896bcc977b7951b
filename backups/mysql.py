"""MySQL and MariaDB: what a server is, which client programs fit it, and what it holds.

Connections are short and bounded; dumps and loads are the work of the servers' own clients.
"""

from __future__ import annotations

import os
import re
import socket
import threading
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import MySQLdb
from MySQLdb.constants import CR, ER

from backups import process
from backups.errors import Problem

CONNECT_SECONDS = 10
_LONGEST_NAME = 64
_READ_SECONDS = 120
# How long a swap waits for transactions that use the tables.
_LOCK_WAIT_SECONDS = 60
_END_RENAME_TRIES = 40
_DEADLOCK_TRIES = 20
# Those that load together take turns, so that one may have nothing to do for long.
_STAY = "SET SESSION wait_timeout = 604800"
_BINARY_LOG_ON = 1419
_TRUST = "Have the server started with log_bin_trust_function_creators=1 (deploy/mysql says how)."

MARIADB = "MariaDB"
MYSQL = "MySQL"


class MySQLProblem(Problem):
    """The database server refused, failed or gave no answer."""


class ServerUnreachable(MySQLProblem):
    """No server answers at the address."""


class NoMoreConnections(ServerUnreachable):
    """The server, or what the account may have of it, is full."""


class TlsProblem(ServerUnreachable):
    """The server answers, and not in the encrypted way that is asked for."""


class AccessDenied(MySQLProblem):
    """User or password are wrong."""


class UnknownDatabase(MySQLProblem):
    """The server has no such database, or hides it from this user."""


class ServerGone(MySQLProblem):
    """The server went away in the middle."""


class MissingPrivilege(MySQLProblem):
    """The user lacks a privilege; the sentence has the GRANT."""


@dataclass(frozen=True)
class Server:
    """Where a server is and who we are on it."""

    host: str
    port: int
    user: str
    password: str = field(repr=False)
    ssl_mode: str = "PREFERRED"
    ssl_ca: str = ""

    @property
    def address(self) -> str:
        """host:port, for sentences."""
        return f"{self.host}:{self.port}"


@dataclass(frozen=True)
class ServerInfo:
    """What answers at an address."""

    flavour: str
    version: str

    @property
    def number(self) -> tuple[int, ...]:
        """The version for comparison, as in (10, 11, 19)."""
        return version_number(self.version)

    def __str__(self) -> str:
        return f"{self.flavour} {'.'.join(map(str, self.number))}"


@dataclass(frozen=True)
class Clients:
    """The client programs that fit a server. `before_dump` stands before the dump program's arguments."""

    dump: str
    load: str
    flavour: str
    version: str
    before_dump: tuple[str, ...] = ()

    @property
    def number(self) -> tuple[int, ...]:
        """The version for comparison."""
        return version_number(self.version)

    def __str__(self) -> str:
        return f"{self.flavour} {self.version}"


Inventory = dict[str, list[str]]


def version_number(text: str) -> tuple[int, ...]:
    """The first three numbers of a version, as in (10, 11, 19) for 10.11.19-MariaDB-log."""
    found = re.search(r"\d+(?:\.\d+){1,2}", text)
    return tuple(map(int, found[0].split("."))) if found else ()


def quote(name: str) -> str:
    """A name as an identifier in SQL."""
    return "`" + name.replace("`", "``") + "`"


def account(connection: Any) -> str:
    """The account that we are, quoted for GRANT: 'user'@'host'."""
    ((current,),) = _rows(connection, "SELECT CURRENT_USER()")
    user, _, host = str(current).rpartition("@")
    return f"{_literal(user)}@{_literal(host)}"


# ---------------------------------------------------------------- Connections


@contextmanager
def connect(server: Server, database: str = "") -> Iterator[Any]:
    """A connection for the length of a block, bounded in time. Raises MySQLProblem."""
    _refuse_missing_authority(server)
    with translated(server, database):
        connection = MySQLdb.connect(**_connect_options(server, database))
    try:
        with translated(server, database):
            _refuse_plaintext(server, connection)
            yield connection
    finally:
        with suppress(MySQLdb.Error):
            connection.close()


@contextmanager
def translated(server: Server, database: str = "") -> Iterator[None]:
    """Turn the driver's errors into sentences."""
    try:
        yield
    except MySQLdb.Error as error:
        raise problem_from(error, server, database) from error


def problem_from(error: Exception, server: Server, database: str = "") -> MySQLProblem:
    """What an error of the driver means, by its number."""
    code = error.args[0] if error.args and isinstance(error.args[0], int) else 0
    text = str(error.args[1]) if len(error.args) > 1 else str(error)
    return problem_from_number(code, text, server, database)


# A server says no more to a user whose account demands TLS.
_CHECK_USER_PLAIN = (
    "Check MYSQL_USER and MYSQL_PASSWORD, and whether the account demands TLS, as MYSQL_SSL_MODE is DISABLED."
)
# MySQL's require_secure_transport; MariaDB's refuses with ER.ACCESS_DENIED_ERROR.
_SECURE_TRANSPORT_REQUIRED = 3159


def problem_from_number(code: int, text: str, server: Server, database: str = "") -> MySQLProblem:
    """What an error number of server or client means.

    https://dev.mysql.com/doc/mysql-errors/8.4/en/ and https://mariadb.com/kb/en/mariadb-error-codes/
    """
    where = f"The database server at {server.address}"
    if code == ER.ACCESS_DENIED_ERROR:
        return AccessDenied(
            f"{where} refuses user {server.user}: wrong user or password.",
            do=_CHECK_USER_PLAIN if server.ssl_mode == "DISABLED" else "Check MYSQL_USER and MYSQL_PASSWORD.",
        )
    if code in (ER.BAD_DB_ERROR, ER.DBACCESS_DENIED_ERROR):
        return UnknownDatabase(
            f"{where} has no database {database!r} that user {server.user} may see.",
            do="Check MYSQL_DATABASE and the user's grants.",
        )
    if code == ER.PROCACCESS_DENIED_ERROR:
        denied = re.search(r"to user ('.*'@'.*') for routine", text)
        return MissingPrivilege(
            f"The user {server.user} may not run a function that a view of {database} calls ({text}).",
            do=f"Run as an administrator: GRANT EXECUTE ON {name_pattern(database)}.* "
            f"TO {denied[1] if denied else server.user};",
        )
    if code in (ER.CON_COUNT_ERROR, ER.TOO_MANY_USER_CONNECTIONS):
        return NoMoreConnections(
            f"{where} takes no more connections.",
            do="Raise max_connections or close some, then try again.",
        )
    if code == ER.USER_LIMIT_REACHED:
        return NoMoreConnections(
            f"{where} takes no more connections of user {server.user} ({text}).",
            do="Raise the account's limit or close some, then try again.",
        )
    if code in (CR.CONN_HOST_ERROR, CR.CONNECTION_ERROR, CR.UNKNOWN_HOST, 2005):
        return ServerUnreachable(
            f"{where} gives no answer.",
            do="See whether it runs, and check MYSQL_HOST and MYSQL_PORT.",
        )
    if code == CR.SSL_CONNECTION_ERROR:
        return _tls_problem(text, server)
    if code == _SECURE_TRANSPORT_REQUIRED:
        return TlsProblem(
            f"{where} takes encrypted connections only.",
            do="Set MYSQL_SSL_MODE to PREFERRED or more.",
        )
    if code in (CR.SERVER_GONE_ERROR, CR.SERVER_LOST, ER.SERVER_SHUTDOWN, 4031):
        return ServerGone(
            f"The connection to the database server at {server.address} was lost.",
            do="See the server's own log, then try again.",
        )
    return MySQLProblem(f"{where} answered: {text} (error {code}).")


# Both give away that the certificate is for another name; MySQL's client does not say.
_WRONG_NAME = ("Validation of SSL server certificate failed", "hostname", "host name", "IP address mismatch")


def _tls_problem(text: str, server: Server) -> TlsProblem:
    """What a failed TLS handshake means, by the words of either client library."""
    where = f"the database server at {server.address}"
    if "SSL is required" in text:
        return _no_tls(server)
    if any(words in text for words in _WRONG_NAME):
        return TlsProblem(
            f"The certificate of {where} is not for the name {server.host} ({text}).",
            do="Set MYSQL_HOST to a name in the certificate, or have one made for this name.",
        )
    if "certificate" in text:
        return TlsProblem(
            f"The certificate of {where} cannot be verified ({text}).",
            do="Check that MYSQL_SSL_CA is the authority that issued it.",
        )
    return TlsProblem(f"No TLS connection to {where}: {text}.", do="Check MYSQL_SSL_MODE and MYSQL_SSL_CA.")


def _no_tls(server: Server) -> TlsProblem:
    return TlsProblem(
        f"The database server at {server.address} offers no TLS, and MYSQL_SSL_MODE is {server.ssl_mode}.",
        do="Turn TLS on in the server, or set MYSQL_SSL_MODE=PREFERRED.",
    )


def _refuse_missing_authority(server: Server) -> None:
    """The two modes that verify are nothing without an authority."""
    if server.ssl_mode not in _VERIFYING:
        return
    if not server.ssl_ca:
        raise TlsProblem(
            f"MYSQL_SSL_MODE is {server.ssl_mode}, and no authority is given to verify with.",
            do="Set MYSQL_SSL_CA to the file with the authority's certificate.",
        )
    if not os.access(server.ssl_ca, os.R_OK):
        raise TlsProblem(
            f"The authority's certificate {server.ssl_ca} cannot be read.", do="Check MYSQL_SSL_CA."
        )


def before_load(server: Server) -> bytes:
    """What a client runs ahead of a dump. Raises MySQLProblem like `refuse_plaintext`.

    MySQL from 8.4 on refuses foreign keys to columns that are not unique, of which a database that
    was upgraded from an older version may be full; each session may allow them for itself.
    """
    with connect(server) as connection:
        statements = [_STAY, *_allow_any_foreign_key(connection)]
        return b"".join(f"{statement};\n".encode() for statement in statements)


@dataclass(frozen=True)
class LoadingConnection:
    """A connection for loading, used by one thread; `wire` and `thread` are for others to end it."""

    driver: Any
    wire: int
    thread: int

    @classmethod
    def open(cls, server: Server, database: str) -> LoadingConnection:
        """Connect as a client of the server's own would: a dump says itself how it wants to be read."""
        options = _connect_options(server, database)
        # Statements may take any time, and wait as long as the server says.
        del options["read_timeout"]
        options["init_command"] = _STAY
        driver = MySQLdb.connect(**options)
        return cls(driver, driver.fileno(), driver.thread_id())

    def run(self, statement: bytes) -> None:
        """Run a statement just as it is written, and drop what it answers.

        Once more where a deadlock with another connection rolled it back: MariaDB lets one alone
        insert into a table that is empty, and ends who does so at the same time.
        """
        for tries_left in reversed(range(_DEADLOCK_TRIES)):
            try:
                self.driver.query(statement)
                break
            except MySQLdb.OperationalError as error:
                if error.args[0] != ER.LOCK_DEADLOCK or not tries_left:
                    raise
        self.driver.store_result()
        while self.driver.next_result() == 0:
            self.driver.store_result()


@contextmanager
def loading_connections(server: Server, database: str, wanted: int) -> Iterator[list[LoadingConnection]]:
    """Up to `wanted` connections for the length of a block; fewer where the server is full.

    One is left free for the client that runs the rest of a dump. Raises MySQLProblem.
    """
    _refuse_missing_authority(server)
    opened: list[LoadingConnection] = []
    try:
        with suppress(NoMoreConnections), translated(server, database):
            while wanted and len(opened) <= wanted:
                opened.append(LoadingConnection.open(server, database))
        if opened:
            opened.pop().driver.close()
        with translated(server, database):
            for connection in opened:
                _refuse_plaintext(server, connection.driver)
                for statement in _allow_any_foreign_key(connection.driver):
                    execute(connection.driver, statement)
        yield opened
    finally:
        for connection in opened:
            with suppress(MySQLdb.Error):
                connection.driver.close()


def break_off(server: Server, connections: Sequence[LoadingConnection]) -> None:
    """End connections whose statements are still running in other threads."""
    for connection in connections:
        with suppress(OSError), socket.socket(fileno=os.dup(connection.wire)) as wire:
            wire.shutdown(socket.SHUT_RDWR)
    # The server would go on with a long statement to its end before it notices.
    with suppress(MySQLProblem), connect(server) as other:
        for connection in connections:
            with suppress(MySQLdb.Error):  # it has ended meanwhile
                execute(other, f"KILL {connection.thread}")


class NotLocked(MySQLProblem):
    """Tables could not be locked, or not for as long as it took."""


@dataclass
class ReadLock:
    """Tables that nobody may write to. `seconds` is how long they were, once they no longer are."""

    _connection: Any
    _since: float
    seconds: float = 0

    def release(self) -> None:
        """Let the tables go. Raises NotLocked where the server has done so before."""
        try:
            execute(self._connection, "UNLOCK TABLES")
        except MySQLdb.Error as error:
            raise NotLocked("the server let the locked tables go too early") from error
        self.seconds = time.monotonic() - self._since


@contextmanager
def locked_for_reading(server: Server, database: str, tables: Sequence[str]) -> Iterator[ReadLock]:
    """Keep everyone from writing to tables, and see all that was written committed. Raises NotLocked.

    Writers wait behind us while we wait for others: for a second, and two seconds after we began
    the server ends it all, whatever became of us.
    """
    with connect(server, database) as connection:
        seconds = f"lock_wait_timeout = {_SHORT_WAIT_SECONDS}, wait_timeout = {_LONGEST_LOCK_SECONDS}"
        execute(connection, f"SET SESSION {seconds}")
        # The wait is for each table, and there may be many.
        ending = threading.Timer(_LONGEST_LOCK_SECONDS, _kill, [server, connection.thread_id()])
        ending.daemon = True
        ending.start()
        since = time.monotonic()
        try:
            names = ", ".join(f"{quote(table)} READ" for table in tables)
            try:
                execute(connection, f"LOCK TABLES {names}")
            except MySQLdb.Error as error:
                raise NotLocked(_why_not_locked(error, server, database)) from error
            yield ReadLock(connection, since)
        finally:
            ending.cancel()


_SHORT_WAIT_SECONDS = 1
_LONGEST_LOCK_SECONDS = 2


def _why_not_locked(error: MySQLdb.Error, server: Server, database: str) -> str:
    code = error.args[0]
    if code in (ER.DBACCESS_DENIED_ERROR, ER.TABLEACCESS_DENIED_ERROR):
        return f"user {server.user} lacks LOCK TABLES on {name_pattern(database)}.*"
    if code in (ER.LOCK_WAIT_TIMEOUT, CR.SERVER_LOST, CR.SERVER_GONE_ERROR):
        return "a table was in use by a transaction that writes to it"
    return f"the tables could not be locked ({error.args[-1]})"


def _kill(server: Server, thread: int) -> None:
    with suppress(MySQLProblem, MySQLdb.Error), connect(server) as other:
        execute(other, f"KILL {thread}")


def _allow_any_foreign_key(connection: Any) -> list[str]:
    known = _rows(connection, "SHOW SESSION VARIABLES LIKE 'restrict_fk_on_non_standard_key'")
    return ["SET SESSION restrict_fk_on_non_standard_key = OFF"] if known else []


def refuse_plaintext(server: Server) -> None:
    """Raise TlsProblem where TLS is demanded and not to be had, before a client is started.

    MariaDB's own clients would go on without it.
    """
    if server.ssl_mode == "REQUIRED":
        with connect(server):
            pass


def _refuse_plaintext(server: Server, connection: Any) -> None:
    # MariaDB's client library takes a demand for a wish where the server has no TLS.
    if server.ssl_mode in _ENCRYPTING and not is_encrypted(connection):
        raise _no_tls(server)


def is_encrypted(connection: Any) -> bool:
    """Whether the connection uses TLS."""
    return any(cipher for _, cipher in _rows(connection, "SHOW SESSION STATUS LIKE 'Ssl_cipher'"))


_VERIFYING = ("VERIFY_CA", "VERIFY_IDENTITY")
_ENCRYPTING = ("REQUIRED", *_VERIFYING)


def _connect_options(server: Server, database: str) -> dict[str, Any]:
    options: dict[str, Any] = {
        "host": server.host,
        "port": server.port,
        "user": server.user,
        "password": server.password,
        "charset": "utf8mb4",
        "connect_timeout": CONNECT_SECONDS,
        "read_timeout": _READ_SECONDS,
        "autocommit": True,
        # Where the server's own is ANSI_QUOTES, it would answer with names in double quotes. By
        # default, a statement that changes a table in use waits for a day.
        "init_command": "SET SESSION sql_mode = 'STRICT_TRANS_TABLES', "
        f"lock_wait_timeout = {_LOCK_WAIT_SECONDS}",
        # MariaDB's client library knows no wish but this one, with which it still takes a server
        # without TLS; and verifies against any authority that it is told of, whatever the mode.
        "ssl_mode": "REQUIRED" if server.ssl_mode == "PREFERRED" and _ON_LIBMARIADB else server.ssl_mode,
    }
    if server.ssl_mode in _VERIFYING:
        options["ssl"] = {"ca": server.ssl_ca}
    if database:
        options["database"] = database
    return options


# Its versions are 3.x, while MySQL's client library has its server's.
_ON_LIBMARIADB = version_number(MySQLdb.get_client_info()) < (5,)


@contextmanager
def _cursor(connection: Any) -> Iterator[Any]:
    """A cursor for the length of a block, which ends with what ended it.

    The driver's own would tell of a connection "out of sync" where a Ctrl-C fell into a statement.
    """
    cursor = connection.cursor()
    try:
        yield cursor
    finally:
        with suppress(MySQLdb.Error):
            cursor.close()


def _rows(connection: Any, statement: str, arguments: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    with _cursor(connection) as cursor:
        cursor.execute(statement, arguments or None)
        return list(cursor.fetchall())


def create_database(connection: Any, database: str, charset: str = "", collation: str = "") -> None:
    """Make a database, with the source's defaults where they are known."""
    defaults = ""
    if re.fullmatch(r"\w+", charset) and re.fullmatch(r"\w+", collation):
        defaults = f" CHARACTER SET {charset} COLLATE {collation}"
    execute(connection, f"CREATE DATABASE {quote(database)}{defaults}")


def drop_database(connection: Any, database: str) -> None:
    """Drop a database and all it holds, where it is there."""
    execute(connection, f"DROP DATABASE IF EXISTS {quote(database)}")


def database_defaults(connection: Any, database: str) -> tuple[str, str]:
    """The database's default character set and collation."""
    ((charset, collation),) = _rows(
        connection,
        "SELECT DEFAULT_CHARACTER_SET_NAME, DEFAULT_COLLATION_NAME "
        "FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = %s",
        [database],
    )
    return str(charset), str(collation)


def default_collations(connection: Any, info: ServerInfo) -> dict[str, str]:
    """Each character set's default collation on MySQL, for `stream.normalised_table`."""
    if info.flavour == MARIADB:
        return {}
    return {
        str(charset): str(collation)
        for charset, collation in _rows(
            connection,
            "SELECT CHARACTER_SET_NAME, DEFAULT_COLLATE_NAME FROM information_schema.CHARACTER_SETS",
        )
    }


def count_rows(connection: Any, database: str, table: str) -> int:
    """How many rows a table has, by counting them."""
    ((count,),) = _rows(connection, f"SELECT COUNT(*) FROM {quote(database)}.{quote(table)}")  # noqa: S608
    return int(count)


def execute(connection: Any, statement: str) -> None:
    """Run one statement, whose names are quoted already."""
    with _cursor(connection) as cursor:
        cursor.execute(statement)


def name_pattern(name: str, *, literal: bool = False) -> str:
    """A database's name in a GRANT, its wild characters escaped unless they are `literal` anyway."""
    return quote(name if literal else re.sub(r"([_%\\])", r"\\\1", name))


def takes_names_literally(connection: Any) -> bool:
    """Whether the names in grants are no patterns, as with MySQL's partial_revokes."""
    return ("partial_revokes", "ON") in _rows(connection, "SHOW VARIABLES LIKE 'partial_revokes'")


def prefix_pattern(prefix: str) -> str:
    """All databases whose names begin so, in a GRANT, where a pattern has room for 64 characters.

    Where there is no room to escape the prefix, its wild characters stand for themselves and more.
    """
    escaped = re.sub(r"([_%\\])", r"\\\1", prefix)
    return quote((escaped if len(escaped) < _LONGEST_NAME else prefix) + "%")


def _literal(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


# ---------------------------------------------------------------- What the server is and holds


def probe(connection: Any) -> ServerInfo:
    """Flavour and version of the server."""
    ((version, comment),) = _rows(connection, "SELECT VERSION(), @@version_comment")
    is_mariadb = "mariadb" in f"{version} {comment}".lower()
    return ServerInfo(MARIADB if is_mariadb else MYSQL, str(version))


def database_exists(connection: Any, database: str) -> bool:
    """Whether the server has the database, as far as this user sees."""
    return bool(
        _rows(
            connection,
            "SELECT 1 FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = %s",
            [database],
        )
    )


def inventory(connection: Any, database: str) -> Inventory:
    """The names of all objects in a database, by kind, sorted; as this user sees them.

    Triggers by their table's name, once for each.
    """
    found: Inventory = {}
    for kind, statement in _INVENTORY.items():
        names = [str(name) for (name,) in _rows(connection, statement, [database])]
        if names:
            found[kind] = sorted(names)
    for kind, name in _rows(connection, _ROUTINES, [database]):
        found.setdefault(str(kind).lower(), []).append(str(name))
    for kind in ("procedure", "function", "package", "package body"):
        if kind in found:
            found[kind].sort()
    return found


_INVENTORY = {
    "table": "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = %s "
    "AND TABLE_TYPE IN ('BASE TABLE', 'SYSTEM VERSIONED')",
    "view": "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = %s "
    "AND TABLE_TYPE = 'VIEW'",
    "sequence": "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = %s "
    "AND TABLE_TYPE = 'SEQUENCE'",
    "trigger": "SELECT EVENT_OBJECT_TABLE FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = %s",
    "event": "SELECT EVENT_NAME FROM information_schema.EVENTS WHERE EVENT_SCHEMA = %s",
}
_ROUTINES = "SELECT ROUTINE_TYPE, ROUTINE_NAME FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = %s"


def show_grants(connection: Any) -> list[str]:
    """The grants of the connected user, active roles included."""
    return [str(line) for (line,) in _rows(connection, "SHOW GRANTS")]


def view_that_calls_denied(connection: Any, database: str) -> str | None:
    """A view that calls a function which this user may not execute, None where there is none.

    MariaDB's dump program asks for the columns of each view, and is refused.
    """
    for view in inventory(connection, database).get("view", []):
        try:
            _rows(connection, f"SHOW FIELDS FROM {quote(database)}.{quote(view)}")
        except MySQLdb.Error as error:
            if error.args[0] == ER.PROCACCESS_DENIED_ERROR:
                return view
    return None


def routines_without_body(connection: Any, database: str) -> list[str]:
    """Routines that the user sees by name only."""
    rows = _rows(
        connection,
        "SELECT ROUTINE_NAME FROM information_schema.ROUTINES "
        "WHERE ROUTINE_SCHEMA = %s AND ROUTINE_DEFINITION IS NULL",
        [database],
    )
    return [str(name) for (name,) in rows]


def refuse_what_hangs(connection: Any, database: str) -> None:
    """Raise MySQLProblem for events on which both flavours' dump programs loop for ever.

    Their search for a delimiter never ends where an event's text holds `;;` (seen in MariaDB
    10.11 and MySQL 9.7).
    """
    rows = _rows(
        connection,
        "SELECT EVENT_NAME FROM information_schema.EVENTS WHERE EVENT_SCHEMA = %s "
        "AND INSTR(CONCAT_WS(' ', DEFINER, EVENT_NAME, EVENT_DEFINITION, EVENT_COMMENT), ';;')",
        [database],
    )
    if rows:
        raise MySQLProblem(
            f"The event {rows[0][0]} holds two semicolons in a row, on which the dump program hangs.",
            do="Alter the event so that `;;` does not occur in its name, body or comment.",
        )


def client_warnings(info: ServerInfo, programs: Clients) -> list[str]:
    """What may go wrong with this client on this server."""
    if programs.number >= info.number[:2]:
        return []
    server = ".".join(map(str, info.number))
    return [
        f"The client ({programs.version}) is older than the server ({server}): it may not know all features."
    ]


def tables_without_snapshot(connection: Any, database: str) -> list[str]:
    """Tables that a consistent snapshot does not cover: all that are not InnoDB, with their engine."""
    rows = _rows(
        connection,
        "SELECT TABLE_NAME, ENGINE FROM information_schema.TABLES WHERE TABLE_SCHEMA = %s "
        "AND TABLE_TYPE IN ('BASE TABLE', 'SYSTEM VERSIONED') AND ENGINE <> 'InnoDB' "
        "ORDER BY TABLE_NAME",
        [database],
    )
    return [f"{name} ({engine})" for name, engine in rows]


def tables(connection: Any, database: str) -> list[str]:
    """All that RENAME TABLE moves: tables and MariaDB's sequences."""
    held = inventory(connection, database)
    return sorted([*held.get("table", []), *held.get("sequence", [])])


def rename_tables(connection: Any, moves: Sequence[tuple[str, str, str]]) -> None:
    """Move tables between databases in one statement: (from database, to database, table)."""
    parts = ", ".join(
        f"{quote(source)}.{quote(table)} TO {quote(target)}.{quote(table)}" for source, target, table in moves
    )
    allow = _allow_any_foreign_key(connection)
    with connection.cursor() as cursor:
        for statement in allow:
            cursor.execute(statement)
        cursor.execute("SET SESSION foreign_key_checks = 0")
        cursor.execute(f"RENAME TABLE {parts}")


def end_renames(connection: Any, database: str) -> None:
    """End every RENAME into `database` that still waits for locks: the server does not notice by
    itself that the one who asked for it is dead. Raises MySQLProblem."""
    for _ in range(_END_RENAME_TRIES):
        rows = _rows(
            connection,
            "SELECT ID FROM information_schema.PROCESSLIST "
            "WHERE INFO LIKE 'RENAME TABLE %%' AND INSTR(INFO, %s)",
            [quote(database)],
        )
        if not rows:
            return
        for (thread,) in rows:
            with suppress(MySQLdb.Error):  # it has ended meanwhile
                execute(connection, f"KILL {int(thread)}")
        process.pause()
    raise MySQLProblem(f"A statement that moves tables to {database} still runs and does not end.")


def drop_triggers(connection: Any, database: str, of_tables: Collection[str] | None = None) -> None:
    """Drop a database's triggers, or those of some tables."""
    rows = _rows(
        connection,
        "SELECT TRIGGER_NAME, EVENT_OBJECT_TABLE FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = %s",
        [database],
    )
    for name, table in rows:
        if of_tables is None or table in of_tables:
            execute(connection, f"DROP TRIGGER IF EXISTS {quote(database)}.{quote(str(name))}")


def drop_views(connection: Any, database: str, names: Collection[str] | None = None) -> None:
    """Drop a database's views, or some of them."""
    for name in inventory(connection, database).get("view", []):
        if names is None or name in names:
            execute(connection, f"DROP VIEW IF EXISTS {quote(database)}.{quote(name)}")


def drop_definitions(connection: Any, database: str) -> None:
    """Drop all that is no table: triggers, views, events, routines, packages."""
    drop_triggers(connection, database)
    drop_views(connection, database)
    held = inventory(connection, database)
    if "package" in held:
        # MariaDB before 11 parses DROP PACKAGE in Oracle's mode alone.
        execute(connection, "SET SESSION sql_mode = 'ORACLE'")
    # A package's body goes with it.
    for kind in ("event", "procedure", "function", "package"):
        for name in held.get(kind, []):
            execute(connection, f"DROP {kind.upper()} IF EXISTS {quote(database)}.{quote(name)}")


def drop_everything(connection: Any, database: str) -> None:
    """Empty a database without dropping it, for users who could not create it again."""
    held = inventory(connection, database)
    drop_definitions(connection, database)
    with connection.cursor() as cursor:
        cursor.execute("SET SESSION foreign_key_checks = 0")
    for kind in ("table", "sequence"):
        for name in held.get(kind, []):
            execute(connection, f"DROP {kind.upper()} IF EXISTS {quote(database)}.{quote(name)}")


def crossing_foreign_keys(connection: Any, database: str, chosen: Collection[str]) -> list[tuple[str, str]]:
    """Foreign keys between chosen tables and others: (table, the table it refers to)."""
    rows = _rows(
        connection,
        "SELECT TABLE_NAME, REFERENCED_TABLE_NAME FROM information_schema.REFERENTIAL_CONSTRAINTS "
        "WHERE CONSTRAINT_SCHEMA = %s",
        [database],
    )
    return [(str(a), str(b)) for a, b in rows if (a in chosen) != (b in chosen)]


def referenced_tables(connection: Any, database: str) -> list[str]:
    """The tables to which foreign keys of a database refer, whether these are there or not."""
    rows = _rows(
        connection,
        "SELECT DISTINCT REFERENCED_TABLE_NAME FROM information_schema.REFERENTIAL_CONSTRAINTS "
        "WHERE CONSTRAINT_SCHEMA = %s",
        [database],
    )
    return [str(name) for (name,) in rows]


def requalify_sequences(connection: Any, database: str, old: str) -> None:
    """Point column defaults that draw from a sequence of `old` at the one in `database`.

    MariaDB stores the sequence's database with the default, and RENAME TABLE leaves it there.
    """
    rows = _rows(
        connection,
        "SELECT TABLE_NAME, COLUMN_NAME, COLUMN_DEFAULT FROM information_schema.COLUMNS "
        "WHERE TABLE_SCHEMA = %s AND COLUMN_DEFAULT LIKE '%%nextval(%%'",
        [database],
    )
    for table, column, default in rows:
        pointed = str(default).replace(f"({quote(old)}.", f"({quote(database)}.")
        if pointed != default:
            execute(
                connection,
                f"ALTER TABLE {quote(database)}.{quote(str(table))} "
                f"ALTER COLUMN {quote(str(column))} SET DEFAULT {pointed}",
            )


def definers(connection: Any, database: str) -> list[str]:
    """The users in whose name views, triggers, routines and events of a database run."""
    rows = _rows(
        connection,
        "SELECT DEFINER FROM information_schema.VIEWS WHERE TABLE_SCHEMA = %s "
        "UNION SELECT DEFINER FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = %s "
        "UNION SELECT DEFINER FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = %s "
        "UNION SELECT DEFINER FROM information_schema.EVENTS WHERE EVENT_SCHEMA = %s",
        [database] * 4,
    )
    return sorted(str(definer) for (definer,) in rows)


def missing_users(connection: Any, accounts: Sequence[str]) -> list[str] | None:
    """Which of the accounts (user@host) the server does not know; None where we may not see them."""
    try:
        known = {f"{user}@{host}" for user, host in _rows(connection, "SELECT User, Host FROM mysql.user")}
    except MySQLdb.Error:
        return None
    return [account for account in accounts if account not in known]


def definer_grant(connection: Any) -> str:
    """The statement that lets us make things that run in another user's name."""
    info = probe(connection)
    if info.flavour == MARIADB:
        right = "SET USER"
    elif info.number >= (8, 2):
        right = "SET_ANY_DEFINER, ALLOW_NONEXISTENT_DEFINER, SYSTEM_USER"
    else:
        right = "SET_USER_ID, SYSTEM_USER"
    return f"GRANT {right} ON *.* TO {account(connection)}"


def refuse_unless_may_define(
    connection: Any, database: str, definers: Collection[str], *, with_functions: bool
) -> None:
    """Raise MissingPrivilege unless we may make things in the name of these users, as tried in `database`.

    `definers` are quoted as in the server's own statements. Where the binary log is on, functions
    and triggers need more than procedures do.
    """
    kind = "FUNCTION" if with_functions else "PROCEDURE"
    body = "() RETURNS INT DETERMINISTIC NO SQL RETURN 1" if with_functions else "() BEGIN END"
    routine = f"{quote(database)}.`vedetta_may_define`"
    for definer in definers:
        execute(connection, f"DROP {kind} IF EXISTS {routine}")
        try:
            execute(connection, f"CREATE DEFINER={definer} {kind} {routine}{body}")
        except MySQLdb.Error as error:
            if error.args[0] == _BINARY_LOG_ON:
                raise MissingPrivilege(
                    "The server's binary log is on and it does not trust us with functions and triggers.",
                    do=_TRUST,
                ) from error
            if error.args[0] != ER.SPECIFIC_ACCESS_DENIED_ERROR:
                raise
            raise MissingPrivilege(
                f"Views, triggers, routines or events run as {definer}, and we may not make such.",
                do=f"Run as an administrator: {definer_grant(connection)}; or restore in place.",
            ) from error
        execute(connection, f"DROP {kind} {routine}")


def tables_with_json(connection: Any, database: str) -> list[str]:
    """Tables with columns of MySQL's own JSON type; MariaDB's is a text."""
    rows = _rows(
        connection,
        "SELECT DISTINCT TABLE_NAME FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = %s "
        "AND DATA_TYPE = 'json'",
        [database],
    )
    return [str(name) for (name,) in rows]


class TableSize(NamedTuple):
    """What SHOW TABLES lists: `bytes` as the server guesses it, `most` what its dump may well take.

    Views and sequences have none.
    """

    name: str
    kind: str
    bytes: int
    most: int

    @property
    def is_table(self) -> bool:
        """Whether it is a table that has rows."""
        return self.kind in ("BASE TABLE", "SYSTEM VERSIONED")


def listed_tables(connection: Any, database: str) -> list[TableSize]:
    """Tables, views and sequences in the order in which the dump programs take them."""
    with suppress(MySQLdb.Error):  # MySQL's own: what it remembers may be a day old
        execute(connection, "SET SESSION information_schema_stats_expiry = 0")
    sizes = {
        str(name): (int(size), int(most))
        for name, size, most in _rows(
            connection,
            "SELECT TABLE_NAME, COALESCE(DATA_LENGTH, 0), COALESCE(DATA_LENGTH, 0) * "
            "IF(ROW_FORMAT = 'Compressed' OR CREATE_OPTIONS LIKE '%%compress%%', 10, 2) "
            "FROM information_schema.TABLES WHERE TABLE_SCHEMA = %s",
            [database],
        )
    }
    return [
        TableSize(str(name), str(kind), *sizes.get(str(name), (0, 0)))
        for name, kind in _rows(connection, f"SHOW FULL TABLES FROM {quote(database)}")
    ]


def data_length(connection: Any, database: str) -> int:
    """The server's own estimate of the size of the rows in bytes."""
    ((length,),) = _rows(
        connection,
        "SELECT COALESCE(SUM(DATA_LENGTH), 0) FROM information_schema.TABLES WHERE TABLE_SCHEMA = %s",
        [database],
    )
    return int(length)


def space_used(connection: Any, database: str) -> int:
    """The server's own estimate of what a database takes on disk, in bytes."""
    ((length,),) = _rows(
        connection,
        "SELECT COALESCE(SUM(DATA_LENGTH + INDEX_LENGTH), 0) FROM information_schema.TABLES "
        "WHERE TABLE_SCHEMA = %s",
        [database],
    )
    return int(length)


def definition(connection: Any, database: str, table: str) -> bytes:
    """A table's CREATE TABLE in the server's words; empty where it knows none of this name."""
    try:
        ((_, text),) = _rows(connection, f"SHOW CREATE TABLE {quote(database)}.{quote(table)}")
    except (MySQLdb.Error, UnicodeError):  # a dump may be in another character set
        return b""
    return str(text).encode()


def definitions_changed_at(connection: Any, database: str) -> dict[str, str]:
    """When each table was last created or altered, to notice DDL during a dump."""
    rows = _rows(
        connection,
        "SELECT TABLE_NAME, CREATE_TIME FROM information_schema.TABLES WHERE TABLE_SCHEMA = %s "
        "AND TABLE_TYPE IN ('BASE TABLE', 'SYSTEM VERSIONED')",
        [database],
    )
    return {str(name): str(time) for name, time in rows}


def lock_wait(connection: Any, database: str) -> str:
    """The server's words for what another connection of ours to this database waits for, or none."""
    ((user, own),) = _rows(connection, "SELECT SUBSTRING_INDEX(USER(), '@', 1), CONNECTION_ID()")
    for number, who, _host, where, _command, _time, state, *_ in _rows(connection, "SHOW PROCESSLIST"):
        if (who, where) == (user, database) and number != own and str(state).startswith("Waiting for"):
            return str(state)
    return ""


@dataclass(frozen=True)
class Replica:
    """A server that follows another: whether it does, and how many seconds it is behind."""

    source: str
    runs: bool
    behind: int | None

    def __str__(self) -> str:
        if not self.runs or self.behind is None:
            return f"The server is a replica of {self.source}, and its replication does not run"
        seconds = f"{self.behind} second{'' if self.behind == 1 else 's'}"
        return f"The server is a replica of {self.source}, {seconds} behind it"


def replica(connection: Any) -> Replica | None:
    """What the server follows; None where it follows none, or we may not ask.

    https://mariadb.com/kb/en/show-replica-status/ https://dev.mysql.com/doc/refman/8.4/en/show-replica-status.html
    """
    for statement in ("SHOW REPLICA STATUS", "SHOW SLAVE STATUS"):
        with suppress(MySQLdb.Error), connection.cursor() as cursor:
            cursor.execute(statement)
            row = cursor.fetchone()
            if row is None:
                return None
            told = dict(zip((column[0] for column in cursor.description), row, strict=True))
            return _replica_from(told)
    return None


def _replica_from(told: dict[str, Any]) -> Replica:
    """Both flavours' columns, by their newer and older names."""

    def of(*names: str) -> Any:
        return next((told[name] for name in names if name in told), None)

    threads = (
        of("Replica_IO_Running", "Slave_IO_Running"),
        of("Replica_SQL_Running", "Slave_SQL_Running"),
    )
    behind = of("Seconds_Behind_Source", "Seconds_Behind_Master")
    return Replica(
        source=f"{of('Source_Host', 'Master_Host')}:{of('Source_Port', 'Master_Port')}",
        runs=threads == ("Yes", "Yes"),
        behind=None if behind is None else int(behind),
    )


def refuses_functions(connection: Any) -> bool:
    """Whether the binary log keeps all but users with SUPER from making triggers and functions."""
    ((logs, trusts),) = _rows(connection, "SELECT @@log_bin, @@log_bin_trust_function_creators")
    return bool(logs) and not trusts


TRUST_FUNCTION_CREATORS = (
    "Set log_bin_trust_function_creators=1 in the server's configuration, and now, as an administrator: "
    "SET GLOBAL log_bin_trust_function_creators = 1;"
)


def binary_log_position(connection: Any) -> dict[str, Any] | None:
    """File and position of the binary log, None where it is off or not ours to see."""
    for statement in ("SHOW BINARY LOG STATUS", "SHOW MASTER STATUS"):
        with suppress(MySQLdb.Error):
            for file, position, *_ in _rows(connection, statement):
                return {"file": str(file), "position": int(position)}
    return None


# ---------------------------------------------------------------- Client programs


def clients(server: ServerInfo, folder: str = "") -> Clients:
    """The flavour's own dump and load programs, from `folder`: one, or several separated by colons.

    Raises MySQLProblem where there are none, or the other flavour's alone.
    """
    strange = None
    for place in process.program_folders(folder):
        dump = process.find_program(*_DUMP_NAMES[server.flavour], folder=place)
        load = process.find_program(*_LOAD_NAMES[server.flavour], folder=place)
        if not (dump and load):
            continue
        # By its own word: Debian's `mysqldump` is MariaDB's under another name.
        flavour, _, version = client_version(dump).partition(" ")
        found = Clients(dump, load, flavour, version, _before_dump(dump))
        if flavour == server.flavour:
            return found
        strange = strange or found
    wanted = " and ".join(_names[0] for _names in (_DUMP_NAMES[server.flavour], _LOAD_NAMES[server.flavour]))
    raise MySQLProblem(
        _why_not(server, strange, folder),
        do=f"Install {server.flavour}'s own {wanted}, or name their folder in MYSQL_CLIENT_DIR.",
    )


def _why_not(server: ServerInfo, strange: Clients | None, folder: str) -> str:
    place = f"in {folder}" if folder else "on this machine"
    other = MYSQL if server.flavour == MARIADB else MARIADB
    if strange is None and not process.find_program(_DUMP_NAMES[other][0], folder=folder):
        return f"No client programs for {server.flavour} are installed {place}."
    return (
        f"The server is {server}, and the client programs {place} are {other}'s alone, which "
        f"{_UNFIT[server.flavour]}."
    )


_DUMP_NAMES = {MARIADB: ("mariadb-dump", "mysqldump"), MYSQL: ("mysqldump",)}
_LOAD_NAMES = {MARIADB: ("mariadb", "mysql"), MYSQL: ("mysql",)}
# Seen with MariaDB's 10.11 and 11.8 on MySQL 9.7, and with MySQL's 9.7 on MariaDB 10.11. No option helps.
_UNFIT = {
    MYSQL: "write a dump of MySQL that MySQL does not take back (values of generated columns)",
    MARIADB: "cannot log in to MariaDB and know nothing of its sequences and packages",
}


def _before_dump(program: str) -> tuple[str, ...]:
    """coreutils' stdbuf, where it is there and this program starts with it and has no complaint.

    A dump program writes 4 KB at a time to a pipe, on which two programs spend an eighth of all the
    processor time of a backup.
    """
    stdbuf = process.find_program("stdbuf")
    if stdbuf is None:
        return ()
    before = (stdbuf, "--output=256K")
    try:
        tried = process.run([*before, program, "--version"], env=client_environment(), deadline=10)
    except (process.NotInstalled, process.DeadlineExceeded):
        return ()
    return () if tried.returncode or tried.stderr_tail else before


def client_environment() -> dict[str, str]:
    """What a client program gets to see. Without HOME, where it would find ~/.mylogin.cnf."""
    return {name: value for name, value in process.base_environment().items() if name != "HOME"}


def client_version(program: str) -> str:
    """Flavour and version of a client program, as in "MariaDB 10.11.19". Raises MySQLProblem."""
    try:
        answer = process.run([program, "--version"], env=client_environment(), deadline=10)
    except (process.NotInstalled, process.DeadlineExceeded) as error:
        raise MySQLProblem(f"{program} does not say its version: {error}.") from None
    text = answer.stdout.decode(errors="replace")
    flavour = MARIADB if "mariadb" in text.lower() else MYSQL
    found = re.search(r"(?:Distrib|from|Ver) (\d+\.\d+\.\d+)", text.replace("Ver 10.19 ", ""))
    return f"{flavour} {found[1] if found else '0'}"


def option_file(server: Server) -> bytes:
    """The clients' option file, which alone carries the password.

    Quoting as in https://dev.mysql.com/doc/refman/8.4/en/option-files.html
    """
    escaped = server.password.replace("\\", "\\\\").replace('"', '\\"')
    for plain, escape in (("\n", "\\n"), ("\r", "\\r"), ("\t", "\\t")):
        escaped = escaped.replace(plain, escape)
    return f'[client]\npassword="{escaped}"\n'.encode()


def connection_args(server: Server, programs: Clients, option_file_path: str) -> tuple[str, ...]:
    """What every client is told: the option file first, as they demand."""
    args = [
        f"--defaults-file={option_file_path}",
        f"--host={server.host}",
        f"--port={server.port}",
        f"--user={server.user}",
        "--default-character-set=utf8mb4",
        *_tls_args(server, programs),
    ]
    return tuple(args)


def _tls_args(server: Server, programs: Clients) -> list[str]:
    """--ssl-mode, and what comes closest to it for MariaDB's clients, which do not have it."""
    authority = [f"--ssl-ca={server.ssl_ca}"] if server.ssl_mode in _VERIFYING else []
    if programs.flavour == MYSQL:
        # caching_sha2_password asks for the server's key where neither TLS nor its cache helps.
        asks = server.ssl_mode in ("DISABLED", "PREFERRED") and programs.number >= (8,)
        key = ["--get-server-public-key"] if asks else []
        return [f"--ssl-mode={server.ssl_mode}", *authority, *key]
    if server.ssl_mode == "DISABLED":
        return ["--skip-ssl"]
    if authority:
        return ["--ssl", "--ssl-verify-server-cert", *authority]
    # A wish and not a demand, see refuse_plaintext; from 11.4 they refuse what they cannot verify.
    return ["--ssl", "--skip-ssl-verify-server-cert"]


def dump_args(
    server: Server,
    database: str,
    *,
    info: ServerInfo,
    programs: Clients,
    option_file_path: str,
    structure_only: bool = False,
    tables_only: bool = False,
    leave_out: Sequence[str] = (),
) -> tuple[str, ...]:
    """A whole, consistent dump of one database.

    With `tables_only` without its events and routines; `leave_out` are tables, views and sequences.
    """
    args = [
        *programs.before_dump,
        programs.dump,
        *connection_args(server, programs, option_file_path),
        "--single-transaction",
        "--quick",
        "--triggers",
        "--skip-dump-date",
        "--no-tablespaces",
        # Otherwise the optimizer may choose another index, and another order, each time.
        "--order-by-primary",
        # MariaDB's would keep a table's own DEFAULT nextval(…) from being loaded.
        "--skip-add-locks",
        "--max-allowed-packet=1G",
    ]
    if programs.flavour == MYSQL:
        args.append("--set-gtid-purged=OFF")
        if programs.number >= (8,):
            args.append("--column-statistics=0")
    elif info.flavour == MARIADB and not structure_only and min(info.number, programs.number) >= (10, 11):
        args.append("--dump-history")
    if structure_only:
        args.append("--no-data")
    if not tables_only:
        args += ["--routines", "--events"]
    args += [f"--ignore-table={database}.{name}" for name in leave_out]
    return (*args, "--", database)


def load_args(server: Server, database: str, *, programs: Clients, option_file_path: str) -> tuple[str, ...]:
    """A client that runs the statements from its standard input in one database.

    `--comments` keeps the comments in routines, `--binary-mode` every byte as it is, and with it the
    client's own commands (`system`, `source`) are text. A dump may not ask for this machine's files.
    """
    return (
        programs.load,
        *connection_args(server, programs, option_file_path),
        "--batch",
        "--comments",
        "--binary-mode",
        "--local-infile=0",
        "--max-allowed-packet=1G",
        f"--database={database}",
    )


def client_problem(stderr: Sequence[str], code: int, server: Server, database: str) -> MySQLProblem:
    """What the end of a loading client means: the server's first complaint, by its number."""
    for line in stderr:
        if found := re.search(r"ERROR (\d{4})(?: \(\w+\))?(?: at line (\d+))?: (.*)", line):
            return _load_problem_from(int(found[1]), found[3], server, database)
    # Other lines may hold the statement that failed, and with it people's data.
    last = next((line for line in reversed(stderr) if line.startswith("ERROR")), "it gave no reason")
    if code < 0:
        return ServerGone(f"The loading client was killed by signal {-code}.", do="Try again.")
    return MySQLProblem(f"The loading client failed (exit status {code}): {last}.")


@contextmanager
def translated_load(server: Server, database: str) -> Iterator[None]:
    """Turn the driver's errors into sentences about what is being loaded."""
    try:
        yield
    except MySQLdb.Error as error:
        code = error.args[0] if error.args and isinstance(error.args[0], int) else 0
        # So the driver tells of an encrypted connection that was cut.
        code = CR.SERVER_LOST if code == CR.SSL_CONNECTION_ERROR else code
        raise _load_problem_from(code, str(error.args[-1]), server, database) from error


def _load_problem_from(code: int, text: str, server: Server, database: str) -> MySQLProblem:
    if code == ER.BINLOG_CREATE_ROUTINE_NEED_SUPER:
        return MySQLProblem(
            f"The server at {server.address} writes a binary log, and takes triggers and functions from "
            f"users with SUPER alone, which {server.user} has not.",
            do=TRUST_FUNCTION_CREATORS,
        )
    if code in (CR.SERVER_GONE_ERROR, CR.SERVER_LOST):
        return ServerGone(
            f"The connection to the database server at {server.address} was lost.",
            do="See the server's own log, then try again. If it ran on, a row may be larger than its "
            "max_allowed_packet.",
        )
    if code == ER.NET_PACKET_TOO_LARGE:
        return MySQLProblem(
            f"A row is larger than the server at {server.address} takes in one statement ({text}).",
            do="Raise max_allowed_packet in the server, then try again.",
        )
    if code == ER.LOCK_DEADLOCK:
        return MySQLProblem(
            f"Connections that load {database} were in each other's way ({text}).",
            do="Try again; RESTORE_CONNECTIONS=1 loads over one, where this cannot happen.",
        )
    if code == ER.SPECIFIC_ACCESS_DENIED_ERROR:
        return MissingPrivilege(
            f"The user {server.user} may not create all that the snapshot holds: {text}.",
            do="or restore with definers set to the current user.",
        )
    if code == ER.TABLEACCESS_DENIED_ERROR:
        return MySQLProblem(
            f"The user {server.user} may not create all that the snapshot holds: {text}.",
            do="Grant it; deploy/mysql has the statements.",
        )
    return problem_from_number(code, text, server, database)


def dump_problem(stderr: Sequence[str], code: int, server: Server, database: str) -> MySQLProblem:
    """What a dump program's end means."""
    for line in reversed(stderr):
        if found := re.search(r"(?:Got error|Error|ERROR):? (\d{4}):? (.*)|(.*) \((\d{4})\)$", line):
            text, number = (found[2], found[1]) if found[1] else (found[3], found[4])
            return _dump_problem_from(int(number), text, server, database)
        if "field count for table" in line:
            return _dump_problem_from(ER.TABLE_DEF_CHANGED, line, server, database)
    last = next((line for line in reversed(stderr) if line.strip()), "it gave no reason")
    if code < 0:
        return MySQLProblem(f"The dump program was killed by signal {-code}.", do="Try again.")
    return MySQLProblem(f"The dump program failed (exit status {code}): {last}.")


def _dump_problem_from(code: int, text: str, server: Server, database: str) -> MySQLProblem:
    if code in (ER.TABLE_DEF_CHANGED, ER.NO_SUCH_TABLE):
        return MySQLProblem(
            f"A table of {database} was altered or dropped while the dump ran ({text}).",
            do="Back up again once the change is through.",
        )
    if code in (ER.BAD_DB_ERROR, ER.DBACCESS_DENIED_ERROR) and len(database.splitlines()) > 1:
        # It was there a moment ago. Seen in MariaDB 10.11, whose dump program asks for another name.
        return MySQLProblem(
            f"The dump program does not cope with the name {database!r}, which holds a line break, where "
            "the database has events.",
            do="Move its tables into a database with another name, or drop its events.",
        )
    return problem_from_number(code, text, server, database)
