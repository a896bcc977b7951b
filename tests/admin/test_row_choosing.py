"""The page of the rows that a comparison kept: seen, searched, ticked by who may restore."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.contrib.admin.models import LogEntry
from django.core import serializers
from django.db.models import Model
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings

from backups.actions.steps import kept_files
from backups.admin.row_choice import in_ranges, of_ranges
from backups.differences.keeping import write_chosen
from backups.differences.kept_rows import Change, KeptTable
from backups.models import Database, Run, Snapshot
from backups.requests import RowsBackRequest
from backups.worker.downloads import DownloadServer
from tests.admin.conftest import Login
from tests.downloads.serving import downloads_served
from tests.requests.conftest import WHOLE

__all__ = ["downloads_served"]

SECRET = "anna@private.example"
HOSTILE = b"'</td><script>alert(1)</script>\\0\x00\xff\xfe \xe2\x80\xae*/ -- \\' {{ 7 }}\n'"
DEFINITION = b"""CREATE TABLE `orders` (
  `id` int NOT NULL,
  `status` varchar(20) DEFAULT NULL,
  `who` text DEFAULT NULL,
  PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4"""


def a_row(number: int, status: bytes = b"'open'", who: bytes = b"NULL") -> dict[bytes, bytes]:
    return {b"id": b"%d" % number, b"status": status, b"who": who}


def changes() -> list[Change]:
    """60 rows that are gone, one of them hostile, one that was changed, one that is new."""
    gone = [Change("orders", n, a_row(n, who=b"'%s'" % SECRET.encode()), None) for n in range(1, 60)]
    hostile = Change("orders", 60, a_row(60, who=HOSTILE), None)
    changed = Change("orders", 61, a_row(61), a_row(61, status=b"'lost'"))
    return [*gone, hostile, changed, Change("orders", 62, None, a_row(62, status=b"'new'"))]


def kept(run: Run, rows: list[Change], name: str = "orders") -> dict[str, Any]:
    """Write the file of a run; answers what its row tells of it."""
    counts = {kind: sum(each.kind == kind for each in rows) for kind in ("gone", "new", "changed")}
    table = KeptTable(
        name, ["id"], counts["gone"], counts["new"], counts["changed"], 0, DEFINITION, DEFINITION
    )
    digest = write_chosen(kept_files.rows_of(run.pk), [table], rows)
    until = (timezone.now() + timedelta(days=1)).isoformat()
    return {"until": until, "sha256": digest, "tables": [{"table": name, "beyond": 0, **counts}]}


@pytest.fixture
def compared(database: Database, settings: Settings, tmp_path: Path) -> Run:
    """A comparison that kept its rows."""
    settings.RESTIC_CACHE_DIR = str(tmp_path / "cache")
    snapshot = Snapshot.objects.create(
        repository=database.repository, database=database, snapshot_id="a" * 64, made_here=True,
        time=timezone.now() - timedelta(days=1), path="/mysql/shop.sql", manifest=WHOLE,
    )  # fmt: skip
    run = Run.objects.create(
        action="diff", database=database, repository=database.repository, snapshot=snapshot, trigger="admin",
        status="succeeded", finished_at=timezone.now(),
    )  # fmt: skip
    run.result = {"kept": kept(run, changes())}
    run.save()
    return run


def page_of(run: Run) -> str:
    return reverse("rows-choose", args=[run.pk])


def press(client: Client, run: Run, button: str, **fields: Any) -> str:
    """Send the form of the page of the table."""
    answer = client.post(page_of(run), {"do": button, "table": "0", **fields})
    assert answer.status_code == 200
    return answer.content.decode()


def everything_stored() -> str:
    """All rows of the portal's database."""
    rows: list[Model] = [row for model in apps.get_models() for row in model._default_manager.all()]
    return serializers.serialize("json", rows)


def test_rows_are_seen_by_pages_and_no_cache_database_or_log_has_them(
    compared: Run, login: Login, downloads_served: DownloadServer, caplog: pytest.LogCaptureFixture
) -> None:
    client = login("Restorer")

    first = client.get(page_of(compared), {"table": "0"})
    html = first.content.decode()
    second = press(client, compared, "to-50")

    assert "no-store" in first.headers["Cache-Control"]
    assert f"&#x27;{SECRET}&#x27;" in html
    assert "1 to 50 of 62<" in html
    assert "51 to 62 of 62<" in second
    assert "<script>alert(1)" not in second
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in second
    # What steers a terminal or turns the order of a line around is written out.
    assert "\\x00" in second
    assert "\\u202e" in second
    assert "<del" in second
    assert "&#x27;lost&#x27;" in second
    assert [each.get_change_message() for each in LogEntry.objects.all()] == ["Looked at rows of orders."]
    assert SECRET not in everything_stored() + caplog.text


def test_a_search_and_a_condition_find_rows_and_tick_them_all(
    compared: Run, login: Login, downloads_served: DownloadServer, caplog: pytest.LogCaptureFixture
) -> None:
    client = login("Restorer")

    by_key = press(client, compared, "search", search="61")
    by_kind = press(client, compared, "search", kind=["new", "changed"])
    where = press(client, compared, "found", where=f"who = '{SECRET}' and id < 10")
    none = press(client, compared, "search", search="no such key")
    wrong = press(client, compared, "search", where="who = = 3")

    assert "1 to 1 of 1<" in by_key
    assert "1 to 2 of 2<" in by_kind
    assert 'name="hand-0" value="1-9"' in where
    assert where.count(" checked") == 9
    assert "No kept row fits this." in none
    assert 'role="alert"' in wrong
    # What was typed is still there to be mended.
    assert 'value="who = = 3"' in wrong
    assert "No kept row fits this." not in wrong
    assert SECRET not in everything_stored() + caplog.text


def test_ticks_stay_from_page_to_page_and_are_what_is_asked_for(
    compared: Run, login: Login, downloads_served: DownloadServer
) -> None:
    client = login("Restorer")
    seen = in_ranges(range(1, 51))

    one = press(client, compared, "to-50", seen=seen, row=["3", "7", "999"])
    assert 'name="hand-0" value="3,7"' in one
    back = press(
        client, compared, "to-0", **{"hand-0": "3,7", "seen": "51-62", "row": ["61"], "offset": "50"}
    )
    assert 'name="hand-0" value="3,7,61"' in back
    assert "3 rows by hand" in back
    answer = client.post(
        page_of(compared),
        {"do": "prove", "table": "0", "hand-0": "3,7,61", "seen": seen, "row": ["7"], "all": "0.new"},
    )

    run = Run.objects.get(action="rows_back")
    assert answer.headers["Location"] == reverse("rows-back", args=[run.pk])
    assert run.request["source"] == compared.pk
    assert run.request["choices"] == [{"table": "orders", "kinds": ["new"], "ranges": [[7, 7], [61, 61]]}]
    assert f"gives rows of orders back: {run}" in LogEntry.objects.latest("pk").get_change_message()


def test_nothing_is_started_for_no_row_nor_by_who_may_not_restore(compared: Run, login: Login) -> None:
    assert "no row is ticked" in press(login("Restorer"), compared, "prove")
    for role in ("Viewer", "Operator"):
        client = login(role)
        assert client.get(page_of(compared)).status_code == 403
        assert client.post(page_of(compared), {"do": "prove", "all": "0.gone"}).status_code == 403
    assert not Run.objects.filter(action="rows_back").exists()


def test_without_a_worker_the_page_says_so_and_loses_no_tick(compared: Run, login: Login) -> None:
    html = press(login("Restorer"), compared, "search", **{"hand-0": "3,7", "all": "0.new"})

    assert "The worker does not run" in html
    assert 'name="hand-0" value="3,7"' in html
    assert 'value="0.new" checked' in html


def test_rows_that_are_kept_no_more_are_not_promised(
    compared: Run, login: Login, downloads_served: DownloadServer
) -> None:
    client = login("Restorer")
    kept_files.rows_of(compared.pk).unlink()
    assert "not kept here any more" in client.get(page_of(compared), {"table": "0"}).content.decode()

    compared.result["kept"]["until"] = (timezone.now() - timedelta(hours=1)).isoformat()
    compared.save()
    over = client.get(page_of(compared), {"table": "0"}).content.decode()
    assert "are removed since" in over
    assert "Compare again" in over

    Run.objects.filter(pk=compared.pk).update(result={})
    assert "kept none" in client.get(page_of(compared)).content.decode()


def test_of_more_rows_than_are_kept_the_limit_is_named_and_their_table_can_be_restored(
    compared: Run, login: Login
) -> None:
    compared.result["kept"]["tables"][0] |= {"table": "a&b", "beyond": 150_000}
    compared.result["kept"]["limit"] = 50_000
    compared.save()

    client = login("Restorer")
    page = client.get(page_of(compared)).content.decode()

    assert "ROWS_BACK_LIMIT is 50,000" in page
    assert f'href="{reverse("snapshot-restore", args=[compared.snapshot_id])}?table=a%26b&amp;"' in page
    assert "Restore this table" in page
    del compared.result["kept"]["limit"]
    compared.save()
    assert "more rows differ than are kept. A script" in client.get(page_of(compared)).content.decode()


@pytest.mark.parametrize("told", [3, {}, {"until": "never", "tables": []}, {"until": 1, "tables": [{}]}])
def test_a_row_that_tells_something_else_breaks_no_page(compared: Run, login: Login, told: object) -> None:
    Run.objects.filter(pk=compared.pk).update(result={"kept": told})

    assert login("Restorer").get(page_of(compared)).status_code == 200


@pytest.mark.parametrize(
    ("text", "numbers"),
    [("", set()), ("1-3,7", {1, 2, 3, 7}), ("3-1,x,-4,5-", set()), ("1-999999999999,8", {8})],
)
def test_ranges_of_numbers_that_a_form_brings(text: str, numbers: set[int]) -> None:
    assert of_ranges(text) == numbers
    assert of_ranges(in_ranges(numbers)) == numbers


def test_only_some_columns_of_changed_rows_can_be_ticked_where_their_names_are_known(
    compared: Run, login: Login
) -> None:
    client = login("Restorer")
    assert "Only some columns" not in client.get(page_of(compared)).content.decode()
    compared.result["kept"]["tables"][0]["columns"] = ["status", "<who>"]
    compared.save()
    assert 'value="&lt;who&gt;"' in client.get(page_of(compared)).content.decode()

    client.post(
        page_of(compared),
        {"do": "prove", "all": ["0.changed", "0.gone"], "column-0": ["status", "of nobody"]},
    )

    run = Run.objects.get(action="rows_back")
    (choice,) = RowsBackRequest.from_row(run, run.request).choices
    assert (choice.kinds, choice.columns) == (("gone", "changed"), ("status",))
