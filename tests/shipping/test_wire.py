"""A server that does not send its log as it should keeps nobody waiting, and gets no password."""

from __future__ import annotations

import dataclasses
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress

import pytest

from backups import mysql
from backups.binlog import MAGIC
from backups.dumpfile.log_positions import Place
from backups.shipping import wire
from backups.shipping.ends import ask
from backups.shipping.fetch import fetch
from tests.dumping.test_dump import server_of
from tests.servers import DatabaseServer
from tests.shipping.conftest import ship_shop

SECONDS = 2.0


@contextmanager
def between(port: int, most: int) -> Iterator[int]:
    """A port of our own before a server, which passes on no more than `most` bytes of what that answers."""
    listening = socket.create_server(("127.0.0.1", 0))
    over = threading.Event()

    def passed_on(source: socket.socket, target: socket.socket, left: int) -> None:
        with suppress(OSError):
            while left > 0 and (data := source.recv(min(left, 65536))):
                target.sendall(data)
                left -= len(data)
        over.wait()

    def serve() -> None:
        with suppress(OSError):
            while True:
                client, _ = listening.accept()
                upstream = socket.create_connection(("127.0.0.1", port))
                for pair in ((client, upstream, 1 << 40), (upstream, client, most)):
                    threading.Thread(target=passed_on, args=pair, daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield listening.getsockname()[1]
    finally:
        over.set()
        listening.close()


def test_a_server_that_stops_in_the_middle_is_given_up_in_time(
    shared_mariadb: DatabaseServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire, "READ_SECONDS", SECONDS)
    shop = ship_shop(shared_mariadb)
    server = dataclasses.replace(server_of(shop), ssl_mode="DISABLED")
    before = ask(server).place
    for number in range(20):
        shop.execute(f"INSERT INTO orders VALUES ({number}, REPEAT('x', 200))")
    end = ask(server)
    # What is said before the log itself takes less.
    with between(shared_mariadb.port, 3000) as port:
        began = time.monotonic()
        with pytest.raises(mysql.ServerUnreachable):
            list(fetch(dataclasses.replace(server, port=port), end.flavour, before, end.place))

    assert time.monotonic() - began < SECONDS + 5


@pytest.mark.soak
def test_bytes_that_drip_do_not_put_it_off(
    shared_mariadb: DatabaseServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire, "READ_SECONDS", SECONDS)
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:

        def drip() -> None:
            with suppress(OSError):
                client, _ = listening.accept()
                while True:
                    client.sendall(b"\x4a")
                    time.sleep(0.2)

        threading.Thread(target=drip, daemon=True).start()
        shop = ship_shop(shared_mariadb)
        server = dataclasses.replace(server_of(shop), port=listening.getsockname()[1], ssl_mode="DISABLED")
        began = time.monotonic()
        with pytest.raises(mysql.MySQLProblem), wire.connected(server):
            pass

    assert time.monotonic() - began < 60


def test_no_password_is_shown_to_who_asks_for_it_in_clear(shared_mariadb: DatabaseServer) -> None:
    shop = ship_shop(shared_mariadb)
    heard: list[bytes] = []
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:

        def ask_in_clear() -> None:
            with suppress(OSError):
                client, _ = listening.accept()
                client.sendall(greeting())
                heard.append(client.recv(4096))
                switch = b"\xfemysql_clear_password\0"
                client.sendall(len(switch).to_bytes(3, "little") + b"\x02" + switch)
                heard.append(client.recv(4096))

        asking = threading.Thread(target=ask_in_clear, daemon=True)
        asking.start()
        server = dataclasses.replace(server_of(shop), port=listening.getsockname()[1], ssl_mode="DISABLED")
        with pytest.raises(mysql.MySQLProblem), wire.connected(server):
            pass
        asking.join(5)

    assert heard
    assert shop.password.encode() not in b"".join(heard)


def greeting() -> bytes:
    """What a MariaDB says first, which has no TLS."""
    body = b"\x0a10.11.19-MariaDB\0" + b"\x01\0\0\0" + b"12345678\0" + b"\xff\xf7" + b"\x2d" + b"\x02\0"
    body += b"\xff\x81" + b"\x15" + b"\0" * 10 + b"123456789012\0" + b"mysql_native_password\0"
    return len(body).to_bytes(3, "little") + b"\0" + body


@pytest.mark.one_flavour("mariadb")
def test_the_bytes_are_those_of_the_servers_file(server: DatabaseServer) -> None:
    shop = ship_shop(server)
    server.execute("FLUSH BINARY LOGS")
    file = ask(server_of(shop)).place.file
    for number in range(50):
        shop.execute(f"INSERT INTO orders VALUES ({number}, REPEAT('x', 190))")
    server.execute("FLUSH BINARY LOGS")
    end = ask(server_of(shop))

    fetched = [
        each for each in fetch(server_of(shop), end.flavour, Place(file, 4), end.place) if each.file == file
    ]

    whole = (server.folder / "data" / file).read_bytes()
    assert MAGIC + b"".join(each.data for each in fetched) == whole


@pytest.mark.soak
def test_a_fetch_that_does_not_wait_holds_up_no_shutdown(own_server: DatabaseServer) -> None:
    shop = ship_shop(own_server)
    end = ask(server_of(shop))
    began = time.monotonic()
    own_server.restart()
    usual = time.monotonic() - began
    list(fetch(server_of(shop), end.flavour, Place(end.place.file, 4), ask(server_of(shop)).place))

    began = time.monotonic()
    own_server.restart()

    assert time.monotonic() - began < usual + 3
