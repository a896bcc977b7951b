"""A restore has a worker of its own: it does not wait behind a backup."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from backups.choices import Trigger
from backups.errors import Problem
from backups.management import elsewhere
from backups.models import Database, Repository, Run
from backups.requests import Asker, BackupRequest
from backups.runs import lifecycle, queue
from tests.backups.worlds import Portal, wait_until
from tests.rows import a_server


# tests/runs/test_turns.py has which runs begin beside which, tests/run/test_left_to_worker.py both clusters.
@pytest.mark.soak
def test_restore_starts_while_a_backup_runs(mariadb_portal: Portal) -> None:
    portal = mariadb_portal
    assert portal.backup().code == 0
    portal.shop.server.execute("DROP DATABASE IF EXISTS beside_a_backup")
    with portal.worker():
        with portal.shop.held("orders"):
            backup = int(portal.shell(QUEUE_A_BACKUP))
            portal.shop.wait_for_a_waiting_dump()
            restore = int(portal.shell(QUEUE_A_RESTORE))
            wait_until(lambda: portal.run(restore)["started_at"] is not None, "the restore to start", 20)
            assert portal.run(backup)["status"] == "running"
        wait_until(lambda: portal.run(backup)["status"] == "succeeded", "the backup", 60)


QUEUE_A_BACKUP = (
    "from backups.models import Database; from backups.requests import Asker, BackupRequest;"
    "from backups.choices import Trigger;"
    "print(BackupRequest(Database.objects.get()).submit(Asker(Trigger.ADMIN)).pk)"
)
QUEUE_A_RESTORE = (
    "from backups.models import Database; from backups.requests import Asker, RestoreRequest;"
    "from backups.choices import RestoreMode, Trigger;"
    "d = Database.objects.get();"
    "wanted = RestoreRequest(d, d.snapshots.first(), RestoreMode.NEW, 'beside_a_backup');"
    "print(wanted.submit(Asker(Trigger.ADMIN)).pk)"
)


def test_a_commands_run_is_the_queues_where_its_row_says_so(db: None, a_database: Database) -> None:
    """A queued row of before 1.0 says nothing, and is of a command that died: nobody expects it any more."""
    left = BackupRequest(a_database).submit(Asker(Trigger.CLI))
    assert [run.pk for run in queue.in_turn(prompt=False)] == [left.pk]
    tomorrow = timezone.now() + timedelta(days=1)
    lifecycle.runs_reap(is_gone=lambda _: False, now=tomorrow)
    assert Run.objects.get(pk=left.pk).status == "queued"

    Run.objects.filter(pk=left.pk).update(request=None)
    assert list(queue.in_turn(prompt=False)) == []
    lifecycle.runs_reap(is_gone=lambda _: False, now=tomorrow)
    assert Run.objects.get(pk=left.pk).status == "cancelled"


def test_a_command_plays_its_own_run_itself(db: None, a_database: Database) -> None:
    BackupRequest(a_database).submit(Asker(Trigger.CLI), send=False)

    assert list(queue.in_turn(prompt=False)) == []


def test_what_nothing_is_heard_of_is_not_followed_for_ever(
    db: None, a_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(elsewhere, "BEAT_LOST", timedelta(seconds=1))
    run = BackupRequest(a_database).submit(Asker(Trigger.CLI))
    lifecycle.run_claim(run.pk, worker="a worker that was killed")
    said: list[str] = []
    follower = elsewhere.Follower(
        run, Problem("It is not here."), lambda state, lines: said.extend([state.phase, *lines])
    )

    with pytest.raises(Problem) as told:
        follower.to_its_end()

    assert told.value.code == "run.not_heard_of"
    assert "This does not stop the run." in told.value.sentence()
    assert Run.objects.get(pk=run.pk).status == "running"


@pytest.fixture
def a_database(db: None) -> Database:
    """A row alone."""
    repository = Repository.objects.create(name="main", url="/nowhere")
    return Database.objects.create(
        name="shop", server=a_server("127.0.0.1"), database="shop", repository=repository, is_primary=True
    )
