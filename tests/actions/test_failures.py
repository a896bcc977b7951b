"""What goes wrong in a backup, each for real: a sentence, nothing left behind, and the next one succeeds."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from backups.text.sentences import Sentence, told_again
from tests.backups.conftest import MakePortal
from tests.backups.worlds import PROJECT, Portal, Ran, Shop, copy_repository, make_shop
from tests.servers import FLAVOURS, DatabaseServer, S3Server

SAFE = "No snapshot was made, no heartbeat was written; earlier snapshots are safe."


def assert_failed(ran: Ran, portal: Portal, *said: str, code: str) -> None:
    """Within a minute, with status 1, one sentence and its code, leaving nothing."""
    assert ran.code == 1, ran.err
    told = ran.json
    assert told["status"] == "failed"
    for words in said:
        assert words in told["error"]
    assert SAFE in told["error"]
    assert "Traceback" not in ran.err
    assert ran.seconds < 60
    row = portal.run(told["run_id"])
    assert (row["status"], row["error"]) == ("failed", told["error"])
    assert (row["error_code"], told["error_code"]) == (code, code)
    # As parts, which can be told in another language.
    assert isinstance(told_again(row["error"], json.loads(row["error_params"])), Sentence)
    assert portal.heartbeat() is None
    assert portal.leftovers() == []


def assert_next_succeeds(portal: Portal) -> None:
    ran = portal.backup()

    assert ran.code == 0, ran.err
    assert [snapshot["id"] for snapshot in portal.snapshots()] == [ran.json["snapshot_id"]]
    assert portal.heartbeat() is not None


# ---------------------------------------------------------------- The repository


def test_no_repository(mariadb_portal: Portal) -> None:
    place = Path(mariadb_portal.repository)
    place.rename(place.with_name("moved away"))

    ran = mariadb_portal.backup()

    assert_failed(
        ran, mariadb_portal, f"There is no repository at {place}", "mount it", code="restic.no_repository"
    )
    assert not place.exists()
    place.with_name("moved away").rename(place)
    assert_next_succeeds(mariadb_portal)


def test_cache_that_a_full_disk_left_half_made(mariadb_portal: Portal) -> None:
    assert mariadb_portal.backup().code == 0
    versions = list(Path(mariadb_portal.environment["RESTIC_CACHE_DIR"]).glob("*/version"))
    assert versions
    for version in versions:
        version.write_text("")

    ran = mariadb_portal.backup()

    assert ran.code == 0, ran.err


def test_repository_locked(mariadb_portal: Portal) -> None:
    with exclusively_locked(mariadb_portal):
        ran = started_after(
            "from backups.restic import arguments\narguments._RETRY_LOCK = '2s'\n", mariadb_portal
        )
        locks = list((Path(mariadb_portal.repository) / "locks").iterdir())
        assert len(locks) == 1

    assert_failed(ran, mariadb_portal, "is locked", "repository unlock", code="restic.locked")
    assert_next_succeeds(mariadb_portal)


@contextmanager
def exclusively_locked(portal: Portal) -> Iterator[None]:
    """A living restic that holds the repository for itself, halted in the middle of a check."""
    environment = {**os.environ, "RESTIC_REPOSITORY": portal.repository, **portal.environment}
    restic = subprocess.Popen(
        [portal.restic_path, "check", "--no-cache"], env=environment, stdout=subprocess.DEVNULL
    )
    locks = Path(portal.repository) / "locks"
    # A lock is written under another name first.
    while not [lock for lock in locks.iterdir() if len(lock.name) == 64]:
        assert restic.poll() is None
    restic.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        restic.send_signal(signal.SIGCONT)
        restic.wait(60)
        assert not list(locks.iterdir())


# tests/faults/test_storage.py has a storage that refuses, gives no answer and is down.
@pytest.mark.soak
def test_s3_down(mariadb_shop: Shop, make_portal: MakePortal, tmp_path: Path, empty_repository: Path) -> None:
    with S3Server(tmp_path / "s3") as server:
        repository = server.create_bucket("goes-down")
        portal = make_portal(mariadb_shop, repository=repository, **server.environment)
        server.stop()
        ran = portal.backup(STORAGE_PATIENCE_SECONDS="3")
        server.start()
        assert_failed(
            ran,
            portal,
            "cannot be reached",
            "connection refused",
            "Check the network",
            code="restic.unreachable",
        )

        server.create_bucket("goes-down")
        assert portal.manage("bootstrap", "--new", "repository").code == 0
        assert_next_succeeds(portal)


# tests/faults/test_refusals.py has what S3 answers where there is no bucket.
@pytest.mark.soak
def test_s3_without_the_bucket(mariadb_shop: Shop, make_portal: MakePortal, s3_server: S3Server) -> None:
    portal = make_portal(mariadb_shop, **s3_server.environment)
    portal.repository = portal.environment["RESTIC_REPOSITORY"] = f"s3:{s3_server.url}/nobody-made-it"
    portal.shell(
        "from backups.models import Repository;"
        "from django.conf import settings;"
        "Repository.objects.update(url=settings.RESTIC_REPOSITORY, restic_id='')"
    )

    ran = portal.backup()

    assert_failed(ran, portal, "no bucket", "Make the bucket", code="restic.no_bucket")
    assert portal.manage("repository", "init").code == 0
    assert_next_succeeds(portal)


def test_disk_of_the_repository_full(
    mariadb_server: DatabaseServer, make_portal: MakePortal, empty_repository: Path, tmp_path: Path
) -> None:
    shop = make_shop(mariadb_server)
    shop.execute(
        "CREATE TABLE noise (id INT AUTO_INCREMENT PRIMARY KEY, data LONGBLOB);"
        "INSERT INTO noise (data) SELECT RANDOM_BYTES(1024) FROM seq_1_to_24000"
    )
    with small_disk(tmp_path / "disk", megabytes=20) as disk:
        repository = copy_repository(empty_repository, disk / "repository")
        portal = make_portal(shop, repository=repository)
        ran = portal.backup()

        assert_failed(ran, portal, "No space is left on the disk", "Free some space", code="restic.full")
        assert portal.snapshots() == []
        shop.execute("DELETE FROM noise WHERE id > 100")
        portal.restic("prune")
        assert_next_succeeds(portal)


@contextmanager
def small_disk(place: Path, *, megabytes: int) -> Iterator[Path]:
    """A file system of this size; where none may be mounted there is nothing to try."""
    place.mkdir()
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", place], capture_output=True, check=False
    )
    if mount.returncode and not os.environ.get("CI"):
        pytest.skip("may not mount a file system here")
    assert mount.returncode == 0, mount.stderr
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)


# ---------------------------------------------------------------- The database


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.one_flavour("mariadb")
def test_server_down(flavour: str, make_portal: MakePortal) -> None:
    with DatabaseServer(flavour) as server:  # type: ignore[arg-type]
        portal = make_portal(make_shop(server))
        server.stop()
        ran = portal.backup()
        server.start()

        assert_failed(
            ran, portal, f"at 127.0.0.1:{server.port} gives no answer", "MYSQL_HOST", code="mysql.unreachable"
        )
        assert_next_succeeds(portal)


@pytest.mark.one_flavour("mysql")
def test_a_new_user_that_the_portal_does_not_go_by_yet_is_named(mariadb_portal: Portal) -> None:
    """Its password is tried with the user of before, which is refused: neither of the two is wrong."""
    portal = mariadb_portal
    ran = portal.manage("preflight", "--json", MYSQL_USER="newcomer", MYSQL_PASSWORD="of the newcomer")

    (refused,) = [check["detail"] for check in ran.json["checks"] if "refuses user" in check["detail"]]
    assert f"MYSQL_USER says newcomer, and the portal still goes by {portal.shop.user}" in refused
    assert "`manage.py bootstrap`" in refused


@pytest.mark.one_flavour("mariadb")
def test_unknown_database(portal: Portal) -> None:
    portal.environment["MYSQL_DATABASE"] = "nosuch"
    assert portal.manage("bootstrap").code == 0

    ran = portal.backup()

    assert_failed(ran, portal, "has no database 'nosuch'", "MYSQL_DATABASE", code="mysql.unknown_database")
    portal.environment["MYSQL_DATABASE"] = portal.shop.name
    assert portal.manage("bootstrap").code == 0
    assert_next_succeeds(portal)


# ---------------------------------------------------------------- This machine


def test_status_folder_not_writable(mariadb_portal: Portal) -> None:
    folder = mariadb_portal.heartbeat_path.parent
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()
    folder.write_text("a file in its place, for root may write into any folder\n")

    ran = mariadb_portal.backup()

    folder.unlink()
    folder.mkdir()
    assert_failed(
        ran,
        mariadb_portal,
        f"cannot be written to {folder}",
        "SENTINEL_HEARTBEAT_PATH",
        code="gate.files_not_written",
    )
    assert_next_succeeds(mariadb_portal)


# Another backup, what it has to say, and the code.
WRONGS: tuple[tuple[Callable[[Portal], Ran], tuple[str, ...], str], ...] = (
    (
        lambda portal: portal.backup(RESTIC_PASSWORD="another one"),
        ("The password does not open the repository", "Set RESTIC_PASSWORD"),
        "restic.wrong_password",
    ),
    (lambda portal: portal.backup(RESTIC_PASSWORD=""), ("RESTIC_PASSWORD",), "secret.empty"),
    (
        lambda portal: portal.backup(MYSQL_PASSWORD="another one"),
        ("refuses user {user}", "MYSQL_PASSWORD"),
        "mysql.access_denied",
    ),
    (
        lambda portal: backup_without("restic", portal),
        ("restic is not installed. No snapshot", "Install"),
        "restic.not_installed",
    ),
    (
        lambda portal: backup_without("mariadb-dump", portal),
        ("No client programs for MariaDB are installed on this machine", "Install"),
        "mysql.no_client",
    ),
)


def test_what_is_wrong_or_missing_is_named_and_none_of_it_is_in_the_way_later(mariadb_portal: Portal) -> None:
    for back_up, said, code in WRONGS:
        words = [each.format(user=mariadb_portal.shop.user) for each in said]
        assert_failed(back_up(mariadb_portal), mariadb_portal, *words, code=code)
    assert_next_succeeds(mariadb_portal)


def backup_without(program: str, portal: Portal) -> Ran:
    """A backup on a machine like this one, but for one program under all its names."""
    names = {"restic"} if program == "restic" else {"mariadb-dump", "mysqldump"}
    return started_after(
        "import shutil\n"
        "which = shutil.which\n"
        f"shutil.which = lambda name, *a, **k: None if name in {names} else which(name, *a, **k)\n",
        portal,
    )


def started_after(code: str, portal: Portal) -> Ran:
    """A backup in a process that has run this code first."""
    start = (
        "import runpy, sys\n"
        "sys.argv = ['manage.py', 'backup', '--json']\n"
        "runpy.run_path('manage.py', run_name='__main__')\n"
    )
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", code + start],
        cwd=PROJECT,
        env={**os.environ, **portal.environment},
        capture_output=True,
        text=True,
        check=False,
    )
    return Ran(done.returncode, done.stdout, done.stderr, time.monotonic() - began)
