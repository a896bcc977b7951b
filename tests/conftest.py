"""The environment that Django's settings read, and the servers that tests share."""

from __future__ import annotations

import atexit
import gc
import os
import re
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Generator, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import django
import hypothesis
import pytest

from tests import compiled_once, longest_first, processes_at_once
from tests.servers import (
    FLAVOURS,
    DatabaseServer,
    Flavour,
    PostgreSQLServer,
    S3Server,
    commands,
    made_once,
    programs,
)

PROJECT = Path(__file__).resolve().parent.parent
VAR_DIR = Path(tempfile.mkdtemp(prefix="vedetta-var-"))
atexit.register(shutil.rmtree, VAR_DIR, ignore_errors=True)

# A developer's own repository or database must not be within reach of a test, be it named in the
# environment or in .env: an empty value counts as not set and hides the one in the file.
NAMES = re.findall(r"^(\w+)=", (PROJECT / ".env.example").read_text(), re.MULTILINE)
os.environ.update({name + suffix: "" for name in NAMES for suffix in ("", "_FILE")})
os.environ.update(
    # Named here and not in pyproject.toml, because pytest-django would read that before this.
    DJANGO_SETTINGS_MODULE="portal.settings",
    SECRET_KEY="of the tests, and of nothing else but the tests",
    # Another one where the tests of rows are run again on a server, see tests/portal_database.
    DATABASE_URL=os.environ.get("VEDETTA_TESTS_ROWS_IN") or f"sqlite:///{VAR_DIR / 'portal.sqlite3'}",
    RESTIC_CACHE_DIR=str(VAR_DIR / "restic-cache"),
    SENTINEL_HEARTBEAT_PATH=str(VAR_DIR / "status" / "last_ok"),
    # Of the tests alone: an installation that was lost is begun again with what was kept of its .env.
    VEDETTA_KEY="b2YgdGhlIHRlc3RzLCBhbmQgb2Ygbm90aGluZyBlbHM=",
    VEDETTA_KEY_MADE=str(VAR_DIR / "vedetta_key"),
    VEDETTA_HOME="",
    DOWNLOADS_SOCKET="",
    # Another checkout's gate may run on this machine.
    SENTINEL_ADDRESS="off",
    # A second or two of each test that backs up; those that are about it turn it on.
    BACKUP_PORTAL="false",
)
# Each connection with TLS reads all of the machine's authorities anew, a fiftieth of a second of a core,
# and nobody on loopback is vouched for by them. What builds images asks others than loopback.
if not os.environ.get("VEDETTA_TEST_COMPOSE"):
    os.environ["SSL_CERT_FILE"] = os.devnull
# Each process that a test starts would compile all that it loads anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
made_once.share()
programs.look_there_first()
# Half a second of each message.
commands.fork_messengers()
# How fast a machine is that does other things besides, is nobody's fault: each test has a timeout.
hypothesis.settings.register_profile(
    "tests", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("tests")
# pytest-django sets up too late for the conftest.py of a folder named on the command line.
django.setup()


def _look_for_static_files_once() -> None:
    """Each new client of a test makes the middleware anew, which would look through all of them again."""
    from django.conf import settings
    from whitenoise.middleware import WhiteNoiseMiddleware

    found: dict[str, dict[str, Any]] = {}
    look = WhiteNoiseMiddleware.add_files_from_finders

    def look_once(middleware: WhiteNoiseMiddleware) -> None:
        if middleware.files:
            look(middleware)
            return
        decides = ("DEBUG", "FORCE_SCRIPT_NAME", "INSTALLED_APPS", "STATIC", "WHITENOISE")
        known_by = repr(
            [(name, getattr(settings, name)) for name in dir(settings) if name.startswith(decides)]
        )
        if known_by not in found:
            look(middleware)
            found[known_by] = dict(middleware.files)
        middleware.files = dict(found[known_by])

    WhiteNoiseMiddleware.add_files_from_finders = look_once


_look_for_static_files_once()


def pytest_configure(config: pytest.Config) -> None:
    """The tests' own plugins."""
    config.pluginmanager.register(longest_first)
    config.pluginmanager.register(compiled_once)


def pytest_xdist_auto_num_workers() -> int:
    """How many `--numprocesses auto` is."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return processes_at_once.fitting(len(os.sched_getaffinity(0)), memory)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Where the server makes no difference to the promise, the other one is for the long tests."""
    for item in items:
        wanted = item.get_closest_marker("one_flavour")
        callspec = getattr(item, "callspec", None)
        flavours = [each for each in callspec.params.values() if each in FLAVOURS] if callspec else []
        if wanted and flavours and wanted.args[0] not in flavours:
            item.add_marker(pytest.mark.soak)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What is found is kept to the end: nothing of it has to be looked at for what can be thrown away."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()
        # Django makes much that is no garbage, and every fiftieth second went into looking for some.
        gc.set_threshold(20_000, 20, 20)


@pytest.fixture(autouse=True)
def nobody_heard_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    """What this process heard of another test's worker tells nothing of this one's."""
    from backups.alerting import findings
    from backups.reports import workers
    from backups.runs.hearing import Hearing

    monkeypatch.setattr(workers, "PULSES", Hearing())
    monkeypatch.setattr(findings, "_seen_since", {})


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings: None) -> Iterator[None]:
    """The tests' own database, which is in memory, begins as a copy: Django finds nothing to migrate."""
    from django.db import connection

    if connection.vendor != "sqlite":
        yield
        return
    with ExitStack() as held, pytest.MonkeyPatch.context() as patch:
        make = connection.creation._create_test_db  # type: ignore[attr-defined]

        def make_migrated(*args: Any, **options: Any) -> str:
            name: str = make(*args, **options)
            # It is there as long as anybody has it open.
            database = held.enter_context(closing(sqlite3.connect(name, uri=True)))
            with closing(sqlite3.connect(made_once.migrated_database())) as migrated:
                migrated.backup(database)
            return name

        patch.setattr(connection.creation, "_create_test_db", make_migrated)
        yield


@pytest.fixture(scope="session")
def mariadb_server() -> Iterator[DatabaseServer]:
    """A MariaDB that all tests share; make databases and users of your own in it."""
    with DatabaseServer("mariadb") as server:
        yield server


@pytest.fixture(scope="session")
def mysql_server() -> Iterator[DatabaseServer]:
    """A MySQL that all tests share; make databases and users of your own in it."""
    with DatabaseServer("mysql") as server:
        yield server


@pytest.fixture(scope="session", params=FLAVOURS)
def db_server(request: pytest.FixtureRequest) -> DatabaseServer:
    """Each of the two shared servers in turn, started when first asked for."""
    flavour: Flavour = request.param
    server: DatabaseServer = request.getfixturevalue(f"{flavour}_server")
    return server


@pytest.fixture(scope="session")
def mariadb_with_log() -> Iterator[DatabaseServer]:
    """A MariaDB that writes a binary log, which by default it does not."""
    with DatabaseServer("mariadb", options=["--log-bin=binlog", "--server-id=7"]) as server:
        yield server


@pytest.fixture(params=FLAVOURS)
def logging_server(request: pytest.FixtureRequest) -> DatabaseServer:
    """A server with a binary log."""
    name = {"mariadb": "mariadb_with_log", "mysql": "mysql_server"}[request.param]
    server: DatabaseServer = request.getfixturevalue(name)
    return server


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[PostgreSQLServer]:
    """A PostgreSQL that all tests share; have a database of your own made in it."""
    with PostgreSQLServer() as server:
        yield server


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """An S3 server that all tests share; make a bucket of your own in it."""
    with S3Server(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture(scope="session")
def restic_path() -> Path:
    """The restic that set-up has put beside this Python, or else the one on PATH."""
    beside = Path(sys.executable).with_name("restic")
    found = str(beside) if beside.exists() else shutil.which("restic")
    assert found, "restic is missing: run `make setup`"
    return Path(found)


@pytest.fixture
def file_database(tmp_path: Path) -> Iterator[None]:
    """The portal's database as a file, with the settings of the real one."""
    from django.db import connection, connections

    settings = connection.settings_dict
    before = settings["NAME"]
    connections.close_all()
    settings["NAME"] = str(tmp_path / "portal.sqlite3")
    del connections["default"]
    connections["default"].settings_dict["NAME"] = settings["NAME"]
    shutil.copy(made_once.migrated_database(), settings["NAME"])
    yield
    connections.close_all()
    settings["NAME"] = before
    del connections["default"]
