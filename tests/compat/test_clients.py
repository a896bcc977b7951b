"""Which client programs are taken for which server, and what is said of those that are not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from backups import mysql
from backups.actions import preflight
from backups.actions.steps.checks import Found
from backups.models import Database, Run
from tests.actions.tools import wrapped_clients
from tests.backups.conftest import MakeDatabase
from tests.backups.worlds import Shop, client_dir
from tests.servers import DatabaseServer

BackUp = Callable[[Database], Run]
MARIADB = mysql.ServerInfo("MariaDB", "10.11.19-MariaDB")
MYSQL = mysql.ServerInfo("MySQL", "9.7.4")
MARIADBS = ("mariadb-dump", "mariadb", "mysqldump", "mysql")
MYSQLS = ("mysqldump", "mysql")
SAYS = {"mariadb": "mysqldump from 11.8.9-MariaDB, client 10.20", "mysql": "mysqldump  Ver 8.0.40 for Linux"}


def folder_of(path: Path, flavour: str, names: tuple[str, ...]) -> str:
    """A folder of programs that say their version as this flavour's do."""
    path.mkdir()
    for name in names:
        (path / name).write_text(f"#!/bin/sh\necho '{SAYS[flavour]}'\n")
        (path / name).chmod(0o755)
    return str(path)


@pytest.fixture
def folders(tmp_path: Path) -> dict[str, str]:
    """A folder of each flavour's programs, MariaDB's also under MySQL's names, as Debian has them."""
    return {
        "mariadb": folder_of(tmp_path / "mariadb", "mariadb", MARIADBS),
        "mysql": folder_of(tmp_path / "mysql", "mysql", MYSQLS),
    }


@pytest.mark.parametrize("order", [("mariadb", "mysql"), ("mysql", "mariadb")])
@pytest.mark.parametrize("info", [MARIADB, MYSQL])
def test_own_flavour_is_found_in_one_of_several_folders(
    folders: dict[str, str], order: tuple[str, str], info: mysql.ServerInfo
) -> None:
    found = mysql.clients(info, ":".join(folders[flavour] for flavour in order))

    own = folders[info.flavour.lower()]
    assert (found.flavour, found.dump.rpartition("/")[0]) == (info.flavour, own)
    assert found.version == {"MariaDB": "11.8.9", "MySQL": "8.0.40"}[info.flavour]


def test_mariadbs_programs_under_older_names(tmp_path: Path) -> None:
    found = mysql.clients(MARIADB, folder_of(tmp_path / "old", "mariadb", MYSQLS))

    assert (found.flavour, found.dump) == ("MariaDB", f"{tmp_path}/old/mysqldump")


@pytest.mark.parametrize("names", [MARIADBS, ("mariadb-dump", "mariadb")])
def test_mysql_is_refused_to_mariadbs_client(tmp_path: Path, names: tuple[str, ...]) -> None:
    with pytest.raises(mysql.MySQLProblem, match="does not take back") as refused:
        mysql.clients(MYSQL, folder_of(tmp_path / "bin", "mariadb", names))

    assert "Install MySQL's own mysqldump, or" in refused.value.do


def test_mariadb_is_refused_to_mysqls_client(folders: dict[str, str]) -> None:
    with pytest.raises(mysql.MySQLProblem, match="cannot log in to MariaDB") as refused:
        mysql.clients(MARIADB, folders["mysql"])

    assert "Install MariaDB's own mariadb-dump, or add its folder" in refused.value.do
    assert "behind a colon" in refused.value.do, (
        "in the place of the other's it would stop that one's backups"
    )


def test_the_dump_program_is_all_that_is_needed(tmp_path: Path) -> None:
    """No program loads: a folder with the other one alone is none of a client's."""
    alone = folder_of(tmp_path / "bin", "mysql", ("mysqldump",))

    assert mysql.clients(MYSQL, alone).dump == f"{alone}/mysqldump"
    with pytest.raises(mysql.MySQLProblem, match="No client programs for MySQL"):
        mysql.clients(MYSQL, folder_of(tmp_path / "loads", "mysql", ("mysql",)))


@pytest.mark.parametrize("version", ["10.11", "9.0", "11.8.9"])
def test_client_that_is_not_older_is_fine(version: str) -> None:
    server = mysql.ServerInfo("MariaDB", f"{version}-MariaDB")

    assert mysql.client_warnings(server, mysql.Clients("d", "MariaDB", version)) == []


@pytest.mark.one_flavour("mariadb")
def test_refusal_reaches_preflight_and_the_backup(
    shop: Shop,
    make_database: MakeDatabase,
    back_up: BackUp,
    settings: Settings,
    mariadb_server: DatabaseServer,
    mysql_server: DatabaseServer,
) -> None:
    database = make_database(shop)
    other = mysql_server if shop.server is mariadb_server else mariadb_server
    only_mariadb = {mysql_server: str(mysql_server.client_dir), mariadb_server: "/usr/bin"}
    settings.MYSQL_CLIENT_DIR = only_mariadb[other]

    checks = {check.name: check for check in preflight.checks(database, Found())}
    run = back_up(database)

    assert not checks["client"].ok
    assert "are MySQL's. They" in checks["client"].detail or "are MariaDB's. They" in checks["client"].detail
    assert run.status == "failed"
    assert run.error.startswith(checks["client"].detail.partition(",")[0])
    assert database.snapshots.count() == 0


@pytest.mark.one_flavour("mysql")
@pytest.mark.django_db
def test_older_client_is_a_warning_on_the_databases_page(
    shop: Shop,
    make_database: MakeDatabase,
    back_up: BackUp,
    settings: Settings,
    tmp_path: Path,
    client: Client,
) -> None:
    older = '[ "$1" = --version ] && { echo "$0  Ver 5.1.2 Distrib 5.1.2-$KIND"; exit; }; exec $REAL "$@"'
    script = older.replace("$KIND", "MariaDB" if shop.server.flavour == "mariadb" else "log")
    database = make_database(shop)
    settings.MYSQL_CLIENT_DIR = wrapped_clients(
        shop, tmp_path / "older", mysqldump=script, mariadb_dump=script
    )

    run = back_up(database)

    assert run.status == "succeeded", run.error
    database.refresh_from_db()
    (warning,) = [w for w in database.preflight_warnings if "older than the server" in w]
    assert warning.startswith("The client (5.1.2) is older than the server (")
    client.force_login(
        User.objects.create_superuser("root"), backend="django.contrib.auth.backends.ModelBackend"
    )
    page = client.get(reverse("admin:backups_database_change", args=[database.pk]))
    assert "is older than the server" in page.content.decode()


def test_client_folder_of_the_tests_servers(db_server: DatabaseServer) -> None:
    """Both flavours' folders at once, as the image that carries both is set up."""
    folder = f"{mysql_folder()}:/usr/bin"
    server = mysql.Server(db_server.host, db_server.port, db_server.user, db_server.password)
    with mysql.connect(server) as connection:
        info = mysql.probe(connection)

    assert mysql.clients(info, folder).flavour == info.flavour
    assert mysql.clients(info, client_dir(db_server)).flavour == info.flavour


def mysql_folder() -> str:
    """Where the tests' MySQL has its programs."""
    from tools import mysql as tool

    return str(tool.home() / "bin")
