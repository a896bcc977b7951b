"""The kinds of problems with a server that whoever calls tells apart."""

from __future__ import annotations

from MySQLdb.constants import ER

from backups import at_first_use
from backups.errors import Problem
from backups.text.sentences import phrase
from backups.text.terminal import bounded

TRUST_FUNCTION_CREATORS = phrase(
    "Set log_bin_trust_function_creators=1 in the server's configuration, and now, as an "
    "administrator: SET GLOBAL log_bin_trust_function_creators = 1."
)


class MySQLProblem(Problem):
    """The database server refused, failed or gave no answer. `number` is its error number, if it gave one."""

    code = "mysql.failed"
    number = 0


class ServerUnreachable(MySQLProblem):
    """No server answers at the address."""

    code = "mysql.unreachable"


class NoMoreConnections(ServerUnreachable):
    """The server, or the account, can have no more connections."""

    code = "mysql.no_more_connections"


class TlsProblem(ServerUnreachable):
    """The server answers, but not encrypted in the way that is asked for."""

    code = "mysql.tls"


class AccessDenied(MySQLProblem):
    """User or password are wrong."""

    code = "mysql.access_denied"


class UnknownDatabase(MySQLProblem):
    """The server has no such database, or hides it from this user."""

    code = "mysql.unknown_database"


class ServerGone(MySQLProblem):
    """The server went away in the middle."""

    code = "mysql.gone"


class DiskFull(MySQLProblem):
    """The server has no room left for what is written."""

    code = "mysql.disk_full"


class DamagedTable(MySQLProblem):
    """The server cannot read a table, or not all of it."""

    code = "mysql.damaged_table"


class OfTheServer(MySQLProblem):
    """A setting of the server, or something that it lacks, is in the way. The dump is not at fault."""

    code = "mysql.of_the_server"


class RefusesFunctions(MySQLProblem):
    """The server writes a binary log and lets us make no trigger or function. The dump is not at fault."""

    code = "mysql.refuses_functions"


class NoDefiner(MySQLProblem):
    """The server does not have the account that a view runs as. The dump is not at fault."""

    code = "mysql.no_definer"


class ReferredTo(MySQLProblem):
    """Foreign keys lead to what is to be dropped."""

    code = "mysql.referred_to"


class LockedOut(OfTheServer):
    """Another session held a lock for too long."""

    code = "mysql.locked_out"


class MissingPrivilege(MySQLProblem):
    """The user lacks a privilege. The message has the GRANT."""

    code = "mysql.missing_privilege"


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


_IN_VAIN = at_first_use.pattern(r"\(error (?:1205|1213)\)|in each other's way")


def text_of(error: Exception) -> str:
    """What the server said; nothing where the driver could not decode it.

    The driver leaves a hole in the exception's arguments then: https://github.com/PyMySQL/mysqlclient
    decodes them as UTF-8 and keeps the null pointer. To look at it ends the process.
    """
    if repr(error.args).endswith("<NULL>)"):
        return ""
    return bounded(str(error.args[-1]) if error.args else str(error))
