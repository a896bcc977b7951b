"""Whose turn it is: which of the queued runs may begin, and for what each of the others waits.

Runs at one database server follow one another, so that one that draws out its answers holds up its own
databases alone; one address is one server, however many rows have it. Only two small backups may share one,
and one server at a time: the worker has a process more for the second. And of several repositories none takes
the last of the queue's processes.

Nobody waits for ever: what has waited for long counts as if a person had asked for it, and what needs a
repository for itself then keeps others from beginning there. Not so while it waits for a restore or a
verification: backups go on beside those, and it comes after them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta

from django.conf import settings

from backups.choices import (
    EXCLUSIVE_ACTIONS,
    PROMPT_ACTIONS,
    RESTORE_ACTIONS,
    TEST_RESTORES,
    UNDO_TRANSACTIONS,
    Action,
    Status,
    Trigger,
)
from backups.models import Database, Run

Address = tuple[str, int]

_AT_THE_DATABASE = RESTORE_ACTIONS | TEST_RESTORES | {Action.BACKUP}


# `Run.priority`: a schedule's and what follows a run; what a person asked for; what somebody waits for.
_PLANNED, _ASKED_FOR, _PROMPT = 0, 10, 20
# After so long a planned run counts as asked for: then only what was asked for before it comes first.
WAITED_LONG = timedelta(minutes=30)
# After so long a run that needs its repository for itself keeps others from beginning there.
HOLDS_BACK = timedelta(minutes=15)
# A database whose newest dump had at most so many bytes, and took at most so long, is small.
SMALL_BYTES = 64_000_000
SMALL_SECONDS = 60.0
# Who wants one run at a time gets that.
_FEWEST_TO_SHARE = 2
# What waits for one of these keeps nobody from beginning: no backup would be made for as long.
_MAY_TAKE_HOURS = RESTORE_ACTIONS | TEST_RESTORES | {Action.DIFF}


def priority_of(action: Action, trigger: Trigger) -> int:
    """How soon a run is to begin among those that wait: higher ones before lower ones."""
    if action in PROMPT_ACTIONS:
        return _PROMPT
    return _ASKED_FOR if trigger in (Trigger.ADMIN, Trigger.CLI) else _PLANNED


def in_order(waiting: Collection[Run], now: datetime) -> list[Run]:
    """What is more urgent first, and what is as urgent in the order of asking."""

    def place(run: Run) -> tuple[int, int]:
        has_waited_long = run.queued_at < now - WAITED_LONG
        return -max(run.priority, _ASKED_FOR if has_waited_long else _PLANNED), run.pk

    return sorted(waiting, key=place)


def holds_others_back(run: Run, before: Run, now: datetime) -> bool:
    """Whether what would use the same repository is to wait until a run that waits for `before` has begun."""
    if before.action in _MAY_TAKE_HOURS:
        return False
    return run.action in EXCLUSIVE_ACTIONS and run.queued_at < now - HOLDS_BACK


def waits_for(
    run: Run, running: Sequence[Run], *, repositories: int, small: Callable[[], Collection[int]] = tuple
) -> Run | None:
    """What has to end before a queued run may begin, None where nothing stands in its way.

    `running` are the runs under way with their databases, and those that come first all the same;
    `repositories` is how many there are; `small` answers the ids of the databases that are, and is asked only
    where that decides.
    """
    if run.action == Action.PREFLIGHT:
        return None  # a few questions, which have a time limit of their own
    others = [other for other in running if other.action != Action.PREFLIGHT]
    for other in others:
        if _is_kept_apart(run, other):
            return other
        if _share_a_server(run, other) and not _may_share_it(run, others, small):
            return other
    return _takes_the_last_process(run, others) if repositories > 1 else None


def places(runs: Collection[Run]) -> int:
    """How many of RUNS_AT_ONCE these runs take: the second one at a server has a process of its own."""
    at_a_server = [servers for run in runs if (servers := _servers(run))]
    return len(runs) - (len(at_a_server) - len(set().union(*at_a_server)))


def is_prompt(run: Run) -> bool:
    """Whether a run is played in the cluster that no backup keeps busy."""
    return run.action in PROMPT_ACTIONS


def _is_kept_apart(run: Run, other: Run) -> bool:
    """restic's exclusive lock wants the repository for itself; a restore does not wait for that."""
    if run.action == other.action and run.database_id is not None and run.database_id == other.database_id:
        return True
    if run.repository_id != other.repository_id:
        return False
    return run.action in EXCLUSIVE_ACTIONS or (other.action in EXCLUSIVE_ACTIONS and not is_prompt(run))


def _share_a_server(run: Run, other: Run) -> bool:
    """A restore waits for no backup, and no backup for a restore: they have their own processes."""
    return is_prompt(run) == is_prompt(other) and not _servers(run).isdisjoint(_servers(other))


def _may_share_it(run: Run, others: Sequence[Run], small: Callable[[], Collection[int]]) -> bool:
    """Whether a backup may begin beside one of its server: both are small, and no others share one."""
    if settings.RUNS_AT_ONCE < _FEWEST_TO_SHARE:
        return False
    of_the_queue = [other for other in others if not is_prompt(other)]
    both = [run, *(other for other in of_the_queue if _share_a_server(run, other))]
    if places(of_the_queue) < len(of_the_queue) or any(each.action != Action.BACKUP for each in both):
        return False
    return {each.database_id for each in both} <= set(small())


def _servers(run: Run) -> set[Address]:
    if run.database is None:
        return set()
    if run.action in TEST_RESTORES or _replays(run):
        return {_of_test_restores(run.database)}
    return {_live(run.database)} if run.action in _AT_THE_DATABASE or _compares_with_now(run) else set()


def _replays(run: Run) -> bool:
    """Whether it replays transactions where test restores go, and asks the live server nothing."""
    asked = run.request if isinstance(run.request, dict) else {}
    return run.action == Action.DIFF and asked.get("form") == UNDO_TRANSACTIONS


def _compares_with_now(run: Run) -> bool:
    """Whether it dumps the live database; a comparison of two snapshots asks no server anything."""
    asked = run.request if isinstance(run.request, dict) else {}
    return run.action == Action.DIFF and asked.get("until") is None


def _live(database: Database) -> Address:
    return _place(database.server.host, database.server.port)


def _of_test_restores(database: Database) -> Address:
    if database.verify_host:
        return _place(database.verify_host, database.verify_port)
    if settings.VERIFY_MYSQL_HOST:
        return _place(settings.VERIFY_MYSQL_HOST, settings.VERIFY_MYSQL_PORT)
    return _live(database)


def _place(host: str, port: int) -> Address:
    from backups import mysql  # who only reads rows needs nothing of it

    return mysql.place(host, port)


def _takes_the_last_process(run: Run, others: Sequence[Run]) -> Run | None:
    """The oldest run of a repository whose storage, if it stood still, would stop the others' as well."""
    alike = [
        other
        for other in others
        if other.status == Status.RUNNING
        and other.repository_id == run.repository_id
        and is_prompt(other) == is_prompt(run)
    ]
    may_run = max(settings.RUNS_AT_ONCE - 1, 1)
    return alike[0] if places([*alike, run]) > may_run else None
