"""After the portal was lost, rows of pieces learn again what is in them, as they are read back."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from backups import restic
from backups.admin.moments_tab import tab_url
from backups.binlog import Event, Kind
from backups.binlog.barriers import Code
from backups.binlog.barriers import told as sentence_of
from backups.models import LogPiece, LogTransaction
from backups.shipping import recovered, storing
from backups.shipping.cutting import Barrier, incident, told_by
from tests.admin.conftest import Login, login, person, roles
from tests.servers import DatabaseServer
from tests.shipping.conftest import Ship, Shipped, ship_shop

__all__ = ["login", "person", "roles"]


def told(shipped: Shipped) -> list[dict[str, Any]]:
    """What rows tell of pieces, but for when something was seen and read, and for other databases' names."""
    names = ("file", "start", "end", "sha256", "first_moment", "last_moment", "transactions", "barriers")
    found = [{name: getattr(row, name) for name in names} for row in shipped.pieces]
    for barrier in (barrier for each in found for barrier in each["barriers"]):
        barrier.pop("seen")
        barrier["params"].pop("other", None)
    return found


def listed(shipped: Shipped) -> list[tuple[Any, ...]]:
    rows = LogTransaction.objects.filter(piece__database=shipped.database).order_by("position")
    return list(
        rows.values_list("position", "end", "moment", "gtid", "tables", "rows", "is_definition", "connection")
    )


@pytest.fixture
def shipped(server: DatabaseServer, ship: Ship) -> Shipped:
    """With a large transaction, a definition, and two things that no replay goes past."""
    found = ship(ship_shop(server))
    other = ship_shop(server)
    name = found.shop.name
    numbers = ", ".join(f"({number}, 'x')" for number in range(30))
    server.execute(
        f"INSERT INTO {name}.orders VALUES {numbers}; ALTER TABLE {name}.orders ADD COLUMN more INT; "
        f"SET SESSION binlog_format = STATEMENT; UPDATE {name}.orders SET note = 'y'; "
        f"SET SESSION binlog_format = ROW; INSERT INTO {other.name}.orders VALUES (1, 'x'); "
        f"RENAME TABLE {other.name}.orders TO {name}.moved"
    )
    found.look()
    assert len(listed(found)) >= 2
    assert len([each for row in told(found) for each in row["barriers"]]) == 2
    return found


@pytest.mark.one_flavour("mariadb")
def test_rows_made_of_names_alone_are_as_they_were(shipped: Shipped, login: Login) -> None:
    LogPiece.objects.update(sealed=True)
    before, transactions = told(shipped), listed(shipped)
    access = storing.access_to(shipped.database)
    there = restic.snapshots(access, deadline=60, on_unreadable=lambda _: None)
    LogPiece.objects.all().delete()
    assert recovered.rebuild(shipped.database.repository, there) == len(before)
    assert all(not row.barriers and not row.transactions for row in shipped.pieces)
    viewer = login("Viewer")
    assert "it is not known whether a replay goes past all of it" in page(viewer, shipped)

    shipped.look()

    assert told(shipped) == before
    codes = [barrier["code"] for each in before for barrier in each["barriers"]]
    assert codes == ["log.statement_rows", "log.table_moved"]
    assert "A table was moved between the database and another one." in page(viewer, shipped)
    assert listed(shipped) == transactions
    assert "it is not known whether" not in page(viewer, shipped)


@pytest.mark.one_flavour("mariadb")
def test_the_list_of_transactions_which_is_in_no_copy_is_made_again(shipped: Shipped) -> None:
    transactions = listed(shipped)
    LogTransaction.objects.all().delete()
    LogPiece.objects.update(sealed=True, stored_at=timezone.now() - timedelta(days=2))
    recovered.read_all_again()

    shipped.look()

    assert listed(shipped) == transactions
    # Once, however often they are read.
    LogPiece.objects.update(read_back_at=timezone.now() - timedelta(days=2))
    shipped.look()
    assert listed(shipped) == transactions


def page(client: Client, shipped: Shipped) -> str:
    return client.get(tab_url(shipped.database)).content.decode()


@pytest.mark.parametrize(
    ("message", "code", "params"),
    [
        (b'log.statement_rows {"verb": "UPDATE"}', "log.statement_rows", {"verb": "UPDATE"}),
        # As versions before this one wrote it.
        (b"log.statement_rows", "log.statement_rows", {}),
        (b"log.statement_rows [1", "log.statement_rows", {}),
        (b'log.statement_rows {"other": "x", "name": 7}', "log.statement_rows", {"name": "7"}),
        (b"log.unknown_event", "log.unknown_event", {"kind": Kind.INCIDENT}),
        # A server's own words.
        (b"error writing to the binary log", "log.incident", {"kind": Kind.INCIDENT}),
        (b"", "log.incident", {"kind": Kind.INCIDENT}),
    ],
)
def test_an_incident_in_a_piece_says_why_it_is_one(message: bytes, code: str, params: dict[str, Any]) -> None:
    body = b"\x01\x00" + bytes([len(message)]) + message
    event = Event(4, Kind.INCIDENT, 0, 1, len(body) + 19, 4, 0, body)

    assert told_by(event) == Barrier(code, params)
    assert told_by(incident(event, Barrier(code, params))) == Barrier(code, params)


@pytest.mark.parametrize("code", Code)
def test_each_is_told_in_a_sentence_without_holes_where_nothing_but_its_code_is_known(code: Code) -> None:
    sentence = sentence_of(code.value, {})

    assert "()" not in sentence
    assert "  " not in sentence
    assert sentence == sentence_of(code.value, {"verb": "", "other": ""})
