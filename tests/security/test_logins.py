"""A password is for the server that it is meant for: whoever else asks for it gets nothing to use."""

from __future__ import annotations

import configparser
import itertools
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from backups import mysql
from backups.dumping import mysqldump
from backups.errors import Problem
from backups.mysql import methods as login_methods
from backups.mysql import relay
from backups.mysql.answers import fetch_all
from tests.backups.worlds import client_dir
from tests.compat.certificates import Authority
from tests.compat.conftest import plain_server
from tests.hostile import HostileRelay, HostileServer, nothing
from tests.servers import DatabaseServer

__all__ = ["plain_server"]

PASSWORD = "opens the door"
# What a server that means harm may ask for, once it has called itself anything.
SHOWING = ["mysql_clear_password", "dialog"]
OTHERS = ["mysql_old_password", "nobody_knows", "../../tmp/evil", ""]
NATIVE = "mysql_native_password"
VERSIONS = {"mariadb": "5.5.5-10.11.9-MariaDB", "mysql": "9.7.0"}


def asked_by(hostile: HostileServer, mode: str, ca: str = "", socket: str = "") -> mysql.Server:
    """The server as ours to connect to."""
    return mysql.Server(
        socket or hostile.host, hostile.port or 3306, "vedetta", PASSWORD, ssl_mode=mode, ssl_ca=ca
    )


def connect(server: mysql.Server, _: DatabaseServer | None = None) -> None:
    with mysql.connect(server, "shop"):
        pass


def connect_to_any(server: mysql.Server) -> None:
    with mysql.connect(server) as connection:
        mysql.probe(connection)


def load_into_any(server: mysql.Server) -> None:
    with mysql.loading_connections(server, "mysql", 1):
        pass


def load(server: mysql.Server, _: DatabaseServer | None = None) -> None:
    with mysql.loading_connections(server, "shop", 1):
        pass


def dump(server: mysql.Server, real: DatabaseServer) -> None:
    """The flavour's own dump program, started as for a backup, without the looks that go before it."""
    known = mysql.Server(real.host, real.port, real.user, real.password)
    with mysql.connect(known) as connection:
        info = mysql.probe(connection)
    source = mysql.DumpSource(server, info, mysql.clients(info, client_dir(real)), "shop")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mysqldump, "with_history", lambda _: False)
        with mysqldump.started(source) as running:
            while os.read(running.stdout.fileno(), 1 << 16):
                pass
            mysqldump.refuse_bad_end(source, running)


EACH: dict[str, Callable[[mysql.Server, DatabaseServer], None]] = {
    "connection": connect,
    "load": load,
    "dump": dump,
}


@pytest.mark.parametrize("which", EACH)
@pytest.mark.parametrize("at_socket", [False, pytest.param(True, marks=pytest.mark.soak)])
def test_where_tls_is_demanded_nothing_is_said_to_a_server_without(
    db_server: DatabaseServer, tmp_path: Path, which: str, at_socket: bool
) -> None:
    """No name, no answer to a riddle, and above all no password; and no statement."""
    path = tmp_path / "server.sock" if at_socket else None
    for methods in (
        [NATIVE],
        ["mysql_clear_password"],
        [NATIVE, "caching_sha2_password"],
        [NATIVE, "dialog"],
    ):
        with HostileServer(methods=methods, version="5.5.5-10.11.9-MariaDB", socket_path=path) as hostile:
            server = asked_by(hostile, "REQUIRED", socket=str(path or ""))
            with pytest.raises(mysql.TlsProblem, match="offers no TLS, and MYSQL_SSL_MODE is REQUIRED"):
                EACH[which](server, db_server)
        # A client that hangs up may say so.
        assert hostile.heard.strip(b"\n\x01") == b""
        assert hostile.statements == []
        if path:
            path.unlink()


@pytest.mark.parametrize("mode", [pytest.param("PREFERRED", marks=pytest.mark.soak), "REQUIRED"])
def test_a_password_is_shown_to_no_server_that_anybody_could_be(tmp_path: Path, mode: str) -> None:
    """Nor is code loaded for a method that is not known."""
    certificate = Authority(tmp_path, "any").certificate("127.0.0.1")
    for asked in SHOWING + OTHERS:
        for methods in ([asked], [NATIVE, asked]):
            with (
                HostileServer(methods=methods, certificate=certificate) as hostile,
                pytest.raises(Problem) as refused,
            ):
                connect(asked_by(hostile, mode))
            assert PASSWORD.encode() not in hostile.heard
            if asked in SHOWING:
                assert "by a method that would show it" in refused.value.sentence()
                assert "set MYSQL_SSL_MODE to VERIFY_CA or VERIFY_IDENTITY" in refused.value.sentence()


@pytest.mark.parametrize(
    "mode", ["PREFERRED", *(pytest.param(m, marks=pytest.mark.soak) for m in ("DISABLED", "REQUIRED"))]
)
def test_no_dump_program_shows_a_password_to_a_server_that_anybody_could_be(
    db_server: DatabaseServer, tmp_path: Path, mode: str
) -> None:
    """Somebody between may be honest to the driver and ask the program alone, which says what it is."""
    certificate = Authority(tmp_path, "any").certificate("127.0.0.1")
    for asked, offered in itertools.product(SHOWING, (None, certificate)):
        for methods in ([asked], [NATIVE, asked]):
            with HostileServer(
                methods=methods, certificate=offered, version=VERSIONS[db_server.flavour]
            ) as hostile:
                with pytest.raises(Problem) as refused:
                    dump(asked_by(hostile, mode), db_server)
                assert PASSWORD.encode() not in hostile.heard
            if methods[0] == NATIVE and (offered or mode != "REQUIRED"):
                assert "by a method that would show it" in refused.value.sentence()


@pytest.mark.one_flavour("mariadb")
def test_no_dump_program_takes_a_wish_for_tls_for_tls(
    db_server: DatabaseServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within which it would show a password: also to a server that offered TLS when it was looked at."""
    asking = [NATIVE, "caching_sha2_password"]
    for does_offer in (False, True):
        with HostileServer(methods=asking, version=VERSIONS[db_server.flavour]) as hostile:
            server = asked_by(hostile, "PREFERRED")
            monkeypatch.setitem(relay._OFFERS, server.address, (time.monotonic() + 60, does_offer))
            with pytest.raises(Problem) as refused:
                dump(server, db_server)
        assert PASSWORD.encode() not in hostile.heard
        assert ("offered TLS, and then did not use it" in refused.value.sentence()) is (
            does_offer and db_server.flavour == "mariadb"
        )


def test_dump_programs_have_the_methods_of_the_driver(
    mariadb_server: DatabaseServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And where an account needs none but what is built in, no other at all."""
    listed = configparser.ConfigParser()
    listed.read(Path(mysql.__file__).with_name("driver.cnf"))
    assert listed["proving"]["restricted-auth"].split(",") == [NATIVE, *login_methods.METHODS]

    known = mysql.Server(
        mariadb_server.host, mariadb_server.port, mariadb_server.user, mariadb_server.password
    )
    with mysql.connect(known) as connection:
        programs = mysql.clients(mysql.probe(connection), "")
    with mysql.folder_of_methods(known, programs) as folder:
        assert not Path(folder).is_dir()
    monkeypatch.setattr(login_methods, "logs_in_by_what_is_built_in", lambda _: False)
    with mysql.folder_of_methods(known, programs) as folder:
        given = {each.name for each in Path(folder).iterdir()}
        assert (Path(folder) / "client_ed25519.so").read_bytes()
    assert given <= {f"{each}.so" for each in login_methods.METHODS}


@pytest.mark.one_flavour("mysql")
def test_where_tls_is_preferred_and_not_to_be_had_a_password_is_hidden(plain_server: DatabaseServer) -> None:
    """Of who listens only; MySQL's own method asks for all of it where it remembers nothing."""
    if plain_server.flavour != "mysql":
        pytest.skip("MariaDB has no such method")
    with HostileRelay(plain_server.host, plain_server.port, "no statement", nothing) as listening:
        server = mysql.Server(
            listening.host, listening.port, plain_server.user, plain_server.password, ssl_mode="PREFERRED"
        )
        for connecting in (connect_to_any, load_into_any):
            plain_server.execute("FLUSH PRIVILEGES")
            connecting(server)
        assert plain_server.user.encode() in listening.heard
        assert plain_server.password.encode() not in listening.heard


def test_it_is_shown_to_a_server_that_was_verified(tmp_path: Path) -> None:
    """As accounts that log in by PAM want it."""
    ours, others = Authority(tmp_path, "ours"), Authority(tmp_path, "others")
    certificate = ours.certificate("127.0.0.1")
    methods = [NATIVE, "mysql_clear_password"]
    for authority, is_shown in ((ours, True), (others, False)):
        with HostileServer(methods=methods, certificate=certificate) as server:
            told = asked_by(server, "VERIFY_CA", str(authority.file))
            with pytest.raises(mysql.TlsProblem):  # it says of each session that it is without TLS
                connect(told)
        assert (PASSWORD.encode() in server.heard) is is_shown
        assert PASSWORD.encode() not in server.in_clear


def test_no_option_file_tells_the_driver_anything(
    db_server: DatabaseServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as a folder with code to load, another server, or that files may be sent."""
    told = "plugin-dir=/tmp/evil\ndefault-auth=evil\nport=1\nuser=nobody\ninit-command=SET @by_a_file = 1\n"
    for name in (".my.cnf", "my.cnf"):
        groups = ("client", "client-mariadb", "hiding", "proving", "showing")
        (tmp_path / name).write_text("".join(f"[{group}]\n{told}" for group in groups))
    for name in ("HOME", "MYSQL_HOME", "MARIADB_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.chdir(tmp_path)
    server = mysql.Server(db_server.host, db_server.port, db_server.user, db_server.password)
    with mysql.connect(server) as connection:
        assert mysql.probe(connection)
        assert fetch_all(connection, "SELECT @by_a_file") == [(None,)]
