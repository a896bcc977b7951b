"""From the switch to a restore to just before a DELETE, found in the list of transactions, in a browser."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.backups.worlds import wait_until
from tests.browser.accidents import assert_fit_for_all
from tests.browser.conftest import Person, Site, _worker, opened
from tests.shipping.conftest import logging

# It waits for the log to be fetched.
pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(900)]

A_RUN_MS = 240_000
# Its log is fetched once a minute, in the worst case.
STORED_SECONDS = 240


@pytest.fixture(scope="module")
def site(restic_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A shop on a server with a log that its user may replay, but not yet read."""
    with (
        logging("mariadb") as server,
        opened(server, restic_path, tmp_path_factory, {"REPLAY_ON_LIVE": "true"}) as site,
    ):
        server.execute("SET GLOBAL log_bin_trust_function_creators = 1")
        server.execute(f"GRANT BINLOG REPLAY ON *.* TO '{site.shop.user}'@'%'")
        site.shop.execute("CREATE TABLE visits (id INT PRIMARY KEY, note VARCHAR(20))")
        with _worker(site.portal):
            yield site


def switch_on(site: Site, page: Page) -> None:
    """Run what the page says is missing, and have the log stored."""
    page.goto(f"{site.url}/admin/backups/database/1/change/?tab=moments")
    page.get_by_role("link", name="Store the log").click()
    page.get_by_role("button", name="Look at the server").click()
    expect(page.locator("#answer")).to_contain_text("It cannot be stored yet")
    for statement in page.locator("#grants").inner_text().splitlines():
        site.shop.server.execute(statement.rstrip(";"))
    assert_fit_for_all(page)
    page.get_by_role("button", name="Look once more").click()
    expect(page.locator("#answer")).to_contain_text("Nothing is in the way")
    page.get_by_label("Why?").fill("Orders must not be lost.")
    page.get_by_role("button", name="Store the log").click()
    expect(page.locator("#answer")).to_contain_text("stored from the next backup on")
    page.get_by_role("link", name="See its moments").click()


def until_shown(site: Site, page: Page, text: str) -> None:
    """Load a page anew until it says something, as somebody who waits does.

    What fetches the log for the worker does so each minute. Here it is ended, as nobody else may fetch at the
    same time, and somebody at a terminal fetches what there is. The worker begins it again.
    """
    for pid, command in site.portal.processes().items():
        if "archive_logs" in command:
            os.kill(pid, signal.SIGTERM)
    until = time.monotonic() + STORED_SECONDS
    while page.get_by_text(text).count() == 0:
        assert time.monotonic() < until, page.locator("#main").inner_text()
        fetched = site.portal.manage("archive_logs", "--once")
        assert fetched.code == 0, fetched.err
        page.reload()


def test_a_delete_is_found_in_the_list_and_the_database_is_had_as_it_was_just_before(
    site: Site, sign_in: Callable[..., Person]
) -> None:
    shop = site.shop
    page = sign_in("administrator").page
    switch_on(site, page)
    done = "SELECT 1 FROM backups_run WHERE action = 'backup' AND status = 'succeeded'"
    wait_until(lambda: site.portal.rows(done), "the backup to follow the log from", STORED_SECONDS)
    until_shown(site, page, "Restorable to any moment")
    assert_fit_for_all(page)

    rows = ", ".join(f"({number}, 'seen')" for number in range(1, 41))
    shop.execute(f"INSERT INTO visits VALUES {rows}")
    shop.execute("UPDATE visits SET note = 'paid' WHERE id = 7")
    shop.execute("DELETE FROM visits")
    shop.execute("INSERT INTO visits VALUES (41, 'later')")

    page = sign_in("restorer").page
    page.goto(f"{site.url}/admin/backups/database/1/transactions/?table=visits&kind=delete")
    until_shown(site, page, "40 deleted")
    assert_fit_for_all(page)
    page.get_by_role("link", name="Restore to just before this").click()
    target = f"{shop.name}_then"
    page.get_by_label("Name of the new database").fill(target)
    page.get_by_label("Why").fill("Somebody deleted all visits.")
    page.get_by_role("button", name="Show what will happen").click()
    expect(page.locator("#plan")).to_contain_text("First one left out")
    assert_fit_for_all(page)
    page.get_by_role("button", name="Restore now").click()
    page.wait_for_url("**/backups/restore/*/change/")
    expect(page.locator("#restore")).to_contain_text("Succeeded", timeout=A_RUN_MS)

    counted = shop.server.query("SELECT COUNT(*), SUM(note = 'paid') FROM visits", target)
    assert [tuple(map(int, row)) for row in counted] == [(40, 1)]
    assert shop.query("SELECT id FROM visits") == [(41,)]
