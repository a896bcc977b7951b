"""The gate's page and its override."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.contrib.admin.models import LogEntry
from django.core.management import call_command

from backups.choices import Action, Status, Trigger
from backups.configuration import bootstrap
from backups.gate import asking, heartbeat_files
from backups.gate.asking import Answer
from backups.models import Database, Run
from backups.reports import standing
from backups.runs import lifecycle
from backups.runs.asked import Asker, Wanted
from backups.verdict import GateFacts
from backups.worker import executor
from sentinel import heartbeat
from tests.admin.conftest import Login

OVERRIDE = {"hours": "4", "reason": "The repository moves to another bucket."}


@pytest.fixture(autouse=True)
def stale(database: Database) -> None:
    """A gate that is closed."""
    bootstrap.apply()
    heartbeat_files.write_last_ok(database, datetime.now(UTC) - timedelta(days=3))


def test_a_closed_gate_says_why_on_every_page(login: Login) -> None:
    client = login("Viewer")
    text = client.get("/admin/gate/").content.decode()
    assert "Closed: stale" in text
    assert "The newest backup of shop is 3 days old; only 26 hours are allowed." in text
    assert "Gate closed" in client.get("/admin/backups/run/").content.decode()


@pytest.mark.parametrize(
    "request_of", [None, {"form": "drill", "version": 1, "url": "https://shop.example/"}]
)
def test_the_next_drill_is_mostly_of_the_address_of_the_last(
    request_of: dict[str, Any] | None, login: Login, database: Database
) -> None:
    """Drills of before 1.0 have no request, only options."""
    Run.objects.create(
        action=Action.PREFLIGHT, database=database, repository=database.repository, trigger=Trigger.ADMIN,
        request=request_of, options={"gate": "https://shop.example/"},
    )  # fmt: skip

    assert 'value="https://shop.example/"' in login("superuser").get("/admin/gate/").content.decode()


def test_a_closed_gate_says_in_red_what_is_old_why_and_what_to_do(login: Login, database: Database) -> None:
    run = lifecycle.run_enqueue(Wanted(Action.BACKUP, database=database), Asker(Trigger.CLI), send=False)
    Run.objects.filter(pk=run.pk).update(
        status=Status.FAILED, error="The disk is full. Make room.", finished_at=datetime.now(UTC)
    )
    heartbeat_files.write_last_verified(database, datetime.now(UTC) - timedelta(days=9))
    client = login("Viewer")

    text = " ".join(client.get("/admin/gate/").content.decode().split())

    old = r'<span class="v-label v-danger">[^<]*\(3 days ago\), too old: 26 hours are allowed</span>'
    assert re.search(old, text)
    assert re.search(r'<span class="v-label v-plain">[^<]*\(9 days ago\)</span>', text), (
        "no limit is set for it"
    )
    assert "A good backup opens it by itself." in text
    assert "The disk is full. Make room." in text
    assert f"/admin/backups/run/{run.pk}/change/" in text
    assert "No worker was seen yet" in text
    assert "systemctl" in text or "manage.py worker" in text or "docker compose" in text


def test_the_page_and_the_chip_follow_the_gate(login: Login, database: Database) -> None:
    client = login("Viewer")
    closed = client.get("/admin/gate/live/").json()
    assert "Closed: stale" in closed["html"]
    assert 'href="/admin/gate/"' in closed["chip"]
    assert "Gate closed" in client.get("/admin/live/").json()["chip"]

    heartbeat_files.write_last_ok(database, datetime.now(UTC))

    opened = client.get("/admin/gate/live/").json()
    assert "Closed" not in opened["html"]
    assert "No worker was seen yet" in opened["html"], "which will close it"
    assert opened["chip"] == ""
    assert login("staff").get("/admin/gate/live/").status_code == 403


def test_an_override_opens_it_is_seen_everywhere_and_recorded(login: Login) -> None:
    client = login("Administrator")
    assert client.post("/admin/gate/", OVERRIDE).status_code == 302
    text = client.get("/admin/gate/").content.decode()
    assert "Open: override" in text
    assert OVERRIDE["reason"] in text
    assert "Gate overridden" in client.get("/admin/backups/run/").content.decode()
    assert client.get("/sentinel/ok").content == b"override"
    assert OVERRIDE["reason"] in LogEntry.objects.get().change_message


def test_it_ends_before_its_time_when_told(login: Login) -> None:
    client = login("Administrator")
    client.post("/admin/gate/", OVERRIDE)
    client.post("/admin/gate/clear/")
    assert client.get("/sentinel/ok").content == b"stale"
    assert LogEntry.objects.count() == 2


def test_it_ends_by_itself(login: Login) -> None:
    client = login("Administrator")
    client.post("/admin/gate/", OVERRIDE)
    path = settings.SENTINEL.heartbeat_path
    now = datetime.now(UTC)
    assert heartbeat.override_read(path, now + timedelta(hours=3, minutes=59))
    assert heartbeat.override_read(path, now + timedelta(hours=4)) is None


@pytest.mark.parametrize(
    "wrong", [{"hours": "4", "reason": ""}, {"hours": "4000", "reason": "Because it is so"}]
)
def test_without_a_reason_or_a_time_that_is_offered_nothing_opens(
    login: Login, wrong: dict[str, str]
) -> None:
    client = login("Administrator")
    assert client.post("/admin/gate/", wrong).status_code == 200
    assert client.get("/sentinel/ok").content == b"stale"


@pytest.mark.parametrize("role", ["Viewer", "Operator", "Restorer"])
def test_only_administrators_override(login: Login, role: str) -> None:
    client = login(role)
    assert "Keep the gate open" not in client.get("/admin/gate/").content.decode()
    assert client.post("/admin/gate/", OVERRIDE).status_code == 403
    assert client.post("/admin/gate/clear/").status_code == 403
    assert client.get("/sentinel/ok").content == b"stale"


def test_the_override_needs_the_token(login: Login) -> None:
    client = login("Administrator", enforce_csrf_checks=True)
    assert client.post("/admin/gate/", OVERRIDE).status_code == 403
    assert client.get("/admin/gate/clear/").status_code == 405


def test_staff_without_a_role_sees_nothing(login: Login) -> None:
    assert login("staff").get("/admin/gate/").status_code == 403


SHOP = "https://shop.example.com/orders"


def test_a_drill_is_the_workers_audited_and_told_on_its_page(
    login: Login, monkeypatch: pytest.MonkeyPatch
) -> None:
    words: list[str] = []

    def ask(url: str, word: str = "", _at: str = "") -> Answer:
        words.append(word)
        path = settings.SENTINEL.heartbeat_path
        return (
            Answer(503, is_ours=True) if heartbeat.is_drilled(path, word, datetime.now(UTC)) else Answer(200)
        )

    monkeypatch.setattr(asking, "ask", ask)
    monkeypatch.setattr(standing, "gate_by_files", lambda *_: GateFacts())
    client = login("Administrator")
    page = client.post("/admin/gate/drill/", {"url": SHOP})
    run = Run.objects.get()
    assert (run.action, run.status, run.options) == ("preflight", "queued", {"gate": SHOP})
    assert page["Location"] == f"/admin/backups/run/{run.pk}/change/"
    assert LogEntry.objects.get().change_message == f"Started a drill of {SHOP}: {run}."
    assert not words, "the portal itself asks nothing"

    executor.execute(run.pk)

    run.refresh_from_db()
    assert run.status == "succeeded"
    assert words == ["", "", *[words[2]] * 5, ""]
    assert run.result["gate"] == [
        {
            "url": SHOP, "ok": True, "found": "closes", "before": 200, "drilled": 503, "after": 200,
            "verdict": "fresh", "lines": [], "warnings": [],
            "detail": f"{SHOP} closes: the drill got 503 with Vedetta's page, everybody else 200 as before. "
            "Only this address was asked, by a visitor from here without a cookie. nginx's configuration "
            "tells whether others get in: `nginx -T | manage.py preflight --gate … --nginx -`.",
        }
    ]  # fmt: skip
    assert "as before" in client.get(page["Location"]).content.decode()
    assert heartbeat.drill_read(settings.SENTINEL.heartbeat_path, datetime.now(UTC)) is None
    assert SHOP in client.get("/admin/gate/").content.decode(), "offered for the next one"


def test_an_address_found_open_fails_the_run_in_one_sentence(
    login: Login, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "ask", lambda *_: Answer(200))
    login("Administrator").post("/admin/gate/drill/", {"url": SHOP})
    executor.execute(Run.objects.get().pk)
    run = Run.objects.get()
    assert run.status == "failed"
    assert f"{SHOP} stays open while the gate is closed" in run.error
    assert "`satisfy any`" in run.error


@pytest.mark.parametrize(
    "url", ["", "ftp://shop/", "file:///etc/passwd", "https://anna:secret@shop/", "shop"]
)
def test_no_drill_of_what_is_no_address(login: Login, url: str) -> None:
    page = login("Administrator").post("/admin/gate/drill/", {"url": url})
    assert page.status_code == 200
    assert not Run.objects.exists()


@pytest.mark.parametrize("role", ["Viewer", "Operator", "Restorer"])
def test_only_administrators_hold_drills(login: Login, role: str) -> None:
    client = login(role)
    assert "Hold the drill" not in client.get("/admin/gate/").content.decode()
    assert client.post("/admin/gate/drill/", {"url": SHOP}).status_code == 403
    assert not Run.objects.exists()


def preflight(capsys: pytest.CaptureFixture[str], *urls: str) -> tuple[object, dict[str, Any]]:
    """Exit status and JSON object of the command."""
    with pytest.raises(SystemExit) as ended:
        call_command("preflight", "--json", *(word for url in urls for word in ("--gate", url)))
    return ended.value.code, json.loads(capsys.readouterr().out.splitlines()[-1])


def test_lines_that_may_let_others_in_are_a_warning_and_fail_nothing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(
        asking, "ask", lambda _, word="", _at="": Answer(503, is_ours=True) if word else Answer(200)
    )
    monkeypatch.setattr(standing, "gate_by_files", lambda *_: GateFacts())
    (tmp_path / "all.conf").write_text("server { include /etc/nginx/vedetta-gate.conf; satisfy any; }")

    with pytest.raises(SystemExit):
        call_command("preflight", "--json", "--gate", SHOP, "--nginx", str(tmp_path / "all.conf"))

    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert told["gate"][0]["warnings"] == [{"file": "", "number": 1, "text": "satisfy any;"}]
    warned = [check for check in told["checks"] if "may let others in" in check["detail"]]
    assert [(check["name"], check["ok"]) for check in warned] == [("warning", True)]


def test_the_command_tells_each_drill_beside_the_checks(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = GateFacts(is_open=False, word="stale")
    monkeypatch.setattr(standing, "gate_by_files", lambda *_: gate)
    answers = {SHOP: 200, f"{SHOP}/closed": 503}
    monkeypatch.setattr(asking, "ask", lambda url, *_: Answer(answers[url], is_ours=answers[url] == 503))
    code, told = preflight(capsys, *answers)
    assert code == 1
    assert [(one["url"], one["ok"], one["found"]) for one in told["gate"]] == [
        (SHOP, False, "open"),
        (f"{SHOP}/closed", True, "closed already"),
    ]
    checks = [check["ok"] for check in told["checks"] if check["name"] == "gate"]
    assert checks == [False, True]

    gate = GateFacts()
    _, told = preflight(capsys, f"{SHOP}/closed")
    assert [(one["ok"], one["found"], one["verdict"]) for one in told["gate"]] == [
        (False, "closed though open", "fresh")
    ]


def test_the_command_refuses_what_is_no_address(capsys: pytest.CaptureFixture[str]) -> None:
    code, told = preflight(capsys, SHOP, "shop.example.com", f"{SHOP}/closed")
    assert code == 2
    assert str(told["error"]).startswith("--gate 'shop.example.com': A drill cannot ask this address")

    code, told = preflight(capsys, SHOP, "https://anna:secret@shop.example.com/")
    assert code == 2
    assert str(told["error"]).startswith("--gate '…@shop.example.com/': ")
    assert "A drill asks without one." in str(told["error"])
    assert "secret" not in str(told)
