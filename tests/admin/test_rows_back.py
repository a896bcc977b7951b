"""The page of rows given back: proof, script, what is said before it is applied, and the undo."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from backups.actions.steps import kept_files
from backups.choices import Status
from backups.differences.kept_rows import Change
from backups.models import Restore, Run
from backups.requests.rows_back import UNSEEN_KEYS
from backups.worker.downloads import DownloadServer
from tests.admin.conftest import Login
from tests.admin.test_row_choosing import SECRET, a_row, changes, compared, downloads_served, kept

__all__ = ["compared", "downloads_served"]

SCRIPT = f"-- of shop\nINSERT INTO `orders` VALUES (1, '{SECRET}</pre><script>');\n".encode()


@pytest.fixture
def proved(compared: Run) -> Run:
    """A script that was proved, with a trigger and a row that was changed again."""
    run = Run.objects.create(
        action="rows_back", database=compared.database, repository=compared.repository,
        snapshot=compared.snapshot, trigger="admin", status="succeeded", finished_at=timezone.now(),
        request={"form": "rows_back", "version": 1, "source": compared.pk, "choices": [
            {"table": "orders", "kinds": ["gone", "changed"], "ranges": []}
        ], "with_changed_again": False, "reason": ""},
    )  # fmt: skip
    again = Change("orders", 61, a_row(61), a_row(61, b"'lost'"), 0, "again", a_row(61, b"'found'"))
    told = kept(run, [*changes()[:60], again])
    stored = kept_files.store_script(run.pk, SCRIPT, b"-- the undo\n", [SCRIPT])
    run.result = {"rows_back": {
        "source": compared.pk, "is_undo": False, "rows": 60, "proved": True, "changed_again": 0, "already": 2,
        "tables": [{"table": "orders", "gone": 60, "changed": 0, "new": 0}],
        "left_out": [{"table": "orders", "rows": 1}],
        "triggers": [
            {"trigger": "audit_orders", "table": "orders", "event": "insert", "rows": 60},
            {"trigger": "foreign keys", "table": "orders", "event": UNSEEN_KEYS, "rows": 3},
        ],
        "rounded": [{"table": "orders", "columns": ["size"]}],
        "moment": timezone.now().isoformat(), "rows_sha256": told["sha256"], "until": told["until"], **stored,
    }}  # fmt: skip
    run.save()
    return run


def page_of(run: Run, which: str = "rows-back") -> str:
    return reverse(which, args=[run.pk])


def applied(proved: Run, status: Status = Status.SUCCEEDED, state: str = "applied") -> Run:
    """A try to apply its script."""
    return Run.objects.create(
        action="rows_back", database=proved.database, repository=proved.repository, snapshot=proved.snapshot,
        trigger="admin", status=status, finished_at=timezone.now() if status == Status.SUCCEEDED else None,
        request={"form": "apply_rows", "version": 1, "proved": proved.pk, "reason": "the clean-up"},
        result={"rows_back": {"state": state, "rows": 60, "proved": proved.pk}},
    )  # fmt: skip


def said(proved: Run, **fields: Any) -> dict[str, Any]:
    digest = proved.result["rows_back"]["script_sha256"]
    return {"reason": "the clean-up", "confirm": "shop", "knows_triggers": "on", "script": digest, **fields}


def test_the_page_tells_what_the_script_does_and_what_nothing_has_proved(proved: Run, login: Login) -> None:
    client = login("Restorer")
    answer = client.get(page_of(proved))
    live = client.get(page_of(proved, "rows-back-live")).json()

    assert "no-store" in answer.headers["Cache-Control"]
    assert live["over"] is True
    for html in (answer.content.decode(), live["html"]):
        assert "60 rows to be given back to shop" in html
        assert "Proved, and not given back yet" in html
        assert "Succeeded" not in html
        assert "there the script gave just these rows, and changed nothing else in the tables" in html
        assert "FLOAT values of orders (size) come back with the six digits" in html
        assert "Trigger audit_orders of orders will also run, for 60 rows." in html
        assert "Other databases may have foreign keys to orders" in html
        assert "1 row was changed again since the comparison, and is left out" in html
        assert "2 chosen rows are already as they were then" in html
        assert "Type shop to go on" in html
        assert SECRET not in html
        assert "csrfmiddlewaretoken" in html


def test_the_script_is_read_and_downloaded_with_a_note_of_who_did(
    proved: Run, login: Login, downloads_served: DownloadServer
) -> None:
    client = login("Restorer")

    read = client.get(page_of(proved), {"script": "1"}).content.decode()
    file = client.get(page_of(proved, "rows-back-script"))
    undo = client.get(page_of(proved, "rows-back-script"), {"undo": "1"})

    assert f"{SECRET}&lt;/pre&gt;&lt;script&gt;" in read
    assert file.content == SCRIPT
    assert "no-store" in file.headers["Cache-Control"]
    assert "attachment" in file.headers["Content-Disposition"]
    assert undo.content == b"-- the undo\n"
    assert [each.get_change_message() for each in LogEntry.objects.order_by("pk")] == [
        "Looked at the script.",
        f"Downloaded shop-{proved.pk}.sql.",
        f"Downloaded shop-{proved.pk}-undo.sql.",
    ]
    kept_files.script_of(proved.pk).write_bytes(SCRIPT + b" ")
    assert "is not what was written there" in client.get(page_of(proved), {"script": "1"}).content.decode()


def test_rows_that_were_changed_again_are_shown_with_three_values_and_taken_only_when_asked(
    proved: Run, login: Login, downloads_served: DownloadServer
) -> None:
    client = login("Restorer")

    html = client.get(page_of(proved, "rows-back-rows"), {"table": "0", "offset": "50"}).content.decode()
    for value in ("open", "lost", "found"):
        assert f"&#x27;{value}&#x27;" in html
    assert "changed again, left out" in html
    assert client.get(page_of(proved, "rows-back-rows"), {"table": "7"}).status_code == 404

    client.post(page_of(proved, "rows-back-again"), {"with_changed_again": "1"})
    again = Run.objects.latest("pk")
    assert again.request["with_changed_again"] is True
    assert again.request["choices"] == proved.request["choices"]
    client.post(page_of(proved, "rows-back-again"))
    assert Run.objects.latest("pk").request["with_changed_again"] is False


@pytest.mark.parametrize(
    "wrong",
    [{"confirm": "Shop"}, {"confirm": ""}, {"reason": ""}, {"knows_triggers": ""}, {"script": "0" * 64}],
    ids=str,
)
def test_nothing_is_applied_without_name_reason_tick_and_the_script_that_was_shown(
    proved: Run, login: Login, wrong: dict[str, str]
) -> None:
    html = login("Restorer").post(page_of(proved), said(proved, **wrong)).content.decode()

    assert "Give the rows back" in html
    assert not Run.objects.filter(request__form="apply_rows").exists()


def test_it_is_applied_once_with_the_reason_on_record(proved: Run, login: Login) -> None:
    client = login("Restorer")

    for _ in range(2):
        answer = client.post(page_of(proved), said(proved), follow=True)

    run = Run.objects.get(request__form="apply_rows")
    assert "Not started a second time" in answer.content.decode()
    assert run.request["proved"] == proved.pk
    assert (run.request["knows_triggers"], run.request["without_safety"]) == (True, False)
    assert run.request["reason"] == "the clean-up"
    assert LogEntry.objects.get().get_change_message() == f"Rows given back: the clean-up ({run})."
    assert client.get(page_of(run)).headers["Location"] == page_of(proved)
    assert client.get(page_of(proved, "rows-back-live")).json()["over"] is False


def test_what_was_applied_can_be_undone_for_a_day(proved: Run, login: Login) -> None:
    client = login("Restorer")
    done = applied(proved)
    html = client.get(page_of(proved)).content.decode()
    assert "Given back, all in one transaction" in html
    assert "Give the rows back" not in html

    answer = client.post(page_of(proved, "rows-back-undo"))

    undo = Run.objects.latest("pk")
    assert answer.headers["Location"] == page_of(undo)
    assert undo.request["source"] == done.pk
    # While that is under way, no second one.
    client.post(page_of(proved, "rows-back-undo"))
    assert Run.objects.latest("pk") == undo
    assert f"Undo: {undo}" in client.get(page_of(proved)).content.decode()
    Run.objects.filter(pk=undo.pk).update(status="succeeded", finished_at=timezone.now())
    applied(undo)
    assert "Taken back" in client.get(page_of(proved)).content.decode()
    assert page_of(proved) in client.get(page_of(undo)).content.decode()


def test_what_is_removed_since_is_not_offered(proved: Run, login: Login) -> None:
    client = login("Restorer")
    past = timezone.now() - timedelta(hours=30)
    proved.result["rows_back"]["until"] = (past + timedelta(days=1)).isoformat()
    proved.finished_at = past
    proved.save()
    over = client.get(page_of(proved)).content.decode()
    assert "kept for a day, and is removed since" in over
    assert "Type shop to go on" not in over
    client.post(page_of(proved), said(proved))
    assert not Run.objects.filter(request__form="apply_rows").exists()

    # From its application its undo is kept for a day.
    done = applied(proved)
    assert "Read the undo" in client.get(page_of(proved)).content.decode()
    Run.objects.filter(pk=done.pk).update(finished_at=past)
    assert "Read the undo" not in client.get(page_of(proved)).content.decode()
    client.post(page_of(proved, "rows-back-undo"))
    assert not Run.objects.filter(request__source=done.pk).exists()


def test_a_try_that_failed_can_be_repeated_and_no_proof_offers_nothing(proved: Run, login: Login) -> None:
    client = login("Restorer")
    failed = applied(proved, Status.FAILED, state="")
    Run.objects.filter(pk=failed.pk).update(error="A row is another one by then.")
    html = client.get(page_of(proved)).content.decode()
    assert "A row is another one by then." in html
    assert "Type shop to go on" in html

    Run.objects.filter(pk=failed.pk).delete()
    told = {"rows_back": {**proved.result["rows_back"], "proved": False, "rows": 0}}
    Run.objects.filter(pk=proved.pk).update(result=told)
    html = client.get(page_of(proved)).content.decode()
    assert "Nothing to give back" in html
    assert "with these too" in html
    assert "Type shop to go on" not in html

    Run.objects.filter(pk=proved.pk).update(status="failed", error="No proof.", result={})
    html = client.get(page_of(proved)).content.decode()
    assert "Type shop to go on" not in html
    assert "Try again" in html


@pytest.mark.parametrize(
    "result", [[], {"rows_back": 3}, {"rows_back": {"tables": 3, "until": 7, "rows": "x"}}]
)
def test_a_row_that_tells_something_else_breaks_no_page(proved: Run, login: Login, result: object) -> None:
    Run.objects.filter(pk=proved.pk).update(result=result)

    assert login("Restorer").get(page_of(proved)).status_code == 200


def test_who_may_not_restore_sees_nothing_of_it(proved: Run, login: Login) -> None:
    def answers(client: Client) -> set[int]:
        names = ("rows-back", "rows-back-live", "rows-back-script", "rows-back-rows")
        sent = ("rows-back", "rows-back-again", "rows-back-undo")
        return {
            *(client.get(page_of(proved, name)).status_code for name in names),
            *(client.post(page_of(proved, name), said(proved)).status_code for name in sent),
        }

    for role in ("Viewer", "Operator"):
        assert answers(login(role)) == {403}
    assert Run.objects.filter(action="rows_back").count() == 1


def test_rows_given_back_stand_beside_the_restores_and_are_none_of_them(proved: Run, login: Login) -> None:
    restores = reverse("admin:backups_restore_changelist")
    restorer, viewer = login("Restorer"), login("Viewer")
    assert "Rows given back" not in restorer.get(restores).content.decode()
    run = applied(proved)
    run.result["rows_back"]["tables"] = [{"table": "orders", "gone": 60, "changed": 0, "new": 0}]
    run.save()

    shown = restorer.get(restores).content.decode()

    assert "60 rows of orders in shop" in shown
    assert "the clean-up" in shown
    assert page_of(proved) in shown
    assert not Restore.objects.exists()
    assert page_of(proved) not in viewer.get(restores).content.decode()
    for _ in range(10):
        applied(proved, Status.FAILED, "")
    more = reverse("admin:backups_run_changelist") + "?action__exact=rows_back"
    assert more in restorer.get(restores).content.decode()
    assert f"{run}" in restorer.get(more).content.decode()


def test_whether_the_undo_in_the_file_is_proved_stands_beside_the_proof(proved: Run, login: Login) -> None:
    client = login("Restorer")
    for is_proved, words in ((True, "made all rows as they were before"), (False, "could not be proved")):
        proved.result["rows_back"]["undo_proved"] = is_proved
        proved.save()
        assert words in client.get(page_of(proved)).content.decode()
    assert f"{page_of(proved, 'rows-back-script')}?undo=1" in client.get(page_of(proved)).content.decode()
