"""How often restic is started: each start derives the key from the password, half a second of processor."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from backups import mysql, process, restic
from backups.choices import Action, RestoreMode, Trigger
from backups.endpoints import repository_access
from backups.models import Database, Repository, Run, Snapshot
from backups.mysql import programs
from backups.process import remembered
from backups.runs import lifecycle
from backups.runs.asked import Asker, Wanted
from tests.actions.test_locks import killed_restic
from tests.actions.tools import back_up, play
from tests.actions.tools import restic as restic_itself
from tests.backups.conftest import WITH_A_COPY, MakeDatabase, MakePortal
from tests.backups.light_key import make_light
from tests.backups.worlds import Portal, Shop
from tests.repositories.conftest import database, least_shop, restorable_shop
from tests.repositories.test_known import store
from tests.restoring.stories import restore
from tests.servers import DatabaseServer
from tests.servers.rest import RestServer
from tests.snapshots.test_forget import KEEP_NOTHING
from tests.snapshots.test_nightly import DAY, Starts, played, scheduled, starts

__all__ = ["database", "least_shop", "restorable_shop", "starts"]

# What `manage.py backup` starts, with all that follows it; one after the other in one portal. The words
# behind `backup`, the environment, what is done to the portal's rows before, and restic's commands. `cat` is
# a probe, which runs beside the first backup ever.
ONE_A_DAY = "UPDATE backups_database SET keep_daily = 1, keep_weekly = 0, keep_monthly = 0"
CHECK_IS_DUE = "UPDATE backups_repository SET check_interval = 1"
NO_CHECK = "UPDATE backups_repository SET check_interval = 0"
ASKED_FOR: dict[str, tuple[list[str], dict[str, str], str, list[str]]] = {
    "the first ever": ([], {}, ONE_A_DAY, ["backup", "snapshots", "backup"]),
    "one goes": (["--pin", "a test"], {}, NO_CHECK, ["backup", "snapshots", "forget", "backup"]),
    "none goes": ([], {}, NO_CHECK, ["backup", "snapshots", "backup"]),
    "a check is due": ([], {}, CHECK_IS_DUE, ["backup", "snapshots", "forget", "backup", "check"]),
    "without the portal": ([], {"BACKUP_PORTAL": "false"}, NO_CHECK, ["backup", "snapshots", "forget"]),
    "as a schedule does": (["--scheduled"], {}, CHECK_IS_DUE, ["backup"]),
}


def test_what_a_backup_that_is_asked_for_starts(least_shop: Shop, make_portal: MakePortal) -> None:
    portal = make_portal(least_shop, **WITH_A_COPY)

    found = {}
    for name, (words, environment, before, _) in ASKED_FOR.items():
        with closing(sqlite3.connect(portal.database_file)) as connection:
            connection.execute(before)
            connection.commit()
        found[name] = started_by(portal, *words, **environment)

    assert found == {name: expected for name, (_, _, _, expected) in ASKED_FOR.items()}
    assert max(map(len, found.values())) <= 5


# Whatever starts restic asks `Access.argv` how; its version needs no key.
COUNTING = """
from django.core.management import call_command
from backups.restic import Access
argv = Access.argv
def counting(access, args):
    if args[0] != "version":
        with open({log!r}, "a") as log:
            log.write(args[0] + "\\n")
    return argv(access, args)
Access.argv = counting
call_command("backup", *{words!r})
"""


def started_by(portal: Portal, *words: str, **environment: str) -> list[str]:
    """restic's commands that `manage.py backup` starts, with these words behind it."""
    log = portal.folder / "starts"
    log.write_text("")
    code = COUNTING.format(log=str(log), words=words)
    ran = portal.manage("shell", "--no-imports", "-c", code, **environment)  # type: ignore[arg-type]
    assert ran.code == 0, ran.err
    return log.read_text().split()


def verified(database: Database) -> Run:
    return play(Action.VERIFY, database=database)


def restored(database: Database) -> Run:
    return restore(database, RestoreMode.REPLACE)


def of_repository(action: Action) -> Callable[[Database], Run]:
    return lambda database: play(action, repository=Repository.objects.get())


def locked_forget(database: Database) -> Run:
    killed_restic(database)
    return play(Action.FORGET, database=database)


def locked_check(database: Database) -> Run:
    killed_restic(database)
    return play(Action.CHECK, repository=Repository.objects.get())


# What else is done, on the same day one after the other. Who restores is told of a storage that is away
# before the server is touched.
OTHERS: dict[str, tuple[Callable[[Database], Run], list[str]]] = {
    "a verification": (verified, ["cat", "dump"]),
    "a restore": (restored, ["cat", "backup", "dump"]),
    "a night": (of_repository(Action.FORGET), ["forget", "stats", "key"]),
    "a second forget of the day": (of_repository(Action.FORGET), []),
    "the list of snapshots": (of_repository(Action.SNAPSHOTS), ["snapshots"]),
    "a check": (of_repository(Action.CHECK), ["check"]),
    "a check that meets a stale lock": (locked_check, ["check", "unlock", "check"]),
    "a prune": (of_repository(Action.PRUNE), ["cat", "prune", "stats"]),
    "a repair": (of_repository(Action.REPAIR_INDEX), ["cat", "repair"]),
}


def test_what_everything_else_starts(
    restorable_shop: Shop, make_database: MakeDatabase, starts: Starts
) -> None:
    database = make_database(restorable_shop, **KEEP_NOTHING)
    for _ in range(3):
        back_up(database)

    found = {}
    for name, (act, _) in OTHERS.items():
        starts.clear()
        run = act(database)
        assert run.status == "succeeded", f"{name}: {run.error}"
        found[name] = list(starts)

    assert found == {name: expected for name, (_, expected) in OTHERS.items()}


# Above, one in the way of a check; tests/actions/test_locks.py has it stop no forget.
@pytest.mark.soak
def test_a_stale_lock_in_the_way_of_a_forget(database: Database, starts: Starts) -> None:
    Database.objects.update(**KEEP_NOTHING)
    for _ in range(2):
        back_up(database)
    database.refresh_from_db()
    starts.clear()

    run = locked_forget(database)

    assert run.status == "succeeded", run.error
    assert starts == ["snapshots", "forget", "unlock", "forget"]


@pytest.fixture
def remote(database: Database) -> Iterator[Database]:
    """The same on a REST server, where no file is to be seen without restic."""
    with RestServer(Path(database.repository.url)) as server:
        Repository.objects.update(url=server.repository)
        database.repository.refresh_from_db()
        back_up(database)
        yield database


# Above, the same where the files are to be seen; below, one list that does not do.
@pytest.mark.soak
def test_one_list_does_for_a_remote_backup_and_its_forget(remote: Database, starts: Starts) -> None:
    Database.objects.update(**KEEP_NOTHING)
    starts.clear()
    assert scheduled(remote).status == "succeeded"
    assert starts == ["backup", "snapshots"]

    starts.clear()
    backup = asked_for(remote)
    assert played(*backup.children.all()).result["sentence"] == "2 snapshots forgotten, 1 kept."
    assert starts == ["backup", "snapshots", "forget"]


def asked_for(database: Database) -> Run:
    backup = lifecycle.run_enqueue(Wanted(Action.BACKUP, database=database), Asker(Trigger.ADMIN))
    assert played(backup).status == "succeeded", backup.error
    return backup


def test_a_forget_reads_the_list_itself_where_the_portals_is_another_or_old(
    remote: Database, starts: Starts
) -> None:
    stranger = store(remote.repository, of="another")
    backup = asked_for(remote)
    starts.clear()
    assert played(*backup.children.all()).status == "succeeded"
    assert starts[0] == "snapshots"
    assert Snapshot.objects.filter(snapshot_id=stranger, forgotten_at=None).exists()

    backup = asked_for(remote)
    began = datetime.fromisoformat(backup.result["listed_at"]) - timedelta(minutes=3)
    Run.objects.filter(pk=backup.pk).update(result={**backup.result, "listed_at": began.isoformat()})
    restic_itself(remote.repository, "forget", stranger)
    starts.clear()
    assert played(*backup.children.all()).status == "succeeded"
    assert starts[0] == "snapshots"
    assert not Snapshot.objects.filter(snapshot_id=stranger, forgotten_at=None).exists()


# ---------------------------------------------------------------- How much it measures


# Above, by a night, and not by the second forget of that day.
@pytest.mark.soak
def test_the_size_is_measured_once_a_day(database: Database, starts: Starts) -> None:
    Database.objects.update(**KEEP_NOTHING)
    back_up(database)
    measured = []
    for sized_at in (None, timezone.now(), timezone.now() - DAY):
        back_up(database)
        Repository.objects.update(sized_at=sized_at)
        starts.clear()
        assert play(Action.FORGET, repository=Repository.objects.get()).status == "succeeded"
        measured.append("stats" in starts)

    assert measured == [True, False, True]


# Above, a night measures it once a day.
@pytest.mark.soak
def test_after_a_backup_it_is_measured_where_no_night_did(database: Database, starts: Starts) -> None:
    Database.objects.update(**KEEP_NOTHING)
    database.refresh_from_db()
    back_up(database)
    measured = []
    for days_ago in (0, 1, 3):
        back_up(database)
        Repository.objects.update(sized_at=timezone.now() - days_ago * DAY)
        starts.clear()
        assert play(Action.FORGET, database=database).status == "succeeded"
        measured.append("stats" in starts)

    assert measured == [False, False, True]


# ---------------------------------------------------------------- Which key


def keys_of(repository: Repository) -> Path:
    return Path(repository.url) / "keys"


def add_key(repository: Repository, password: str, folder: Path) -> str:
    """Another key of the repository, under another password; answers its id."""
    before = {key.name for key in keys_of(repository).iterdir()}
    (folder / "password").write_text(password)
    access = repository_access(repository)
    args = ["key", "add", "--new-password-file", str(folder / "password")]
    restic.call(access, restic.Command(args, "adding a key"))
    (added,) = {key.name for key in keys_of(repository).iterdir()} - before
    return make_light(Path(repository.url), password, key_id=added)


def test_the_key_of_several_is_learnt_once_and_dropped_when_it_does_not_fit(
    database: Database, starts: Starts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    back_up(database)
    repository = Repository.objects.get()
    (ours,) = [key.name for key in keys_of(repository).iterdir()]

    def night() -> str:
        run = play(Action.FORGET, repository=repository)
        assert run.status == "succeeded", run.error
        return "\n".join(run.lines.values_list("text", flat=True))

    def hint() -> str:
        return repository_access(repository).environment().get("RESTIC_KEY_HINT", "")

    # One key needs none, and nobody is told of it.
    assert "key" not in night()
    assert hint() == ""
    other = add_key(repository, "another password", tmp_path)

    assert hint() == ""
    assert f"The repository has 2 keys. The password opens key {ours[:8]}, so restic" in night()
    assert hint() == ours
    starts.clear()
    assert "key" not in night()
    assert "key" not in starts

    # The password is that of the other key by now: it opens, if later, and is learnt within a day.
    monkeypatch.setenv("RESTIC_PASSWORD", "another password")
    assert hint() == ours
    back_up(database)
    (note,) = Path(repository_access(repository).cache_dir).glob("vedetta-key-*")
    yesterday = note.stat().st_mtime - DAY.total_seconds()
    os.utime(note, (yesterday, yesterday))
    assert f"The password opens key {other[:8]}" in night()
    assert hint() == other

    # It is gone, as after `restic key passwd`.
    monkeypatch.setenv("RESTIC_KEY_HINT", other)
    assert repository_access(repository).environment()["RESTIC_KEY_HINT"] == other
    (keys_of(repository) / ours).unlink()
    assert repository_access(repository).key_hint == ""
    monkeypatch.setenv("RESTIC_KEY_HINT", ours)
    back_up(database)


# ---------------------------------------------------------------- What programs say of themselves


def test_a_program_is_asked_again_once_it_is_another(tmp_path: Path) -> None:
    program, script = tmp_path / "true", tmp_path / "script"
    program.write_bytes(Path("/bin/true").read_bytes())
    script.write_text("#!/bin/sh\nexec /bin/true\n")
    process.keep_said(str(tmp_path), "what", {"it": "says"}, str(program))
    process.keep_said(str(tmp_path), "script", "says", str(script))

    for forget in (lambda: None, remembered._HEARD.clear):
        forget()
        assert process.said_before(str(tmp_path), "what", str(program)) == {"it": "says"}
        assert process.said_before(str(tmp_path), "script", str(script)) is None
    os.utime(program, (1, 1))
    assert process.said_before(str(tmp_path), "what", str(program)) is None
    for spoiled in (b"{", b"[]", b'{"what": 5}'):
        (tmp_path / "vedetta-programs.json").write_bytes(spoiled)
        assert process.said_before(str(tmp_path), "what", str(program)) is None


@pytest.mark.parametrize("spoiled", [None, b'{"dump program": 1}'])
def test_a_dump_program_is_looked_at_once(
    db_server: DatabaseServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spoiled: bytes | None
) -> None:
    flavour = {"mariadb": mysql.MARIADB, "mysql": mysql.MYSQL}[db_server.flavour]
    info, folder = mysql.ServerInfo(flavour, "10.11.1"), str(db_server.client_dir)
    remembered._HEARD.clear()
    first = mysql.clients(info, folder, str(tmp_path))
    remembered._HEARD.clear()
    asked: list[tuple[str, ...]] = []
    said = programs._said

    def asking(*args: str) -> str:
        asked.append(args)
        return said(*args)

    monkeypatch.setattr(programs, "_said", asking)
    if spoiled:
        (tmp_path / "vedetta-programs.json").write_bytes(spoiled)

    assert mysql.clients(info, folder, str(tmp_path)) == first
    is_script = Path(first.dump).read_bytes().startswith(b"#!")
    assert bool(asked) == (is_script or bool(spoiled))
