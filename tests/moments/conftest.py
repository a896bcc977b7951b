"""Databases whose log is stored, and which may be restored to a moment."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from backups.choices import RestoreMode, Trigger
from backups.models import Run, Snapshot
from backups.moments.rows import draft_of
from backups.moments.until import Until
from backups.requests import Asker, RestoreRequest
from backups.worker import executor
from tests.backups.worlds import Shop, make_shop
from tests.restoring.stories import may_restore
from tests.servers import DatabaseServer
from tests.shipping.conftest import (
    Ship,
    Shipped,
    back_up,
    empty_repository,
    make_database,
    make_portal,
    may_ship,
    migrated,
    repository,
    server,
    shared_mariadb,
    shared_mysql,
    ship,
)

__all__ = [
    "back_up",
    "empty_repository",
    "make_database",
    "make_portal",
    "migrated",
    "repository",
    "server",
    "shared_mariadb",
    "shared_mysql",
    "ship",
]

MAY_REPLAY = {"mariadb": "BINLOG REPLAY", "mysql": "REPLICATION_APPLIER, SESSION_VARIABLES_ADMIN"}
SHOP = """
CREATE TABLE customers (id INT PRIMARY KEY, name VARCHAR(100) NOT NULL);
CREATE TABLE orders (id INT AUTO_INCREMENT PRIMARY KEY, customer INT, note VARCHAR(200) DEFAULT '',
  FOREIGN KEY (customer) REFERENCES customers (id) ON DELETE CASCADE);
CREATE TABLE journal (id INT AUTO_INCREMENT PRIMARY KEY, what VARCHAR(200));
INSERT INTO customers VALUES (1, 'Ada'), (2, 'Grace'), (3, 'Edsger');
INSERT INTO orders (customer, note) VALUES (1, 'a'), (2, 'b'), (2, 'c');
DELIMITER ;;
CREATE TRIGGER orders_noted AFTER INSERT ON orders FOR EACH ROW
BEGIN
  INSERT INTO journal (what) VALUES (NEW.note);
END;;
CREATE EVENT nightly ON SCHEDULE EVERY 1 DAY STARTS '2030-01-01 00:00:00' DO DELETE FROM journal;;
DELIMITER ;
"""
To = Callable[..., Run]


def restorable(server: DatabaseServer, script: str = SHOP) -> Shop:
    """A shop whose user may store its log, restore it, and replay."""
    server.execute("SET GLOBAL log_bin_trust_function_creators = 1")
    name = f"shop_{secrets.token_hex(4)}"
    shop = make_shop(server, script, name=name, grants=may_restore(server, name))
    server.execute(f"GRANT {MAY_REPLAY[server.flavour]} ON *.* TO '{shop.user}'@'%'")
    return may_ship(shop)


@pytest.fixture
def mariadb_shop(mariadb_server: DatabaseServer) -> Shop:
    """A shop on a server of which no log is stored."""
    return make_shop(mariadb_server)


@pytest.fixture
def shipped(server: DatabaseServer, ship: Ship, settings: Settings) -> Shipped:
    """A shop whose log is stored from its first backup on, and that may be replayed beside it."""
    settings.REPLAY_ON_LIVE = True
    return ship(restorable(server))


@pytest.fixture
def to_moment() -> To:
    """Plays a restore of a shipped shop to a moment in this process."""

    def play(shipped: Shipped, until: Until, mode: RestoreMode, target: str, **wishes: Any) -> Run:
        base = Snapshot.objects.get(pk=draft_of(shipped.database, until).base.key)
        wanted = RestoreRequest(shipped.database, base, mode, target, until=until, **wishes)
        run = executor.execute(wanted.submit(Asker(Trigger.CLI), send=False).pk, send_follow_ups=False)
        assert run is not None
        return run

    return play


def now() -> Until:
    """This moment, by our clock."""
    return Until(moment=datetime.now(UTC))
