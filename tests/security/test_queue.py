"""Who can write in the portal's database gets no code run: not by a schedule, a message or a kept result."""

from __future__ import annotations

import os
import pickle
from base64 import b64encode
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.urls import URLResolver
from django.utils import timezone
from django_q.models import OrmQ, Schedule
from django_q.scheduler import scheduler
from django_q.signing import SignedPackage
from django_q.tasks import async_task
from picklefield.fields import _ObjectWrapper

from backups import tasks
from backups.alerting import alerts
from backups.models import Alert, Database, Repository
from backups.reports import standing
from backups.runs import lifecycle
from backups.runs.queue import _EXECUTE
from backups.scheduling import right_times, schedules
from backups.worker import queue
from tests.rows import a_server

OURS = "backups.tasks.backup_due"
LONG_AGO = timedelta(hours=1)


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    """What is there if somebody else's code ran."""
    return tmp_path / "mark"


@pytest.fixture
def database(db: None) -> Database:
    repository = Repository.objects.create(name="main", url="/nowhere")
    database = Database.objects.create(
        name="shop", server=a_server("h"), database="shop", repository=repository
    )
    schedules.schedules_sync()
    Schedule.objects.update(next_run=timezone.now() + LONG_AGO)
    return database


# ---------------------------------------------------------------- Schedules

STRANGE = {
    "another function": {"func": "os.system", "args": "('touch {mark}',)"},
    "played at once": {
        "func": "os.system", "args": "('touch {mark}',)", "kwargs": "{{'q_options': {{'sync': True}}}}",
    },
    "a hook": {"func": OURS, "args": "(1,)", "hook": "os.system"},
    "a chain": {
        "func": OURS, "args": "(1,)",
        "kwargs": "{{'q_options': {{'chain': [('os.system', ('touch {mark}',))]}}}}",
    },
    "other arguments": {"func": OURS, "args": "('touch {mark}',)"},
    "too many": {"func": OURS, "args": "(1, 2)"},
    "none": {"func": OURS},
    "digits of another script": {"func": OURS, "args": "(\u0661,)"},
    "arguments of a function that takes none": {"func": "backups.tasks.tend_runs", "args": "(1,)"},
    "what stops the look at all schedules": {"func": OURS, "args": "(1"},
    "another worker": {"func": OURS, "args": "(1,)", "cluster": "elsewhere"},
    "a rhythm that is none": {"func": OURS, "args": "(1,)", "cron": "* * *", "schedule_type": "C"},
}  # fmt: skip


@pytest.mark.parametrize("kind", STRANGE)
def test_a_strange_schedule_is_never_played_and_goes(
    database: Database, mark: Path, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    row = {"schedule_type": Schedule.MINUTES, "minutes": 1} | {
        name: value.format(mark=mark) if isinstance(value, str) else value
        for name, value in STRANGE[kind].items()
    }
    strange = Schedule.objects.create(name="theirs", func=OURS, next_run=timezone.now() - LONG_AGO)
    # Past what django-q2 itself would look at.
    Schedule.objects.filter(pk=strange.pk).update(**row)

    scheduler()  # django-q2's own look, should it come first
    assert not mark.exists()
    for message in OrmQ.objects.all():
        assert set(message.task) <= {"id", "name", "func", "args", "kwargs", "group", "cluster", "started",
                                     "ack_failure"}  # fmt: skip
        assert message.task["func"] in (OURS, "backups.tasks.tend_runs")
    queue.strange_schedules_remove()

    assert not Schedule.objects.filter(pk=strange.pk).exists()
    assert f"Schedule {strange.pk} of the queue was removed: " in caplog.text
    assert Alert.objects.get(subject="Orders in the queue").state == "suspicious"


def test_our_schedules_stay_and_one_that_was_changed_is_put_back(database: Database) -> None:
    known = set(Schedule.objects.values_list("name", "func", "args", "cron", "next_run"))
    queue.strange_schedules_remove()
    assert set(Schedule.objects.values_list("name", "func", "args", "cron", "next_run")) == known
    assert not Alert.objects.exists()

    changed = Schedule.objects.filter(name=schedules.name_of("backup", database.pk))
    changed.update(func="os.system", args="('true',)")
    queue.strange_schedules_remove()

    assert changed.get().func == OURS
    assert changed.get().args == f"({database.pk},)"


def test_a_schedule_that_cannot_be_read_goes_and_stops_nothing(database: Database) -> None:
    """SQLite keeps any text in any column."""
    for column in ("next_run", "minutes", "func"):
        strange = Schedule.objects.create(name="vedetta theirs", func=OURS, args="(1,)", schedule_type="I")
        # Looked at before, while nothing was wrong with it.
        queue.strange_schedules_remove()
        assert Schedule.objects.filter(pk=strange.pk).exists()
        with connection.cursor() as cursor:
            cursor.execute(f"UPDATE django_q_schedule SET {column} = 'x' WHERE id = %s", [strange.pk])
        queue.strange_schedules_remove()
        right_times.schedules_keep()
        assert strange.pk not in set(Schedule.objects.values_list("pk", flat=True)), column


def test_the_first_page_tells_of_it_for_a_day(database: Database) -> None:
    theirs = Schedule.objects.create(name="theirs", func="os.system")
    strange = theirs.pk
    queue.strange_schedules_remove()
    now = timezone.now()

    (found,) = [each for each in standing.read(now).overall.findings if each.key == "strange_order"]
    assert found.sentence.startswith(f"Schedule {strange} of the queue was removed: it names 'os.system'. ")
    assert "DATABASE_URL" in found.sentence
    alerts.tend(now + timedelta(hours=25))
    assert "strange_order" not in [each.key for each in standing.read(now).overall.findings]


# ---------------------------------------------------------------- Messages


def order(**parts: Any) -> dict[str, Any]:
    return {
        "id": "1" * 32, "name": "one", "func": OURS, "args": (1,), "kwargs": {}, "started": timezone.now(),
        **parts,
    }  # fmt: skip


# Signed by a version that looked at none of them.
STRANGE_MESSAGES = {
    "another function": order(func="os.system", args=("true",)),
    "a function itself": order(func=os.getpid, args=()),
    "a chain": order(chain=[("os.system", ("true",))]),
    "a hook": order(hook="os.system"),
    "a result for the cache": order(cached=True),
    "a text for an id": order(args=("1",)),
    "a truth for an id": order(args=(True,)),
    "arguments by name": order(kwargs={"database_id": 1}),
    "a number": 7,
    "nothing": {},
}


@pytest.mark.parametrize("kind", STRANGE_MESSAGES)
def test_a_strange_message_goes_before_a_worker_takes_it(
    db: None, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    broker = queue.OwnOrders()
    for what in (STRANGE_MESSAGES[kind], order()):
        OrmQ.objects.create(key="vedetta", payload=SignedPackage.dumps(what), lock=timezone.now() - LONG_AGO)

    taken = [*broker.dequeue(), *broker.dequeue()]

    assert [SignedPackage.loads(payload)["func"] for _, payload in taken] == [OURS]
    assert OrmQ.objects.count() == 1
    assert "was removed before a worker took it: it " in caplog.text
    assert Alert.objects.get().is_pending  # for a process that knows an address
    assert Alert.objects.get().state == "suspicious"


def test_what_we_send_ourselves_is_refused_as_well_if_it_is_strange(db: None, mark: Path) -> None:
    async_task("os.system", f"touch {mark}", sync=True)

    assert not OrmQ.objects.exists()
    assert not mark.exists()


def test_a_message_signed_with_the_key_before_is_played(db: None, settings: Any) -> None:
    payload = SignedPackage.dumps(order())
    OrmQ.objects.create(key="vedetta", payload=payload, lock=timezone.now() - LONG_AGO)
    from django_q.conf import Conf

    old, Conf.SECRET_KEY = Conf.SECRET_KEY, "the new one, long enough to be taken for one"
    try:
        settings.SECRET_KEY_FALLBACKS = [old]
        ((_, again),) = queue.OwnOrders().dequeue()
        assert SignedPackage.loads(again)["func"] == OURS
    finally:
        Conf.SECRET_KEY = old


def test_every_function_that_the_queue_plays_is_known_to_it(database: Database) -> None:
    """A new one that nobody lists would be removed, and never run."""
    queue.strange_schedules_remove()
    assert not Alert.objects.exists()
    wanted = {each.func for each in schedules.wanted()} | {_EXECUTE}
    assert wanted == set(queue._PLAYED)


# ---------------------------------------------------------------- Tasks


def test_a_task_raises_nothing_and_what_it_could_not_queue_is_told(
    database: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def breaks(*_: Any, **__: Any) -> None:
        raise OSError("the disk is full")

    with monkeypatch.context() as broken:
        broken.setattr(lifecycle, "run_enqueue", breaks)
        tasks.backup_due(database.pk)
    assert "the disk is full" in caplog.text
    told = Alert.objects.get(subject="Schedule: Backup of shop")
    assert told.state == "failed"
    assert "could not be queued (OSError)" in told.text

    tasks.backup_due(database.pk)
    told.refresh_from_db()
    assert told.state == "good"
    tasks.verify_due(4711)  # deleted since: nothing to be told
    assert Alert.objects.count() == 1


class Touches:
    """What writes a file when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return open, (str(self.mark), "w")


INSERT = (
    "INSERT INTO django_q_task (id, name, func, args, kwargs, result, started, stopped, success,"
    " attempt_count)"
    " VALUES (%s, %s, 'backups.tasks.run_execute', %s, %s, %s, '2026-01-01', '2026-01-01', %s, 1)"
)


def pickled(mark: Path) -> str:
    """As django-q2 keeps a task's values."""
    return b64encode(pickle.dumps(_ObjectWrapper(Touches(mark)), protocol=2)).decode()


def test_django_q_has_no_pages_but_our_list_of_schedules() -> None:
    from django.contrib import admin
    from django.urls import get_resolver

    assert isinstance(get_resolver(), URLResolver)
    shown = [model.__name__ for model in admin.site._registry if model._meta.app_label == "django_q"]
    assert shown == ["Schedule"]
