"""Rows that were deleted, changed and replaced by accident are given back, while somebody goes on writing."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Page, expect

from tests.backups.worlds import Shop
from tests.browser.axe import graves
from tests.browser.conftest import Person, Site

A_RUN_MS = 120_000
HOSTILE = """'</td><script>alert(1)</script>*/ -- ` \\\\' 😀 \n"""
TABLES = """
CREATE TABLE people (id INT PRIMARY KEY AUTO_INCREMENT, name VARCHAR(200) CHARSET utf8mb4) ENGINE=InnoDB;
CREATE TABLE purchases (id INT PRIMARY KEY, person INT,
  FOREIGN KEY (person) REFERENCES people (id) ON DELETE CASCADE) ENGINE=InnoDB;
CREATE TABLE purchase_lines (id INT PRIMARY KEY, purchase INT,
  FOREIGN KEY (purchase) REFERENCES purchases (id) ON DELETE CASCADE) ENGINE=InnoDB;
CREATE TABLE line_notes (id INT PRIMARY KEY, line INT,
  FOREIGN KEY (line) REFERENCES purchase_lines (id) ON DELETE CASCADE) ENGINE=InnoDB;
CREATE TABLE returns (id INT PRIMARY KEY, line INT, note INT,
  FOREIGN KEY (line) REFERENCES purchase_lines (id) ON DELETE SET NULL,
  FOREIGN KEY (note) REFERENCES line_notes (id) ON DELETE SET NULL) ENGINE=InnoDB;
CREATE TABLE reviews (id INT PRIMARY KEY, person INT, words TEXT,
  FOREIGN KEY (person) REFERENCES people (id) ON DELETE SET NULL) ENGINE=InnoDB;
CREATE TABLE prices (sku VARCHAR(10) PRIMARY KEY, cents INT) ENGINE=InnoDB;
CREATE TABLE goods (id INT PRIMARY KEY, cents INT, stock INT) ENGINE=InnoDB;
CREATE TABLE imported (id INT PRIMARY KEY, cents INT) ENGINE=InnoDB;
CREATE TABLE audit (person INT) ENGINE=InnoDB;
CREATE TABLE visits (id INT PRIMARY KEY) ENGINE=InnoDB;
CREATE TRIGGER greet AFTER INSERT ON people FOR EACH ROW INSERT INTO audit VALUES (NEW.id);
"""
TOLD = (
    "people", "purchases", "purchase_lines", "line_notes", "returns", "reviews", "prices", "imported",
)  # fmt: skip
ACCIDENTS = """
DELETE FROM people;
UPDATE prices SET cents = 0;
UPDATE goods SET cents = 0, stock = stock - 1;
DELETE FROM imported; INSERT INTO imported VALUES (101, 1), (102, 2);
"""


def fill(shop: Shop, each: int) -> None:
    """Thirty people with so many purchases each, their lines, notes of these, what was returned of both;
    reviews, prices, and what an import will replace."""
    shop.execute(TABLES)
    for number in range(1, 31):
        name = HOSTILE if number == 7 else f"person {number}"
        shop.execute(f"SET NAMES utf8mb4; INSERT INTO people VALUES ({number}, 0x{name.encode().hex()})")
    both = ", ".join(f"({n}, {n % 30 + 1})" for n in range(1, 30 * each + 1))
    shop.execute(f"INSERT INTO purchases VALUES {both}; INSERT INTO purchase_lines VALUES {both}")
    shop.execute("INSERT INTO line_notes SELECT id, id FROM purchase_lines")
    shop.execute("INSERT INTO returns SELECT id, id, id FROM purchase_lines WHERE id % 3 = 0")
    shop.execute("INSERT INTO reviews SELECT id, id, CONCAT('review ', id) FROM people")
    shop.execute("INSERT INTO prices SELECT CONCAT('sku ', id), 100 * id FROM people")
    shop.execute("INSERT INTO goods SELECT id, 100 * id, 5 FROM people")
    shop.execute("INSERT INTO imported SELECT id, 10 * id FROM people; DELETE FROM audit")


def state(shop: Shop) -> dict[str, list[tuple[Any, ...]]]:
    """All rows of the tables that an accident has met."""
    return {table: shop.query(f"SELECT * FROM {table} ORDER BY 1") for table in TOLD}


def prices_and_stock(shop: Shop) -> list[tuple[Any, ...]]:
    """Of all goods together."""
    return shop.query("SELECT SUM(cents), SUM(stock) FROM goods")


@contextmanager
def somebody_writes(shop: Shop) -> Iterator[Callable[[], int]]:
    """Rows come all the time, which nothing may take away; tells how many so far."""
    stopped, numbers = threading.Event(), itertools.count(1)
    written: list[int] = []

    def write() -> None:
        while not stopped.wait(0.1):
            number = next(numbers)
            shop.execute(f"INSERT INTO visits VALUES ({number})")
            written.append(number)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield lambda: len(written)
    finally:
        stopped.set()
        thread.join()
    assert len(shop.query("SELECT id FROM visits")) == len(written)


def assert_fit_for_all(page: Page) -> None:
    """Nobody is kept out, and nothing is too wide for a phone."""
    assert graves(page) == []
    size = page.viewport_size
    assert size is not None
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth - window.innerWidth") <= 0
    page.set_viewport_size(size)


def apply(page: Page, shop: Shop, why: str) -> None:
    """On the page of a script: wait for its proof, say why, type the name, go."""
    story = page.locator("#rows-back")
    expect(story).to_contain_text("Proved on a copy of", timeout=A_RUN_MS)
    page.get_by_label("Why").fill(why)
    page.get_by_label("Type ").fill("something else")
    triggers = page.get_by_label("I know of this")
    if triggers.count():
        triggers.check()
    page.get_by_role("button", name="Give the rows back").click()
    expect(page.get_by_text("This is not the database's name.")).to_be_visible()
    page.get_by_label("Type ").fill(shop.name)
    page.get_by_role("button", name="Give the rows back").click()
    expect(story).to_contain_text("Given back, all in one transaction", timeout=A_RUN_MS)


def play_accident(site: Site, sign_in: Callable[..., Person], each: int = 2) -> None:
    """Rows are deleted down three levels of keys, changed, replaced; given back, taken back, and again."""
    shop = site.shop
    fill(shop, each)
    assert site.portal.backup().code == 0
    before = state(shop)
    page = sign_in("restorer").goto("/admin/backups/snapshot/")
    with somebody_writes(shop):
        shop.execute(ACCIDENTS)
        after = state(shop)
        page.locator("#result_list tbody a").first.click()
        page.locator("#header-inner").get_by_text("What changed since").click()
        page.get_by_role("dialog").get_by_role("button", name="Compare").click()
        page.wait_for_url("**/backups/run/*/change/")
        expect(page.locator("#run")).to_contain_text("30 gone, 0 new, 0 changed", timeout=A_RUN_MS)
        page.get_by_role("link", name="See these rows and give them back").click()

        page.get_by_role("button", name="See the rows of people").click()
        page.get_by_label("Rows where").fill("id = 7")
        page.keyboard.press("Enter")
        expect(page.locator("#rows")).to_be_visible()
        expect(page.get_by_text("1 to 1 of 1")).to_be_visible()
        expect(page.get_by_text("<script>alert(1)</script>*/").first).to_be_visible()
        assert_fit_for_all(page)
        for table in TOLD:
            for tick in page.get_by_role("row", name=table).locator("input[name=all]").all():
                tick.check()
        # Goods were sold rightly: only what they cost comes back.
        goods = page.get_by_role("row", name="goods")
        goods.locator("input[name=all]").check()
        goods.get_by_text("Only some columns").click()
        goods.get_by_label("cents").check()
        page.get_by_role("button", name="Write the script and prove it").click()
        page.wait_for_url("**/rows-back/")
        expect(page.locator("#rows-back")).to_contain_text("Trigger greet of people", timeout=A_RUN_MS)
        given = page.url
        page.get_by_role("link", name="Read the script").click()
        expect(page.locator(".v-script")).to_contain_text("INSERT INTO `people`")
        page.get_by_role("link", name="people").click()
        expect(page.get_by_text("'person 30'")).to_be_visible()
        assert_fit_for_all(page)
        page.goto(given)
        assert_fit_for_all(page)
        expect(page.locator("#rows-back")).to_contain_text("of goods get back these columns alone: cents.")
        apply(page, shop, "The clean-up went wrong.")
        assert state(shop) == before
        assert prices_and_stock(shop) == [(46_500, 120)]

        page.get_by_role("button", name="Undo").click()
        page.wait_for_url(lambda url: url.endswith("/rows-back/") and url != given)
        undo = page.url
        apply(page, shop, "It was right after all.")
        assert state(shop) == after
        assert prices_and_stock(shop) == [(0, 120)]

        page.get_by_role("button", name="Undo").click()
        page.wait_for_url(lambda url: url.endswith("/rows-back/") and url not in {given, undo})
        apply(page, shop, "No, it was wrong.")
        assert state(shop) == before
    page.goto(given)
    expect(page.locator("#rows-back")).to_contain_text("Taken back")
