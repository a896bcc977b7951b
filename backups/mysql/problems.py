"""What the error numbers of servers and clients mean, in sentences."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import MySQLdb
from MySQLdb.constants import CR, ER

from backups.errors import Problem
from backups.mysql.names import name_pattern, quote
from backups.mysql.relay import NO_ANSWER, NO_TLS
from backups.mysql.server import Server
from backups.text.terminal import bounded


class MySQLProblem(Problem):
    """The database server refused, failed or gave no answer; `number` is its error's where it gave one."""

    code = "mysql.failed"
    number = 0


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


class DiskFull(MySQLProblem):
    """The server has no room left for what is written."""


class DamagedTable(MySQLProblem):
    """The server cannot read a table, or not all of it."""


class OfTheServer(MySQLProblem):
    """A setting or the equipment of the server is against it: no fault of what is loaded."""


class RefusesFunctions(MySQLProblem):
    """The server's binary log keeps us from making a trigger or function: no fault of that, nor of ours."""


class NoDefiner(MySQLProblem):
    """The server knows no account of the name in which a view runs: no fault of that, nor of ours."""


class LockedOut(OfTheServer):
    """Another session held a lock for longer than is waited."""


def is_denied(code: int) -> bool:
    """Whether an error says that the user may not have what a statement reads or calls.

    Of what a database has that may not even be seen, a server says no more.
    """
    return code in _DENIED


_DENIED = frozenset(
    {
        ER.DBACCESS_DENIED_ERROR,
        ER.TABLEACCESS_DENIED_ERROR,
        ER.COLUMNACCESS_DENIED_ERROR,
        ER.PROCACCESS_DENIED_ERROR,
    }
)


def waited_in_vain(problem: Problem) -> bool:
    """Whether a statement waited for others for too long, or in a circle: another try may well succeed."""
    return bool(_IN_VAIN.search(problem.what))


_IN_VAIN = re.compile(r"\(error (?:1205|1213)\)|in each other's way")


class MissingPrivilege(MySQLProblem):
    """The user lacks a privilege; the sentence has the GRANT."""


@contextmanager
def translated(server: Server, database: str = "") -> Iterator[None]:
    """Turn the driver's errors into sentences."""
    try:
        yield
    except MySQLdb.Error as error:
        raise problem_from(error, server, database) from error


def text_of(error: Exception) -> str:
    """What the server said; nothing where the driver could not decode it.

    The driver leaves a hole in the exception's arguments then: https://github.com/PyMySQL/mysqlclient
    decodes them as UTF-8 and keeps the null pointer. To look at it ends the process.
    """
    if repr(error.args).endswith("<NULL>)"):
        return ""
    return bounded(str(error.args[-1]) if error.args else str(error))


def problem_from(error: Exception, server: Server, database: str = "") -> MySQLProblem:
    """What an error of the driver means, by its number."""
    code = error.args[0] if error.args and isinstance(error.args[0], int) else 0
    text = text_of(error)
    return problem_from_number(code, text, server, database)


# A server says no more to a user whose account demands TLS.
_OR_TLS = ", and whether the account demands TLS, as {} is DISABLED"
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
            do=f"Check {server.account_set_by}{_or_tls(server)}.{_or_socket(server)}",
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
        return _tls_problem(text, server)
    if code in (METHOD_REFUSED, CR.AUTH_PLUGIN_CANNOT_LOAD):
        return MySQLProblem(
            f"{where} asks for the password of {server.user} by a method that would show it, or that is not "
            "known, so it got none.",
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


def _or_tls(server: Server) -> str:
    return _OR_TLS.format(server.ssl_mode_set_by) if server.ssl_mode == "DISABLED" else ""


def _or_socket(server: Server) -> str:
    """What to do of a server that is to be reached by its socket, as other programs may take localhost."""
    if server.host != "localhost":
        return ""
    return (
        " localhost is reached over TCP; where it is to be by the server's socket, name that in the place of "
        "the host, as /run/mysqld/mysqld.sock."
    )


def damaged_table(database: str, table: str | None, why: str) -> DamagedTable:
    """What to say of a table that the server cannot read; `table` is None where nobody knows which it is."""
    named = f"{quote(database)}.{quote(table)}" if table and database else "that table"
    which = f"The table {table} of {database}" if table else f"A table of {database or 'the server'}"
    return DamagedTable(
        f"{which} is damaged: the server cannot read it as it should ({why}).",
        do=f"The sure cure for every engine: restore that table from the newest good snapshot, which leaves "
        f"all others as they are: {restoring(table)}. What was written to it since is lost. To save that, "
        f"try before: REPAIR TABLE {named} of MyISAM, Aria, ARCHIVE or CSV, which may drop rows, and cannot "
        f"work where its file of rows is gone; REPAIR TABLE {named} USE_FRM where its file of keys (.MYI, "
        f".MAI) is; CHECK TABLE {named} says more, of InnoDB the server's own log. Then back up again.",
    )


def restoring(table: str | None) -> str:
    """The command that brings a damaged table back, though no backup of it can be made before."""
    which = shlex.quote(table) if table else "TABLE"
    return (
        f"`manage.py restore --snapshot latest --replace --table {which} --without-safety-backup` (and "
        "--database NAME where the portal has several)"
    )


def lost_at_table(server: Server, database: str, table: str) -> ServerGone:
    """What to say where the server went as it read a table: MySQL's InnoDB ends it at a damaged page."""
    return ServerGone(
        f"The connection to the database server at {server.address} was lost while it read the table "
        f"{table} of {database}.",
        do="See the server's own log, then try again. If it is lost at this table each time, the table "
        f"is damaged: restore it from the newest good snapshot, in which its rows still are: "
        f"{restoring(table)}.",
    )


def is_damage(code: int, text: str) -> bool:
    """Whether an error is of a table's files. Numbers below 1000 are the engines' and the system's own."""
    return code in _DAMAGE or (code == ER.GET_ERRNO and _ENGINES_DAMAGE.search(text) is not None)


def is_immovable(error: Exception) -> bool:
    """Whether an error is of a RENAME that met a table with damaged files."""
    code = error.args[0] if error.args else 0
    return code in (_FILE_NOT_RENAMED, ER.ERROR_ON_RENAME) or is_damage(code, text_of(error))


_FILE_NOT_RENAMED = 7

# A file is missing, short or not what it should be; a table is marked as crashed; a tablespace is gone.
_DAMAGE = frozenset(
    {29, 126, 127, 130, 134, 144, 145, 175, 176, 180, 194}
    | {ER.FILE_NOT_FOUND, ER.CANT_OPEN_FILE, ER.NOT_FORM_FILE}
    | {ER.NOT_KEYFILE, ER.OLD_KEYFILE, ER.CRASHED_ON_USAGE, ER.CRASHED_ON_REPAIR}
    | {1712, 1812, 1814, 1877, 1932}  # which the driver does not name
)
_ENGINES_DAMAGE = re.compile(r"\berror:? (?:126|127|130|134|144|145|175|176|180|194|1877)\b")


def table_in(text: str) -> str | None:
    """The table that an error of server or dump program names, where it does."""
    for pattern in _NAMED_TABLE:
        if found := pattern.search(text):
            return _decoded(found[1]) if "/" in found[0] else found[1].replace("``", "`")
    return None


_NAMED_TABLE = tuple(
    re.compile(pattern)
    for pattern in (
        r"(?i)show create table `((?:[^`]|``)+)`",
        r"when dumping table `((?:[^`]|``)+)`",
        r"`(?:[^`]|``)+`\.`((?:[^`]|``)+)`",
        r"'(?:\./)?[^/'\s]+/([^/'#]+?)(?:#[^/']*)?(?:\.[A-Za-z]{3})?'",
        r"[Tt]able '(?:[^'/.]+\.)?([^'/]+)'",
        r"[Cc]an't (?:find|open) file: '([^'/.]+)",
    )
)


def _decoded(file_name: str) -> str:
    """A table by its file's name, in which what is no ASCII letter or digit is written @0041."""
    return re.sub(r"@([0-9a-f]{4})", lambda found: chr(int(found[1], 16)), file_name)


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


# ER_AUTH_PLUGIN_NOT_ALLOWED of MariaDB's client library: see driver.cnf.
METHOD_REFUSED = 5010
_DISK_FULL = 1021  # ER_DISK_FULL, which the driver does not name
# Many other numbers, as of a file that cannot be written, have the cause in their text alone: 28 is
# ENOSPC, and 135 is InnoDB's word for a tablespace that may not grow.
_FULL_WORDS = re.compile(r"(?i)\berr(?:no|or):? (?:28|135)\b|no space left on device|disk is full")


# Both give away that the certificate is for another name; MySQL's client does not say.
_WRONG_NAME = ("Validation of SSL server certificate failed", "hostname", "host name", "IP address mismatch")


def _tls_problem(text: str, server: Server) -> TlsProblem:
    """What a failed TLS handshake means, by the words of either client library."""
    where = f"the database server at {server.address}"
    if "SSL is required" in text:
        return no_tls(server)
    if any(words in text for words in _WRONG_NAME):
        return TlsProblem(
            f"The certificate of {where} is not for the name {server.host} ({text}).",
            do=f"Name it in {server.address_set_by} as its certificate does, or have one made for this name.",
        )
    if "certificate" in text:
        return TlsProblem(
            f"The certificate of {where} cannot be verified ({text}).",
            do=f"Check that {server.ssl_ca_set_by} is the authority that issued it.",
        )
    return TlsProblem(
        f"No TLS connection to {where}: {text}.",
        do=f"Check {server.ssl_mode_set_by} and {server.ssl_ca_set_by}.",
    )


def no_tls(server: Server) -> TlsProblem:
    if server.ssl_mode == "PREFERRED":
        return TlsProblem(
            f"The database server at {server.address} offered TLS, and then none, so it got no password.",
            do="Try again. If it stays so, see what stands between; for a server without TLS, set "
            f"{server.ssl_mode_set_by} to DISABLED.",
        )
    return TlsProblem(
        f"The database server at {server.address} offers no TLS, and {server.ssl_mode_set_by} is "
        f"{server.ssl_mode}.",
        do=f"Turn TLS on in the server, or set {server.ssl_mode_set_by} to PREFERRED.",
    )


# The note with which a server drops an event as soon as it is made, its last time being over:
# https://dev.mysql.com/doc/mysql-errors/8.4/en/server-error-reference.html#error_er_event_cannot_create_in_the_past
EVENT_IS_PAST = 1588

TRUST_FUNCTION_CREATORS = (
    "Set log_bin_trust_function_creators=1 in the server's configuration, and now, as an administrator: "
    "SET GLOBAL log_bin_trust_function_creators = 1."
)


_BEGINNING = 80


# A packet has a byte or a few more than its statement; a server takes no other limit than this at most.
_BESIDES_STATEMENT = 64
_LARGEST_PACKET = 1 << 30


def refuse_too_long(length: int, limit: int, server: Server, what: str = "A statement") -> None:
    """Raise OfTheServer for a statement, named `what`, that is surely longer than the server takes.

    `limit` is its max_allowed_packet in bytes, 0 where that is not known.
    """
    if limit and length + 1 > limit:
        raise _too_long(length, limit, server, what)


def _too_long(length: int, limit: int, server: Server, what: str) -> OfTheServer:
    wanted = 1 << max(20, (length + _BESIDES_STATEMENT).bit_length())
    if wanted > _LARGEST_PACKET and length + _BESIDES_STATEMENT <= _LARGEST_PACKET:
        wanted = _LARGEST_PACKET
    return OfTheServer(
        f"{what} has {_megabytes(length)}, and the database server at {server.address} takes "
        f"{_megabytes(limit)} at most (max_allowed_packet).",
        do="No server takes so long a one."
        if wanted > _LARGEST_PACKET
        else f"Run as an administrator: SET GLOBAL max_allowed_packet = {wanted}; write it into the server's "
        "configuration as well, then try again.",
    )


def _megabytes(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 100_000 else f"{count} bytes"


def load_problem(
    error: MySQLdb.Error,
    server: Server,
    database: str,
    statement: bytes,
    withheld: Mapping[str, str],
    limit: int = 0,
) -> MySQLProblem:
    """What an error of the driver means to a load, with the beginning of the statement that met it.

    `withheld` are settings that the session may not change, each with what an administrator can do;
    `limit` is the server's max_allowed_packet where it is known.
    """
    code = error.args[0] if error.args and isinstance(error.args[0], int) else 0
    # So the driver tells of an encrypted connection that was cut.
    code = CR.SERVER_LOST if code == CR.SSL_CONNECTION_ERROR else code
    problem = _load_problem_from(code, text_of(error), server, database, withheld)
    is_long = bool(limit) and len(statement) + _BESIDES_STATEMENT > limit
    if is_long and code in (CR.SERVER_GONE_ERROR, CR.SERVER_LOST, ER.NET_PACKET_TOO_LARGE):
        problem = _too_long(len(statement), limit, server, "A statement")
    problem.number = code
    return at_statement(problem, statement)


def at_statement(problem: MySQLProblem, statement: bytes) -> MySQLProblem:
    """The problem with the beginning of the statement that met it."""
    beginning = " ".join(statement[:4096].decode(errors="replace").split())[:_BEGINNING]
    problem.what = f"{problem.what.rstrip('.')}, at the statement that begins with {beginning!r}."
    return problem


# Numbers with which a server refuses what one of its settings forbids, and a load may not change that.
_FORBIDDEN_BY = {
    3750: "sql_require_primary_key",
    1118: "innodb_strict_mode",
    1031: "innodb_strict_mode",
    1478: "innodb_strict_mode",
    1005: "innodb_strict_mode",
    4025: "check_constraint_checks",
    3819: "check_constraint_checks",
    1846: "alter_algorithm",
}


def _load_problem_from(
    code: int, text: str, server: Server, database: str, withheld: Mapping[str, str]
) -> MySQLProblem:
    setting = _FORBIDDEN_BY.get(code, "")
    if setting in withheld:
        return OfTheServer(
            f"The database server at {server.address} forbids by its {setting} what the snapshot holds, and "
            f"the user {server.user} may not change that for a load (error {code}).",
            do=withheld[setting],
        )
    if code == ER.BINLOG_UNSAFE_ROUTINE:
        return RefusesFunctions(
            f"The server at {server.address} writes a binary log, and takes no functions that are not "
            "declared DETERMINISTIC, NO SQL or READS SQL DATA.",
            do=TRUST_FUNCTION_CREATORS,
        )
    if code == ER.BINLOG_CREATE_ROUTINE_NEED_SUPER:
        return RefusesFunctions(
            f"The server at {server.address} writes a binary log, and takes triggers and functions from "
            f"users with SUPER alone, which {server.user} has not.",
            do=TRUST_FUNCTION_CREATORS,
        )
    if code == ER.NO_SUCH_USER:
        return NoDefiner(
            f"The database server at {server.address} answered: {text} (error {code}).",
            do="Make that account there; a restore with --definers current_user (on the page: set to the "
            "user that restores) does without it.",
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
        )
    if code == ER.TABLEACCESS_DENIED_ERROR:
        return MySQLProblem(
            f"The user {server.user} may not create all that the snapshot holds: {text}.",
            do="Grant it; `manage.py preflight` has the statement.",
        )
    return problem_from_number(code, text, server, database)


def dump_problem(stderr: Sequence[str], code: int, server: Server, database: str) -> MySQLProblem:
    """What a dump program's end means."""
    stderr = [*map(bounded, stderr)]
    for line in reversed(stderr):
        if found := re.search(r"(?:Got error|Error|ERROR):? (\d{4}):? (.*)|(.*) \((\d{4})\)$", line):
            text, number = (found[2], found[1]) if found[1] else (found[3], found[4])
            return _dump_problem_from(int(number), text, server, database)
        # The engines' and the system's own.
        if found := re.search(r"(.*) \((\d{2,3})\)$", line):
            return _dump_problem_from(int(found[2]), found[1], server, database)
        if "field count for table" in line:
            return _dump_problem_from(ER.TABLE_DEF_CHANGED, line, server, database)
        if found := re.search(r"Routine (.*) is missing one or more of its imported libraries", line):
            return unlinked(found[1])
    last = next((line for line in reversed(stderr) if line.strip()), "")
    if code < 0:
        return MySQLProblem(f"The dump program was killed by signal {-code}.", do="Try again.")
    if not last:
        # Seen of both flavours' where the server went as the last rows of a table were on their way.
        return ServerGone(
            f"The dump program gave no reason (exit status {code}), as where the connection to the database "
            f"server at {server.address} was lost between two tables.",
            do="See the server's own log, then try again.",
        )
    return MySQLProblem(f"The dump program failed (exit status {code}): {last}.")


def unlinked(routine: str, or_else: str = "") -> MySQLProblem:
    """What is wrong where a routine's library is gone. `or_else` is a further way out."""
    return MySQLProblem(
        f"The routine {routine} uses a library that is not there, and the dump program ends at such a one.",
        do=f"Make the library again, or drop the routine{or_else}.",
    )


# What ended a dump that is none of a table's, and what can be done.
_ENDED_DUMPS = {
    1104: "Raise the server's max_join_size, or set its sql_big_selects to 1.",
    1205: "See who holds the table there (SHOW PROCESSLIST; XA RECOVER), then back up again.",
    1213: "Somebody changes a table's definition meanwhile: back up again.",
    1317: "Somebody or something ended it there (KILL): back up again.",
    1969: "Raise the server's max_statement_time, or that of the account.",
    3024: "Raise the server's max_execution_time, or use a dump program that can be told --init-command.",
}


_GONE_MEANWHILE = re.compile(
    r"SHOW CREATE (PROCEDURE|FUNCTION|PACKAGE BODY|PACKAGE|LIBRARY|EVENT|TRIGGER) `?(\S.*?)`?':"
    r" .*(?:does not exist|[Uu]nknown event)",
    re.S,
)


def _dump_problem_from(code: int, text: str, server: Server, database: str) -> MySQLProblem:
    if code in (ER.BAD_FIELD_ERROR, ER.NO_SUCH_TABLE) and not text.isascii():
        # MariaDB's dump program names the character set as it connects, and no more.
        return OfTheServer(
            f"A table of {database} or a column of it, as it was asked for, is not there ({text}).",
            do="If it was not altered or dropped just now, the server takes names that are not ASCII in "
            "another character set than it is told: take skip-character-set-client-handshake out of its "
            "configuration, or set its character_set_server to utf8mb4. Then back up again.",
        )
    if code in (ER.TABLE_DEF_CHANGED, ER.NO_SUCH_TABLE):
        return MySQLProblem(
            f"A table of {database} was altered or dropped while the dump ran ({text}).",
            do="Back up again once the change is through.",
        )
    if code == ER.VIEW_INVALID:
        # Those that could not be read before were refused, or left out.
        named = re.search(r"`((?:[^`]|``)+)`", text)
        view = f"the view {named[1].replace('``', '`')}" if named else "a view"
        return MySQLProblem(
            f"What {view} of {database} reads was altered, renamed or dropped while the dump ran "
            f"(error {code}), so the dump is not of one moment.",
            do="Back up again once the change is through.",
        )
    if gone := _GONE_MEANWHILE.search(text):
        kind, name = gone[1].lower(), gone[2].replace("``", "`")
        return MySQLProblem(
            f"The {kind} {name} of {database} was dropped or renamed while the dump ran (error {code}), so "
            "the dump is not of one moment.",
            do="Back up again once the change is through.",
        )
    if code in (ER.BAD_DB_ERROR, ER.DBACCESS_DENIED_ERROR) and len(database.splitlines()) > 1:
        # It was there a moment ago. Seen in MariaDB 10.11, whose dump program asks for another name.
        return MySQLProblem(
            f"The dump program does not cope with the name {database!r}, which holds a line break, where "
            "the database has events.",
            do="Move its tables into a database with another name, or drop its events.",
        )
    if code in (CR.SERVER_GONE_ERROR, CR.SERVER_LOST) and (table := table_in(text)):
        return lost_at_table(server, database, table)
    if code in _ENDED_DUMPS:
        return OfTheServer(
            f"The database server at {server.address} ended the dump of {database}: {text} (error {code}).",
            do=_ENDED_DUMPS[code],
        )
    return problem_from_number(code, text, server, database)
