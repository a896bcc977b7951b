"""Dumps of real databases on both servers: what they hold, and what changes their digests."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from backups import mysql, process
from backups.dumpfile.manifests import objects_in
from backups.dumpfile.sections import Kind
from backups.dumping.order import Order, Report
from backups.dumping.parallel import ParallelOptions
from backups.dumping.program import dump
from backups.errors import Problem
from tests.backups.worlds import Shop, client_dir, make_shop
from tests.servers import DatabaseServer

Manifest = dict[str, Any]


def server_of(shop: Shop) -> mysql.Server:
    return mysql.Server(shop.server.host, shop.server.port, shop.user, shop.password)


def dumped(shop: Shop, *, gzip: bool = False, **more: Any) -> Manifest:
    """A dump as restic would have it made, into nowhere."""
    return dumped_from(server_of(shop), shop, gzip=gzip, **more)


def dumped_from(
    server: mysql.Server, shop: Shop, *, gzip: bool = False, connections: int = 1, **more: Any
) -> Manifest:
    """As above, reached in another way."""
    order = Order(
        server,
        shop.name,
        client_dir=client_dir(shop.server),
        gzip=gzip,
        at_once=ParallelOptions(connections),
        **more,
    )
    report_fd = process.secret_fd(b"")
    out_fd = os.open("/dev/null", os.O_WRONLY)
    try:
        return dump(order, out_fd, Report(report_fd))
    finally:
        os.close(report_fd)
        os.close(out_fd)


def changed(before: Manifest, after: Manifest) -> set[tuple[str, str]]:
    """The sections whose digests differ, by kind and name, those of one side alone included."""

    def digests(manifest: Manifest) -> dict[tuple[str, str], str]:
        return {(s["kind"], s["name"]): s["sha256"] for s in manifest["sections"]}

    one, other = digests(before), digests(after)
    assert (before["sha256"] != after["sha256"]) == (one != other)
    return {name for name in one.keys() | other.keys() if one.get(name) != other.get(name)}


@pytest.mark.one_flavour("mariadb")
def test_awkward_dump_holds_what_the_server_lists(awkward: Shop) -> None:
    manifest = dumped(awkward)

    with mysql.connect(server_of(awkward), awkward.name) as connection:
        listed = mysql.inventory(connection, awkward.name)
    assert manifest["inventory"] == objects_in(manifest["sections"]) == listed
    kinds = {"table", "view", "trigger", "event", "procedure", "function"}
    assert kinds <= listed.keys()


@pytest.mark.one_flavour("mariadb")
def test_awkward_triggers_are_told_by_their_names(awkward: Shop) -> None:
    manifest = dumped(awkward)

    listed = awkward.query(
        "SELECT TRIGGER_NAME, EVENT_OBJECT_TABLE FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = %s",
        [awkward.name],
    )
    found = {(s["name"], s["table"]) for s in manifest["sections"] if s["kind"] == Kind.TRIGGER}
    assert found == set(listed)


@pytest.mark.one_flavour("mysql")
def test_awkward_dump_twice_is_the_same_byte_for_byte(awkward: Shop) -> None:
    assert dumped(awkward)["sections"] == dumped(awkward, gzip=True)["sections"]


@pytest.mark.one_flavour("mysql")
def test_one_changed_row_changes_its_table_alone(shop: Shop) -> None:
    before = dumped(shop)
    shop.execute("UPDATE customers SET name = 'Ada!' WHERE id = 1")

    assert changed(before, dumped(shop)) == {(Kind.ROWS, "customers")}


# Above, a row; below, bodies and objects that are missing.
@pytest.mark.soak
@pytest.mark.one_flavour("mariadb")
def test_one_changed_column_changes_its_table(shop: Shop) -> None:
    before = dumped(shop)
    shop.execute("ALTER TABLE journal MODIFY what VARCHAR(200) COMMENT 'why'")

    assert changed(before, dumped(shop)) == {(Kind.TABLE, "journal")}


@pytest.mark.parametrize(
    ("old", "kind", "name"),
    [
        pytest.param(
            "-- the first comment", Kind.PROCEDURE, "close_orders", marks=pytest.mark.one_flavour("mysql")
        ),
        pytest.param("RETURN 2 * n;", Kind.FUNCTION, "twice", marks=pytest.mark.soak),
    ],
)
def test_changed_body_changes_its_routine_alone(shop: Shop, old: str, kind: str, name: str) -> None:
    before = dumped(shop)
    signature = "(IN who INT)" if kind == Kind.PROCEDURE else "(n INT) RETURNS INT DETERMINISTIC NO SQL"
    rest = "DELETE FROM orders WHERE customer = who;" if kind == Kind.PROCEDURE else "RETURN n + n;"
    comment = "-- another comment\n" if kind == Kind.PROCEDURE else ""
    shop.server.load(
        f"DROP {kind} {name};\nDELIMITER ;;\n"
        f"CREATE {kind} {name}{signature}\nBEGIN\n  {comment}  {rest}\nEND;;\nDELIMITER ;\n",
        shop.name,
    )
    assert old not in rest

    assert changed(before, dumped(shop)) == {(kind, name)}


@pytest.mark.one_flavour("mysql")
@pytest.mark.parametrize(
    ("drop", "section"),
    [
        ("DROP TRIGGER orders_noted", (Kind.TRIGGER, "orders_noted")),
        pytest.param("DROP EVENT nightly", (Kind.EVENT, "nightly"), marks=pytest.mark.soak),
        pytest.param("DROP PROCEDURE close_orders", (Kind.PROCEDURE, "close_orders"), marks=pytest.mark.soak),
        pytest.param("DROP FUNCTION twice", (Kind.FUNCTION, "twice"), marks=pytest.mark.soak),
    ],
)
def test_missing_object_is_missing_alone(shop: Shop, drop: str, section: tuple[str, str]) -> None:
    before = dumped(shop)
    shop.execute(drop)

    assert section in changed(before, dumped(shop))
    assert {kind for kind, _ in changed(before, dumped(shop))} <= {section[0], Kind.EVENTS}


@pytest.mark.one_flavour("mysql")
def test_missing_view_leaves_its_placeholder_as_well(shop: Shop) -> None:
    before = dumped(shop)
    shop.execute("DROP VIEW open_orders")

    assert changed(before, dumped(shop)) == {(Kind.VIEW, "open_orders"), (Kind.PLACEHOLDER, "open_orders")}


@pytest.mark.one_flavour("mariadb")
def test_same_data_under_another_name_digests_the_same(shop: Shop) -> None:
    twin = make_shop(shop.server)
    shop.execute("DELETE FROM journal")
    twin.execute("DELETE FROM journal")

    assert changed(dumped(shop), dumped(twin)) == set()


@pytest.mark.parametrize(
    "name",
    [
        "shop.`odd ``na\nme`",
        *(pytest.param(each, marks=pytest.mark.soak) for each in ('"shop"."odd ""name"""', " `shop` . odd")),
    ],
)
def test_trigger_keeps_to_its_own_database_however_it_was_typed(
    name: str, mariadb_server: DatabaseServer
) -> None:
    """MariaDB dumps a trigger's statement as its author typed it."""
    digests = set()
    for database in ("shop_one", "shop_two"):
        shop = make_shop(mariadb_server, "CREATE TABLE t (n INT);", name=database)
        typed = name.replace("shop", database)
        mariadb_server.load(
            f"SET sql_mode = 'ANSI_QUOTES';\nCREATE TRIGGER {typed} BEFORE INSERT ON {database}.t"
            " FOR EACH ROW SET NEW.n = 1;\n",
            database,
        )
        ((listed,),) = shop.query(
            "SELECT TRIGGER_NAME FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = %s", [database]
        )
        (section,) = [s for s in dumped(shop)["sections"] if s["kind"] == Kind.TRIGGER]
        assert section["name"] == listed
        digests.add(section["sha256"])
    assert len(digests) == 1


@pytest.mark.one_flavour("mysql")
def test_manifest_says_where_it_comes_from(shop: Shop) -> None:
    manifest = dumped(shop)

    ((version,),) = shop.query("SELECT VERSION()")
    assert manifest["database"] == shop.name
    assert manifest["server"]["version"] == version
    assert manifest["client"]["flavour"] == manifest["server"]["flavour"]
    assert "binary_log" in manifest


# tests/dumping/test_log_position.py has positions, and why there is none.
@pytest.mark.soak
def test_binary_log_position_is_noted_where_the_user_may_see_it(
    mysql_server: DatabaseServer, tmp_path: Path
) -> None:
    shop = make_shop(mysql_server)
    assert dumped(shop)["binary_log"] is None

    mysql_server.execute(f"GRANT REPLICATION CLIENT ON *.* TO '{shop.user}'@'%'")
    position = dumped(shop)["binary_log"]

    assert position["file"].startswith("binlog.")
    assert position["position"] > 0


@pytest.mark.one_flavour("mariadb")
@pytest.mark.parametrize(
    "event",
    [
        *(
            pytest.param(event, marks=pytest.mark.soak)
            for event in (
                "`a;;b` ON SCHEDULE EVERY 1 DAY DISABLE DO DO 1",
                "e ON SCHEDULE EVERY 1 DAY DISABLE COMMENT 'a;;b' DO DO 1",
                "e ON SCHEDULE EVERY 1 DAY DISABLE DO SELECT ';;'",
            )
        ),
        "e ON SCHEDULE EVERY 1 DAY DISABLE DO BEGIN\n  DO 1; -- ;;\nEND",
    ],
)
def test_event_at_which_the_dump_program_never_ends_is_refused(shop: Shop, event: str) -> None:
    """Both flavours' loop for ever, looking for a delimiter that the event does not hold."""
    shop.query(f"CREATE EVENT {event}")

    with pytest.raises(Problem, match="holds two semicolons in a row"):
        dumped(shop)
