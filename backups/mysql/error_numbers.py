"""What the error numbers of servers and clients mean, in sentences."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import MySQLdb
from MySQLdb.constants import CR, ER

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
    ServerGone,
    ServerUnreachable,
    TlsProblem,
    UnknownDatabase,
    text_of,
)
from backups.mysql.relay import NO_ANSWER, NO_TLS
from backups.mysql.server import Server
from backups.mysql.tls_errors import no_tls, or_tls, tls_problem

# MySQL's require_secure_transport; MariaDB's refuses with ER.ACCESS_DENIED_ERROR.
_SECURE_TRANSPORT_REQUIRED = 3159
# ER_AUTH_PLUGIN_NOT_ALLOWED of MariaDB's client library: see driver.cnf.
METHOD_REFUSED = 5010
_DISK_FULL = 1021  # ER_DISK_FULL, which the driver does not name
# Many other numbers, as of a file that cannot be written, have the cause in their text alone: 28 is
# ENOSPC, and 135 is InnoDB's word for a tablespace that may not grow.
_FULL_WORDS = re.compile(r"(?i)\berr(?:no|or):? (?:28|135)\b|no space left on device|disk is full")
SEE_ENGINES = "See in SHOW ENGINES there whether it has that storage engine; have its plugin loaded."
# What a server answers for reasons of its own, and what can be done.
_OF_THE_SERVER = {
    1286: SEE_ENGINES,
    3161: "Take that engine out of the server's disabled_storage_engines.",
    1115: "Restore to a server of the kind and release that the snapshot is of.",
    1273: "Restore to a server of the kind and release that the snapshot is of.",
    1128: "Restore to a server of the kind and release that the snapshot is of.",
    1184: "Repair what its init_connect says, or give it up.",
    1836: "Go to the server that is written to, or turn off what this one runs with.",
    1792: "Turn off the server's transaction_read_only (tx_read_only).",
    1317: "Somebody or something ended it there (KILL): try again.",
    1969: "Raise the server's max_statement_time, then try again.",
    3024: "Raise the server's max_execution_time, then try again.",
    1038: "Give the server more memory for sorting, then try again.",
    1047: "See to the cluster that the server is a node of, then try again.",
    3098: "The server's replication plugin wants it so: see its log.",
    199: "Turn off the server's aria_encrypt_tables, or have a plugin loaded that manages keys.",
    ER.NET_PACKET_TOO_LARGE: "Raise the server's max_allowed_packet to 16M or more, then try again.",
    3185: "Have the keyring set up with which the server encrypts tables.",
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
    return f"The database server at {server.address}"


def _of_the_account(code: int, text: str, server: Server, database: str) -> MySQLProblem | None:
    """What the user may not, or may not any more."""
    where = _where(server)
    if code == ER.ACCESS_DENIED_ERROR:
        return AccessDenied(
            f"{where} refuses user {server.user}: wrong user or password.",
            do=f"Check {server.account_set_by}{or_tls(server)}.{_or_socket(server)}",
        )
    if code in (ER.BAD_DB_ERROR, ER.DBACCESS_DENIED_ERROR):
        named = re.search(r"(?:Unknown|to) database '(.*)'", text)
        meant = named[1] if named else database
        # As a view may read another database than the one that it stands in.
        is_another = bool(database) and meant != database
        return UnknownDatabase(
            f"{where} has no database {meant!r} that user {server.user} may see.",
            do="Make it or grant what is missing there, or take away what names it."
            if is_another
            else f"Check {server.database_set_by} and the user's grants.",
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
    return None


def _of_the_connection(code: int, text: str, server: Server) -> MySQLProblem | None:
    """None was made, or it was lost."""
    where = _where(server)
    if code == CR.UNKNOWN_HOST:
        return ServerUnreachable(
            f"No address is known here for the name of the database server, {server.host}.",
            do=f"See whether this machine's DNS works, and check {server.address_set_by}.",
        )
    # MariaDB's client library, which wants TLS, tells what comes before that as a failure to connect.
    if code in (ER.HANDSHAKE_ERROR, CR.CONNECTION_ERROR) and NO_TLS in text:
        return no_tls(server)
    is_unanswered = code == ER.HANDSHAKE_ERROR and NO_ANSWER in text
    if is_unanswered or code in (CR.CONN_HOST_ERROR, CR.CONNECTION_ERROR):
        return ServerUnreachable(
            f"{where} gives no answer.",
            do=f"See whether it runs, and check {server.address_set_by}.{_or_socket(server)}",
        )
    # So MariaDB's client library tells of an answer that does not come over TLS.
    is_late = code == CR.SSL_CONNECTION_ERROR and "timed out" in text
    if code == CR.SSL_CONNECTION_ERROR and not is_late:
        return tls_problem(text, server)
    if code in (METHOD_REFUSED, CR.AUTH_PLUGIN_CANNOT_LOAD):
        return MySQLProblem(
            f"{where} asks for the password of {server.user} by a method that would show it, or that is not "
            "known, so it got none.",
            code="mysql.login_method",
            do="If it is your server, give the account a method by which a password is proved "
            f"(caching_sha2_password, ed25519), or, for PAM, set {server.ssl_mode_set_by} to VERIFY_CA or "
            "VERIFY_IDENTITY.",
        )
    if code == _SECURE_TRANSPORT_REQUIRED:
        return TlsProblem(
            f"{where} takes encrypted connections only.",
            do=f"Set {server.ssl_mode_set_by} to PREFERRED or more.",
        )
    if is_late or code in (CR.SERVER_GONE_ERROR, CR.SERVER_LOST, ER.SERVER_SHUTDOWN, 4031):
        return ServerGone(
            f"The connection to the database server at {server.address} was lost.",
            do="See the server's own log, then try again.",
        )
    return None


def _of_the_storage(code: int, text: str, server: Server, database: str) -> MySQLProblem | None:
    """What cannot be written, or not be read any more."""
    where = _where(server)
    if code == _DISK_FULL or _FULL_WORDS.search(text):
        return DiskFull(
            f"The disk of the database server at {server.address} is full ({text}).",
            do="Free some space there, then try again.",
        )
    if code == ER.RECORD_FILE_FULL:
        return DiskFull(
            f"{where} has no room for more rows ({text}): its disk is full, or, of a table in memory, "
            "max_heap_table_size is reached.",
            do="Free some space there, then try again.",
        )
    if is_damage(code, text):
        return damaged_table(database, table_in(text), f"{text}, error {code}")
    return None


def _otherwise(code: int, text: str, server: Server) -> MySQLProblem:
    """What the server answered, in its own words."""
    where = _where(server)
    if code == ER.LOCK_WAIT_TIMEOUT:
        return LockedOut(
            f"{where} answered: {text} (error {code}).",
            do="See who holds it there (SHOW PROCESSLIST; XA RECOVER), end that, then try again.",
        )
    if code == ER.OPTION_PREVENTS_STATEMENT:
        return OfTheServer(f"{where} answered: {text} (error {code}).", do=_without_option(text))
    if code in _OF_THE_SERVER:
        return OfTheServer(f"{where} answered: {text} (error {code}).", do=_OF_THE_SERVER[code])
    return MySQLProblem(f"{where} answered: {text} (error {code}).")


def _or_socket(server: Server) -> str:
    """What to do of a server that is to be reached by its socket, as other programs may take localhost."""
    if server.host != "localhost":
        return ""
    return (
        " localhost is reached over TCP; where it is to be by the server's socket, name that in the place of "
        "the host, as /run/mysqld/mysqld.sock."
    )


def _without_option(text: str) -> str:
    """What can be done about an option of the server's, which it names in any language."""
    found = re.search(r"--[\w-]+", text)
    option = found[0] if found else ""
    name = option.removeprefix("--").replace("-", "_")
    if not option or "read_only" in name:
        return "Go to the server that is written to, or turn off what this one runs with."
    if name == "secure_timestamp":
        return (
            "No history of system-versioned tables can be loaded there: start it with secure_timestamp=NO "
            "as long as that takes, or go to a server without it."
        )
    if name == "max_session_mem_used":
        return "Raise the server's max_session_mem_used (SET GLOBAL), then try again."
    return f"Take {option} out of the server's configuration, or go to a server that runs without it."
