"""`make run`'s program in a copy of the project, with nothing set and nothing there yet."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import MySQLdb
import pytest

from portal import servers_secrets
from portal.env import env_file
from sentinel import heartbeat
from tests.backups.light_key import make_light
from tests.backups.worlds import (
    RESTIC_PASSWORD,
    Shop,
    copy_repository,
    environment_of,
    over_and_over,
    wait_until,
)
from tests.servers import Server, free_port
from tools.running import common, left_open
from tools.running.address import Address

PROJECT = Path(__file__).resolve().parents[2]
# What is compiled goes along, as several processes would compile it at once.
LEFT_OUT = shutil.ignore_patterns(
    ".git", ".venv", "var", ".*_cache", ".hypothesis", ".env", "tests", "bench", "docs"
)
GENERATED = {"SECRET_KEY", "RESTIC_PASSWORD", "MYSQL_PASSWORD", "PORTAL_ADMIN_PASSWORD"}


class Checkout:
    """A copy of the project, and the ports that it serves on."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        shutil.copytree(PROJECT, folder, ignore=LEFT_OUT)
        (folder / ".venv").symlink_to(PROJECT / ".venv")
        self.portal, self.gate = free_port(), free_port()
        self.log = folder / "var" / "terminal.log"
        self._is_light = False
        self.typed = {
            "PORTAL_BIND": f"127.0.0.1:{self.portal}",
            "SENTINEL_BIND": f"127.0.0.1:{self.gate}",
            # Each takes a second to start.
            "WEB_CONCURRENCY": "1",
        }

    @property
    def run_env(self) -> Path:
        """What it made for itself and keeps."""
        return self.folder / "var" / "run.env"

    @property
    def environment(self) -> dict[str, str]:
        """A person's, who has set nothing but two free ports and one process of the portal."""
        return {
            "PATH": os.environ["PATH"],
            "HOME": os.environ.get("HOME", "/"),
            **self.typed,
        }

    def start(self, *options: str) -> Server:
        """Start it; its caller waits for what it says."""
        self.log.unlink(missing_ok=True)
        self._make_repository_light()
        clean = ["env", "-i", *(f"{name}={value}" for name, value in self.environment.items())]
        command = [".venv/bin/python", "-m", "tools.run", "--sample-megabytes", "3", *options]
        server = Server([*clean, *command], log=self.log, cwd=self.folder, ready=lambda: True)
        return server.start()

    def _make_repository_light(self) -> None:
        """The first start alone has the key as restic made it."""
        repository = self.folder / "var" / "repository"
        if not self._is_light and repository.exists():
            make_light(repository, env_file(self.run_env).values["RESTIC_PASSWORD"])
            self._is_light = True

    @contextmanager
    def running(self, *options: str) -> Iterator[Server]:
        """Serving, for the length of a block."""
        server = self.start(*options)
        try:
            wait_until(
                lambda: self.says("Ctrl-C stops everything.") or not server.running, "it to serve", 120
            )
            assert server.running, self.log.read_text()
            yield server
        finally:
            server.stop()

    def says(self, text: str) -> bool:
        """Whether the terminal shows this."""
        return text in self.log.read_text()

    def manage(self, *arguments: str) -> dict[str, Any]:
        """What a command beside it answers."""
        done = subprocess.run(
            [".venv/bin/python", "manage.py", *arguments, "--json"],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=True,
        )
        told = json.loads(done.stdout.splitlines()[-1])
        assert isinstance(told, dict)
        return told

    def secrets_of(self, program: str) -> set[str]:
        """Which secrets of servers those processes were started with that run a program, by name."""
        found = set[str]()
        for pid, command in self.by_pid().items():
            if program in command:
                given = environment_of(pid).split("\0")
                found |= set(servers_secrets.names_in(dict(each.partition("=")[::2] for each in given)))
        return found

    def processes(self) -> list[str]:
        """Whatever runs in or from this folder."""
        return list(self.by_pid().values())

    def by_pid(self) -> dict[int, str]:
        """The same by process id."""
        found = {}
        for place in Path("/proc").iterdir():
            try:
                command = (place / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                if command and (str(self.folder) in command or (place / "cwd").readlink() == self.folder):
                    found[int(place.name)] = command
            except (OSError, ValueError):
                continue
        return found

    def status(self, port: int, path: str) -> tuple[int, str]:
        """Status and body of an answer."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """One for all tests of this module: what it made once, it keeps."""
    return Checkout(tmp_path_factory.mktemp("run") / "checkout")


@pytest.mark.slow
def test_it_serves_a_verified_backup_refuses_a_second_run_and_ctrl_c_leaves_nothing(
    checkout: Checkout,
) -> None:
    with checkout.running() as server:
        assert checkout.status(checkout.portal, "/admin/login/")[0] == 200
        assert checkout.status(checkout.gate, "/sentinel/ok") == (200, "fresh")
        (snapshot,) = checkout.manage("snapshots")["snapshots"]
        assert snapshot["verified"]
        assert snapshot["path"] == "/mysql/orders_tracker.sql"
        assert checkout.secrets_of("portal.wsgi") == set()
        assert checkout.secrets_of("manage.py worker") == {"MYSQL_PASSWORD", "RESTIC_PASSWORD"}
        second = _ran(checkout, {**checkout.environment, "PORTAL_BIND": f"127.0.0.1:{free_port()}"})
        os.kill(server.pid, signal.SIGINT)
        wait_until(lambda: not server.running, "the end", 30)

    assert second.returncode == 1
    assert second.stderr == "run: `make run` is running in this folder already.\n"
    assert checkout.says("Everything is stopped.")
    assert checkout.processes() == []
    assert not checkout.says("Traceback")


# Below, another start on what the first one made, which is killed.
@pytest.mark.soak
@pytest.mark.slow
def test_second_start_keeps_what_the_first_made_and_leaves_nothing_when_killed(checkout: Checkout) -> None:
    run_env = checkout.run_env
    last_ok = checkout.folder / "var" / "status" / "last_ok"
    if not last_ok.exists():  # played alone
        with checkout.running():
            pass
    before = run_env.read_text(), heartbeat.stamp_read(last_ok).time
    with checkout.running() as server:
        after = run_env.read_text(), heartbeat.stamp_read(last_ok).time
        os.kill(server.pid, signal.SIGKILL)
        wait_until(lambda: checkout.processes() == [], "the end of all that it started", 60)

    assert before == after
    assert not checkout.says("Making a first backup")
    assert run_env.stat().st_mode & 0o777 == 0o600
    assert set(re.findall(r"^(\w+)=.", run_env.read_text(), re.MULTILINE)) >= GENERATED
    assert {path.name for path in run_env.parent.iterdir()} >= {"mariadb", "repository"}


@pytest.mark.slow
def test_a_server_for_test_restores_takes_them_all(checkout: Checkout) -> None:
    """Also those of commands in another terminal; and the first server sees none of them.

    In a run of the whole file it starts on what the first one made, and makes no other first backup. It is
    killed in the end, and nothing is left of it.
    """
    is_second = checkout.run_env.exists()
    with checkout.running("--verify-server") as server:
        assert is_second != checkout.says("Making a first backup")
        assert checkout.run_env.stat().st_mode & 0o777 == 0o600
        assert set(re.findall(r"^(\w+)=.", checkout.run_env.read_text(), re.MULTILINE)) >= GENERATED
        assert checkout.status(checkout.gate, "/sentinel/ok") == (200, "fresh")
        settings = env_file(checkout.run_env).values
        place = f"127.0.0.1:{settings['VERIFY_MYSQL_PORT']}"
        with databases_that_appear(settings) as appeared:
            told = checkout.manage("verify")
        assert (told["verdict"], appeared) == ("identical", set())
        assert told["verified_on"]["address"] == place
        assert checkout.says(f"Verified  on {place}")
        os.kill(server.pid, signal.SIGKILL)
        wait_until(lambda: checkout.processes() == [], "the end of all that it started", 60)


@contextmanager
def databases_that_appear(settings: Mapping[str, str]) -> Iterator[set[str]]:
    """What the first server lists at any time in a block and did not before it."""
    connection = MySQLdb.connect(
        host=settings["MYSQL_HOST"],
        port=int(settings["MYSQL_PORT"]),
        user=settings["MYSQL_USER"],
        password=settings["MYSQL_PASSWORD"],
        autocommit=True,
    )

    def listed() -> set[str]:
        with connection.cursor() as cursor:
            cursor.execute("SHOW DATABASES")
            return {str(name) for (name,) in cursor.fetchall()}

    before, appeared = listed(), set[str]()
    with closing(connection), over_and_over(lambda: appeared.update(listed() - before), pause=0.02):
        yield appeared


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("VERIFY_MYSQL_HOST", "elsewhere", "VERIFY_MYSQL_HOST is set, so test restores would go there"),
        ("VERIFY_MYSQL_PORT", "70000", "VERIFY_MYSQL_PORT is 70000, which cannot be used"),
    ],
)  # fmt: skip
def test_a_server_for_test_restores_that_nothing_would_use_is_not_started(
    checkout: Checkout, name: str, value: str, said: str
) -> None:
    ran = _ran(checkout, {**checkout.environment, name: value}, "--verify-server")

    assert ran.returncode == 1
    assert ran.stderr.startswith(f"run: {said}")


@pytest.mark.soak
def test_it_waits_for_what_a_killed_run_left(checkout: Checkout) -> None:
    with checkout.running() as server:
        os.kill(server.pid, signal.SIGKILL)
        wait_until(lambda: not server.running, "its own end")
        with checkout.running():
            assert checkout.status(checkout.portal, "/admin/login/")[0] == 200
    assert checkout.processes() == []


# Above, runs that are told to stop or killed once they serve.
@pytest.mark.soak
@pytest.mark.slow
def test_the_server_for_test_restores_is_the_same_and_a_signal_in_the_middle_of_the_start_leaves_nothing(
    checkout: Checkout,
) -> None:
    if not (checkout.folder / "var" / "verify-mariadb").exists():  # played alone
        with checkout.running("--verify-server"):
            pass
    settings = env_file(checkout.run_env).values
    server = checkout.start("--verify-server")
    try:
        wait_until(lambda: checkout.says("Setting up the portal"), "the set-up")
        place = f"127.0.0.1:{settings['VERIFY_MYSQL_PORT']}"
        assert checkout.says(f"for test restores on {place} (var/verify-mariadb)")
        assert env_file(checkout.run_env).values == settings
        os.kill(server.pid, signal.SIGTERM)
        wait_until(lambda: not server.running, "the end", 40)
    finally:
        server.stop()

    assert checkout.says("Everything is stopped.")
    assert checkout.processes() == []


def test_port_that_is_taken_is_named(checkout: Checkout) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        bind = f"127.0.0.1:{other.getsockname()[1]}"
        ran = _ran(checkout, {**checkout.environment, "PORTAL_BIND": bind})

    assert ran.returncode == 1
    assert ran.stderr.startswith(f"run: {bind} cannot be used (Address already in use)")
    assert "PORTAL_BIND" in ran.stderr


@pytest.mark.parametrize(
    ("name", "value", "missing"),
    [
        ("RESTIC_REPOSITORY", "/somewhere", "RESTIC_PASSWORD"),
        ("MYSQL_HOST", "db.example.com", "MYSQL_PASSWORD"),
    ],
)
def test_a_place_without_its_password_is_refused(
    checkout: Checkout, name: str, value: str, missing: str
) -> None:
    ran = _ran(checkout, {**checkout.environment, name: value})

    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr == f"run: {name} is set, but {missing} is not: set it as well.\n"


def test_a_first_run_with_a_line_that_others_take_otherwise_begins_nothing(tmp_path: Path) -> None:
    checkout = Checkout(tmp_path / "checkout")
    (checkout.folder / ".env").write_text("RESTIC_PASSWORD=hunter2$x\n")

    ran = _ran(checkout, checkout.environment)

    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr.startswith(f"run: Line 1 of {checkout.folder}/.env (RESTIC_PASSWORD) means one value")
    assert "hunter2" not in ran.stderr


def _ran(checkout: Checkout, environment: dict[str, str], *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tools.run", *options],
        cwd=checkout.folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.slow
def test_what_is_set_is_used_and_a_failed_verification_is_told(
    tmp_path: Path, mariadb_shop: Shop, empty_repository: Path, migrated: Path
) -> None:
    checkout = Checkout(tmp_path / "checkout")
    # Above, the portal's tables are made as well.
    (checkout.folder / "var").mkdir()
    shutil.copy(migrated, checkout.folder / "var" / "portal.sqlite3")
    repository = copy_repository(empty_repository, tmp_path / "repository")
    (tmp_path / "password").write_text(mariadb_shop.password)
    (checkout.folder / ".env").write_text(
        f"MYSQL_HOST={mariadb_shop.server.host}\nMYSQL_PORT={mariadb_shop.server.port}\n"
        f"MYSQL_DATABASE={mariadb_shop.name}\nMYSQL_USER={mariadb_shop.user}\n"
        f"MYSQL_PASSWORD_FILE={tmp_path / 'password'}\nMYSQL_PASSWORD=\n"
        f"RESTIC_REPOSITORY={repository}\nRESTIC_PASSWORD={RESTIC_PASSWORD}\nSECRET_KEY=\n"
        f"PORTAL_BIND=127.0.0.1:{checkout.portal}\nSENTINEL_BIND=127.0.0.1:{checkout.gate}\n"
        "WEB_CONCURRENCY=1\n"
    )
    # As Compose hands on what it has no value for: empty counts as not set.
    checkout.typed = {"PORTAL_BIND": "", "WEB_CONCURRENCY": "", "RESTIC_PASSWORD": ""}
    with checkout.running():
        assert checkout.status(checkout.portal, "/healthz")[0] == 200
        assert len([each for each in checkout.processes() if "portal.wsgi" in each]) == 2
        (snapshot,) = checkout.manage("snapshots")["snapshots"]
        assert snapshot["database"] == mariadb_shop.name
        assert checkout.status(checkout.gate, "/sentinel/ok") == (200, "fresh")

    assert checkout.says("may not create the scratch database")
    assert checkout.says("GRANT ALL ON")
    assert not (checkout.folder / "var" / "mariadb").exists()
    assert not (checkout.folder / "var" / "repository").exists()
    assert "RESTIC" not in checkout.run_env.read_text()


@pytest.mark.parametrize(
    ("kept", "now", "moved"),
    [
        ("", {"MYSQL_PORT": "3307"}, []),
        ("MYSQL_PORT=3307\n", {"MYSQL_PORT": "3307"}, []),
        ("MYSQL_PORT=3307\n", {"MYSQL_PORT": "4000"}, ["--moved", "database"]),
        ("RESTIC_REPOSITORY=/old/var\n", {"RESTIC_REPOSITORY": "/new/var"}, ["--moved", "repository"]),
        # Somebody's own server or repository, of which we know nothing.
        ("MYSQL_PORT=3307\nRESTIC_REPOSITORY=/old/var\n", {}, []),
    ],
)
def test_our_own_places_at_another_address_are_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: str, now: dict[str, str], moved: list[str]
) -> None:
    """The port of before was taken, or the folder was moved."""
    monkeypatch.setattr(left_open, "RUN_ENV", tmp_path / "run.env")
    (tmp_path / "run.env").write_text(kept)

    assert left_open.moved_places(now) == moved


def given(folder: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> left_open.Given:
    """What a `.env` of this text and an environment without these names say."""
    for name in ("WEB_CONCURRENCY", "FORWARDED_ALLOW_IPS", "GUNICORN_CMD_ARGS"):
        monkeypatch.setenv(name, "")
    monkeypatch.setattr(left_open, "ROOT", folder)
    (folder / ".env").write_text(text)
    return left_open.Given()


def test_gunicorn_is_told_what_env_file_says_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = given(tmp_path, monkeypatch, "WEB_CONCURRENCY=3\nGUNICORN_CMD_ARGS=--threads 4\nSECRET_KEY=x\n")
    assert left_open.for_gunicorn(said) == {
        "WEB_CONCURRENCY": "3",
        "GUNICORN_CMD_ARGS": "--log-level warning --threads 4",
    }

    for wrong in ("two", "0", "-1", "1.5", "9" * 50):
        with pytest.raises(common.RunError, match=r"^WEB_CONCURRENCY is .*from 1 to 999"):
            left_open.for_gunicorn(given(tmp_path, monkeypatch, f"WEB_CONCURRENCY={wrong}\n"))


def test_a_shell_that_has_read_run_env_sets_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the guides say for `manage.py`; else the next start would take the sample for a server of theirs."""
    monkeypatch.setattr(left_open, "RUN_ENV", tmp_path / "run.env")
    (tmp_path / "run.env").write_text(
        "MYSQL_HOST=127.0.0.1\nMYSQL_PASSWORD=made-here\nSECRET_KEY=made-here-too\n"
    )
    for name, value in (("MYSQL_HOST", "127.0.0.1"), ("MYSQL_PASSWORD", "made-here")):
        monkeypatch.setenv(name, value)

    monkeypatch.setenv("SECRET_KEY", "made-here-too")
    read_from_there = given(tmp_path, monkeypatch, "")
    assert not read_from_there.has("MYSQL_HOST")
    assert left_open.filled_in(read_from_there)[0]["MYSQL_PASSWORD"] == "made-here"

    monkeypatch.setenv("SECRET_KEY", "of-somebody")
    assert given(tmp_path, monkeypatch, "").get("MYSQL_HOST") == "127.0.0.1"


def test_a_socket_that_a_killed_server_left_answers_nobody(tmp_path: Path) -> None:
    address = Address(f"unix:{tmp_path}/portal", "PORTAL_BIND")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(f"{tmp_path}/portal")
        server.listen()
        assert address.answers("/healthz")
        with pytest.raises(common.RunError, match="stop what listens there, or change PORTAL_BIND"):
            address.make_sure_it_is_free()

    assert not address.answers("/healthz")
    address.make_sure_it_is_free()
    assert address.told("/healthz") == f"curl --unix-socket {tmp_path}/portal http://localhost/healthz"
