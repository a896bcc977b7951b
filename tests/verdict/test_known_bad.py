"""A snapshot of which the newest verification said that it is bad: red everywhere, and refused."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from django.contrib.admin.models import LogEntry
from django.utils import timezone
from pytest_django.fixtures import Settings

from backups import restic
from backups.actions.steps.findings import Findings
from backups.actions.steps.proof import bad_news
from backups.actions.steps.refusing import proves_nothing
from backups.catalog import learned, records
from backups.choices import Action, Health, RestoreMode, Status, Trigger, Verdict
from backups.errors import Problem
from backups.loading.problems import CutOff
from backups.models import Database, Repository, Run, Snapshot
from backups.requests import RestoreRequest, UndoRequest
from backups.runs import lifecycle, restores
from backups.runs.asked import Asker, Wanted
from backups.snapshots import holds, selection
from backups.worker import executor
from sentinel import heartbeat
from tests.actions.tools import back_up, damage, play, verify
from tests.admin.conftest import (
    Login,
    database,
    login,
    person,
    quick_passwords,
    roles,
    status_folder,
    worker_answers,
)
from tests.admin.test_restoring import look_and_start, told, url_of, wish
from tests.backups.conftest import (
    MakeDatabase,
    MakePortal,
    empty_repository,
    make_database,
    make_portal,
    mariadb_shop,
    migrated,
    repository,
)
from tests.backups.worlds import Shop
from tests.restoring.stories import drop_all, failed, make_restorable, restore, succeeded
from tests.servers import DatabaseServer

__all__ = [
    "database", "empty_repository", "login", "make_database", "make_portal", "mariadb_shop", "migrated",
    "person", "quick_passwords", "repository", "roles", "status_folder", "worker_answers",
]  # fmt: skip


def made(database: Database, number: int) -> Snapshot:
    """A backup as the portal remembers it."""
    return Snapshot.objects.create(
        repository=database.repository, database=database, snapshot_id=f"{number:064x}",
        time=timezone.now() - timedelta(hours=10 - number), path=f"/mysql/{database.database}.sql",
    )  # fmt: skip


def found(snapshot: Snapshot, verdict: Verdict, *differences: str) -> Snapshot:
    """The snapshot after a verification of it."""
    assert snapshot.database is not None
    run = lifecycle.run_enqueue(
        Wanted(Action.VERIFY, database=snapshot.database, snapshot=snapshot), Asker(Trigger.CLI), send=False
    )
    records.verification_record(run, snapshot, verdict=verdict, differences=list(differences))
    Run.objects.filter(pk=run.pk).update(status=Status.SUCCEEDED)
    snapshot.refresh_from_db()
    return snapshot


def begin(snapshot: Snapshot, *, known_bad: bool = False) -> Run:
    """A queued restore of it."""
    assert snapshot.database is not None
    assert snapshot.database is not None
    wanted = RestoreRequest(snapshot.database, snapshot, RestoreMode.NEW, "elsewhere", known_bad=known_bad)
    return wanted.submit(Asker(Trigger.CLI), send=False)


# ---------------------------------------------------------------- The newest verdict counts


def test_a_later_failure_takes_verified_back_and_a_later_success_gives_it_again(database: Database) -> None:
    snapshot = found(made(database, 1), Verdict.IDENTICAL)
    assert snapshot.verified_at
    assert not snapshot.is_known_bad

    for bad in (Verdict.DIFFERENT, Verdict.UNREADABLE):
        after = found(snapshot, bad)
        assert after.is_known_bad
        assert after.verified_at is None

    assert found(snapshot, Verdict.IDENTICAL).verified_at
    assert not snapshot.is_known_bad


def test_latest_is_the_newest_that_is_not_known_to_be_bad_and_a_verification_takes_the_newest(
    database: Database,
) -> None:
    good, bad = made(database, 1), made(database, 2)
    found(bad, Verdict.UNREADABLE)

    assert selection.newest(database) == good
    assert selection.newer_known_bad(good) == bad
    assert selection.newest_to_prove(database) == bad

    found(good, Verdict.DIFFERENT)
    assert selection.newest(database) == bad, "there is no other, and a restore of it asks"


def test_retention_keeps_the_newest_that_is_not_known_to_be_bad(database: Database) -> None:
    good, bad = made(database, 1), found(made(database, 2), Verdict.DIFFERENT)

    kept = holds.held(holds.present_of(Snapshot.objects.filter(database=database)), timezone.now())

    assert holds.NEWEST_NOT_BAD in kept[good.snapshot_id]
    assert holds.NEWEST in kept[bad.snapshot_id]


@pytest.mark.parametrize(
    ("problem", "proves"),
    [
        (restic.RepositoryUnreachable("It cannot be reached."), False),
        (restic.RepositoryFull("No space is left for restic's cache."), False),
        (restic.WrongPassword("It opens nothing."), False),
        (restic.AccessDenied("The storage refuses our keys."), False),
        (restic.NotPermitted("Another user made it."), False),
        (restic.OtherRepository("It is another one.", restic.Access("restic", "/srv/other", "p")), False),
        (restic.Killed("restic was killed by signal 9."), False),
        (restic.ResticError("restic failed: open data/12/12ab: permission denied."), False),
        (restic.ResticError("restic failed: ciphertext verification failed."), True),
        (CutOff("The dump is cut."), True),
    ],
)
def test_what_is_nobodys_fault_is_not_held_against_a_snapshot(problem: Problem, proves: bool) -> None:
    assert proves_nothing(problem) is not proves


# ---------------------------------------------------------------- Refused


@pytest.mark.parametrize("bad", [Verdict.DIFFERENT, Verdict.UNREADABLE])
def test_it_is_restored_only_for_who_insists(database: Database, bad: Verdict) -> None:
    good = found(made(database, 1), Verdict.IDENTICAL)
    snapshot = found(made(database, 2), bad, "rows orders differs in the stream")

    with pytest.raises(Problem, match=f"Snapshot {snapshot.short_id} is known to be bad") as refused:
        begin(snapshot)

    sentence = refused.value.sentence()
    assert "rows orders differs in the stream" in sentence
    assert f"The newest verified one is {good.short_id}" in sentence
    assert "--known-bad" in sentence
    assert begin(snapshot, known_bad=True).options == {"known_bad": True}


def test_who_has_to_undo_is_not_asked(database: Database) -> None:
    """An undo takes kept tables and reads no snapshot."""
    first = begin(made(database, 1)).restore
    restores.restore_note(first, swapped_at=timezone.now(), kept_in="before")
    found(first.snapshot, Verdict.DIFFERENT)
    Run.objects.update(status=Status.SUCCEEDED)

    UndoRequest(first).submit(Asker(Trigger.CLI), send=False)


def test_the_portal_shows_it_in_red_and_asks_twice(database: Database, login: Login) -> None:
    snapshot = found(made(database, 1), Verdict.UNREADABLE, "a pack cannot be read")
    client = login("Restorer")
    form = wish(RestoreMode.FILE)

    for url in (
        f"/admin/backups/snapshot/{snapshot.pk}/change/", "/admin/backups/snapshot/", url_of(snapshot),
        f"/admin/backups/database/{database.pk}/restore/",
    ):  # fmt: skip
        page = client.get(url).content.decode()
        assert '<span class="v-label v-danger">Unreadable</span>' in page, url
        assert "nobody has seen it restore" not in page, url
    assert "a pack cannot be read" in told(client.get(url_of(snapshot)))

    assert "Switch this on to go on" in told(client.post(url_of(snapshot), form | {"look": "1"}))
    insists = form | {"known_bad": "on"}
    assert f"Type {snapshot.short_id} to go on" in told(
        client.post(url_of(snapshot), insists | {"look": "1"})
    )
    assert "Nothing was started" in told(look_and_start(client, snapshot, insists))
    assert not LogEntry.objects.exists()


# ---------------------------------------------------------------- The repository


def test_its_repository_is_suspect_until_a_check_of_all_data_is_good(database: Database) -> None:
    repository = database.repository
    learned.check_recorded(repository, error="", all_data=True)
    snapshot = found(made(database, 1), Verdict.UNREADABLE)

    repository.refresh_from_db()
    assert repository.is_suspect
    assert f"found snapshot {snapshot.short_id} unreadable" in repository.check_error
    assert not repository.is_damaged, "nothing is withheld by suspicion alone"

    assert learned.check_recorded(repository, error="", all_data=False) == Health.SUSPECT
    found(snapshot, Verdict.IDENTICAL)
    repository.refresh_from_db()
    assert repository.is_suspect, "that one snapshot reads tells nothing of the others"
    assert learned.check_recorded(repository, error="", all_data=True) == Health.GOOD


def test_what_is_damaged_is_not_called_suspect(database: Database) -> None:
    learned.check_recorded(database.repository, error="pack 12 is damaged", all_data=False)

    found(made(database, 1), Verdict.UNREADABLE)

    database.repository.refresh_from_db()
    assert (database.repository.health, database.repository.check_error) == ("damaged", "pack 12 is damaged")


@pytest.mark.parametrize(
    ("health", "said"),
    [
        (Health.GOOD, "The repository is suspect from now on: a check of 5 % of its data follows"),
        (Health.UNKNOWN, "The repository is suspect from now on"),
        (Health.SUSPECT, "The repository stays suspect: a check of 5 % of its data follows"),
        (Health.DAMAGED, "The repository is known to be damaged. First repair the index"),
    ],
)
def test_a_snapshot_that_cannot_be_read_says_what_is_new_of_its_repository(health: Health, said: str) -> None:
    findings = Findings(unreadable="A pack is damaged.")
    snapshot = Snapshot(snapshot_id="12345678" * 8, repository=Repository(name="main"))

    problem = bad_news(snapshot, findings, health)

    assert said in problem.sentence()


# ---------------------------------------------------------------- With packs that are really corrupted


@pytest.fixture
def shop(mariadb_server: DatabaseServer) -> Iterator[Shop]:
    """One whose user may restore it."""
    shop = make_restorable(mariadb_server)
    yield shop
    drop_all(shop)


def test_from_a_corrupted_pack_to_a_sound_repository(
    shop: Shop, make_database: MakeDatabase, settings: Settings, tmp_path: Path
) -> None:
    database = make_database(shop)
    snapshot = back_up(database)
    assert verify(database).status == "succeeded"
    proved: Path = settings.SENTINEL.heartbeat_path.with_name("last_verified")
    assert heartbeat.stamp_read(proved).time
    packs = {path: path.read_bytes() for path in Path(database.repository.url).rglob("data/*/*")}
    pack = damage(database.repository)
    good = packs[pack]

    run = verify(database)

    assert run.status == "failed"
    snapshot.refresh_from_db()
    database.repository.refresh_from_db()
    assert (snapshot.verdict, snapshot.verified_at) == ("unreadable", None)
    assert database.repository.is_suspect
    assert heartbeat.stamp_read(proved).time is None, "the gate goes by no proof that was taken back"

    # A restore that was asked for before is refused when its turn comes.
    Snapshot.objects.update(verdict="")
    wanted = RestoreRequest(database, snapshot, RestoreMode.FILE, str(tmp_path / "out"))
    waiting = wanted.submit(Asker(Trigger.CLI), send=False)
    Snapshot.objects.update(verdict="unreadable")
    played = executor.execute(waiting.pk)
    assert played is not None
    assert "is known to be bad" in failed(played)

    # Nothing is withheld by suspicion alone.
    assert play(Action.BACKUP, database=database).result["heartbeat"] == "written"

    # What the check says decides: structure shows nothing, and all data shows the pack.
    quick = play(Action.CHECK, repository=database.repository)
    assert quick.status == "succeeded", quick.error
    assert "stays suspect" in quick.result["sentence"]
    assert play(Action.CHECK, repository=database.repository, options={"read_data": True}).status == "failed"
    database.repository.refresh_from_db()
    assert database.repository.is_damaged

    pack.write_bytes(good)
    whole = play(Action.CHECK, repository=database.repository, options={"read_data": True})
    assert whole.status == "succeeded", whole.error
    database.repository.refresh_from_db()
    assert database.repository.health == Health.GOOD
    assert verify(database, snapshot).status == "succeeded"
    snapshot.refresh_from_db()
    assert not snapshot.is_known_bad
    succeeded(restore(database, RestoreMode.NEW, snapshot=snapshot, target=f"{shop.name}_new"))


def test_a_bad_verification_is_followed_by_a_check_of_five_percent(
    shop: Shop, make_database: MakeDatabase
) -> None:
    database = make_database(shop)
    back_up(database)
    damage(database.repository)
    run = lifecycle.run_enqueue(Wanted(Action.VERIFY, database=database), Asker(Trigger.CLI), send=False)

    executor.execute(run.pk)

    check = Run.objects.get(action=Action.CHECK)
    assert (check.parent_id, check.trigger, check.status) == (run.pk, "verify", "queued")
    assert check.options == {"read_data_subset": "5%"}


@pytest.mark.soak
def test_on_the_command_line_it_takes_a_flag_that_the_sentence_names(
    mariadb_shop: Shop, make_portal: MakePortal, tmp_path: Path
) -> None:
    portal = make_portal(mariadb_shop)
    good, bad = (portal.backup().json["snapshot_id"] for _ in range(2))
    portal.shell(
        "from backups.models import *;"
        f"Snapshot.objects.filter(snapshot_id={bad!r}).update(verdict='different')"
    )
    to_file = ("--output", str(tmp_path / "out"), "--json")

    latest = portal.manage("restore", "--snapshot", "latest", *to_file)
    assert (latest.json["snapshot_id"], latest.json["newer_bad_snapshot"]) == (good, bad)
    assert f"Snapshot {bad[:8]} of" in latest.err

    refused = portal.manage("restore", "--snapshot", bad, *to_file)
    assert refused.code == 1
    assert f"Snapshot {bad[:8]} is known to be bad" in refused.json["error"]
    assert "Nothing was started and nothing was touched." in refused.json["error"]
    assert "--known-bad" in refused.json["error"]
    for way in ("--replace", "--in-place"):
        assert portal.manage("restore", "--snapshot", bad, way, "--yes", "--json").code == 1

    insisted = portal.manage("restore", "--snapshot", bad, "--known-bad", *to_file)
    assert (insisted.code, insisted.json["snapshot_id"]) == (0, bad)
    listed = portal.manage("snapshots", "--json").json["snapshots"]
    assert {each["snapshot_id"]: each["verdict"] for each in listed} == {good: "", bad: "different"}
    told = portal.manage("status", "--json")
    assert (told.code, told.json["verdict"]) == (1, "bad")
    assert "known_bad" in [each["key"] for each in told.json["findings"]]
