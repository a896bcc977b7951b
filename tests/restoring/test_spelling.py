"""Moves to servers that give tables names in lower case, as those on Windows and of some hosters do."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from pytest_django.fixtures import Settings

from backups.actions.preflight import checks
from backups.actions.steps.checks import Found as Learned
from backups.actions.steps.inventories import made_of
from backups.choices import Action, RestoreMode
from backups.dumpfile.ready import Does, Found, Ready, Unmade
from backups.dumpfile.settings import Settings as DumpSettings
from backups.dumpfile.spelling import clashing, in_lower_case, respelled
from backups.models import Database, Run
from backups.restoring.plan import plan
from tests.actions.tools import verdict, verify
from tests.backups.conftest import MakeDatabase
from tests.backups.worlds import Shop
from tests.restoring.stories import (
    again,
    content,
    databases_of,
    drop_all,
    failed,
    log_of,
    make_restorable,
    may_restore,
    restore,
    store,
    succeeded,
    undo,
)
from tests.rows import change_server
from tests.servers import FLAVOURS, DatabaseServer

BackUp = Callable[[Database], Run]
MIXED = """
CREATE TABLE Customers (Id INT PRIMARY KEY, Name VARCHAR(20) DEFAULT 'Nobody', KEY ByName (Name));
INSERT INTO Customers VALUES (1, 'Ada'), (2, 'Grace');
CREATE TABLE Orders (Id INT PRIMARY KEY, Customer INT, Number BIGINT,
  CONSTRAINT OfCustomer FOREIGN KEY (Customer) REFERENCES Customers (Id));
INSERT INTO Orders VALUES (1, 1, 1), (2, 2, 2);
CREATE TABLE Archive (Id INT PRIMARY KEY) PARTITION BY RANGE (Id)
  (PARTITION Old VALUES LESS THAN (10), PARTITION Young VALUES LESS THAN MAXVALUE);
INSERT INTO Archive VALUES (3), (30);
CREATE TABLE plain (n INT);
INSERT INTO plain VALUES (7);
CREATE VIEW OpenOrders AS SELECT o.Id, c.Name FROM Orders o JOIN Customers c ON c.Id = o.Customer;
CREATE TRIGGER BeforeOrder BEFORE INSERT ON Orders FOR EACH ROW SET NEW.Number = NEW.Id;
CREATE PROCEDURE CountThem() SELECT COUNT(*) FROM orders;
CREATE EVENT Nightly ON SCHEDULE EVERY 1 DAY DISABLE DO DELETE FROM plain;
"""


@pytest.fixture(scope="module")
def folding_mariadb() -> Iterator[DatabaseServer]:
    with DatabaseServer("mariadb", options=["--lower-case-table-names=1"]) as server:
        yield server


@pytest.fixture(scope="module")
def folding_mysql() -> Iterator[DatabaseServer]:
    with DatabaseServer("mysql", options=["--lower-case-table-names=1"]) as server:
        server.execute("SET GLOBAL log_bin_trust_function_creators = 1")
        yield server


@pytest.fixture(
    params=[
        pytest.param(flavour, marks=() if flavour == "mariadb" else pytest.mark.soak) for flavour in FLAVOURS
    ]
)
def both(request: pytest.FixtureRequest) -> Iterator[tuple[Shop, Shop]]:
    """A shop whose tables have capital letters, and its place on a server that knows none."""
    server: DatabaseServer = request.getfixturevalue(f"{request.param}_server")
    folding: DatabaseServer = request.getfixturevalue(f"folding_{request.param}")
    shop = make_restorable(server, MIXED)
    folding.create_database(shop.name)
    folding.create_user(shop.user, shop.password, may_restore(folding, shop.name))
    there = Shop(folding, shop.name, shop.user, shop.password)
    yield shop, there
    drop_all(shop)
    drop_all(there)


def moved(database: Database, there: Shop) -> Database:
    """The database's row, which from now on means the other server."""
    change_server(database, host=there.server.host, port=there.server.port)
    return database


def tables_of(shop: Shop, name: str = "") -> list[str]:
    return [str(table) for (table,) in shop.server.query(f"SHOW TABLES FROM `{name or shop.name}`")]


NAMES = ["archive", "customers", "openorders", "orders", "plain"]


# Below, what such a server makes of names is worked out without one.
@pytest.mark.soak
def test_a_snapshot_moves_to_a_server_that_spells_names_in_lower_case(
    both: tuple[Shop, Shop], make_database: MakeDatabase, back_up: BackUp
) -> None:
    shop, there = both
    database = make_database(shop)
    first = succeeded(back_up(database)).snapshot
    moved(database, there)

    new = succeeded(restore(database, RestoreMode.NEW, target=f"{there.name}_new"))
    assert tables_of(there, f"{there.name}_new") == NAMES
    assert "Customers is customers" in log_of(new)

    there.execute("CREATE TABLE gone (id INT); INSERT INTO gone VALUES (1)")
    swapped = succeeded(restore(database, RestoreMode.REPLACE, snapshot=first))
    assert tables_of(there) == NAMES
    assert there.query("SELECT id, name FROM openorders ORDER BY id") == [(1, "Ada"), (2, "Grace")]
    there.execute("INSERT INTO orders (id, customer) VALUES (5, 1)")
    assert there.query("SELECT number FROM orders WHERE id = 5") == [(5,)]

    wanted = ["Orders", "Customers"]
    chosen = succeeded(restore(database, RestoreMode.REPLACE, snapshot=first, tables=wanted))
    assert there.query("SELECT id FROM orders ORDER BY id") == [(1,), (2,)]
    succeeded(undo(chosen))
    assert there.query("SELECT id FROM orders ORDER BY id") == [(1,), (2,), (5,)]
    succeeded(undo(swapped))
    assert tables_of(there) == ["gone"]


@pytest.mark.soak
def test_it_moves_in_place_and_by_a_table_as_well(
    both: tuple[Shop, Shop], make_database: MakeDatabase, back_up: BackUp, settings: Settings
) -> None:
    shop, there = both
    database = make_database(shop)
    succeeded(back_up(database))
    moved(database, there)

    for settings.RESTORE_CONNECTIONS in (1, 4):
        succeeded(restore(database, RestoreMode.IN_PLACE, without_safety=True))
        assert tables_of(there) == NAMES
        assert there.query("SELECT id FROM archive ORDER BY id") == [(3,), (30,)]
        for number, chosen in enumerate(("Orders", "orders")):
            target = f"{there.name}_{number}_{settings.RESTORE_CONNECTIONS}"
            succeeded(restore(database, RestoreMode.NEW, target=target, tables=[chosen]))
            assert tables_of(there, target) == ["orders"]

    told = plan(
        database,
        database.snapshots.latest("time"),
        mode=RestoreMode.REPLACE,
        target=there.name,
        tables=["Orders", "Customers"],
    )
    assert told.replaced == ["customers", "orders"]
    assert told.obstacles == []
    assert "lower case" in " ".join(told.warnings)


@pytest.mark.soak
def test_what_such_a_server_has_is_backed_up_verified_and_restored_there(
    both: tuple[Shop, Shop], make_database: MakeDatabase, back_up: BackUp
) -> None:
    _, there = both
    there.server.load(MIXED, there.name)
    database = make_database(there)
    succeeded(back_up(database))
    before = content(there.server, there.name)

    assert verdict(verify(database)).verdict == "identical"
    succeeded(restore(database, RestoreMode.REPLACE))

    assert content(there.server, there.name) == before


@pytest.mark.soak
def test_a_verification_there_proves_nothing_and_says_why(
    both: tuple[Shop, Shop],
    make_database: MakeDatabase,
    back_up: BackUp,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shop, there = both
    database = make_database(shop)
    succeeded(back_up(database))
    settings.VERIFY_MYSQL_HOST, settings.VERIFY_MYSQL_PORT = there.server.host, there.server.port
    settings.VERIFY_MYSQL_USER = there.user
    monkeypatch.setenv("VERIFY_MYSQL_PASSWORD", there.password)

    (before,) = [each for each in checks(database, Learned()) if each.name == "test restores"]
    assert "Nothing would be proved" in before.detail
    assert "lower_case_table_names" in before.detail
    assert not before.ok

    told = failed(verify(database))

    assert "Nothing was proved" in told
    assert "lower_case_table_names" in told
    assert "Archive, BeforeOrder" not in told
    assert databases_of(there) == [there.name]


@pytest.mark.soak
@pytest.mark.parametrize("mode", [RestoreMode.NEW, RestoreMode.REPLACE, RestoreMode.IN_PLACE])
def test_tables_that_such_a_server_takes_for_one_are_refused_before(
    both: tuple[Shop, Shop], make_database: MakeDatabase, back_up: BackUp, mode: RestoreMode
) -> None:
    shop, there = both
    shop.execute("CREATE TABLE ORDERS (id INT)")
    there.execute("CREATE TABLE orders (id INT); INSERT INTO orders VALUES (42)")
    database = make_database(shop)
    succeeded(back_up(database))
    moved(database, there)

    target = f"{there.name}_new" if mode == RestoreMode.NEW else there.name
    told = failed(restore(database, mode, target=target))

    assert "for one: ORDERS, Orders" in told
    assert there.query("SELECT id FROM orders") == [(42,)]
    assert databases_of(there) == [there.name]
    snapshot = database.snapshots.latest("time")
    assert "for one" in " ".join(plan(database, snapshot, mode=mode, target=target).obstacles)


@pytest.mark.soak
@pytest.mark.parametrize("mode", [RestoreMode.NEW, RestoreMode.REPLACE, RestoreMode.IN_PLACE])
def test_so_are_those_of_a_dump_that_has_no_list_of_its_tables(
    both: tuple[Shop, Shop], make_database: MakeDatabase, mode: RestoreMode, settings: Settings
) -> None:
    _, there = both
    there.execute("CREATE TABLE orders (id INT); INSERT INTO orders VALUES (42)")
    database = make_database(there)
    text = "".join(
        f"DROP TABLE IF EXISTS `{name}`;\nCREATE TABLE `{name}` (`id` int);\n"
        f"INSERT INTO `{name}` VALUES (1);\n"
        for name in ("Orders", "ORDERS")
    )
    store(database, f"{text}\n-- Dump completed\n".encode())

    for settings.RESTORE_CONNECTIONS in (1, 4):
        target = f"{there.name}_new" if mode == RestoreMode.NEW else there.name
        told = failed(restore(database, mode, target=target, without_safety=True))
        assert "for one: Orders, ORDERS" in told
        assert there.query("SELECT id FROM orders") == [(42,)]
        assert databases_of(there) == [there.name]
    told = failed(verify(database))
    assert "Nothing was proved" in told
    assert "has Orders, ORDERS" in told


def test_inventories_are_spelled_as_the_server_would() -> None:
    held = {"table": ["Orders", "orders", "b"], "view": ["B"], "procedure": ["Do"], "trigger": ["Orders"]}

    assert in_lower_case(held) == {
        "table": ["b", "orders", "orders"],
        "view": ["b"],
        "procedure": ["Do"],
        "trigger": ["orders"],
    }
    assert respelled({"table": ["a", "B"], "procedure": ["Do"]}) == ["B"]
    assert clashing(held) == ["B", "Orders", "b", "orders"]


def test_what_could_not_be_made_is_known_by_the_servers_spelling() -> None:
    sections = [
        {"kind": "table", "name": "Orders", "table": "Orders"},
        {"kind": "trigger", "name": "Noted", "table": "Orders"},
        {"kind": "trigger", "name": "Counted", "table": "Orders"},
        *({"kind": kind, "name": f"The_{kind}", "table": ""} for kind in ("view", "function", "event")),
    ]

    def unmade(kind: str, name: str, table: str = "") -> Unmade:
        return Unmade(Ready(Does.DEFINITION, b"", DumpSettings(), table, kind, name), "Refused.")

    refused = [unmade("trigger", "Noted", "orders"), unmade("view", "the_view")]
    refused += [unmade("function", "The_function"), unmade("event", "The_event")]
    held = made_of(sections, Found(unmade=refused), folds_names=True)

    assert {kind: names for kind, names in held.items() if names} == {
        "table": ["orders"],
        "trigger": ["orders"],
    }


@pytest.mark.soak
def test_what_such_a_server_refuses_takes_no_table_away(
    folding_mysql: DatabaseServer,
    mysql_server: DatabaseServer,
    make_database: MakeDatabase,
    back_up: BackUp,
) -> None:
    shop = make_restorable(mysql_server, f"{MIXED} CREATE FUNCTION Twice(n INT) RETURNS INT RETURN 2 * n;")
    shop.execute("CREATE VIEW Doubled AS SELECT Twice(Id) AS n FROM Orders")
    folding_mysql.create_database(shop.name)
    folding_mysql.create_user(shop.user, shop.password, may_restore(folding_mysql, shop.name))
    there = Shop(folding_mysql, shop.name, shop.user, shop.password)
    database = make_database(shop)
    succeeded(back_up(database))
    moved(database, there)
    folding_mysql.execute("SET GLOBAL log_bin_trust_function_creators = 0")
    try:
        run = restore(database, RestoreMode.NEW, target=f"{there.name}_new")
        told = failed(run)
        assert f"All tables are in {there.name}_new" in told
        assert "SET GLOBAL log_bin_trust_function_creators = 1" in told
        left = {(one["kind"], one["name"]) for one in run.restore.definitions_left}
        assert left == {("trigger", "BeforeOrder"), ("function", "Twice"), ("view", "doubled")}
        assert tables_of(there, f"{there.name}_new") == NAMES
        assert "SET GLOBAL log_bin_trust_function_creators = 1" in failed(again(run, Action.DEFINE))
    finally:
        folding_mysql.execute("SET GLOBAL log_bin_trust_function_creators = 1")

    succeeded(again(run, Action.DEFINE))
    assert tables_of(there, f"{there.name}_new") == sorted([*NAMES, "doubled"])
    drop_all(shop)
    drop_all(there)
