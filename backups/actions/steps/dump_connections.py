"""Over how many connections a backup dumps: what is ordered, what is told of it, and another try over one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.conf import settings

from backups import process
from backups.actions.steps.checks import ReadyBackup
from backups.choices import DumpFormat, Trigger
from backups.dumping.order import Order
from backups.dumping.parallel import ParallelOptions
from backups.errors import Problem
from backups.models import Database, LogArchive, Run
from backups.runs.progress import Progress
from backups.text.sentences import phrase, plural


class SeveralFailed(Exception):
    """A dump over several connections, which nobody asked for, came to nothing because of `problem`."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.what)
        self.problem = problem


def options() -> ParallelOptions:
    """What the settings say, and how many cores there are."""
    return ParallelOptions(
        settings.DUMP_CONNECTIONS,
        settings.DUMP_SPOOL_DIR,
        settings.DUMP_SPOOL_MB * 1_000_000,
        process.available_cores(),
    )


def order_for(run: Run, database: Database, ready: ReadyBackup) -> Order:
    """What the dump program of a backup is told."""
    return Order(
        server=ready.source.server,
        database=database.database,
        client_dir=settings.MYSQL_CLIENT_DIR,
        notes=settings.RESTIC_CACHE_DIR,
        gzip=database.dump_format == DumpFormat.SQL_GZ,
        without_broken_views=run.trigger == Trigger.RESTORE,
        sums_rows=LogArchive.objects.wanted().filter(database=database).exists(),
        at_once=options(),
    )


def over_one(order: Order, failed: SeveralFailed, progress: Progress) -> Order:
    """The order for another try, which is said."""
    progress.warn(
        phrase(
            "The dump over several connections failed, so it is made again over one. {sentence}",
            sentence=failed.problem.sentence(),
        )
    )
    because = phrase("several failed ({problem})", problem=failed.problem.what.rstrip("."))
    return order._replace(at_once=ParallelOptions(1, because=because))


class Telling:
    """Passes on what the dump program tells, each thing once."""

    def __init__(self, order: Order, progress: Progress) -> None:
        self._progress = progress
        self._is_automatic = not order.at_once.connections
        self._logged = 0
        self._told: Mapping[str, Any] = {}

    def hear(self, reported: Mapping[str, Any]) -> None:
        """Take in a report, whatever of it there is."""
        for note in reported.get("notes", [])[self._logged :]:
            self._progress.log(note)
            self._logged += 1
        connections = reported.get("connections") or self._told
        if connections == self._told:
            return
        number, because = connections["number"], connections["because"]
        if self._is_automatic and not self._told:
            over = plural("{n} connection", "{n} connections", n=number)
            self._progress.log(phrase("The dump goes over {over}: {because}.", over=over, because=because))
        self._told = connections
        self._progress.note(dump_connections=number, dump_connections_because=because)

    def failure(self, problem: Problem) -> Problem | SeveralFailed:
        """What to raise of a dump that came to nothing: one connection may still do where several did not."""
        several = self._told.get("number", 1) > 1
        return SeveralFailed(problem) if several and self._is_automatic else problem
