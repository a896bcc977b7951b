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

from backups.admin.base import page_url
from backups.choices import ArchiveState, RestoreMode
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
    Snapshot,
)
from backups.moments.until import local
from backups.reports import metrics
from backups.requests.log_questions import LogCheckQuestion, LogSwitchQuestion
from backups.restoring.plan import Plan
from backups.text import formatting
from tests.admin.conftest import Login
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
    assert f"restore --database shop --before-transaction {FILE}:7000 --output DIR" in told(form)
    seen = client.post(place, wish(RestoreMode.NEW) | LOOK)
    page = told(seen)
    assert f"Last transaction in it {local(at(6))}, {FILE}:6000, GTID 0-1-6" in page
    assert f"First one left out {local(at(7))}, {FILE}:7000" in page
    assert "Not in it 3 later transactions at least" in page
    client.post(place, wish(RestoreMode.NEW) | shown_on(seen.content) | START)
    restore = Restore.objects.get()
    assert restore.until == {"version": 1, "moment": None, "before": f"{FILE}:7000"}
    assert f"just before transaction {FILE}:7000" in LogEntry.objects.latest("pk").change_message


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
