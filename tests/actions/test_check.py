"""A damaged repository is noticed, withholds heartbeats, and can be made good again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pytest_django.fixtures import Settings

from backups.actions import check
from backups.choices import Action
from backups.models import Database, Repository, Run
from backups.reports import standing
from backups.snapshots import selection
from sentinel import heartbeat
from tests.actions.tools import back_up, damage, log_of, play, verdict, verify
from tests.backups.conftest import MakePortal
from tests.backups.worlds import Shop
from tests.repositories.conftest import database, least_shop

__all__ = ["database", "least_shop"]


def checked(database: Database, **options: object) -> Run:
    return play(Action.CHECK, repository=database.repository, options=options)


def health(repository: Repository) -> str:
    repository.refresh_from_db()
    return repository.health


@contextmanager
def away(repository: Repository) -> Iterator[None]:
    """Nothing is where the repository lies, for the length of a block."""
    folder = Path(repository.url)
    elsewhere = folder.rename(folder.with_name("away"))
    yield
    elsewhere.rename(folder)


def written(settings: Settings) -> bool:
    """Whether a heartbeat is there; takes it away."""
    path: Path = settings.SENTINEL.heartbeat_path
    there = heartbeat.stamp_read(path).time is not None
    path.unlink(missing_ok=True)
    return there


# Below, one is good in the end, and another at first.
@pytest.mark.soak
def test_good_repository(database: Database) -> None:
    back_up(database)

    run = checked(database, read_data=True)

    assert run.status == "succeeded", run.error
    assert run.result["sentence"] == "No errors found (structure and all data)."
    assert health(database.repository) == "good"
    assert database.repository.checked_at is not None


def test_what_was_found_is_told_with_why() -> None:
    """As restic 0.19 says it of a damaged tree, over two lines."""
    of, why = (
        "error for tree 8069bca1:",
        "decrypting blob <tree/8069bca1> failed: ciphertext verification failed",
    )

    assert check._first_found(["", of, why, "pack 193cec3f contains 3 errors"]) == f"{of} {why}"
    assert check._first_found([why, "pack 193cec3f contains 3 errors"]) == why
    assert check._first_found([of]) == of
    assert check._first_found([]) == ""


def test_from_a_flipped_byte_to_heartbeats_again(database: Database, settings: Settings) -> None:
    back_up(database)
    assert written(settings)
    pack = damage(database.repository)
    damaged_size = pack.stat().st_size

    # Structure alone does not show it, the data does.
    assert checked(database).status == "succeeded"
    bad = checked(database, read_data=True)

    assert bad.status == "failed"
    assert "is damaged" in bad.error
    assert "no heartbeat is written until a check of all data is good" in bad.error
    assert "repair-index" in bad.error
    assert bad.result["broken_packs"] == [pack.name]
    assert health(database.repository) == "damaged"
    assert database.repository.check_error
    assert verdict(verify(database)).verdict == "unreadable"

    withheld = play(Action.BACKUP, database=database)

    assert withheld.status == "succeeded", withheld.error
    assert withheld.result["heartbeat"] == "withheld"
    assert "The heartbeat is withheld" in log_of(withheld)
    assert not written(settings)

    # Neither a check that cannot be made nor one that reads too little takes back what was found.
    with away(database.repository):
        assert checked(database).status == "failed"
    less = checked(database)
    assert less.status == "failed"
    assert less.error.startswith(
        "This check found no damage (structure). But an earlier check found main damaged"
    )
    assert "Only a check of all data can tell that it is mended" in less.error
    assert "`repository check --read-data`" in less.error
    assert health(database.repository) == "damaged"
    assert database.repository.check_error

    # Packs that were repaired are not there to be repaired again.
    for action in (Action.REPAIR_INDEX, Action.REPAIR_INDEX, Action.REPAIR_SNAPSHOTS):
        repair = play(action, repository=database.repository)
        assert repair.status == "succeeded", f"{repair.error}\n{log_of(repair)}"
    repaired = database.snapshots.filter(forgotten_at=None, verdict="unreadable")
    assert repaired, "restic made them of what is left of the damaged ones"
    assert "a repair made it from a damaged one" in selection.known_bad_words(repaired[0])
    (kept,) = Path(settings.RESTIC_CACHE_DIR).glob(f"damaged-packs/*/pack-{pack.name}")
    assert kept.stat().st_size == damaged_size
    assert health(database.repository) == "damaged"
    back_up(database)
    assert not written(settings)

    assert checked(database).status == "failed"
    assert health(database.repository) == "damaged"
    good = checked(database, read_data_subset="100%")

    assert good.status == "succeeded", f"{good.error}\n{log_of(good)}"
    assert good.result["sentence"] == "No errors found (structure and all data)."
    assert health(database.repository) == "good"
    assert database.repository.check_error == ""
    (told,) = [each for each in standing.read().overall.findings if each.key == "heartbeat_withheld"]
    assert "because the repository counted as damaged when it was made" in told.reason
    snapshot = back_up(database)
    assert written(settings)
    assert "heartbeat_withheld" not in [each.key for each in standing.read().overall.findings]
    assert verdict(verify(database, snapshot)).verdict == "identical"


# Above, it is damaged.
@pytest.mark.soak
def test_data_that_is_gone(database: Database) -> None:
    back_up(database)
    damage(database.repository).unlink()

    run = checked(database)

    assert run.status == "failed"
    assert health(database.repository) == "damaged"


# Above, one cannot be made in the middle of the story; below, the password is wrong.
@pytest.mark.soak
def test_check_that_could_not_be_made_says_nothing_of_the_repository(database: Database) -> None:
    back_up(database)
    assert checked(database).status == "succeeded"

    with away(database.repository):
        run = checked(database)

    assert run.status == "failed"
    assert "There is no repository at" in run.error
    assert health(database.repository) == "good"


def test_check_with_the_wrong_password_says_nothing_of_the_repository(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RESTIC_PASSWORD", "another one")

    assert "does not open the repository" in checked(database).error
    assert health(database.repository) == "unknown"


def test_every_few_backups_are_followed_by_a_check(least_shop: Shop, make_portal: MakePortal) -> None:
    portal = make_portal(least_shop, BACKUP_CHECK_INTERVAL="2")
    checks = "SELECT status, parent_id, options FROM backups_run WHERE action = 'check' ORDER BY id"

    assert portal.backup().code == 0
    assert portal.rows(checks) == []
    second = portal.backup()
    assert second.code == 0

    (check,) = portal.rows(checks)
    assert (check["status"], check["parent_id"]) == ("succeeded", second.json["run_id"])
    assert check["options"] == '{"read_data_subset": "5%"}'
    assert "No errors found (structure and 5% of the data)." in portal.log()
    (forget, _) = portal.rows("SELECT status FROM backups_run WHERE action = 'forget'")
    assert forget["status"] == "succeeded"
    assert portal.rows("SELECT backups_since_check FROM backups_repository") == [{"backups_since_check": 0}]


def test_commands_say_what_they_did(least_shop: Shop, make_portal: MakePortal) -> None:
    portal = make_portal(least_shop)
    assert portal.backup().code == 0

    good = portal.manage("repository", "check", "--read-data", "--json")
    stats = portal.manage("repository", "stats")
    unlocked = portal.manage("repository", "unlock")
    pack = max((Path(portal.repository) / "data").rglob("*"), key=lambda p: p.stat().st_size * p.is_file())
    pack.chmod(0o600)
    pack.write_bytes(pack.read_bytes()[:-1])
    bad = portal.manage("repository", "check", "--json")

    assert (good.code, good.json["status"]) == (0, "succeeded")
    assert stats.out.splitlines()[-1].startswith("The repository holds ")
    assert unlocked.out.splitlines()[-1] == "No locks."
    assert bad.code == 1
    assert bad.json["status"] == "failed"
    assert "is damaged" in bad.json["error"]
    assert portal.leftovers() == []
