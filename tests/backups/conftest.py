"""Shops on real servers, repositories, and portals that back the one up into the other."""

from __future__ import annotations

import atexit
import dataclasses
import functools
import os
import re
import shutil
import subprocess
import tempfile
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from backups.choices import Action, Trigger
from backups.models import Database, Repository, Run, Server
from backups.runs import lifecycle
from backups.runs.asked import Asker, Wanted
from backups.worker import executor
from tests.backups.light_key import make_light
from tests.backups.worlds import (
    RESTIC_PASSWORD,
    Portal,
    Shop,
    client_dir,
    copy_repository,
    copy_set_up,
    is_due,
    is_named_as_usual,
    make_awkward,
    make_shop,
)
from tests.servers import FLAVOURS, DatabaseServer, S3Server, made_once

MakeDatabase = Callable[..., Database]
MakePortal = Callable[..., Portal]


def made_repository(name: str, restic_path: Path) -> Path:
    """The empty repository of that name, to copy; two names are two repositories to restic."""

    def make(folder: Path) -> None:
        subprocess.run(
            [restic_path, "init", "--repo", folder],
            env={**os.environ, "RESTIC_PASSWORD": RESTIC_PASSWORD},
            check=True,
            capture_output=True,
        )
        make_light(folder, RESTIC_PASSWORD)
        # One for each first byte of a pack's name, which restic makes where it is missing: to copy all of
        # them took a twentieth of a second of each test.
        for empty in (folder / "data").iterdir():
            empty.rmdir()

    return made_once.made_once(f"{name}-repository", make)


# By the environment of this process, which a test may have changed, and the portal's own.
_set_up_portals: dict[frozenset[tuple[str, str]], Portal] = {}
# What is asked for often, besides nothing.
WITH_A_COPY = {"BACKUP_PORTAL": "true"}


def _set_up(
    shop: Shop, environment: dict[str, str], restic_path: Path, empty_repository: Path, migrated: Path
) -> Portal:
    """A portal as bootstrap leaves it, to copy; another one once something of its schedule was due."""
    ours = {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}
    known_by = frozenset({**ours, **environment}.items())
    portal = _set_up_portals.get(known_by)
    if portal is None or is_due(portal):
        folder = Path(tempfile.mkdtemp(dir=_folder())) / "portal"
        portal = Portal(folder, shop, restic_path, str(empty_repository), dict(environment))
        shutil.copy(migrated, portal.database_file)
        ran = portal.manage("bootstrap")
        assert ran.code == 0, ran.err
        _set_up_portals[known_by] = portal
    return portal


@functools.cache
def _folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="vedetta-templates-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@pytest.fixture(scope="session")
def empty_repository(restic_path: Path) -> Path:
    """A repository to copy: restic takes seconds to make one, and half a second to open it."""
    return made_repository("empty", restic_path)


@pytest.fixture(scope="session")
def another_repository(restic_path: Path) -> Path:
    """One to copy that opens with the same password, and is another one to restic: it has its own id."""
    return made_repository("another", restic_path)


@pytest.fixture(scope="session")
def migrated() -> Path:
    """A migrated portal database to copy."""
    return made_once.migrated_database()


@pytest.fixture
def shop(db_server: DatabaseServer) -> Iterator[Shop]:
    """A small database of all kinds of objects, on each flavour in turn."""
    shop = make_shop(db_server)
    yield shop
    db_server.execute(f"DROP DATABASE IF EXISTS `{shop.name}`; DROP USER IF EXISTS '{shop.user}'@'%'")


@pytest.fixture
def mariadb_shop(mariadb_server: DatabaseServer) -> Shop:
    """The small database where the server's flavour does not matter."""
    return make_shop(mariadb_server)


@pytest.fixture(scope="session", params=FLAVOURS)
def awkward(request: pytest.FixtureRequest) -> Shop:
    """The database of all names, bytes and bodies that a dump has to survive; leave it as it is."""
    return make_awkward(request.getfixturevalue(f"{request.param}_server"), "awkward `data`base %_")


@pytest.fixture
def make_portal(
    tmp_path: Path, restic_path: Path, empty_repository: Path, migrated: Path
) -> Iterator[MakePortal]:
    """Makes a portal for a shop, set up and ready to back up; nothing of it outlives the test."""
    made: list[Portal] = []

    def make(shop: Shop, *, repository: str | None = None, set_up: bool = True, **environment: str) -> Portal:
        folder = tmp_path / f"portal{len(made)}"
        is_usual = repository is None and environment in ({}, WITH_A_COPY) and is_named_as_usual(shop)
        if repository is None:
            repository = copy_repository(empty_repository, folder / "repository")
        portal = Portal(folder, shop, restic_path, repository, environment)
        made.append(portal)
        if set_up and is_usual:
            copy_set_up(_set_up(shop, environment, restic_path, empty_repository, migrated), portal)
            return portal
        shutil.copy(migrated, portal.database_file)
        if set_up:
            ran = portal.manage("bootstrap")
            assert ran.code == 0, ran.err
        return portal

    yield make
    for portal in made:
        for pid in portal.processes():
            try:
                os.kill(pid, 9)
            except ProcessLookupError:
                continue


@pytest.fixture
def portal(shop: Shop, make_portal: MakePortal) -> Portal:
    """A portal that backs up the small database, on each flavour in turn."""
    return make_portal(shop)


@pytest.fixture
def mariadb_portal(mariadb_shop: Shop, make_portal: MakePortal) -> Portal:
    """A portal where the server's flavour does not matter."""
    return make_portal(mariadb_shop)


@pytest.fixture
def repository(
    db: None,
    tmp_path: Path,
    empty_repository: Path,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> Repository:
    """A repository in this process's own portal, with the password that opens it."""
    monkeypatch.setenv("RESTIC_PASSWORD", RESTIC_PASSWORD)
    settings.RESTIC_CACHE_DIR = str(tmp_path / "cache")
    settings.SENTINEL = dataclasses.replace(settings.SENTINEL, heartbeat_path=tmp_path / "status" / "last_ok")
    url = copy_repository(empty_repository, tmp_path / "repository")
    return Repository.objects.create(name="main", url=url, check_interval=0)


# What a shop's row has on its server's.
OF_A_SERVER = {"host", "port", "user", "password_ref", "ssl_mode", "ssl_ca"}


@pytest.fixture
def make_database(
    repository: Repository, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> MakeDatabase:
    """Makes the row of a shop in this process's own portal, ready to back up."""

    def make(shop: Shop, **fields: Any) -> Database:
        settings.MYSQL_CLIENT_DIR = client_dir(shop.server)
        monkeypatch.setenv("MYSQL_PASSWORD", shop.password)
        there = {"host": shop.server.host, "port": shop.server.port, "user": shop.user}
        there |= {name: fields.pop(name) for name in OF_A_SERVER & fields.keys()}
        name = f"of {fields.get('name', shop.name)}"
        return Database.objects.create(
            **{
                "name": shop.name,
                "server": Server.objects.create(name=name, **there),
                "database": shop.name,
                "repository": repository,
                "is_primary": True,
                **fields,
            }
        )

    return make


@pytest.fixture
def back_up() -> Callable[[Database], Run]:
    """Plays a backup of a database in this process, and gives its run."""

    def back_up(database: Database) -> Run:
        run = lifecycle.run_enqueue(Wanted(Action.BACKUP, database=database), Asker(Trigger.CLI), send=False)
        played = executor.execute(run.pk, send_follow_ups=False)
        assert played is not None
        return played

    return back_up


@pytest.fixture
def bucket(s3_server: S3Server, request: pytest.FixtureRequest) -> str:
    """The address of an empty bucket, as restic takes it."""
    name = re.sub("[^a-z0-9]+", "-", request.node.name.lower())[-40:].strip("-")
    return s3_server.create_bucket(name)


@pytest.fixture
def s3_repository(bucket: str, empty_repository: Path) -> str:
    """The address of an empty repository in a bucket."""
    for file in [empty_repository / "config", *(empty_repository / "keys").iterdir()]:
        url = f"{bucket.removeprefix('s3:')}/{file.relative_to(empty_repository)}"
        request = urllib.request.Request(url, data=file.read_bytes(), method="PUT")
        request.add_header("Content-Type", "application/octet-stream")
        urllib.request.urlopen(request, timeout=10).close()
    return bucket
