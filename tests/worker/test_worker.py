"""The main job as it really runs: a click in the portal, a worker's process, and the gate that opens."""

from __future__ import annotations

import http.cookiejar
import re
import time
import urllib.error
import urllib.parse
import urllib.request

import pytest
from django.urls import reverse

from tests.backups.conftest import MakePortal
from tests.backups.worlds import Portal, Shop, wait_until

PASSWORD = "of the tests' administrator"


class Browser:
    """What a person's browser does: keeps cookies, sends forms with their tokens."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._opener = urllib.request.build_opener(
            urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
        )

    def get(self, path: str) -> str:
        """A page."""
        return self._open(urllib.request.Request(self.address + path))[1]

    def post(self, path: str, **fields: str) -> tuple[str, str]:
        """Send the form on a page; gives where it led, and that page."""
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', self.get(path))
        assert token, f"no form at {path}"
        data = urllib.parse.urlencode({"csrfmiddlewaretoken": token[1], **fields}).encode()
        return self._open(urllib.request.Request(self.address + path, data=data))

    def sign_in(self, name: str, password: str) -> None:
        """Through the sign-in page."""
        place, _ = self.post(reverse("admin:login"), username=name, password=password)
        assert "login" not in place

    def _open(self, request: urllib.request.Request) -> tuple[str, str]:
        with self._opener.open(request, timeout=30) as response:
            return response.geturl().removeprefix(self.address), response.read().decode()


def asked(address: str) -> tuple[int, str]:
    """What the gate answers."""
    try:
        with urllib.request.urlopen(f"{address}/sentinel/ok", timeout=10) as response:
            return response.status, response.read().decode().strip()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode().strip()


# tests/run/test_portal_alone.py has it of the portal as it is shipped.
@pytest.mark.soak
def test_backup_asked_for_in_the_portal_opens_the_gate(shop: Shop, make_portal: MakePortal) -> None:
    portal = make_portal(shop, PORTAL_ADMIN_PASSWORD=PASSWORD, SENTINEL_BOOT_GRACE_SECONDS="0")
    with portal.served() as address, portal.worker():
        assert asked(address) == (503, "missing")
        browser = Browser(address)
        browser.sign_in("admin", PASSWORD)
        database = portal.rows("SELECT id FROM backups_database")[0]["id"]

        place, page = browser.post(
            reverse("admin:backups_database_back_up", args=[database]), _form_submitted="on"
        )

        run = portal.run()
        assert place == reverse("admin:backups_run_change", args=[run["id"]])
        assert f"Backup {run['id']}" in page
        assert (run["trigger"], run["requested_by_id"]) == ("admin", 1)
        wait_until(lambda: portal.run()["status"] == "succeeded", "the worker to back up")
        assert asked(address) == (200, "fresh")
        assert portal.run()["snapshot_id"] is not None
        assert portal.snapshots()[0]["id"][:8] in browser.get(place)


@pytest.mark.soak
def test_cancel_in_the_portal_stops_a_running_backup_within_five_seconds(
    shop: Shop, make_portal: MakePortal
) -> None:
    portal = make_portal(shop, PORTAL_ADMIN_PASSWORD=PASSWORD, SENTINEL_BOOT_GRACE_SECONDS="0")
    with portal.served() as address, portal.worker():
        browser = Browser(address)
        browser.sign_in("admin", PASSWORD)
        database = portal.rows("SELECT id FROM backups_database")[0]["id"]
        with shop.held("orders"):
            browser.post(reverse("admin:backups_database_back_up", args=[database]), _form_submitted="on")
            shop.wait_for_a_waiting_dump()
            run = portal.run()["id"]
            browser.post(reverse("admin:backups_run_cancel", args=[run]), _form_submitted="on")
            began = time.monotonic()
            wait_until(lambda: portal.run(run)["status"] != "running", "the run to stop")
            took = time.monotonic() - began
        assert portal.run(run)["status"] == "cancelled"
        assert took < 5
        assert portal.snapshots() == []
        assert asked(address) == (503, "missing")


# tests/faults/test_scheduler.py has scheduled times that were missed.
@pytest.mark.soak
def test_scheduled_backup_is_queued_and_run(mariadb_portal: Portal) -> None:
    portal = mariadb_portal
    portal.shell(
        "from django_q.models import Schedule; from django.utils import timezone;"
        "Schedule.objects.filter(func='backups.tasks.backup_due').update(next_run=timezone.now())"
    )

    with portal.worker():
        backups = "SELECT * FROM backups_run WHERE action = 'backup'"
        wait_until(lambda: portal.rows(backups), "the schedule's run", 90)
        wait_until(lambda: portal.run()["status"] == "succeeded", "the worker to back up")

    assert portal.run()["trigger"] == "schedule"
    assert len(portal.snapshots()) == 1
