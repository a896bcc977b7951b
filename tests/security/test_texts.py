"""Strangers' texts: what can be used as its kind is taken, whatever else is refused where it is used."""

from __future__ import annotations

from collections.abc import Callable
from os import uname
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.test import Client
from django_q.models import Schedule
from hypothesis import given
from hypothesis import strategies as st
from pytest_django import Settings

from backups import mysql, process, restic
from backups.actions import preflight
from backups.actions.steps import checks
from backups.choices import Status
from backups.configuration import bootstrap
from backups.endpoints import database_server, repository_access
from backups.errors import Problem
from backups.models import Database, Repository, Run, Server
from backups.scheduling import right_times, schedules
from backups.text import checked
from backups.worker import reaper
from tests.backups.conftest import (
    MakeDatabase,
    back_up,
    empty_repository,
    make_database,
    mariadb_shop,
    repository,
)
from tests.backups.worlds import Shop
from tools.history import History

__all__ = ["back_up", "empty_repository", "make_database", "mariadb_shop", "repository"]

# ---------------------------------------------------------------- Each kind by itself

FIT: dict[type, list[Any]] = {
    checked.Host: [
        "db", "my_db", "db.example.com", "db.example.com.", "größe", "127.0.0.1", "::1", "[::1]",
        "fe80::1%eth0", "/run/mysqld/mysqld.sock", "/a folder/of; mine,too=.sock", "a" * 255,
    ],
    checked.Port: [1, 3306, 65535],
    checked.User: ["vedetta", "app user", "größe", "a;b", "--help"],
    checked.TlsMode: ["DISABLED", "PREFERRED", "REQUIRED", "VERIFY_CA", "VERIFY_IDENTITY"],
    checked.Path: ["", "/etc/ssl/ca.pem", "relative.pem", "/a b;c"],
    checked.PartialFile: [
        "/srv/x/.shop-20261129-031500-0a1b2c3d.sql.partial", "/.größe-20261129-031500-0a1b2c3d.sql.partial",
    ],
    checked.SchemaName: ["orders", "a`b", "a/b", "../../x", "--all-databases", "a\nb", "x" * 64],
    checked.Location: [
        "/srv/restic", "-odd/folder", "relative", "local:/srv", "sftp:user@host:/srv/a-b", "sftp:nas:backups",
        "sftp://user@host:2222//srv", "sftp://user@[::1]:2222//srv", "sftp:DOMAIN\\user@nas:/x",
        "sftp:me@example.com@nas:/x", "sftp:host:-x/y", "sftp://host//-x", "rclone:my-remote:path/to-it",
        "rclone:b2 prod:bucket", "s3:https://host/bucket", "s3:host/-bucket", "rest:https://host/",
        "rest:http+unix:///run/rest.sock:/x", "b2:bucket:path", "azure:container:/", "gs:bucket:/",
        "swift:container:/path",
    ],
    checked.Cron: ["0 3,15 * * *", "*/5 * * * 1-5", "0 0 29 2 *"],
}  # fmt: skip
UNFIT: dict[type, list[Any]] = {
    checked.Host: [
        "", " ", "db ", "host=127.0.0.1;local-infile=1", "host=127.0.0.1;plugin-dir=/tmp;default-auth=evil",
        "db;port=1", "db=1", "db1,db2", "db:3306", "db\n", "db\0", "-x", "--plugin-dir=/tmp", "a b", "a\tb",
        "http://db", "user@db", "db/x", "..", "a..b", "[::1", "::1%a;b=c", "a" * 256, "/run/x\n.sock",
        "$(id)",
    ],
    checked.Port: [0, -1, 65536],
    checked.User: ["", "a\nb", "a\0", "\x1b[2J"],
    checked.TlsMode: ["", "required", "REQUIRED ", "OFF", "PREFERED"],
    checked.Path: ["/a\nb", "/a\0"],
    checked.PartialFile: [
        "", "/srv/precious.txt", "/srv/.x.partial", "relative/.x.sql.partial", "/srv/x.sql.partial",
        "/srv/../etc/.x.sql.partial", "/srv/.x.sql.partial/y", "/srv/.x.sql.partial\n",
        "/srv/. x.sql.partial", "/srv/.x.sql.partial",
    ],
    checked.SchemaName: ["", "x" * 65, "a\0", "a ", "🐘"],
    checked.Location: [
        "", " ", "/a\nb", "sftp:-oProxyCommand=touch:/path", "sftp://-oProxyCommand=touch/path",
        "sftp:user@-oProxyCommand=touch:/path", "sftp://user@-oProxyCommand=touch:22//path",
        "sftp:a@b@-oProxyCommand=x:/p", "sftp:a@@-oX:/p", "sftp:a/b@-oX:/p", "sftp:-lroot@host:/path",
        "sftp://%2doProxyCommand=x@host//p", "sftp:host`id`:/p", "sftp:$(id):/p",
        "sftp:a;b@host:/p", "sftp:a -o@host:/p", "sftp:", "sftp:@:/p", "sftp:///p", "sftp:user@:/p",
        "sftp:a b:/p",
        "rclone:--config=/tmp/x:path", 'rclone::sftp,ssh="touch x":path', 'rclone:remote,ssh="touch x":path',
        "rclone:-vv:x", "rclone:", "rclone:/srv",
    ],
    checked.Cron: ["", "hourly", "0 3 * *", "* * * * * *", "61 * * * *", "@daily", "H 3 * * *", "0 0 30 2 *",
                 "0 3\n* * *"],
}  # fmt: skip


@pytest.mark.parametrize(("kind", "value"), [(kind, value) for kind in FIT for value in FIT[kind]])
def test_what_can_be_used_is_taken_as_it_is(kind: type, value: Any) -> None:
    assert kind(value) == value
    assert isinstance(kind(value), type(value))


@pytest.mark.parametrize(("kind", "value"), [(kind, value) for kind in UNFIT for value in UNFIT[kind]])
def test_what_would_be_understood_otherwise_is_refused_in_a_sentence(kind: type, value: Any) -> None:
    with pytest.raises(checked.Unfit, match=r"^[A-Z].*\.$"):
        kind(value)


@pytest.mark.parametrize(
    ("name", "is_own"),
    [("shop__verify_7", True), ("shop__restore_7", True), ("shop__verify_17", False), ("shop", False),
     ("shop__before_7", False), ("shop__verify_7x", False), ("", False)],
)  # fmt: skip
def test_a_runs_own_database_is_known_by_its_name(name: str, is_own: bool) -> None:
    assert mysql.is_derived(name, ("verify", "restore"), 7) is is_own
    assert mysql.is_derived(mysql.derived_name("größe" * 30, "verify", 7), ["verify"], 7)


@given(text=st.text(alphabet=st.sampled_from("ab.:=;,-/@ \n\0%[]1")))
def test_a_host_gives_a_client_library_nothing_to_take_apart(text: str) -> None:
    try:
        host = checked.Host(text)
    except checked.Unfit:
        return
    assert host.startswith("/") or not set(host) & set("=;,/@ \n\0")
    assert not host.startswith("-")


@pytest.mark.parametrize(
    "worker", ["", "x", "a:b", "host:x:1", f"{uname().nodename}:{'9' * 20}:1", "::", "\0"]
)
def test_a_worker_that_is_none_is_of_no_machine(worker: str) -> None:
    """As a row may say, which is looked at each minute beside all others."""
    assert not process.is_gone(worker)
    assert process.is_elsewhere(worker)
    assert not process.runs_in_group(worker, 1)


# ---------------------------------------------------------------- Where they are used

WRONG_SERVERS: list[tuple[dict[str, Any], str]] = [
    ({"host": "host=127.0.0.1;local-infile=1"}, "MYSQL_HOST"),
    ({"port": 99999}, "MYSQL_PORT"),
    ({"user": "a\nb"}, "MYSQL_USER"),
    ({"ssl_mode": "required"}, "MYSQL_SSL_MODE"),
    ({"ssl_ca": "/a\nb"}, "MYSQL_SSL_CA"),
]


@pytest.mark.parametrize(("wrong", "named"), WRONG_SERVERS)
def test_no_connection_can_be_made_of_anything_else(wrong: dict[str, Any], named: str) -> None:
    with pytest.raises(Problem, match=named):
        mysql.Server(**{"host": "db", "port": 3306, "user": "u", "password": "p", **wrong})


@pytest.mark.parametrize(("wrong", "named"), WRONG_SERVERS)
def test_a_row_of_before_fails_its_run_and_names_its_field(
    wrong: dict[str, Any], named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a further database, as a form of before, a portal copy or SQL may have brought it."""
    monkeypatch.setenv("MYSQL_PASSWORD", "p")
    server = Server(**{"name": "db:3306", "host": "db", "user": "u", **wrong})
    row = Database(name="second", server=server, database="shop")
    with pytest.raises(Problem, match="of server db:3306 in the portal"):
        database_server(row)
    row.is_primary = True
    with pytest.raises(Problem, match=named):
        database_server(row)


def test_a_repository_of_before_is_handed_to_no_restic(monkeypatch: pytest.MonkeyPatch, db: None) -> None:
    monkeypatch.setenv("RESTIC_PASSWORD", "p")
    row = Repository.objects.create(name="old", url="sftp:a@@-oProxyCommand=x:/p")
    with pytest.raises(Problem, match="the location of old in the portal") as refused:
        repository_access(row)
    assert "gives ssh or rclone an option" in refused.value.sentence()
    with pytest.raises(Problem, match="AWS_SECRET_ACCESS_KEY"):
        restic.Access("restic", "s3:https://host/bucket", "p", {"AWS_SECRET_ACCESS_KEY": "a\0b"})


@pytest.mark.parametrize("host", ["host=127.0.0.1;local-infile=1", "db1,db2", "", "a b"])
def test_a_form_says_at_once_what_would_fail_later(host: str) -> None:
    with pytest.raises(ValidationError) as refused:
        Server(name="x", host=host, user="u").clean_fields()
    assert list(refused.value.message_dict) == ["host"]


def test_what_a_row_says_was_left_behind_is_removed_by_its_own_name_alone(
    past: History, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A copy of the portal may be anybody's, and the tidying goes on each minute with the rest."""
    precious, ours = tmp_path / "precious.txt", tmp_path / ".shop-20261129-031500-0a1b2c3d.sql.partial"
    precious.write_text("precious")
    ours.write_text("half")
    dropped: list[str] = []
    monkeypatch.setattr(reaper, "drop_scratch", lambda _run, _server, name, **_: dropped.append(name))
    monkeypatch.setattr(reaper, "database_server", lambda _: None)
    monkeypatch.setattr(reaper, "scratch_server", lambda _: None)
    monkeypatch.setattr("backups.worker.reaper.alerts.tend", lambda: None)

    def lost(**noted: object) -> Run:
        return Run.objects.create(
            action="verify", database=past.databases[0], repository=past.repository, status="lost",
            trigger="admin", result=noted,
        )  # fmt: skip

    wrong = [lost(partial=str(precious)), lost(partial=7), lost(scratch="victim"), lost(scratch=7)]
    lost(partial=str(ours))
    own = lost()
    own_name = f"shop__verify_{own.pk}"
    Run.objects.filter(pk=own.pk).update(result={"scratch": own_name})
    reaper.run()
    assert precious.read_text() == "precious"
    assert not ours.exists()
    assert dropped == [own_name]
    for run in wrong:
        run.refresh_from_db()
        assert run.result == {}


def test_a_schedule_that_is_none_keeps_no_other_from_coming_due(past: History, admin_client: Client) -> None:
    """In a row, as no form takes it; what nothing comes due by is said, and every page is there."""
    wrong, right = past.databases[:2]
    for cron in ("hourly", "* * * * * *", "0 0 30 2 *", "H 3 * * *"):
        Database.objects.filter(pk=wrong.pk).update(backup_cron=cron, verify_cron=cron)
        schedules.schedules_sync()
        names = set(Schedule.objects.values_list("name", flat=True))
        assert f"vedetta backup {right.pk}" in names
        assert f"vedetta backup {wrong.pk}" not in names
        Schedule.objects.filter(name=f"vedetta backup {right.pk}").update(cron=cron)
        right_times.schedules_keep()
    for page in ("/admin/", "/admin/backups/database/", f"/admin/backups/database/{wrong.pk}/change/"):
        assert admin_client.get(page).status_code == 200
    wrong.refresh_from_db()
    with pytest.raises(Problem, match=f"The backup schedule of {wrong} is .*, which is no cron expression"):
        preflight._schedule(wrong, checks.Found(), None)


@pytest.mark.parametrize(
    ("variable", "value"),
    [("MYSQL_HOST", "host=127.0.0.1;local-infile=1"), ("MYSQL_USER", "a\x1bb"), ("MYSQL_DATABASE", "x" * 65),
     ("RESTIC_REPOSITORY", "sftp:a@@-oProxyCommand=x:/p"), ("BACKUP_CRON", "0 0 30 2 *")],
)  # fmt: skip
def test_the_set_up_names_the_variable_that_cannot_be_used(
    db: None, settings: Settings, variable: str, value: str
) -> None:
    settings.RESTIC_REPOSITORY, settings.MYSQL_HOST = "/srv/restic", "db"
    settings.MYSQL_DATABASE, settings.MYSQL_USER = "shop", "vedetta"
    setattr(settings, variable, value)
    with pytest.raises(Problem, match=f"^{variable} cannot be used: "):
        bootstrap.from_environment()
    assert not Database.objects.exists()


@pytest.mark.parametrize("name", [name for name in UNFIT[checked.SchemaName] if name])
def test_no_session_begins_in_what_is_no_database(name: str) -> None:
    server = mysql.Server("127.0.0.1", 1, "u", "p")
    for connecting in (mysql.connect(server, name), mysql.loading_connections(server, name, 1)):
        with pytest.raises(mysql.MySQLProblem, match="cannot be the name of a database, see MYSQL_DATABASE"):
            connecting.__enter__()


def test_a_row_that_means_harm_fails_its_own_run_in_a_sentence(
    mariadb_shop: Shop, make_database: MakeDatabase, back_up: Callable[[Database], Run]
) -> None:
    """And the next one's backup is made by the same worker."""
    harmful = make_database(mariadb_shop, name="harmful", is_primary=False)
    honest = make_database(mariadb_shop, name="honest")
    Server.objects.filter(pk=harmful.server_id).update(host="host=127.0.0.1;local-infile=1")
    harmful.server.refresh_from_db()
    runs = [back_up(row) for row in (harmful, honest)]
    assert [run.status for run in runs] == [Status.FAILED, Status.SUCCEEDED]
    assert (
        "see the host and port of server of harmful in the portal. A host is one name, one address"
        in runs[0].error
    )
    assert not runs[0].lines.filter(text__contains="Traceback").exists()
