"""Strangers' texts: what can be used as its kind is taken, whatever else is refused where it is used."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import ValidationError
from hypothesis import given
from hypothesis import strategies as st

from backups import mysql, restic, texts
from backups.connections import database_server, repository_access
from backups.errors import Problem
from backups.models import Database, Repository

# ---------------------------------------------------------------- Each kind by itself

FIT: dict[type, list[Any]] = {
    texts.Host: [
        "db", "my_db", "db.example.com", "db.example.com.", "größe", "127.0.0.1", "::1", "[::1]",
        "fe80::1%eth0", "/run/mysqld/mysqld.sock", "/a folder/of; mine,too=.sock", "a" * 255,
    ],
    texts.Port: [1, 3306, 65535],
    texts.User: ["vedetta", "app user", "größe", "a;b", "--help"],
    texts.TlsMode: ["DISABLED", "PREFERRED", "REQUIRED", "VERIFY_CA", "VERIFY_IDENTITY"],
    texts.Path: ["", "/etc/ssl/ca.pem", "relative.pem", "/a b;c"],
    texts.SchemaName: ["orders", "a`b", "a/b", "../../x", "--all-databases", "a\nb", "x" * 64],
    texts.Location: [
        "/srv/restic", "-odd/folder", "relative", "local:/srv", "sftp:user@host:/srv/a-b", "sftp:nas:backups",
        "sftp://user@host:2222//srv", "sftp://user@[::1]:2222//srv", "sftp:DOMAIN\\user@nas:/x",
        "sftp:me@example.com@nas:/x", "sftp:host:-x/y", "sftp://host//-x", "rclone:my-remote:path/to-it",
        "rclone:b2 prod:bucket", "s3:https://host/bucket", "s3:host/-bucket", "rest:https://host/",
        "rest:http+unix:///run/rest.sock:/x", "b2:bucket:path", "azure:container:/", "gs:bucket:/",
        "swift:container:/path",
    ],
    texts.Cron: ["0 3,15 * * *", "*/5 * * * 1-5", "0 0 29 2 *"],
}  # fmt: skip
UNFIT: dict[type, list[Any]] = {
    texts.Host: [
        "", " ", "db ", "host=127.0.0.1;local-infile=1", "host=127.0.0.1;plugin-dir=/tmp;default-auth=evil",
        "db;port=1", "db=1", "db1,db2", "db:3306", "db\n", "db\0", "-x", "--plugin-dir=/tmp", "a b", "a\tb",
        "http://db", "user@db", "db/x", "..", "a..b", "[::1", "::1%a;b=c", "a" * 256, "/run/x\n.sock",
        "$(id)",
    ],
    texts.Port: [0, -1, 65536],
    texts.User: ["", "a\nb", "a\0", "\x1b[2J"],
    texts.TlsMode: ["", "required", "REQUIRED ", "OFF", "PREFERED"],
    texts.Path: ["/a\nb", "/a\0"],
    texts.SchemaName: ["", "x" * 65, "a\0", "a ", "🐘"],
    texts.Location: [
        "", " ", "/a\nb", "sftp:-oProxyCommand=touch:/path", "sftp://-oProxyCommand=touch/path",
        "sftp:user@-oProxyCommand=touch:/path", "sftp://user@-oProxyCommand=touch:22//path",
        "sftp:a@b@-oProxyCommand=x:/p", "sftp:a@@-oX:/p", "sftp:a/b@-oX:/p", "sftp:-lroot@host:/path",
        "sftp://%2doProxyCommand=x@host//p", "sftp:host`id`:/p", "sftp:$(id):/p",
        "sftp:a;b@host:/p", "sftp:a -o@host:/p", "sftp:", "sftp:@:/p", "sftp:///p", "sftp:user@:/p",
        "sftp:a b:/p",
        "rclone:--config=/tmp/x:path", 'rclone::sftp,ssh="touch x":path', 'rclone:remote,ssh="touch x":path',
        "rclone:-vv:x", "rclone:", "rclone:/srv",
    ],
    texts.Cron: ["", "hourly", "0 3 * *", "* * * * * *", "61 * * * *", "@daily", "H 3 * * *", "0 0 30 2 *",
                 "0 3\n* * *"],
}  # fmt: skip


@pytest.mark.parametrize(("kind", "value"), [(kind, value) for kind in FIT for value in FIT[kind]])
def test_what_can_be_used_is_taken_as_it_is(kind: type, value: Any) -> None:
    assert kind(value) == value
    assert isinstance(kind(value), type(value))


@pytest.mark.parametrize(("kind", "value"), [(kind, value) for kind in UNFIT for value in UNFIT[kind]])
def test_what_would_be_understood_otherwise_is_refused_in_a_sentence(kind: type, value: Any) -> None:
    with pytest.raises(texts.Unfit, match=r"^[A-Z].*\.$"):
        kind(value)


@given(text=st.text(alphabet=st.sampled_from("ab.:=;,-/@ \n\0%[]1")))
def test_a_host_gives_a_client_library_nothing_to_take_apart(text: str) -> None:
    try:
        host = texts.Host(text)
    except texts.Unfit:
        return
    assert host.startswith("/") or not set(host) & set("=;,/@ \n\0")
    assert not host.startswith("-")


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
    row = Database(**{"name": "second", "host": "db", "user": "u", "database": "shop", **wrong})
    with pytest.raises(Problem, match="of second in the portal"):
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
        Database(name="x", host=host, user="u", database="shop").clean_fields(exclude=["repository"])
    assert list(refused.value.message_dict) == ["host"]
