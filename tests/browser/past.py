"""What the portal of the tasks has behind it, and what may be wrong with it for a while: rows alone.

It is played by a process of its own in the portal's environment, whose start alone takes a second.
"""

from __future__ import annotations

import secrets
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth.models import User
from django.db.models import F
from django.utils import timezone

from backups.choices import Action, Health, RestoreMode, Status, Trigger, Verdict
from backups.models import Alert, Database, Repository, Restore, Run, Snapshot, Verification
from backups.reports.proof import last_quarter

DAY, WEEK, TOOK = timedelta(days=1), timedelta(days=7), timedelta(seconds=9)
REASON = "The prices of Monday were wrong."
# Proved in the last quarter, once a week.
WEEKS = 12
BRANCHES, THE_FAILED, THE_SOUGHT = 60, 41, 17


def make() -> None:
    """The older of two backups is of yesterday, the newer was proved; those of last quarter were, too.

    Last quarter's are forgotten. Somebody restored once.
    """
    database = Database.objects.get()
    first, newest = Snapshot.objects.order_by("time")
    verdict(newest, Verdict.IDENTICAL, timezone.now())
    proved = {"verdict": Verdict.IDENTICAL, "verified_at": timezone.now()}
    Snapshot.objects.filter(pk=newest.pk).update(**proved)
    Snapshot.objects.filter(pk=first.pk).update(time=F("time") - DAY)
    times = ("queued_at", "started_at", "finished_at")
    Run.objects.filter(made_snapshots=first).update(**{name: F(name) - DAY for name in times})
    quarter_ago = timezone.localdate() - last_quarter().first
    for number in range(WEEKS):
        at = timezone.now().replace(hour=3) - quarter_ago + DAY + WEEK * number
        proved_backup(database, at, forgotten_at=timezone.now())
    by = {"trigger": Trigger.ADMIN, "requested_by": User.objects.get(username="restorer")}
    Restore.objects.create(
        run=run(database, Action.RESTORE, timezone.now() - DAY, **by), database=database, snapshot=first,
        mode=RestoreMode.NEW, target=f"{database.database}_prices", reason=REASON, restore_seconds=2.0,
    )  # fmt: skip


def run(database: Database, action: Action, at: datetime, **more: Any) -> Run:
    """One that succeeded, unless said otherwise."""
    as_usual = {"status": Status.SUCCEEDED, "trigger": Trigger.SCHEDULE}
    return Run.objects.create(
        action=action, database=database, repository=database.repository, queued_at=at, started_at=at,
        finished_at=at + TOOK, **(as_usual | more),
    )  # fmt: skip


def proved_backup(database: Database, at: datetime, **more: Any) -> None:
    """A backup and its verification."""
    snapshot = Snapshot.objects.create(
        repository=database.repository, database=database, made_by=run(database, Action.BACKUP, at), time=at,
        path=f"/mysql/{database.database}.sql", snapshot_id=secrets.token_hex(32), made_here=True,
        total_bytes_processed=2000, verified_at=at + 2 * TOOK, verdict=Verdict.IDENTICAL, **more,
    )  # fmt: skip
    verdict(snapshot, Verdict.IDENTICAL, at + 2 * TOOK)


def verdict(snapshot: Snapshot, found: Verdict, at: datetime) -> Run:
    """Of a verification, whose run this gives."""
    assert snapshot.database
    verified = run(snapshot.database, Action.VERIFY, at)
    Verification.objects.create(
        run=verified, snapshot=snapshot, verdict=found, finished_at=at, restore_seconds=3.0, tables=3, rows=9,
        bytes=2000,
    )  # fmt: skip
    return verified


# ---------------------------------------------------------------- What may be wrong


@contextmanager
def damaged() -> Iterator[None]:
    """The repository."""
    Repository.objects.update(health=Health.DAMAGED, check_error="Pack 1a2b is missing.")
    yield
    Repository.objects.update(health=Health.GOOD, check_error="")


@contextmanager
def differing() -> Iterator[None]:
    """The newest verification found something else than was backed up."""
    newest = Snapshot.objects.latest("time")
    before = newest.verdict
    found = verdict(newest, Verdict.DIFFERENT, timezone.now())
    Snapshot.objects.filter(pk=newest.pk).update(verdict=Verdict.DIFFERENT)
    yield
    Verification.objects.filter(run=found).delete()
    found.delete()
    Snapshot.objects.filter(pk=newest.pk).update(verdict=before)


@contextmanager
def old() -> Iterator[None]:
    """All backups."""
    Snapshot.objects.present().update(time=F("time") - 2 * DAY)
    yield
    Snapshot.objects.present().update(time=F("time") + 2 * DAY)


@contextmanager
def untold() -> Iterator[None]:
    """An alert of which nobody could be told."""
    alert = Alert.objects.create(subject="a test", error="The mail server does not answer.")
    yield
    alert.delete()


@contextmanager
def many() -> Iterator[None]:
    """Far more databases than have a card, in a repository at which nobody looks, and all is well."""
    elsewhere = Repository.objects.create(
        name="elsewhere", url="/srv/elsewhere", health=Health.GOOD, checked_at=timezone.now(),
        restic_id="1" * 64,
    )  # fmt: skip
    server = Database.objects.all()[0].server
    names = [f"branch{number:02}" for number in range(BRANCHES)]
    Database.objects.bulk_create(
        Database(name=name, database=name, server=server, repository=elsewhere) for name in names
    )
    branches = Database.objects.filter(repository=elsewhere)
    for each in branches:
        proved_backup(each, timezone.now() - timedelta(minutes=50))
    yield
    Verification.objects.filter(run__repository=elsewhere).delete()
    Snapshot.objects.filter(repository=elsewhere).delete()
    Run.objects.filter(repository=elsewhere).delete()
    branches.delete()
    elsewhere.delete()


@contextmanager
def one_failed() -> Iterator[None]:
    """The newest backup of one of the many."""
    branch = Database.objects.get(name=f"branch{THE_FAILED}")
    error = "The server does not answer. Start it."
    failed = run(branch, Action.BACKUP, timezone.now(), status=Status.FAILED, error=error)
    yield
    failed.delete()


def obey() -> None:
    """Make it; then begin, or end, what each line of standard input names."""
    make()
    lasting: dict[str, ExitStack] = {}
    for line in sys.stdin:
        name = line.strip()
        if name in lasting:
            lasting.pop(name).close()
        elif name:
            lasting[name] = ExitStack()
            lasting[name].enter_context(globals()[name]())
        print("done", flush=True)
