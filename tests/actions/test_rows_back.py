"""Rows given back: by a script that is proved on a copy, in one transaction, on real servers."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import MySQLdb
import pytest
from pytest_django.fixtures import Settings

from backups import mysql
from backups.actions import apply_rows
from backups.actions.kept_rows import answer
from backups.actions.steps import kept_files
from backups.choices import Status, Trigger
from backups.differences.kept_rows import kept_rows, not_kept
from backups.errors import Problem, Refused
from backups.management.commands.rows_back import _write as write
from backups.models import Database, Run, Snapshot
from backups.mysql.answers import as_text, fetch_one
from backups.requests import ApplyRowsRequest, Choice, DiffRequest, RowsBackRequest
from backups.runs.asked import Asker
from backups.worker import executor
from tests.actions.tools import back_up, log_of, scratch_databases, shipped_grants, with_least
from tests.backups.conftest import MakeDatabase
from tests.backups.worlds import Portal, Shop, wait_until, with_group_killed

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.one_flavour("mariadb")]

TABLES = r"""
CREATE TABLE people (id INT PRIMARY KEY AUTO_INCREMENT, name VARCHAR(20) NOT NULL, seen TIMESTAMP NOT NULL
  DEFAULT '2020-01-01 00:00:00' ON UPDATE CURRENT_TIMESTAMP) ENGINE=InnoDB;
CREATE TABLE loose (a INT, b INT) ENGINE=InnoDB;
INSERT INTO people (name) VALUES ('Anna'), ('O\'Neill'), ('Bert'), ('Cleo');
INSERT INTO loose VALUES (1, 1), (1, 1), (1, 1), (2, NULL);
"""
ACCIDENT = """
DELETE FROM orders WHERE id = 2;
DELETE FROM people WHERE id = 2;
UPDATE people SET name = 'secret value' WHERE id IN (3, 4);
INSERT INTO people (name) VALUES ('Dora');
DELETE FROM loose WHERE a = 1 LIMIT 2;
"""
AT_ONCE = ("orders", "people", "loose")


@pytest.fixture
def may_restore(shop: Shop) -> Shop:
    """The small database, seen by one who may dump, verify and restore."""
    shop.execute(TABLES)
    return with_least(shop, "dump", "verify", "restore")


def played(request: Any) -> Run:
    run = request.submit(Asker(Trigger.CLI), send=False)
    found = executor.execute(run.pk, send_follow_ups=False)
    assert found is not None
    return found


def well(request: Any) -> Run:
    run = played(request)
    assert run.status == "succeeded", f"{run.error}\n{log_of(run)}"
    return run


def compared(database: Database, snapshot: Snapshot, *tables: str) -> Run:
    return well(DiffRequest(database, snapshot, None, tables, keep_rows=True))


def rows(shop: Shop) -> Sequence[Any]:
    return [
        shop.query("SELECT * FROM people ORDER BY id"),
        shop.query("SELECT * FROM loose ORDER BY a, b"),
        shop.query("SELECT id, customer, note FROM orders ORDER BY id"),
    ]


def told(run: Run) -> dict[str, Any]:
    found: dict[str, Any] = run.result["rows_back"]
    return found


def test_a_comparison_keeps_its_rows_for_its_owner_alone(
    may_restore: Shop, make_database: MakeDatabase
) -> None:
    database = make_database(may_restore)
    before = back_up(database)
    may_restore.execute(ACCIDENT)

    run = compared(database, before)

    path = kept_files.rows_of(run.pk)
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert [each.name for each in path.parent.glob(f"{run.pk}.*")] == [path.name]
    with kept_rows(path) as kept:
        found = {table.name: table for table in kept.tables()}
        assert (found["people"].gone, found["people"].changed, found["people"].new) == (1, 2, 1)
        assert b"CREATE TABLE `people`" in found["people"].definition_now
        gone, changed, _, new = kept.changes("people")
        assert gone.then is not None
        assert (gone.then[b"name"], gone.now) == (rb"'O\'Neill'", None)
        assert changed.then is not None
        assert changed.now is not None
        assert (changed.then[b"name"], changed.now[b"name"]) == (b"'Bert'", b"'secret value'")
        assert (new.then, new.kind) == (None, "new")
        assert [each.equal_now for each in kept.changes("loose")] == [1, 1]
        assert kept.page("people", search="3") == (1, [changed])
        assert kept.page("people", kinds=["new"], limit=1) == (1, [new])
        assert list(kept.numbered([changed.number, 999])) == [changed]
    assert "secret value" not in f"{run.result}{log_of(run)}"
    assert run.result["kept"]["tables"][-1] == {
        "table": "people", "gone": 1, "new": 1, "changed": 2, "beyond": 0, "same_columns": True,
        "columns": ["name", "seen"],
    }  # fmt: skip
    asked = {"ask": "where", "table": "people", "kinds": [], "where": "then.name = 'Bert'"}
    assert (
        answer(run.pk, asked) == f'{{"rows": 1, "ranges": [[{changed.number}, {changed.number}]]}}'.encode()
    )


def test_rows_come_back_are_taken_back_and_come_again(may_restore: Shop, make_database: MakeDatabase) -> None:
    database = make_database(may_restore)
    before = back_up(database)
    then = rows(may_restore)
    may_restore.execute(ACCIDENT)
    difference = compared(database, before, *AT_ONCE)
    with kept_rows(kept_files.rows_of(difference.pk)) as kept:
        people = [each.number for each in kept.changes("people", ["changed"])]
    # All of a kind and some by hand.
    by_hand = Choice("people", ("gone",), Choice.of_numbers("people", people).ranges)
    choices = (by_hand, Choice("orders", ("gone",)), Choice("loose", ("gone",)))
    # One of them is changed again before the script is written.
    may_restore.execute("UPDATE people SET name = 'changed again' WHERE id = 4")
    now = rows(may_restore)

    proved = well(RowsBackRequest(database, difference, choices))

    found = told(proved)
    assert (found["proved"], found["rows"], found["already"]) == (True, 5, 0)
    assert found["left_out"] == [{"table": "people", "rows": 1}]
    assert [(each["table"], each["gone"], each["changed"], each["new"]) for each in found["tables"]] == [
        ("loose", 2, 0, 0), ("orders", 1, 0, 0), ("people", 1, 1, 0),
    ]  # fmt: skip
    assert found["triggers"] == [{"trigger": "orders_noted", "table": "orders", "event": "insert", "rows": 1}]
    script = answer(proved.pk, {"ask": "script", "undo": False}).decode()
    assert "Proved on a copy of" in script
    assert "orders_noted" in script
    assert "changed again" not in script
    # It touches no database but the one that a connection is in, and looks once which that is.
    assert kept_files.statements_of(proved.pk).read_bytes().count(may_restore.name.encode()) == 1
    assert rows(may_restore) == now, "a proof changes nothing"
    with pytest.raises(Problem) as caught:
        ApplyRowsRequest(database, proved).refuse_unfit()
    assert caught.value.code == "rows.triggers"

    applied = well(ApplyRowsRequest(database, proved, knows_triggers=True))

    people, loose, orders = rows(may_restore)
    assert [loose, orders] == then[1:]
    # With the time of then too, though any UPDATE sets it.
    assert list(people[:3]) == list(then[0][:3])
    assert [name for _, name, _ in people[3:]] == ["changed again", "Dora"]
    assert (told(applied)["state"], applied.children.get().action) == ("applied", "backup")
    assert "safety_snapshot" in applied.result
    with pytest.raises(Problem) as caught:
        ApplyRowsRequest(database, proved, knows_triggers=True).refuse_unfit()
    assert caught.value.code == "rows.applied_before"

    undo = well(RowsBackRequest(database, applied))
    assert told(undo)["is_undo"]
    # It deletes rows, and who has these rights sees no keys that another database has to them.
    assert {each["event"] for each in told(undo)["triggers"]} == {"unseen keys"}
    undone = well(ApplyRowsRequest(database, undo, knows_triggers=True, without_safety=True))
    assert rows(may_restore) == now
    again = well(RowsBackRequest(database, undone))
    well(ApplyRowsRequest(database, again, knows_triggers=True, without_safety=True))
    assert rows(may_restore)[1:] == then[1:]
    everything = "".join(f"{run.result}{run.request}{log_of(run)}" for run in Run.objects.all())
    assert "secret value" not in everything
    assert "Neill" not in everything


def test_what_died_while_it_was_applied_is_looked_at_first(
    may_restore: Shop, make_database: MakeDatabase
) -> None:
    database = make_database(may_restore)
    before = back_up(database)
    may_restore.execute("DELETE FROM people WHERE id = 2; DELETE FROM loose LIMIT 1")
    difference = compared(database, before, "people", "loose")
    choices = (Choice("people", ("gone",)), Choice("loose", ("gone",)))
    proved = well(RowsBackRequest(database, difference, choices))
    wish = ApplyRowsRequest(database, proved, without_safety=True)
    first = well(wish)
    there = rows(may_restore)
    # As if its worker had died right after the COMMIT.
    Run.objects.filter(pk=first.pk).update(status=Status.LOST, phase="apply", result={})

    second = well(wish)

    assert told(second)["state"] == "already"
    assert rows(may_restore) == there
    assert told(well(RowsBackRequest(database, second)))["rows"] == 2


# Above, one script is applied and taken back; tests/rows_back has the guards of a second one.
@pytest.mark.soak
def test_columns_that_came_since_stay_and_two_scripts_of_one_choice_are_not_both_applied(
    may_restore: Shop, make_database: MakeDatabase
) -> None:
    database = make_database(may_restore)
    before = back_up(database)
    may_restore.execute(
        "ALTER TABLE people ADD more INT NOT NULL DEFAULT 5; ALTER TABLE loose ADD more INT DEFAULT 5;"
        "UPDATE people SET name = 'w', more = 6 WHERE id = 3;"
        "DELETE FROM people WHERE id = 2; DELETE FROM loose WHERE a = 1 LIMIT 2"
    )
    there = rows(may_restore)
    difference = compared(database, before, "people", "loose")
    choices = (Choice("people", ("gone", "changed")), Choice("loose", ("gone",)))
    first, second = (well(RowsBackRequest(database, difference, choices)) for _ in range(2))

    applied = well(ApplyRowsRequest(database, first, without_safety=True))
    twice = played(ApplyRowsRequest(database, second, without_safety=True))

    assert (twice.status, twice.error_code) == ("failed", "rows.changed_again")
    people, loose, _ = rows(may_restore)
    assert [(each[0], each[1], each[3]) for each in people[1:3]] == [(2, "O'Neill", 5), (3, "Bert", 6)]
    assert len(loose) == 4
    assert "not any more as the script made" not in log_of(applied)
    undo = well(RowsBackRequest(database, applied))
    well(ApplyRowsRequest(database, undo, knows_triggers=True, without_safety=True))
    assert rows(may_restore) == there


def test_what_cannot_be_given_back_is_refused(
    may_restore: Shop, make_database: MakeDatabase, settings: Settings
) -> None:
    may_restore.execute(
        "CREATE TABLE old (id INT PRIMARY KEY, v INT) ENGINE=MyISAM; INSERT INTO old VALUES (1, 1);"
        "CREATE TABLE parents (id INT PRIMARY KEY) ENGINE=InnoDB;"
        "CREATE TABLE children (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES parents (id)"
        " ON DELETE CASCADE) ENGINE=InnoDB"
    )
    database = make_database(may_restore)
    before = back_up(database)
    may_restore.execute(
        "UPDATE old SET v = 2; INSERT INTO parents VALUES (1); INSERT INTO children VALUES (1, 1);"
        "UPDATE people SET name = 'x' WHERE id < 4"
    )
    settings.ROWS_BACK_LIMIT = 2
    difference = compared(database, before)
    there = rows(may_restore)

    refused = {}
    for table, kind in (("old", "changed"), ("parents", "new"), ("people", "changed")):
        run = played(RowsBackRequest(database, difference, (Choice(table, (kind,)),)))
        refused[table] = (run.status, run.error_code)
    assert refused == {
        "old": ("failed", "rows.unfit_table"),
        "parents": ("failed", "rows.not_proved"),
        "people": ("failed", "rows.too_many"),
    }
    both = (Choice("parents", ("new",)), Choice("children", ("new",)))
    proved = well(RowsBackRequest(database, difference, both))

    # A row that refers to one of them, written after the proof.
    may_restore.execute("INSERT INTO children VALUES (2, 1)")
    wish = ApplyRowsRequest(database, proved, knows_triggers=True, without_safety=True)
    late = played(wish)
    assert (late.status, late.error_code) == ("failed", "rows.changed_again"), late.error
    may_restore.execute("DELETE FROM children WHERE id = 2; ALTER TABLE parents ADD more INT")
    altered = played(wish)
    assert (altered.status, altered.error_code) == ("failed", "rows.defined_otherwise")

    path = kept_files.script_of(proved.pk)
    script = path.read_bytes()
    for at in (0, len(script) // 2, len(script) - 1):
        path.write_bytes(script[:at] + bytes([script[at] ^ 1]) + script[at + 1 :])
        other = played(wish)
        assert (other.status, other.error_code) == ("failed", "rows.altered")
    assert rows(may_restore) == there
    elsewhere = f"{may_restore.name}__keys"
    may_restore.server.execute(f"GRANT PROCESS ON *.* TO '{may_restore.user}'@'%'")
    may_restore.server.execute(f"CREATE DATABASE {elsewhere}")
    try:
        may_restore.execute(
            f"CREATE TABLE {elsewhere}.c (p INT, FOREIGN KEY (p) REFERENCES {may_restore.name}.parents (id)"
            " ON DELETE CASCADE) ENGINE=InnoDB"
        )
        seen = played(RowsBackRequest(database, difference, both))
    finally:
        may_restore.server.execute(f"DROP DATABASE {elsewhere}")
    assert (seen.status, seen.error_code) == ("failed", "rows.key_from_elsewhere"), seen.error
    kept_files.folder().joinpath("notes.txt").write_text("somebody else's, of no run")
    Run.objects.filter(pk=proved.pk).delete()
    kept_files.forget_old()
    assert {path.name for path in kept_files.folder().iterdir()} == {f"{difference.pk}.rows"}


def test_what_the_proof_is_of_stays_and_what_a_dump_rounds_is_said(
    may_restore: Shop, make_database: MakeDatabase, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    noted = "CREATE TRIGGER sizes_noted AFTER INSERT ON sizes FOR EACH ROW SET @noted = {}"
    may_restore.execute(
        "CREATE TABLE sizes (id INT PRIMARY KEY, f FLOAT, g DOUBLE) ENGINE=InnoDB;"
        "CREATE TABLE prices (id INT PRIMARY KEY, v INT, n INT) ENGINE=InnoDB;"
        "INSERT INTO prices VALUES (1, 5, 1);"
        f"INSERT INTO sizes VALUES (1, 1.2345678, 0.1), (2, 2, 2); {noted.format(1)}"
    )
    database = make_database(may_restore)
    before = back_up(database)
    may_restore.execute(
        "DELETE FROM sizes WHERE id = 1; DELETE FROM people WHERE id < 3;"
        "ALTER TABLE prices MODIFY v DECIMAL(8, 2); UPDATE prices SET v = 9, n = 2"
    )
    difference = compared(database, before, "sizes", "people", "prices")
    sizes, people = (Choice(table, ("gone",)) for table in ("sizes", "people"))

    retyped = played(RowsBackRequest(database, difference, (Choice("prices", ("changed",)),)))
    assert (retyped.error_code, "of another type: v." in retyped.error) == ("rows.unfit_table", True)
    settings.ROWS_BACK_LIMIT = 2
    # Each of them alone has few enough.
    many = played(RowsBackRequest(database, difference, (sizes, people)))
    assert many.error_code == "rows.too_many"
    assert "manage.py restore --snapshot ID --replace" in many.error
    asked: list[str] = []
    with monkeypatch.context() as patched:
        patched.setattr(
            mysql.ScriptConnection,
            "refuse_too_long",
            lambda self, _: asked.append(fetch_one(self.driver, "SELECT DATABASE()", as_text)[0]),
        )
        proved = well(RowsBackRequest(database, difference, (sizes,)))
    assert asked[0] == may_restore.name, "before the copy, which may lie at a server that takes more"
    assert told(proved)["rounded"] == [{"table": "sizes", "columns": ["f"]}]
    for undo in (False, True):
        assert b"-- FLOAT values of sizes (f)" in answer(proved.pk, {"ask": "script", "undo": undo})

    wish = ApplyRowsRequest(database, proved, knows_triggers=True, without_safety=True)
    may_restore.execute(f"DROP TRIGGER sizes_noted; {noted.format(2)}")
    other = played(wish)
    assert (other.status, other.error_code) == ("failed", "rows.defined_otherwise")
    # Of a table that it has nothing to do with, one may come.
    may_restore.execute(
        f"DROP TRIGGER sizes_noted; {noted.format(1)};"
        "CREATE TRIGGER other BEFORE INSERT ON people FOR EACH ROW SET @noted = 3"
    )

    def looked(*args: Any) -> None:
        second = wish.submit(Asker(Trigger.CLI, waits=True), send=False)
        with pytest.raises(Refused):
            executor.execute(second.pk, send_follow_ups=False)
        # As if this one had been taken for dead, and the second one had applied it.
        Run.objects.filter(pk=second.pk).update(status=Status.SUCCEEDED)

    with monkeypatch.context() as patched:
        patched.setattr(apply_rows, "_refuse_equal_rows_otherwise", looked)
        late = played(wish)
    assert (late.status, late.error_code) == ("failed", "rows.applied_before")
    assert may_restore.query("SELECT id FROM sizes") == [(2,)]
    Run.objects.filter(parent=None, status=Status.SUCCEEDED, request__form=wish.form).delete()
    well(wish)
    assert may_restore.query("SELECT id FROM sizes ORDER BY id") == [(1,), (2,)]


def test_a_script_goes_to_its_owner_alone_and_through_no_link(tmp_path: Path, settings: Settings) -> None:
    settings.RESTIC_CACHE_DIR = tmp_path / "cache"
    run = Run(pk=1)
    kept_files.store_script(run.pk, b"values", b"", [])
    file, link = tmp_path / "script.sql", tmp_path / "link.sql"
    file.write_text("old")
    file.chmod(0o666)
    with file.open() as reader:
        write(run, file)
        assert reader.read() == "old", "who has opened it before reads nothing of it"
    assert (file.read_bytes(), file.stat().st_mode & 0o777) == (b"values", 0o600)

    link.symlink_to(tmp_path / "theirs")
    with pytest.raises(Problem) as caught:
        write(run, link)
    assert caught.value.code == "restore.file_not_written"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "link.sql", "script.sql"]


def test_the_command_gives_rows_back_and_one_that_is_killed_gives_none(mariadb_portal: Portal) -> None:
    portal, shop, server = mariadb_portal, mariadb_portal.shop, mariadb_portal.shop.server
    for grant in shipped_grants(server.flavour, shop.name, "verify", "restore"):
        server.execute(f"GRANT {grant} TO '{shop.user}'@'%'")
    shop.execute("CREATE TABLE goods (id INT PRIMARY KEY, price INT, stock INT) ENGINE=InnoDB")
    shop.execute("INSERT INTO goods VALUES (1, 10, 5), (2, 20, 5), (3, 30, 5)")
    portal.backup()
    shop.execute("DELETE FROM orders WHERE id = 2; UPDATE customers SET name = 'wrong'")
    shop.execute("UPDATE goods SET price = 0, stock = 4 WHERE id < 3")
    for wrong in (
        ["--table", "orders"],
        ["--table", "goods", "--table", "orders", "--all", "--column", "price"],
    ):
        assert portal.manage("rows_back", "latest", *wrong).code == 2
    file = portal.folder / "script.sql"
    written = portal.manage(
        "rows_back",
        "latest",
        "--table",
        "orders",
        "--where",
        "note like 'b%'",
        "--output",
        str(file),
        "--json",
    )
    assert written.code == 0, written.err
    assert written.json == {
        "status": "succeeded", "run_id": written.json["run_id"], "rows": 1, "proved": True, "left_out": [],
        "transactions": [], "transactions_done_again": False,
    }  # fmt: skip
    assert b"-- Proved on a copy of" in file.read_bytes()
    assert file.stat().st_mode & 0o777 == 0o600
    prices = portal.manage(
        "rows_back", "latest", "--table", "goods", "--all", "--column", "price", "--apply", "--yes",
        "--without-safety-backup",
    )  # fmt: skip
    assert prices.code == 0, prices.err
    assert "Changed rows of goods get back these columns alone: price." in prices.out + prices.err
    assert shop.query("SELECT * FROM goods ORDER BY id") == [(1, 10, 4), (2, 20, 4), (3, 30, 5)]

    all_customers = ("rows_back", "latest", "--table", "customers", "--all", "--apply", "--yes")
    with closing(
        MySQLdb.connect(
            host=server.host, port=server.port, user=server.user, password=server.password, database=shop.name
        )
    ) as holder:
        # The last of three: the script has changed two already.
        holder.query("SELECT * FROM customers WHERE id = 3 FOR UPDATE")
        holder.store_result()
        killed = portal.start(*all_customers, "--without-safety-backup", real=True)
        waiting = "SELECT 1 FROM information_schema.PROCESSLIST WHERE USER = %s AND INFO LIKE 'UPDATE%%'"
        wait_until(
            lambda: shop.query(waiting, [shop.user]) or killed.poll() is not None,
            "the script to wait for a row",
            seconds=150,
        )
        assert killed.poll() is None, killed.communicate()
        with_group_killed(killed.pid)
        killed.wait()
    assert {name for (name,) in shop.query("SELECT name FROM customers")} == {"wrong"}
    told = portal.shell(
        "from backups.models import Run; from backups.runs.consequences import lost_sentence;"
        "print(lost_sentence(Run.objects.get(phase='apply')))"
    )
    assert "All of its rows were given back, or none" in told


@pytest.mark.soak
@pytest.mark.parametrize("phase", ["live dump", "copy", "proof", "safety backup"])
def test_one_that_is_killed_before_it_is_applied_leaves_all_as_it_was(
    phase: str, mariadb_portal: Portal
) -> None:
    portal, shop, server = mariadb_portal, mariadb_portal.shop, mariadb_portal.shop.server
    for grant in shipped_grants(server.flavour, shop.name, "verify", "restore"):
        server.execute(f"GRANT {grant} TO '{shop.user}'@'%'")
    portal.backup()
    shop.execute("UPDATE customers SET name = 'wrong'")
    command = ("rows_back", "latest", "--table", "customers", "--all", "--apply", "--yes", "--json")
    newest = "SELECT phase, status FROM backups_run WHERE action = 'rows_back' ORDER BY id DESC LIMIT 1"

    killed = portal.start(*command, real=True)
    wait_until(
        lambda: [row["phase"] for row in portal.rows(newest)] == [phase] or killed.poll() is not None,
        f"phase {phase}",
        every=0.005,
    )
    with_group_killed(killed.pid)
    killed.wait()

    assert {name for (name,) in shop.query("SELECT name FROM customers")} == {"wrong"}
    portal.shell("from backups.worker import reaper; reaper.run()")
    wait_until(lambda: scratch_databases(server) == [], "the scratch database to be dropped")
    ran = portal.manage(*command, "--wait")
    assert ran.code == 0, ran.err
    assert "wrong" not in {name for (name,) in shop.query("SELECT name FROM customers")}


# tests/actions/test_rows_back_doubts.py has undos that are proved and such that cannot be.
@pytest.mark.soak
def test_the_undo_expects_the_rows_as_triggers_and_new_columns_left_them(
    may_restore: Shop, make_database: MakeDatabase
) -> None:
    may_restore.execute(
        "CREATE TABLE bare (id INT PRIMARY KEY, a INT, z INT) ENGINE=InnoDB;INSERT INTO bare VALUES (1, 1, 1)"
    )
    database = make_database(may_restore)
    before = back_up(database)
    may_restore.server.execute(
        f"CREATE TRIGGER `{may_restore.name}`.stamps BEFORE UPDATE ON `{may_restore.name}`.people"
        " FOR EACH ROW SET NEW.seen = '2021-05-05 00:00:00'"
    )
    may_restore.execute(
        "UPDATE people SET name = 'w' WHERE id IN (2, 3); DELETE FROM people WHERE id = 4;"
        "ALTER TABLE orders ADD more INT NOT NULL DEFAULT 5; UPDATE orders SET note = 'w' WHERE id = 1;"
        "ALTER TABLE bare DROP z; UPDATE bare SET a = 9"
    )
    names = ("people", "orders", "bare")
    there = may_restore.query("SELECT id, name FROM people")
    difference = compared(database, before, *names)
    kinds = {"people": ("gone", "changed"), "orders": ("changed",), "bare": ("changed",)}
    choices = tuple(Choice(name, kinds[name]) for name in names)
    proved = well(RowsBackRequest(database, difference, choices))
    lost = "bare has these columns no more, and what they held does not come back: z."
    assert lost in log_of(proved)
    assert lost in answer(proved.pk, {"ask": "script", "undo": False}).decode()
    wish = ApplyRowsRequest(database, proved, knows_triggers=True, without_safety=True)

    first = well(wish)

    assert "2 of the rows are not any more as the script made them" in log_of(first)
    undo = well(RowsBackRequest(database, first))
    assert (told(undo)["rows"], told(undo)["left_out"], told(undo)["already"]) == (5, [], 0)
    # As if its worker had died right after the COMMIT, where no row is just as the script made it.
    may_restore.execute("UPDATE orders SET note = ''; UPDATE bare SET a = 0; UPDATE people SET seen = NOW()")
    Run.objects.filter(pk=first.pk).update(status=Status.LOST, phase="apply", result={})
    with pytest.raises(Problem) as caught:
        RowsBackRequest(database, Run.objects.get(pk=first.pk)).refuse_unfit()
    assert caught.value.code == "rows.unheard_of"
    again = well(wish)
    assert told(again)["state"] == "already"
    late = well(RowsBackRequest(database, again))
    assert told(late)["rows"] == 3
    # Who wrote there has no trigger to blame.
    assert [each["table"] for each in told(late)["left_out"]] == ["bare", "orders"]
    well(ApplyRowsRequest(database, late, knows_triggers=True, without_safety=True))
    assert may_restore.query("SELECT id, name FROM people") == there


# Above, what was given back is taken back; tests/actions/test_rows_back_doubts.py has what undoes it proved.
@pytest.mark.soak
def test_what_undoes_it_is_kept_from_the_first_moment_and_undoes_once(
    may_restore: Shop, make_database: MakeDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = make_database(may_restore)
    before = back_up(database)
    may_restore.execute("DELETE FROM loose WHERE a = 1 LIMIT 1")
    difference = compared(database, before, "loose")
    proved = well(RowsBackRequest(database, difference, (Choice("loose", ("gone",)),)))
    for path in kept_files.folder().glob(f"{proved.pk}.*"):
        # All but a day ago: it ends while the backup is made.
        os.utime(path, (time.time() - 86_000,) * 2)
    an_hour_later = time.time() + 3600

    def backed_up(*_: Any) -> None:
        with monkeypatch.context() as later:
            later.setattr("time.time", lambda: an_hour_later)
            kept_files.forget_old()

    def cannot_look(*_: Any, **__: Any) -> None:
        raise not_kept()

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(apply_rows, "_save_before", backed_up)
        meanwhile.setattr(apply_rows, "as_left", cannot_look)
        applied = well(ApplyRowsRequest(database, proved))

    assert "could not be looked at afterwards" in log_of(applied)
    assert "Nothing was changed" not in log_of(applied)
    first, second = (well(RowsBackRequest(database, applied)) for _ in range(2))
    well(ApplyRowsRequest(database, first, knows_triggers=True, without_safety=True))
    twice = played(ApplyRowsRequest(database, second, knows_triggers=True, without_safety=True))

    assert (twice.status, twice.error_code) == ("failed", "rows.changed_again")
    assert may_restore.query("SELECT COUNT(*) FROM loose WHERE a = 1") == [(2,)]
