"""Each mode of a restore on real servers: afterwards the target dumps as its source did."""

from __future__ import annotations

import gzip
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from backups.choices import DefinerPolicy, RestoreMode
from backups.models import Database, Run
from tests.backups.conftest import MakeDatabase
from tests.backups.worlds import AWKWARD, Shop
from tests.restoring.stories import (
    LATER,
    content,
    drop_all,
    dump_of,
    failed,
    log_of,
    make_restorable,
    may_restore,
    restore,
    store,
    succeeded,
    untouched,
    with_events_disabled,
)
from tests.servers import FLAVOURS, DatabaseServer
from tools import sample

BackUp = Callable[[Database], Run]
Read = Callable[[Shop], list[bytes]]


def content_of(shop: Shop) -> list[bytes]:
    return content(shop.server, shop.name)


# ---------------------------------------------------------------- The awkward and the sample database


@pytest.fixture(scope="module", params=["awkward", pytest.param("sample", marks=pytest.mark.soak)])
def source_kind(request: pytest.FixtureRequest) -> str:
    kind: str = request.param
    return kind


@pytest.fixture(scope="module", params=FLAVOURS)
def source(request: pytest.FixtureRequest, source_kind: str) -> Iterator[Shop]:
    """A database that every mode has to bring back as it was."""
    server: DatabaseServer = request.getfixturevalue(f"{request.param}_server")
    if source_kind == "sample":
        script = "\n$$$\n".join(sample.statements(0.2))
        shop = make_restorable(server, f"DELIMITER $$$\n{script}\n$$$\n")
    else:
        shop = make_restorable(server, "", name="awk `ward` %_")
        for part in ("common", server.flavour):
            text = (AWKWARD / f"awkward_{part}.sql").read_bytes()
            server.client("--binary-mode", "--default-character-set=utf8mb4", shop.name, stdin=text)
    yield shop
    drop_all(shop)


# On MariaDB test_general_log.py has the same awkward database and all modes but a file, on MySQL
# tests/actions/test_identical.py has it verified; below, each mode.
@pytest.mark.soak
def test_every_mode_gives_the_same_bytes(
    source: Shop, make_database: MakeDatabase, back_up: BackUp, tmp_path: Path
) -> None:
    server = source.server
    database = make_database(source)
    was = content_of(source)
    saved = succeeded(back_up(database)).snapshot
    assert saved is not None

    by_file = succeeded(restore(database, RestoreMode.FILE, snapshot=saved, target=str(tmp_path)))
    server.create_database(f"{source.name}_by_hand")
    server.client(
        "--binary-mode", "--default-character-set=utf8mb4", "--max-allowed-packet=1G",
        f"{source.name}_by_hand", stdin=Path(by_file.result["file"]).read_bytes(),
    )  # fmt: skip
    assert content(server, f"{source.name}_by_hand") == was

    succeeded(restore(database, RestoreMode.NEW, snapshot=saved, target=f"{source.name}_new"))
    assert content(server, f"{source.name}_new") == with_events_disabled(was)

    server.execute("CREATE TABLE `of later` (id INT); INSERT INTO `of later` VALUES (1)", source.name)
    with_more = content_of(source)
    replaced = succeeded(restore(database, RestoreMode.REPLACE, snapshot=saved, without_safety=True))
    assert content_of(source) == was
    undone = restore(database, RestoreMode.UNDO, snapshot=saved, undo_of=replaced.restore, target=source.name)
    succeeded(undone)
    assert content_of(source) == with_more

    server.execute("DROP TABLE `of later`", source.name)
    succeeded(restore(database, RestoreMode.IN_PLACE, snapshot=saved, without_safety=True))
    assert content_of(source) == was


# ---------------------------------------------------------------- Events

EVENTS = """
SET time_zone = '+03:00', sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES';
CREATE DEFINER = leaver@`%` EVENT on_duty ON SCHEDULE EVERY 1 DAY STARTS '2035-01-01 00:00:00' DO SELECT "id"
  FROM customers;
CREATE EVENT off_duty ON SCHEDULE EVERY 1 DAY STARTS '2035-01-01 00:00:00' DISABLE COMMENT 'ENABLE'
  DO SELECT 1;
"""


def events_of(shop: Shop, database: str) -> list[tuple[object, ...]]:
    """Their states apart, and all else that decides what an event does."""
    return shop.server.query(
        "SELECT EVENT_NAME, STATUS, DEFINER, TIME_ZONE, SQL_MODE, STARTS, EVENT_DEFINITION"
        " FROM information_schema.EVENTS WHERE EVENT_SCHEMA = %s ORDER BY 1",
        None,
        [database],
    )


@pytest.mark.one_flavour("mariadb")
def test_events_run_in_the_database_itself_and_in_no_new_one(
    shop: Shop, make_database: MakeDatabase, back_up: BackUp
) -> None:
    database = make_database(shop)
    shop.server.load(EVENTS, shop.name)
    was = events_of(shop, shop.name)
    assert [(name, state) for name, state, *_ in was] == [
        ("nightly", "DISABLED"),
        ("off_duty", "DISABLED"),
        ("on_duty", "ENABLED"),
    ]
    succeeded(back_up(database))

    new = f"{shop.name}_new"
    beside = succeeded(restore(database, RestoreMode.NEW, target=new))
    assert events_of(shop, new) == [(name, "DISABLED", *rest) for name, _, *rest in was]
    assert beside.result["events_disabled"] == ["on_duty"]
    assert {"table": "orders", "after": 3} in beside.result["rows"]
    (to_enable,) = beside.result["events_to_enable"]
    assert "nothing runs by itself" in log_of(beside)
    shop.server.execute(to_enable)
    assert events_of(shop, new) == was

    replaced = succeeded(restore(database, RestoreMode.REPLACE, without_safety=True))
    assert events_of(shop, shop.name) == was
    # Who says that there is nothing left to save may mean a table at which the server ends.
    assert {"table": "orders", "before": None, "after": 3} in replaced.result["rows"]
    succeeded(restore(database, RestoreMode.UNDO, undo_of=replaced.restore))
    assert events_of(shop, shop.name) == was
    in_place = succeeded(restore(database, RestoreMode.IN_PLACE, without_safety=True))
    assert events_of(shop, shop.name) == was
    assert {"table": "orders", "before": None, "after": 3} in in_place.result["rows"]


# ---------------------------------------------------------------- Snapshots by other hands


OVERWRITING = [RestoreMode.REPLACE, RestoreMode.IN_PLACE]
LOADING = [RestoreMode.NEW, *OVERWRITING]
# Where the mode makes no difference to what comes in.
SHORT_LOADING = [
    RestoreMode.REPLACE,
    *(pytest.param(mode, marks=pytest.mark.soak) for mode in (RestoreMode.NEW, RestoreMode.IN_PLACE)),
]
# Each kind of file and each mode once.
OFTEN = {
    ("plain", RestoreMode.IN_PLACE),
    ("gzip", RestoreMode.NEW),
    ("with USE", RestoreMode.REPLACE),
}


OFTEN_LACKING = {(True, RestoreMode.REPLACE)}


def target_of(shop: Shop, mode: RestoreMode) -> str:
    return f"{shop.name}_new" if mode == RestoreMode.NEW else shop.name


@pytest.mark.parametrize(
    ("written", "mode"),
    [
        pytest.param(*case, marks=() if case in OFTEN else pytest.mark.soak)
        for case in itertools.product(["plain", "gzip", "with USE"], LOADING)
    ],
)
def test_snapshot_of_the_old_scripts_restores_by_every_mode(
    written: str, mode: RestoreMode, mariadb_shop: Shop, make_database: MakeDatabase
) -> None:
    """No manifest, comments as mysqldump writes them, `CREATE DATABASE` and `USE` perhaps."""
    shop = mariadb_shop
    database = make_database(shop)
    was = content_of(shop)
    dump = dump_of(shop.server, shop.name, *(["--databases"] if written == "with USE" else []))
    if written == "gzip":
        snapshot = store(database, gzip.compress(dump), path=f"/mysql/{shop.name}.sql.gz")
    else:
        snapshot = store(database, dump)
    assert snapshot.manifest is None
    if mode == RestoreMode.REPLACE:
        shop.server.load(LATER, shop.name)

    succeeded(restore(database, mode, target=target_of(shop, mode), without_safety=True))

    assert content(shop.server, target_of(shop, mode)) == was


# A gzipped dump of the old scripts is restored above; tests/actions/test_backup.py compares ours with one
# that is not.
@pytest.mark.soak
@pytest.mark.parametrize("mode", SHORT_LOADING)
@pytest.mark.one_flavour("mariadb")
def test_gzipped_dump_of_ours_restores_by_every_mode(
    mode: RestoreMode, shop: Shop, make_database: MakeDatabase, back_up: BackUp
) -> None:
    database = make_database(shop, dump_format="sql.gz")
    was = content_of(shop)
    succeeded(back_up(database))
    if mode == RestoreMode.REPLACE:
        shop.server.load(LATER, shop.name)

    succeeded(restore(database, mode, target=target_of(shop, mode), without_safety=True))

    assert content(shop.server, target_of(shop, mode)) == was


# ---------------------------------------------------------------- Chosen tables


@pytest.mark.parametrize("mode", SHORT_LOADING)
@pytest.mark.one_flavour("mariadb")
def test_chosen_tables_come_with_their_triggers_and_nothing_else(
    mode: RestoreMode, shop: Shop, make_database: MakeDatabase, back_up: BackUp
) -> None:
    database = make_database(shop)
    rows = {table: shop.query(f"SELECT * FROM {table} ORDER BY 1") for table in ("orders", "customers")}
    succeeded(back_up(database))
    shop.server.load(LATER, shop.name)
    later = content_of(shop)

    target = target_of(shop, mode)
    succeeded(restore(database, mode, target=target, tables=["orders", "customers"], without_safety=True))

    def rows_now(table: str) -> list[tuple[object, ...]]:
        return shop.server.query(f"SELECT * FROM {table} ORDER BY 1", target)

    assert {table: rows_now(table) for table in rows} == rows
    triggers = shop.server.query(
        "SELECT TRIGGER_NAME FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = %s", None, [target]
    )
    assert [name for (name,) in triggers] == ["orders_noted"]
    if mode == RestoreMode.NEW:
        assert [name for (name,) in shop.server.query("SHOW TABLES", target)] == ["customers", "orders"]
    else:
        assert shop.query("SELECT * FROM every_parcel") == [(7,)]
        assert shop.query("SELECT twice(4)") == [(8,)]
    if mode == RestoreMode.REPLACE:
        kept = Run.objects.latest("pk").restore
        succeeded(restore(database, RestoreMode.UNDO, undo_of=kept))
        assert content_of(shop) == later


# Above, whole ones by other hands, and chosen tables of ours.
@pytest.mark.soak
@pytest.mark.parametrize("mode", SHORT_LOADING)
def test_chosen_table_of_a_snapshot_by_other_hands(
    mode: RestoreMode, mariadb_shop: Shop, make_database: MakeDatabase
) -> None:
    shop = mariadb_shop
    database = make_database(shop)
    rows = shop.query("SELECT * FROM journal")
    store(database, dump_of(shop.server, shop.name))
    shop.execute("INSERT INTO journal (what) VALUES ('later')")

    target = target_of(shop, mode)
    succeeded(restore(database, mode, target=target, tables=["journal"], without_safety=True))

    assert shop.server.query("SELECT * FROM journal", target) == rows


@pytest.mark.one_flavour("mariadb")
def test_chosen_tables_in_a_file(
    shop: Shop, make_database: MakeDatabase, back_up: BackUp, tmp_path: Path
) -> None:
    database = make_database(shop)
    rows = shop.query("SELECT * FROM orders")
    succeeded(back_up(database))

    run = succeeded(restore(database, RestoreMode.FILE, target=str(tmp_path), tables=["orders"]))

    by_hand = f"{shop.name}_by_hand"
    shop.server.create_database(by_hand)
    shop.server.client(by_hand, stdin=Path(run.result["file"]).read_bytes())
    assert shop.server.query("SELECT * FROM orders", by_hand) == rows
    assert shop.server.query("SHOW TABLES", by_hand) == [("orders",)]


@pytest.mark.parametrize(
    ("by_us", "mode"),
    [
        pytest.param(*case, marks=() if case in OFTEN_LACKING else pytest.mark.soak)
        for case in itertools.product([True, False], [RestoreMode.FILE, *LOADING])
    ],
)
def test_table_that_the_snapshot_lacks_is_refused_before_anything_is_touched(
    by_us: bool,
    mode: RestoreMode,
    mariadb_shop: Shop,
    make_database: MakeDatabase,
    back_up: BackUp,
    tmp_path: Path,
) -> None:
    shop = mariadb_shop
    database = make_database(shop)
    if by_us:
        back_up(database)
    else:
        store(database, dump_of(shop.server, shop.name))
    shop.execute("CREATE TABLE parcels (id INT)")
    target = str(tmp_path / "out") if mode == RestoreMode.FILE else target_of(shop, mode)

    with untouched(shop):
        run = restore(database, mode, target=target, tables=["orders", "parcels"])

    told = "has no table parcels. Nothing was touched. It has: customers, journal, orders"
    assert told in failed(run)
    assert not (tmp_path / "out").exists()
    assert database.snapshots.count() == 1, "no backup was made before"


# ---------------------------------------------------------------- Definers


@pytest.mark.parametrize("mode", SHORT_LOADING)
@pytest.mark.one_flavour("mariadb")
def test_definers_that_are_gone_can_be_set_to_the_user_that_restores(
    mode: RestoreMode, shop: Shop, make_database: MakeDatabase, back_up: BackUp
) -> None:
    server = shop.server
    database = make_database(shop)
    gone = f"gone_{shop.user}"
    server.create_user(gone, "x", [f"ALL ON `{shop.name}`.*"])
    shop.execute(
        f"CREATE DEFINER = '{gone}'@'%' SQL SECURITY DEFINER VIEW names AS SELECT name FROM customers"
    )
    shop.execute(
        f"CREATE DEFINER = '{gone}'@'%' FUNCTION thrice(n INT) RETURNS INT DETERMINISTIC RETURN 3 * n"
    )
    succeeded(back_up(database))
    server.execute(f"DROP USER '{gone}'@'%'")

    target = target_of(shop, mode)
    succeeded(
        restore(database, mode, target=target, definers=DefinerPolicy.CURRENT_USER, without_safety=True)
    )

    assert server.query("SELECT thrice(2) FROM names LIMIT 1", target) == [(6,)]
    definers = server.query(
        "SELECT DEFINER FROM information_schema.VIEWS WHERE TABLE_SCHEMA = %s "
        "UNION SELECT DEFINER FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = %s "
        "UNION SELECT DEFINER FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = %s "
        "UNION SELECT DEFINER FROM information_schema.EVENTS WHERE EVENT_SCHEMA = %s",
        None,
        [target] * 4,
    )
    assert definers == [(f"{shop.user}@%",)]


# Above, those that are not kept; tests/restoring/test_unmade.py has one that is gone and kept.
@pytest.mark.soak
@pytest.mark.one_flavour("mysql")
def test_definers_that_are_gone_are_kept_when_asked(
    shop: Shop, make_database: MakeDatabase, back_up: BackUp
) -> None:
    database = make_database(shop)
    shop.server.create_user("leaving", "x")
    shop.execute("CREATE DEFINER = leaving@`%` SQL SECURITY INVOKER VIEW names AS SELECT name FROM customers")
    succeeded(back_up(database))
    shop.server.execute("DROP USER leaving@`%`")

    succeeded(restore(database, RestoreMode.REPLACE, without_safety=True))

    definers = shop.query(
        "SELECT DEFINER FROM information_schema.VIEWS WHERE TABLE_SCHEMA = %s AND TABLE_NAME = 'names'",
        [shop.name],
    )
    assert definers == [("leaving@%",)]


# ---------------------------------------------------------------- A new database


def test_target_that_holds_tables_is_refused(
    mariadb_shop: Shop, make_database: MakeDatabase, back_up: BackUp
) -> None:
    shop = mariadb_shop
    database = make_database(shop)
    back_up(database)
    other = f"{shop.name}_other"
    shop.server.create_database(other)
    shop.server.execute("CREATE TABLE mine (id INT); INSERT INTO mine VALUES (1)", other)

    run = restore(database, RestoreMode.NEW, target=other)

    assert failed(run).startswith(
        f"{other} holds tables already. It was not touched. Choose a name that is free."
    )
    assert shop.server.query("SELECT * FROM mine", other) == [(1,)]


def test_empty_target_is_used_and_left_empty_when_it_fails(
    mariadb_shop: Shop, make_database: MakeDatabase
) -> None:
    shop = mariadb_shop
    database = make_database(shop)
    other = f"{shop.name}_other"
    shop.server.create_database(other)
    whole = dump_of(shop.server, shop.name)

    store(database, whole[:-200])
    assert "no closing line" in failed(restore(database, RestoreMode.NEW, target=other))
    assert shop.server.query("SHOW TABLES", other) == []

    store(database, whole)
    succeeded(restore(database, RestoreMode.NEW, target=other))
    assert content(shop.server, other) == content_of(shop)


# tests/restoring/test_damage.py has a new database that no damaged dump leaves behind.
@pytest.mark.soak
def test_new_database_is_gone_when_its_restore_fails(mariadb_shop: Shop, make_database: MakeDatabase) -> None:
    shop = mariadb_shop
    database = make_database(shop)
    store(database, dump_of(shop.server, shop.name)[:-200])

    with untouched(shop):
        failed(restore(database, RestoreMode.NEW, target=f"{shop.name}_new"))


@pytest.mark.one_flavour("mariadb")
def test_database_that_may_not_be_made_is_told_with_the_grant(
    db_server: DatabaseServer, make_database: MakeDatabase, back_up: BackUp
) -> None:
    shop = make_restorable(db_server)
    database = make_database(shop)
    back_up(database)
    db_server.execute(
        f"REVOKE ALL ON `{shop.name.replace('_', chr(92) + '_')}{chr(92)}_%`.* FROM '{shop.user}'@'%'"
    )

    with untouched(shop):
        run = restore(database, RestoreMode.REPLACE, without_safety=True)
        copied = restore(database, RestoreMode.NEW, target="a_copy_of_it")

    assert f"begins with {shop.name}__" in failed(copied)
    assert "in place" not in failed(copied), "whoever wants a copy is not to be sent upon the live database"
    grant = failed(run).split("administrator: ")[1].split(";")[0]
    assert grant.startswith("GRANT ALL ON `shop")
    db_server.execute(grant)
    succeeded(restore(database, RestoreMode.REPLACE, without_safety=True))
    drop_all(shop)


@pytest.mark.one_flavour("mariadb")
def test_missing_right_to_set_a_definer_is_told_with_the_grant(
    db_server: DatabaseServer, make_database: MakeDatabase, back_up: BackUp
) -> None:
    shop = make_restorable(db_server)
    database = make_database(shop)
    back_up(database)
    right = may_restore(db_server, "")[-1].removesuffix(" ON *.*")
    db_server.execute(f"REVOKE {right} ON *.* FROM '{shop.user}'@'%'")

    with untouched(shop):
        run = restore(database, RestoreMode.REPLACE, without_safety=True)
    assert f"GRANT {right} ON *.* TO '{shop.user}'@'%'" in failed(run)

    succeeded(
        restore(
            database,
            RestoreMode.NEW,
            target=f"{shop.name}_new",
            definers=DefinerPolicy.CURRENT_USER,
        )
    )
    drop_all(shop)
