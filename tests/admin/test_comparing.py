"""The button "What changed since", and the page that shows what a comparison found."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.utils import timezone

from backups.admin.base import page_url, run_url
from backups.models import Database, Repository, Run, Server, Snapshot
from backups.moments.until import local
from tests.admin.conftest import Login
from tests.admin.test_actions import CONFIRM, action_url
from tests.admin.test_moments import FILE, at, logged
from tests.requests.conftest import WHOLE

__all__ = ["logged"]
HOSTILE = "<script>alert(1)</script>`; --"


@pytest.fixture
def snapshots(database: Database) -> list[Snapshot]:
    """An earlier and a later one."""
    return [
        Snapshot.objects.create(
            repository=database.repository, database=database, snapshot_id=letter * 64, made_here=True,
            time=timezone.now() - timedelta(days=days), path="/mysql/shop.sql", manifest=WHOLE,
        )
        for letter, days in (("a", 2), ("b", 1))
    ]  # fmt: skip


def table(name: str, **told: Any) -> dict[str, Any]:
    """A table's difference as a run's row keeps it."""
    empty: dict[str, Any] = dict.fromkeys(("gone", "new", "changed", "rows_before", "rows_after"))
    lists: dict[str, Any] = {"key": [], "columns_came": [], "columns_gone": [], "columns_retyped": []}
    return {"table": name, "change": "", "why_not": "", **empty, **lists, **told}


def found(snapshot: Snapshot) -> dict[str, Any]:
    """All kinds of things that a comparison may find."""
    side = {"at": timezone.now().isoformat(), "server": "mariadb 10.11.6", "client": "10.11.6"}
    return {
        "before": {**side, "snapshot_id": snapshot.snapshot_id},
        "after": {**side, "snapshot_id": None, "server": "mariadb 11.4.2"},
        "chosen": [],
        "tables": [
            table("orders", gone=312, new=4, changed=7, key=["id"], rows_before=1200, rows_after=892),
            table(HOSTILE, gone=1, new=0, changed=0, columns_came=[HOSTILE], rows_before=1, rows_after=0),
            table("far", why_not="not_read"),
            table("old", change="gone", gone=1, new=0, changed=0, rows_before=1),
        ],
        "tables_beyond": 3,
        "objects": [{"kind": "view", "name": HOSTILE, "table": "", "change": "changed"}],
        "objects_beyond": 0,
        "same_tables": 12,
        "left_out": ["elsewhere"],
    }


def test_who_may_restore_asks_and_it_is_noted(snapshots: list[Snapshot], login: Login) -> None:
    old, newest = snapshots
    client = login("Restorer")
    assert "What changed since" in client.get(page_url(old)).content.decode()
    dialog = client.get(action_url(old, "what_changed")).content.decode()
    assert newest.short_id in dialog
    assert old.short_id not in dialog.partition('name="until"')[2].partition("</select>")[0]

    beside = f"{action_url(old, 'what_changed')}?until={newest.pk}"
    assert beside in client.get(page_url(newest)).content.decode()
    assert f'value="{newest.pk}" selected' in client.get(beside).content.decode()
    # What an address says is chosen is only looked for among what can be.
    assert "selected" not in client.get(beside + "999").content.decode().partition('name="until"')[2][:400]

    wish = {"until": str(newest.pk), "tables": " orders, items ,orders"}
    answer = client.post(action_url(old, "what_changed"), CONFIRM | wish)

    run = Run.objects.get(action="diff")
    assert answer.headers["Location"] == run_url(run)
    assert run.request["until"] == newest.snapshot_id
    assert run.request["tables"] == ["orders", "items"]
    assert f"Started Comparison {run.pk}." in LogEntry.objects.get().get_change_message()


def test_moments_are_asked_for_where_a_log_is_stored(logged: Database, login: Login) -> None:
    base = Snapshot.objects.get()
    client = login("Restorer")
    address = action_url(base, "what_changed")
    shown = client.get(address).content.decode()
    assert 'name="since_moment"' in shown
    assert "Each moment is brought back where test restores are made" in shown
    wish = {"since_moment": f"before:{FILE}:7000", "upto_moment": local(at(20))}

    refused = client.post(address, CONFIRM | {"since_moment": "soon"}).content.decode()
    client.post(address, CONFIRM | wish)

    Server.objects.update(flavour="MariaDB")
    assert "no log is replayed beside the live database" in client.get(address).content.decode()
    answered = client.post(address, CONFIRM | wish, follow=True).content.decode()
    assert "where test restores of" in answered
    assert "is no time" in refused
    run = Run.objects.get(action="diff")
    assert run.request["since_moment"]["before"] == f"{FILE}:7000"
    assert datetime.fromisoformat(run.request["upto_moment"]["moment"]) == at(20)
    assert (run.snapshot, run.request["until"]) == (base, base.snapshot_id)
    moment = {"version": 1, "moment": None, "before": f"{FILE}:7000", "file": FILE, "position": 7000}
    told = found(base)
    told["before"] |= {"snapshot_id": None, "moment": moment}
    Run.objects.filter(pk=run.pk).update(status="succeeded", result={"difference": told})
    page = client.get(run_url(run)).content.decode()
    assert f"by the log, up to {FILE}:7000" in page
    assert "the live database" in page


def test_without_a_stored_log_no_moment_is_asked_for(snapshots: list[Snapshot], login: Login) -> None:
    dialog = login("Restorer").get(action_url(snapshots[0], "what_changed")).content.decode()
    assert 'name="until"' in dialog
    assert "_moment" not in dialog


def test_the_wanted_snapshot_is_offered_however_many_are_newer(
    snapshots: list[Snapshot], login: Login, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, wanted = snapshots
    newest = Snapshot.objects.get(pk=wanted.pk)
    newest.pk, newest.snapshot_id, newest.time = None, "c" * 64, timezone.now()
    newest.save()
    monkeypatch.setattr("backups.admin.comparing._CHOICES", 1)
    client = login("Restorer")
    address = action_url(old, "what_changed")

    dialog = client.get(f"{address}?until={wanted.pk}").content.decode()
    client.post(address, CONFIRM | {"until": str(wanted.pk)})

    assert f'value="{newest.pk}"' in dialog
    assert f'value="{wanted.pk}" selected' in dialog
    assert Run.objects.get(action="diff").request["until"] == wanted.snapshot_id


def test_a_wanted_snapshot_that_went_is_not_taken_for_now(snapshots: list[Snapshot], login: Login) -> None:
    old, wanted = snapshots
    client = login("Restorer")
    address = action_url(old, "what_changed")
    Snapshot.objects.filter(pk=wanted.pk).update(forgotten_at=timezone.now())

    for answer in (
        client.get(f"{address}?until={wanted.pk}"),
        client.post(address, CONFIRM | {"until": str(wanted.pk)}),
    ):
        assert "that you wanted is gone" in answer.content.decode()
    assert "What changed between them" not in client.get(page_url(wanted)).content.decode()
    assert not Run.objects.filter(action="diff").exists()


def test_snapshots_of_two_repositories_are_not_offered(snapshots: list[Snapshot], login: Login) -> None:
    old, later = snapshots
    later.repository = Repository.objects.create(name="second", url="/elsewhere")
    later.save()
    client = login("Restorer")

    assert later.short_id not in client.get(action_url(old, "what_changed")).content.decode()
    assert "What changed between them" not in client.get(page_url(later)).content.decode()


def test_now_is_what_it_is_compared_with_unless_said_otherwise(
    snapshots: list[Snapshot], login: Login
) -> None:
    client = login("Restorer")
    refused = client.post(action_url(snapshots[1], "what_changed"), CONFIRM | {"until": snapshots[0].pk})
    assert refused.status_code == 200
    assert not Run.objects.filter(action="diff").exists()

    client.post(action_url(snapshots[0], "what_changed"), CONFIRM)

    assert Run.objects.get(action="diff").request["until"] is None


def test_what_was_found_is_shown_to_who_may_restore_and_to_nobody_else(
    snapshots: list[Snapshot], login: Login
) -> None:
    old = snapshots[0]
    run = Run.objects.create(
        action="diff", database=old.database, repository=old.repository, snapshot=old, trigger="admin",
        status="succeeded", finished_at=timezone.now(), result={"difference": found(old)},
    )  # fmt: skip
    client = login("Restorer")

    page = client.get(run_url(run)).content.decode()
    live = client.get(f"{run_url(run).removesuffix('change/')}live/").json()["html"]

    for html in (page, live):
        assert "312 gone, 4 new, 7 changed" in html
        assert "by the key id" in html
        assert "its rows are in no dump" in html
        assert "the table is gone, with 1 row" in html
        assert "The server was mariadb 10.11.6 then" in html
        assert "compared by digests, without any server." in html
        assert page_url(old) in html
        assert "<script>alert(1)" not in html
    viewer = login("Operator")
    for address in (run_url(run), f"{run_url(run).removesuffix('change/')}live/"):
        assert "312 gone" not in viewer.get(address).content.decode()


@pytest.mark.parametrize(
    ("server", "said"),
    [
        (
            {"address": "db2:3306", "server": "mariadb 10.11.6", "tables": 1},
            "in scratch databases at db2:3306",
        ),
        ({"why_not": "The user may not."}, "no server could be had: The user may not."),
        (None, "compared by digests, without any server."),
    ],
)
def test_which_way_was_taken_is_said(
    snapshots: list[Snapshot], login: Login, server: object, said: str
) -> None:
    old = snapshots[0]
    by_server = table("orders", gone=1, new=0, changed=0, by_server=True, columns_converted=["price"])
    told = {**found(old), "tables": [by_server], "server": server}
    run = Run.objects.create(
        action="diff", database=old.database, repository=old.repository, snapshot=old, trigger="admin",
        status="succeeded", finished_at=timezone.now(), result={"difference": told},
    )  # fmt: skip

    html = login("Restorer").get(run_url(run)).content.decode()

    assert said in html
    assert "columns of another type, compared by value: price" in html


@pytest.mark.parametrize("result", [{}, {"difference": None}, {"difference": {"before": 3}}, []])
def test_a_row_that_tells_something_else_is_shown_without_it(
    snapshots: list[Snapshot], login: Login, result: object
) -> None:
    old = snapshots[0]
    run = Run.objects.create(
        action="diff", database=old.database, repository=old.repository, trigger="admin", result=result
    )

    assert login("Restorer").get(run_url(run)).status_code == 200
