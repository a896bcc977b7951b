"""What is stored of a log: one database's transactions, once each, in pieces that are log files."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from backups.choices import Action
from backups.models import LogMark, LogPiece, LogTransaction, Run
from backups.replaying.xa import Held
from backups.shipping.minutes import Minutes
from tests.servers import DatabaseServer
from tests.servers.database import Flavour
from tests.servers.programs import programs_of
from tests.shipping.conftest import Ship, databases_in, logging, ship_shop

OTHERS = "marker of somebody else"
OURS = "marker of ours"


@pytest.mark.one_flavour("mariadb")
def test_what_is_committed_is_stored_within_a_look_and_the_servers_own_program_reads_it(
    server: DatabaseServer, ship: Ship, tmp_path: Path
) -> None:
    shipped = ship(ship_shop(server))
    shipped.shop.execute(f"INSERT INTO orders VALUES (1, '{OURS}'); ALTER TABLE orders ADD COLUMN c INT")

    shipped.look()

    assert OURS.encode() in shipped.stored()
    assert shipped.archive.stored_until is not None
    assert LogMark.objects.filter(database=shipped.database).exists()
    file = tmp_path / "piece"
    file.write_bytes(shipped.bytes_of([each for each in shipped.pieces if each.transactions][-1]))
    program = (
        programs_of(server.flavour) / {"mariadb": "mariadb-binlog", "mysql": "mysqlbinlog"}[server.flavour]
    )
    told = subprocess.run([program, "--verbose", file], capture_output=True, check=True, text=True)
    assert OURS in told.stdout
    assert "ALTER TABLE orders" in told.stdout


@pytest.mark.one_flavour("mysql")
def test_a_piece_holds_no_row_and_no_text_of_another_database(server: DatabaseServer, ship: Ship) -> None:
    shipped = ship(ship_shop(server))
    other = ship_shop(server)
    if server.flavour == "mysql":
        server.execute("SET GLOBAL binlog_rows_query_log_events = ON")
    for name, marker in ((other.name, OTHERS), (shipped.shop.name, OURS)):
        server.execute(f"INSERT INTO {name}.orders VALUES (1, '{marker}')")
    # Both in one transaction, and in one statement.
    server.execute(
        f"BEGIN; INSERT INTO {other.name}.orders VALUES (2, '{OTHERS}'); "
        f"INSERT INTO {shipped.shop.name}.orders VALUES (2, '{OURS}'); "
        f"UPDATE {shipped.shop.name}.orders a, {other.name}.orders b SET a.note = '{OURS}!', "
        f"b.note = '{OTHERS}!' WHERE a.id = 2 AND b.id = 2; COMMIT"
    )

    shipped.look()

    assert OTHERS.encode() not in shipped.stored()
    assert f"{OURS}!".encode() in shipped.stored()
    assert databases_in(shipped.transactions()) == {shipped.shop.name}
    assert shipped.rows_stored() == 3


@pytest.mark.one_flavour("mariadb")
def test_a_piece_grows_until_it_is_full(server: DatabaseServer, ship: Ship) -> None:
    shipped = ship(ship_shop(server))
    minutes = Minutes()
    for number in range(3):
        shipped.shop.execute(f"INSERT INTO orders VALUES ({number}, '{OURS}')")
        minutes._look()

    (piece,) = [each for each in shipped.pieces if each.transactions]
    assert (piece.transactions, piece.sealed) == (3, False)
    assert len(shipped.transactions()) == 3

    # Another process goes on behind it.
    minutes._close()
    shipped.shop.execute(f"INSERT INTO orders VALUES (9, '{OURS}')")
    shipped.look()
    first, second = [each for each in shipped.pieces if each.transactions]
    assert (first.end, first.sealed) == (second.start, True)
    assert len(shipped.transactions()) == 4


@pytest.mark.one_flavour("mariadb")
def test_rotation_restart_and_kill_are_no_gaps(own_server: DatabaseServer, ship: Ship) -> None:
    shipped = ship(ship_shop(own_server))
    count = 0
    for change in (
        lambda: own_server.execute("FLUSH BINARY LOGS"),
        own_server.restart,
        own_server.kill,
    ):
        for _ in range(2):
            shipped.shop.execute(f"INSERT INTO orders VALUES ({count}, '{OURS} {count}')")
            count += 1
        change()
        if not own_server.running:
            own_server.start()
        shipped.look()

    assert shipped.gaps == []
    assert len(shipped.transactions()) == count
    files = [piece.file for piece in shipped.pieces]
    assert len(set(files)) == 4


@pytest.mark.one_flavour("mariadb")
def test_definitions_and_large_transactions_are_listed(server: DatabaseServer, ship: Ship) -> None:
    shipped = ship(ship_shop(server))
    rows = ", ".join(f"({number}, 'x')" for number in range(30))
    shipped.shop.execute(
        f"INSERT INTO orders VALUES {rows}; DELETE FROM orders WHERE id = 3; DROP TABLE orders"
    )

    shipped.look()

    inserted, dropped = LogTransaction.objects.filter(piece__database=shipped.database).order_by("position")
    assert (inserted.tables, inserted.rows) == ({"orders": {"insert": 30}}, 30)
    assert dropped.is_definition
    assert dropped.tables == {"orders": {}}
    assert "x" not in str(inserted.tables)


@pytest.mark.one_flavour("mysql")
def test_a_quiet_database_stays_fresh(server: DatabaseServer, ship: Ship) -> None:
    shipped = ship(ship_shop(server))
    shipped.look()
    before, pieces = shipped.archive.stored_until, LogPiece.objects.count()

    shipped.look()

    after = shipped.archive.stored_until
    assert before is not None
    assert after is not None
    assert after > before
    assert LogPiece.objects.count() == pieces


@pytest.mark.one_flavour("mariadb")
def test_what_no_replay_goes_past_is_known_and_followed_by_a_backup(
    server: DatabaseServer, ship: Ship
) -> None:
    shipped = ship(ship_shop(server))
    other = ship_shop(server)
    name = shipped.shop.name
    server.execute(
        f"SET SESSION binlog_format = STATEMENT; UPDATE {other.name}.orders SET note = '{OTHERS}'; "
        f"SET SESSION binlog_format = ROW; RENAME TABLE {other.name}.orders TO {name}.moved"
    )

    shipped.look()

    (barrier,) = [each for piece in shipped.pieces for each in piece.barriers]
    assert barrier["code"] == "log.table_moved"
    assert OTHERS not in str(barrier)
    assert OTHERS.encode() not in shipped.stored()
    assert Run.objects.filter(database=shipped.database, action=Action.BACKUP, status="queued").count() == 1
    # Once, however often it is looked at.
    shipped.look()
    assert Run.objects.filter(database=shipped.database, status="queued").count() == 1


@pytest.mark.one_flavour("mysql")
def test_xa_transactions_are_stored_with_their_ends_and_of_anothers_no_row(
    server: DatabaseServer, ship: Ship
) -> None:
    """A replay would take an end alone for one of a transaction that was prepared before the base."""
    shipped, other = ship(ship_shop(server)), ship_shop(server)
    for shop, name, marker in ((shipped.shop, "a", OURS), (other, "b", OTHERS)):
        shop.execute(
            f"XA START '{name}'; INSERT INTO orders VALUES (1, '{marker}'); "
            f"XA END '{name}'; XA PREPARE '{name}'; XA COMMIT '{name}'"
        )

    shipped.look()

    held = Held()
    assert [str(each.kind) for each in shipped.transactions()] == ["xa_prepared", "xa_committed"] * 2
    *_, prepared, committed = shipped.transactions()
    assert held.played(prepared) is None
    assert held.played(committed) == prepared
    assert OURS.encode() in shipped.stored()
    assert OTHERS.encode() not in shipped.stored()


@pytest.mark.parametrize(
    "options",
    [
        pytest.param(("mysql", "--binlog-transaction-compression=ON"), id="mysql compressed"),
        pytest.param(
            ("mysql", "--binlog-checksum=NONE", "--gtid-mode=ON", "--enforce-gtid-consistency=ON"),
            id="mysql gtids",
        ),
        pytest.param(
            ("mariadb", "--log-bin-compress=ON", "--log-bin-compress-min-len=10"), id="mariadb compressed"
        ),
        pytest.param(
            ("mariadb", "--binlog-checksum=NONE", "--binlog-row-image=MINIMAL"), id="mariadb minimal"
        ),
    ],
)
@pytest.mark.soak
def test_logs_of_all_kinds(options: tuple[Flavour, ...], ship: Ship) -> None:
    flavour, *more = options
    with logging(flavour, *more) as server:
        shipped = ship(ship_shop(server))
        other = ship_shop(server)
        for number in range(3):
            server.execute(
                f"BEGIN; INSERT INTO {other.name}.orders VALUES ({number}, '{OTHERS} {'y' * 100}'); "
                f"INSERT INTO {shipped.shop.name}.orders VALUES ({number}, '{OURS} {'x' * 100}'); COMMIT; "
                "FLUSH BINARY LOGS"
            )
        shipped.look()

        assert shipped.gaps == []
        assert len([each for each in shipped.transactions() if each.kind == "rows"]) == 3
        assert databases_in(shipped.transactions()) == {shipped.shop.name}
        assert OTHERS.encode() not in shipped.stored()
