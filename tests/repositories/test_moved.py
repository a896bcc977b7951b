"""A database that was given another repository: what lies in the one before is good as ever."""

from __future__ import annotations

from pathlib import Path

import pytest

from backups.choices import Action, RestoreMode
from backups.models import Database, Repository, Snapshot
from backups.snapshots import holds
from tests.actions.tools import back_up, play, restic, sync, verdict, verify
from tests.backups.conftest import MakeDatabase
from tests.backups.worlds import Shop, copy_repository
from tests.restoring.stories import restore, succeeded


@pytest.fixture
def elsewhere(repository: Repository, empty_repository: Path, tmp_path: Path) -> Repository:
    """Another repository."""
    return Repository.objects.create(
        name="elsewhere", url=copy_repository(empty_repository, tmp_path / "elsewhere"), check_interval=0
    )


@pytest.fixture
def moved(restorable_shop: Shop, make_database: MakeDatabase, elsewhere: Repository) -> Database:
    """A database with a snapshot, which goes elsewhere from now on."""
    database = make_database(restorable_shop)
    back_up(database)
    Database.objects.update(repository=elsewhere)
    database.refresh_from_db()
    return database


# Below, one is restored from where it lies.
@pytest.mark.soak
def test_a_snapshot_is_verified_where_it_lies(moved: Database) -> None:
    before = Snapshot.objects.get()

    chosen, newest = verify(moved, before), verify(moved)

    for run in (chosen, newest):
        assert verdict(run).verdict == "identical"
        assert (run.snapshot, run.repository) == (before, before.repository)


def test_a_snapshot_is_restored_from_where_it_lies_and_saved_before_is_where_backups_go(
    moved: Database, elsewhere: Repository
) -> None:
    before = Snapshot.objects.get()

    run = succeeded(restore(moved, RestoreMode.REPLACE, snapshot=before))

    assert run.repository == before.repository
    saved = run.restore.safety_snapshot
    assert saved is not None
    assert saved.made_by is not None
    assert (saved.repository, saved.made_by.repository) == (elsewhere, elsewhere)
    sync(elsewhere)
    saved.refresh_from_db()
    assert saved.forgotten_at is None


def test_retention_forgets_nothing_in_the_one_before_and_protects_the_newest_of_this(
    moved: Database, elsewhere: Repository
) -> None:
    before = Snapshot.objects.get()
    assert verify(moved, before).status == "succeeded"
    newest = [back_up(moved), back_up(moved)][-1]
    Database.objects.update(keep_daily=0, keep_weekly=0, keep_monthly=0)
    moved.refresh_from_db()

    run = play(Action.FORGET, database=moved)

    assert run.status == "succeeded", run.error
    assert restic(elsewhere, "snapshots", "--json").count(b'"short_id"') == 1
    newest.refresh_from_db()
    assert newest.kept_because == [holds.NEWEST]
    before.refresh_from_db()
    assert before.forgotten_at is None
