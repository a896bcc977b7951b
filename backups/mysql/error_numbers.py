"""What the error numbers of servers and clients mean, in sentences."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import MySQLdb
from MySQLdb.constants import CR, ER

from backups import at_first_use
from backups.mysql.damage_errors import damaged_table, is_damage, table_in
from backups.mysql.names import name_pattern
from backups.mysql.problems import (
    AccessDenied,
    DiskFull,
    LockedOut,
    MissingPrivilege,
    MySQLProblem,
    NoMoreConnections,
    OfTheServer,
    ReferredTo,
    ServerGone,
    ServerUnreachable,
    TlsProblem,
    UnknownDatabase,
    text_of,
)
from backups.mysql.relay import NO_ANSWER, NO_TLS
from backups.mysql.server import Server
from backups.mysql.tls_errors import no_tls, or_tls, tls_problem
from backups.text.sentences import phrase

# MySQL's require_secure_transport; MariaDB's refuses with ER.ACCESS_DENIED_ERROR.
_SECURE_TRANSPORT_REQUIRED = 3159
# ER_AUTH_PLUGIN_NOT_ALLOWED of MariaDB's client library: see driver.cnf.
METHOD_REFUSED = 5010
_DISK_FULL = 1021  # ER_DISK_FULL, which the driver does not name
# MariaDB's, and MySQL's ER_FK_CANNOT_DROP_PARENT.
_REFERRED_TO = (ER.ROW_IS_REFERENCED_2, 3730)
# Many other numbers, as of a file that cannot be written, have the cause in their text alone: 28 is
# ENOSPC, and 135 is InnoDB's word for a tablespace that may not grow.
_FULL_WORDS = at_first_use.pattern(r"(?i)\berr(?:no|or):? (?:28|135)\b|no space left on device|disk is full")
SEE_ENGINES = phrase("See in SHOW ENGINES there whether it has that storage engine. If not, load its plugin.")
# What a server answers for reasons of its own, and what can be done.
_OF_THE_SERVER = {
    1286: SEE_ENGINES,
    3161: phrase("Take that engine out of the server's disabled_storage_engines."),
    1115: phrase("Restore to a server of the same kind and release as the snapshot's."),
    1273: phrase("Restore to a server of the same kind and release as the snapshot's."),
    1128: phrase("Restore to a server of the same kind and release as the snapshot's."),
    1184: phrase("Correct the server's init_connect, or remove it."),
    1836: phrase("Use the server that can be written to, or turn that option off on this one."),
    1792: phrase("Turn off the server's transaction_read_only (tx_read_only)."),
    1317: phrase("Somebody or something ended it there (KILL): try again."),
    1969: phrase("Raise the server's max_statement_time, then try again."),
    3024: phrase("Raise the server's max_execution_time, then try again."),
    1038: phrase("Give the server more memory for sorting, then try again."),
    1047: phrase("Look after the cluster that the server is a node of, then try again."),
    3098: phrase("The server's replication plugin demands it: see the server's log."),
    199: phrase("Turn off the server's aria_encrypt_tables, or have a plugin loaded that manages keys."),
    ER.NET_PACKET_TOO_LARGE: phrase("Raise the server's max_allowed_packet to 16M or more, then try again."),
    3185: phrase("Set up the keyring that the server encrypts tables with."),
}


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
    text = text_of(error)
    return problem_from_number(code, text, server, database)


def problem_from_number(code: int, text: str, server: Server, database: str = "") -> MySQLProblem:
    """What an error number of server or client means.

    https://dev.mysql.com/doc/mysql-errors/8.4/en/ and https://mariadb.com/kb/en/mariadb-error-codes/
    """
    return (
        _of_the_account(code, text, server, database)
        or _of_the_connection(code, text, server)
        or _of_the_storage(code, text, server, database)
        or _otherwise(code, text, server)
    )


def _where(server: Server) -> str:
    return phrase("The database server at {address}", address=server.address)


def _of_the_account(code: int, text: str, server: Server, database: str) -> MySQLProblem | None:
    """What the user may not, or may not any more."""
    where = _where(server)
    if code == ER.ACCESS_DENIED_ERROR:
        return AccessDenied(
            phrase("{where} refuses user {user}: wrong user or password.", where=where, user=server.user),
            do=phrase(
                "Check {account_set_by}{or_tls}.{or_socket}",
                account_set_by=server.account_set_by,
                or_tls=or_tls(server),
                or_socket=_or_socket(server),
            ),
        )
    if code in (ER.BAD_DB_ERROR, ER.DBACCESS_DENIED_ERROR):
        return _unknown_database(text, server, database)
    if code == ER.PROCACCESS_DENIED_ERROR:
        denied = re.search(r"to user ('.*'@'.*') for routine", text)
        return MissingPrivilege(
            phrase(
                "The user {user} may not run a function that a view of {database} calls ({text}).",
                user=server.user,
                database=database,
                text=text,
            ),
            do=phrase(
                "Run as an administrator: {statement}",
                statement=f"GRANT EXECUTE ON {name_pattern(database)}.* "
                f"TO {denied[1] if denied else server.user};",
            ),
        )
    if code in (ER.CON_COUNT_ERROR, ER.TOO_MANY_USER_CONNECTIONS):
        return NoMoreConnections(
            phrase("{where} takes no more connections.", where=where),
            do=phrase("Raise max_connections or close some, then try again."),
        )
    if code == ER.USER_LIMIT_REACHED:
        return NoMoreConnections(
            phrase(
                "{where} takes no more connections of user {user} ({text}).",
                where=where,
                user=server.user,
                text=text,
            ),
            do=phrase("Raise the account's limit or close some, then try again."),
        )
    return None


def _unknown_database(text: str, server: Server, database: str) -> UnknownDatabase:
    named = re.search(r"(?:Unknown|to) database '(.*)'", text)
    meant = named[1] if named else database
    # As a view may read another database than the one that it stands in.
    is_another = bool(database) and meant != database
    return UnknownDatabase(
        phrase(
            "{where} has no database {database} that user {user} may see.",
            where=_where(server),
            database=repr(meant),
            user=server.user,
        ),
        do=phrase(
            "Make that database, or grant what is missing there. Or drop the view or routine that names it."
        )
        if is_another
        else phrase("Check {database_set_by} and the user's grants.", database_set_by=server.database_set_by),
    )


def _of_the_connection(code: int, text: str, server: Server) -> MySQLProblem | None:
    """None was made, or it was lost."""
    where = _where(server)
    if code == CR.UNKNOWN_HOST:
        return ServerUnreachable(
            phrase("No address is known here for the name of the database server, {host}.", host=server.host),
            do=phrase(
                "See whether this machine's DNS works, and check {address_set_by}.",
                address_set_by=server.address_set_by,
            ),
        )
    # MariaDB's client library, which wants TLS, tells what comes before that as a failure to connect.
    if code in (ER.HANDSHAKE_ERROR, CR.CONNECTION_ERROR) and NO_TLS in text:
        return no_tls(server)
    is_unanswered = code == ER.HANDSHAKE_ERROR and NO_ANSWER in text
    if is_unanswered or code in (CR.CONN_HOST_ERROR, CR.CONNECTION_ERROR):
        return ServerUnreachable(
            phrase("{where} gives no answer.", where=where),
            do=phrase(
                "See whether it runs, and check {address_set_by}.{or_socket}",
                address_set_by=server.address_set_by,
                or_socket=_or_socket(server),
            ),
        )
    # So MariaDB's client library tells of an answer that does not come over TLS.
    is_late = code == CR.SSL_CONNECTION_ERROR and "timed out" in text
    if code == CR.SSL_CONNECTION_ERROR and not is_late:
        return tls_problem(text, server)
    if code in (METHOD_REFUSED, CR.AUTH_PLUGIN_CANNOT_LOAD):
        return _unfit_method(server)
    if code == _SECURE_TRANSPORT_REQUIRED:
        return TlsProblem(
            phrase("{where} takes encrypted connections only.", where=where),
            do=phrase("Set {ssl_mode_set_by} to PREFERRED or more.", ssl_mode_set_by=server.ssl_mode_set_by),
        )
    if is_late or code in (CR.SERVER_GONE_ERROR, CR.SERVER_LOST, ER.SERVER_SHUTDOWN, 4031):
        return ServerGone(
            phrase("The connection to the database server at {address} was lost.", address=server.address),
            do=phrase("See the server's own log, then try again."),
        )
    return None


def _unfit_method(server: Server) -> MySQLProblem:
    return MySQLProblem(
        phrase(
            "{where} asks for the password of {user} by a method that would show it, or that is not "
            "known. No password was sent.",
            where=_where(server),
            user=server.user,
        ),
        code="mysql.login_method",
        do=phrase(
            "If it is your server, give the account a method that does not show the password "
            "(caching_sha2_password, ed25519). For PAM, set {ssl_mode_set_by} to VERIFY_CA or "
            "VERIFY_IDENTITY.",
            ssl_mode_set_by=server.ssl_mode_set_by,
        ),
    )


def _of_the_storage(code: int, text: str, server: Server, database: str) -> MySQLProblem | None:
    """What cannot be written, or not be read any more."""
    where = _where(server)
    if code == _DISK_FULL or _FULL_WORDS.search(text):
        return DiskFull(
            phrase(
                "The disk of the database server at {address} is full ({text}).",
                address=server.address,
                text=text,
            ),
            do=phrase("Free some space there, then try again."),
        )
    if code == ER.RECORD_FILE_FULL:
        return DiskFull(
            phrase(
                "{where} has no room for more rows ({text}). Its disk is full, or a table in memory "
                "has reached max_heap_table_size.",
                where=where,
                text=text,
            ),
            do=phrase("Free some space there, then try again."),
        )
    if is_damage(code, text):
        return damaged_table(database, table_in(text), phrase("{text}, error {code}", text=text, code=code))
    return None


def _otherwise(code: int, text: str, server: Server) -> MySQLProblem:
    """What the server answered, in its own words."""
    where = _where(server)
    if code == ER.LOCK_WAIT_TIMEOUT:
        return LockedOut(
            phrase("{where} answered: {text} (error {code}).", where=where, text=text, code=code),
            do=phrase("See who holds it there (SHOW PROCESSLIST; XA RECOVER), end that, then try again."),
        )
    if code == ER.OPTION_PREVENTS_STATEMENT:
        return OfTheServer(
            phrase("{where} answered: {text} (error {code}).", where=where, text=text, code=code),
            do=_without_option(text),
        )
    if code in _REFERRED_TO:
        return ReferredTo(
            phrase("{where} answered: {text} (error {code}).", where=where, text=text, code=code),
            do=phrase("Drop that foreign key, then try again."),
        )
    if code in _OF_THE_SERVER:
        return OfTheServer(
            phrase("{where} answered: {text} (error {code}).", where=where, text=text, code=code),
            do=_OF_THE_SERVER[code],
        )
    return MySQLProblem(phrase("{where} answered: {text} (error {code}).", where=where, text=text, code=code))


def _or_socket(server: Server) -> str:
    """What to do of a server that is to be reached by its socket, as other programs may take localhost."""
    if server.host != "localhost":
        return ""
    return phrase(
        " localhost is reached over TCP. To use the server's socket, give its path as the host, for "
        "example /run/mysqld/mysqld.sock."
    )


def _without_option(text: str) -> str:
    """What can be done about an option of the server's, which it names in any language."""
    found = re.search(r"--[\w-]+", text)
    option = found[0] if found else ""
    name = option.removeprefix("--").replace("-", "_")
    if not option or "read_only" in name:
        return phrase("Use the server that can be written to, or turn that option off on this one.")
    if name == "secure_timestamp":
        return phrase(
            "The history of system-versioned tables cannot be loaded there. Start the server with "
            "secure_timestamp=NO for the load, or use a server without that setting."
        )
    if name == "max_session_mem_used":
        return phrase("Raise the server's max_session_mem_used (SET GLOBAL), then try again.")
    return phrase(
        "Take {option} out of the server's configuration, or go to a server that runs without it.",
        option=option,
    )
