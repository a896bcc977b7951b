"""What very many databases cost the portal's pages, its figures and what it does every minute."""

from __future__ import annotations

import os
import secrets
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.common import Options, print_table, say, work_folder

if TYPE_CHECKING:
    from django.test import Client

_COUNTS, _DAYS = (50, 2000), 30
_CALLS = 5
_TOKEN = "of the benchmark's figures"


@dataclass(frozen=True)
class Cost:
    """Queries, the median of processor times in seconds, and the kB of the answer."""

    queries: int
    seconds: float
    kilobytes: float


def measure(options: Options) -> None:
    """Print what each costs with few and with more databases, each in a process and a database of its own."""
    counts = options.databases or _COUNTS
    costs = [_apart(count) for count in counts]
    print_table(
        f"{', '.join(map(str, counts))} databases, {_DAYS} days of history each",
        ["what", "queries", "processor time, ms", "to the first", "kB"],
        [[name, *_compared([each[name] for each in costs])] for name in costs[0]],
        f"Median of {_CALLS} calls after a first one, without gunicorn, in one process that is its own "
        "database server. As many queries are wanted, and a ratio of at most 4 from 50 to 2,000. From 2, at "
        "most 2 to 50 and 4 to 200 are wanted. After a backup: one database was backed up since the call "
        "before. Again: nothing was written. All anew: something was written to each table, or half a minute "
        "is over.",
    )


def _compared(costs: Sequence[Cost]) -> list[str]:
    """The columns of one row."""
    ratios = [each.seconds / costs[0].seconds for each in costs[1:]]
    return [
        ", ".join(str(each.queries) for each in costs),
        ", ".join(f"{each.seconds * 1000:.1f}" for each in costs),
        ", ".join(f"{ratio:.1f}" for ratio in ratios),
        ", ".join(f"{each.kilobytes:.0f}" for each in costs),
    ]


def _apart(count: int) -> dict[str, Cost]:
    say(f"{count} databases …")
    code = f"from bench import common, many; common.isolate(); many.tell({count})"
    ran = subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.PIPE, text=True)
    costs = (line.split("\t") for line in ran.stdout.splitlines())
    return {name: Cost(int(queries), float(cpu), float(size)) for name, queries, cpu, size in costs}


def tell(count: int) -> None:
    """Measure with `count` databases and print a line each."""
    with work_folder() as folder:
        os.environ["DATABASE_URL"] = f"sqlite:///{folder / 'portal.sqlite3'}"
        os.environ["SENTINEL_HEARTBEAT_PATH"] = str(folder / "status" / "last_ok")
        os.environ |= {"METRICS_TOKEN": _TOKEN, "MYSQL_PASSWORD": "any", "RESTIC_PASSWORD": "any"}
        for name, call in _subjects(_portal(count)).items():
            for when, before in (("after a backup", _back_up), ("again", _leave), ("all anew", _change)):
                cost = _cost(call, before)
                print(f"{name}, {when}", cost.queries, cost.seconds, cost.kilobytes, sep="\t")


def _portal(count: int) -> Client:
    import django

    django.setup()
    from django.conf import settings
    from django.contrib.auth import get_user_model
    from django.core.management import call_command
    from django.test import Client

    from backups.gate import heartbeat_files
    from tools import many

    settings.ALLOWED_HOSTS = ["testserver"]
    call_command("migrate", verbosity=0)
    databases = many.make(count, days=_DAYS)
    heartbeat_files.make_sure_writable()
    for database in databases:
        heartbeat_files.write_last_ok(database, database.snapshots.latest("time").time)
    heartbeat_files.write_gates()
    user = get_user_model().objects.create_superuser("bench", password=None)
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def _subjects(client: Client) -> dict[str, Callable[[], int]]:
    """What is measured: calls that answer with the size of what they made."""
    from backups.alerting import alerts
    from backups.gate import heartbeat_files
    from backups.scheduling import right_times
    from backups.worker import queue

    def get(address: str) -> Callable[[], int]:
        def call() -> int:
            answer = client.get(address, headers={"Authorization": f"Bearer {_TOKEN}"})
            if answer.status_code != 200:
                raise RuntimeError(f"{address} answered {answer.status_code}")
            return len(answer.content)

        return call

    def unchanged(address: str) -> Callable[[], int]:
        """Asked for again by who has it, as an open page does; a new tag where time alone changed it."""
        tags = {"": ""}

        def call() -> int:
            answer = client.get(address, headers={"If-None-Match": tags[""]})
            if answer.status_code != 304:
                tags[""] = answer.headers["ETag"]
                answer = client.get(address, headers={"If-None-Match": tags[""]})
            return len(answer.serialize_headers()) + len(answer.content)

        return call

    def silent(work: Callable[[], object]) -> Callable[[], int]:
        def call() -> int:
            work()
            return 0

        return call

    return {
        "first page": get("/admin/"),
        "its live part": get("/admin/live/"),
        "its live part, unchanged": unchanged("/admin/live/"),
        "list of databases": get("/admin/backups/database/"),
        # Of the same session: nothing but who asks, and Django's words for scripts.
        "an empty page": get("/admin/jsi18n/"),
        "/metrics": get("/metrics"),
        "the gate's list": silent(heartbeat_files.write_gates),
        "alerts, each minute": silent(alerts.tend),
        "schedules, every 10 s": silent(right_times.schedules_keep),
        "strange schedules, every 10 s": silent(queue.strange_schedules_remove),
    }


def _back_up() -> None:
    """Have one of the databases look as after a backup."""
    from backups.models import Database
    from tools import many

    many.back_up(secrets.choice(Database.objects.select_related("repository")))


def _change() -> None:
    """Have each table look as if something was written to it, so that nothing kept of it is of use."""
    from backups.models import Mark

    for mark in Mark.objects.all():
        Mark.objects.filter(pk=mark.pk).update(value=secrets.randbits(62))


def _leave() -> None:
    """Nothing happens."""


def _cost(call: Callable[[], int], before: Callable[[], None]) -> Cost:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    call()
    before()
    with CaptureQueriesContext(connection) as queries:
        size = call()
    # Counted at once: the next request clears the record.
    asked = len(queries)
    times = []
    for _ in range(_CALLS):
        before()
        began = time.process_time()
        call()
        times.append(time.process_time() - began)
    return Cost(asked, statistics.median(times), size / 1000)
