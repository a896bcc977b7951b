"""What a portal of very many databases asks of its own database: as much as one of a single one."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django.fixtures import Settings

from backups.alerting import alerts
from backups.gate import heartbeat_files
from backups.models import Run, Snapshot
from backups.scheduling import schedules
from backups.worker import queue
from sentinel import heartbeat
from tools import many

TOKEN = "only Prometheus knows it"
COUNT = 2000 if "VEDETTA_SOAK" in os.environ else 200
# What is sent of the first page while anything runs, every two seconds: in bytes.
MOST_SENT = 400_000


@pytest.fixture
def client(db: None, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Client:
    """Who may see everything, in a portal whose secrets can be read."""
    settings.METRICS_TOKEN = TOKEN
    settings.SENTINEL = replace(settings.SENTINEL, heartbeat_path=tmp_path / "last_ok")
    for name in ("MYSQL_PASSWORD", "RESTIC_PASSWORD"):
        monkeypatch.setenv(name, "any")
    client = Client()
    user = User.objects.create_superuser("root")
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def queries(work: Callable[[], object]) -> int:
    """How many it takes once all is looked up that is looked up once."""
    work()
    with CaptureQueriesContext(connection) as captured:
        work()
    return len(captured)


@pytest.mark.larger
def test_very_many_databases_take_as_many_queries_as_one(client: Client, settings: Settings) -> None:
    def page(address: str) -> Callable[[], None]:
        def get() -> None:
            answer = client.get(address, headers={"Authorization": f"Bearer {TOKEN}"})
            assert answer.status_code == 200
            sizes[address] = len(answer.content)

        return get

    sizes: dict[str, int] = {}
    subjects: dict[str, Callable[[], object]] = {
        "first page": page("/admin/"),
        "its live part": page("/admin/live/"),
        "metrics": page("/metrics"),
        "the gate's list": heartbeat_files.write_gates,
        "alerts": alerts.tend,
        "schedules": schedules.schedules_keep,
        "strange schedules": queue.strange_schedules_remove,
    }
    with transaction.atomic():
        many.make(1, days=1)
        one = {name: queries(work) for name, work in subjects.items()}
        transaction.set_rollback(True)

    many.make(COUNT, days=1)

    assert {name: queries(work) for name, work in subjects.items()} == one
    assert sizes["/admin/"] < MOST_SENT
    assert sizes["/admin/live/"] < MOST_SENT
    assert len(heartbeat.gates_read(settings.SENTINEL.heartbeat_path)) == COUNT


def test_what_needs_a_look_comes_first_where_not_all_have_room(client: Client) -> None:
    databases = many.make(50, days=1)
    bad = databases[40]
    Run.objects.filter(database=bad).delete()
    Snapshot.objects.filter(database=bad).update(forgotten_at=timezone.now())

    def shown(page: str) -> list[str]:
        sent = client.get("/admin/live/", query_params={"page": page}).json()["html"]
        return re.findall(r'class="v-big" href="[^"]*">(\w+)<', sent)

    pages = [shown(str(number)) for number in (1, 2, 3)]

    assert [len(names) for names in pages] == [20, 20, 10]
    assert pages[0][0] == bad.name
    assert sorted(name for names in pages for name in names) == [each.name for each in databases]
    assert shown("no number") == pages[0]
    text = client.get("/admin/", query_params={"page": "2"}).content.decode()
    assert 'data-live="/admin/live/?page=2"' in text
    assert 'rel="next" href="/admin/?page=3"' in text
    assert text.count("v-swatch") == 20
