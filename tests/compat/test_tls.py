"""Each mode of MYSQL_SSL_MODE, seen by the server, for each of the three that connect to it."""

from __future__ import annotations

import dataclasses
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from backups import mysql
from backups.dumpfile.digesting import Digester
from backups.dumping import streaming
from backups.errors import Problem
from tests.actions.tools import back_up, verdict, verify
from tests.backups.conftest import MakeDatabase
from tests.backups.worlds import client_dir, make_shop
from tests.compat.certificates import Authority
from tests.compat.conftest import NAMED, UNNAMED
from tests.restoring.stories import may_restore
from tests.servers import DatabaseServer

MODES = ["DISABLED", "PREFERRED", "REQUIRED", "VERIFY_CA", "VERIFY_IDENTITY"]
ALWAYS_PLAIN = ("plain", "plain", "plain")
ALL_TLS = ("TLS", "TLS", "TLS")
ALL_REFUSED = ("refused", "refused", "refused")
PASSWORD = "opens the door"


def short(*often: str) -> list[Any]:
    """All modes, those beside the ones that tell two answers apart for `make soak` alone."""
    return [mode if mode in often else pytest.param(mode, marks=pytest.mark.soak) for mode in MODES]


@pytest.mark.parametrize("mode", short("PREFERRED", "REQUIRED"))
def test_server_without_tls(plain_server: DatabaseServer, other_authority: Path, mode: str) -> None:
    server = _server(plain_server, mode, other_authority)

    assert _how_each_connects(plain_server, server) == (
        ALWAYS_PLAIN if mode in ("DISABLED", "PREFERRED") else ALL_REFUSED
    )


@pytest.mark.parametrize("mode", short("PREFERRED", "VERIFY_IDENTITY"))
def test_server_with_a_good_certificate(tls_server: DatabaseServer, authority: Authority, mode: str) -> None:
    server = _server(tls_server, mode, authority.file, NAMED)

    assert _how_each_connects(tls_server, server) == (ALWAYS_PLAIN if mode == "DISABLED" else ALL_TLS)


@pytest.mark.parametrize("mode", short("REQUIRED", "VERIFY_CA"))
def test_certificate_of_another_authority(
    tls_server: DatabaseServer, other_authority: Path, mode: str
) -> None:
    server = _server(tls_server, mode, other_authority, NAMED)

    wanted = {"DISABLED": ALWAYS_PLAIN, "PREFERRED": ALL_TLS, "REQUIRED": ALL_TLS}.get(mode, ALL_REFUSED)
    assert _how_each_connects(tls_server, server) == wanted


@pytest.mark.parametrize("mode", short("DISABLED", "VERIFY_IDENTITY"))
def test_certificate_for_another_name(tls_server: DatabaseServer, authority: Authority, mode: str) -> None:
    server = _server(tls_server, mode, authority.file, UNNAMED)

    wanted = {"DISABLED": ALWAYS_PLAIN, "PREFERRED": ALL_TLS, "REQUIRED": ALL_TLS}.get(mode, ALL_REFUSED)
    assert _how_each_connects(tls_server, server) == wanted


@pytest.mark.parametrize(
    ("mode", "ca", "host", "said"),
    [
        ("VERIFY_CA", "", NAMED, "no authority is given"),
        ("VERIFY_CA", "/nowhere/ca.pem", NAMED, "cannot be read"),
        ("VERIFY_CA", "other", NAMED, "cannot be verified"),
        ("VERIFY_IDENTITY", "ours", UNNAMED, f"not for the name {UNNAMED}"),
    ],
)
def test_refusal_is_a_sentence(
    tls_server: DatabaseServer,
    authority: Authority,
    other_authority: Path,
    mode: str,
    ca: str,
    host: str,
    said: str,
) -> None:
    files = {"other": str(other_authority), "ours": str(authority.file)}
    server = mysql.Server(
        host, tls_server.port, tls_server.user, tls_server.password, ssl_mode=mode, ssl_ca=files.get(ca, ca)
    )

    with pytest.raises(mysql.TlsProblem, match=said), mysql.connect(server):
        pass


def test_server_without_tls_is_named(plain_server: DatabaseServer) -> None:
    server = mysql.Server(
        plain_server.host, plain_server.port, plain_server.user, plain_server.password, ssl_mode="REQUIRED"
    )

    with (
        pytest.raises(mysql.TlsProblem, match="offers no TLS, and MYSQL_SSL_MODE is REQUIRED"),
        mysql.connect(server),
    ):
        pass


@pytest.mark.parametrize("mode", ["REQUIRED", *(pytest.param(m, marks=pytest.mark.soak) for m in MODES[3:])])
def test_no_word_is_said_to_a_server_without_tls(
    plain_server: DatabaseServer, other_authority: Path, mode: str
) -> None:
    """Neither a user's name nor what answers the question for the password."""
    with socket.create_connection((plain_server.host, plain_server.port), timeout=10) as there:
        greeting = there.recv(1024)
    heard: list[bytes] = []

    def listen() -> None:
        with suppress(OSError):
            while True:
                client, _ = listening.accept()
                with client, suppress(ConnectionError):
                    client.sendall(greeting)
                    heard.append(client.recv(1024))

    with socket.create_server(("127.0.0.1", 0)) as listening:
        told = dataclasses.replace(
            _server(plain_server, mode, other_authority), port=listening.getsockname()[1]
        )
        threading.Thread(target=listen, daemon=True).start()
        with pytest.raises(mysql.TlsProblem, match="offers no TLS"), mysql.connect(told):
            pass
        listening.shutdown(socket.SHUT_RDWR)

    assert b"".join(heard) == b""


@pytest.mark.parametrize("mode", ["PREFERRED", pytest.param("REQUIRED", marks=pytest.mark.soak)])
def test_account_that_demands_tls(tls_server: DatabaseServer, mode: str) -> None:
    with _user(tls_server, "REQUIRE SSL"):
        server = _server(tls_server, mode, user="door", password=PASSWORD)

        assert _how_each_connects(tls_server, server) == ALL_TLS
        with (
            pytest.raises(mysql.AccessDenied, match="whether the account demands TLS"),
            mysql.connect(dataclasses.replace(server, ssl_mode="DISABLED")),
        ):
            pass


def test_server_that_demands_tls(tls_server: DatabaseServer) -> None:
    tls_server.execute("SET GLOBAL general_log = OFF")
    server = _server(tls_server, "DISABLED")
    said = "encrypted connections only|demands TLS"  # the latter of MariaDB 10.11
    with mysql.connect(dataclasses.replace(server, ssl_mode="REQUIRED")) as connection:
        mysql.execute(connection, "SET GLOBAL require_secure_transport = ON")
        try:
            with pytest.raises(mysql.MySQLProblem, match=said), mysql.connect(server):
                pass
        finally:
            mysql.execute(connection, "SET GLOBAL require_secure_transport = OFF")


@pytest.mark.parametrize("mode", ["DISABLED", *(pytest.param(m, marks=pytest.mark.soak) for m in MODES[1:3])])
@pytest.mark.parametrize("which", ["connection", "dump", "load"])
@pytest.mark.parametrize("tls_server", ["mysql"], indirect=True)
def test_caching_sha2_password_with_nothing_cached(tls_server: DatabaseServer, mode: str, which: str) -> None:
    with _user(tls_server):
        server = _server(tls_server, mode, user="door", password=PASSWORD)
        (how,) = _how_each_connects(
            tls_server, server, only=which, before=lambda: tls_server.execute("FLUSH PRIVILEGES")
        )

    assert how == ("plain" if mode == "DISABLED" else "TLS")


@pytest.mark.parametrize("mode", ["DISABLED", "REQUIRED"])
@pytest.mark.parametrize("tls_server", ["mariadb"], indirect=True)
def test_ed25519(tls_server: DatabaseServer, mode: str) -> None:
    tls_server.execute("INSTALL SONAME 'auth_ed25519'")
    try:
        with _user(tls_server, identified=f"VIA ed25519 USING PASSWORD('{PASSWORD}')"):
            server = _server(tls_server, mode, user="door", password=PASSWORD)
            told = _how_each_connects(tls_server, server)
    finally:
        tls_server.execute("UNINSTALL SONAME 'auth_ed25519'")

    assert told == (ALWAYS_PLAIN if mode == "DISABLED" else ALL_TLS)


@pytest.mark.one_flavour("mysql")
def test_backup_and_verification_over_tls(
    tls_server: DatabaseServer, make_database: MakeDatabase, authority: Authority
) -> None:
    name = "over_tls"
    shop = make_shop(tls_server, name=name, grants=may_restore(tls_server, name))
    tls_server.execute(f"ALTER USER '{shop.user}'@'%' REQUIRE SSL")
    database = make_database(shop, host=NAMED, ssl_mode="VERIFY_IDENTITY", ssl_ca=str(authority.file))

    snapshot = back_up(database)
    run = verify(database)

    assert snapshot.manifest
    assert verdict(run).verdict == "identical", verdict(run).differences


# ---------------------------------------------------------------- Who connects how


def _server(
    server: DatabaseServer,
    mode: str,
    ca: Path | None = None,
    host: str = "127.0.0.1",
    user: str = "",
    password: str = "",
) -> mysql.Server:
    return mysql.Server(
        host,
        server.port,
        user or server.user,
        password or server.password,
        ssl_mode=mode,
        ssl_ca=str(ca or ""),
    )


def _how_each_connects(
    server: DatabaseServer,
    told: mysql.Server,
    *,
    only: str = "",
    before: Callable[[], None] = lambda: None,
) -> tuple[str, ...]:
    """ "TLS", "plain" or "refused" for our own connection, the dump's and the load's, by the server's log.

    Those that are refused must be refused in a sentence.
    """
    server.execute("CREATE DATABASE IF NOT EXISTS compat; CREATE TABLE IF NOT EXISTS compat.t (n INT)")
    with mysql.connect(mysql.Server(server.host, server.port, server.user, server.password)) as connection:
        info = mysql.probe(connection)
    programs = mysql.clients(info, client_dir(server))

    def connection_alone() -> None:
        with mysql.connect(told, "compat") as connection:
            mysql.probe(connection)

    def dump_alone() -> None:
        source = mysql.DumpSource(told, info, programs, "compat")
        streaming.stream_dump(source, streaming.Outlet(Digester()))

    def load_alone() -> None:
        with mysql.loading_connections(told, "compat", 1) as (connection,):
            connection.run(b"INSERT INTO t VALUES (1)")

    each = {"connection": connection_alone, "dump": dump_alone, "load": load_alone}
    found = []
    for name, connect in each.items():
        if only and name != only:
            continue
        before()
        found.append(_seen(server, told, connect))
    return tuple(found)


def _seen(server: DatabaseServer, told: mysql.Server, connect: Callable[[], None]) -> str:
    refusal = ""
    with _log_of_connections(server) as lines:
        try:
            connect()
        except Problem as problem:
            refusal = problem.sentence()
    if refusal:
        assert "TLS" in refusal or "certificate" in refusal, refusal
        return "refused"
    ways = {line.rpartition(" using ")[2] for line in lines if line.startswith(f"{told.user}@")}
    assert len(ways) == 1, lines
    return {"SSL/TLS": "TLS", "TCP/IP": "plain"}[ways.pop()]


@contextmanager
def _log_of_connections(server: DatabaseServer) -> Iterator[list[str]]:
    """The server's own note of each connection, as in "dump@127.0.0.1 on shop using SSL/TLS"."""
    server.execute("SET GLOBAL log_output = 'TABLE'; TRUNCATE mysql.general_log; SET GLOBAL general_log = ON")
    lines: list[str] = []
    yield lines
    server.execute("SET GLOBAL general_log = OFF")
    rows = server.query("SELECT argument FROM mysql.general_log WHERE command_type = 'Connect'")
    # The last one is the helper's own, who came to turn the log off.
    lines += [line.decode() if isinstance(line, bytes) else str(line) for (line,) in rows][:-1]


@contextmanager
def _user(server: DatabaseServer, requires: str = "", identified: str = "") -> Iterator[None]:
    how = identified or f"BY '{PASSWORD}'"
    server.execute(f"CREATE USER 'door'@'%' IDENTIFIED {how} {requires}; GRANT ALL ON *.* TO 'door'@'%'")
    yield
    server.execute("DROP USER 'door'@'%'")
