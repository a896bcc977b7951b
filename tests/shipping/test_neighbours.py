"""What sessions of other databases change here without a word in the log: known, or said to be unknown."""

from __future__ import annotations

from contextlib import nullcontext
from datetime import timedelta
from typing import cast

import pytest
from django.utils import timezone

from backups import mysql
from backups.choices import Action
from backups.endpoints import database_server
from backups.errors import Problem
from backups.models import Run
from backups.mysql import Neighbours
from backups.shipping import checks, neighbours
from backups.shipping.minutes import Minutes
from backups.shipping.neighbours import Reach
from tests.backups.worlds import Shop
from tests.loading.loading import address
from tests.servers import DatabaseServer
from tests.shipping.conftest import Ship, Shipped, ship_shop
from tests.shipping.test_unclear import barriers, incidents

SECRET = "value of a neighbour"


def reaching(name: str) -> str:
    """A trigger of the neighbour's that writes here."""
    body = f"INSERT INTO {name}.orders VALUES (NEW.id, '')"
    return f"CREATE TRIGGER reaches AFTER INSERT ON orders FOR EACH ROW {body}"


def say_a_statement(other: Shop, number: int) -> None:
    """A session of the neighbour's that logs what it says."""
    other.server.execute(
        f"SET SESSION binlog_format = STATEMENT; INSERT INTO orders VALUES ({number}, '{SECRET}')", other.name
    )


def codes(shipped: Shipped) -> list[str]:
    return [code for code, *_ in barriers(shipped)]


def warned(shipped: Shipped) -> str:
    """What is said where the log of a shop is switched on."""
    found = checks.checked(database_server(shipped.database), shipped.shop.name)
    assert found.refused == []
    return " ".join(found.warnings)


def test_a_trigger_that_was_there_makes_a_neighbours_statement_a_barrier(
    shared_mariadb: DatabaseServer, ship: Ship
) -> None:
    shop, other = ship_shop(shared_mariadb), ship_shop(shared_mariadb)
    other.server.execute(reaching(shop.name), other.name)
    shared_mariadb.execute(f"GRANT TRIGGER ON {other.name}.* TO '{shop.user}'@'%'")
    shipped = ship(shop)
    assert f"{other.name}.reaches" in warned(shipped)
    say_a_statement(other, 1)

    shipped.look()

    assert codes(shipped) == ["log.statement_rows"]
    assert incidents(shipped) == 1
    assert SECRET.encode() not in shipped.stored()
    assert Run.objects.filter(database=shipped.database, action=Action.BACKUP, status="queued").count() == 1
    # What is around it was committed, and a replay from a later backup passes it.
    assert [str(each.kind) for each in shipped.transactions()] == ["rows"]


def test_one_that_is_made_while_the_log_is_stored_is_heard_of_in_it(
    shared_mariadb: DatabaseServer, ship: Ship
) -> None:
    shipped, other = ship(ship_shop(shared_mariadb)), ship_shop(shared_mariadb)
    assert "does not see all triggers" in warned(shipped)
    say_a_statement(other, 1)
    other.server.execute(reaching(shipped.shop.name), other.name)
    # Though it is gone by the time that the log is read.
    say_a_statement(other, 2)
    other.server.execute("DROP TRIGGER reaches", other.name)
    shipped.look()
    assert codes(shipped) == ["log.statement_rows"]

    # Another process knows of it as well.
    say_a_statement(other, 3)
    shipped.look()
    assert len(codes(shipped)) == 2


def test_what_is_gone_counts_for_another_day(
    shared_mariadb: DatabaseServer, ship: Ship, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped, other = ship(ship_shop(shared_mariadb)), ship_shop(shared_mariadb)
    minutes = Minutes()
    other.server.execute(reaching(shipped.shop.name), other.name)
    other.server.execute("DROP TRIGGER reaches", other.name)
    monkeypatch.setattr(neighbours, "_AGAIN", timedelta(0))
    minutes._look()
    found = []
    for number in range(3):
        say_a_statement(other, number)
        minutes._look()
        found.append(len(codes(shipped)))

    assert found == [1, 1, 1]


def test_a_statement_that_merely_holds_our_name_is_stored_without_its_text(
    shared_mariadb: DatabaseServer, ship: Ship
) -> None:
    shipped, other = ship(ship_shop(shared_mariadb)), ship_shop(shared_mariadb)
    name = shipped.shop.name
    own = "nobody else's"
    shared_mariadb.execute(
        f"SET SESSION binlog_format = STATEMENT; "
        f"INSERT INTO orders VALUES (1, '{SECRET} {name}'); "
        f"USE {name}; INSERT INTO {other.name}.orders VALUES (2, '{SECRET}'); "
        f'INSERT INTO orders VALUES (3, "{own}")',
        other.name,
    )

    shipped.look()

    assert codes(shipped) == ["log.statement_rows"] * 3
    assert incidents(shipped) == 2
    stored = shipped.stored()
    assert SECRET.encode() not in stored
    assert own.encode() in stored


class Asked:
    """What a server answers of its neighbours: something, nothing, or not at all."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.answer: Neighbours | Problem = Neighbours((), ())
        self.times = 0
        self.now = timezone.now()
        monkeypatch.setattr(mysql, "connect", lambda *_, **__: nullcontext())
        monkeypatch.setattr(mysql, "neighbours_naming", self._ask)
        monkeypatch.setattr(timezone, "now", lambda: self.now)

    def _ask(self, *_: object) -> Neighbours:
        self.times += 1
        if isinstance(self.answer, Problem):
            raise self.answer
        return self.answer

    def look(self, reach: Reach, *, after: timedelta) -> None:
        self.now += after
        reach.look(cast("mysql.Server", None))


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    return Asked(monkeypatch)


NO_ANSWERS = [
    Problem("It took too long.", code="mysql.unreachable"),
    Neighbours((), ("view",), ("trigger", "routine")),
]
DAY = timedelta(days=1, seconds=1)


@pytest.mark.parametrize("no_answer", NO_ANSWERS)
def test_what_was_known_is_not_forgotten_while_the_server_cannot_be_asked(
    asked: Asked, no_answer: Problem | Neighbours
) -> None:
    reach = Reach("shop", mysql.MARIADB, was=False)
    asked.answer = Neighbours(("other.reaches",), ())
    asked.look(reach, after=DAY)
    asked.answer = no_answer
    for _ in range(4):
        asked.look(reach, after=DAY)
        assert reach.is_there

    asked.answer = Neighbours((), ())
    asked.look(reach, after=DAY)
    # It counts for another day, and not for longer.
    assert reach.known
    asked.look(reach, after=DAY)
    assert reach.known is False


@pytest.mark.parametrize("no_answer", NO_ANSWERS)
def test_where_nothing_was_ever_known_anything_may_be_there_until_it_is_asked_again_soon(
    asked: Asked, no_answer: Problem | Neighbours
) -> None:
    reach = Reach("shop", mysql.MARIADB, was=None)
    asked.answer = no_answer
    asked.look(reach, after=DAY)
    # The next process knows as little.
    assert (reach.is_there, reach.known) == (True, None)
    asked.look(reach, after=timedelta(minutes=1))
    assert asked.times == 1
    for _ in range(3):
        asked.look(reach, after=timedelta(minutes=15))
    # Not each time at once, as it keeps the log waiting.
    assert asked.times == 3

    asked.answer = Neighbours((), ())
    asked.look(reach, after=timedelta(minutes=30))
    assert (reach.is_there, reach.known) == (False, False)
    assert Reach("shop", mysql.MYSQL, was=None).known is False


def test_names_are_told_from_longer_ones_and_others_from_our_own(
    shared_mariadb: DatabaseServer,
) -> None:
    shop, other = ship_shop(shared_mariadb), ship_shop(shared_mariadb)
    for database, statement in (
        (shop.name, f"CREATE VIEW own AS SELECT id FROM {shop.name}.orders"),
        (other.name, f"CREATE VIEW longer AS SELECT '{shop.name}_x' AS a"),
        (other.name, f"CREATE PROCEDURE runs() DELETE FROM `{shop.name.upper()}`.orders"),
        (other.name, f"CREATE EVENT nightly ON SCHEDULE EVERY 1 DAY DO DELETE FROM {shop.name}.orders"),
        (other.name, f"CREATE VIEW shows AS SELECT id FROM {shop.name}.orders"),
    ):
        shared_mariadb.execute(statement, database)

    with mysql.connect(address(shared_mariadb)) as connection:
        found = mysql.neighbours_naming(connection, shop.name)

    assert found.naming == tuple(f"{other.name}.{name}" for name in ("nightly", "runs", "shows"))
    assert (found.hidden, found.unanswered) == ((), ())
