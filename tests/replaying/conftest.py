"""Servers that write a binary log and may be asked to play it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.replaying.playing import OPTIONS, Played
from tests.servers import FLAVOURS, DatabaseServer


@pytest.fixture(scope="session", params=FLAVOURS)
def logging_server(request: pytest.FixtureRequest) -> Iterator[DatabaseServer]:
    """A server with a binary log in which rows are rows, and with its events' scheduler on."""
    with DatabaseServer(request.param, options=OPTIONS[request.param]) as server:
        yield server


@pytest.fixture
def played(logging_server: DatabaseServer) -> Iterator[Played]:
    """A source, a copy of it and a noisy neighbour, all empty, and the log from there on."""
    played = Played(logging_server)
    yield played
    played.remove()
