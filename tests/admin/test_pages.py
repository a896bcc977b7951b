"""Every page answers those who may see it, refuses the others, and takes few queries for any history."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils.html import strip_tags
from django_q.models import Schedule

from backups import marks
from backups.admin.snapshots import tables
from backups.choices import Status
from backups.dumpfile.log_positions import How, Place, WhyNot, exact, not_exact
from backups.management.commands.snapshots import _as_json
from backups.models import Database, Repository, Restore, Run, Server, Snapshot, Verification, WorkerPulse
from backups.scheduling import schedules
from tests.admin.conftest import Login
from tools import history
from tools.history import History

SEEN_BY_ALL = ("run", "snapshot", "verification", "restore", "database", "repository", "alert", "channel")
QUEUE = ["schedule"]


def pages(past: History) -> dict[str, str]:
    """A page of every kind."""
    rows = {
        "run": past.running,
        "run that failed": Run.objects.filter(status="failed")[0],
        "run that succeeded": Run.objects.filter(action="backup", status="succeeded")[0],
        "snapshot": Snapshot.objects.filter(forgotten_at=None)[0],
        "verification": Verification.objects.all()[0],
        "restore": Restore.objects.all()[0],
        "database": past.databases[0],
        "repository": past.repository,
    }
    found = {kind: reverse(f"admin:backups_{kind}_changelist") for kind in SEEN_BY_ALL}
    for name, row in rows.items():
        found[f"one {name}"] = reverse(f"admin:backups_{row._meta.model_name}_change", args=[row.pk])
    found["live"] = reverse("admin:backups_run_live", args=[past.running.pk])
    found["log"] = reverse("admin:backups_run_log", args=[past.running.pk])
    return found


@pytest.mark.parametrize(
    "role",
    [
        "Viewer",
        *(
            pytest.param(each, marks=pytest.mark.soak)
            for each in ("Operator", "Restorer", "Administrator", "superuser")
        ),
    ],
)
def test_everybody_with_a_role_sees_every_page(past: History, login: Login, role: str) -> None:
    client = login(role)
    for name, url in pages(past).items():
        assert client.get(url).status_code == 200, name


def test_a_runs_page_says_where_its_restic_is_from(past: History, login: Login) -> None:
    run = Run.objects.filter(action="backup", status="succeeded")[0]
    url = reverse("admin:backups_run_change", args=[run.pk])
    client = login("Viewer")
    before = html.unescape(strip_tags(client.get(url).content.decode()))

    run.result |= {"restic": {"version": "0.19.1", "origin": "Debian's package restic 0.19.1-1"}}
    run.save()
    page = html.unescape(strip_tags(client.get(url).content.decode()))

    assert "0.19.1" in before
    assert "0.19.1, Debian's package restic 0.19.1-1" not in before
    assert "0.19.1, Debian's package restic 0.19.1-1" in page


def test_a_runs_page_says_over_how_many_connections_it_went(past: History, login: Login) -> None:
    run = Run.objects.filter(action="backup", status="succeeded")[0]
    run.result |= {
        "dump_connections": 2,
        "dump_connections_because": "there are 4 cores",
        "load_connections": 1,
    }
    run.save()
    url = reverse("admin:backups_run_change", args=[run.pk])

    page = login("Viewer").get(url).content.decode()

    told = dict(re.findall(r"<dt[^>]*>\s*([^<]*?)\s*</dt>\s*<dd[^>]*>\s*([^<]*?)\s*</dd>", page))
    assert told["Dumped over"] == "2 connections: there are 4 cores"
    assert told["Loaded over"] == "1 connection"


def test_staff_without_a_role_and_strangers_see_none(past: History, login: Login) -> None:
    staff, stranger = login("staff"), Client()
    for name, url in pages(past).items():
        assert staff.get(url).status_code == 403, name
        assert stranger.get(url)["Location"].startswith("/admin/login/"), name


def test_people_and_the_queue_are_for_administrators(past: History, login: Login) -> None:
    restorer, administrator, superuser = (login(role) for role in ("Restorer", "Administrator", "superuser"))
    for page in [f"django_q_{kind}" for kind in QUEUE] + ["auth_user"]:
        url = reverse(f"admin:{page}_changelist")
        assert restorer.get(url).status_code == 403
        assert administrator.get(url).status_code == 200
        assert superuser.get(url).status_code == 200
    assert reverse("admin:django_q_schedule_changelist") in administrator.get("/admin/").content.decode()
    assert reverse("admin:django_q_schedule_changelist") not in restorer.get("/admin/").content.decode()


def test_lists_are_called_in_the_browser_what_the_sidebar_calls_them(login: Login) -> None:
    client = login("superuser")
    titles = {
        "admin_logentry": "Audit", "auth_user": "People",
        "django_q_schedule": "Schedules",
        **{f"backups_{kind}": f"{kind.capitalize()}s" for kind in SEEN_BY_ALL if kind != "repository"},
        "backups_repository": "Repositories", "backups_channel": "Channels",
    }  # fmt: skip
    for page, title in titles.items():
        text = client.get(reverse(f"admin:{page}_changelist")).content.decode()
        found = re.search(r"<title>(.*?)</title>", text, re.DOTALL)
        assert found
        assert found[1].split() == [title, "|", "Vedetta"], page


def test_schedules_are_named_for_what_they_do(past: History, login: Login) -> None:
    schedules.schedules_sync()
    gone = Schedule.objects.create(name="vedetta backup 4711", func="f", schedule_type="O")

    page = strip_tags(
        login("Administrator").get(reverse("admin:django_q_schedule_changelist")).content.decode()
    )

    database = past.databases[0]
    for words in (
        f"Backup of {database}", f"Verification of {database}", f"new snapshots in {database.repository}",
        "Clear up after dead runs (worker restores)", "Backup of database 4711, which is gone",
    ):  # fmt: skip
        assert words in page, words
    assert gone.name not in page


def test_nobody_edits_runs_snapshots_or_the_queue(past: History, login: Login) -> None:
    client = login("superuser")
    for page in [f"backups_{kind}" for kind in SEEN_BY_ALL[:4]] + [f"django_q_{kind}" for kind in QUEUE]:
        assert client.get(reverse(f"admin:{page}_add")).status_code == 403
        assert client.get(reverse(f"admin:{page}_changelist")).context["action_form"] is None
    run = past.running
    for page in ("change", "delete"):
        assert (
            client.post(reverse(f"admin:backups_run_{page}", args=[run.pk]), {"post": "yes"}).status_code
            == 403
        )


@pytest.mark.parametrize("kind", SEEN_BY_ALL)
def test_lists_take_the_same_queries_for_more_rows(
    login: Login, kind: str, roles: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = login("superuser")
    url = reverse(f"admin:backups_{kind}_changelist")
    # What is kept of tables that nobody writes to, here or on a page before, is asked for by none of both.
    monkeypatch.setattr(marks, "BOUND_SECONDS", 10**6)
    queries(client, url)
    history.make(days=10)
    few = queries(client, url)
    for table in (Verification, Restore, Snapshot, Run, WorkerPulse, Database, Server, Repository):
        if table is Run:
            Run.objects.update(parent=None)
        table._default_manager.all().delete()
    history.make(days=30)
    assert few == queries(client, url) <= {"database": 32, "repository": 30, "alert": 29}.get(kind, 14)


def queries(client: Client, url: str) -> int:
    """How many queries a page takes."""
    with CaptureQueriesContext(connection) as captured:
        assert client.get(url).status_code == 200
    return len(captured)


def test_no_page_shows_raw_bytes_or_bare_iso_times(past: History, login: Login) -> None:
    client = login("superuser")
    # Some have no letter in them, and look like a count.
    ids = re.compile("|".join(snapshot.short_id for snapshot in Snapshot.objects.all()))
    for name, url in pages(past).items():
        if name in {"log", "live"}:
            continue
        text = strip_tags(
            re.sub(r"<(script|style|head)\b.*?</\1>", "", client.get(url).content.decode(), flags=re.S)
        )
        assert not re.search(r"\d{4}-\d\d-\d\dT", text), name
        assert not re.search(r"(?<![\da-f])\d{7,}(?![\da-f])", ids.sub("", text)), name


def test_runs_are_found_by_their_snapshot(past: History, login: Login) -> None:
    client = login("Viewer")
    run = Run.objects.filter(action="backup", snapshot__isnull=False)[0]
    assert run.snapshot
    response = client.get(reverse("admin:backups_run_changelist"), {"q": run.snapshot.short_id})
    assert {found.snapshot_id for found in response.context["cl"].result_list} == {run.snapshot_id}


def test_a_list_of_one_page_says_how_many_and_a_longer_one_turns_its_pages(
    past: History, login: Login
) -> None:
    client, url = login("Viewer"), reverse("admin:backups_run_changelist")
    assert Run.objects.count() > 50
    first = client.get(url).content.decode()
    assert "Page 1" in first
    assert 'rel="next"' in first
    assert 'rel="prev"' not in first
    assert 'rel="prev"' in client.get(url, {"p": "2"}).content.decode()

    Run.objects.exclude(pk__in=Run.objects.values("pk")[:3]).delete()
    assert "3 in all" in client.get(url).content.decode()


def test_runs_are_filtered_by_status(past: History, login: Login) -> None:
    response = login("Viewer").get(reverse("admin:backups_run_changelist"), {"status__exact": ["failed"]})
    assert {run.status for run in response.context["cl"].result_list} == {"failed"}


def test_forgotten_snapshots_are_shown_when_asked_for(past: History, login: Login) -> None:
    client, url = login("Viewer"), reverse("admin:backups_snapshot_changelist")
    assert {s.forgotten_at for s in client.get(url).context["cl"].result_list} == {None}
    gone = client.get(url, {"held": "gone"}).context["cl"].result_list
    assert gone
    assert all(snapshot.forgotten_at for snapshot in gone)


def test_a_snapshot_says_what_changed_since_the_one_before(past: History, login: Login) -> None:
    newest, before = Snapshot.objects.filter(database=past.databases[0]).order_by("-time")[:2]
    manifest = newest.manifest
    assert manifest
    manifest["sections"] = [s for s in manifest["sections"] if s["name"] != "orders"]
    manifest["sections"].append({"kind": "rows", "name": "brand_new", "bytes": 7_000_000, "sha256": ""})
    newest.save()
    page = login("Viewer").get(reverse("admin:backups_snapshot_change", args=[newest.pk])).content.decode()
    assert before.short_id in page
    rows = {row.name: row.change for row in tables(newest.manifest, before.manifest)}
    assert rows["orders"] == "gone"
    assert rows["brand_new"] == "new"
    assert rows["customers"].startswith("grown by ")


@pytest.mark.parametrize(
    ("log", "told"),
    [
        (
            exact(Place("bin.000012", 4711), How.LOCK, gtid=None, server={"id": 1, "uuid": None}),
            "bin.000012:4711, exact",
        ),
        (not_exact(WhyNot.NO_LOCK_RIGHT), "LOCK TABLES is not granted"),
        (None, ""),
    ],
)
def test_a_snapshot_says_where_in_the_binary_log_it_is(
    log: dict[str, Any] | None, told: str, past: History, login: Login
) -> None:
    newest = Snapshot.objects.filter(database=past.databases[0]).order_by("-time")[0]
    newest.manifest = {**(newest.manifest or {}), **({"log": log} if log else {})}
    newest.save()

    page = login("Viewer").get(reverse("admin:backups_snapshot_change", args=[newest.pk])).content.decode()

    assert ("Binary log" in page) == bool(log)
    assert told in page
    assert _as_json(newest)["log"] == log


def test_a_user_without_staff_may_not_enter(past: History, person: Callable[[str], User]) -> None:
    client = Client()
    user: User = person("nobody")
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    assert client.get("/admin/").status_code == 302


def test_administrators_read_the_record_and_nobody_writes_it(past: History, login: Login) -> None:
    administrator = login("Administrator")
    administrator.post(
        reverse("admin:backups_database_back_up", args=[past.databases[1].pk]), {"_form_submitted": "on"}
    )
    page = administrator.get(reverse("admin:admin_logentry_changelist"))
    assert "Started Backup" in page.content.decode()
    assert administrator.get(reverse("admin:admin_logentry_add")).status_code == 403
    assert login("Operator").get(reverse("admin:admin_logentry_changelist")).status_code == 403


def test_pages_are_called_what_the_sidebar_calls_them(past: History, login: Login) -> None:
    client = login("superuser")
    names = {"admin_logentry": "Audit", "auth_user": "People", "django_q_schedule": "Schedules"}
    for page, name in names.items():
        text = client.get(reverse(f"admin:{page}_changelist")).content.decode()
        assert re.search(rf"tracking-tight\">\s*{name}\s*</", text), page
    assert "Nothing here yet" in client.get(reverse("admin:django_q_schedule_changelist")).content.decode()
    assert "Show all" in client.get(reverse("admin:backups_run_changelist"), {"q": "zzz"}).content.decode()


def lit(page: str) -> list[str]:
    """The places of the sidebar where a page says that one is."""
    found = re.findall(r'<a href="[^"]*" class="[^"]* active">(.*?)</a>', page, re.S)
    return [re.sub(r"<[^>]*>.*?</[^>]*>\s*(?=<)|<[^>]*>", "", each, flags=re.S).strip() for each in found]


def test_what_the_sidebar_calls_failed_is_what_failed(past: History, login: Login) -> None:
    """And not the queue's own tasks, of which none breaks when a backup fails."""
    client = login("Viewer")
    page = client.get("/admin/").content.decode()
    (failed,) = re.findall(r'href="(/admin/backups/run/\?status__exact=failed[^"]*)"', page)
    (waiting,) = re.findall(r'href="(/admin/backups/run/\?status__exact=queued)"', page)

    shown = client.get(html.unescape(failed)).content.decode()
    assert lit(shown) == ["Runs", "Failed"]
    assert lit(client.get(f"/admin/backups/run/{past.running.pk}/change/").content.decode()) == ["Runs"]

    wanted = Run.objects.filter(status__in=[Status.FAILED, Status.LOST])
    assert wanted
    found = {int(pk) for pk in re.findall(r"/admin/backups/run/(\d+)/change/", shown)}
    assert found == set(wanted.values_list("pk", flat=True))
    Run.objects.filter(pk=past.running.pk).update(status=Status.QUEUED)
    assert f"/admin/backups/run/{past.running.pk}/change/" in client.get(waiting).content.decode()
