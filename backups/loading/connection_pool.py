"""Several connections to one database that take statements from one bounded queue.

A job is done by one of them, its statements in their order; jobs are done in any order. The first
job that fails ends them all. Whoever has no job may look at tables that are through.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from backups import mysql, process
from backups.dumpfile.ready import Does, Ready, quoted
from backups.dumpfile.settings import Settings
from backups.text.sentences import phrase

# Elsewhere warnings tell nothing of what is lost.
_WARNING = (Does.TABLE, Does.ROWS)
# Errors that end where the session computes as the one did that wrote the rows, and with which sql_mode:
# the difference of two numbers without a sign, which is less than zero, in a generated column; a moment
# that is cut to the second, and not rounded to that of another row.
_OUT_OF_RANGE = 1690
_MODES = {
    _OUT_OF_RANGE: "NO_UNSIGNED_SUBTRACTION",
    1901: "NO_UNSIGNED_SUBTRACTION",
    1062: "TIME_TRUNCATE_FRACTIONAL",
}
# What waits or is being sent, in all: with what is being gathered, all that a load holds in memory.
_MOST_BYTES = 12 << 20


class Ended(Exception):
    """The pool was ended, and its `failure` says why."""


class Hand:
    """A connection that takes statements, and knows under which settings the last one ran."""

    def __init__(
        self, connection: mysql.LoadingConnection, sql_mode: str, modes: dict[str, str] | None = None
    ) -> None:
        self.connection = connection
        # By table, the sql_mode that it turned out to need besides: the same for all who load together.
        self._modes = {} if modes is None else modes
        # Events that the server took and did not keep, because their time has passed.
        self.past_events: set[str] = set()
        self._settings = Settings(initial_mode=sql_mode)
        # Whether any statement may have changed something.
        self.has_run = False
        # The first warning of each table, by its number.
        self.warned: dict[tuple[str, int], str] = {}
        # The CHECKs, by their tables, that are to hold again once all is loaded.
        self.unenforced: set[tuple[str, str]] = set()
        self._without_checks: set[str] = set()

    def run(self, ready: Ready) -> None:
        """Run a statement under its own settings, and those that its table needs. Raises MySQLProblem."""
        self._run_in(ready, self._modes.get(ready.table, ""))

    def _run_in(self, ready: Ready, modes: str) -> None:
        """The same with these modes besides; those that help are from then on the table's, for all."""
        under = ready._replace(settings=ready.settings.with_mode(modes)) if modes else ready
        try:
            self._run(under)
        except mysql.ServerGone:
            raise
        except mysql.MySQLProblem as problem:
            try:
                more = self._makes_fit(under, problem.number)
                if more is not None:
                    self._run_in(ready, ",".join(filter(None, (modes, more))))
            except mysql.ServerGone:
                raise
            except mysql.MySQLProblem:
                raise problem from None
            if more is None:
                raise
        else:
            # Not before: the server may not know the mode, and others would end in that in the place of this.
            if modes:
                self._modes[ready.table] = modes

    def _makes_fit(self, ready: Ready, code: int) -> str | None:
        """Have the server take a table's statement that ended in an error.

        Answers the sql_mode that it needs besides, empty where it needs none; None where nothing is known
        to help.
        """
        if not ready.table:
            return None
        if code == mysql.CHECK_IS_VIOLATED and ready.does == Does.ROWS:
            return "" if self._leaves_checks(ready) else None
        mode = _MODES.get(code, "")
        if not mode or mode in ready.settings.sql_mode:
            return None
        if code == _OUT_OF_RANGE:
            # The server goes on computing as it did when it opened the table.
            text = b"ALTER TABLE " + quoted(ready.table) + b" FORCE"
            self._run(ready._replace(text=text, settings=ready.settings.in_utf8.with_mode(mode)))
        return mode

    def _leaves_checks(self, ready: Ready) -> bool:
        if ready.table in self._without_checks:
            return False
        with self.connection.translated(ready.text):
            checks = self.connection.leave_checks(ready.table)
        self._without_checks.add(ready.table)
        self.unenforced.update((ready.table, check) for check in checks)
        return True

    def _run(self, ready: Ready) -> None:
        with self.connection.translated(ready.text):
            if changes := ready.settings.differing_from(self._settings):
                self.connection.set(changes)
            self._settings = ready.settings
        try:
            with self.connection.translated(ready.text):
                self.connection.run(ready.text)
        except mysql.ServerGone:
            self.has_run = True  # for all we know: nobody answered
            raise
        self.has_run = True
        with self.connection.translated(ready.text):
            if ready.kind == "event" and mysql.EVENT_IS_PAST in self.connection.noted():
                self.past_events.add(ready.name)
            if ready.does in _WARNING:
                for code, text in self.connection.warnings():
                    self.warned.setdefault((ready.table, code), text)


@dataclass(eq=False)
class JobGroup:
    """Jobs that belong together: how many are not through, and what comes after them all."""

    left: int = 0
    following: Job | None = None


# What is done with a table that is loaded, by its name; it ticks, and what that raises ends it.
Look = Callable[[str, process.Tick], None]


@dataclass(eq=False)
class Job:
    """Statements for one connection; `doing` says what they do where that takes long.

    Or none, and a `table` that is looked at.
    """

    statements: Sequence[Ready]
    doing: str = ""
    table: str = ""
    group: JobGroup = field(default_factory=JobGroup)
    size: int = field(init=False)
    is_done: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        self.size = sum(len(statement.text) for statement in self.statements)


class LoadPool:
    """Connections at work, each in a thread of its own, until `close` or `stop`. There may be none.

    With `look`, tables are looked at when no job waits, and one of them at least is free for the next.
    """

    def __init__(self, server: mysql.Server, hands: Sequence[Hand], look: Look | None = None) -> None:
        self._server = server
        self._hands = list(hands)
        self._look = look
        self._jobs: deque[Job] = deque()
        self._looks: deque[Job] = deque()
        self._has_all = False
        # For how long nothing was left to load, and tables were still looked at.
        self.looked_seconds = 0.0
        self._running: list[Job] = []
        self._bytes = 0
        self._changed = threading.Condition()
        self._ends = False
        self.failure: BaseException | None = None
        self.failed: Job | None = None
        self._threads = [threading.Thread(target=self._work, args=[hand], daemon=True) for hand in hands]
        for thread in self._threads:
            thread.start()

    @property
    def is_there(self) -> bool:
        """Whether there is anyone to give work to."""
        return bool(self._hands)

    def submit(self, job: Job) -> None:
        """Have a job done. Waits for room. Raises Ended."""
        with self._changed:
            self._wait(lambda: not self._bytes or self._bytes + job.size <= _MOST_BYTES)
            self._put(job, first=False)

    def run_now(self, job: Job) -> None:
        """Have a job done before all that wait, and wait for it. Raises Ended."""
        with self._changed:
            self._put(job, first=True)
            self._wait(lambda: job.is_done)

    def drain(self) -> None:
        """Wait until nothing is left to load. Raises Ended."""
        with self._changed:
            self._wait(lambda: not self._jobs and all(job.table for job in self._running))

    def look_to_the_end(self) -> None:
        """All is loaded: wait until all is looked at. Raises Ended."""
        began = time.monotonic()
        with self._changed:
            self._has_all = True
            self._changed.notify_all()
            self._wait(lambda: not self._looks and not self._running)
        self.looked_seconds = time.monotonic() - began

    def submit_after(self, group: JobGroup, *jobs: Job) -> None:
        """Have jobs done one after the other when all of a group are, before all that wait.

        The group takes no more.
        """
        with self._changed:
            before = group
            for job in jobs:
                before.following = job
                before = job.group
            self._go_on(group)

    def look_at(self, table: str) -> list[Job]:
        """The job of looking at a table, where somebody wants that."""
        if self._look is None:
            return []
        return [Job([], phrase("comparing table {table}", table=table), table)]

    def wait_for(self, group: JobGroup) -> None:
        """Wait until the jobs of a group are through. Raises Ended."""
        with self._changed:
            self._wait(lambda: not group.left)

    @property
    def current_task(self) -> str:
        """What of the work takes long, for a person."""
        with self._changed:
            return next((job.doing for job in self._running if job.doing), "")

    def close(self) -> None:
        """Let the connections go. What waits is left undone."""
        with self._changed:
            self._ends = True
            self._changed.notify_all()
        for thread in self._threads:
            if thread.is_alive():
                thread.join()

    def stop(self) -> None:
        """End all at once, statements that run included."""
        with self._changed:
            self._ends = True
            self._changed.notify_all()
            busy = bool(self._running)
        if busy:
            mysql.break_off(self._server, [hand.connection for hand in self._hands])
        self.close()

    def _put(self, job: Job, *, first: bool) -> None:
        job.group.left += 1
        self._bytes += job.size
        if job.table:
            self._looks.append(job)
        elif first:
            self._jobs.appendleft(job)
        else:
            self._jobs.append(job)
        self._changed.notify_all()

    def _wait(self, condition: Callable[[], bool]) -> None:
        self._changed.wait_for(lambda: self._ends or self.failure is not None or condition())
        if self._ends or self.failure is not None:
            raise Ended

    def _work(self, hand: Hand) -> None:
        while job := self._next():
            try:
                for statement in job.statements:
                    hand.run(statement)
                if job.table and self._look is not None:
                    self._look(job.table, self._tick)
                self._done(job)
            except BaseException as error:  # noqa: BLE001  raised again in the thread that waits
                self._fail(job, error)
                return

    def _done(self, job: Job) -> None:
        with self._changed:
            self._running.remove(job)
            self._bytes -= job.size
            job.is_done = True
            job.group.left -= 1
            self._go_on(job.group)
            self._changed.notify_all()

    def _go_on(self, group: JobGroup) -> None:
        """Under the lock, so that what follows is there before anyone sees that all is done."""
        if group.following is not None and not group.left:
            following, group.following = group.following, None
            self._put(following, first=True)

    def _next(self) -> Job | None:
        with self._changed:
            self._changed.wait_for(
                lambda: self._ends or self.failure is not None or self._jobs or self._may_look()
            )
            if self._ends or self.failure is not None:
                return None
            job = self._jobs.popleft() if self._jobs else self._looks.popleft()
            self._running.append(job)
            return job

    def _may_look(self) -> bool:
        looking = sum(bool(job.table) for job in self._running)
        return bool(self._looks) and (self._has_all or looking < len(self._hands) - 1)

    def _tick(self) -> None:
        if self._ends or self.failure is not None:
            raise Ended

    def _fail(self, job: Job, error: BaseException) -> None:
        with self._changed:
            # What follows from the first, or from the end, tells nothing new.
            if self.failure is None and not self._ends:
                self.failure, self.failed = error, job
            self._changed.notify_all()
