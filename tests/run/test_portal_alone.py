"""The portal as it is shipped, without any secret of a server or repository; the worker has them all."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from django.urls import reverse

from portal import servers_secrets
from tests.backups.conftest import MakePortal
from tests.backups.worlds import PROJECT, RESTIC_PASSWORD, Portal, Shop, wait_until
from tests.security.test_kept_secret import assert_no_core_dumps
from tests.servers.processes import Server, answers_http
from tests.worker.test_worker import PASSWORD, Browser, asked
from tools.ports import free_port

SETTINGS = {"PORTAL_ADMIN_PASSWORD": PASSWORD, "WEB_CONCURRENCY": "1", "SENTINEL_BOOT_GRACE_SECONDS": "0"}


@contextmanager
def served(portal: Portal, environment: dict[str, str]) -> Iterator[Browser]:
    """The portal with this environment and nothing of the tests' own, signed in to."""
    bind = f"127.0.0.1:{free_port()}"
    own = {name: os.environ[name] for name in ("PATH", "SECRET_KEY")} | {"PORTAL_BIND": bind}
    given = [f"{name}={value}" for name, value in (environment | own).items()]
    server = Server(
        [
            "env", "-i", *given,
            sys.executable, "-m", "gunicorn", "-c", "portal/gunicorn.conf.py", "portal.wsgi",
        ],
        log=portal.folder / "portal.log",
        cwd=PROJECT,
        env={},
        ready=lambda: answers_http(f"http://{bind}/sentinel/ok"),
    )  # fmt: skip
    with server:
        browser = Browser(f"http://{bind}")
        browser.sign_in("admin", PASSWORD)
        yield browser


def sidebar(page: str) -> list[str]:
    """Where the links of a page's sidebar lead, within the portal."""
    navigation = page.partition("<main")[0] or page
    return sorted({link.replace("&amp;", "&") for link in re.findall(r'href="(/admin/[^"]*)"', navigation)})


def test_it_shows_each_page_and_has_the_worker_back_up_which_opens_the_gate(
    mariadb_shop: Shop, make_portal: MakePortal
) -> None:
    """And none of all that runs then would leave its memory on a disk."""
    portal = make_portal(mariadb_shop, **SETTINGS)
    assert portal.backup().code == 0
    portal.heartbeat_path.unlink()
    given = servers_secrets.without(portal.environment)
    assert set(portal.environment) - set(given) == {"RESTIC_PASSWORD", "MYSQL_PASSWORD"}
    row = portal.rows("SELECT id FROM backups_database")[0]["id"]

    with served(portal, given) as browser, portal.worker() as worker:
        assert asked(browser.address) == (503, "missing")
        pages = sidebar(browser.get(reverse("admin:index")))
        assert len(pages) >= 14
        for page in pages:
            if "logout" not in page:
                assert "<html" in browser.get(page), page
        for name in ("database", "repository", "snapshot", "run"):
            found = portal.rows(f"SELECT id FROM backups_{name}")[0]["id"]
            assert "<html" in browser.get(reverse(f"admin:backups_{name}_change", args=[found]))
        with mariadb_shop.held("orders"):
            place, page = browser.post(
                reverse("admin:backups_database_back_up", args=[row]), _form_submitted="on"
            )
            mariadb_shop.wait_for_a_waiting_dump()
            assert_no_core_dumps(portal, worker.pid)
        run = portal.run()
        assert place == reverse("admin:backups_run_change", args=[run["id"]])
        assert f"Backup {run['id']}" in page
        wait_until(lambda: portal.run()["status"] == "succeeded", "the worker to back up")
        assert asked(browser.address) == (200, "fresh")
        newest = max(portal.snapshots(), key=lambda snapshot: str(snapshot["time"]))
        assert newest["id"][:8] in browser.get(place)

    assert (portal.run()["trigger"], portal.run()["requested_by_id"]) == ("admin", 1)
    assert portal.rows("SELECT secrets FROM backups_portalstart") == [{"secrets": "[]"}]
    assert "was started with secrets" not in (portal.folder / "portal.log").read_text()


def test_what_it_is_given_all_the_same_is_told_by_name_and_stops_nothing(
    mariadb_shop: Shop, make_portal: MakePortal
) -> None:
    """As an installation has it that goes on with the unit or the Compose file of before."""
    portal = make_portal(mariadb_shop, **SETTINGS)
    further = {"SECRET_REFERENCES": "P*,SHOP*", "SHOPPW": "hunter2", "MYSQL_PASSWORD_SHOP": "hunter2"}

    with served(portal, portal.environment | further) as browser:
        shown = browser.get(reverse("admin:index"))
    told = portal.manage("preflight", "--json")
    status = portal.manage("status", "--json")

    found = (
        "started with secrets that only the worker needs: "
        "MYSQL_PASSWORD, MYSQL_PASSWORD_SHOP, RESTIC_PASSWORD, SHOPPW."
    )
    assert found in shown
    assert told.code == 0, told.err
    (warning,) = (each for each in told.json["checks"] if found in each["detail"])
    assert (warning["name"], warning["ok"]) == ("warning", True)
    assert "Start the portal without them" in warning["detail"]
    assert status.code in (0, 1)
    log = (portal.folder / "portal.log").read_text()
    assert found in log
    for text in (shown, told.out, log, str(portal.rows("SELECT * FROM backups_portalstart"))):
        assert RESTIC_PASSWORD not in text
        assert mariadb_shop.password not in text
        assert "hunter2" not in text
