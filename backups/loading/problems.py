"""How a load fails: by the dump or by the server, in sentences."""

from __future__ import annotations

from contextlib import suppress

from backups import mysql
from backups.errors import Problem
from backups.loading.connection_pool import LoadPool
from backups.loading.dispatcher import NOT_ITS_FAULT
from backups.text.sentences import phrase


class LoadProblem(Problem):
    """The server did not take the dump."""

    code = "load.failed"


class BrokenDump(LoadProblem):
    """The dump's bytes are not what a dump program wrote."""

    code = "load.broken_dump"


class CutOff(BrokenDump):
    """The dump stops before its end."""

    code = "load.cut_off"


class NotADump(BrokenDump):
    """It is no dump, or it holds something that no dump program writes."""

    code = "load.no_dump"


_AS_WRITTEN = phrase(
    "With RESTORE_CONNECTIONS=1 the dump is loaded just as it is written. That needs no room for "
    "sorting (tmpdir)."
)


def of_the_dump(problem: Problem, server: mysql.Server) -> Problem:
    """The problem as one of the dump, unless it is surely none of it."""
    if isinstance(problem, mysql.MissingPrivilege) and not problem.do:
        with suppress(Problem), mysql.connect(server) as connection:
            problem.do = phrase(
                "Run as an administrator: {connection};", connection=mysql.definer_grant(connection)
            )
    if isinstance(problem, NOT_ITS_FAULT):
        return problem
    return LoadProblem(problem.what, code=problem.code, do=problem.do)


def pool_problem(pool: LoadPool, server: mysql.Server) -> BaseException:
    """What ended the pool, for a person. What is no Problem is a fault of our own."""
    failure = pool.failure or LoadProblem(phrase("The load was ended."), code="load.was_ended")
    if not isinstance(failure, Problem):
        return failure
    if pool.failed is not None and pool.failed.doing and not isinstance(failure, mysql.OfTheServer):
        failure.do = f"{failure.do} {_AS_WRITTEN}".strip()
    return of_the_dump(failure, server)
