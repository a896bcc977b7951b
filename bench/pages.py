"""What a long history costs the portal's pages: their time and queries, before and after it."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from bench.common import Options, print_table, say, work_folder

if TYPE_CHECKING:
    from django.test import Client

    from tools.history import History

_RUNS, _SNAPSHOTS = 100_000, 10_000
_CALLS = 15
_PAGES = {
    "Dashboard": "/admin/",
    "Run list": "/admin/backups/run/",
    "Run list, of one status": "/admin/backups/run/?status=failed",
    "Run list, of two statuses": "/admin/backups/run/?status=failed&status=cancelled",
    "Run list, of one action": "/admin/backups/run/?action=verify",
    "Run list, of a database": "/admin/backups/run/?database__id__exact=1",
    "Snapshot list": "/admin/backups/snapshot/",
}
# As many rows as a page shows, so that before and after it is the same number.
_FULL_PAGE = 60


@dataclass(frozen=True)
class Cost:
    """A page's queries, the rows it shows, and the median of its processor times in seconds."""

    queries: int
    rows: int
    seconds: float


def measure(_options: Options) -> None:
    """Print how much longer the pages take with a history of years than with one of days."""
    with work_folder() as folder:
        os.environ["DATABASE_URL"] = f"sqlite:///{folder / 'portal.sqlite3'}"
        client, history = _portal()
        from backups.models import Run, Snapshot

        _fill_pages(history)
        before = _costs(client)
        few = Run.objects.count()
        say(f"adding {_RUNS} runs and {_SNAPSHOTS} snapshots …")
        _add_years(history)
        after = _costs(client)
        _print(before, after, few, Run.objects.count(), Snapshot.objects.count())


def _portal() -> tuple[Client, History]:
    import django

    django.setup()
    from django.conf import settings
    from django.contrib.auth import get_user_model
    from django.core.management import call_command
    from django.test import Client

    from tools import history

    settings.ALLOWED_HOSTS = ["testserver"]
    call_command("migrate", verbosity=0)
    user = get_user_model().objects.create_superuser("bench", password=None)
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client, history.make(days=14)


def _costs(client: Client) -> dict[str, Cost]:
    return {name: _cost(client, address) for name, address in _PAGES.items()}


def _cost(client: Client, address: str) -> Cost:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    client.get(address)
    with CaptureQueriesContext(connection) as queries:
        answer = client.get(address)
    # Counted at once: the next request clears the record.
    asked = len(queries)
    if answer.status_code != 200:
        raise RuntimeError(f"{address} answered {answer.status_code}")
    times = []
    for _ in range(_CALLS):
        began = time.process_time()
        client.get(address)
        times.append(time.process_time() - began)
    return Cost(asked, answer.content.count(b"<tr"), statistics.median(times))


def _fill_pages(history: History) -> None:
    """What a page of each kind shows is there at the beginning already."""
    from django.utils import timezone

    from backups.models import Run, Snapshot

    database, then = history.databases[0], timezone.now() - timedelta(days=14)
    for action, outcome in (("verify", "succeeded"), ("backup", "failed")):
        Run.objects.bulk_create(
            _run(database, then - timedelta(minutes=i), action, outcome) for i in range(_FULL_PAGE)
        )
    Snapshot.objects.bulk_create(
        _snapshot(database, then - timedelta(minutes=i), 2 * (_SNAPSHOTS + i) + 1) for i in range(_FULL_PAGE)
    )


def _add_years(history: History) -> None:
    """Runs of all kinds and outcomes, and snapshots of which half are forgotten."""
    from django.utils import timezone

    from backups.models import Run, Snapshot

    database = history.databases[0]
    then = timezone.now() - timedelta(days=15)
    actions = ("backup", "forget", "check", "verify")
    outcomes = ("succeeded",) * 18 + ("failed", "cancelled")
    Run.objects.bulk_create(
        (
            _run(database, then - timedelta(minutes=40 * i), actions[i % 4], outcomes[i % 20])
            for i in range(_RUNS)
        ),
        batch_size=2000,
    )
    Snapshot.objects.bulk_create(
        (_snapshot(database, then - timedelta(hours=3 * i), i) for i in range(_SNAPSHOTS)), batch_size=500
    )


def _run(database: Any, at: Any, action: str, outcome: str) -> Any:
    from backups.models import Run

    return Run(
        action=action,
        database=database,
        repository=database.repository,
        status=outcome,
        trigger="schedule",
        queued_at=at,
        started_at=at,
        finished_at=at + timedelta(seconds=30),
    )


def _snapshot(database: Any, at: Any, number: int) -> Any:
    from backups.models import Snapshot

    return Snapshot(
        repository=database.repository,
        database=database,
        snapshot_id=f"{number:064x}",
        time=at,
        path="/mysql/shop.sql",
        total_bytes_processed=10**9,
        data_added=10**7,
        manifest={"sections": [{"kind": "rows", "name": f"t{i}", "bytes": 1000} for i in range(30)]},
        forgotten_at=None if number % 2 else at,
    )


def _print(
    before: Mapping[str, Cost], after: Mapping[str, Cost], few: int, runs: int, snapshots: int
) -> None:
    rows = [
        [
            name,
            f"{before[name].queries}, {after[name].queries}",
            f"{before[name].rows}, {after[name].rows}",
            f"{before[name].seconds * 1000:.0f} ms, {after[name].seconds * 1000:.0f} ms",
            f"{after[name].seconds / before[name].seconds:.2f}",
        ]
        for name in _PAGES
    ]
    print_table(
        f"Pages: {few} runs, then {runs} runs and {snapshots} snapshots",
        ["page", "queries", "rows shown", "processor time", "ratio"],
        rows,
        f"Median of {_CALLS} calls, without gunicorn, in one process that is its own database server. "
        "At most 1.5 is wanted.",
    )
