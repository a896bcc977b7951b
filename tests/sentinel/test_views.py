"""The gate over HTTP, as the portal and the stand-alone process both serve it."""

from __future__ import annotations

import io
import json
from wsgiref.util import setup_testing_defaults

import pytest
from django.test import Client
from pytest_django import Settings

from sentinel import heartbeat, views
from sentinel.environment import GateSettings
from tests.sentinel.conftest import StatusFolder


@pytest.fixture(autouse=True)
def gate(folder: StatusFolder, settings: Settings) -> GateSettings:
    """A gate over the test's own folder; the same whichever settings module is active."""
    settings.ROOT_URLCONF = "sentinel.urls"
    settings.SENTINEL = GateSettings(heartbeat_path=folder.heartbeat, database="orders")
    limits: GateSettings = settings.SENTINEL
    return limits


def word(client: Client, path: str = "/sentinel/ok") -> tuple[int, str]:
    response = client.get(path)
    assert response["X-Backup-Status"] == response.content.decode()
    return response.status_code, response.content.decode()


@pytest.mark.parametrize("path", ["/sentinel/ok", "/ok", "/sentinel/ok/orders"])
def test_a_fresh_backup_is_200_with_its_age(path: str, client: Client, folder: StatusFolder) -> None:
    folder.backed_up(7200)
    response = client.get(path)
    assert (response.status_code, response.content) == (200, b"fresh")
    assert response["Content-Type"].startswith("text/plain")
    assert response["Cache-Control"] == "no-store"
    assert response["X-Backup-Status"] == "fresh"
    assert int(response["X-Backup-Age"]) - 7200 in {0, 1, 2}
    assert not response.cookies


def test_a_gate_lives_through_its_days(client: Client, folder: StatusFolder) -> None:
    assert word(client) == (200, "grace")
    folder.first_started(90000)
    assert word(client) == (503, "missing")
    folder.backed_up(60)
    assert word(client) == (200, "fresh")
    folder.backed_up(93602)
    assert word(client) == (503, "stale")
    folder.kept_open()
    assert word(client) == (200, "override")
    heartbeat.override_clear(folder.heartbeat)
    folder.heartbeat.write_bytes(b"\0")
    assert word(client) == (503, "invalid")
    assert "X-Backup-Age" not in client.get("/sentinel/ok")
    folder.backed_up(-3600)
    assert word(client) == (503, "invalid")
    folder.heartbeat.unlink()
    assert word(client) == (503, "missing")


def test_a_first_boot_that_vanishes_does_not_start_another_grace(
    client: Client, folder: StatusFolder
) -> None:
    folder.backed_up(10)
    assert word(client) == (200, "fresh")
    folder.heartbeat.unlink()
    heartbeat.first_boot_path(folder.heartbeat).unlink()
    assert word(client) == (503, "missing")


def test_a_required_verification_is_asked_for(
    client: Client, folder: StatusFolder, settings: Settings
) -> None:
    settings.SENTINEL = GateSettings(heartbeat_path=folder.heartbeat, verified_threshold_seconds=3600)
    folder.first_started(10**6)
    folder.backed_up(10)
    assert word(client) == (503, "unverified")
    folder.verified(3000)
    assert word(client) == (200, "fresh")
    folder.verified(3700)
    assert word(client) == (503, "unverified")


def test_a_stored_log_is_asked_for(client: Client, folder: StatusFolder, settings: Settings) -> None:
    settings.SENTINEL = GateSettings(heartbeat_path=folder.heartbeat, log_threshold_seconds=300)
    folder.first_started(10)
    folder.backed_up(10)
    folder.backed_up(10, "crm")
    # A status folder from before there were logs says nothing of one.
    folder.gated_by("orders", "crm")
    assert word(client) == (200, "fresh")

    folder.gated_by("orders", "crm", logged=["crm"])
    assert word(client) == (503, "stale")
    assert word(client, "/sentinel/ok/crm") == (503, "stale")
    assert word(client, "/sentinel/ok/orders") == (200, "fresh")

    folder.logged(200, "crm")
    assert word(client) == (200, "fresh")
    folder.logged(400, "crm")
    assert word(client) == (503, "stale")
    details = client.get("/sentinel/status").json()
    orders, crm = details["databases"]
    assert (details["database"], details["decided_by"]) == ("crm", "log")
    assert details["thresholds"]["log_threshold_seconds"] == 300
    assert (crm["status"], crm["is_logged"], crm["log_age_seconds"] >= 400) == ("stale", True, True)
    assert crm["last_logged"].endswith("Z")
    assert (orders["status"], orders["is_logged"], orders["last_logged"]) == ("fresh", False, None)

    folder.kept_open()
    assert word(client) == (200, "override")


def test_every_gating_database_must_be_fresh(client: Client, folder: StatusFolder) -> None:
    folder.first_started(10**6)
    folder.backed_up(10)
    folder.gated_by("orders", "ledger/2026")
    assert word(client) == (503, "missing")
    folder.backed_up(20, "ledger/2026")
    assert word(client) == (200, "fresh")
    folder.backed_up(10**6, "ledger/2026")
    assert word(client) == (503, "stale")
    assert word(client, "/sentinel/ok/orders") == (200, "fresh")
    assert word(client, "/sentinel/ok/ledger/2026") == (503, "stale")
    assert word(client, "/sentinel/ok/ledger%2F2026") == (503, "stale")


def test_a_database_may_be_asked_for_without_gating(client: Client, folder: StatusFolder) -> None:
    folder.backed_up(10)
    folder.backed_up(10, "archive")
    assert word(client, "/sentinel/ok/archive") == (200, "fresh")
    folder.backed_up(10**6, "archive")
    assert word(client, "/sentinel/ok/archive") == (503, "stale")
    assert word(client) == (200, "fresh")


@pytest.mark.parametrize("name", ["oders", "..", "../last_ok", "%2e%2e%2flast_ok", "%00", "a b"])
def test_an_unknown_database_is_closed_even_within_grace(
    name: str, client: Client, folder: StatusFolder
) -> None:
    assert word(client) == (200, "grace")
    folder.backed_up(10)
    assert word(client, f"/sentinel/ok/{name}") == (503, "missing")


def test_a_damaged_list_closes_the_gate(client: Client, folder: StatusFolder) -> None:
    folder.backed_up(10)
    heartbeat.gates_path(folder.heartbeat).write_text("[{")
    assert word(client) == (503, "invalid")
    assert word(client, "/sentinel/ok/orders") == (503, "invalid")
    assert "unreadable" in client.get("/sentinel/status").json()["reason"]


def test_head_is_get_without_a_body(client: Client, folder: StatusFolder) -> None:
    for seconds_ago in (10, 10**6):
        folder.backed_up(seconds_ago)
        get, head = client.get("/ok"), client.head("/ok")
        assert head.status_code == get.status_code
        assert head.content == b""
        assert head.headers["Content-Length"] == str(len(get.content))


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete", "options", "trace"])
@pytest.mark.parametrize("path", ["/sentinel/ok", "/ok", "/sentinel/ok/orders", "/sentinel/status"])
def test_other_methods_are_refused(method: str, path: str, client: Client, folder: StatusFolder) -> None:
    folder.backed_up(10)
    response = getattr(Client(enforce_csrf_checks=True), method)(path)
    assert response.status_code == 405
    assert response["Allow"] == "GET, HEAD"


def test_the_status_tells_the_details_and_no_paths(client: Client, folder: StatusFolder) -> None:
    folder.first_started(10**6)
    folder.backed_up(10**6)
    folder.kept_open()
    response = client.get("/sentinel/status")
    details = response.json()
    assert response.status_code == 200
    assert response["Cache-Control"] == "no-store"
    assert (details["open"], details["status"]) == (True, "override")
    assert list(details["override"]) == ["until"]
    assert details["override"]["until"].endswith("Z")
    # Neither who keeps it open nor what they wrote, which those alone read who sign in.
    assert "anna" not in response.content.decode()
    assert details["thresholds"]["threshold_seconds"] == 93600
    [orders] = details["databases"]
    assert (orders["name"], orders["open"], orders["status"]) == ("orders", False, "stale")
    assert orders["last_ok"].endswith("Z")
    assert orders["last_verified"] is None
    assert str(folder.heartbeat.parent) not in json.dumps(details)


@pytest.mark.parametrize("path", ["/sentinel/ok", "/ok", "/sentinel/ok/orders", "/sentinel/status"])
def test_a_failure_of_the_gate_is_closed_and_shows_nothing(
    path: str, client: Client, folder: StatusFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.backed_up(10)

    def fail(*arguments: object) -> None:
        raise RuntimeError("something secret")

    monkeypatch.setattr(heartbeat, "gates_read", fail)
    assert word(client, path) == (503, "invalid")


@pytest.mark.parametrize("path", ["/", "/sentinel", "/sentinel/ok/", "/okay"])
def test_other_addresses_are_plain_404(path: str, client: Client) -> None:
    response = client.get(path)
    assert (response.status_code, response.content) == (404, b"not found")


@pytest.mark.parametrize("seconds_ago", [10, 10**6, None])
def test_the_short_way_of_the_process_answers_what_the_view_answers(
    seconds_ago: int | None, client: Client, folder: StatusFolder
) -> None:
    folder.first_started(10**6)
    if seconds_ago is not None:
        folder.backed_up(seconds_ago)
    body, code, headers = views.answer()
    response = client.get("/ok")
    assert (response.content.decode(), response.status_code) == (body, code)
    assert set(headers) <= set(response.headers)
    assert response["X-Backup-Status"] == headers["X-Backup-Status"]


def test_server_error_is_closed() -> None:
    environ: dict[str, object] = {"wsgi.input": io.BytesIO()}
    setup_testing_defaults(environ)
    from django.core.handlers.wsgi import WSGIRequest

    response = views.server_error(WSGIRequest(environ))
    assert (response.status_code, response.content) == (503, b"invalid")


@pytest.mark.parametrize("path", ["/sentinel/ok", "/ok", "/sentinel/ok/orders"])
def test_a_drill_is_told_stale_and_everybody_else_the_truth(
    path: str, client: Client, folder: StatusFolder
) -> None:
    folder.backed_up(60)
    folder.kept_open()
    drill = heartbeat.drill_begin(folder.heartbeat, folder.ago(0))
    drilled = client.get(path, headers={"X-Vedetta-Drill": drill.word})
    assert (drilled.status_code, drilled.content) == (503, b"stale")
    assert (drilled["X-Backup-Status"], drilled["Cache-Control"]) == ("stale", "no-store")
    assert client.get(path, headers={"X-Vedetta-Drill": "f" * 32}).content == b"fresh"
    assert word(client, path) == (200, "fresh")
    assert client.get("/sentinel/status", headers={"X-Vedetta-Drill": drill.word}).json()["open"]
    heartbeat.drill_end(folder.heartbeat, drill, folder.ago(0))
    assert client.get(path, headers={"X-Vedetta-Drill": drill.word}).content == b"fresh"
