"""What changed between two moments of the stored log, from one to now, and from a snapshot to one."""

from __future__ import annotations

import json
import re
import time
from typing import Any

import pytest
from django.core.management import call_command
from pytest_django.fixtures import Settings

from backups.actions.steps import kept_files
from backups.choices import Trigger
from backups.differences.kept_rows import kept_rows
from backups.models import LogTransaction, Run, Snapshot
from backups.moments.until import Until, before_transaction, local
from backups.requests import Asker, DiffRequest, of_moment, read
from backups.worker import executor
from tests.moments.conftest import now
from tests.restoring.stories import databases_of, failed, succeeded
from tests.shipping.conftest import Shipped

pytestmark = pytest.mark.django_db
MANY = ", ".join(f"({number}, 'x')" for number in range(100, 140))


@pytest.fixture
def lived(shipped: Shipped) -> tuple[Shipped, Until, Until]:
    """A shop with two moments: after its first changes, and just before rows are deleted."""
    shop = shipped.shop
    shop.execute(f"INSERT INTO customers VALUES {MANY}")
    shipped.look()
    time.sleep(1.1)
    first = now()
    time.sleep(1.1)
    shop.execute("UPDATE customers SET name = 'Ada Lovelace' WHERE id = 1")
    shop.execute("ALTER TABLE journal ADD COLUMN at TIMESTAMP NULL")
    shop.execute("DELETE FROM customers WHERE id >= 100")
    shop.execute("INSERT INTO customers VALUES (200, 'later')")
    shipped.look()
    listed = LogTransaction.objects.filter(piece__database=shipped.database)
    deleted = next(each for each in listed if "delete" in each.tables.get("customers", {}))
    return shipped, first, before_transaction(f"{deleted.piece.file}:{deleted.position}")


def compared(shipped: Shipped, since: Any, upto: Any, **fields: Any) -> Run:
    """The run of a comparison; a side is a moment, a snapshot, or None for now."""

    def side(wanted: Any) -> tuple[Any, Any]:
        return of_moment(shipped.database, wanted) if isinstance(wanted, Until) else (wanted, None)

    (before, since), (after, upto) = side(since), side(upto)
    request = DiffRequest(shipped.database, before, after, since=since, upto=upto, **fields)
    run = request.submit(Asker(Trigger.CLI), send=False)
    assert read(run) == request
    done = executor.execute(run.pk, send_follow_ups=False)
    assert done is not None
    return done


def rows_of(run: Run) -> dict[str, tuple[int, int, int]]:
    """Of each table that differs how many rows are gone, new and changed."""
    found = succeeded(run).result["difference"]
    return {each["table"]: (each["gone"], each["new"], each["changed"]) for each in found["tables"]}


@pytest.mark.one_flavour("mariadb")
def test_two_moments_are_compared_and_rows_are_kept_and_a_moment_with_now_and_a_snapshot(
    lived: tuple[Shipped, Until, Until],
) -> None:
    shipped, first, before_delete = lived

    run = compared(shipped, first, before_delete, keep_rows=True)

    # At the second moment the rows are still there.
    assert rows_of(run)["customers"] == (0, 0, 1)
    told = run.result["difference"]
    assert told["before"]["snapshot_id"] is told["after"]["snapshot_id"] is None
    assert told["after"]["moment"]["before"] == before_delete.before
    assert told["before"]["moment"]["position"] < told["after"]["moment"]["position"]
    assert [(each["name"], each["change"]) for each in told["objects"]] == [("journal", "changed")]
    with kept_rows(kept_files.rows_of(run.pk)) as rows:
        (change,) = rows.changes("customers")
    assert change.then is not None
    assert change.now is not None
    assert (change.then[b"name"], change.now[b"name"]) == (b"'Ada'", b"'Ada Lovelace'")
    assert not [name for name in databases_of(shipped.shop) if "__verify_" in name]

    # From a moment to now, and from a snapshot to a moment.
    assert rows_of(compared(shipped, before_delete, None)) == {"customers": (40, 1, 0)}
    base = Snapshot.objects.get(database=shipped.database)
    assert rows_of(compared(shipped, base, first)) == {"customers": (0, 40, 0)}


@pytest.mark.one_flavour("mariadb")
@pytest.mark.soak
def test_a_moment_at_a_snapshot_is_that_snapshot(shipped: Shipped) -> None:
    """Nothing is told to differ that was only brought back: views, triggers, keys, and events apart."""
    shipped.shop.execute(
        "CREATE VIEW names AS SELECT c.name, o.note FROM customers c JOIN orders o ON o.customer = c.id"
    )
    shipped.base()
    time.sleep(1.1)
    until = now()
    shipped.look()
    newest = Snapshot.objects.filter(database=shipped.database).latest("time")

    run = compared(shipped, newest, until)

    assert rows_of(run) == {}
    assert run.result["difference"]["objects"] == []
    assert run.result["difference"]["events_not_compared"] is True


@pytest.mark.one_flavour("mariadb")
@pytest.mark.soak
def test_a_command_says_which_moments_they_were(
    lived: tuple[Shipped, Until, Until], capsys: pytest.CaptureFixture[str]
) -> None:
    shipped, first, before_delete = lived
    assert first.moment is not None
    capsys.readouterr()

    call_command(
        "diff", f"moment:{local(first.moment)}", f"before:{before_delete.before}",
        "--database", shipped.database.name,
    )  # fmt: skip

    told = capsys.readouterr().out
    assert re.search(rf"From {local(first.moment)[:19]} \(by the log, up to binlog\.\d+:\d+\) to ", told)
    assert f"(by the log, up to {before_delete.before})" in told
    assert "customers: 0 gone, 0 new, 1 changed" in told
    assert "Events were not compared" in told
    with pytest.raises(SystemExit):
        call_command("diff", "moment:soon", "--json", "--database", shipped.database.name)
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["error_code"] == "moment.no_time"


@pytest.mark.one_flavour("mariadb")
def test_what_cannot_be_had_is_refused(
    lived: tuple[Shipped, Until, Until], settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped, first, before_delete = lived
    base = Snapshot.objects.get(database=shipped.database)
    turned = compared(shipped, before_delete, first)
    assert turned.error_code == "diff.turned_round"
    assert "Name the earlier one first." in failed(turned)

    class Full:
        free = 10

    with monkeypatch.context() as patched:
        patched.setattr("shutil.disk_usage", lambda _: Full())
        assert compared(shipped, base, first).error_code == "diff.no_room"
    settings.REPLAY_ON_LIVE = False
    # MySQL checks the rights of who replays.
    is_refused = shipped.shop.server.flavour == "mariadb"
    assert compared(shipped, base, first).error_code == ("replay.beside_live" if is_refused else "")
    assert not [name for name in databases_of(shipped.shop) if "__verify_" in name]
