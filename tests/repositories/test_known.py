"""A repository that the portal knows is not replaced or called empty because it is not where it was."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from pytest_django.fixtures import Settings

from backups.choices import Action
from backups.configuration import environment
from backups.models import Database, Repository, Run, Snapshot
from backups.reports import standing
from tests.actions.tools import back_up, play, restic, sync
from tests.backups.conftest import MakeDatabase
from tests.backups.worlds import Shop, copy_repository
from tests.rows import a_server

LOOKING = (Action.SNAPSHOTS, Action.FORGET, Action.CHECK)


def store(repository: Repository, *, of: str = "shop", host: str = "vedetta") -> str:
    """A snapshot as one of ours, of any database; answers its id."""
    answer = restic(
        repository, "backup", "--json", "--host", host, "--tag", "vedetta", "--tag", f"database:{of}",
        "--stdin", "--stdin-filename", f"/mysql/{of}.sql", stdin=f"-- {of} {host}\n".encode(),
    )  # fmt: skip
    return str(json.loads(answer.splitlines()[-1])["snapshot_id"])


@pytest.fixture
def first(repository: Repository, tmp_path: Path, settings: Settings) -> Database:
    """The environment's database, in a repository on a disk of its own, with a snapshot that is listed."""
    disk = tmp_path / "disk"
    disk.mkdir()
    shutil.move(repository.url, disk / "repository")
    repository.url = settings.RESTIC_REPOSITORY = str(disk / "repository")
    repository.save()
    settings.MYSQL_HOST, settings.MYSQL_DATABASE, settings.MYSQL_USER = "db", "shop", "u"
    settings.BACKUP_CHECK_INTERVAL = 0
    first = Database.objects.create(
        name="shop", server=a_server(), database="shop", repository=repository, is_primary=True
    )
    store(repository)
    sync(repository)
    repository.refresh_from_db()
    return first


def config_id(repository: Repository | Path) -> str:
    """restic's own word for a repository."""
    if isinstance(repository, Path):
        repository = Repository(url=str(repository))
    return str(json.loads(restic(repository, "cat", "config"))["id"])


def refused(action: Action, **wanted: Any) -> str:
    run = play(action, **wanted)
    assert run.status == "failed", action
    assert not Snapshot.objects.exclude(forgotten_at=None).exists(), action
    return run.error


def test_its_id_is_learnt_at_the_first_contact(first: Database) -> None:
    assert first.repository.restic_id == config_id(first.repository)


def test_a_disk_that_is_not_mounted_is_no_place_for_a_new_one(first: Database) -> None:
    repository = first.repository
    disk = Path(repository.url).parent
    disk.rename(disk.with_name("unmounted"))
    disk.mkdir()

    for action in (Action.INIT, *LOOKING):
        said = refused(action, repository=repository)
        assert f"There is no repository at {repository.url} (the folder {disk} is empty), where" in said
        assert "where the portal knows main with 1 snapshot, the newest of" in said
        assert "is not mounted, mount it; if the address is wrong, correct RESTIC_REPOSITORY" in said
        assert "bootstrap --new repository" in said
    assert list(disk.iterdir()) == []

    disk.rmdir()
    disk.with_name("unmounted").rename(disk)
    assert play(Action.SNAPSHOTS, repository=repository).status == "succeeded"


def test_another_one_in_its_place_is_not_taken_for_it(
    first: Database, another_repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    repository = first.repository
    known = Path(repository.url)
    kept = known.rename(known.with_name("kept"))
    copy_repository(another_repository, known)

    for action in (Action.INIT, *LOOKING, Action.PORTAL):
        said = refused(action, repository=repository)
        ids = (
            f"{config_id(known)[:8]}) than the portal knows there ({repository.restic_id[:8]}): main with 1 "
        )
        assert ids in said, said
        assert "If the address is wrong, correct RESTIC_REPOSITORY" in said
    repository.refresh_from_db()
    assert repository.restic_id == config_id(kept)
    assert repository.health != "damaged"

    # A person says that it is meant: it is a repository of its own, and the old one's list stays.
    call_command("bootstrap", "--new", "repository")
    first.refresh_from_db()
    assert (first.repository.name, first.repository.restic_id) == ("main-2", config_id(known))
    sync(first.repository)
    assert Snapshot.objects.get().repository == repository
    assert Snapshot.objects.get().forgotten_at is None
    # And the disk is back.
    shutil.rmtree(known)
    kept.rename(known)
    said = refused(Action.SNAPSHOTS, repository=first.repository)
    assert "It is the one that the portal knows as main." in said
    assert play(Action.SNAPSHOTS, repository=repository).status == "succeeded"


def test_a_lost_one_is_begun_anew_only_when_that_is_said(
    first: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    known = Path(first.repository.url)
    shutil.rmtree(known)
    with pytest.raises(SystemExit):
        call_command("bootstrap")
    assert "There is no repository at" in capsys.readouterr().err
    assert not known.exists()

    call_command("bootstrap", "--new", "repository")
    told = capsys.readouterr().out
    assert f"Made a new repository at {known} (main-2)" in told
    call_command("bootstrap", "--new", "repository")
    assert "is already known as main-2, so no new one was begun" in capsys.readouterr().out
    assert [each.name for each in Repository.objects.order_by("pk")] == ["main", "main-2"]
    assert Snapshot.objects.get().forgotten_at is None

    # The nightly look at the lost one is no trouble, and gives no advice that leads nowhere.
    said = refused(Action.SNAPSHOTS, repository=Repository.objects.get(name="main"))
    assert "No database is backed up to it any more. If it is gone for good, nothing needs to be done" in said
    found = standing.read().overall
    assert "look_failed" not in [each.key for each in found.findings]
    assert "look_failed" in [each.key for each in found.notes]


def test_a_portal_that_noted_no_ids_knows_it_by_what_it_holds(
    first: Database, another_repository: Path
) -> None:
    """As one of the version before is taken over."""
    repository = first.repository
    Repository.objects.update(restic_id="")
    repository.refresh_from_db()
    known = Path(repository.url)
    kept = known.rename(known.with_name("kept"))
    copy_repository(another_repository, known)

    said = refused(Action.FORGET, repository=repository)
    assert "holds none of the snapshots that the portal knows there: main with 1 snapshot" in said
    repository.refresh_from_db()
    assert repository.restic_id == ""

    shutil.rmtree(known)
    kept.rename(known)
    assert play(Action.FORGET, repository=repository).status == "succeeded"
    repository.refresh_from_db()
    assert repository.restic_id == config_id(repository)


def test_a_slip_at_the_first_try_is_corrected(
    db: None, first: Database, tmp_path: Path, another_repository: Path, settings: Settings
) -> None:
    Snapshot.objects.all().delete()
    settings.RESTIC_REPOSITORY = copy_repository(another_repository, tmp_path / "right")

    call_command("bootstrap")

    (repository,) = Repository.objects.all()
    assert (repository.url, repository.restic_id) == (
        settings.RESTIC_REPOSITORY,
        config_id(tmp_path / "right"),
    )


def test_what_moved_is_known_by_its_id(
    first: Database,
    tmp_path: Path,
    another_repository: Path,
    settings: Settings,
    capsys: pytest.CaptureFixture[str],
) -> None:
    known = Path(first.repository.url)
    settings.RESTIC_REPOSITORY = copy_repository(another_repository, tmp_path / "another")
    with pytest.raises(SystemExit):
        call_command("bootstrap", "--moved", "repository")
    assert "has another id" in capsys.readouterr().err
    first.repository.refresh_from_db()
    assert first.repository.url == str(known)

    settings.RESTIC_REPOSITORY = str(known.rename(tmp_path / "moved"))
    call_command("bootstrap", "--moved", "repository")
    sync(Repository.objects.get())
    assert Snapshot.objects.get().forgotten_at is None


def test_recover_makes_no_repository_on_a_new_machine(
    db: None, tmp_path: Path, settings: Settings, repository: Repository, capsys: pytest.CaptureFixture[str]
) -> None:
    Repository.objects.all().delete()
    settings.MYSQL_HOST, settings.MYSQL_DATABASE, settings.MYSQL_USER = "db", "shop", "u"
    settings.RESTIC_REPOSITORY = str(tmp_path / "mistyped")

    with pytest.raises(SystemExit):
        call_command("recover")

    said = capsys.readouterr().err
    assert f"There is no repository at {tmp_path}/mistyped" in said
    assert "no repository was made. Mount its disk or share, or have RESTIC_REPOSITORY say where" in said
    assert not (tmp_path / "mistyped").exists()


def test_a_backup_goes_into_no_other_repository(
    restorable_shop: Shop, make_database: MakeDatabase, another_repository: Path
) -> None:
    database = make_database(restorable_shop)
    back_up(database)
    known = Path(database.repository.url)
    kept = known.rename(known.with_name("kept"))
    copy_repository(another_repository, known)

    run = play(Action.BACKUP, database=database)

    assert run.status == "failed"
    assert "is another one" in run.error
    assert "No snapshot was made, no heartbeat was written; earlier snapshots are safe." in run.error
    there = Repository(url=str(known))
    assert json.loads(restic(there, "snapshots", "--json", "--no-lock")) == []
    for action in (Action.VERIFY, Action.PREFLIGHT):
        assert "is another one" in refused(action, database=database)
    shutil.rmtree(known)
    kept.rename(known)
    back_up(database)
    assert Snapshot.objects.filter(forgotten_at=None).count() == 2


# ---------------------------------------------------------------- Which repository is meant


@pytest.fixture
def offsite(first: Database, tmp_path: Path) -> Repository:
    """A second repository as a person adds it, which does not exist yet."""
    return Repository.objects.create(
        name="off site", url=str(tmp_path / "offsite"), password_ref="env:OFFSITE_PASSWORD"
    )


def double(of: Repository, url: str, **more: object) -> Repository:
    """A row of before that the portal took for another repository."""
    return Repository.objects.create(name="dup", url=url, password_ref=of.password_ref, **more)


def test_a_second_row_makes_none_where_the_first_ones_lay(
    first: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    known = Path(first.repository.url)
    (tmp_path / "link").symlink_to(known.parent)
    dup = double(first.repository, f"local:{tmp_path}/link/../disk/./repository/")
    away = known.parent.rename(tmp_path / "away")
    known.parent.mkdir()

    for written in (dup.url, f"{tmp_path}/link/repository", f"{known}/"):
        Repository.objects.filter(pk=dup.pk).update(url=written)
        with pytest.raises(SystemExit):
            call_command("repository", "init", "--repository", "dup")
        said = capsys.readouterr().err
        assert f"There is no repository at {written}" in said
        assert "where the portal knows main with 1 snapshot" in said
        assert "No new repository was made in its place." in said
        assert list(known.parent.iterdir()) == []

    known.parent.rmdir()
    away.rename(known.parent)
    call_command("repository", "init", "--repository", "dup")
    assert "The portal has two rows for one repository, dup (" in capsys.readouterr().out
    Database.objects.create(name="blog", server=a_server(), database="blog", repository=dup)
    (told,) = environment.warnings(first)
    assert told.startswith(f"The portal has two rows for one repository, main ({known}) and dup ({known}/)")


# Above, the first one.
@pytest.mark.soak
def test_a_further_one_that_is_lost_is_begun_anew_only_when_that_is_said(
    first: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    offsite = Repository.objects.create(name="off site", url=str(tmp_path / "offsite"))
    blog = Database.objects.create(name="blog", server=a_server(), database="blog", repository=offsite)
    call_command("repository", "init", "--repository", "off site")
    with pytest.raises(SystemExit):
        call_command("repository", "init", "--new", "--repository", "off site")
    assert (
        "is already known as off site, so no new one was begun. Nothing was changed."
        in capsys.readouterr().err
    )
    shutil.rmtree(offsite.url)

    said = refused_anew(Action.SNAPSHOTS, offsite)
    assert "run `manage.py repository init --new --repository 'off site'`" in said
    call_command("repository", "init", "--new", "--repository", "off site")

    told = capsys.readouterr().out
    assert "off site-2 takes the place of off site. Its databases are backed up there from now on." in told
    assert (
        f"Made a new repository at {offsite.url} (off site-2), in the place of off site, as you asked" in told
    )
    blog.refresh_from_db()
    assert blog.repository.name == "off site-2"
    assert environment.warnings(blog) == [], "one that took another's place is no double of it"
    with pytest.raises(SystemExit) as wrong:
        call_command("repository", "init", "--new", "--repository", "main")
    assert wrong.value.code == 2
    assert "Run `manage.py bootstrap --new repository`." in capsys.readouterr().err


def refused_anew(action: Action, repository: Repository) -> str:
    repository.refresh_from_db()
    return play(action, repository=repository).error


def test_a_second_repository_is_made_by_what_is_said(
    offsite: Repository, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OFFSITE_PASSWORD", "of another place")
    said = refused(Action.SNAPSHOTS, repository=offsite)
    assert "`manage.py repository init --repository 'off site'`" in said
    assert "correct the location of off site in the portal" in said
    assert "RESTIC_REPOSITORY" not in said

    call_command("repository", "init", "--repository", "off site")
    assert f"Made a new repository at {offsite.url} (off site)" in capsys.readouterr().out
    call_command("repository", "--repository", "off site", "init")
    assert f"There is a repository at {offsite.url} already (off site)" in capsys.readouterr().out
    call_command("repository", "init", "--repository", "main")
    assert "already (main)" in capsys.readouterr().out
    with pytest.raises(SystemExit) as wrong:
        call_command("repository", "--repository", "main", "init", "--repository", "off site")
    assert wrong.value.code == 2

    monkeypatch.setenv("OFFSITE_PASSWORD", "a wrong one")
    said = refused(Action.SNAPSHOTS, repository=offsite)
    assert "Set OFFSITE_PASSWORD to the one that it was made with." in said
    assert "RESTIC_PASSWORD" not in said


def test_a_secret_file_that_is_gone_is_named_with_whose_it_is(offsite: Repository, tmp_path: Path) -> None:
    Repository.objects.filter(pk=offsite.pk).update(password_ref=f"file:{tmp_path}/gone")
    offsite.refresh_from_db()

    said = refused(Action.SNAPSHOTS, repository=offsite)

    assert f"The secret file {tmp_path}/gone (the password of repository off site) is not there." in said
    assert Run.objects.filter(repository=offsite, status="failed").exists()
