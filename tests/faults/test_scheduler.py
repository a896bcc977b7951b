"""The queue under bad conditions, with real workers: each run is played once, and none is lost unsaid."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.backups.conftest import MakePortal
from tests.backups.worlds import PROJECT, Portal, Shop, wait_until
from tests.security.test_queue import INSERT, pickled
from tests.servers import Server
from tests.servers.commands import CommandServer

ENQUEUE = (
    "from backups.requests import FORMS, Asker; from backups.models import Database;"
    "print(FORMS['{action}'](Database.objects.get()).submit(Asker('admin')).pk)"
)
# As if the queue had had them for so long.
OLD = "from backups.models import Run; from django.db.models import F; from datetime import timedelta;"
TEND_NOW = (
    "from django_q.models import Schedule;"
    "tending = Schedule.objects.filter(func='backups.tasks.tend_runs');"
    "tending.update(next_run=F('next_run') - timedelta(minutes=2))"
)
A_NIGHT_LATER = OLD + "Run.objects.update(queued_at=F('queued_at') - timedelta(days=2));"
DONE = ("succeeded", "failed", "cancelled", "lost")


@pytest.fixture
def portal(mariadb_shop: Shop, make_portal: MakePortal) -> Portal:
    """A portal where the server's flavour does not matter."""
    return make_portal(mariadb_shop)


@contextlib.contextmanager
def worker(portal: Portal, name: str, **environment: str) -> Iterator[Server]:
    """A `manage.py worker` of its own, of which there may be several."""
    log = portal.folder / f"{name}.log"
    server = CommandServer(
        [sys.executable, "manage.py", "worker"],
        log=log,
        cwd=PROJECT,
        env={**portal.environment, **environment},
        ready=lambda: "The worker is ready." in log.read_text(),
        stop_seconds=20,
    )
    with server:
        yield server


def enqueue(portal: Portal, action: str = "backup") -> int:
    return int(portal.shell(ENQUEUE.format(action=action)))


def is_over(portal: Portal, run: int) -> bool:
    return portal.run(run)["status"] in DONE


def backups(portal: Portal, trigger: str = "schedule") -> list[dict[str, Any]]:
    return portal.rows("SELECT * FROM backups_run WHERE action = 'backup' AND trigger = ?", trigger)


def test_worker_down_across_several_scheduled_times_backs_up_once(portal: Portal) -> None:
    portal.shell(
        "from django_q.models import Schedule; from django.utils import timezone;"
        "from datetime import timedelta;"
        "Schedule.objects.filter(func='backups.tasks.backup_due')"
        ".update(next_run=timezone.now() - timedelta(days=3))"
    )

    with portal.worker():
        wait_until(lambda: backups(portal), "the schedule to be caught up with", 90)
        (run,) = backups(portal)
        wait_until(lambda: is_over(portal, int(str(run["id"]))), "the backup")
        # What follows is left to the night, which the worker has by itself.
        assert not portal.rows("SELECT 1 FROM backups_run WHERE parent_id IS NOT NULL")
    portal.shell(A_NIGHT_LATER + TEND_NOW)
    # One that begins looks at once, another one twice a minute.
    with portal.worker():
        forget = "SELECT 1 FROM backups_run WHERE action = 'forget' AND status = 'succeeded'"
        wait_until(lambda: portal.rows(forget), "the night's maintenance", 90)
        # One of each minute is due for the moment in which the worker comes to it.
        late = "SELECT 1 FROM django_q_schedule WHERE next_run < datetime('now')"
        wait_until(lambda: not portal.rows(late), "the schedules to lie ahead")

    assert [run["status"] for run in backups(portal)] == ["succeeded"]
    assert len(portal.snapshots()) == 1


# tests/faults/test_two_workers.py has two workers, and a message that is sent again and again.
@pytest.mark.soak
def test_two_workers_and_doubled_messages_play_each_run_once(portal: Portal) -> None:
    """Backups of several databases, each message sent three times over.

    Half of them lie at the server's socket: at one address only one is backed up at a time.
    """
    portal.shell(
        "from backups.models import Database\n"
        "first = Database.objects.get()\n"
        "from django.forms.models import model_to_dict\n"
        "from backups.models import Server\n"
        "at_address = first.server\n"
        "fields = model_to_dict(at_address, exclude=['id', 'name', 'host'])\n"
        f"socket = {str(portal.shop.server.socket)!r}\n"
        "at_socket = Server.objects.create(name='socket', host=socket, **fields)\n"
        "for number in range(5):\n"
        "    first.pk, first.name, first.is_primary = None, f'copy{number}', False\n"
        "    first.server = (at_socket if number % 2 == 0 else at_address)\n"
        "    first.save()\n"
        "from backups.requests import Asker, BackupRequest\n"
        "for database in Database.objects.all():\n"
        "    BackupRequest(database).submit(Asker('admin'))\n"
        "from django_q.models import OrmQ\n"
        "for row in list(OrmQ.objects.all()) * 2:\n"
        "    row.pk = None\n"
        "    row.save()\n"
    )
    assert portal.rows("SELECT COUNT(*) AS n FROM django_q_ormq")[0]["n"] == 18

    with worker(portal, "one", RUNS_AT_ONCE="1"), worker(portal, "two", RUNS_AT_ONCE="1"):
        wait_until(lambda: not portal.rows("SELECT 1 FROM django_q_ormq"), "the queue to be empty", 120)
        wait_until(
            lambda: all(run["status"] == "succeeded" for run in backups(portal, "admin")), "the backups", 60
        )
        runs = backups(portal, "admin")

    assert len(runs) == 6
    assert len({run["worker"] for run in runs}) == 2, "one of the workers did nothing"
    made = portal.rows("SELECT made_by_id FROM backups_snapshot")
    assert sorted(row["made_by_id"] for row in made) == sorted(run["id"] for run in runs)
    assert len(portal.snapshots()) == 6


UNREADABLE = {
    # Signed well, of a class that is no more.
    "of a class that is gone": (
        "import sys, types; from django_q.signing import SignedPackage;"
        "module = types.ModuleType('gone'); sys.modules['gone'] = module;"
        "Gone = type('Gone', (), {'__module__': 'gone'}); module.Gone = Gone;"
        "payload = SignedPackage.dumps(Gone());"
    ),
    "of a number": "from django_q.signing import SignedPackage; payload = SignedPackage.dumps(7);",
    "of noise": "payload = 'noise';",
}


@pytest.mark.parametrize(
    "kind",
    [
        each if each == "of a class that is gone" else pytest.param(each, marks=pytest.mark.soak)
        for each in UNREADABLE
    ],
)
def test_message_that_cannot_be_unpacked_does_not_block_the_others(kind: str, portal: Portal) -> None:
    portal.shell(
        UNREADABLE[kind] + "from django_q.models import OrmQ; from django.utils import timezone;"
        "OrmQ.objects.create(key='vedetta', payload=payload, lock=timezone.now())"
    )
    run = enqueue(portal)

    with worker(portal, "worker") as server:
        wait_until(lambda: is_over(portal, run), "the run behind it", 60)
        wait_until(lambda: not portal.rows("SELECT 1 FROM django_q_ormq"), "the message to be removed", 90)
        assert server.running

    assert portal.run(run)["status"] == "succeeded"


@pytest.mark.soak
def test_runs_queued_under_another_secret_key_are_done_all_the_same(portal: Portal) -> None:
    run = enqueue(portal)
    assert len(portal.rows("SELECT 1 FROM django_q_ormq")) == 1

    with worker(portal, "worker", SECRET_KEY="another one than what the run was queued under"):
        wait_until(lambda: is_over(portal, run), "the run", 60)

    assert portal.run(run)["status"] == "succeeded"
    assert len(portal.snapshots()) == 1


# Above, a message that is not understood; tests/runs/test_turns.py has a worker that goes by the rows.
@pytest.mark.soak
def test_portal_and_worker_with_different_secret_keys_get_on(portal: Portal) -> None:
    """A mistake in one of two files: no message is understood, and the rows say what there is to do."""
    with worker(portal, "worker", SECRET_KEY="another one than what the portal has got"):
        run = enqueue(portal)
        wait_until(lambda: not portal.rows("SELECT 1 FROM django_q_ormq"), "the message to be taken", 30)
        wait_until(lambda: is_over(portal, run), "the run", 60)

    assert portal.run(run)["status"] == "succeeded"


WRITTEN = """
from datetime import timedelta
from django.db import connection
from django.utils import timezone
from django_q.models import OrmQ, Schedule
from django_q.signing import SignedPackage
value = {value!r}
with connection.cursor() as cursor:
    cursor.execute({insert!r}, ["7" * 32, "seven", value, value, value, False])
before = timezone.now() - timedelta(hours=1)
Schedule.objects.create(name="theirs", func="os.system", args="('touch {mark}',)", next_run=before,
                        schedule_type="I", minutes=1)
Schedule.objects.create(name="at once", func="os.system", args="('touch {mark}',)", next_run=before,
                        kwargs="{{'q_options': {{'sync': True}}}}", schedule_type="I", minutes=1)
# As an older version would have signed it; and one of ours that fails, of which a row is kept already.
for func, args in (("os.system", ("touch {mark}",)), ("backups.tasks.run_execute", (2**60,))):
    payload = SignedPackage.dumps(dict(id="7" * 32, name="seven", func=func, args=args, kwargs={{}},
                                       started=timezone.now()))
    OrmQ.objects.create(key="vedetta", payload=payload, lock=before)
"""


@pytest.mark.soak
def test_a_worker_plays_nothing_of_it_and_goes_on(portal: Portal, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    portal.shell(
        "from backups.models import Database; from backups.scheduling.schedules import schedules_sync;"
        "Database.objects.update(backup_cron='* * * * *'); schedules_sync()"
    )
    portal.shell(WRITTEN.format(value=pickled(mark), insert=INSERT, mark=mark))
    succeeded = "SELECT 1 FROM backups_run WHERE trigger = 'schedule' AND status = 'succeeded'"

    with portal.worker(), portal.served():
        wait_until(lambda: portal.rows(succeeded), "a scheduled backup", 120)
        wait_until(lambda: not portal.rows("SELECT 1 FROM django_q_ormq"), "the messages to go", 90)

    assert not mark.exists()
    assert not portal.rows("SELECT 1 FROM django_q_schedule WHERE func = 'os.system'")
    assert portal.rows("SELECT 1 FROM backups_alert WHERE state = 'suspicious'")
    assert len(portal.rows("SELECT id FROM django_q_task")) == 1  # theirs
