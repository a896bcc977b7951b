"""A repository is a stranger's: what this installation did not make is not taken for its backups."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone
from pytest_django.fixtures import Settings

from backups.catalog import made_here
from backups.choices import Action, Trigger
from backups.errors import Problem
from backups.keys import InstallationKey
from backups.models import Database, PublicKey, Run, Snapshot
from backups.reports import standing
from backups.snapshots import selection
from tests.actions.tools import back_up, dumped, log_of, play, stored, verdict, verify
from tests.backups.conftest import (
    MakeDatabase,
    empty_repository,
    make_database,
    make_portal,
    mariadb_portal,
    mariadb_shop,
    migrated,
    repository,
)
from tests.backups.kept_backup import KeptBackup
from tests.restoring.stories import drop_all, make_restorable
from tests.servers import DatabaseServer

__all__ = [
    "empty_repository", "make_database", "make_portal", "mariadb_portal", "mariadb_shop", "migrated",
    "repository",
]  # fmt: skip


@pytest.fixture(scope="module")
def kept(mariadb_server: DatabaseServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KeptBackup]:
    shop = make_restorable(mariadb_server)
    yield KeptBackup(shop, tmp_path_factory.mktemp("kept") / "repository")
    drop_all(shop)


@pytest.fixture
def shop_database(kept: KeptBackup, make_database: MakeDatabase) -> Database:
    return make_database(kept.shop)


@pytest.fixture(autouse=True)
def own_key(tmp_path: Path, settings: Settings) -> Path:
    """A key of this test's own, made at its first backup."""
    settings.VEDETTA_KEY = ""
    settings.VEDETTA_KEY_MADE = str(tmp_path / "vedetta_key")
    return tmp_path / "vedetta_key"


@pytest.fixture
def ours(kept: KeptBackup, shop_database: Database, own_key: Path) -> Snapshot:
    """Its first backup, which made the key."""
    return kept.snapshot(shop_database, lambda each: play(Action.BACKUP, database=each), own_key)


def strange(ours: Snapshot, content: bytes) -> Snapshot:
    """What a stranger stored after ours, under all names of ours."""
    return stored(ours, content, manifest=False)


def test_latest_is_what_was_made_here_whatever_a_stranger_stored_later(
    shop_database: Database, ours: Snapshot
) -> None:
    theirs = strange(ours, dumped(ours))

    assert theirs.time > ours.time
    assert selection.newest(shop_database) == ours
    assert selection.newest_to_prove(shop_database) == ours
    assert selection.snapshot_at(shop_database, theirs.time + timedelta(hours=1)) == ours
    assert selection.newer_of_others(ours) == theirs
    assert selection.resolve_snapshot(shop_database, theirs.short_id) == theirs


def test_what_a_stranger_stored_later_makes_nothing_look_newer(ours: Snapshot) -> None:
    theirs = strange(ours, dumped(ours))
    Snapshot.objects.filter(pk=theirs.pk).update(verified_at=timezone.now())

    (database,) = standing.read().databases

    assert (database.newest_snapshot, database.newest_proved) == (ours.pk, None)


def test_what_strangers_stored_later_pushes_nothing_of_ours_out(
    shop_database: Database, ours: Snapshot
) -> None:
    first, ours = ours, back_up(shop_database)
    theirs = [strange(ours, dumped(ours)) for _ in range(2)]
    Database.objects.update(keep_daily=1, keep_weekly=0, keep_monthly=0)
    shop_database.refresh_from_db()

    run = play(Action.FORGET, database=shop_database)

    assert run.status == "succeeded", run.error
    assert set(run.result["forgotten"]) == {first.snapshot_id, theirs[0].snapshot_id}


def test_in_an_adopted_repository_the_newest_of_all_is_latest(shop_database: Database) -> None:
    adopted = back_up(shop_database)
    Snapshot.objects.update(signature="", made_here=False, made_by=None)
    newer = strange(adopted, dumped(adopted))

    assert selection.newest(shop_database) == newer
    assert selection.newer_of_others(newer) is None


def test_a_copy_is_made_here_once_its_content_is_proved(shop_database: Database, ours: Snapshot) -> None:
    signature = ours.signature
    copy = strange(ours, dumped(ours))
    # As `restic copy` has it: all is the same but the id.
    Snapshot.objects.filter(pk=copy.pk).update(time=ours.time)

    assert verdict(verify(shop_database, copy)).verdict == "identical"
    copy.refresh_from_db()
    assert copy.made_here
    assert copy.signature == signature


def test_an_old_state_of_ours_under_a_newer_time_stays_strange(
    shop_database: Database, ours: Snapshot
) -> None:
    replayed = strange(ours, dumped(ours))

    assert verdict(verify(shop_database, replayed)).verdict == "identical"
    replayed.refresh_from_db()
    assert not replayed.made_here


def test_of_when_a_snapshot_is_a_row_gives_way_to_the_repository(shop_database: Database) -> None:
    """As a row has it that a stranger wrote: an old state of ours would be the newest."""
    old, newest = back_up(shop_database), back_up(shop_database)
    Snapshot.objects.filter(pk=old.pk).update(time=newest.time + timedelta(seconds=1))
    assert selection.newest(shop_database) == old

    run = play(Action.RECOVER, repository=shop_database.repository)

    assert run.status == "succeeded", run.error
    assert selection.newest(shop_database) == newest


def test_another_content_under_our_manifest_stays_strange(shop_database: Database, ours: Snapshot) -> None:
    forged = strange(ours, dumped(ours).replace(b"CREATE TABLE", b"CREATE  TABLE"))
    Snapshot.objects.filter(pk=forged.pk).update(time=ours.time)

    verify(shop_database, forged)
    forged.refresh_from_db()
    assert not forged.made_here


def test_a_snapshot_of_one_database_is_not_another_ones(ours: Snapshot) -> None:
    public = PublicKey.objects.get()

    assert made_here.is_made_here(ours, public)
    ours.tags = ["vedetta", "database:payroll"]
    assert not made_here.is_made_here(ours, public)


def test_what_was_made_before_there_was_a_key_is_signed_with_the_first_one(
    shop_database: Database, ours: Snapshot
) -> None:
    adopted = strange(ours, dumped(ours))
    rebuilt = strange(ours, dumped(ours))
    recovered = Run.objects.create(
        action="backup", database=shop_database, repository=shop_database.repository,
        trigger=Trigger.RECOVERED,
    )  # fmt: skip
    Snapshot.objects.filter(pk=rebuilt.pk).update(made_by=recovered, manifest=ours.manifest)
    PublicKey.objects.all().delete()
    Snapshot.objects.update(signature="", made_here=False)

    made_here.key_in_use()

    signed = Snapshot.objects.made_here()
    assert list(signed) == [ours]
    assert made_here.is_made_here(signed[0], PublicKey.objects.get())
    assert adopted not in signed


def test_another_key_signs_anew_what_was_made_here_and_nothing_else(
    ours: Snapshot, settings: Settings
) -> None:
    strange(ours, dumped(ours))
    settings.VEDETTA_KEY = InstallationKey.made().text

    key = made_here.key_in_use()

    public = PublicKey.objects.get()
    assert public.signing == key.public_signing
    (signed,) = Snapshot.objects.made_here()
    assert signed == ours
    assert signed.signature != ours.signature
    assert made_here.is_made_here(signed, public)


def test_a_key_in_the_place_of_another_is_to_be_kept_in_its_place(
    shop_database: Database, settings: Settings
) -> None:
    """The .env that somebody keeps elsewhere has the one of before, be the change meant or a slip."""
    settings.VEDETTA_KEY = InstallationKey.made().text
    made_here.key_in_use()
    assert made_here.not_copied() == "", "whoever wrote the first one there keeps it"

    settings.VEDETTA_KEY = InstallationKey.made().text
    made_here.key_in_use()
    assert "in the place of an older one" in made_here.not_copied()
    made_here.note_copied()
    assert made_here.not_copied() == ""


def test_where_the_key_is_gone_backups_go_on_and_say_so(shop_database: Database, own_key: Path) -> None:
    back_up(shop_database)
    own_key.unlink()

    unsigned = back_up(shop_database)

    assert (unsigned.made_here, unsigned.signature) == (True, "")
    assert selection.newest(shop_database) == unsigned
    assert not own_key.exists()
    assert unsigned.made_by is not None
    assert "is not signed. The key by which this installation knows its own backups is gone" in log_of(
        unsigned.made_by
    )
    assert "bootstrap --new-key" in log_of(unsigned.made_by)
    with pytest.raises(Problem, match="is gone"):
        made_here.key_in_use()
    made_here.new_key()
    unsigned.refresh_from_db()
    assert made_here.is_made_here(unsigned, PublicKey.objects.get())
    assert back_up(shop_database).signature


def test_rows_that_came_from_elsewhere_are_judged_anew(ours: Snapshot) -> None:
    claimed = strange(ours, dumped(ours))
    Snapshot.objects.filter(pk=claimed.pk).update(made_here=True, manifest=ours.manifest, signature="AAAA")
    Snapshot.objects.filter(pk=ours.pk).update(made_here=False)

    made_here.look_again()

    assert list(Snapshot.objects.made_here()) == [ours]
