"""Servers whose tables are damaged on the disk: a failed run that names table and repair, and no snapshot."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from pytest_django.fixtures import Settings

from backups.choices import RestoreMode
from backups.models import Database, Run
from tests.actions.tools import log_of
from tests.backups.conftest import MakeDatabase
from tests.backups.worlds import Shop, make_shop
from tests.restoring.stories import content, drop_all, failed, make_restorable, restore, succeeded
from tests.servers import FLAVOURS, DatabaseServer, Flavour

BackUp = Callable[[Database], Run]
ROWS = 3000
FIXED, VARIABLE = "CHAR(40) CHARACTER SET latin1 NOT NULL", "VARCHAR(40) NOT NULL"
PARTS = (
    " PARTITION BY RANGE (id) (PARTITION few VALUES LESS THAN (10), PARTITION many VALUES LESS THAN (9999))"
)
# Else a server mends by itself what it can, and drops the rows that it cannot.
MENDS_NOTHING = {
    "mariadb": ["--myisam-recover-options=OFF", "--aria-recover-options=OFF"],
    "mysql": ["--myisam-recover-options=OFF"],
}


def overwritten(path: Path) -> None:
    """Other bytes in the middle of a file."""
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(size // 2)
        file.write(b"\xff" * min(4000, size // 4))


def cut_off(path: Path) -> None:
    """The second half of a file is gone."""
    os.truncate(path, path.stat().st_size // 2)


def removed(path: Path) -> None:
    """The whole file is gone."""
    path.unlink()


@dataclass(frozen=True)
class Damage:
    """What is done to which file of a table while the server is down, and what becomes of a backup."""

    engine: str
    ending: str
    do: Callable[[Path], None]
    column: str = VARIABLE
    parts: str = ""
    # By its file the server still gives out all rows; only CHECK TABLE tells.
    is_hidden: bool = False
    flavours: tuple[str, ...] = FLAVOURS
    is_soak: bool = True


DAMAGES = {
    "rows overwritten": Damage("MyISAM", ".MYD", overwritten),
    "rows of fixed length overwritten": Damage("MyISAM", ".MYD", overwritten, FIXED, is_hidden=True),
    "rows cut off": Damage("MyISAM", ".MYD", cut_off),
    "rows of fixed length cut off": Damage("MyISAM", ".MYD", cut_off, FIXED, is_soak=False),
    "rows removed": Damage("MyISAM", ".MYD", removed),
    "keys overwritten": Damage("MyISAM", ".MYI", overwritten, is_hidden=True, is_soak=False),
    "Aria rows overwritten": Damage("Aria", ".MAD", overwritten, flavours=("mariadb",), is_soak=False),
    "Aria rows cut off": Damage("Aria", ".MAD", cut_off, flavours=("mariadb",)),
    "Aria keys overwritten": Damage("Aria", ".MAI", overwritten, is_hidden=True, flavours=("mariadb",)),
    "InnoDB removed": Damage("InnoDB", ".ibd", removed, is_soak=False),
    "partition removed": Damage("InnoDB", "#many.ibd", removed, parts=PARTS, is_soak=False),
    # MySQL ends at such a page, and says so in its log.
    "InnoDB overwritten": Damage("InnoDB", ".ibd", overwritten, flavours=("mariadb",)),
    "CSV cut off": Damage("CSV", ".CSV", cut_off, is_hidden=True),
}  # fmt: skip


@dataclass(frozen=True)
class Wreck:
    """A server with a shop for each damage, each with a table `goods` that has it."""

    server: DatabaseServer
    shops: dict[str, Shop]


SLOWLY_BOTH = ["mariadb", pytest.param("mysql", marks=pytest.mark.soak)]


@pytest.fixture(params=SLOWLY_BOTH)
def any_server(request: pytest.FixtureRequest) -> DatabaseServer:
    """The shared servers, one of them for `make soak` alone."""
    server: DatabaseServer = request.getfixturevalue(f"{request.param}_server")
    return server


@pytest.fixture(scope="module", params=SLOWLY_BOTH)
def wreck(request: pytest.FixtureRequest) -> Iterator[Wreck]:
    """All that is looked at, damaged while the server was down."""
    cases = (getattr(item, "callspec", None) for item in request.session.items)
    asked_for = {case.params.get("name") for case in cases if case is not None}
    with DatabaseServer(request.param, options=MENDS_NOTHING[request.param]) as server:
        shops = {
            name: make_goods(server, damage)
            for name, damage in DAMAGES.items()
            if request.param in damage.flavours and name in asked_for
        }
        server.execute("FLUSH TABLES")
        server.stop()
        for name, shop in shops.items():
            DAMAGES[name].do(file_of(server, shop, DAMAGES[name].ending))
        server.start()
        yield Wreck(server, shops)


def make_goods(server: DatabaseServer, damage: Damage) -> Shop:
    """A shop with one table, of many rows."""
    key = "" if damage.engine == "CSV" else ", PRIMARY KEY (id)"
    shop = make_shop(server, "")
    shop.execute(
        f"CREATE TABLE goods (id INT NOT NULL, name {damage.column}{key}) "
        f"ENGINE={damage.engine}{damage.parts}"
    )
    shop.execute(
        "INSERT INTO goods VALUES "
        + ", ".join(f"({number}, 'ware {number} of the shop')" for number in range(ROWS))
    )
    return shop


def file_of(server: DatabaseServer, shop: Shop, ending: str) -> Path:
    """A file of the shop's table."""
    folder = server.folder / "data" / shop.name
    (found,) = (path for path in folder.iterdir() if path.name.lower().endswith(ending.lower()))
    return found


CASES = [
    pytest.param(name, id=name.replace(" ", "-"), marks=pytest.mark.soak if damage.is_soak else ())
    for name, damage in DAMAGES.items()
]


@pytest.mark.parametrize("name", CASES)
def test_no_damaged_table_becomes_a_snapshot(
    wreck: Wreck, name: str, make_database: MakeDatabase, back_up: BackUp, settings: Settings
) -> None:
    if name not in wreck.shops:
        pytest.skip("this server has no such tables")
    settings.BACKUP_CHECK_TABLES = "not-innodb" if DAMAGES[name].is_hidden else "off"
    database = make_database(wreck.shops[name])

    # The second time, what was found is marked as crashed; but of a CSV file the server counts anew.
    for _ in range(2 if DAMAGES[name].is_soak and DAMAGES[name].engine != "CSV" else 1):
        run = back_up(database)

        assert run.status == "failed", log_of(run)
        assert f"The table goods of {database} is damaged" in run.error
        assert f"REPAIR TABLE `{database}`.`goods`" in run.error
        assert "Restore that table from the newest good snapshot" in run.error
        assert "--replace --table goods --without-safety-backup" in run.error
        assert not database.snapshots.exists()


@pytest.mark.soak
@pytest.mark.parametrize("check", ["off", "all"])
def test_a_server_that_ends_at_a_damaged_page_is_told_with_the_table(
    check: str, make_database: MakeDatabase, back_up: BackUp, settings: Settings
) -> None:
    settings.BACKUP_CHECK_TABLES = check
    with DatabaseServer("mysql") as server:
        shop = make_goods(server, Damage("InnoDB", ".ibd", overwritten))
        server.stop()
        overwritten(file_of(server, shop, ".ibd"))
        server.start()
        database = make_database(shop)

        run = back_up(database)

    assert run.status == "failed"
    assert "was lost while it read the table goods" in run.error, run.error
    assert "the table is damaged: restore it from the newest good snapshot" in run.error
    assert not database.snapshots.exists()


READ_BY_VIEWS = {
    "MyISAM keys": ("MyISAM", "MYI"),
    "MyISAM rows": ("MyISAM", "MYD"),
    "Aria keys": ("Aria", "MAI"),
    "definition": ("InnoDB", "frm"),
}


@pytest.mark.parametrize(
    "what",
    [
        pytest.param(what, id=what.replace(" ", "-"), marks=() if what == "definition" else pytest.mark.soak)
        for what in READ_BY_VIEWS
    ],
)
@pytest.mark.parametrize("is_own", [True, pytest.param(False, marks=pytest.mark.soak)])
def test_a_damaged_table_that_views_read_is_named_and_no_view_is_to_be_dropped(
    mariadb_server: DatabaseServer, what: str, is_own: bool, make_database: MakeDatabase, back_up: BackUp
) -> None:
    engine, ending = READ_BY_VIEWS[what]
    goods = make_goods(mariadb_server, Damage(engine, ending, removed))
    shop = goods if is_own else make_shop(mariadb_server, "")
    shop.execute(
        f"CREATE VIEW a_list AS SELECT * FROM `{goods.name}`.goods;"
        "CREATE FUNCTION how_many() RETURNS INT READS SQL DATA "
        f"RETURN (SELECT COUNT(*) FROM `{goods.name}`.goods);"
        "CREATE VIEW a_sum AS SELECT how_many() AS n"
    )
    mariadb_server.execute(f"GRANT SELECT ON `{goods.name}`.* TO '{shop.user}'@'%'")
    file = file_of(mariadb_server, goods, f"goods.{ending}")
    held = file.read_bytes()
    mariadb_server.execute("FLUSH TABLES")
    file.write_bytes(b"\xff" * 60 + held[60:]) if ending != "MYD" else file.unlink()
    try:
        run = back_up(make_database(shop))
    finally:
        file.write_bytes(held)
        mariadb_server.execute("FLUSH TABLES")

    assert run.status == "failed", log_of(run)
    if is_own:
        assert f"The table goods of {shop.name} is damaged" in run.error
        assert f"REPAIR TABLE `{shop.name}`.`goods`" in run.error
    elif what != "definition":  # of which the server says of a view that its table is not there
        assert "A table that the view a_list of" in run.error
        assert "is damaged" in run.error
        assert "REPAIR TABLE" in run.error
    assert "drop the view" not in run.error or (what == "definition" and not is_own)


def test_sound_tables_of_all_kinds_pass_every_check(
    any_server: DatabaseServer, make_database: MakeDatabase, back_up: BackUp, settings: Settings
) -> None:
    """Rows that come and go while they are counted are no damage."""
    settings.BACKUP_CHECK_TABLES = "all"
    shop = make_shop(
        any_server,
        "CREATE TABLE fixed (id INT NOT NULL PRIMARY KEY, c CHAR(9)) ENGINE=MyISAM;"
        "INSERT INTO fixed VALUES (1, 'a'), (2, 'b'), (3, 'c'); DELETE FROM fixed WHERE id = 2;"
        "CREATE TABLE `a ``b` (v TEXT) ENGINE=MyISAM; CREATE TABLE csv (n INT NOT NULL) ENGINE=CSV;"
        "CREATE TABLE parts (id INT PRIMARY KEY) PARTITION BY HASH (id) PARTITIONS 2;"
        "CREATE TABLE memory (n INT) ENGINE=MEMORY; CREATE VIEW seen AS SELECT * FROM parts;",
    )

    run = back_up(make_database(shop))

    assert run.status == "succeeded", run.error


def test_a_table_that_lost_its_rows_since_the_last_backup_is_told(
    any_server: DatabaseServer, make_database: MakeDatabase, back_up: BackUp
) -> None:
    """As by a server that mended it by itself; of an InnoDB table without alarm, as of a queue."""
    names = ", ".join(f"({number}, 'ware {number} of the shop')" for number in range(200))
    shop = make_shop(
        any_server,
        "".join(
            f"CREATE TABLE {name} (id INT PRIMARY KEY, name VARCHAR(40)) ENGINE={engine};"
            f"INSERT INTO {name} VALUES {names};"
            for name, engine in (("loose", "MyISAM"), ("safe", "InnoDB"), ("kept", "MyISAM"))
        ),
    )
    database = make_database(shop)
    first = back_up(database)
    shop.execute("DELETE FROM loose WHERE id > 20; DELETE FROM safe; DELETE FROM kept WHERE id > 150")

    second = back_up(database)

    assert (first.status, second.status) == ("succeeded", "succeeded")
    assert first.result["shrunk"] == []
    assert [each["table"] for each in second.result["shrunk"]] == ["loose", "safe"]
    loud = list(
        second.lines.filter(level="warning", text__contains="The rows of").values_list("text", flat=True)
    )
    assert len(loud) == 1
    assert "The rows of loose take" in loud[0]
    assert "CHECK TABLE loose; that snapshot still holds them." in loud[0]
    assert second.result["heartbeat"] == "written"


BROUGHT_BACK = """
CREATE TABLE goods (id INT PRIMARY KEY, name VARCHAR(40)) ENGINE=MyISAM;
INSERT INTO goods VALUES (1, 'a kettle'), (2, 'a lamp');
CREATE TABLE notes (id INT PRIMARY KEY, text VARCHAR(40));
INSERT INTO notes VALUES (1, 'of the snapshot');
CREATE VIEW a_list AS SELECT name FROM goods;
"""
TRIGGER = "CREATE TRIGGER trimmed BEFORE INSERT ON goods FOR EACH ROW SET NEW.name = TRIM(NEW.name);"


ONE_ALONE = [(RestoreMode.REPLACE, ["goods"])]
EACH_WAY = [*ONE_ALONE, (RestoreMode.REPLACE, []), (RestoreMode.IN_PLACE, ["goods"])]


@pytest.mark.parametrize(
    ("script", "ending", "ways"),
    [
        pytest.param(BROUGHT_BACK + TRIGGER, ".MYI", ONE_ALONE, id="keys"),
        pytest.param(BROUGHT_BACK + TRIGGER, ".MYI", EACH_WAY, marks=pytest.mark.soak, id="keys-each-way"),
        pytest.param(BROUGHT_BACK, ".MYI", EACH_WAY, marks=pytest.mark.soak, id="keys-no-trigger"),
        pytest.param(BROUGHT_BACK + TRIGGER, ".MYD", EACH_WAY, marks=pytest.mark.soak, id="rows"),
        pytest.param(BROUGHT_BACK, ".MYD", EACH_WAY, marks=pytest.mark.soak, id="rows-no-trigger"),
    ],
)
def test_a_damaged_table_is_brought_back_in_each_mode(
    any_server: DatabaseServer,
    script: str,
    ending: str,
    ways: list[tuple[RestoreMode, list[str]]],
    make_database: MakeDatabase,
    back_up: BackUp,
) -> None:
    shop = make_restorable(any_server, script)
    database = make_database(shop)
    saved = succeeded(back_up(database)).snapshot
    was = content(any_server, shop.name)
    change = "UPDATE notes SET text = 'of later'"

    for mode, tables in ways:
        shop.execute(change)
        any_server.execute("FLUSH TABLES")
        file_of(any_server, shop, f"goods{ending}").unlink()
        refused = failed(restore(database, mode, snapshot=saved, tables=tables))
        assert "--without-safety-backup" in refused
        assert ("are not in danger" in refused) is bool(tables)

        run = succeeded(restore(database, mode, snapshot=saved, tables=tables, without_safety=True))

        assert shop.query("SELECT name FROM a_list ORDER BY 1") == [("a kettle",), ("a lamp",)]
        ((note,),) = shop.query("SELECT text FROM notes")
        assert note == ("of later" if tables else "of the snapshot")
        if mode == RestoreMode.REPLACE and run.result.get("not_kept"):
            assert run.result["not_kept"] == ["goods"]
            assert "goods was damaged and is not kept" in log_of(run)
            undone = restore(database, RestoreMode.UNDO, snapshot=saved, undo_of=run.restore)
            if tables:
                assert "kept nothing" in failed(undone)
            else:
                succeeded(undone)
                assert shop.query("SELECT text FROM notes") == [("of later",)]
                succeeded(restore(database, RestoreMode.REPLACE, snapshot=saved, without_safety=True))
    shop.execute("UPDATE notes SET text = 'of the snapshot'")
    assert content(any_server, shop.name) == was
    drop_all(shop)


@pytest.mark.soak
@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("trigger", [TRIGGER, ""], ids=["trigger", "no-trigger"])
def test_an_innodb_table_whose_file_is_gone_is_brought_back(
    flavour: Flavour, trigger: str, make_database: MakeDatabase, back_up: BackUp
) -> None:
    with DatabaseServer(flavour) as server:
        shop = make_restorable(server, BROUGHT_BACK.replace(" ENGINE=MyISAM", "") + trigger)
        database = make_database(shop)
        saved = succeeded(back_up(database)).snapshot
        was = content(server, shop.name)
        for tables in (["goods"], []):
            server.stop()
            file_of(server, shop, "goods.ibd").unlink()
            server.start()
            if flavour == "mysql":
                server.execute("SET GLOBAL log_bin_trust_function_creators = 1")

            run = restore(database, RestoreMode.REPLACE, snapshot=saved, tables=tables, without_safety=True)

            assert succeeded(run).result["not_kept"] == ["goods"]
            assert content(server, shop.name) == was
