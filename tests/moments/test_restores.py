"""The database as it was just before a mistake: into a new one, in its place, as a file, or a few tables."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest
from pytest_django.fixtures import Settings

from backups.choices import RestoreMode
from backups.models import LogTransaction, Restore
from backups.moments.until import Until, before_transaction
from tests.moments.conftest import To, now
from tests.restoring.stories import content, databases_of, failed, restore, succeeded, with_events_disabled
from tests.shipping.conftest import Shipped

pytestmark = pytest.mark.django_db
AFTERWARDS = """
INSERT INTO orders (customer, note) VALUES (3, 'after the backup'), (1, 'this one too');
UPDATE customers SET name = 'Ada Lovelace' WHERE id = 1;
ALTER TABLE journal ADD COLUMN at TIMESTAMP NULL;
CREATE TABLE parcels (id INT PRIMARY KEY, note TEXT);
INSERT INTO parcels VALUES (1, 'sent'), (2, NULL);
CREATE VIEW every_parcel AS SELECT id FROM parcels;
"""


def live(shipped: Shipped) -> list[bytes]:
    """What the live database holds."""
    return content(shipped.shop.server, shipped.shop.name)


def the_mistake(shipped: Shipped) -> tuple[Until, list[bytes]]:
    """Customers are deleted that should not be; gives the moment just before, and what was there then."""
    rows = ", ".join(f"({number}, 'x')" for number in range(100, 140))
    shipped.shop.execute(f"INSERT INTO customers VALUES {rows}")
    before = live(shipped)
    shipped.shop.execute("DELETE FROM customers WHERE id > 1")
    shipped.shop.execute("INSERT INTO journal (what) VALUES ('after the mistake')")
    shipped.look()
    assert [gap.sentence for gap in shipped.gaps] == []
    listed = LogTransaction.objects.filter(piece__database=shipped.database).order_by("position")
    delete = next(each for each in listed if "delete" in each.tables.get("customers", {}))
    return before_transaction(f"{delete.piece.file}:{delete.position}"), before


# Below, MySQL's log leads into other places.
@pytest.mark.one_flavour("mariadb")
@pytest.mark.soak
def test_just_before_the_delete_into_a_new_database(shipped: Shipped, to_moment: To) -> None:
    shop, then = shipped.shop, f"{shipped.shop.name}__then"
    shop.server.load(AFTERWARDS, shop.name)
    until, before = the_mistake(shipped)
    untouched = live(shipped)

    run = succeeded(to_moment(shipped, until, RestoreMode.NEW, then))

    assert content(shop.server, then) == with_events_disabled(before)
    assert live(shipped) == untouched
    told = run.result["moment"]
    assert f"{told['file']}:{told['position']}" == until.before
    assert told["transactions"] == 7
    assert told["row_changes"] >= told["row_events"] > 0
    assert told["before_transaction"] == until.before
    assert told["left_out"]["position"] == told["position"]
    assert run.restore.until["before"] == until.before
    assert "The first that is left out is of" in "".join(line.text for line in run.lines.all())


# Above, it is told by its place in the log; tests/moments/test_position.py finds both.
@pytest.mark.soak
@pytest.mark.one_flavour("mysql")
def test_by_its_gtid_it_is_the_same_transaction(shipped: Shipped, to_moment: To) -> None:
    until, before = the_mistake(shipped)
    place = until.place
    assert place is not None
    if not (gtid := LogTransaction.objects.get(position=place.position, piece__file=place.file).gtid):
        pytest.skip("the server gives transactions no GTID")
    # Also where it is not among those that are listed.
    LogTransaction.objects.all().delete()
    then = f"{shipped.shop.name}__then"

    run = succeeded(to_moment(shipped, before_transaction(gtid), RestoreMode.NEW, then))

    assert run.result["moment"]["position"] == place.position
    assert content(shipped.shop.server, then) == with_events_disabled(before)


@pytest.mark.one_flavour("mysql")
def test_a_moment_takes_the_live_databases_place_and_goes_back(shipped: Shipped, to_moment: To) -> None:
    shop = shipped.shop
    shop.server.load(AFTERWARDS, shop.name)
    shipped.look()
    time.sleep(1.1)
    wanted, before = now(), live(shipped)
    time.sleep(1.1)
    shop.execute("DELETE FROM orders; DROP VIEW every_parcel; DROP TABLE parcels")
    shipped.look()
    mistaken = live(shipped)

    run = succeeded(to_moment(shipped, wanted, RestoreMode.REPLACE, shop.name))

    assert live(shipped) == before
    undone = succeeded(restore(shipped.database, RestoreMode.UNDO, undo_of=Restore.objects.get(run=run)))
    assert live(shipped) == mistaken
    assert undone.restore.undo_of == run.restore


@pytest.mark.one_flavour("mariadb")
def test_a_moment_as_an_sql_file(shipped: Shipped, to_moment: To, tmp_path: Path) -> None:
    shop = shipped.shop
    shop.server.load(AFTERWARDS, shop.name)
    until, before = the_mistake(shipped)

    run = succeeded(to_moment(shipped, until, RestoreMode.FILE, str(tmp_path / "sql")))

    (file,) = (tmp_path / "sql").iterdir()
    text = file.read_bytes()
    assert run.result["file"] == str(file)
    assert b"-- Dump completed" in text.splitlines()[-1]
    assert b"__verify_" not in text
    shop.server.create_database(f"{shop.name}__loaded")
    # However strictly the server reads it.
    shop.server.execute("SET GLOBAL sql_mode = 'NO_BACKSLASH_ESCAPES,STRICT_ALL_TABLES'")
    try:
        shop.server.client("--binary-mode", f"{shop.name}__loaded", stdin=text)
    finally:
        shop.server.execute("SET GLOBAL sql_mode = DEFAULT")
    assert content(shop.server, f"{shop.name}__loaded") == with_events_disabled(before)
    assert not [name for name in databases_of(shop) if "__verify_" in name]


@pytest.mark.one_flavour("mariadb")
def test_chosen_tables_are_found_by_the_names_they_had_and_without_rows_that_went_with_their_parents(
    shipped: Shipped, to_moment: To
) -> None:
    """MariaDB logs no row that a foreign key deletes: it is in the parent's alone, which nobody chose.

    Programs that alter large tables fill a copy, then both change names.
    """
    shop, then = shipped.shop, f"{shipped.shop.name}__then"
    shop.execute("DELETE FROM customers WHERE id = 2; INSERT INTO orders (customer, note) VALUES (3, 'd')")
    shop.execute(
        "CREATE TABLE _journal_new LIKE journal; ALTER TABLE _journal_new ADD COLUMN more INT DEFAULT 7; "
        "INSERT INTO _journal_new (id, what) SELECT id, what FROM journal; "
        "INSERT INTO _journal_new (what) VALUES ('new'); "
        "RENAME TABLE journal TO _journal_old, _journal_new TO journal"
    )
    wanted = {each: shop.query(f"SELECT * FROM {each} ORDER BY id") for each in ("journal", "orders")}
    shipped.look()
    time.sleep(1.1)
    until = now()
    shop.execute("DELETE FROM customers; DROP TABLE journal")
    shipped.look()

    succeeded(to_moment(shipped, until, RestoreMode.NEW, then, tables=("orders", "journal")))

    there = {name: shop.server.query(f"SELECT * FROM {name} ORDER BY id", then) for name in wanted}
    assert there == wanted
    assert [name for (name,) in shop.server.query("SHOW TABLES", then)] == ["journal", "orders"]
    assert [row[0] for row in shop.server.query("SHOW TRIGGERS", then)] == ["orders_noted"]
    missing = to_moment(shipped, until, RestoreMode.NEW, f"{shop.name}__other", tables=("nothing",))
    assert "At that moment there was no table nothing" in failed(missing)
    assert f"{shop.name}__other" not in databases_of(shop)


@pytest.mark.one_flavour("mariadb")
def test_an_event_of_the_log_stays_asleep(shipped: Shipped, to_moment: To) -> None:
    shop, then = shipped.shop, f"{shipped.shop.name}__then"
    shop.execute(
        "CREATE EVENT each_second ON SCHEDULE EVERY 1 SECOND DO INSERT INTO journal (what) VALUES (1)"
    )
    shop.execute("DROP EVENT nightly")
    shipped.look()
    time.sleep(1.1)
    until = now()
    shipped.look()

    run = succeeded(to_moment(shipped, until, RestoreMode.NEW, then))

    asked = "SELECT EVENT_NAME, STATUS FROM information_schema.EVENTS WHERE EVENT_SCHEMA = %s"
    events = shop.server.query(asked, arguments=[then])
    assert events == [("each_second", "DISABLED")]
    assert run.result["events_of_log_disabled"] == ["each_second"]
    assert "events_disabled" not in run.result


# tests/moments/test_downloads.py has it refused for a file, tests/moments/test_preview.py told before.
@pytest.mark.soak
@pytest.mark.one_flavour("mariadb")
def test_beside_a_live_mariadb_only_where_somebody_says_so(
    shipped: Shipped, to_moment: To, settings: Settings
) -> None:
    settings.REPLAY_ON_LIVE = False
    until, _ = the_mistake(shipped)

    run = to_moment(shipped, until, RestoreMode.NEW, f"{shipped.shop.name}__then")

    if shipped.shop.server.flavour == "mysql":
        succeeded(run)
        return
    assert run.error_code == "replay.beside_live"
    assert "REPLAY_ON_LIVE=true" in failed(run)
    assert f"{shipped.shop.name}__then" not in databases_of(shipped.shop)


@pytest.mark.one_flavour("mysql")
def test_a_user_of_its_own_replays(
    shipped: Shipped, to_moment: To, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who restores need not have the right to replay."""
    shop, then, user = shipped.shop, f"{shipped.shop.name}__then", f"r_{shipped.shop.name[-8:]}"
    right = {"mariadb": "BINLOG REPLAY", "mysql": "REPLICATION_APPLIER"}[shop.server.flavour]
    shop.server.execute(f"REVOKE {right} ON *.* FROM '{shop.user}'@'%'")
    until, before = the_mistake(shipped)

    refused = to_moment(shipped, until, RestoreMode.NEW, then)
    assert refused.error_code == "replay.may_not"
    assert f"GRANT {right} ON *.* TO" in failed(refused)

    more = "SET USER" if shop.server.flavour == "mariadb" else "SESSION_VARIABLES_ADMIN, SET_ANY_DEFINER"
    pattern = shop.name.replace("_", r"\_")
    shop.server.create_user(user, "replays", [f"{right}, {more} ON *.*", f"ALL ON `{pattern}\\_\\_%`.*"])
    monkeypatch.setenv("REPLAY_MYSQL_PASSWORD", "replays")
    settings.REPLAY_MYSQL_USER = user
    settings.MYSQL_HOST, settings.MYSQL_PORT = shop.server.host, shop.server.port
    succeeded(to_moment(shipped, until, RestoreMode.NEW, then))
    assert content(shop.server, then) == with_events_disabled(before)


@pytest.mark.one_flavour("mariadb")
def test_a_piece_that_is_gone_is_named_and_the_dump_can_be_restored(shipped: Shipped, to_moment: To) -> None:
    until, _ = the_mistake(shipped)
    (piece,) = [each for each in shipped.pieces if each.transactions]
    subprocess.run(
        [shipped.restic_path, "-r", shipped.database.repository.url, "forget", piece.snapshot_id],
        env={
            "RESTIC_PASSWORD": "opens the tests' repositories",
            "RESTIC_CACHE_DIR": os.environ["RESTIC_CACHE_DIR"],
        },
        check=True, capture_output=True,
    )  # fmt: skip

    run = to_moment(shipped, until, RestoreMode.NEW, f"{shipped.shop.name}__then")

    assert run.error_code == "moment.piece_missing"
    assert piece.snapshot_id[:8] in failed(run)
    assert f"{shipped.shop.name}__then" not in databases_of(shipped.shop)
    succeeded(restore(shipped.database, RestoreMode.NEW, target=f"{shipped.shop.name}__then"))
