"""Tables whose rows no backup has: named everywhere, and no restore exchanges them for empty ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from backups.choices import Action, RestoreMode, Status, Trigger, Verdict
from backups.models import Database, Run
from backups.restoring.plan import plan
from backups.runs import lifecycle
from backups.runs.asked import Asker, Wanted
from backups.worker import executor
from tests.backups.conftest import MakeDatabase
from tests.backups.worlds import Shop
from tests.restoring.stories import drop_all, failed, log_of, make_restorable, restore, succeeded, undo
from tests.servers import FLAVOURS, DatabaseServer

BackUp = Callable[[Database], Run]
MERGED = """
CREATE TABLE january (id INT, KEY (id)) ENGINE=MyISAM;
INSERT INTO january VALUES (1);
CREATE TABLE year (id INT, KEY (id)) ENGINE=MERGE UNION=(january);
CREATE TABLE plain (id INT PRIMARY KEY);
INSERT INTO plain VALUES (1);
"""
# Nothing listens there, as where the remote server is down or gone for good.
AWAY = """
CREATE TABLE people (id INT PRIMARY KEY) ENGINE=FEDERATED CONNECTION='mysql://nobody@127.0.0.1:9/away/people';
CREATE TABLE hole (id INT PRIMARY KEY) ENGINE=BLACKHOLE;
CREATE LIBRARY of_the_snapshot LANGUAGE JAVASCRIPT AS 'export function f(n) { return n }';
"""


@pytest.fixture(scope="module", params=FLAVOURS)
def merging(request: pytest.FixtureRequest) -> Iterator[Shop]:
    """A database with what each flavour has without a plugin; on MySQL with a remote table that is away."""
    options = ["--federated"] if request.param == "mysql" else []
    with DatabaseServer(request.param, options=options) as server:
        shop = make_restorable(server, MERGED + (AWAY if options else ""))
        yield shop
        drop_all(shop)


def verify(database: Database) -> Run:
    """Verify the newest snapshot in this process."""
    queued = lifecycle.run_enqueue(Wanted(Action.VERIFY, database=database), Asker(Trigger.CLI), send=False)
    played = executor.execute(queued.pk)
    assert played is not None
    return played


def libraries_of(shop: Shop) -> list[str]:
    """MySQL's JavaScript libraries in a database."""
    asked = "SELECT LIBRARY_NAME FROM information_schema.LIBRARIES WHERE LIBRARY_SCHEMA = %s"
    return [name for (name,) in shop.query(asked, [shop.name])]


@pytest.mark.one_flavour("mysql")
def test_told_by_backup_and_verification_and_left_where_they_are_by_replacing(
    merging: Shop, make_database: MakeDatabase, back_up: BackUp
) -> None:
    database = make_database(merging)
    without_rows = ["hole", "people", "year"] if merging.server.flavour == "mysql" else ["year"]

    run = back_up(database)
    assert run.status == Status.SUCCEEDED, run.error
    assert run.snapshot is not None
    assert [left["table"] for left in run.snapshot.not_in_backup] == without_rows
    assert "Not in any backup" in log_of(run)

    verified = verify(database)
    assert verified.verification.verdict == Verdict.IDENTICAL, verified.error
    told = verified.verification.not_compared
    assert [line.partition(" ")[0] for line in told] == without_rows

    merging.execute("INSERT INTO plain VALUES (2)")
    if merging.server.flavour == "mysql":
        merging.execute("DROP LIBRARY of_the_snapshot")
        merging.execute("CREATE LIBRARY of_later LANGUAGE JAVASCRIPT AS 'export function f(n) { return n }'")
    merging.execute("CREATE TABLE late (id INT, KEY (id)) ENGINE=MERGE UNION=(january)")
    preview = plan(database, run.snapshot, mode=RestoreMode.REPLACE, target=merging.name)
    assert preview.staying == sorted([*without_rows, "late"])
    assert preview.replaced == ["january", "plain"]
    assert not preview.vanishing

    replaced = succeeded(restore(database, RestoreMode.REPLACE, without_safety=True))
    assert "These tables stayed as they were" in log_of(replaced)
    assert merging.query("SELECT * FROM plain") == [(1,)]
    assert merging.query("SELECT * FROM year") == [(1,)]
    assert merging.query("SELECT * FROM late") == [(1,)]
    if merging.server.flavour == "mysql":
        assert "127.0.0.1:9" in merging.query("SHOW CREATE TABLE people")[0][1]
        assert libraries_of(merging) == ["of_the_snapshot"]

    succeeded(undo(replaced))
    assert merging.query("SELECT * FROM plain") == [(1,), (2,)]
    assert merging.query("SELECT * FROM year") == [(1,)]
    if merging.server.flavour == "mysql":
        assert libraries_of(merging) == ["of_later"]
    merging.execute("DROP TABLE late")


@pytest.mark.one_flavour("mariadb")
def test_choosing_such_a_table_is_refused(
    merging: Shop, make_database: MakeDatabase, back_up: BackUp
) -> None:
    database = make_database(merging)
    snapshot = back_up(database).snapshot
    assert snapshot is not None

    error = failed(restore(database, RestoreMode.REPLACE, tables=["year"]))
    told = plan(database, snapshot, mode=RestoreMode.REPLACE, target=merging.name, tables=["year"])

    assert "No backup has the rows of year" in error
    assert any("No backup has the rows of year" in obstacle for obstacle in told.obstacles)
    assert merging.query("SELECT * FROM year") == [(1,)]
