"""A restore's page tells its whole story, and the list says who restored what, where to and why."""

from __future__ import annotations

import html
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django.utils.html import strip_tags

from backups.admin.base import page_url, run_url
from backups.admin.restore_story import TableRows, rows_of
from backups.choices import Action, RestoreMode, Status, Swap, Trigger
from backups.models import Restore, Run
from tests.admin.conftest import Login
from tools.history import History

LIST = "admin:backups_restore_changelist"


def told(client: Client, url: str) -> str:
    """What a page says, without its tags and runs of blanks."""
    page = client.get(url)
    assert page.status_code == 200
    main = page.content.decode().partition('id="main"')[2]
    return " ".join(html.unescape(strip_tags(main.replace("<", " <"))).split())


@pytest.fixture
def replaced(past: History) -> Restore:
    """A replacement that was made forty-six minutes after its snapshot, with a backup before."""
    restore = Restore.objects.select_related("run", "snapshot").get(mode=RestoreMode.REPLACE)
    swapped_at = restore.snapshot.time + timedelta(minutes=46)
    saved = past.databases[0].snapshots.exclude(pk=restore.snapshot_id)[0]
    Run.objects.create(
        action=Action.BACKUP, trigger=Trigger.RESTORE, parent=restore.run, database=restore.database,
        repository=restore.database.repository, status=Status.SUCCEEDED, snapshot=saved,
    )  # fmt: skip
    Run.objects.filter(pk=restore.run_id).update(requested_by=User.objects.create_user("anna"))
    Restore.objects.filter(pk=restore.pk).update(
        swapped_at=swapped_at, safety_snapshot=saved, swap=Swap.FINISHED
    )
    restore.refresh_from_db()
    return restore


# ---------------------------------------------------------------- What it tells


def test_a_viewer_reads_who_restored_what_where_to_and_why(replaced: Restore, login: Login) -> None:
    viewer = login("Viewer")
    for url in (reverse(LIST), page_url(replaced)):
        page = told(viewer, url)
        for words in (
            replaced.snapshot.short_id, replaced.target, "Replace the live database", "anna",
            "A wrong price import was noticed on Monday.",
        ):  # fmt: skip
            assert words in page, (url, words)
    assert "1 restore keeps tables of before, until somebody drops them: about 906.0 MB in all." in told(
        viewer, reverse(LIST)
    )
    page = told(viewer, page_url(replaced))
    assert "(46 minutes) is not there any more. It is in the kept tables" in page
    assert f"and in safety snapshot {replaced.safety_snapshot.short_id}." in page  # type: ignore[union-attr]
    assert "Space that they take about 906.0 MB" in page
    assert "Undo" not in page
    assert "Drop kept tables" not in page


def test_its_steps_begin_with_the_backup_before(replaced: Restore, login: Login) -> None:
    viewer = login("Viewer")
    page = told(viewer, page_url(replaced))
    steps = ["Backed up as it was before", "Loaded in 1 min 58 s", "In the place of the live tables"]
    places = [page.index(step) for step in steps]
    assert places == sorted(places)
    child = replaced.run.children.get()
    assert f"Before it {child}" in told(viewer, run_url(replaced.run))
    assert f"Made before {replaced.run}" in told(viewer, run_url(child))


def test_a_restore_and_its_run_lead_to_each_other(replaced: Restore, login: Login) -> None:
    viewer = login("Viewer")
    assert f'href="{run_url(replaced.run)}"' in viewer.get(page_url(replaced)).content.decode()
    drop = Run.objects.create(
        action=Action.DROP_KEPT, trigger=Trigger.ADMIN, database=replaced.database,
        repository=replaced.database.repository, options={"restore": replaced.pk},
    )  # fmt: skip
    for run in (replaced.run, drop):
        assert f'href="{page_url(replaced)}"' in viewer.get(run_url(run)).content.decode()


def test_rows_are_told_before_and_after_what_changed_most_first(replaced: Restore, login: Login) -> None:
    page = told(login("Viewer"), page_url(replaced))
    for row in (
        "prices 212 10,670 +10,458", "orders 1,310,551 1,310,208 -343", "customers 48,210 48,204 -6",
        "import_of_monday 9,130 – gone", "settings 41 41 same number",  # noqa: RUF001
        "audit_log not counted not counted",
    ):  # fmt: skip
        assert row in page
    assert page.index("prices 212") < page.index("orders 1,310,551") < page.index("settings 41 41")
    assert "Not counted is what would have taken too long" in page


@pytest.mark.parametrize(
    "result",
    [
        None, [], {"rows": 3}, {"rows": [3, {"table": 4}, {"before": 1}], "rows_left_out": "x"},
        {"rows": [{"table": "t", "before": -1, "after": 1 << 4000}], "kept_bytes": True},
    ],
)  # fmt: skip
def test_what_no_run_counted_is_not_told(replaced: Restore, login: Login, result: Any) -> None:
    Run.objects.filter(pk=replaced.run_id).update(result=result if result is not None else {})
    page = told(login("Viewer"), page_url(replaced))
    assert "Space that they take was not measured" in page
    assert "t not counted not counted" in page or "Rows of each table" not in page


def test_rows_of_a_new_database_had_none_before() -> None:
    run = Run(result={"rows": [{"table": "t", "after": 3}]})
    assert rows_of(run) == [TableRows("t", False, 3)]
    assert rows_of(run)[0].words == "new"


# ---------------------------------------------------------------- While it runs


def test_a_running_restore_says_how_far_it_is_and_what_will_be_lost(replaced: Restore, login: Login) -> None:
    now = timezone.now()
    Restore.objects.filter(pk=replaced.pk).update(swapped_at=None, restore_seconds=None, swap=Swap.NONE)
    Run.objects.filter(pk=replaced.run_id).update(
        status=Status.RUNNING, phase="load", started_at=now, beat_at=now, bytes_done=30, bytes_expected=100,
        phases=[{"name": "load", "at": now.isoformat()}],
    )  # fmt: skip
    operator = login("Operator")
    answer = operator.get(reverse("admin:backups_restore_live", args=[replaced.pk])).json()
    assert answer["over"] is False
    assert answer["title"].startswith("Running: Restore")
    assert 'aria-valuenow="30"' in answer["html"]
    assert "will not be there any more." in answer["html"]
    assert 'class="v-primary"><span class="v-dot" aria-hidden="true"></span>' in answer["html"]
    assert reverse("admin:backups_run_cancel", args=[replaced.run_id]) in answer["html"]

    Run.objects.filter(pk=replaced.run_id).update(status=Status.CANCELLED, finished_at=now)
    answer = operator.get(reverse("admin:backups_restore_live", args=[replaced.pk])).json()
    assert answer["over"] is True
    assert "Not done: Load the snapshot" in answer["html"]
    assert "any more." not in answer["html"]


# ---------------------------------------------------------------- The way back


def test_undo_stands_on_the_page_in_red_and_the_undo_leads_back(replaced: Restore, login: Login) -> None:
    restorer = login("Restorer")
    page = restorer.get(page_url(replaced)).content.decode()
    undo = reverse("admin:backups_restore_undo", args=[replaced.pk])
    assert f'<a class="v-button v-main v-danger" href="{undo}"' in page
    assert "as soon as nobody wants to undo this any more" in page
    dialog = restorer.get(undo).content.decode()
    assert f"Type {replaced.target} to go on" in dialog
    assert "v-danger" in dialog
    restorer.post(undo, {"_form_submitted": "on", "reason": "It was right.", "confirm": replaced.target})
    undoing = Restore.objects.get(mode=RestoreMode.UNDO)
    page = told(restorer, page_url(undoing))
    assert f"{replaced.target} back to what it was before" in page
    assert f"The tables that restore {replaced.run_id} kept" in page
    assert "No backup before: the present tables are kept in their turn" in page
    assert f'href="{page_url(undoing)}"' in restorer.get(page_url(replaced)).content.decode()
    assert "It was right." in told(restorer, reverse(LIST))


def test_what_keeps_it_from_being_undone_or_dropped_is_said(replaced: Restore, login: Login) -> None:
    run = Run.objects.create(
        action=Action.RESTORE, trigger=Trigger.CLI, database=replaced.database,
        repository=replaced.database.repository, status=Status.SUCCEEDED,
    )  # fmt: skip
    Restore.objects.filter(pk=replaced.pk).update(tables=["prices"])
    newer = Restore.objects.create(
        run=run, database=replaced.database, snapshot=replaced.snapshot, mode=RestoreMode.REPLACE,
        target=replaced.target, kept_in=f"{replaced.target}__before_{run.pk}", swap=Swap.FINISHED,
        swapped_at=timezone.now(), tables=["prices"],
    )  # fmt: skip
    restorer = login("Restorer")
    page = told(restorer, page_url(replaced))
    assert f"Undo restore {newer.run_id} first." in page
    assert f"Restore {newer.run_id} of {replaced.target} is newer and can still be undone." in page
    assert (
        reverse("admin:backups_restore_undo", args=[replaced.pk])
        not in restorer.get(page_url(replaced)).content.decode()
    )
    page = told(restorer, page_url(newer))
    assert "1 table back into the live database" in page
    assert "Command line" in page


# ---------------------------------------------------------------- The pages around it


def test_each_page_of_a_restore_leads_back_and_restore_at_says_its_zone(past: History, login: Login) -> None:
    restorer, database = login("Restorer"), past.databases[0]
    snapshot = database.snapshots.present()[0]
    for url in (
        reverse("snapshot-restore", args=[snapshot.pk]), reverse("database-restore", args=[database.pk]),
    ):  # fmt: skip
        page = restorer.get(url).content.decode()
        crumbs = page.partition('class="v-crumbs"')[2].partition("</nav>")[0]
        assert f'href="{page_url(database)}"' in crumbs
    assert "Date and time are those of UTC, where it is" in page
