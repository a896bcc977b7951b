"""Any moment on the pages: what can be had and what not, the switch, the transactions, the restore."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from pytest_django.fixtures import Settings

from backups.actions.steps import log_warnings
from backups.admin.base import page_url, run_url
from backups.admin.moments_tab import tab_url
from backups.choices import TO_DOWNLOAD, Action, ArchiveState, RestoreMode
from backups.errors import Problem
from backups.keeping import log_archives
from backups.models import (
    Database,
    LogArchive,
    LogGap,
    LogMark,
    LogPiece,
    LogTransaction,
    Question,
    ReplayProof,
    Restore,
    Run,
    Server,
    Snapshot,
)
from backups.moments.until import before_transaction, local
from backups.reports import metrics, standing
from backups.requests.log_questions import LogCheckQuestion, LogSwitchQuestion
from backups.restoring.plan import Plan
from backups.text import formatting
from backups.worker import weekly_proofs
from tests.admin.conftest import Login
from tests.admin.test_actions import CONFIRM
from tests.admin.test_restoring import LOOK, START, shown_on, told, wish
from tests.requests.conftest import WHOLE

FILE = "binlog.000003"
NOON = timezone.now().replace(microsecond=0) - timedelta(hours=1)
REASON = "An order was lost last week."
LOG = {"file": FILE, "position": 1000, "gtid": "0-1-5", "server": {"id": 1, "uuid": "u"}, "exact": True,
       "how": "lock", "why_not": None}  # fmt: skip


def at(minutes: float) -> datetime:
    """So many minutes after the dump."""
    return NOON + timedelta(minutes=minutes)


@pytest.fixture
def logged(database: Database) -> Database:
    """One with a dump at minute 0 and its log of 50 minutes."""
    Snapshot.objects.create(
        repository=database.repository, database=database, snapshot_id="a" * 64, time=NOON,
        made_here=True, path="/mysql/shop.sql", total_bytes_processed=1_000_000,
        manifest={**WHOLE, "database": "shop", "inventory": {"table": ["orders"]}, "log": LOG},
    )  # fmt: skip
    LogArchive.objects.create(
        database=database, state=ArchiveState.FOLLOWING, server_uuid="u", file=FILE, file_made=1,
        position=50_000, stored_until=at(50), switched_at=at(-1), switched_by="ada",
    )  # fmt: skip
    LogPiece.objects.create(
        database=database, repository=database.repository, snapshot_id="c" * 64, server_uuid="u", file=FILE,
        file_made=1, start=1000, end=50_000, transactions=4, bytes=9000, stored_at=at(50),
    )  # fmt: skip
    for minute in range(51):
        LogMark.objects.create(database=database, moment=at(minute), file=FILE, position=minute * 1000)
    return database


def transaction(database: Database, minute: int, **fields: Any) -> LogTransaction:
    """One that is listed, of the log of that minute."""
    piece = LogPiece.objects.get(database=database)
    wanted = {"tables": {"orders": {"delete": 30}}, "rows": 30, "gtid": f"0-1-{minute}", **fields}
    return LogTransaction.objects.create(
        piece=piece, position=minute * 1000, end=minute * 1000 + 500, moment=at(minute), **wanted
    )


def tab(client: Client, database: Database) -> str:
    """What the tab says."""
    return told(client.get(f"{page_url(database)}?tab=moments")).partition("Moments Log")[2]


# ---------------------------------------------------------------- The tab


def test_the_tab_says_which_moments_can_be_had_and_how_far_it_is_behind(
    logged: Database, login: Login
) -> None:
    page = tab(login("Restorer"), logged)

    begins, ends = (f"{timezone.localtime(each):%H:%M:%S}" for each in (at(1), at(50)))
    assert re.search(
        rf"Restorable to any moment from [\w ]*{begins} to [\w ]*{ends} \(\d+ min( \d+ s)? ago\)", page
    )
    assert "Follows the log" in page
    assert "Restore to a moment" in page
    assert "1 piece with 4 transactions, 9.0 kB" in page
    assert "Gaps" not in page


def test_a_moment_of_another_year_has_its_year() -> None:
    now = datetime(2026, 1, 2, 12, tzinfo=UTC)
    assert formatting.to_the_second(datetime(2026, 1, 2, 11, 0, 5, tzinfo=UTC), now).endswith("0:05")
    assert "2026" not in formatting.to_the_second(datetime(2026, 1, 1, 12, tzinfo=UTC), now)
    assert "31 Dec 2025" in formatting.to_the_second(datetime(2025, 12, 31, 12, tzinfo=UTC), now)


def test_gaps_and_barriers_stand_with_their_times_and_why(logged: Database, login: Login) -> None:
    LogPiece.objects.update(
        barriers=[
            {"position": 40_000, "moment": at(40).isoformat(), "code": "log.database_replaced", "params": {}}
        ]
    )
    page = tab(login("Viewer"), logged)
    assert "and to no later one before the next backup" in page
    assert f"{FILE}:40000 The database was dropped or made anew." in page
    assert "Restore to a moment" not in page

    LogGap.objects.create(
        database=logged, begins=at(30), noticed_at=at(51), code="log.purged", sentence="The server purged it."
    )
    LogArchive.objects.update(state=ArchiveState.BROKEN, problem="It does not answer.", problem_since=at(51))
    page = tab(login("Operator"), logged)
    assert "Broken off" in page
    assert "came to nothing: It does not answer." in page
    assert "Open The server purged it. nobody yet" in page


def test_a_gap_is_acknowledged_up_to_what_was_shown(logged: Database, login: Login) -> None:
    for minute in (10, 20):
        LogGap.objects.create(
            database=logged, begins=at(minute), ends=at(minute + 1), code="log.purged", sentence="Gone."
        )
    client = login("Operator")
    page = client.get(f"{page_url(logged)}?tab=moments").content.decode()
    upto = re.search(r'name="upto" value="(\d+)"', page)
    assert upto
    later = LogGap.objects.create(database=logged, begins=at(30), ends=at(31), code="x", sentence="Later.")

    client.post(reverse("database-log-acknowledge", args=[logged.pk]), {"upto": upto[1]})

    later.refresh_from_db()
    assert later.acknowledged_at is None
    assert set(LogGap.objects.exclude(pk=later.pk).values_list("acknowledged_by", flat=True)) == {"operator"}
    assert "Acknowledged 2 gaps" in LogEntry.objects.get().change_message
    assert "operator, just now" in tab(client, logged)


def test_newest_proofs_of_a_replay_stand_below(logged: Database, login: Login) -> None:
    run = Run.objects.create(
        action="replay_proof", database=logged, repository=logged.repository, trigger="cli"
    )
    base = Snapshot.objects.get()
    ReplayProof.objects.create(
        run=run, database=logged, base=base, verdict="identical", transactions=1234, replay_seconds=12.0
    )

    assert "Identical" in tab(login("Viewer"), logged)
    assert "1,234" in tab(login("Operator"), logged)


def test_without_an_archive_the_page_asks_no_more_and_first_page_and_head_are_silent(
    database: Database, login: Login
) -> None:
    client = login("Viewer")
    page = tab(client, database)
    assert "is not stored" in page
    assert "Store the log" not in page
    assert "Store the log" in tab(login("Administrator"), database)
    client.get(page_url(database))
    with CaptureQueriesContext(connection) as captured:
        page = told(client.get(page_url(database)))
    assert not [each for each in captured if 'FROM "backups_log' in each["sql"]]
    assert "Its log" not in page
    assert "Its log" not in told(client.get("/admin/"))


def test_first_page_and_head_say_up_to_when_it_is_stored(logged: Database, login: Login) -> None:
    client = login("Viewer")
    line = f"{timezone.localtime(at(50)):%H:%M:%S} ("
    assert "Its log stored up to" in (page := told(client.get("/admin/")))
    assert line in page
    assert "Its log stored up to" in told(client.get(page_url(logged)))
    LogArchive.objects.update(state=ArchiveState.BROKEN)
    assert "Its log Broken off" in told(client.get(page_url(logged)))


# ---------------------------------------------------------------- The switch


def answers(monkeypatch: pytest.MonkeyPatch, **of_kind: Callable[[Any], Any]) -> None:
    """Has the worker answer so, without a server."""
    from backups.actions import answers as module

    kinds = {"check": LogCheckQuestion, "switch": LogSwitchQuestion}
    for name, answer in of_kind.items():
        changed: dict[Any, Any] = {**module._ANSWERS, kinds[name]: answer}
        monkeypatch.setattr(module, "_ANSWERS", changed)


def test_what_is_missing_is_shown_to_be_copied_and_nothing_is_switched(
    database: Database, login: Login, monkeypatch: pytest.MonkeyPatch
) -> None:
    grant = "GRANT REPLICATION SLAVE ON *.* TO `u`@`%`;"
    answers(
        monkeypatch,
        check=lambda _: {"refused": ["The user may not read it."], "warnings": [], "statements": [grant]},
    )
    client, url = login("Administrator"), reverse("database-log", args=[database.pk])
    first = told(client.get(url))
    assert "reads the changes of every database there" in first

    page = client.post(url, {"do": "check"}, follow=True)

    assert "The user may not read it." in told(page)
    assert grant in html.unescape(page.content.decode())
    assert 'data-copies="grants"' in page.content.decode()
    assert 'value="on"' not in page.content.decode()


def test_where_nothing_is_in_the_way_it_is_switched_on_with_a_reason(
    database: Database, login: Login, monkeypatch: pytest.MonkeyPatch
) -> None:
    def switch(question: LogSwitchQuestion) -> dict[str, Any]:
        LogArchive.objects.create(database=question.database, state="waiting", switched_by=question.by)
        return {"warnings": ["sync_binlog is 0."]}

    answers(monkeypatch, check=lambda _: {"refused": [], "warnings": [], "statements": []}, switch=switch)
    client, url = login("Administrator"), reverse("database-log", args=[database.pk])
    assert "Nothing is in the way" in told(client.post(url, {"do": "check"}, follow=True))
    client.post(url, {"do": "on", "reason": "no"})
    assert not LogArchive.objects.exists()

    page = told(client.post(url, {"do": "on", "reason": REASON}, follow=True))

    assert "The log is stored from the next backup on" in page
    assert "sync_binlog is 0." in page
    assert LogArchive.objects.get().switched_by == "administrator"
    assert LogEntry.objects.get().change_message == f"Asked for its binary log to be stored: {REASON}"


def test_a_server_that_became_unfit_meanwhile_is_not_followed(
    database: Database, login: Login, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: Any) -> dict[str, Any]:
        raise Problem("The log is off.", code="log.log_off")

    answers(monkeypatch, switch=refuse)
    url = reverse("database-log", args=[database.pk])

    page = told(login("Administrator").post(url, {"do": "on", "reason": REASON}, follow=True))

    assert "The log is off. It is as it was." in page
    assert not LogArchive.objects.exists()


def test_it_is_switched_off_with_a_reason_and_what_is_stored_stays(logged: Database, login: Login) -> None:
    client, url = login("Administrator"), reverse("database-log", args=[logged.pk])

    page = told(client.post(url, {"do": "off", "reason": REASON}, follow=True))

    assert "is stored no more" in page
    assert "Restorable to any moment" in page
    assert LogArchive.objects.get().state == ArchiveState.OFF
    assert REASON in LogEntry.objects.get().change_message
    assert log_archives.switch_off(logged, "again") is not None
    assert LogArchive.objects.get().switched_by == "administrator"


def test_nobody_sees_what_another_asked(
    database: Database, login: Login, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers(monkeypatch, check=lambda _: {"refused": [], "warnings": [], "statements": []})
    administrator, url = login("Administrator"), reverse("database-log", args=[database.pk])
    administrator.post(url, {"do": "check"})
    state = reverse("question-log", args=[Question.objects.get().pk])

    assert "Nothing is in the way" in told(administrator.get(state))
    assert login("superuser").get(state).status_code == 404


# ---------------------------------------------------------------- Transactions


def rows_of(client: Client, database: Database, **wanted: Any) -> list[str]:
    """The places of the transactions on the list."""
    page = client.get(reverse("database-transactions", args=[database.pk]), wanted)
    assert page.status_code == 200
    assert "no-store" in page["Cache-Control"]
    return re.findall(rf"before={FILE}%3A(\d+)", page.content.decode())


def test_transactions_are_found_by_table_kind_rows_gtid_and_connection(
    logged: Database, login: Login
) -> None:
    transaction(logged, 5, tables={"orders": {"update": 25}, "items": {"delete": 1}}, rows=26, connection=7)
    transaction(logged, 6, tables={"Bestellungen_ä": {"insert": 40}}, rows=40)
    transaction(logged, 7, tables={"delete": {"update": 22}}, rows=22)
    transaction(logged, 8, tables={}, rows=0, is_definition=True)
    client = login("Restorer")

    assert rows_of(client, logged) == ["8000", "7000", "6000", "5000"]
    assert rows_of(client, logged, table="ORDER") == ["5000"]
    assert rows_of(client, logged, table="ungen_ä") == ["6000"]
    assert rows_of(client, logged, kind="delete") == ["5000"]
    assert rows_of(client, logged, table="orders", kind="delete") == []
    assert rows_of(client, logged, kind="definition") == ["8000"]
    assert rows_of(client, logged, rows="26") == ["6000", "5000"]
    assert rows_of(client, logged, gtid="0-1-7") == ["7000"]
    assert rows_of(client, logged, connection="7") == ["5000"]
    assert rows_of(client, logged, table='%"_') == []
    assert rows_of(client, logged, rows="many") == []
    assert [entry.change_message for entry in LogEntry.objects.all()] == [
        "Looked at the list of transactions."
    ]


def test_what_no_backup_leads_to_any_more_is_listed_and_not_offered(logged: Database, login: Login) -> None:
    for minute in (5, 20):
        transaction(logged, minute)
    Snapshot.objects.filter(database=logged).update(
        time=at(10), manifest={**WHOLE, "database": "shop", "log": {**LOG, "position": 10_000}}
    )
    client = login("Restorer")

    page = client.get(reverse("database-transactions", args=[logged.pk])).content.decode()

    assert rows_of(client, logged) == ["20000"]
    assert page.count("Undo this one") == page.count('name="transaction"') == 1
    assert page.count("No moment before it can be restored.") == 1
    assert f"{FILE}:5000" in page


def test_a_long_list_is_turned_page_by_page_and_forgotten_pieces_are_not_in_it(
    logged: Database, login: Login
) -> None:
    piece = LogPiece.objects.get()
    LogTransaction.objects.bulk_create(
        LogTransaction(piece=piece, position=number, end=number + 1, moment=at(number // 10), rows=20)
        for number in range(70)
    )
    client = login("Restorer")
    url = reverse("database-transactions", args=[logged.pk])
    first = rows_of(client, logged)
    older = re.search(r'href="\?older=(\d+)"', client.get(url).content.decode())
    assert older
    second = rows_of(client, logged, older=older[1])

    assert (len(first), len(second)) == (50, 20)
    assert [*first, *second] == [str(number) for number in reversed(range(70))]
    LogPiece.objects.update(forgotten_at=timezone.now())
    assert rows_of(client, logged) == []


def test_a_command_lists_the_same_with_what_a_restore_takes(
    logged: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    transaction(logged, 5, tables={"orders": {"update": 25}, "items": {"delete": 1}}, rows=26)
    transaction(logged, 6, tables={}, rows=0, is_definition=True)
    of_log = ("log_archive", "--database", logged.name, "transactions")

    call_command(*of_log)
    newest, older = capsys.readouterr().out.splitlines()
    call_command(*of_log, "--table", "ORDER", "--kind", "update", "--rows", "26", "--json")
    (found,) = json.loads(capsys.readouterr().out.splitlines()[-1])["transactions"]
    call_command(*of_log, "--limit", "1", "--gtid", "0-1-5")
    assert capsys.readouterr().out.splitlines() == [older]
    call_command(*of_log, "--table", "nobody")

    assert newest == f"{timezone.localtime(at(6)):%Y-%m-%d %H:%M:%S}  {FILE}:6000  0-1-6  definition"
    assert older.endswith(f"  {FILE}:5000  0-1-5  orders 25 updated; items 1 deleted")
    assert (found["id"], found["rows"], found["tables"]["items"]) == (f"{FILE}:5000", 26, {"delete": 1})
    assert "Nothing of that kind" in capsys.readouterr().out


def test_transactions_are_undone_one_by_one_or_those_that_are_ticked(logged: Database, login: Login) -> None:
    transaction(logged, 5)
    transaction(logged, 6, tables={}, rows=0, is_definition=True)
    transaction(logged, 7, tables={"items": {"update": 22}}, rows=22)
    client = login("Restorer")
    page = client.get(reverse("database-transactions", args=[logged.pk])).content.decode()
    assert re.findall(r'name="only" value="([^"]+)"', page) == [f"{FILE}:7000", f"{FILE}:5000"]
    undo = reverse("database-transactions-undo", args=[logged.pk])

    # What is ticked beside the button of one is not meant.
    one = client.post(undo, {"transaction": [f"{FILE}:5000"], "only": f"{FILE}:7000"})
    (run,) = Run.objects.all()
    assert one["Location"] == run_url(run)
    assert (run.action, run.request) == (
        "diff", {"form": "undo_transactions", "version": 1, "transactions": [f"{FILE}:7000"]}
    )  # fmt: skip
    assert run.snapshot == Snapshot.objects.get()
    said = LogEntry.objects.latest("pk")
    assert f"Asked what transactions {FILE}:7000 changed, to undo them" in said.change_message

    Run.objects.update(status="succeeded", finished_at=timezone.now())
    client.post(undo, {"transaction": [f"{FILE}:5000", f"{FILE}:7000"]})
    assert Run.objects.latest("pk").request["transactions"] == [f"{FILE}:5000", f"{FILE}:7000"]
    for wrong in ({}, {"only": "binlog.000009:4"}, {"only": "' OR 1"}):
        answer = client.post(undo, wrong, follow=True)
        assert 'class="v-table' in answer.content.decode()
    assert "No transaction was chosen." in told(client.post(undo, follow=True))
    assert Run.objects.count() == 2
    assert client.get(undo).status_code == 405
    assert login("Operator").post(undo, {"only": f"{FILE}:7000"}).status_code == 403


def test_what_a_transaction_changed_is_told_with_where_it_is(logged: Database, login: Login) -> None:
    base = Snapshot.objects.get()
    side = {"at": at(7).isoformat(), "server": "mariadb 10.11.6", "client": ""}
    table = {
        "table": "orders", "change": "", "gone": 30, "new": 0, "changed": 0, "rows_before": 31,
        "rows_after": 1, "key": ["id"], "is_key_new": False, "columns_came": [],
        "columns_gone": [], "columns_retyped": [],
        "why_not": "",
    }  # fmt: skip
    found = {
        "before": {**side, "snapshot_id": base.snapshot_id}, "after": {**side, "snapshot_id": None},
        "transactions": [{"name": f"{FILE}:7000", "moment": at(7).isoformat()}],
        "changed_between": {"orders": 2}, "chosen": [], "libraries_unknown": False, "tables": [table],
        "tables_beyond": 0, "objects": [], "objects_beyond": 0, "same_tables": 0, "left_out": [],
    }  # fmt: skip
    kept = {
        "until": (timezone.now() + timedelta(days=1)).isoformat(), "sha256": "",
        "tables": [{"table": "orders", "gone": 30, "new": 0, "changed": 0, "beyond": 0}],
    }  # fmt: skip
    run = Run.objects.create(
        action="diff", database=logged, repository=logged.repository, snapshot=base, trigger="admin",
        status="succeeded", finished_at=timezone.now(), result={"difference": found, "kept": kept},
        request={"form": "undo_transactions", "version": 1, "transactions": [f"{FILE}:7000"]},
    )  # fmt: skip
    client = login("Restorer")

    page = told(client.get(run_url(run)))
    assert f"Transactions {FILE}:7000" in page
    assert f"On a copy of backup {base.short_id}" in page
    assert "the live database (" not in page
    assert "30 gone, 0 new, 0 changed" in page
    assert "2 rows were changed between two of these transactions" in page
    assert f"rows that transaction {FILE}:7000 changed" in told(
        client.get(reverse("rows-choose", args=[run.pk]))
    )
    # What gives these rows back says which transaction it undoes, and its undo which one is done again.
    about = {"database": logged, "repository": logged.repository, "snapshot": base, "trigger": "admin"}
    script, undo = (
        Run.objects.create(
            action="rows_back", status="succeeded", finished_at=timezone.now(), **about,
            request={"form": "rows_back", "version": 1, "source": source, "choices": []},
        )
        for source in (run.pk, 0)
    )  # fmt: skip
    applied = Run.objects.create(
        action="rows_back", status="succeeded", finished_at=timezone.now(), **about,
        request={"form": "apply_rows", "version": 1, "proved": script.pk},
        result={"rows_back": {"state": "applied"}},
    )  # fmt: skip
    Run.objects.filter(pk=undo.pk).update(
        request={"form": "rows_back", "version": 1, "source": applied.pk, "choices": []}
    )
    for each, words in ((script, "Undoes"), (undo, "Does again")):
        shown = client.get(reverse("rows-back", args=[each.pk]))
        assert f"{words} {FILE}:7000" in told(shown)
        assert reverse("database-transactions", args=[logged.pk]) in shown.content.decode()
    kept["until"] = (timezone.now() - timedelta(days=1)).isoformat()
    Run.objects.filter(pk=run.pk).update(result={"difference": found, "kept": kept})
    over = client.get(reverse("rows-choose", args=[run.pk])).content.decode()
    assert reverse("database-transactions", args=[logged.pk]) in over
    assert "Compare again</" not in over


@pytest.mark.parametrize("role", ["Viewer", "Operator"])
def test_who_may_not_restore_sees_no_transactions(logged: Database, login: Login, role: str) -> None:
    assert login(role).get(reverse("database-transactions", args=[logged.pk])).status_code == 403


# ---------------------------------------------------------------- To a restore


@pytest.fixture
def planned(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The worker's answer about a server and a log that are not there; `moment` may be changed."""
    answer = SimpleNamespace(asked=[], moment={
        "file": FILE, "position": 7000, "base": "a" * 64, "pieces": 1, "log_bytes": 6000,
        "lost_transactions": 3, "load_seconds": None, "replay_seconds": 1.5,
        "last": {"file": FILE, "position": 6000, "moment": at(6).isoformat(), "gtid": "0-1-6"},
        "left_out": {"file": FILE, "position": 7000, "moment": at(7).isoformat(), "gtid": ""},
    })  # fmt: skip

    def preview(question: Any) -> Any:
        wanted = question.request
        answer.asked.append(wanted)
        plan = Plan(wanted.snapshot, wanted.mode, wanted.target, NOON, False, 1, 2.0)
        return plan.with_moment(answer.moment, 3.5).told()

    from backups.actions import answers as module
    from backups.requests.questions import PreviewQuestion

    changed: dict[Any, Any] = {**module._ANSWERS, PreviewQuestion: preview}
    monkeypatch.setattr(module, "_ANSWERS", changed)
    return answer


def test_from_the_delete_in_the_list_to_a_restore_just_before_it(
    logged: Database, login: Login, planned: SimpleNamespace
) -> None:
    transaction(logged, 7)
    client = login("Restorer")
    listed = client.get(reverse("database-transactions", args=[logged.pk]), {"kind": "delete"})
    link = re.search(r'href="([^"]+)">Restore to just before this', listed.content.decode())
    assert link

    form = client.get(html.unescape(link[1]), follow=True)

    place = form.redirect_chain[-1][0]
    assert f"Restore shop just before transaction {FILE}:7000" in told(form)
    assert "Download the SQL to this computer" not in told(form)
    assert "An SQL file: it is made where test restores are made" in told(form)
    seen = client.post(place, wish(RestoreMode.NEW) | LOOK)
    page = told(seen)
    assert f"Last transaction in it {local(at(6))}, {FILE}:6000, GTID 0-1-6" in page
    assert f"First one left out {local(at(7))}, {FILE}:7000" in page
    assert "Not in it 3 later transactions at least" in page
    client.post(place, wish(RestoreMode.NEW) | shown_on(seen.content) | START)
    restore = Restore.objects.get()
    assert restore.until == {"version": 1, "moment": None, "before": f"{FILE}:7000"}
    assert f"just before transaction {FILE}:7000" in LogEntry.objects.latest("pk").change_message


def test_an_sql_file_of_a_moment_is_made_by_a_run_that_was_shown_before(
    logged: Database, login: Login, planned: SimpleNamespace
) -> None:
    client = login("Restorer")
    form = client.get(reverse("database-restore", args=[logged.pk]), {"before": f"{FILE}:7000"}, follow=True)
    place = form.redirect_chain[-1][0]

    seen = client.post(place, wish(RestoreMode.FILE) | LOOK)
    begun = client.post(place, wish(RestoreMode.FILE) | shown_on(seen.content) | START, follow=True)

    assert "Make the file" in told(seen)
    assert f"First one left out {local(at(7))}, {FILE}:7000" in told(seen)
    restore = Restore.objects.get()
    assert (restore.mode, restore.target) == (RestoreMode.FILE, TO_DOWNLOAD)
    assert "To an SQL file that can be downloaded" in told(begun)
    assert "It is kept on the worker's machine" not in told(begun)
    nothing = client.post(reverse("restore-file", args=[restore.pk]), follow=True)
    assert "This restore made no file to be downloaded." in told(nothing)
    Restore.objects.update(until={"version": 99, "moment": "of another version"})
    nothing = client.post(reverse("restore-file", args=[restore.pk]), follow=True)
    assert "This restore made no file to be downloaded." in told(nothing)


def test_to_a_moment_the_newest_backup_before_it_is_taken_and_the_name_is_typed(
    logged: Database, login: Login, planned: SimpleNamespace
) -> None:
    client = login("Restorer")
    wanted = local(at(6.5))
    form = client.get(reverse("database-restore", args=[logged.pk]), {"moment": wanted}, follow=True)
    place = form.redirect_chain[-1][0]
    assert f"Restore shop to {wanted}" in told(form)
    filled = wish(RestoreMode.REPLACE)
    seen = client.post(place, filled | LOOK)
    assert "What was written to shop since" in told(seen)
    assert f"since today {timezone.localtime(at(6.5)):%H:%M}" in told(seen) or "yesterday" in told(seen)

    client.post(place, filled | shown_on(seen.content) | START)
    assert not Restore.objects.exists()
    client.post(place, filled | shown_on(seen.content) | START | {"confirm": "shop"})

    restore = Restore.objects.get()
    assert restore.until
    assert datetime.fromisoformat(restore.until["moment"]) == at(6.5)
    assert (restore.mode, restore.reason) == (RestoreMode.REPLACE, "A wrong price import.")


def test_a_restores_page_and_the_list_say_up_to_where_the_log_is_in_it(
    logged: Database, login: Login, planned: SimpleNamespace
) -> None:
    client = login("Restorer")
    form = client.get(reverse("database-restore", args=[logged.pk]), {"moment": local(at(6.5))}, follow=True)
    place, filled = form.redirect_chain[-1][0], wish(RestoreMode.REPLACE)
    seen = client.post(place, filled | LOOK)
    client.post(place, filled | shown_on(seen.content) | START | {"confirm": "shop"})
    restore = Restore.objects.get()

    def shown() -> tuple[str, str]:
        return told(client.get(page_url(restore))), told(client.get("/admin/backups/restore/"))

    page, listed = shown()
    assert f"Up to {local(at(6.5))} Tables" in page
    assert f"up to {local(at(6.5))}, all tables" in listed
    # What is written until it begins is lost from that moment on, and not from the backup on.
    assert f"since {formatting.clock(at(6.5))}" in page

    # As the run notes it once it has looked.
    found = {name: planned.moment[name] for name in ("file", "position", "last", "left_out")}
    Restore.objects.update(until={**(restore.until or {}), **found})
    page, listed = shown()
    assert f"up to {local(at(6))} (transaction {FILE}:6000), all tables" in listed
    assert f"Last transaction in it {local(at(6))}, {FILE}:6000, GTID 0-1-6" in page
    assert f"First one left out {local(at(7))}, {FILE}:7000" in page
    assert f"The log ends at {FILE}:7000" in page

    # A restore to just before a transaction leads to it in the list, where who looks may see that.
    assert "in the list of transactions" not in page
    transaction(logged, 7)
    Restore.objects.update(until=before_transaction(f"{FILE}:7000").stored())
    in_list = f'href="{reverse("database-transactions", args=[logged.pk])}?gtid=0-1-7"'
    assert in_list in client.get(page_url(restore)).content.decode()
    seen_by_viewer = login("Viewer").get(page_url(restore)).content.decode()
    assert f"{FILE}:7000" in seen_by_viewer
    assert in_list not in seen_by_viewer

    Restore.objects.update(until={"version": 1, "moment": "soon", "last": {"file": 7}})
    page, listed = shown()
    assert "Up to" not in page
    assert "(transaction" not in listed


def test_what_would_end_elsewhere_than_was_shown_does_not_start(
    logged: Database, login: Login, planned: SimpleNamespace
) -> None:
    client = login("Restorer")
    form = client.get(reverse("database-restore", args=[logged.pk]), {"moment": local(at(6))}, follow=True)
    place = form.redirect_chain[-1][0]
    seen = client.post(place, wish(RestoreMode.NEW) | LOOK)
    planned.moment = {**planned.moment, "position": 6500}

    page = told(client.post(place, wish(RestoreMode.NEW) | shown_on(seen.content) | START))

    assert "this is not what was shown before" in page
    assert not Restore.objects.exists()


@pytest.mark.parametrize("broken", [{"pieces": "x"}, {"last": 7}, {"log_bytes": None}])
def test_what_another_version_told_is_no_error_of_the_page(
    logged: Database, login: Login, planned: SimpleNamespace, broken: dict[str, Any]
) -> None:
    client = login("Restorer")
    form = client.get(reverse("database-restore", args=[logged.pk]), {"moment": local(at(6))}, follow=True)
    planned.moment = {**planned.moment, **broken}

    page = told(client.post(form.redirect_chain[-1][0], wish(RestoreMode.NEW) | LOOK))

    assert "does not know the worker's answer" in page


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"moment": "soon"}, "'soon' is no time."),
        ({"moment": local(at(55))}, "is later than what is stored"),
        ({"moment": local(at(-5))}, "is earlier than any moment"),
        ({"before": "binlog.000009:4"}, "has no transaction binlog.000009:4"),
    ],
)
def test_what_cannot_be_had_is_said_on_the_form_and_nothing_else_is_taken(
    logged: Database, login: Login, asked: dict[str, str], said: str
) -> None:
    page = told(login("Restorer").get(reverse("database-restore", args=[logged.pk]), asked))

    assert said in page
    assert "To any moment, by the stored log" in page


# ---------------------------------------------------------------- For monitors


def test_monitors_are_told_of_stored_logs_alone(logged: Database, capsys: pytest.CaptureFixture[str]) -> None:
    bare = Database.objects.create(
        name="bare", database="bare", server=logged.server, repository=logged.repository
    )
    LogGap.objects.create(database=logged, begins=at(50), code="log.purged", sentence="Gone.")
    text = metrics.exposition().decode()
    age = re.search(r'^vedetta_log_stored_age_seconds\{database="shop"\} ([\d.]+)$', text, re.MULTILINE)
    assert age
    assert abs(float(age[1]) - (timezone.now() - at(50)).total_seconds()) < 60
    assert 'vedetta_log_gap_open{database="shop"} 1.0' in text
    assert not re.search(rf'vedetta_log_\w+{{database="{bare}"', text)

    with pytest.raises(SystemExit):
        call_command("status", "--json")
    told_of = {each["database"]: each for each in json.loads(capsys.readouterr().out)["databases"]}
    assert told_of["shop"]["log_gaps_open"] == 1
    assert datetime.fromisoformat(told_of["shop"]["restorable_from"]) == at(1)
    assert datetime.fromisoformat(told_of["shop"]["restorable_to"]) == at(50)
    assert set(told_of["bare"]) == {"database", "verdict", "paused", "muted"}


# ---------------------------------------------------------------- The proof


def prove(database: Database) -> str:
    return reverse("admin:backups_database_prove_log", args=[database.pk])


def test_who_may_verify_starts_a_proof_of_the_log_and_nobody_else(logged: Database, login: Login) -> None:
    viewer, operator = login("Viewer"), login("Operator")
    assert prove(logged) not in viewer.get(tab_url(logged)).content.decode()
    assert viewer.post(prove(logged), CONFIRM).status_code == 403
    assert prove(logged) in operator.get(tab_url(logged)).content.decode()
    dialog = told(operator.get(prove(logged)))
    assert "The live database is not touched" in dialog
    assert "Not possible yet" not in dialog

    assert operator.post(prove(logged), CONFIRM).status_code in (200, 302)

    run = Run.objects.get(action=Action.REPLAY)
    assert (run.database, str(run.requested_by)) == (logged, "operator")
    assert LogEntry.objects.get().change_message == f"Started {run}."
    LogArchive.objects.update(state=ArchiveState.OFF)
    assert operator.post(prove(logged), CONFIRM).status_code == 403


def test_where_no_log_may_be_replayed_it_is_said_once_what_to_set_and_no_proof_fails_each_week(
    logged: Database, login: Login, settings: Settings
) -> None:
    Server.objects.update(flavour="MariaDB")
    logged = Database.objects.get(pk=logged.pk)
    next_week = timezone.now() + timedelta(days=8)
    operator = login("Operator")

    (finding,) = [each for each in standing.read().overall.findings if each.key == "log_not_provable"]
    assert "beside the live database, and MariaDB checks no right" in finding.reason
    assert "VERIFY_MYSQL_HOST" in finding.next_step
    assert "REPLAY_ON_LIVE=true" in finding.next_step
    assert finding.next_step in next(log_warnings.sentences(logged))
    assert "Not possible yet" in told(operator.get(prove(logged)))
    page = told(operator.post(prove(logged), CONFIRM, follow=True))
    assert "REPLAY_ON_LIVE=true" in page
    assert weekly_proofs.ask_due(next_week) == []
    assert not Run.objects.exists()

    settings.VERIFY_MYSQL_HOST = "elsewhere.example"
    assert not [each for each in standing.read().overall.findings if each.key == "log_not_provable"]
    assert [each.action for each in weekly_proofs.ask_due(next_week)] == [Action.REPLAY]
