"""A DELETE that took rows along by foreign keys is found in the list and undone, while somebody writes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.backups.worlds import Shop, wait_until
from tests.browser.accidents import apply, assert_fit_for_all, somebody_writes
from tests.browser.conftest import Person, Site
from tests.browser.test_moments import A_RUN_MS, STORED_SECONDS, site, switch_on, until_shown

__all__ = ["site"]

# It waits for the log to be fetched.
pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.soak, pytest.mark.timeout(1800)]

TABLES = """
DROP TABLE visits;
CREATE TABLE visits (id INT PRIMARY KEY);
CREATE TABLE people (id INT PRIMARY KEY, name VARCHAR(50));
CREATE TABLE purchases (id INT PRIMARY KEY, person INT,
  FOREIGN KEY (person) REFERENCES people (id) ON DELETE CASCADE);
CREATE TABLE reviews (id INT PRIMARY KEY, person INT,
  FOREIGN KEY (person) REFERENCES people (id) ON DELETE SET NULL);
"""
TOLD = ("people", "purchases", "reviews")


def state(shop: Shop) -> dict[str, list[tuple[object, ...]]]:
    """All rows that the DELETE has met."""
    return {table: shop.query(f"SELECT * FROM {table} ORDER BY id") for table in TOLD}


def take_back(page: Page, shop: Shop, known: set[str], why: str) -> None:
    """Have the undo of what a page tells proved, and apply it."""
    page.get_by_role("button", name="Undo").click()
    page.wait_for_url(lambda url: url.endswith("/rows-back/") and url not in known)
    known.add(page.url)
    apply(page, shop, why)


def test_a_delete_with_cascades_is_found_undone_done_again_and_undone_again(
    site: Site, sign_in: Callable[..., Person]
) -> None:
    shop = site.shop
    shop.execute(TABLES)
    page = sign_in("administrator").page
    switch_on(site, page)
    done = "SELECT 1 FROM backups_run WHERE action = 'backup' AND status = 'succeeded'"
    wait_until(lambda: site.portal.rows(done), "the backup to follow the log from", STORED_SECONDS)
    until_shown(site, page, "Restorable to any moment")

    page = sign_in("restorer").page
    with somebody_writes(shop):
        both = ", ".join(f"({number}, {number})" for number in range(1, 41))
        shop.execute(f"INSERT INTO people VALUES {both}; INSERT INTO purchases VALUES {both}")
        shop.execute(f"INSERT INTO reviews VALUES {both}")
        before = state(shop)
        shop.execute("DELETE FROM people WHERE id > 5")
        after = state(shop)
        page.goto(f"{site.url}/admin/backups/database/1/transactions/?table=people&kind=delete")
        until_shown(site, page, "35 deleted")
        assert_fit_for_all(page)
        page.get_by_role("button", name="Undo this one").click()
        page.wait_for_url("**/backups/run/*/change/")
        run = page.locator("#run")
        # The server that replays it deletes and changes by foreign keys what the log does not tell.
        expect(run).to_contain_text("35 gone, 0 new, 0 changed", timeout=A_RUN_MS)
        expect(run).to_contain_text("0 gone, 0 new, 35 changed")
        page.get_by_role("link", name="See these rows and give them back").click()
        for table in TOLD:
            for tick in page.get_by_role("row", name=table).locator("input[name=all]").all():
                tick.check()
        page.get_by_role("button", name="Write the script and prove it").click()
        page.wait_for_url("**/rows-back/")
        known = {given := page.url}
        apply(page, shop, "It should never have been run.")
        assert state(shop) == before
        assert_fit_for_all(page)

        take_back(page, shop, known, "It was right after all.")
        assert state(shop) == after
        expect(page.locator("#rows-back")).to_contain_text("Does again")
        take_back(page, shop, known, "No, it was wrong.")
        assert state(shop) == before
    page.goto(given)
    expect(page.locator("#rows-back")).to_contain_text("Undoes")
    page.locator("#rows-back a[href*='/transactions/']").click()
    expect(page.get_by_text("35 deleted")).to_be_visible()
