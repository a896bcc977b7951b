"""Events whose last time is over: a server makes no such event, and none of them runs once more."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from backups.choices import RestoreMode
from backups.models import Database, Run
from tests.actions.tools import verdict, verify
from tests.backups.conftest import MakeDatabase
from tests.backups.worlds import Shop
from tests.restoring.stories import (
    drop_all,
    dump_of,
    log_of,
    make_restorable,
    restore,
    store,
    succeeded,
    undo,
)
from tests.servers import DatabaseServer

BackUp = Callable[[Database], Run]
# The server takes them for future ones while its session lives in the year 2001.
SALE = """
CREATE TABLE ran (what VARCHAR(20));
INSERT INTO ran VALUES ('made by hand');
SET SESSION timestamp = UNIX_TIMESTAMP('2001-01-01');
CREATE EVENT end_of_sale ON SCHEDULE AT '2001-01-02' DISABLE DO INSERT INTO ran VALUES ('end_of_sale');
CREATE EVENT last_days ON SCHEDULE EVERY 1 HOUR STARTS '2001-01-02' ENDS '2001-01-03' DISABLE
  DO INSERT INTO ran VALUES ('last_days');
CREATE EVENT kept ON SCHEDULE AT '2001-01-02' ON COMPLETION PRESERVE DISABLE
  DO INSERT INTO ran VALUES ('kept');
"""
DAILY = "CREATE EVENT daily ON SCHEDULE EVERY 1 DAY STARTS '2030-01-01' DO INSERT INTO ran VALUES ('daily');"
OVER = "its time has passed, so no server makes it any more"


@pytest.fixture(params=["mysql", pytest.param("mariadb", marks=pytest.mark.soak)])
def flavour_server(request: pytest.FixtureRequest) -> DatabaseServer:
    """Each flavour in turn, one of them in the long run alone."""
    server: DatabaseServer = request.getfixturevalue(f"{request.param}_server")
    return server


@pytest.fixture(
    params=[pytest.param("", marks=pytest.mark.soak, id="alone"), pytest.param(DAILY, id="beside another")]
)
def sale(flavour_server: DatabaseServer, request: pytest.FixtureRequest) -> Iterator[Shop]:
    """A database of which two events of three, or of four, cannot be made any more."""
    shop = make_restorable(flavour_server, SALE + request.param)
    yield shop
    drop_all(shop)


def events_of(shop: Shop, name: str = "") -> dict[str, str]:
    """The events of a database, and their states."""
    asked = "SELECT EVENT_NAME, STATUS FROM information_schema.EVENTS WHERE EVENT_SCHEMA = %s"
    return {str(event): str(state) for event, state in shop.query(asked, [name or shop.name])}


def test_their_snapshot_verifies_and_restores_in_every_mode(
    sale: Shop, make_database: MakeDatabase, back_up: BackUp
) -> None:
    database = make_database(sale)
    there = events_of(sale)
    snapshot = succeeded(back_up(database)).snapshot
    still_made = {event: state for event, state in there.items() if event not in ("end_of_sale", "last_days")}

    found = verdict(verify(database))
    assert (found.verdict, found.differences) == ("identical", [])
    assert found.not_compared == [f"event end_of_sale: {OVER}", f"event last_days: {OVER}"]

    copied = succeeded(restore(database, RestoreMode.NEW, target=f"{sale.name}_copy"))
    assert copied.result["left_out"] == [
        {"kind": "event", "name": name, "why": OVER} for name in ("end_of_sale", "last_days")
    ]
    assert events_of(sale, f"{sale.name}_copy") == dict.fromkeys(still_made, "DISABLED")

    replaced = succeeded(restore(database, RestoreMode.REPLACE, without_safety=True))
    assert events_of(sale) == still_made
    undone = succeeded(undo(replaced))
    assert f"Event end_of_sale is not made: {OVER}." in log_of(undone)
    assert events_of(sale) == still_made

    succeeded(restore(database, RestoreMode.IN_PLACE, snapshot=snapshot, without_safety=True))
    assert events_of(sale) == still_made
    assert sale.query("SELECT * FROM ran") == [("made by hand",)]


# Above, those that are over are not made, in any mode.
@pytest.mark.soak
def test_one_that_is_enabled_and_over_does_not_run_once_more(
    flavour_server: DatabaseServer, make_database: MakeDatabase
) -> None:
    """The server itself disables it where a dump is loaded by hand."""
    shop = make_restorable(flavour_server, SALE)
    database = make_database(shop)
    enabled = dump_of(flavour_server, shop.name).replace(b"PRESERVE DISABLE", b"PRESERVE ENABLE")
    snapshot = store(database, enabled)
    shop.execute("DROP EVENT end_of_sale; DROP EVENT last_days; DROP EVENT kept")

    found = verdict(verify(database, snapshot))
    assert (found.verdict, found.differences) == ("identical", [])
    for mode in (RestoreMode.REPLACE, RestoreMode.IN_PLACE):
        run = succeeded(restore(database, mode, snapshot=snapshot, without_safety=True))
        assert "Event kept stays disabled: its time has passed, and it would run at once." in log_of(run)
        assert events_of(shop) == {"kept": "DISABLED"}
    drop_all(shop)
