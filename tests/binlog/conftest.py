"""Servers that write what is done to them into a binary log."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.servers import FLAVOURS, DatabaseServer

_OPTIONS = ("--log-bin=binlog", "--binlog-format=ROW", "--server-id=7", "--log-bin-trust-function-creators=1")


@pytest.fixture(scope="module", params=FLAVOURS)
def logging_server(request: pytest.FixtureRequest) -> Iterator[DatabaseServer]:
    """A server of each flavour with a log of its own."""
    with DatabaseServer(request.param, options=_OPTIONS) as server:
        yield server
