"""`manage.py worker`: both clusters of the queue, begun again when they die, stopped without a lost run.

Beside them, in this process, what streams downloads to the portal, and in one of its own what stores binary
logs, where a database wants that.
"""

from __future__ import annotations

import logging
import os
import signal
import time
from argparse import ArgumentParser
from datetime import datetime
from pathlib import Path
from types import FrameType
from typing import Any, Protocol

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, connection
from django.utils import timezone

from backups import process
from backups.models import WorkerPulse
from backups.portal_copy.portal_database import database_problem
from backups.runs import lifecycle
from backups.runs.queue import repair_queue_clock
from backups.scheduling import right_times
from backups.text.sentences import phrase
from backups.worker import due, queue
from backups.worker.downloads import DownloadServer
from backups.worker.kept_running import KeptRunning
from backups.worker.shipper import Shipper

logger = logging.getLogger(__name__)

STOP_SECONDS = 60
# One that dies at once would otherwise be begun again several times a second.
RESTART_SECONDS = 5.0
# What a dead cluster left has to be gone before the next one looks for stale locks.
LEFT_BEHIND_SECONDS = 1.0
ASK_AGAIN_SECONDS = 1.0
KEEP_TIME_SECONDS = 10.0


class Runs(Protocol):
    """A process that this one began."""

    @property
    def runs(self) -> bool:
        """Whether it lives."""

    def drain(self) -> None:
        """Have it end when what runs is over."""


class Cluster(KeptRunning):
    """One `manage.py qcluster` at a time, which serves the queue called `name`."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def keep_running(self) -> None:
        """Begin it, or begin it again where it died."""
        if self._child is not None and (status := self._child.poll()) is not None:
            logger.error("the queue's cluster %s ended by itself (%s) and is begun again", self.name, status)
            self.end()  # its own children may have outlived it
            self._not_before = max(self._not_before, time.monotonic() + LEFT_BEHIND_SECONDS)
        if self._child is None and time.monotonic() > self._not_before:
            self._begin()

    def _begin(self) -> None:
        self._not_before = time.monotonic() + RESTART_SECONDS
        self._start("qcluster", {"Q_CLUSTER_NAME": self.name})

    def plays(self, worker: str) -> bool:
        """Whether `worker`, as a run names it, is a process of this cluster."""
        return self._child is not None and process.runs_in_group(worker, self._child.pid)


class Command(BaseCommand):
    """Run the queue until told to stop."""

    help = phrase(
        "Work off the queue: backups, verifications and maintenance in one cluster, restores in "
        "another. On SIGTERM or SIGINT running work is cancelled and all ends within seconds."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """How long a stop may take, and whom to tell that work can begin."""
        parser.add_argument(
            "--stop-seconds", type=float, default=STOP_SECONDS,
            help=phrase("kill what still runs so long after a stop was asked for (default %(default)s)"),
        )  # fmt: skip
        parser.add_argument(
            "--ready-fd", type=int,
            help=phrase("write a line to this file descriptor when both clusters take work"),
        )  # fmt: skip

    def handle(self, *, stop_seconds: float, ready_fd: int | None, **_: Any) -> None:
        """Keep both clusters running until a signal comes. Raises CommandError."""
        if problem := database_problem(thoroughly=True):
            raise CommandError(problem)
        if doubt := settings.ENV_FILE_DOUBT:
            logger.warning(doubt.sentence)
        process.become_subreaper()
        self._told_to_stop = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        clusters = [Cluster(str(settings.Q_CLUSTER["name"])), Cluster(settings.RESTORES_CLUSTER)]
        downloads = DownloadServer(Path(settings.DOWNLOADS_SOCKET))
        shipper = Shipper()
        try:
            self._run(clusters, downloads, shipper, ready_fd)
            downloads.break_off()
            _drain(clusters, shipper, stop_seconds)
        finally:
            downloads.end()
            shipper.end()
            for cluster in clusters:
                cluster.end()

    def _stop(self, _signal: int, _frame: FrameType | None) -> None:
        self._told_to_stop = True

    def _run(
        self, clusters: list[Cluster], downloads: DownloadServer, shipper: Shipper, ready_fd: int | None
    ) -> None:
        began, ready, keeps_time = timezone.now(), False, False
        keep_time_at = 0.0
        while not self._told_to_stop:
            if time.monotonic() > keep_time_at:
                keep_time_at = time.monotonic() + KEEP_TIME_SECONDS
                keeps_time = _keep_time() or keeps_time
            # Until then a cluster would play planned backups as well, which this process makes runs of.
            for cluster in clusters if keeps_time else ():
                cluster.keep_running()
            downloads.keep_serving()
            if keeps_time:
                shipper.keep_running()
            process.reap_orphans()
            if not ready and _have_pulse(clusters, began):
                ready = True
                _tell_ready(ready_fd)
                self.stdout.write(phrase("The worker is ready."))
                self.stdout.flush()  # a journal would have it when the worker ends
            process.sleep_tick()


def _have_pulse(clusters: list[Cluster], since: datetime) -> bool:
    names = [cluster.name for cluster in clusters]
    try:
        return WorkerPulse.objects.filter(cluster__in=names, seen_at__gte=since).count() == len(names)
    except DatabaseError:
        return False
    finally:
        connection.close()


def _keep_time() -> bool:
    """Look at the schedules; answers whether that went well.

    Here and not in the queue: its own next minute a clock set back puts off, and its processes may die.
    """
    try:
        queue.strange_schedules_remove()
        right_times.schedules_keep()
        due.runs_due()
        repair_queue_clock()
    except DatabaseError:
        logger.exception("the schedules could not be looked at, which is tried again in a moment")
        return False
    else:
        return True
    finally:
        connection.close()


def _tell_ready(fd: int | None) -> None:
    if fd is not None:
        os.write(fd, b"ready\n")
        os.close(fd)


def _drain(clusters: list[Cluster], shipper: Shipper, seconds: float) -> None:
    """Cancel what runs, so that the clusters end within seconds, and wait for them that long."""
    until = time.monotonic() + seconds
    _cancel_runs(clusters)
    running: list[Runs] = [*clusters, shipper]
    for each in running:
        each.drain()
    asked = time.monotonic()
    while any(each.runs for each in running) and time.monotonic() < until:
        process.sleep_tick()
        # A cluster still plays what it had taken off the queue before it heard of the end.
        if time.monotonic() > asked + ASK_AGAIN_SECONDS:
            asked = time.monotonic()
            _cancel_runs(clusters)


def _cancel_runs(clusters: list[Cluster]) -> None:
    try:
        asked = lifecycle.runs_stop(is_ours=lambda worker: any(c.plays(worker) for c in clusters))
    except DatabaseError:
        logger.exception("running work could not be cancelled; it is killed if it takes too long")
        return
    finally:
        connection.close()
    for run in asked:
        logger.warning("%s is cancelled, because the worker was told to stop", run)
