"""Short connections, bounded in time, encrypted as was asked for."""

from __future__ import annotations

import os
import time
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import MySQLdb
import MySQLdb.connections
import MySQLdb.cursors
from MySQLdb import _mysql
from MySQLdb.constants import ER

from backups.mysql.answers import anything, execute, fetch_one, fetch_rows
from backups.mysql.binary_log import refuse_unless_left_out
from backups.mysql.conversation import Conversation
from backups.mysql.error_numbers import METHOD_REFUSED, translated
from backups.mysql.problems import LockedOut, MySQLProblem, OfTheServer, TlsProblem
from backups.mysql.relay import Rules, as_offered, is_looked_at, relayed
from backups.mysql.server import Server, version_number
from backups.mysql.session import BEGIN_ASKING, BEGIN_SHORT, CUTS_DUMPS, CUTS_WITHOUT_HISTORY
from backups.mysql.tls_errors import no_tls
from backups.text import checked
from backups.text.sentences import joined, phrase

VERIFYING = ("VERIFY_CA", "VERIFY_IDENTITY")
_ENCRYPTING = ("REQUIRED", *VERIFYING)

_CONNECT_SECONDS = 10
_READ_SECONDS = 120
_LONGEST_VERSION = 100
# How often, and how long apart, a user who may connect so often is tried again: a server counts connections
# that were closed until their threads are through.
TRIES_AT_A_LIMIT = 16
MOMENT_SECONDS = 0.25
# Its versions are 3.x, while MySQL's client library has its server's.
_FOR_THE_DRIVER = Path(__file__).with_name("driver.cnf")
_ON_LIBMARIADB = version_number(MySQLdb.get_client_info()) < (5,)


class Cursor(MySQLdb.cursors.Cursor):
    """The driver's, which has read an answer to its end once the statement is over, within limits."""

    _result: Any

    def _query(self, statement: bytes) -> Any:
        for_work = not statement.lstrip()[:7].upper().startswith((b"SELECT ", b"SHOW "))
        with self._conversation.waiting(for_work=for_work):
            return super()._query(statement)

    def _get_result(self) -> Any:
        return self.connection.use_result()

    def _post_get_result(self) -> None:
        self._rows = self._conversation.all_rows(self._fetch_row) if self._result else ()
        self.warning_count = self.connection.warning_count()
        self._result = None

    def _discard(self) -> None:
        # A server may say without an end that more answers follow.
        if self.connection is None or self._conversation.problem is not None:
            return
        with self._conversation.waiting():
            super()._discard()

    @property
    def _conversation(self) -> Conversation:
        return self.connection.conversation


class Connection(MySQLdb.connections.Connection):
    """The driver's, which reads a greeting of any bytes and begins in the database that is named.

    How long it waits for the server, and how much it takes in, has limits: see Conversation.
    """

    def __init__(self, conversation: Conversation, **options: Any) -> None:
        self.conversation = conversation
        super().__init__(cursorclass=Cursor, **options)
        # Whatever init_connect has chosen meanwhile: everything that is not qualified would go there.
        if database := options.get("database"):
            self.select_db(database)
        conversation.speaks_over(self.fileno())
        weakref.finalize(self, conversation.end)

    def get_server_info(self) -> str:
        """What the server calls itself in its greeting, as far as a version may go."""
        try:
            return str(super().get_server_info())[:_LONGEST_VERSION]
        except UnicodeDecodeError:
            return "�"

    def close(self) -> None:
        """Hang up."""
        self.conversation.end()
        super().close()

    def query(self, query: Any) -> None:
        """Send a statement, and wait until its answer begins."""
        with self.conversation.waiting(for_work=True):
            super().query(query)

    def drop_answers(self) -> None:
        """Read what the last statement is answered with, and keep nothing of it."""
        with self.conversation.waiting(for_work=True):
            while True:
                if answer := self.use_result():
                    answer.discard()
                if self.next_result() != 0:
                    return

    def raw_rows(self) -> list[tuple[Any, ...]]:
        """The rows that the last statement is answered with, all values as bytes. Raises MySQLProblem."""
        with self.conversation.waiting(for_work=True):
            answer = _mysql.result(self, 1, {})
            return self.conversation.all_rows(answer.fetch_row)


@contextmanager
def connect(server: Server, database: str = "", *, read_seconds: int = _READ_SECONDS) -> Iterator[Any]:
    """A connection for the length of a block. Raises MySQLProblem.

    A statement that is work may take `read_seconds`, all questions together what Conversation says.
    """
    refuse_missing_authority(server)
    with translated(server, database):
        connection = _let_in(server, database, read_timeout=read_seconds)
    try:
        with translated(server, database):
            refuse_unencrypted(server, connection)
            yield connection
    except LockedOut as problem:
        if holders := _holders(connection):
            problem.do = phrase(
                "Who may hold it: {holders}. End that there, then try again.", holders=joined(holders, "; ")
            )
        raise
    finally:
        with suppress(MySQLdb.Error):
            connection.close()


def opened(server: Server, database: str, **changes: Any) -> Connection:
    """A connection of the driver's, `changes` in the place of its usual options; None takes one out.

    MariaDB's client library takes a demand for TLS for a wish where the server has none, and a wish for
    what it got: it would show a password in clear. So it is let through to none without TLS where that is
    demanded; where it is preferred, it tries methods first by which it shows nothing, and is then told of
    no wish that is in vain. Raises IntoBinaryLog where the server was to be left nothing in its binary log.
    """
    if database:
        refuse_unfit_name(server, database)
    connection = _opened(server, database, changes)
    if server.skips_binary_log:
        try:
            refuse_unless_left_out(connection, server)
        except BaseException:
            connection.close()
            raise
    return connection


def _opened(server: Server, database: str, changes: Mapping[str, Any]) -> Connection:
    if not _ON_LIBMARIADB or server.socket or server.ssl_mode != "PREFERRED":
        with _held_to_tls(server) as reached:
            return _connection(server, reached, database, changes)
    if not is_looked_at(server):
        try:
            return _connection(server, server, database, {**changes, "read_default_group": "hiding"})
        except MySQLdb.OperationalError as error:
            if error.args[0] != METHOD_REFUSED:
                raise
    return _connection(server, as_offered(server), database, changes)


def logs_in_by_what_is_built_in(server: Server) -> bool:
    """Whether we are let in by mysql_native_password alone, which no client has to load."""
    if not _ON_LIBMARIADB:
        return False
    try:
        _connection(server, server, "", {"read_default_group": "native"}).close()
    except (MySQLProblem, MySQLdb.Error):
        return False
    return True


def _connection(server: Server, reached: Server, database: str, changes: Mapping[str, Any]) -> Connection:
    options = {**connect_options(reached, database), **changes}
    conversation = Conversation(server, options["read_timeout"])
    with conversation.connecting(reached):
        return Connection(
            conversation, **{name: value for name, value in options.items() if value is not None}
        )


def refuse_unfit_name(server: Server, database: str) -> None:
    """Raise MySQLProblem for what cannot be a database's name."""
    try:
        checked.SchemaName(database)
    except checked.Unfit as why:
        raise MySQLProblem(
            phrase(
                "{shown} cannot be the name of a database, see {database_set_by}. {why}",
                shown=checked.shown(database),
                database_set_by=server.database_set_by,
                why=why,
            ),
            code="mysql.malformed_database",
            do=phrase("Correct it there, then try again."),
        ) from None


@contextmanager
def _held_to_tls(server: Server) -> Iterator[Server]:
    if server.ssl_mode != "REQUIRED" or not _ON_LIBMARIADB:
        yield server
        return
    with relayed(server, Rules(tls_only=True)) as reached:
        yield reached


def _let_in(server: Server, database: str, **changes: Any) -> Connection:
    """A connection, tried again where those of before may still count."""
    for _ in range(TRIES_AT_A_LIMIT - 1):
        try:
            return opened(server, database, **changes)
        except MySQLdb.OperationalError as error:
            if error.args[0] not in (ER.USER_LIMIT_REACHED, ER.TOO_MANY_USER_CONNECTIONS):
                raise
        time.sleep(MOMENT_SECONDS)
    return opened(server, database, **changes)


_MOST_HOLDERS = 3


def _holders(connection: Any) -> list[str]:
    """Who may hold what we waited for, the oldest first, as far as we may see: transactions of others."""
    found = []
    with suppress(MySQLdb.Error):  # MySQL wants XA_RECOVER_ADMIN for it
        names = (row[3] for row in fetch_rows(connection, "XA RECOVER", 4))
        texts = (name.decode(errors="replace") if isinstance(name, bytes) else str(name) for name in names)
        found += [phrase("the prepared transaction {text} (XA RECOVER)", text=repr(text)) for text in texts]
    with suppress(MySQLdb.Error):  # both want PROCESS
        rows = fetch_rows(
            connection,
            "SELECT p.ID, p.USER, t.trx_started FROM information_schema.INNODB_TRX t "
            "JOIN information_schema.PROCESSLIST p ON p.ID = t.trx_mysql_thread_id "
            "WHERE p.ID <> CONNECTION_ID() ORDER BY t.trx_started",
            3,
        )
        found += [
            phrase(
                "connection {number} of {user}, in a transaction since {since}",
                number=number,
                user=user,
                since=since,
            )
            for number, user, since in rows
        ]
    return found[:_MOST_HOLDERS]


_ASKED = ", ".join(f"'{name}'" for name in CUTS_WITHOUT_HISTORY)


def refuse_what_cuts_dumps(server: Server, *, with_history: bool) -> None:
    """Raise OfTheServer where every new session sees a part of the rows, or of another time.

    For dump programs that cannot be told how to begin theirs; `with_history` those that dump the
    history of tables as well.
    """
    refuse_missing_authority(server)
    with translated(server):
        connection = opened(server, "", init_command=None)
    try:
        with translated(server):
            # Alone, since it may cut the other answer.
            (limit,) = fetch_one(connection, "SELECT @@SESSION.sql_select_limit", anything)
            execute(connection, BEGIN_ASKING)
            # No more than these: what a server calls itself need not even be text.
            now = fetch_rows(connection, f"SHOW SESSION VARIABLES WHERE Variable_name IN ({_ASKED})", 2)
            values = {**dict(now), "sql_select_limit": str(limit)}
    finally:
        with suppress(MySQLdb.Error):
            connection.close()
    for name, value in (CUTS_DUMPS if with_history else {**CUTS_DUMPS, **CUTS_WITHOUT_HISTORY}).items():
        if values.get(name, value) != value:
            raise OfTheServer(
                phrase(
                    "Every session at the database server at {address} begins with {name} = {values}. "
                    "A dump would not hold all rows.",
                    address=server.address,
                    name=name,
                    values=values[name],
                ),
                code="mysql.session_default",
                do=phrase(
                    "Run as an administrator: SET GLOBAL {name} = DEFAULT; and see its init_connect.",
                    name=name,
                ),
            )


def refuse_missing_authority(server: Server) -> None:
    """Raise TlsProblem for the two modes that verify where there is no authority to verify with."""
    if server.ssl_mode not in VERIFYING:
        return
    if not server.ssl_ca:
        raise TlsProblem(
            phrase(
                "{ssl_mode_set_by} is {ssl_mode}, and no authority is given to verify with.",
                ssl_mode_set_by=server.ssl_mode_set_by,
                ssl_mode=server.ssl_mode,
            ),
            do=phrase(
                "Set {ssl_ca_set_by} to the file with the authority's certificate.",
                ssl_ca_set_by=server.ssl_ca_set_by,
            ),
        )
    if not os.access(server.ssl_ca, os.R_OK):
        raise TlsProblem(
            phrase("The authority's certificate {ssl_ca} cannot be read.", ssl_ca=server.ssl_ca),
            do=phrase("Check {ssl_ca_set_by}.", ssl_ca_set_by=server.ssl_ca_set_by),
        )


def refuse_unencrypted(server: Server, connection: Any) -> None:
    """Raise TlsProblem where TLS is demanded and the connection has none.

    MariaDB's client library takes a demand for a wish where the server has no TLS.
    """
    if server.ssl_mode in _ENCRYPTING and not is_encrypted(connection):
        raise no_tls(server)


def is_encrypted(connection: Any) -> bool:
    """Whether the connection uses TLS."""
    rows = fetch_rows(connection, "SHOW SESSION STATUS LIKE 'Ssl_cipher'", 2)
    return any(cipher for _, cipher in rows)


def connect_options(server: Server, database: str) -> dict[str, Any]:
    """What the driver's `connect` is told."""
    options: dict[str, Any] = {
        **(
            {"unix_socket": server.socket}
            if server.socket
            else {"host": server.tcp_host, "port": server.port}
        ),
        "user": server.user,
        "password": server.password,
        "charset": "utf8mb4",
        "connect_timeout": _CONNECT_SECONDS,
        "read_timeout": _READ_SECONDS,
        "autocommit": True,
        # A server may ask a client for its files in answer to any query, and a statement may hold another.
        "local_infile": 0,
        "multi_statements": False,
        "init_command": BEGIN_SHORT,
        # MariaDB's client library knows no wish but this one, with which it still takes a server
        # without TLS; and verifies against any authority that it is told of, whatever the mode.
        "ssl_mode": "REQUIRED" if server.ssl_mode == "PREFERRED" and _ON_LIBMARIADB else server.ssl_mode,
    }
    if _ON_LIBMARIADB:
        is_safe = server.socket or server.ssl_mode in VERIFYING
        options["read_default_file"] = str(_FOR_THE_DRIVER)
        options["read_default_group"] = "showing" if is_safe else "proving"
    if server.ssl_mode in VERIFYING:
        options["ssl"] = {"ca": server.ssl_ca}
    if database:
        options["database"] = database
    return options


@contextmanager
def at_work(connection: Any) -> Iterator[None]:
    """What is asked within the block is work of the server's, and no question: it reads rows."""
    with connection.conversation.waiting(for_work=True):
        yield


def kill(server: Server, thread: int) -> None:
    """End a connection of ours by its number, where it still is and the server is to be had."""
    with suppress(MySQLProblem, MySQLdb.Error), connect(replace(server, skips_binary_log=False)) as other:
        execute(other, f"KILL {thread}")
