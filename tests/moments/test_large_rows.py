"""A row that the server does not take in one statement is told of before anything is made."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from backups import mysql
from backups.actions.steps import log_warnings
from backups.choices import RestoreMode, Status
from backups.models import Alert
from backups.moments.rows import log_of
from backups.shipping import packets
from tests.moments.conftest import To, now
from tests.restoring.stories import databases_of, succeeded
from tests.servers import DatabaseServer
from tests.shipping.conftest import Shipped

pytestmark = pytest.mark.django_db
MEGABYTE = 1 << 20


@contextmanager
def small_packets(server: DatabaseServer) -> Iterator[None]:
    ((before,),) = server.query("SELECT @@GLOBAL.max_allowed_packet")
    server.execute(f"SET GLOBAL max_allowed_packet = {2 * MEGABYTE}")
    try:
        yield
    finally:
        server.execute(f"SET GLOBAL max_allowed_packet = {before}")


@pytest.mark.one_flavour("mariadb")
def test_it_is_told_of_beforehand_and_a_restore_makes_nothing(
    server: DatabaseServer, shipped: Shipped, to_moment: To
) -> None:
    shop, then = shipped.shop, f"{shipped.shop.name}__then"
    shop.execute("ALTER TABLE orders ADD COLUMN scan LONGBLOB")
    shop.execute(f"INSERT INTO orders (note, scan) VALUES ('scanned', REPEAT('x', {5 * MEGABYTE}))")
    # MariaDB notes whole seconds: what is of this one may have come after the moment, and would be left out.
    time.sleep(1.1)
    until = now()
    shipped.look()
    # It is no barrier: that is a matter of the server.
    assert [barrier for piece in log_of(shipped.database).pieces for barrier in piece.barriers] == []
    assert not Alert.objects.exists()
    assert list(log_warnings.sentences(shipped.database)) == []

    with small_packets(server):
        (told,) = log_warnings.sentences(shipped.database)
        run = to_moment(shipped, until, RestoreMode.NEW, then)

    assert "does not go into one packet" in told
    assert "takes 2 MB (max_allowed_packet)" in told
    assert (run.status, run.error_code) == (Status.FAILED, "replay.packet_too_small")
    assert "Nothing was touched" in run.error
    assert then not in databases_of(shop)

    succeeded(to_moment(shipped, until, RestoreMode.NEW, then))
    ((length,),) = server.query(f"SELECT MAX(LENGTH(scan)) FROM {then}.orders")
    assert int(length) == 5 * MEGABYTE


@pytest.mark.one_flavour("mariadb")
@pytest.mark.soak
def test_a_server_that_takes_less_than_the_databases_own_is_told_of(
    shipped: Shipped, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = iter([64 * MEGABYTE, 16 * MEGABYTE])

    def of_server(server: mysql.Server) -> packets.Packets:
        return packets.Packets(server, next(limits), 2)

    monkeypatch.setattr(packets, "of_server", of_server)

    (told,) = packets.warnings(shipped.database)

    assert "takes 16 MB in one statement" in told
    assert f"SET GLOBAL max_allowed_packet = {64 * MEGABYTE}" in told
