"""One transaction of the log taken back, by a script that is proved first, on real servers."""

from __future__ import annotations

import re
import secrets
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from backups import binlog
from backups.actions.kept_rows import answer
from backups.actions.steps import kept_files
from backups.actions.steps.rows_chosen import numbers_where
from backups.admin.listed_transactions import transaction_url
from backups.admin.rows_back_story import page_context, story_of
from backups.choices import Trigger
from backups.differences import keeping
from backups.errors import Problem
from backups.models import Database, Run
from backups.moments import rows
from backups.moments.until import Until
from backups.requests import (
    ApplyRowsRequest,
    Asker,
    Choice,
    Request,
    RowsBackRequest,
    UndoTransactionsRequest,
)
from backups.requests.undone import undone_by
from backups.worker import executor
from tests.backups.worlds import PROJECT
from tests.management.called import called
from tests.moments.conftest import restorable
from tests.moments.logs import FILE, barrier, base, gap, log, piece, place
from tests.restoring.stories import content, databases_of, log_of
from tests.servers import DatabaseServer
from tests.shipping.conftest import Ship, Shipped

pytestmark = pytest.mark.django_db

# Customers, their orders, the lines of these, and what refers to them without going along.
FAMILY = """
CREATE TABLE customers (id INT PRIMARY KEY, name VARCHAR(100) NOT NULL);
CREATE TABLE orders (id INT PRIMARY KEY, customer INT NOT NULL, note VARCHAR(200) DEFAULT '',
  FOREIGN KEY (customer) REFERENCES customers (id) ON DELETE CASCADE ON UPDATE CASCADE);
CREATE TABLE order_lines (order_id INT, line INT, what VARCHAR(100), PRIMARY KEY (order_id, line),
  FOREIGN KEY (order_id) REFERENCES orders (id) ON DELETE CASCADE ON UPDATE CASCADE);
CREATE TABLE visits (id INT PRIMARY KEY, customer INT, seen INT DEFAULT 0,
  FOREIGN KEY (customer) REFERENCES customers (id) ON DELETE SET NULL ON UPDATE CASCADE);
CREATE TABLE loose (a INT, b VARCHAR(10));
CREATE TABLE others (id INT PRIMARY KEY, note VARCHAR(20));
INSERT INTO customers VALUES (1, 'Ada'), (2, 'Grace'), (3, 'Edsger');
INSERT INTO orders VALUES (10, 1, 'a'), (20, 2, 'b'), (21, 2, 'c'), (30, 3, 'd');
INSERT INTO order_lines VALUES (10, 1, 'tea'), (20, 1, 'cup'), (20, 2, 'milk'), (21, 1, 'jam'), (30, 1, 'x');
INSERT INTO visits VALUES (100, 1, 0), (200, 2, 0), (201, 2, 0), (300, 3, 0), (301, 3, 0);
INSERT INTO loose VALUES (1, 'one'), (1, 'one'), (1, 'one'), (2, NULL);
INSERT INTO others VALUES (1, 'left alone');
"""
TABLES = {
    "customers": "id", "orders": "id", "order_lines": "order_id, line", "visits": "id", "loose": "a, b",
    "others": "id",
}  # fmt: skip
Rows = dict[str, Sequence[Any]]


@dataclass
class Family:
    """A shop whose tables hang together, and whose log is stored."""

    shipped: Shipped

    def execute(self, statements: str) -> None:
        """What somebody does meanwhile."""
        self.shipped.shop.execute(statements)

    def rows(self) -> Rows:
        """All rows of all tables, in order."""
        return {
            table: list(self.shipped.shop.query(f"SELECT * FROM {table} ORDER BY {order}"))
            for table, order in TABLES.items()
        }

    def transaction(self, statements: str) -> str:
        """Make one; answers where it begins."""
        self.execute(f"BEGIN; {statements}; COMMIT")
        return self.newest()

    def newest(self) -> str:
        """Where the newest transaction begins that is stored."""
        self.shipped.look()
        assert [gap.sentence for gap in self.shipped.gaps] == []
        piece = self.shipped.pieces[-1]
        named = binlog.Piece(
            self.shipped.database.database, piece.file, piece.file_made, piece.start, piece.end
        )
        read = binlog.read([self.shipped.bytes_of(piece)], binlog.Reading(piece=named))
        *_, last = (each for each in read if isinstance(each, binlog.Transaction))
        return f"{piece.file}:{last.start}"

    def found_out(self, *transactions: str) -> Run:
        """What they changed."""
        return well(UndoTransactionsRequest.of(self.shipped.database, transactions))

    def proved(self, kept: Run, **wishes: Any) -> Run:
        """The script that undoes all of it."""
        choices = tuple(
            Choice(each["table"], tuple(kind for kind in ("gone", "changed", "new") if each[kind]))
            for each in kept.result["kept"]["tables"]
        )
        return well(RowsBackRequest(self.shipped.database, kept, choices, **wishes))

    def apply(self, script: Run) -> Run:
        """Run it in the live database."""
        database = self.shipped.database
        return well(ApplyRowsRequest(database, script, knows_triggers=True, without_safety=True))

    def undo_and_back(self, script: Run, wanted: Rows) -> None:
        """Apply the script, which makes the rows what is wanted, and take it back."""
        before = self.rows()
        applied = self.apply(script)
        assert self.rows() == wanted
        self.apply(well(RowsBackRequest(self.shipped.database, applied)))
        assert self.rows() == before


@pytest.fixture
def family(server: DatabaseServer, ship: Ship, settings: Settings) -> Iterator[Family]:
    """A family on a server, beside a database of somebody else's, which is as it was afterwards."""
    settings.REPLAY_ON_LIVE = True
    other = f"other_{secrets.token_hex(4)}"
    server.create_database(other)
    server.execute(FAMILY, other)
    before = content(server, other)
    shipped = ship(restorable(server, FAMILY))
    yield Family(shipped)
    assert content(server, other) == before
    assert not [name for name in databases_of(shipped.shop) if "__verify_" in name]


def played(request: Request) -> Run:
    found = executor.execute(request.submit(Asker(Trigger.CLI), send=False).pk, send_follow_ups=False)
    assert found is not None
    return found


def well(request: Request) -> Run:
    run = played(request)
    assert run.status == "succeeded", f"{run.error}\n{log_of(run)}"
    return run


def counts(run: Run) -> dict[str, tuple[int, int, int]]:
    """Of each table how many rows are gone, changed and new."""
    return {
        each["table"]: (each["gone"], each["changed"], each["new"]) for each in run.result["kept"]["tables"]
    }


def left_out(run: Run) -> list[tuple[str, int]]:
    """Of which tables how many rows a script leaves as they are."""
    return [(each["table"], each["rows"]) for each in run.result["rows_back"]["left_out"]]


@pytest.mark.one_flavour("mariadb")
def test_a_delete_comes_back_with_all_that_foreign_keys_took_along(family: Family) -> None:
    """MariaDB logs the parent alone. On the way there another transaction has changed the same tables."""
    family.execute(
        "INSERT INTO orders VALUES (22, 2, 'after the backup'); INSERT INTO visits VALUES (202, 2, 0)"
    )
    then = family.rows()
    delete = family.transaction("DELETE FROM customers WHERE id = 2")
    family.execute("INSERT INTO customers VALUES (4, 'Alan'); UPDATE others SET note = 'later'")
    family.shipped.look()
    now = family.rows()

    kept = family.found_out(delete)

    assert counts(kept) == {
        "customers": (1, 0, 0), "orders": (3, 0, 0), "order_lines": (3, 0, 0), "visits": (0, 3, 0),
    }  # fmt: skip
    assert family.rows() == now, "only a copy was changed"
    assert [each["name"] for each in kept.result["difference"]["transactions"]] == [delete]
    script = family.proved(kept)
    text = answer(script.pk, {"ask": "script", "undo": False}).decode()
    assert f"As the rows were: just before transaction {delete} of the binary log." in text
    assert script.result["rows_back"]["transactions"] == [delete]
    page = page_context(story_of(script))
    ((name, url),) = page["transactions"]
    assert (name, page["transactions_done_again"]) == (delete, False)
    # It is too small to be listed.
    assert url == f"/admin/backups/database/{family.shipped.database.pk}/transactions/"
    wanted = {**now, **{table: then[table] for table in ("orders", "order_lines", "visits")}}
    wanted["customers"] = [*then["customers"], (4, "Alan")]
    family.undo_and_back(script, wanted)
    undo_applied = Run.objects.latest("pk")
    assert undone_by(undo_applied) == ([delete], True), "what the transaction did is done again"
    assert undo_applied.result["rows_back"]["transactions_done_again"] is True
    everything = "".join(f"{run.result}{run.request}{log_of(run)}" for run in Run.objects.all())
    assert "Grace" not in everything
    assert "after the backup" not in everything


@pytest.mark.one_flavour("mysql")
def test_keys_that_changed_are_as_before_and_both_halves_of_such_a_row_stay_where_somebody_changed_it(
    family: Family,
) -> None:
    """With their parents, and alone; and when the script that moved them back is taken back."""
    family.execute("INSERT INTO others VALUES (2, 'another'), (3, 'changed')")
    then = family.rows()
    update = family.transaction(
        "UPDATE customers SET id = 7 WHERE id = 2; UPDATE orders SET id = 25 WHERE id = 20; "
        "UPDATE others SET id = id + 49 WHERE id < 3; UPDATE others SET note = 'x' WHERE id = 3"
    )
    moved = family.rows()

    kept = family.found_out(update)

    assert counts(kept) == {
        "customers": (1, 0, 1), "orders": (1, 1, 1), "order_lines": (2, 0, 2), "others": (2, 1, 2),
        "visits": (0, 2, 0),
    }  # fmt: skip
    applied = family.apply(family.proved(kept))
    assert family.rows() == then
    family.execute("UPDATE others SET note = 'later' WHERE id = 1")
    undo = RowsBackRequest(family.shipped.database, applied)

    proved = well(undo)

    assert left_out(proved) == [("others", 2)]
    assert "take those that were changed again too" in log_of(proved)
    family.apply(proved)
    assert family.rows() == {**moved, "others": [(1, "later"), (3, "x"), (51, "another")]}
    # Whoever wants it all the same has both halves taken.
    family.apply(well(replace(undo, with_changed_again=True)))
    assert family.rows() == moved


@pytest.mark.one_flavour("mariadb")
@pytest.mark.soak
def test_of_equal_rows_of_a_table_without_a_key_as_many_go_as_came(family: Family) -> None:
    then = family.rows()
    insert = family.transaction("INSERT INTO loose VALUES (1, 'one'), (1, 'one'), (3, 'x')")

    kept = family.found_out(insert)

    assert counts(kept) == {"loose": (0, 0, 3)}
    family.undo_and_back(family.proved(kept), then)
    # One more of them is there now, and nobody can say which: they are left as they are.
    family.execute("INSERT INTO loose VALUES (1, 'one')")
    now = family.rows()
    script = family.proved(kept)
    assert left_out(script) == [("loose", 2)]
    wanted = {**now, "loose": [each for each in now["loose"] if each != (3, "x")]}
    family.undo_and_back(script, wanted)


@pytest.mark.one_flavour("mariadb")
def test_rows_that_were_changed_again_are_left_out_or_get_back_what_it_changed_alone(family: Family) -> None:
    update = family.transaction("UPDATE visits SET seen = seen + 5; DELETE FROM customers WHERE id = 2")
    # In the same column, in another one, deleted since, as before but for another column; made again since.
    family.execute(
        "UPDATE visits SET seen = 9 WHERE id = 100; UPDATE visits SET customer = 1 WHERE id = 300; "
        "DELETE FROM visits WHERE id = 200; UPDATE visits SET seen = 0, customer = 1 WHERE id = 301; "
        "INSERT INTO customers VALUES (2, 'Hopper')"
    )
    family.shipped.look()
    now = family.rows()
    kept = family.found_out(update)
    assert counts(kept)["visits"] == (0, 5, 0)

    some = family.proved(kept)

    assert left_out(some) == [("customers", 1), ("visits", 4)]
    then_of_orders = [(20, 2, "b"), (21, 2, "c")]
    orders = sorted([*now["orders"], *then_of_orders])
    lines = [(10, 1, "tea"), (20, 1, "cup"), (20, 2, "milk"), (21, 1, "jam"), (30, 1, "x")]
    visits = [(100, 1, 9), (201, 2, 0), (300, 1, 5), (301, 1, 0)]
    family.undo_and_back(some, {**now, "orders": orders, "order_lines": lines, "visits": visits})

    whole = family.proved(kept, with_changed_again=True)

    told = whole.result["rows_back"]
    assert (left_out(whole), told["changed_again"], told["already"]) == ([], 4, 1)
    # What somebody wrote into another column stays.
    visits = [(100, 1, 0), (200, 2, 0), (201, 2, 0), (300, 1, 0), (301, 1, 0)]
    customers = [(1, "Ada"), (2, "Grace"), (3, "Edsger")]
    wanted = {**now, "customers": customers, "orders": orders, "order_lines": lines, "visits": visits}
    family.undo_and_back(whole, wanted)


@pytest.mark.one_flavour("mariadb")
@pytest.mark.soak
def test_a_row_that_was_moved_and_changed_since_is_there_once(family: Family) -> None:
    """Its halves, one that is gone and one that is new, are left out together, and the rest is undone."""
    family.execute("INSERT INTO others VALUES (2, 'another'), (3, 'changed')")
    then = family.rows()
    move = family.transaction(
        "UPDATE loose SET b = 'was' WHERE a = 2; UPDATE others SET id = id + 49 WHERE id < 3; "
        "UPDATE others SET note = 'x' WHERE id = 3; UPDATE visits SET seen = 1"
    )
    kept = family.found_out(move)
    assert counts(kept) == {"loose": (1, 0, 1), "others": (2, 1, 2), "visits": (0, 5, 0)}
    family.undo_and_back(family.proved(kept), then)
    # Changed where it is by now, and moved on. The other one that was moved is another row.
    for since, there in (
        ("UPDATE others SET note = 'later' WHERE id = 50", (50, "later")),
        ("UPDATE others SET id = 60 WHERE id = 50", (60, "later")),
    ):
        family.execute(f"{since}; UPDATE loose SET b = 'later' WHERE a = 2")
        now = family.rows()

        script = family.proved(kept)

        assert left_out(script) == [("loose", 2), ("others", 2)]
        assert "no row is there twice, and none gets lost" in log_of(script)
        rest = [(2, "another"), (3, "changed"), there]
        family.undo_and_back(script, {**now, "visits": then["visits"], "others": rest})
    # Somebody has the old key: the row that was moved away from it does not get lost.
    family.execute(
        "UPDATE others SET id = 50, note = 'left alone' WHERE id = 60; INSERT INTO others VALUES (1, 'other')"
    )
    now = family.rows()
    script = family.proved(kept)
    assert left_out(script) == [("loose", 2), ("others", 2)]
    rest = [(1, "other"), (2, "another"), (3, "changed"), (50, "left alone")]
    family.undo_and_back(script, {**now, "visits": then["visits"], "others": rest})
    gone = well(RowsBackRequest(family.shipped.database, kept, (Choice("loose", ("gone",)),)))
    assert (gone.result["rows_back"]["rows"], left_out(gone)) == (1, [])


@pytest.mark.one_flavour("mariadb")
def test_what_is_computed_anew_is_no_part_of_a_row_and_what_a_dump_rounds_is_told(family: Family) -> None:
    """MariaDB's dumps have it: of another moment, connection and database on the copy than in live rows.

    MySQL computes nothing of a moment or a place. Of FLOAT values dumps have six digits, and what differs
    behind them is no change.
    """
    shop = family.shipped.shop
    anew = {
        "age": "BIGINT AS (TIMESTAMPDIFF(MICROSECOND, '2020-01-01', NOW(6))) VIRTUAL",
        "place": "VARCHAR(64) AS (DATABASE()) VIRTUAL",
    }
    if shop.server.flavour == "mysql":
        anew = {}
    more = "".join(f", {name} {what}" for name, what in anew.items())
    family.execute(
        f"CREATE TABLE ages (id INT PRIMARY KEY, n INT, twice INT AS (n * 2) STORED{more});"
        "CREATE TABLE bare (n INT, twice INT AS (n * 2) VIRTUAL);"
        "INSERT INTO ages (id, n) VALUES (1, 1), (2, 2), (3, 3), (4, 4);"
        "INSERT INTO bare (n) VALUES (1), (1), (2);"
        "CREATE TABLE readings (id INT PRIMARY KEY, f FLOAT, d DOUBLE);"
        "INSERT INTO readings VALUES (1, 1, 1), (2, 1, 1), (3, 1, 1)"
    )

    def computed() -> list[object]:
        return [
            shop.query(f"SELECT id, n, twice{', place' if anew else ''} FROM ages ORDER BY id"),
            shop.query("SELECT n, twice FROM bare ORDER BY n"),
            shop.query("SELECT id, f, d FROM readings WHERE id > 1 ORDER BY id"),
        ]

    family.shipped.look()
    then = computed()
    change = family.transaction(
        "UPDATE ages SET n = 9 WHERE id = 1; DELETE FROM ages WHERE id = 2;"
        "INSERT INTO ages (id, n) VALUES (5, 5); UPDATE ages SET id = 40 WHERE id = 4;"
        "DELETE FROM bare WHERE n = 1 LIMIT 1;"
        "UPDATE readings SET f = 1.0000002 WHERE id = 1; UPDATE readings SET f = 2.5 WHERE id = 2;"
        "UPDATE readings SET d = 1.0000000000000002 WHERE id = 3"
    )
    now = computed()

    kept = family.found_out(change)

    assert counts(kept) == {"ages": (2, 1, 2), "bare": (1, 0, 0), "readings": (0, 2, 0)}
    differing = {each["table"]: each for each in kept.result["difference"]["tables"]}
    assert differing["ages"]["columns_computed"] == [*anew, "twice"]
    assert differing["readings"]["columns_rounded"] == ["f"]
    assert "Of FLOAT values of readings (f) a dump has six digits." in log_of(kept)
    script = family.proved(kept)
    assert (left_out(script), script.result["rows_back"]["rows"]) == ([], 8)
    applied = family.apply(script)
    assert computed() == then
    family.apply(well(RowsBackRequest(family.shipped.database, applied)))
    assert computed() == now
    with pytest.raises(Problem, match="the server computes the column twice"):
        numbers_where(kept, "ages", ["changed"], "twice = 2")


@pytest.mark.one_flavour("mariadb")
@pytest.mark.soak
def test_a_row_stays_in_which_somebody_wrote_a_column_that_came_since(family: Family) -> None:
    insert = family.transaction("INSERT INTO others VALUES (7, 'a'), (8, 'b')")
    family.execute(
        "ALTER TABLE others ADD memo VARCHAR(20) NOT NULL DEFAULT 'none', ADD size INT DEFAULT 0, "
        "ADD more TEXT; UPDATE others SET memo = 'mine' WHERE id = 8"
    )
    family.shipped.look()
    now = family.rows()
    kept = family.found_out(insert)

    script = family.proved(kept)

    assert left_out(script) == [("others", 1)]
    family.undo_and_back(script, {**now, "others": [row for row in now["others"] if row[0] != 7]})
    family.execute("ALTER TABLE others RENAME COLUMN note TO remark; UPDATE others SET remark = 'x'")
    assert left_out(family.proved(kept)) == [("others", 2)]


@pytest.mark.one_flavour("mariadb")
def test_several_are_taken_back_the_newest_first_and_what_lies_between_stays(family: Family) -> None:
    first = family.transaction(
        "UPDATE customers SET name = 'A.' WHERE id = 1; UPDATE visits SET seen = 1; "
        "INSERT INTO loose VALUES (1, 'one')"
    )
    family.execute("UPDATE visits SET seen = 2 WHERE id = 100; INSERT INTO others VALUES (2, 'between')")
    second = family.transaction(
        "UPDATE customers SET name = 'B.' WHERE id = 1; UPDATE visits SET seen = 3 WHERE id IN (100, 200); "
        "DELETE FROM loose WHERE a = 1 LIMIT 2"
    )
    family.execute("INSERT INTO others VALUES (3, 'after')")
    family.shipped.look()
    now = family.rows()

    # However they are named.
    kept = family.found_out(second, first)

    assert counts(kept) == {"customers": (0, 1, 0), "loose": (1, 0, 0), "visits": (0, 5, 0)}
    assert kept.result["difference"]["changed_between"] == {"visits": 1}
    assert "was changed between two of these transactions" in log_of(kept)
    wanted = {
        **now,
        "customers": [(1, "Ada"), (2, "Grace"), (3, "Edsger")],
        "loose": [(1, "one"), (1, "one"), (1, "one"), (2, None)],
        # Of the first one, what the second found otherwise is as that found it.
        "visits": [(100, 1, 2), (200, 2, 0), (201, 2, 0), (300, 3, 0), (301, 3, 0)],
    }
    family.undo_and_back(family.proved(kept), wanted)
    alone = family.found_out(first)
    assert left_out(family.proved(alone)) == [("customers", 1), ("loose", 1), ("visits", 2)]


@pytest.mark.one_flavour("mysql")
@pytest.mark.soak
def test_a_parent_deleted_made_again_and_deleted_comes_back_as_of_either(family: Family) -> None:
    first_state = family.rows()
    first = family.transaction("DELETE FROM customers WHERE id = 2")
    family.execute(
        "INSERT INTO customers VALUES (2, 'again'); INSERT INTO orders VALUES (29, 2, 'new'); "
        "INSERT INTO order_lines VALUES (29, 1, 'pie')"
    )
    second_state = family.rows()
    second = family.transaction("DELETE FROM customers WHERE id = 2")

    family.undo_and_back(family.proved(family.found_out(first)), first_state)
    family.undo_and_back(family.proved(family.found_out(second)), second_state)
    both = family.found_out(first, second)
    assert both.result["difference"]["changed_between"] == {"customers": 1}
    together = {
        **first_state,
        "customers": second_state["customers"],
        "orders": sorted([*first_state["orders"], (29, 2, "new")]),
        "order_lines": sorted([*first_state["order_lines"], (29, 1, "pie")]),
    }
    family.undo_and_back(family.proved(both), together)


@pytest.mark.one_flavour("mariadb")
def test_what_cannot_be_undone_is_refused(family: Family, settings: Settings) -> None:
    delete = family.transaction("DELETE FROM others")
    family.execute("TRUNCATE TABLE loose")
    truncate = family.newest()
    database, shop = family.shipped.database, family.shipped.shop

    emptied = played(UndoTransactionsRequest.of(database, [delete, truncate]))
    assert (emptied.status, emptied.error_code) == ("failed", "moment.no_rows_to_undo")
    unknown = played(UndoTransactionsRequest.of(database, [_between(delete)]))
    assert unknown.error_code == "moment.unknown_transaction"
    for wrong, code in (
        ([], "undo_transactions.none_chosen"),
        (["binlog.000001:4"] * 21, "undo_transactions.too_many"),
        (["yesterday"], "moment.no_transaction"),
        (["binlog.999999:4"], "moment.unknown_transaction"),
    ):
        with pytest.raises(Problem) as caught:
            UndoTransactionsRequest.of(database, wrong)
        assert caught.value.code == code
    update = family.transaction("UPDATE visits SET seen = 8")
    settings.REPLAY_ON_LIVE = False
    beside = played(UndoTransactionsRequest.of(database, [delete]))
    assert beside.error_code == ("replay.beside_live" if shop.server.flavour == "mariadb" else "")
    settings.REPLAY_ON_LIVE = True
    # As it is logged, nobody knows which rows it changed.
    family.execute("SET SESSION binlog_format = STATEMENT; UPDATE others SET note = 'as a statement'")
    as_statement = family.newest()
    barred = played(UndoTransactionsRequest.of(database, [as_statement]))
    assert barred.error_code == "moment.transaction_barred"
    assert "it cannot be replayed" in barred.error
    # From a backup behind it, what is behind it can be undone: so that is to be undone first.
    asked_for = Run.objects.get(action="backup", status="queued")
    assert executor.execute(asked_for.pk, send_follow_ups=False) is not None
    behind = family.transaction("UPDATE visits SET seen = 9")
    assert UndoTransactionsRequest.of(database, [behind]).transactions == (behind,)
    with pytest.raises(Problem) as caught:
        UndoTransactionsRequest.of(database, [update, behind])
    assert caught.value.code == "moment.apart_by_barrier"
    assert "Undo those behind that place first" in caught.value.do
    with pytest.raises(Problem) as caught:
        UndoTransactionsRequest.of(database, [as_statement, behind])
    assert caught.value.code == "moment.transaction_barred"


def three(family: Family) -> list[str]:
    """Three transactions: of five rows, of one, and of four."""
    statements = ("UPDATE visits SET seen = 8", "DELETE FROM others", "UPDATE loose SET a = 7")
    return [family.transaction(statement) for statement in statements]


@pytest.mark.one_flavour("mariadb")
def test_several_are_undone_together_only_if_there_is_room_for_the_rows_of_all(
    family: Family, settings: Settings
) -> None:
    """They are put together in memory, whatever each alone may have. Nothing more is replayed then."""
    five, one, another = three(family)
    settings.ROWS_BACK_LIMIT = 5

    together = played(UndoTransactionsRequest.of(family.shipped.database, [five, one, another]))

    assert together.error_code == "undo_transactions.not_together"
    assert "Together they changed more than 5 rows (ROWS_BACK_LIMIT)" in together.error
    assert "one by one, the newest first" in together.error
    assert log_of(together).count("It changed ") == 2
    assert not list(kept_files.folder().glob(f"{together.pk}.*"))
    assert counts(family.found_out(five)) == {"visits": (0, 5, 0)}, "one alone has room for them"


# Above, by the number of their rows.
@pytest.mark.one_flavour("mysql")
@pytest.mark.soak
def test_several_are_undone_together_only_if_there_is_room_for_the_bytes_of_all(
    family: Family, monkeypatch: pytest.MonkeyPatch
) -> None:
    five, one, another = three(family)
    with monkeypatch.context() as patched:
        patched.setattr(keeping, "MOST_BYTES", 21_000)
        together = played(UndoTransactionsRequest.of(family.shipped.database, [five, one, another]))
    assert together.error_code == "undo_transactions.not_together"
    assert counts(family.found_out(five, one)) == {"others": (1, 0, 0), "visits": (0, 5, 0)}


@pytest.mark.one_flavour("mariadb")
@pytest.mark.soak
def test_a_number_of_a_sequence_stays_taken_and_a_table_made_anew_is_no_change_of_rows(
    family: Family,
) -> None:
    if family.shipped.shop.server.flavour == "mysql":
        pytest.skip("MySQL has no sequences")
    database = family.shipped.database
    family.execute("CREATE SEQUENCE numbers START WITH 70 NOCACHE")
    family.shipped.look()
    then = family.rows()
    insert = family.transaction("INSERT INTO others VALUES (NEXTVAL(numbers), 'numbered')")

    kept = family.found_out(insert)

    assert counts(kept) == {"others": (0, 0, 1)}
    family.undo_and_back(family.proved(kept), then)
    alone = family.transaction("SELECT NEXTVAL(numbers)")
    assert played(UndoTransactionsRequest.of(database, [alone])).error_code == "moment.only_numbers_taken"
    family.execute("CREATE OR REPLACE TABLE loose SELECT 1 AS a, 'y' AS b")
    anew = played(UndoTransactionsRequest.of(database, [family.newest()]))
    assert anew.error_code == "moment.no_rows_to_undo"


@pytest.mark.one_flavour("mariadb")
@pytest.mark.soak
def test_a_table_that_has_the_name_of_another_one_by_now_is_told(family: Family) -> None:
    delete = family.transaction("DELETE FROM others; UPDATE visits SET seen = 3")
    family.execute(
        "CREATE TABLE others_new LIKE others; RENAME TABLE others TO others_old, others_new TO others"
    )
    later = family.transaction("INSERT INTO others VALUES (5, 'in the new one'); UPDATE visits SET seen = 4")
    database = family.shipped.database

    kept = family.found_out(delete)

    assert "these tables were altered, renamed, emptied or made anew: others. Rows go" in log_of(kept)
    together = played(UndoTransactionsRequest.of(database, [delete, later]))
    assert together.error_code == "undo_transactions.not_together"
    assert "Between them table others was altered, renamed" in together.error
    assert "renamed" not in log_of(family.found_out(later))


def _between(place: str) -> str:
    """A place in the midst of a transaction."""
    file, _, position = place.partition(":")
    return f"{file}:{int(position) + 5}"


def test_what_lies_before_a_gap_and_behind_it_is_not_undone_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told = log(50, [base(0, 1), base(40, 2)], [piece(0, 20, 1), piece(40, 50, 2)], [gap(20, 39)])
    monkeypatch.setattr(rows, "log_of", lambda _: told)
    before, also_before, behind = (Until(before=f"{FILE}:{place(at).position}") for at in (5, 7, 45))

    drafts = rows.drafts_of(Database(), [also_before, before])

    assert [(draft.base.key, draft.lower.position) for draft in drafts] == [(1, 7004), (1, 5004)]
    with pytest.raises(Problem) as caught:
        rows.drafts_of(Database(), [before, behind])
    assert caught.value.code == "moment.apart"


@pytest.mark.parametrize(
    ("wall", "why"),
    [
        ({"barriers": [barrier(20)]}, "cannot be replayed past binlog.000007:20004"),
        ({"is_kept": False}, "It is not kept any more there."),
    ],
)
def test_what_lies_before_something_that_no_replay_goes_past_is_undone_after_what_lies_behind(
    monkeypatch: pytest.MonkeyPatch, wall: dict[str, Any], why: str
) -> None:
    """Each alone can be had: by the dump before it, and by the one behind the wall."""
    pieces = [piece(0, 20, 1), piece(20, 30, 2, **wall), piece(30, 50, 3)]
    bases = [base(0, 1, gtids="0-1-1"), base(40, 2, gtids="0-1-5")]
    monkeypatch.setattr(rows, "log_of", lambda _: log(50, bases, pieces))
    monkeypatch.setattr(rows, "_listed", lambda *_: None)
    older, newer = (Until(before=f"{FILE}:{place(minute).position}") for minute in (5, 45))
    # Where it is nobody knows yet, but the dump that is to lead there stands behind the wall.
    by_gtid = Until(before="0-1-9")

    for behind in (newer, by_gtid):
        assert [draft.base.key for draft in rows.drafts_of(Database(), [behind])] == [2]
        for chosen in ([older, behind], [behind, older]):
            with pytest.raises(Problem) as caught:
                rows.drafts_of(Database(), chosen)
            assert caught.value.code == "moment.apart_by_barrier"
            assert why in caught.value.what
            assert "first, then the others" in caught.value.do
    if "barriers" in wall:
        itself = Until(before=f"{FILE}:{place(20).position}")
        with pytest.raises(Problem) as caught:
            rows.drafts_of(Database(), [itself, newer])
        assert caught.value.code == "moment.transaction_barred"


TYPES = r"""
CREATE TABLE types (id BINARY(16) PRIMARY KEY, bits BIT(64), few SET('a','b','c d'), one ENUM('x','false',''),
  big BIGINT UNSIGNED, exact DECIMAL(30,10), rough DOUBLE, at DATETIME(6), span TIME(3), stamp TIMESTAMP NULL,
  day DATE, text TEXT, latin VARCHAR(50) CHARACTER SET latin1, data BLOB, doc JSON, place POINT,
  twice INT AS (LENGTH(text) * 2) STORED) CHARACTER SET utf8mb4;
INSERT INTO types (id, bits, few, one, big, exact, rough, at, span, stamp, day, text, latin, data, doc, place)
  VALUES
  (X'000102030405060708090A0B0C0D0000', ~0, 'a,c d', 'false', 18446744073709551615, 12345678901234567890.5,
   1e16, '2026-11-30 23:59:59.999999', '-12:00:00.000', '2026-10-25 00:30:00', '1000-01-01',
   'it''s \\ \n "quoted" \0 ☃ 😀', 'año', X'00FF27225C0A', '{"a": [1, "false", null]}',
   ST_GeomFromText('POINT(1 2)')),
  (X'FF000000000000000000000000000000', 0, '', 'x', 0, -0.0000000001, -1.5, '2026-01-01 00:00:00', '00:00:01',
   NULL, '9999-12-31', '', '', '', '{}', NULL);
"""


@pytest.mark.soak
def test_values_of_all_types_come_back_letter_by_letter(family: Family) -> None:
    shop = family.shipped.shop
    shop.server.client("--default-character-set=utf8mb4", shop.name, stdin=TYPES.encode())
    everything = "SELECT *, HEX(id), HEX(bits), HEX(text), HEX(latin), HEX(data) FROM types ORDER BY id"
    then = shop.query(everything)
    change = family.transaction(
        "UPDATE types SET bits = 5, few = 'b', one = '', big = 1, exact = 1, rough = 1, at = NOW(6), "
        "text = 'x', latin = 'x', data = 'x', doc = '[]', place = NULL, stamp = NOW(), id = REVERSE(id) "
        "LIMIT 1; "
        "DELETE FROM types WHERE bits <> 5"
    )
    now = shop.query(everything)

    kept = family.found_out(change)

    assert counts(kept) == {"types": (2, 0, 1)}
    applied = family.apply(family.proved(kept))
    assert shop.query(everything) == then
    family.apply(well(RowsBackRequest(family.shipped.database, applied)))
    assert shop.query(everything) == now


@pytest.mark.one_flavour("mariadb")
@pytest.mark.soak
def test_what_triggers_wrote_is_undone_with_it_and_that_they_run_again_is_told(family: Family) -> None:
    family.execute(
        "CREATE TABLE noted (id INT AUTO_INCREMENT PRIMARY KEY, note VARCHAR(99));"
        "CREATE TRIGGER others_noted AFTER UPDATE ON others FOR EACH ROW "
        "INSERT INTO noted (note) VALUES (CONCAT(OLD.note, ' > ', NEW.note))"
    )
    update = family.transaction("UPDATE others SET note = 'x'")
    shop = family.shipped.shop

    kept = family.found_out(update)
    script = family.proved(kept)

    assert counts(kept) == {"noted": (0, 0, 1), "others": (0, 1, 0)}
    # Who has these rights sees no keys that another database has to rows that go.
    assert [(each["trigger"], each["rows"]) for each in script.result["rows_back"]["triggers"]] == [
        ("others_noted", 1), ("foreign keys of other databases", 1),
    ]  # fmt: skip
    with pytest.raises(Problem) as caught:
        ApplyRowsRequest(family.shipped.database, script).refuse_unfit()
    assert caught.value.code == "rows.triggers"
    family.apply(script)
    assert shop.query("SELECT note FROM others") == [("left alone",)]
    assert shop.query("SELECT note FROM noted") == [("x > left alone",)]


@pytest.mark.soak
def test_an_xa_transaction_is_undone_by_its_commit(family: Family) -> None:
    then = family.rows()
    family.execute("XA START 'x'; DELETE FROM visits WHERE id = 100; XA END 'x'; XA PREPARE 'x'")
    prepared = family.newest()
    family.execute("UPDATE others SET note = 'meanwhile'")
    family.shipped.look()
    family.execute("XA COMMIT 'x'")
    committed = family.newest()

    refused = played(UndoTransactionsRequest.of(family.shipped.database, [prepared]))
    kept = family.found_out(committed)

    assert refused.error_code == "moment.no_rows_to_undo"
    assert counts(kept) == {"visits": (1, 0, 0)}
    family.undo_and_back(family.proved(kept), {**then, "others": [(1, "meanwhile")]})


@pytest.mark.soak
@pytest.mark.one_flavour("mysql")
def test_of_many_rows_the_script_has_all_that_are_shown_and_none_twice(family: Family) -> None:
    family.execute(
        "INSERT INTO others WITH RECURSIVE n (i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < 900) "
        "SELECT i, i FROM n; INSERT INTO loose SELECT id, note FROM others WHERE id > 300"
    )
    then = family.rows()
    delete = family.transaction("DELETE FROM others; DELETE FROM loose")

    kept = family.found_out(delete)
    script = family.proved(kept)

    assert counts(kept) == {"loose": (604, 0, 0), "others": (900, 0, 0)}
    assert script.result["rows_back"]["rows"] == 1504
    family.undo_and_back(script, then)


def commands() -> Iterator[list[str]]:
    """What the guide has people run."""
    guide = (PROJECT / "docs" / "any-moment.md").read_text()
    section = guide.partition("## Undo one transaction")[2].partition("\n## ")[0]
    for block in re.findall(r"^```console\n(.*?)^```", section, re.M | re.S):
        for line in block.splitlines():
            assert line.startswith("manage.py ")
            yield shlex.split(line)[1:]


@pytest.mark.one_flavour("mariadb")
def test_the_guide_undoes_a_delete_that_is_on_the_list(
    family: Family, capsys: pytest.CaptureFixture[str]
) -> None:
    more = ", ".join(f"({number}, 'x')" for number in range(100, 140))
    family.execute(f"INSERT INTO customers VALUES {more}; INSERT INTO orders VALUES (99, 120, 'y')")
    then = family.rows()
    delete = family.transaction("DELETE FROM customers WHERE id > 1")
    family.execute("INSERT INTO others VALUES (2, 'since')")
    now = family.rows()

    *looked, last = commands()
    for args in looked:
        said = called(capsys, *(delete if each == "binlog.000042:1337" else each for each in args))
        assert said.code == 0, said.err
        assert family.rows() == now
        if args[0] == "log_archive":
            assert said["transactions"][0]["id"] == delete
    said = called(capsys, *(delete if each == "binlog.000042:1337" else each for each in last))

    assert said.code == 0, said.err
    assert (said["transactions"], said["transactions_done_again"]) == ([delete], False)
    assert "/transactions/?gtid=" in transaction_url(family.shipped.database, delete)
    assert family.rows() == {**then, "others": now["others"]}
    undo = ("rows_back", "--undo", str(said["applied_by"]), "--apply", "--yes", "--knows-triggers")
    undone = called(capsys, *undo)
    assert undone.code == 0, undone.err
    assert (undone["transactions"], undone["transactions_done_again"]) == ([delete], True)
    assert family.rows() == now
    some = called(
        capsys, "rows_back", "--undo-transaction", delete, "--table", "orders", "--only", "gone",
        "--where", "note = 'y'",
    )  # fmt: skip
    assert some.code == 1
    assert "refers to one that is not there" in some["error"]


@pytest.mark.one_flavour("mariadb")
def test_a_table_of_which_nothing_could_be_kept_is_told_and_not_passed_over(
    family: Family, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    family.execute(
        "CREATE TABLE papers (id INT PRIMARY KEY, text MEDIUMTEXT); INSERT INTO papers VALUES (1, '')"
    )
    family.shipped.look()
    change = family.transaction("UPDATE papers SET text = REPEAT('x', 9000); UPDATE others SET note = 'x'")
    now = family.rows()
    monkeypatch.setattr(keeping, "MOST_BYTES", 5000)

    said = called(capsys, "rows_back", "--undo-transaction", change)

    assert (said.code, said["error_code"]) == (1, "rows.too_many")
    assert "Of papers 0 of 1 rows that differ are kept" in said["error"]
    rest = called(capsys, "rows_back", "--undo-transaction", change, "--table", "others", "--all")
    assert (rest.code, rest["rows"], rest["proved"]) == (0, 1, True)
    assert family.rows() == now


@pytest.mark.soak
def test_children_by_a_key_of_two_columns_come_back_too(family: Family) -> None:
    shop = family.shipped.shop
    if shop.server.flavour == "mysql":
        pytest.skip("MySQL 9.7.4 leaves such children, and what they refer to, behind its own cascade")
    family.execute(
        "CREATE TABLE remarks (id INT PRIMARY KEY, order_id INT, line INT, FOREIGN KEY (order_id, line) "
        "REFERENCES order_lines (order_id, line) ON DELETE SET NULL ON UPDATE CASCADE);"
        "INSERT INTO remarks VALUES (1, 21, 1), (2, 30, 1)"
    )
    then = family.rows()
    delete = family.transaction("DELETE FROM customers WHERE id = 2")

    kept = family.found_out(delete)

    assert counts(kept)["remarks"] == (0, 1, 0)
    script = family.proved(kept)
    family.undo_and_back(script, then)
    assert shop.query("SELECT * FROM remarks ORDER BY id") == [(1, None, None), (2, 30, 1)]
    family.apply(family.proved(kept))
    assert shop.query("SELECT * FROM remarks ORDER BY id") == [(1, 21, 1), (2, 30, 1)]
