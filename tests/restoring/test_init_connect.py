"""What a server does for everybody who connects leads no load into another database."""

from __future__ import annotations

import pytest

from backups.choices import RestoreMode
from tests.actions.tools import back_up, verdict, verify
from tests.backups.conftest import MakeDatabase
from tests.backups.worlds import SHOP
from tests.restoring.stories import content, drop_all, make_restorable, restore, succeeded
from tests.servers import FLAVOURS, DatabaseServer


@pytest.mark.one_flavour("mariadb")
@pytest.mark.parametrize("flavour", FLAVOURS)
def test_sessions_that_begin_in_another_database_reach_nothing_there(
    flavour: str, request: pytest.FixtureRequest, make_database: MakeDatabase
) -> None:
    server: DatabaseServer = request.getfixturevalue(f"{flavour}_server")
    shop = make_restorable(server, SHOP)
    other = f"{shop.name}_other"
    server.create_database(other)
    server.load(SHOP + "UPDATE customers SET name = 'of others';", other)
    others = content(server, other)
    was = content(server, shop.name)
    database = make_database(shop)
    server.execute(f"SET GLOBAL init_connect = 'USE {other}'")
    try:
        saved = back_up(database)
        found = verdict(verify(database, saved))
        succeeded(restore(database, RestoreMode.NEW, snapshot=saved, target=f"{shop.name}_new"))
        succeeded(restore(database, RestoreMode.REPLACE, snapshot=saved))
        succeeded(restore(database, RestoreMode.IN_PLACE, snapshot=saved, without_safety=True))
    finally:
        server.execute("SET GLOBAL init_connect = ''")

    assert found.differences == []
    assert content(server, shop.name) == was
    assert content(server, other) == others
    drop_all(shop)
