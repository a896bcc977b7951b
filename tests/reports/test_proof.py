"""The proof report of rows: its figures, its files and their signature, its page, its size."""

from __future__ import annotations

import csv
import io
import json
import sys
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings

from backups.catalog import made_here
from backups.choices import Action, StandDownKind, Status, Trigger
from backups.errors import Problem
from backups.keys import InstallationKey
from backups.models import Database, Run, Snapshot, StandDown, Verification
from backups.reports import proof, proof_files, proof_table
from backups.reports.proof import Days, Wanted
from backups.reports.proof_rows import Pace
from backups.requests import questions
from tests.admin.conftest import (
    Login,
    login,
    nobody_answers,
    past,
    person,
    quick_passwords,
    roles,
    status_folder,
    worker_answers,
)
from tests.rows import a_server
from tools.history import History

__all__ = [
    "login", "nobody_answers", "past", "person", "quick_passwords", "roles", "status_folder",
    "worker_answers",
]  # fmt: skip
NASTY = '=cmd|"/c calc"!A1,<script>alert(1)</script>'
FORMS = sorted(proof_files.FORMS)
MOST_CALLS = 45


def this_month() -> Days:
    today = timezone.localdate()
    return Days(today - timedelta(days=31), today)


def wanted(days: Days | None = None, **more: Any) -> Wanted:
    return Wanted(days or this_month(), timezone.now().replace(microsecond=0), **more)


def file_of(form: str, key: InstallationKey) -> bytes:
    body = proof_files.body(proof.report(wanted(signed_by=key.public_signing)), form)
    return proof_files.whole(body, form, proof_files.sign(key, form, proof_files.digest(body)))


# ---------------------------------------------------------------- Ranges


@pytest.mark.parametrize(
    ("today", "first", "last"),
    [
        (date(2026, 1, 1), date(2025, 10, 1), date(2025, 12, 31)),
        (date(2026, 3, 31), date(2025, 10, 1), date(2025, 12, 31)),
        (date(2026, 4, 1), date(2026, 1, 1), date(2026, 3, 31)),
        (date(2026, 11, 30), date(2026, 7, 1), date(2026, 9, 30)),
    ],
)
def test_the_last_quarter(today: date, first: date, last: date) -> None:
    assert proof.last_quarter(today) == Days(first, last)


def test_a_range_is_of_days_in_the_zone_of_the_portal(settings: Settings) -> None:
    settings.TIME_ZONE = "Europe/Rome"
    days = Days(date(2026, 3, 29), date(2026, 3, 29))

    assert (days.begin, days.end - days.begin) == (datetime(2026, 3, 28, 23, tzinfo=UTC), timedelta(hours=23))


@pytest.mark.parametrize(
    ("first", "last", "code"),
    [
        ("2026-02-30", "", "report.no_day"),
        ("yesterday", "", "report.no_day"),
        ("0001-01-01", "", "report.no_day"),
        ("", "9999-12-31", "report.no_day"),
        ("2026-03-02", "2026-03-01", "report.no_range"),
        ("2000-01-01", "2026-01-01", "report.no_range"),
    ],
)
def test_a_range_that_is_none(first: str, last: str, code: str) -> None:
    with pytest.raises(Problem) as refused:
        proof.days_from(first, last)
    assert refused.value.code == code


# ---------------------------------------------------------------- Figures


def test_keys_of_the_document(past: History) -> None:
    document = json.loads(file_of("json", InstallationKey.made()))["report"]
    database = document["databases"][0]

    assert (document["kind"], document["version"]) == ("vedetta proof report", 1)
    assert {
        "made_at", "made_by", "time_zone", "from", "to", "begins_at", "ends_at", "is_over", "history_from",
        "restore_target_seconds", "signed_by", "not_signed_because", "only_database", "totals", "databases",
    } <= set(document)  # fmt: skip
    assert set(database) >= {
        "name", "server", "database", "repository", "gates", "plan", "backups", "age", "verifications",
        "restores", "restore_times", "state", "findings", "notes",
    }  # fmt: skip
    assert {"planned", "made", "missed", "known_from", "cron", "note"} <= set(database["plan"])
    assert {"longest_seconds", "allowed_seconds", "is_met", "gaps"} <= set(database["age"])
    assert {"identical", "different", "unreadable", "not_done", "plan", "listed"} <= set(
        database["verifications"]
    )
    assert {
        "snapshot_id", "manifest_sha256", "dump_sha256", "time", "is_good", "verdict",
    } <= set(database["backups"]["listed"][0])  # fmt: skip
    assert "key" not in database


def test_figures_are_those_of_the_rows(past: History) -> None:
    document = proof.report(wanted())
    days = this_month()

    for told in document["databases"]:
        proofs = Verification.objects.filter(
            snapshot__database__name=told["name"], finished_at__gte=days.begin, finished_at__lt=days.end
        )
        assert told["verifications"]["done"] == proofs.count() > 0
        assert told["verifications"]["identical"] == proofs.filter(verdict="identical").count()
        slowest = max(each.restore_seconds or 0 for each in proofs)
        assert (told["restore_times"]["slowest_seconds"] or 0) >= slowest
        assert told["backups"]["good"] > 0


def test_a_target_for_restores_is_judged_and_none_is_only_told(past: History, settings: Settings) -> None:
    without = proof.report(wanted())["databases"][0]["restore_times"]
    settings.REPORT_RTO_MINUTES = 1
    Verification.objects.update(restore_seconds=90)
    database = proof.report(wanted())["databases"][0]

    assert (without["target_seconds"], without["is_met"]) == (None, None)
    assert database["restore_times"]["is_met"] is False
    assert database["state"] == "bad"
    assert any("1 min 30 s, more than the target of 60 seconds" in each for each in database["findings"])


def test_history_that_may_be_gone_is_told(past: History, settings: Settings) -> None:
    settings.RUN_KEEP_DAYS = 30
    today = timezone.localdate()

    assert proof.report(wanted(Days(today - timedelta(days=10), today)))["history_from"] is None
    told = proof.report(wanted(Days(today - timedelta(days=100), today)))
    assert told["history_from"] is not None
    assert told["databases"][0]["plan"]["known_from"] >= told["history_from"]


def test_a_database_of_which_nothing_is_known_has_no_figures(db: None) -> None:
    history = proof.report(wanted())
    assert history["databases"] == []


def test_what_passed_in_a_pause_is_told_by_itself_in_each_form(past: History, login: Login) -> None:
    database = past.databases[0]
    Database.objects.filter(pk=database.pk).update(backup_cron="0 3 * * *")
    now = timezone.now()
    StandDown.objects.create(
        database=database, kind=StandDownKind.PAUSE, reason=NASTY, made_by="anna",
        made_at=now - timedelta(days=6), ended_at=now - timedelta(days=2),
    )  # fmt: skip
    begin = now - timedelta(days=7)
    Run.objects.filter(database=database, queued_at__gte=begin).delete()
    before = proof.report(wanted())["totals"]

    document = proof.report(wanted())
    (told,) = [each for each in document["databases"] if each["name"] == database.name]
    plan = told["plan"]
    assert plan["paused"] == 4
    assert len(plan["missed"]) == plan["planned"] - plan["made"]
    (span,) = plan["stood_down"]
    assert (span["kind"], span["by"], span["reason"], span["planned"]) == ("pause", "anna", NASTY, 4)
    assert document["totals"]["paused"] == 4
    StandDown.objects.all().delete()
    after = proof.report(wanted())["totals"]
    assert (after["planned"], after["made"]) == (before["planned"] + 4, before["made"])
    StandDown.objects.create(
        database=database, kind=StandDownKind.PAUSE, reason=NASTY, made_by="anna",
        made_at=now - timedelta(days=6), ended_at=now - timedelta(days=2),
    )  # fmt: skip

    page = login("Viewer").get(reverse("proof"), chosen(this_month())).content.decode()
    assert "4 planned while paused" in page
    assert "Planned while it was paused or retired" in page
    assert "<script>alert" not in page
    rows = csv.DictReader(io.StringIO(file_of("csv", InstallationKey.made()).decode()))
    (row,) = [each for each in rows if each["row"] == "paused"]
    assert (row["database"], row["planned"]) == (database.name, "4")


# ---------------------------------------------------------------- Files


@pytest.mark.parametrize("form", FORMS)
def test_a_file_is_checked_with_the_public_half_alone(past: History, form: str) -> None:
    key = InstallationKey.made()
    content = file_of(form, key)

    assert proof_files.check(content, key.public_signing).public_key == key.public_signing
    with pytest.raises(Problem) as refused:
        proof_files.check(content, InstallationKey.made().public_signing)
    assert refused.value.code == "report.another_key"


@pytest.mark.parametrize("form", FORMS)
def test_no_byte_of_a_file_can_be_changed_added_or_left_out(past: History, form: str) -> None:
    key = InstallationKey.made()
    content = file_of(form, key)
    end = len(content)
    # All of the last line, and some of the rest.
    places = [*range(end - 330, end), *range(0, end - 330, max(end // 40, 1))]
    changed = [content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :] for at in places]
    cut = [content[:-1], content[: end // 2], content[1:], b"", b"\n"]
    added = [content + b"\n", content + b" ", b" " + content, content + content]

    for other in [*changed, *cut, *added]:
        with pytest.raises(Problem) as refused:
            proof_files.check(other, key.public_signing)
        assert refused.value.code in {"report.changed", "report.not_whole"}


def test_a_signature_written_in_another_way_is_none(past: History) -> None:
    """Of base64's last letter before == four bits mean nothing."""
    key = InstallationKey.made()
    content = file_of("json", key)
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    at = content.rindex(b'=="}}') - 1
    last = chr(content[at])
    other = letters[letters.index(last) ^ 1]

    with pytest.raises(Problem) as refused:
        proof_files.check(content[:at] + other.encode() + content[at + 1 :], key.public_signing)
    assert refused.value.code == "report.not_whole"


@pytest.mark.parametrize("form", FORMS)
def test_a_file_without_a_signature_says_so(past: History, form: str) -> None:
    body = proof_files.body(proof.report(wanted(not_signed_because="No key.")), form)

    with pytest.raises(Problem) as refused:
        proof_files.check(proof_files.whole(body, form, None), InstallationKey.made().public_signing)
    assert refused.value.code == "report.not_signed"


def test_hostile_names_are_text_everywhere(past: History) -> None:
    Database.objects.filter(pk=past.databases[0].pk).update(name=NASTY)
    key = InstallationKey.made()
    page, table, document = (file_of(form, key) for form in ("html", "csv", "json"))

    assert b"<script>" not in page
    assert b"&lt;script&gt;" in page
    cells = [cell for row in csv.reader(io.StringIO(table.decode())) for cell in row]
    assert f"'{NASTY}" in cells
    assert [cell for cell in cells if cell[:1] in set("=+-@\t\r")] == []
    assert {row[1] for row in csv.reader(io.StringIO(table.decode()))} >= {f"'{NASTY}"}
    names = [each["name"] for each in json.loads(document)["report"]["databases"]]
    assert NASTY in names


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "  =1", "\r=1", "\uff1d1"])
def test_no_cell_is_a_formula(text: str) -> None:
    assert proof_table.cell(text) == f"'{text}"


def test_a_table_is_as_wide_in_each_row(past: History) -> None:
    rows = list(csv.reader(io.StringIO(file_of("csv", InstallationKey.made()).decode())))

    assert {len(row) for row in rows} == {len(proof_table.COLUMNS)}
    assert {row[0] for row in rows} >= {"row", "report", "database", "backup", "verification", "signature"}


# ---------------------------------------------------------------- Size


def many(databases: int, days: int) -> None:
    """Databases that were backed up each day."""
    known = Database.objects.get(name="newsletter")
    now = timezone.now()
    for number in range(databases):
        database = Database.objects.create(
            name=f"many {number}", database="d", server=a_server(), repository=known.repository,
            backup_cron=f"{number % 60} 3 * * *",
        )  # fmt: skip
        of = {"database": database, "repository": known.repository}
        runs = Run.objects.bulk_create(
            Run(
                action=Action.BACKUP,
                trigger=Trigger.SCHEDULE,
                status=Status.SUCCEEDED,
                queued_at=now - timedelta(days=day),
                finished_at=now - timedelta(days=day),
                **of,
            )
            for day in range(days)
        )
        Snapshot.objects.bulk_create(
            Snapshot(
                made_by=run,
                made_here=True,
                snapshot_id=f"{run.pk:064x}",
                time=run.queued_at,
                path="/mysql/d.sql",
                manifest={"version": 1},
                **of,
            )
            for run in runs
        )


def test_queries_do_not_grow_with_the_databases(past: History) -> None:
    with CaptureQueriesContext(connection) as few:
        proof.report(wanted())
    many(12, 20)
    with CaptureQueriesContext(connection) as more:
        document = proof.report(wanted())

    assert document["totals"]["databases"] == 14
    assert len(more) == len(few) <= 12


def test_a_row_more_costs_a_few_calls_on_sqlite(past: History) -> None:
    """Of a year of 200 databases there are 300,000, and a person waits for the page."""

    def called() -> int:
        count = 0

        def note(_frame: object, event: str, _of: object) -> None:
            nonlocal count
            count += event in ("call", "c_call")

        sys.setprofile(note)
        try:
            proof.report(wanted(), in_full=[])
        finally:
            sys.setprofile(None)
        return count

    called()
    one = called()
    many(10, 30)
    # A run and a snapshot each day.
    assert (called() - one) / (10 * 30 * 2) < MOST_CALLS


def test_too_many_rows_are_refused_politely(past: History, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backups.reports.proof_rows.MOST_ROWS", 10)

    with pytest.raises(Problem) as refused:
        proof.report(wanted())
    assert refused.value.code == "report.too_large"


def test_what_takes_too_long_is_ended_politely(past: History) -> None:
    with pytest.raises(Problem) as refused:
        proof.report(wanted(), Pace(-1))
    assert refused.value.code == "report.too_slow"


# ---------------------------------------------------------------- The page


def chosen(days: Days) -> dict[str, str]:
    return {"from": str(days.first), "to": str(days.last)}


def test_a_viewer_reads_it_and_nobody_without_a_right(past: History, login: Login) -> None:
    viewer = login("Viewer")

    answer = viewer.get(reverse("proof"), chosen(this_month()))
    page = answer.content.decode()

    assert answer.status_code == 200
    for words in (
        "Proof report",
        "orders_tracker",
        "newsletter",
        "TIME_ZONE",
        str(timezone.localdate().year),
    ):
        assert words in page, words
    assert reverse("proof") in viewer.get("/admin/").content.decode()
    staff = login("staff")
    assert staff.get(reverse("proof")).status_code == 403
    assert staff.post(reverse("proof-file"), {"form": "json"}).status_code == 403


def test_without_a_range_it_is_the_last_quarter(past: History, login: Login) -> None:
    page = login("Viewer").get(reverse("proof")).content.decode()

    quarter = proof.last_quarter()
    assert f'value="{quarter.first}"' in page
    assert f'value="{quarter.last}"' in page


@pytest.mark.parametrize("query", [{"from": "x"}, {"from": "2026-02-01", "to": "2026-01-01"}])
def test_a_wrong_range_is_told_on_the_page(past: History, login: Login, query: dict[str, str]) -> None:
    answer = login("Viewer").get(reverse("proof"), query)

    assert answer.status_code == 200
    assert 'role="alert"' in answer.content.decode()


def test_a_hostile_name_is_text_on_the_page(past: History, login: Login) -> None:
    Database.objects.filter(pk=past.databases[0].pk).update(name=NASTY)

    page = login("Viewer").get(reverse("proof"), chosen(this_month())).content.decode()

    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page


@pytest.mark.parametrize("form", FORMS)
def test_a_download_is_signed_by_the_worker(past: History, login: Login, form: str) -> None:
    made_here.key_in_use()

    answer = login("Viewer").post(reverse("proof-file"), {**chosen(this_month()), "form": form})

    assert answer.status_code == 200, answer
    assert answer["Content-Disposition"].endswith(f'.{form}"')
    assert proof_files.check(answer.content, proof.public_key()).public_key == proof.public_key()


def test_without_a_worker_it_is_said_and_can_be_had_unsigned(
    past: History, login: Login, nobody_answers: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backups.admin.proof._WAIT_SECONDS", 0.1)
    client = login("Viewer")
    said = {**chosen(this_month()), "form": "json"}

    answer = client.post(reverse("proof-file"), said, follow=True)
    page = answer.content.decode()
    unsigned = client.post(reverse("proof-file"), {**said, "unsigned": "on"})

    assert "has not signed the report in time" in page
    assert "without a signature" in page
    assert json.loads(unsigned.content)["signature"] is None


def test_no_report_is_signed_that_looks_as_if_it_were_of_another_day(past: History, login: Login) -> None:
    made_here.key_in_use()
    login("Viewer")
    days = this_month()
    asked = questions.ReportQuestion(
        days.first, days.last, None, timezone.now() - timedelta(days=1), "json", "en"
    )

    row = questions.ask(asked, User.objects.get(username="viewer"))

    with pytest.raises(Problem) as refused:
        questions.answer_to(row)
    assert refused.value.code == "report.not_signed_here"


def test_a_report_of_one_database_tells_of_no_other(past: History) -> None:
    other, one = past.databases
    document = proof.report(replace(wanted(), database=one))

    assert [each["name"] for each in document["databases"]] == [one.name]
    assert other.name not in json.dumps(document["databases"], default=str)
