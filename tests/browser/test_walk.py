"""People of each role go wherever the portal leads them, and press whatever there is to press.

No page, menu, dialog or download breaks, and none needs what the content security policy forbids: either
ends among what went wrong in the browser, and fails the test.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Person, Site, opened
from tests.downloads.serving import downloads_alone
from tests.servers import DatabaseServer

pytestmark = [pytest.mark.browser, pytest.mark.soak, pytest.mark.timeout(3600)]

SignIn = Callable[..., Person]
# How many pages are looked at that differ by a number alone.
ALIKE = 3
# The fewest that each comes to; a walk that went astray would pass with none.
FEWEST = {"viewer": 60, "operator": 60, "restorer": 65, "administrator": 80, "admin": 110}

# Rows of every kind, beside what a real backup and its verification left.
FILL = """
from backups.models import Database, Repository, Run
from tests.security.conftest import a_row_of_each_kind
from tools import history
Repository.objects.update(name="real")
Database.objects.update(name="real", is_primary=False)
a_row_of_each_kind(history.make(days=30))
"""
# Runs differ most from each other: one of each action and end. Then the newest rows of each other kind.
STARTS = """
from backups.models import Alert, Database, Repository, Restore, Run, Snapshot, Verification
runs = {(run.action, run.status, run.trigger): run for run in Run.objects.order_by("pk")}.values()
rows = [row for kind in (Alert, Database, Repository, Restore, Snapshot, Verification)
        for row in kind.objects.order_by("-pk")[:3]]
for row in [*runs, *rows]:
    print(f"/admin/backups/{row._meta.model_name}/{row.pk}/change/")
"""

# The first thing on the page that can be pressed and was not yet: told by what it does, without numbers, so
# that a list's rows count once. Links to other pages are what the walk follows.
PRESS = r"""(pressed) => {
  for (const element of document.querySelectorAll("[x-on\\:click], [hx-get]:not(input)")) {
    if (element.matches("a[href]:not([hx-get]):not([href='#'])")) continue;
    const what = ["hx-get", "x-on:click", "title"].map((name) => element.getAttribute(name)).join(" ")
      + element.textContent.trim().slice(0, 40);
    const key = what.replace(/\d+/g, "N");
    if (!pressed.includes(key)) {
      element.click();
      return { key, dialog: element.getAttribute("hx-target") === "#modal-content" };
    }
  }
  return null;
}"""
LINKS = "() => [...document.querySelectorAll('a[href]:not([hx-get])')].map((link) => link.href)"


@pytest.fixture(scope="module")
def site(
    mariadb_server: DatabaseServer, restic_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    """A portal with rows of every kind and one real backup. No worker: it would end what only rows say."""
    with opened(mariadb_server, restic_path, tmp_path_factory) as site:
        assert site.portal.backup().code == 0
        assert site.portal.manage("verify").code == 0
        site.portal.shell(FILL)
        yield site


@pytest.mark.parametrize("name", FEWEST)
def test_wherever_the_portal_leads_nothing_breaks(site: Site, sign_in: SignIn, name: str) -> None:
    person = sign_in(name)
    to_see = ["/admin/", *site.portal.shell(STARTS).split()]
    seen: set[str] = set()
    shapes: Counter[str] = Counter()
    broken, pressed = [], set()
    starts = len(to_see)
    while to_see:
        address = to_see.pop(0)
        starts -= 1
        if address in seen or (starts < 0 and shapes[shape(address)] >= ALIKE):
            continue
        seen.add(address)
        shapes[shape(address)] += 1
        answer = person.page.goto(person.url + address)
        if answer is None or answer.status != 200:
            broken.append(f"{address}: {answer and answer.status}")
            person.wrong.clear()
            continue
        to_see += links(person)
        pressed |= press_everything(person.page)
        if person.wrong:
            broken.append(f"{address}: {person.wrong}")
            person.wrong.clear()
    assert broken == []
    assert len(seen) >= FEWEST[name]
    assert len(pressed) >= 12


def shape(address: str) -> str:
    """An address without its numbers, and without what is asked for after the question mark."""
    parts = urlsplit(address)
    asked = sorted(key for key, _ in parse_qsl(parts.query, keep_blank_values=True))
    return re.sub(r"\d+", "N", parts.path) + "?" + "&".join(asked)


def links(person: Person) -> list[str]:
    """Where the page leads within the portal."""
    found = []
    for link in person.page.evaluate(LINKS):
        if link.startswith(f"{person.url}/admin/"):
            address = link.removeprefix(person.url).partition("#")[0]
            # Downloads have a test of their own.
            if not address.endswith("/log.txt"):
                found.append(address)
    return found


def press_everything(page: Page) -> set[str]:
    """Press each thing that opens, closes or switches something; dialogs come, and go by Escape."""
    pressed: list[str] = []
    while (what := page.evaluate(PRESS, pressed)) is not None:
        pressed.append(what["key"])
        if what["dialog"]:
            expect(page.locator("#dialog")).to_be_visible()
            assert page.locator("#dialog-title, #dialog [role=alert]").first.inner_text()
            page.keyboard.press("Escape")
            expect(page.locator("#dialog")).to_be_hidden()
    page.wait_for_timeout(50)  # errors of expressions are thrown a moment later
    return set(pressed)


def test_everything_that_is_downloaded_arrives(site: Site, sign_in: SignIn) -> None:
    person = sign_in("restorer")
    (snapshot,) = site.portal.rows(
        "SELECT id, made_by_id FROM backups_snapshot WHERE path LIKE ?", f"%{site.shop.name}.sql"
    )
    page = person.goto(f"/admin/backups/snapshot/{snapshot['id']}/restore/")
    page.get_by_label("Download the SQL to this computer").check()
    page.get_by_label("Why").fill("To look at it.")
    page.get_by_role("button", name="Show what will happen").click()
    with downloads_alone(site.portal):
        with page.expect_download() as download:
            page.get_by_role("button", name="Download").click()
        assert b"CREATE TABLE `customers`" in Path(download.value.path()).read_bytes()

    page = person.goto(f"/admin/backups/run/{snapshot['made_by_id']}/change/")
    page.locator("a[href$='log.txt']").first.click()
    page.wait_for_url("**/log.txt")
    expect(page.get_by_text("Heartbeat written")).to_be_visible()


def test_pages_that_refuse_break_nothing_either(site: Site, sign_in: SignIn) -> None:
    person = sign_in("viewer")
    for address, status in (
        ("/admin/no/such/page/", 404),
        ("/no/such/page", 404),
        ("/admin/backups/database/1/back_up/", 403),
        ("/sentinel/status", 200),
        ("/admin/password_change/", 200),
        ("/static/vedetta/vedetta.js", 200),
    ):
        answer = person.page.goto(person.url + address)
        assert answer is not None
        assert answer.status == status, address
        assert person.forbidden() == [], address
    person.goto("/admin/")
    person.wrong.clear()  # the browser's own words for each that was refused
