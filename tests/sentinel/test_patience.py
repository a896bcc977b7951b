"""A client that gate and portal no longer wait for: nothing is made of its request."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from sentinel import worker
from sentinel.worker import Client


@pytest.fixture
def pair(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Client, socket.socket]]:
    """The server's end of a connection, whose request has a fifth of a second, and the client's."""
    monkeypatch.setattr(worker, "READ_SECONDS", 0.2)
    here, there = socket.socketpair()
    client = Client.of(here, threading.Semaphore(1))
    client.begin()
    with client, there:
        yield client, there


def test_a_request_whose_time_is_up_is_no_shorter_request(pair: tuple[Client, socket.socket]) -> None:
    """An end of the bytes would be its end, and what came of it would be carried out."""
    server, client = pair
    client.sendall(b"name=Oper")
    assert server.recv(100) == b"name=Oper"
    with pytest.raises(ConnectionResetError):
        server.recv(100)
    client.sendall(b"ators")
    with pytest.raises(ConnectionResetError):
        server.recv(100)


def test_nor_is_one_that_is_let_go(pair: tuple[Client, socket.socket]) -> None:
    server, client = pair
    threading.Timer(0.05, server.let_go).start()
    with pytest.raises(ConnectionResetError):
        server.recv(100)
    with pytest.raises(ConnectionResetError):
        server.recv(100)
    assert client.recv(100) == b""


def test_one_that_its_client_ended_has_ended(pair: tuple[Client, socket.socket]) -> None:
    server, client = pair
    client.shutdown(socket.SHUT_WR)
    assert server.recv(100) == b""


def test_who_asks_for_a_time_of_its_own_is_told_that_it_is_over(pair: tuple[Client, socket.socket]) -> None:
    """gunicorn, which then knows that it has not read all of a request, and takes no further one."""
    server, _ = pair
    server.settimeout(0.05)
    with pytest.raises(TimeoutError):
        server.recv(100)
    assert server.gettimeout() == 0.05


@pytest.mark.parametrize("way", ["send", "sendall"])
def test_whatever_is_sent_waits_without_a_turn_and_can_be_let_go(
    way: str, pair: tuple[Client, socket.socket]
) -> None:
    """100 Continue and answers: a client that reads neither keeps a thread, and no turn."""
    server, _ = pair
    turns = server._turns
    turns.acquire()
    failed: list[OSError] = []

    def say_more_than_there_is_room_for() -> None:
        try:
            getattr(server, way)(b"x" * 10_000_000)
        except OSError as error:
            failed.append(error)

    saying = threading.Thread(target=say_more_than_there_is_room_for)
    began = time.monotonic()
    saying.start()
    assert turns.acquire(timeout=5), "it waits with its turn"
    assert server.waited_since >= began
    turns.release()
    server.let_go()
    saying.join(5)
    assert failed


def test_a_head_has_its_bound_and_a_body_has_none_here(
    pair: tuple[Client, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "MOST_HEAD_BYTES", 100)
    server, client = pair
    server.begin()
    client.sendall(b"x" * 300)
    assert len(server.recv(100)) == 100
    server.head_is_read()
    assert len(server.recv(100)) == 100
    server.begin()
    client.sendall(b"x" * 300)
    with pytest.raises(ConnectionResetError):
        server.recv(101)
