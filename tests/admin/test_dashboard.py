"""The first page: what it says, to whom, and at what cost."""

from __future__ import annotations

import html
import re
import time
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings

from backups import endpoints, marks
from backups.admin import live
from backups.catalog import records
from backups.choices import Action, AlertState, Health, StandDownKind, Status, Trigger, Verdict
from backups.configuration import bootstrap
from backups.models import Alert, Database, PublicKey, Repository, Run, Snapshot, StandDown, WorkerPulse
from backups.runs import hearing, lifecycle, queue
from backups.runs.asked import Asker, Wanted
from sentinel import heartbeat
from tests.admin.conftest import Login
from tests.rows import a_server
from tools import history
from tools.history import History


def page(client: Client) -> str:
    """The first page's text."""
    response = client.get("/admin/")
    assert response.status_code == 200
    return str(response.content.decode())


def test_an_empty_portal_says_what_to_do_first(login: Login) -> None:
    text = page(login("Administrator"))
    assert "Nothing is backed up yet" in text
    assert "/admin/backups/repository/add/" in text
    assert "No worker was seen yet" in text
    assert "/admin/backups/repository/add/" not in page(login("Viewer"))


def test_staff_without_a_role_learns_what_to_ask_for(past: History, login: Login) -> None:
    text = page(login("staff"))
    assert "You have no role yet" in text
    assert "orders_tracker" not in text
    assert login("staff2").get("/admin/live/").status_code == 403


def test_it_says_that_we_could_restore(past: History, login: Login, settings: Settings) -> None:
    settings.PING_URL = "https://example.com/ping"
    text = page(login("Viewer"))
    assert "Yes, proved" in text
    assert f"/admin/backups/run/{past.running.pk}/change/" in text
    assert "61 %" in text


def test_what_the_environment_says_otherwise_is_told_by_how_much_it_matters(
    past: History, login: Login, settings: Settings
) -> None:
    settings.PING_URL, settings.BACKUP_KEEP_DAILY = "https://example.com/ping", 99
    client = login("Viewer")
    text = page(client)
    assert "Yes, proved" in text
    assert re.search(r'v-notice v-info"[^>]*>\s*BACKUP_KEEP_DAILY says 99', text)
    settings.RESTIC_REPOSITORY = "/elsewhere"
    text = page(client)
    assert '<p class="v-hero">No</p>' in text
    assert "RESTIC_REPOSITORY says /elsewhere" in text
    assert "Not safe" in text
    assert "RESTIC_REPOSITORY says /elsewhere" in client.get("/admin/gate/").content.decode()


def test_that_the_key_is_on_this_machine_alone_is_said(past: History, login: Login) -> None:
    PublicKey.objects.create(signing="a", sealing="b")
    text = page(login("Viewer"))
    assert "manage.py bootstrap --show-key</code> prints into the .env that you keep elsewhere" in text


def test_a_look_at_a_repository_that_failed_is_told_as_such(past: History, login: Login) -> None:
    Run.objects.create(
        action=Action.SNAPSHOTS, repository=past.repository, trigger=Trigger.SCHEDULE, status=Status.FAILED,
        finished_at=timezone.now(), error="The folder is empty.",
    )  # fmt: skip
    text = page(login("Viewer"))
    assert "The last look into repository" in text
    assert "The last look at its repository failed." in text
    assert "Its repository is good" not in text


def test_a_secret_of_a_repository_that_cannot_be_read_is_told_as_such(past: History, login: Login) -> None:
    Alert.objects.create(
        subject=endpoints.secrets_subject(past.repository), state=AlertState.FAILED, text="It is not there."
    )
    text = page(login("Viewer"))
    assert "will fail: It is not there." in text
    assert "A secret of its repository cannot be read, so its next run will fail." in text
    assert "Its repository is good" not in text


def test_a_repository_that_nobody_tended_is_not_called_good(past: History, login: Login) -> None:
    Run.objects.filter(action=Action.FORGET).update(
        queued_at=timezone.now() - timedelta(days=9), finished_at=timezone.now() - timedelta(days=9)
    )
    text = page(login("Viewer"))
    assert "since then no old snapshot was forgotten" in text
    assert "Its repository was not tended for too long." in text
    assert "Its repository is good" not in text


def test_each_line_of_the_charts_has_a_colour_of_its_own(past: History, login: Login) -> None:
    for name in ("one", "two", "three", "four"):
        Database.objects.create(name=name, database=name, server=a_server(), repository=past.repository)
    colours = re.findall(r'v-swatch" style="background: ([^"]+)"', page(login("Viewer")))
    assert len(colours) == len(set(colours)) == 6


def test_a_database_without_a_backup_is_not_safe(past: History, login: Login) -> None:
    Database.objects.create(name="fresh", database="fresh", server=a_server(), repository=past.repository)
    text = page(login("Viewer"))
    assert '<p class="v-hero">No</p>' in text
    assert "There is no backup of fresh yet." in text


def test_the_last_failure_is_told_as_it_is(past: History, login: Login) -> None:
    run = Run.objects.filter(status=Status.FAILED)[0]
    Run.objects.filter(pk=run.pk).update(finished_at=timezone.now(), error="The disk is full. Make room.")
    text = page(login("Viewer"))
    assert "The disk is full. Make room." in text
    assert f"/admin/backups/run/{run.pk}/change/" in text


def test_an_old_backup_is_told(past: History, login: Login) -> None:
    Snapshot.objects.update(forgotten_at=timezone.now())
    Snapshot.objects.order_by("-time").filter(database=past.databases[0]).update(forgotten_at=None)
    Snapshot.objects.filter(time__gt=timezone.now() - timedelta(days=3)).update(forgotten_at=timezone.now())
    assert "26 hours are allowed" in page(login("Viewer"))


def test_a_failed_verification_is_the_answer_though_an_earlier_one_went_well(
    past: History, login: Login
) -> None:
    database = past.databases[1]
    newest = database.snapshots.first()
    assert newest
    assert newest.verified_at
    run = lifecycle.run_enqueue(
        Wanted(Action.VERIFY, database=database, snapshot=newest), Asker(Trigger.CLI), send=False
    )
    records.verification_record(run, newest, verdict=Verdict.UNREADABLE)

    text = page(login("Viewer"))

    assert '<p class="v-hero">No</p>' in text
    assert f"The newest verification of {database} failed just now: snapshot {newest.short_id}" in text
    assert f"/admin/backups/verification/{run.verification.pk}/change/" in text
    assert "Not safe" in text
    assert "Repository main is suspect" in text


def test_where_nobody_is_told_it_says_so(past: History, login: Login) -> None:
    text = page(login("Viewer"))
    assert '<p class="v-hero">Doubtful</p>' in text
    assert "Nobody watches" in text


def test_a_day_of_the_strip_leads_to_its_runs(past: History, login: Login) -> None:
    run = Run.objects.filter(database=past.databases[0], action=Action.BACKUP).earliest("queued_at")
    late = timezone.localtime(timezone.now()).replace(hour=23, minute=30) - timedelta(days=3)
    Run.objects.filter(pk=run.pk).update(queued_at=late)
    client = login("Viewer")

    (link,) = re.findall(
        rf'href="([^"]*queued_at_from={late:%Y-%m-%d}&amp;queued_at_to={late:%Y-%m-%d})"',
        client.get("/admin/live/").json()["html"].split(past.databases[1].name)[0],
    )

    assert f"/admin/backups/run/{run.pk}/change/" in client.get(html.unescape(link)).content.decode()


def test_a_day_without_any_run_is_missed_where_its_schedule_asked_for_one(
    past: History, login: Login
) -> None:
    database = past.databases[0]
    midnight = timezone.localtime(timezone.now()).replace(hour=0, minute=0, second=0, microsecond=0)
    start = midnight - timedelta(days=3)
    of_the_day = Run.objects.filter(
        database=database, queued_at__gte=start, queued_at__lt=start + timedelta(days=1)
    )
    of_the_day.update(queued_at=start - timedelta(hours=12))
    told = f"{start:%a} {start.day} {start:%b}: no backup, though the schedule asks for one"

    client = login("Viewer")

    text = page(client)
    assert text.count(told) == 1
    assert "1 without the backup that was due" in text

    database.backup_cron = f"0 3 * * {(start.isoweekday() + 1) % 7}"
    database.save()
    assert told not in page(client)


def test_days_whose_snapshots_were_forgotten_stay_good(past: History, login: Login) -> None:
    client = login("Viewer")

    def strips() -> list[str]:
        return re.findall(r"The last 30 days: [^\"]*", page(client))

    before = strips()
    Snapshot.objects.update(forgotten_at=timezone.now())
    assert strips() == before
    assert "0 with good" not in before[0]


@pytest.mark.parametrize("text", ["soon", "0001-01-01", "9999-12-31", "<b>"])
def test_a_text_that_is_no_day_limits_nothing(past: History, login: Login, text: str) -> None:
    response = login("Viewer").get("/admin/backups/run/", {"queued_at_from": text, "queued_at_to": text})

    assert response.status_code == 200
    assert "/change/" in response.content.decode()


def test_a_schedule_that_lets_backups_become_stale_is_told(past: History, login: Login) -> None:
    past.databases[0].backup_cron = "0 3 * * 1-5"
    past.databases[0].save()

    page = login("Viewer").get("/admin/").content.decode()

    assert "up to 3 days apart and are stale after 26 hours: the gate closes in between" in page


def test_a_worker_that_is_gone_is_a_banner(past: History, login: Login) -> None:
    assert "was last seen" not in page(login("Viewer"))
    WorkerPulse.objects.filter(cluster="vedetta").update(
        seen_at=timezone.now() - queue.PULSE_LOST - timedelta(seconds=1)
    )
    text = page(login("Operator"))
    assert "The worker “vedetta” was last seen 2 minutes ago." in text
    assert '<code class="v-mono v-command">' in text


def test_a_silent_worker_comes_before_all_that_is_in_doubt(
    past: History, login: Login, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where somebody looks again after it: one database failed, one is muted, nobody watches."""
    first, other = past.databases
    run = Run.objects.filter(database=first, status=Status.FAILED)[0]
    Run.objects.filter(pk=run.pk).update(finished_at=timezone.now(), error="The disk is full.")
    StandDown.objects.create(
        database=other, kind=StandDownKind.MUTE, reason="moved", made_by="anna", made_at=timezone.now(),
        until=timezone.now() + timedelta(hours=2),
    )  # fmt: skip
    last_seen = timezone.now() - timedelta(minutes=47)
    WorkerPulse.objects.update(seen_at=last_seen - timedelta(seconds=15))
    client = login("Viewer")
    page(client)
    monkeypatch.setattr(hearing, "time", SimpleNamespace(monotonic=lambda: time.monotonic() + 47 * 60))
    WorkerPulse.objects.update(seen_at=last_seen)

    for gates in (True, False):
        Database.objects.update(gates_app=gates)
        text = page(client)
        assert '<p class="v-hero">No</p>' in text
        first_look = text.split('class="v-card v-looks"')[1].split("</li>")[0]
        assert "The worker was last seen 47 minutes ago." in first_look
        assert "The disk is full." in text


def test_a_worker_seen_in_the_future_is_not_taken_for_alive(past: History, login: Login) -> None:
    """The clock was set back since; a worker that runs is seen again at once, also in a long run."""
    WorkerPulse.objects.update(seen_at=timezone.now() + queue.PULSE_AHEAD + timedelta(seconds=9))
    client = login("Viewer")
    assert "It is not known whether the worker “vedetta” runs" in page(client)

    queue.worker_heartbeat("vedetta", sparingly=True)

    assert "“vedetta”" not in page(client)


def test_a_damaged_repository_says_what_to_do(past: History, login: Login) -> None:
    Repository.objects.update(health=Health.DAMAGED, check_error="Pack 1a2b is missing.")
    text = page(login("Viewer"))
    assert "Pack 1a2b is missing." in text
    assert "Repair the index, then the snapshots, then check all data. If that check is good, back up" in text


def test_live_answers_the_same_for_who_comes_later(past: History, login: Login) -> None:
    client = login("Viewer")
    busy = client.get("/admin/live/").json()
    assert f"Backup {past.running.pk}" in busy["html"]
    Run.objects.filter(pk=past.running.pk).update(status=Status.SUCCEEDED)
    idle = client.get("/admin/live/").json()
    assert f"Backup {past.running.pk}" not in idle["html"]
    assert busy["every"] < idle["every"]


def test_operators_have_buttons_and_viewers_none(past: History, login: Login) -> None:
    button = 'hx-target="#modal-content"'
    assert button in page(login("Operator"))
    assert button not in page(login("Viewer"))


def test_who_may_restore_is_one_click_from_choosing_what(past: History, login: Login) -> None:
    url = reverse("database-restore", args=[past.databases[0].pk])
    assert url in page(login("Restorer"))
    assert url not in page(login("Operator"))
    assert login("superuser").get(url).status_code == 200


@pytest.mark.parametrize(
    "url", ["/admin/", pytest.param("/admin/live/", marks=pytest.mark.soak), "/admin/gate/"]
)
def test_it_takes_the_same_queries_for_any_history(
    login: Login, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(marks, "BOUND_SECONDS", 10**6)  # which a busy machine may take for two pages
    client = login("superuser")
    past = history.make(days=10)
    client.get(url)  # what is looked up once and kept
    few = queries(client, url)
    old = timezone.now() - timedelta(days=400)
    Run.objects.bulk_create(
        Run(
            action=Action.BACKUP, database=past.databases[0], repository=past.repository,
            status=Status.SUCCEEDED, trigger=Trigger.SCHEDULE, queued_at=old, finished_at=old,
        )
        for _ in range(3000)
    )  # fmt: skip
    client.get(url)
    # One of them is for whether the reader still is who signed in.
    assert few == queries(client, url) <= 15


def poll(client: Client, tag: str, **headers: str) -> tuple[str, dict[str, Any]]:
    """The tag and the news for a browser that has what `tag` is of; no news where there are none."""
    answer = client.get("/admin/live/", headers={"If-None-Match": tag, **headers})
    assert answer.status_code in (200, 304)
    return answer.headers["ETag"], answer.json() if answer.status_code == 200 else {}


def test_who_asks_again_is_told_what_changed_and_nothing_else(
    past: History, login: Login, monkeypatch: pytest.MonkeyPatch, status_folder: Path
) -> None:
    monkeypatch.setattr(marks, "BOUND_SECONDS", 10**6)
    client = login("Viewer")
    page(client)  # which notes that the gate is there
    (tag,) = re.findall(r'data-tag="&quot;([.\w]+)&quot;"', page(client))

    assert poll(client, f'"{tag}"') == (f'"{tag}"', {})
    assert poll(client, f'W/"{tag}"') == (f'"{tag}"', {})

    # How far a run is, and nothing else.
    beat = lifecycle.Beat("confirm", 1, None, "a table")
    lifecycle.run_beat(past.running.pk, beat, now=timezone.now() + timedelta(seconds=7))
    tag, news = poll(client, f'"{tag}"')
    assert list(news["parts"]) == ["running"]
    assert "a table" in news["parts"]["running"]
    assert "html" not in news
    assert poll(client, tag) == (tag, {})

    # Whatever else was written.
    Alert.objects.create(subject="x", error="The server does not answer.")
    tag, news = poll(client, tag)
    assert news["badges"]["backups.admin.alerts.badge"] == "1"
    assert "Nobody could be told of 1 alert." in news["html"]
    assert news["title"] == "No · Dashboard | Vedetta"
    assert len(news["charts"]) == 4

    # An override is a file.
    status_folder.mkdir(exist_ok=True)
    heartbeat.override_write(
        status_folder / "last_ok", heartbeat.Override(timezone.now() + timedelta(hours=2), "root", "moving")
    )
    tag, news = poll(client, tag)
    assert "The gate is overridden" in news["html"]

    # Of another reader, in another language, of another part.
    assert poll(client, tag) == (tag, {})
    assert poll(client, tag, **{"Accept-Language": "it"})[1]
    assert client.get("/admin/live/?q=orders", headers={"If-None-Match": tag}).status_code == 200
    assert poll(login("Operator"), tag)[1]


def test_it_is_judged_anew_though_nothing_was_written(
    past: History, login: Login, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Time alone makes a backup too old: by the bound later at most."""
    client = login("Viewer")
    tag, news = poll(client, "")
    assert "are allowed" not in news["html"]
    later = timezone.now() + timedelta(days=3)

    monkeypatch.setattr(timezone, "now", lambda: later)
    monkeypatch.setattr(time, "time", lambda: later.timestamp())
    Session.objects.update(expire_date=later + timedelta(days=1))

    assert "26 hours are allowed" in poll(client, tag)[1]["html"]


def test_what_needs_a_look_has_its_reason_and_one_next_step(past: History, login: Login) -> None:
    run = Run.objects.filter(status=Status.FAILED)[0]
    Run.objects.filter(pk=run.pk).update(finished_at=timezone.now(), error="The disk is full. Make room.")
    assert run.database
    back_up = reverse("admin:backups_database_back_up", args=[run.database.pk])

    def look(role: str) -> str:
        text = page(login(role))
        assert text.index("Are we safe?") < text.index('class="v-card v-looks"') < text.index("v-database")
        return text.split(f'data-key="database-{run.database_id}"')[1].split("</li>")[0]

    assert "The disk is full. Make room." in look("Operator")
    assert look("Restorer").count("v-button") == 1
    assert f'hx-get="{back_up}"' in look("Administrator")
    assert f'class="v-button" href="/admin/backups/run/{run.pk}/change/"' in look("Viewer")


def queries(client: Client, url: str) -> int:
    """How many queries a page takes."""
    with CaptureQueriesContext(connection) as captured:
        assert client.get(url).status_code == 200
    return len(captured)


def test_time_left_comes_from_bytes_and_from_the_later_phases_of_earlier_runs() -> None:
    now = timezone.now()
    began = now - timedelta(seconds=12)
    run = Run(
        status=Status.RUNNING, started_at=began, beat_at=now, phase="dump", bytes_done=100,
        bytes_expected=300,
        phases=[
            {"name": "preflight", "at": began.isoformat()},
            {"name": "dump", "at": (now - timedelta(seconds=10)).isoformat()},
        ],
    )  # fmt: skip
    usual = live.Typical(40.0, {"preflight": 2.0, "dump": 30.0, "confirm": 5.0, "heartbeat": 1.0})
    found = live.progress(run, usual, now)
    assert found is not None
    assert found.percent == 33
    assert found.speed == pytest.approx(10)
    assert found.left == timedelta(seconds=26)


def test_a_run_whose_worker_is_silent_says_so() -> None:
    now = timezone.now()
    run = Run(status=Status.RUNNING, started_at=now, beat_at=now, phase="dump", phases=[])
    later = now + timedelta(seconds=40)
    found = live.progress(run, live.Typical(None, {}), later)
    assert found is not None
    assert found.silent == timedelta(seconds=40)


def test_the_gate_is_told_in_words(past: History, login: Login) -> None:
    bootstrap.apply()
    text = page(login("Viewer"))
    assert "Open: grace" in text
