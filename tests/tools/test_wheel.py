"""The wheel and the source archive hold all that runs, and run where there is no checkout."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import sysconfig
import tarfile
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from zipfile import ZipFile

import pytest

import backups
from tests.backups.conftest import empty_repository
from tests.backups.worlds import RESTIC_PASSWORD, copy_repository, make_shop
from tests.conftest import NAMES
from tests.deploy.test_systemd import wrapper
from tests.servers import DatabaseServer
from tests.servers.processes import Server, answers_http
from tools import release
from tools.ports import free_port

__all__ = ["empty_repository"]

PROJECT = Path(__file__).resolve().parents[2]
SECRET_KEY = "of the tests of a wheel, and of nothing else"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def ours() -> set[str]:
    """The files of the checkout that are, or may be, committed."""
    argv = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(argv, cwd=PROJECT, capture_output=True, text=True, check=True)
    return {name for name in listed.stdout.split("\0") if name and (PROJECT / name).is_file()}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with what was built of the files that are here now."""
    folder = tmp_path_factory.mktemp("dist")
    sources = tmp_path_factory.mktemp("sources") / "vedetta"
    for name in ours():
        if not name.startswith("tests/"):
            (sources / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(PROJECT / name, sources / name)
    release.build_packages(sources, folder, COMMIT)
    return folder


@dataclass
class Installed:
    """The wheel in an environment of its own, in a folder that is no checkout, beside a settings file."""

    folder: Path
    elsewhere: Path

    def environment(self, **more: str) -> dict[str, str]:
        """What the tests say to a checkout counts as not set; restic is where theirs is."""
        unset = dict.fromkeys((*NAMES, "VEDETTA_KEY_MADE", "VEDETTA_HOME"), "")
        return {**unset, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", **more}

    def vedetta(self, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
        """Run a command from a folder that has nothing to do with it."""
        return subprocess.run(
            [self.folder / ".venv" / "bin" / "vedetta", *words],
            cwd=self.elsewhere, env=os.environ | self.environment(**more), stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=90, check=False,
        )  # fmt: skip

    @property
    def packages(self) -> Path:
        """Where the wheel's packages went."""
        (found,) = (self.folder / ".venv" / "lib").glob("python3*/site-packages")
        return found

    @contextmanager
    def served(self, package: str, asked: str) -> Iterator[str]:
        """Portal or gate under gunicorn, with the configuration that the wheel brings; gives its address."""
        url = f"http://127.0.0.1:{free_port()}"
        bind = {f"{package.upper()}_BIND": url.removeprefix("http://")}
        gunicorn = [self.folder / ".venv" / "bin" / "python", "-m", "gunicorn"]
        configuration = self.packages / package / "gunicorn.conf.py"
        with Server(
            [str(word) for word in (*gunicorn, "-c", configuration, f"{package}.wsgi")],
            log=self.elsewhere / f"{package}.log",
            cwd=self.elsewhere,
            env=self.environment(**bind),
            ready=lambda: answers_http(f"{url}{asked}"),
        ):
            yield url


@pytest.fixture(scope="module")
def installed(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """What is not Vedetta comes from the environment of the tests, so that no network is needed."""
    folder = tmp_path_factory.mktemp("installed")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / ".venv"], check=True)
    found = Installed(folder, tmp_path_factory.mktemp("elsewhere"))
    (found.packages / "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
    (wheel,) = built.glob("*.whl")
    pip: list[str | Path] = [sys.executable, "-m", "pip", "--python", folder / ".venv" / "bin" / "python"]
    subprocess.run([*pip, "install", "--quiet", "--no-deps", "--no-index", wheel], check=True)
    (folder / ".env").write_text(f"SECRET_KEY='{SECRET_KEY}'\nSENTINEL_ADDRESS=off\n")
    return found


def test_the_wheel_holds_every_page_and_file_that_is_here(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    names = set(ZipFile(wheel).namelist())
    wanted = {
        f"portal/{name}" if name.startswith(("templates/", "deploy/")) else name
        for name in ours()
        if name.startswith(("backups/", "portal/", "sentinel/", "templates/", "deploy/"))
    }

    assert {name for name in names if ".dist-info/" not in name} == {*wanted, "backups/commit.txt"}


# Above, the wheel is made of the checkout.
@pytest.mark.soak
def test_the_source_archive_makes_the_same_wheel(built: Path, tmp_path: Path) -> None:
    (archive,) = built.glob("*.tar.gz")
    with tarfile.open(archive) as tar:
        tar.extractall(tmp_path, filter="data")
    (sources,) = tmp_path.iterdir()
    assert (sources / "requirements.txt").is_file(), "what is installed beside it is pinned there"

    release.build_packages(sources, tmp_path / "again", COMMIT)

    ((first,), (second,)) = (folder.glob("*.whl") for folder in (built, tmp_path / "again"))
    assert set(ZipFile(first).namelist()) == set(ZipFile(second).namelist())


def test_what_is_installed_knows_its_version_settings_and_folder(installed: Installed) -> None:
    told = installed.vedetta("version", "--json")
    assert told.returncode == 0, told.stderr
    said = json.loads(told.stdout.splitlines()[-1])
    assert (said["vedetta"], said["commit"]) == (backups.__version__, COMMIT)

    checked = installed.vedetta("check")
    assert checked.returncode == 0, checked.stderr
    migrated = installed.vedetta("migrate", "--no-input")
    assert migrated.returncode == 0, migrated.stderr
    assert (installed.folder / "var" / "portal.sqlite3").is_file()
    assert list(installed.elsewhere.iterdir()) == []

    home = installed.elsewhere / "home"
    refused = installed.vedetta("check", VEDETTA_HOME=str(home))
    assert (refused.returncode, refused.stderr.startswith("vedetta: SECRET_KEY is not set")) == (1, True)
    elsewhere = installed.vedetta("migrate", VEDETTA_HOME=str(home), SECRET_KEY=SECRET_KEY)
    assert f"its folder {home}/var is not there" in elsewhere.stderr


def test_what_is_installed_serves_the_portal_and_the_gate(installed: Installed) -> None:
    migrate(installed)

    with installed.served("portal", "/sentinel/ok") as url:
        page = urllib.request.urlopen(f"{url}/admin/login/", timeout=20).read().decode()
        assert "Vedetta" in page
        assert "vedetta.css" in page
        in_italian = urllib.request.Request(f"{url}/admin/login/", headers={"Accept-Language": "it"})
        assert "Bentornato su" in urllib.request.urlopen(in_italian, timeout=20).read().decode()
        css = urllib.request.urlopen(f"{url}/static/vedetta/vedetta.css", timeout=20).read()
        assert css == (PROJECT / "portal" / "static" / "vedetta" / "vedetta.css").read_bytes()
    with installed.served("sentinel", "/sentinel/ok") as url:
        assert urllib.request.urlopen(f"{url}/sentinel/ok", timeout=20).read() == b"grace"
    assert (installed.folder / "var" / "status" / "first_boot").is_file()


def migrate(installed: Installed) -> None:
    """Where no test before this one had it migrated."""
    if not (installed.folder / "var" / "portal.sqlite3").exists():
        assert installed.vedetta("migrate", "--no-input").returncode == 0


def test_what_is_installed_backs_up_and_its_worker_starts(
    installed: Installed, mariadb_server: DatabaseServer, empty_repository: Path
) -> None:
    """Programs of ours that it starts are found where the packages are."""
    shop = make_shop(mariadb_server)
    repository = copy_repository(empty_repository, installed.elsewhere / "repository")
    named = {
        "RESTIC_REPOSITORY": repository, "RESTIC_PASSWORD": RESTIC_PASSWORD, "BACKUP_PORTAL": "false",
        **shop.environment,
    }  # fmt: skip
    migrate(installed)
    bootstrapped = installed.vedetta("bootstrap", **named)
    assert bootstrapped.returncode == 0, bootstrapped.stderr
    ran = installed.vedetta("backup", "--json", **named)
    assert ran.returncode == 0, ran.stderr
    assert (installed.folder / "var" / "status" / "last_ok").is_file()

    def has_both_pulses() -> bool:
        with closing(sqlite3.connect(installed.folder / "var" / "portal.sqlite3", timeout=30)) as file:
            ((count,),) = file.execute("SELECT COUNT(*) FROM backups_workerpulse").fetchall()
        return bool(count == 2)

    with Server(
        [str(installed.folder / ".venv" / "bin" / "vedetta"), "worker"],
        log=installed.elsewhere / "worker.log",
        cwd=installed.elsewhere,
        env=installed.environment(**named),
        ready=has_both_pulses,
    ):
        pass


def test_where_the_units_run_it_the_command_goes_their_way(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With their user and settings, and only for the installation that they run."""
    from portal import command_line

    units = wrapper()
    (tmp_path / "env").touch()
    monkeypatch.setattr(units, "PROJECT", str(tmp_path))
    monkeypatch.setattr(units, "SETTINGS", str(tmp_path / "env"))
    calls: list[list[str]] = []
    monkeypatch.setattr(units, "main", calls.append)
    monkeypatch.setattr(command_line, "_as_units", lambda: units)
    monkeypatch.setattr(command_line, "main", lambda: calls.append([]))

    monkeypatch.setenv("VEDETTA_HOME", str(tmp_path / "another"))
    command_line.installed()
    assert calls == [[]]

    monkeypatch.setenv("VEDETTA_HOME", str(tmp_path))
    command_line.installed()
    assert calls[1] == [sys.executable, "-P", "-m", "portal"]
    (tmp_path / "env").unlink()
    calls.clear()
    command_line.installed()
    assert calls == [[]]
