"""What an error means to a load, in sentences."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import MySQLdb
from MySQLdb.constants import CR, ER

from backups.mysql.error_numbers import problem_from_number
from backups.mysql.problems import (
    TRUST_FUNCTION_CREATORS,
    MissingPrivilege,
    MySQLProblem,
    NoDefiner,
    OfTheServer,
    RefusesFunctions,
    ServerGone,
    text_of,
)
from backups.mysql.server import Server
from backups.text.sentences import phrase

# The note with which a server drops an event as soon as it is made, its last time being over:
# https://dev.mysql.com/doc/mysql-errors/8.4/en/server-error-reference.html#error_er_event_cannot_create_in_the_past
EVENT_IS_PAST = 1588

_BEGINNING = 80


# A packet has a byte or a few more than its statement; a server takes no other limit than this at most.
_BESIDES_STATEMENT = 64
_LARGEST_PACKET = 1 << 30
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
        phrase(
            "{what} has {megabytes}. The database server at {address} takes at most {limit} "
            "(max_allowed_packet).",
            what=what,
            megabytes=_megabytes(length),
            address=server.address,
            limit=_megabytes(limit),
        ),
        code="load.packet_too_large",
        do=phrase("No server takes a statement this long.")
        if wanted > _LARGEST_PACKET
        else phrase(
            "Run as an administrator: SET GLOBAL max_allowed_packet = {wanted}; write it into the "
            "server's configuration as well, then try again.",
            wanted=wanted,
        ),
    )


def _megabytes(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 100_000 else phrase("{count} bytes", count=count)


@dataclass(frozen=True)
class LoadSession:
    """The session of a load, as its server lets it be.

    `withheld` are settings that it may not change, each with what an administrator can do; `limit` is the
    server's max_allowed_packet in bytes, 0 where that is not known.
    """

    server: Server
    database: str
    withheld: Mapping[str, str]
    limit: int


def load_problem(error: MySQLdb.Error, session: LoadSession, statement: bytes) -> MySQLProblem:
    """What an error of the driver means to a load, with the beginning of the statement that met it."""
    server, limit = session.server, session.limit
    code = error.args[0] if error.args and isinstance(error.args[0], int) else 0
    # So the driver tells of an encrypted connection that was cut.
    code = CR.SERVER_LOST if code == CR.SSL_CONNECTION_ERROR else code
    problem = _load_problem_from(code, text_of(error), server, session.database, session.withheld)
    is_long = bool(limit) and len(statement) + _BESIDES_STATEMENT > limit
    if is_long and code in (CR.SERVER_GONE_ERROR, CR.SERVER_LOST, ER.NET_PACKET_TOO_LARGE):
        problem = _too_long(len(statement), limit, server, phrase("A statement"))
    problem.number = code
    return at_statement(problem, statement)


def at_statement(problem: MySQLProblem, statement: bytes) -> MySQLProblem:
    """The problem with the beginning of the statement that met it."""
    beginning = " ".join(statement[:4096].decode(errors="replace").split())[:_BEGINNING]
    problem.what = phrase(
        "{problem}, at the statement that begins with {beginning}.",
        problem=problem.what.rstrip("."),
        beginning=repr(beginning),
    )
    return problem


def _load_problem_from(
    code: int, text: str, server: Server, database: str, withheld: Mapping[str, str]
) -> MySQLProblem:
    setting = _FORBIDDEN_BY.get(code, "")
    if setting in withheld:
        return OfTheServer(
            phrase(
                "The {setting} of the database server at {address} forbids what the snapshot holds. "
                "The user {user} may not change that for a load (error {code}).",
                address=server.address,
                setting=setting,
                user=server.user,
                code=code,
            ),
            code="load.forbidden_by_setting",
            do=withheld[setting],
        )
    if code == ER.BINLOG_UNSAFE_ROUTINE:
        return RefusesFunctions(
            phrase(
                "The server at {address} writes a binary log. It takes only functions that are "
                "declared DETERMINISTIC, NO SQL or READS SQL DATA.",
                address=server.address,
            ),
            do=TRUST_FUNCTION_CREATORS,
        )
    if code == ER.BINLOG_CREATE_ROUTINE_NEED_SUPER:
        return RefusesFunctions(
            phrase(
                "The server at {address} writes a binary log. It takes triggers and functions from "
                "users with SUPER alone, and {user} does not have that.",
                address=server.address,
                user=server.user,
            ),
            do=TRUST_FUNCTION_CREATORS,
        )
    if code == ER.NO_SUCH_USER:
        return NoDefiner(
            phrase(
                "The database server at {address} answered: {text} (error {code}).",
                address=server.address,
                text=text,
                code=code,
            ),
            do=phrase(
                "Make that account there. Or restore with --definers current_user (on the page: set "
                "to the user that restores), which does not need it."
            ),
        )
    if code in (CR.SERVER_GONE_ERROR, CR.SERVER_LOST):
        return ServerGone(
            phrase("The connection to the database server at {address} was lost.", address=server.address),
            do=phrase(
                "See the server's own log, then try again. If it ran on, a row may be larger than its "
                "max_allowed_packet."
            ),
        )
    if code == ER.NET_PACKET_TOO_LARGE:
        return MySQLProblem(
            phrase(
                "A row is larger than the server at {address} takes in one statement ({text}).",
                address=server.address,
                text=text,
            ),
            code="load.row_too_large",
            do=phrase("Raise max_allowed_packet in the server, then try again."),
        )
    if code == ER.LOCK_DEADLOCK:
        return MySQLProblem(
            phrase(
                "Connections that load {database} blocked each other ({text}).",
                database=database,
                text=text,
            ),
            code="load.in_each_others_way",
            do=phrase(
                "Try again. With RESTORE_CONNECTIONS=1 there is only one connection, and this cannot happen."
            ),
        )
    if code == ER.SPECIFIC_ACCESS_DENIED_ERROR:
        return MissingPrivilege(
            phrase(
                "The user {user} may not create all that the snapshot holds: {text}.",
                user=server.user,
                text=text,
            ),
        )
    if code == ER.TABLEACCESS_DENIED_ERROR:
        return MySQLProblem(
            phrase(
                "The user {user} may not create all that the snapshot holds: {text}.",
                user=server.user,
                text=text,
            ),
            code="load.may_not_create",
            do=phrase("Grant it; `manage.py preflight` has the statement."),
        )
    return problem_from_number(code, text, server, database)
