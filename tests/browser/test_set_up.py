"""From a portal that knows nothing to a backup that was proved, by what the portal shows alone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from tests.backups.light_key import make_light
from tests.backups.worlds import Portal, make_shop
from tests.browser.conftest import FLAGS, MAKE_PEOPLE, PASSWORD, Site, _worker
from tests.browser.test_portal import SignIn
from tests.restoring.stories import drop_all
from tests.servers import DatabaseServer
from tools.system import find_browser

pytestmark = [pytest.mark.browser, pytest.mark.slow]

OF_THE_REPOSITORY = "typed once, and kept elsewhere"
A_RUN_MS = 60_000
# What else tells a portal of its first database and repository.
TOLD = ("MYSQL_HOST", "MYSQL_PORT", "MYSQL_DATABASE", "MYSQL_USER", "MYSQL_PASSWORD", "RESTIC_REPOSITORY",
        "RESTIC_PASSWORD")  # fmt: skip


@pytest.fixture(scope="module")
def site(
    mariadb_server: DatabaseServer, restic_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    """A portal that knows nothing, and a database whose user has no right yet."""
    shop = make_shop(mariadb_server, grants=[])
    folder = tmp_path_factory.mktemp("blank")
    more = {"PORTAL_ADMIN_PASSWORD": PASSWORD, "WEB_CONCURRENCY": "1", "VEDETTA_KEY": ""}
    portal = Portal(folder / "portal", shop, restic_path, str(folder / "repository"), more)
    for name in TOLD:
        del portal.environment[name]
    ran = portal.manage("bootstrap")
    assert ran.code == 0, ran.err
    portal.shell(MAKE_PEOPLE)
    with ExitStack() as stack:
        stack.callback(drop_all, shop)
        url = stack.enter_context(portal.served())
        stack.enter_context(_worker(portal))
        chromium = stack.enter_context(sync_playwright()).chromium
        browser = chromium.launch(executable_path=find_browser(), args=list(FLAGS))
        stack.callback(browser.close)
        yield Site(portal, shop, url, browser)


def to_dashboard(page: Page) -> None:
    """By the sidebar."""
    page.get_by_role("link", name="Dashboard").first.click()
    page.wait_for_url("**/admin/")


def succeeds(page: Page) -> None:
    """The run whose page is open, to its end."""
    page.wait_for_url("**/backups/run/*/change/")
    expect(page.locator("#run .v-label").first).to_have_text("Succeeded", timeout=A_RUN_MS)


# tests/browser/test_tasks.py sets up a second one by the same pages, tests/admin/test_set_up.py the first.
@pytest.mark.soak
def test_set_up_ends_in_a_green_tick_without_a_shell(site: Site, sign_in: SignIn) -> None:
    page = sign_in("administrator").page
    shop, tried = site.shop, page.locator("#tried")
    expect(page.get_by_role("heading", name="Nothing is backed up yet")).to_be_visible()

    page.get_by_role("link", name="Add a repository").click()
    expect(page.get_by_text("what you type here is lost with this machine")).to_be_visible()
    page.get_by_label("Name").fill("cellar")
    page.get_by_label("Location").fill(site.portal.repository)
    page.get_by_label("Password", exact=False).first.fill(OF_THE_REPOSITORY)
    page.get_by_role("button", name="Test", exact=True).click()
    expect(tried).to_contain_text("no repository is there yet")
    page.get_by_role("button", name="Save and initialise").click()
    succeeds(page)
    make_light(Path(site.portal.repository), OF_THE_REPOSITORY)

    to_dashboard(page)
    page.get_by_role("link", name="Add a server").click()
    for label, text in (("Name", "till"), ("Host", shop.server.host), ("Port", str(shop.server.port)),
                        ("User", shop.user), ("A database on it", shop.name)):  # fmt: skip
        page.get_by_label(label).fill(text)
    page.get_by_label("Password", exact=False).first.fill("not it")
    page.get_by_role("button", name="Test", exact=True).click()
    expect(tried).to_contain_text("the user and password of the form")
    page.get_by_label("Password", exact=False).first.fill(shop.password)
    page.get_by_role("button", name="Test", exact=True).click()
    expect(tried).to_contain_text(f"For backups of {shop.name}.")
    tried.get_by_role("button", name="Copy").click()
    expect(tried.get_by_role("button", name="Copied")).to_be_visible()
    # The one thing that is done elsewhere, by the server's administrator.
    shop.server.execute(page.locator("#grants").inner_text())
    page.get_by_role("button", name="Test", exact=True).click()
    expect(tried).to_contain_text("Nothing is missing for backups and test restores.")
    expect(tried).to_contain_text(shop.name)
    page.get_by_role("button", name="Save", exact=True).click()

    to_dashboard(page)
    page.get_by_role("link", name="Add a database").click()
    page.get_by_label("Name").fill("shop")
    # Of the repository and the server, the newest is chosen already.
    expect(page.locator("[name=server] option:checked")).to_have_text("till")
    expect(page.locator("[name=repository] option:checked")).to_have_text("cellar")
    page.get_by_label("Database on the server").fill(shop.name)
    page.get_by_role("button", name="Test", exact=True).click()
    expect(tried).to_contain_text("Nothing is missing for backups and test restores.")
    page.get_by_role("button", name="Save", exact=True).click()

    for button in ("Back up now", "Verify newest"):
        to_dashboard(page)
        page.locator(".v-checklist").get_by_role("button", name=button).click()
        page.get_by_role("dialog").get_by_role("button", name=re.compile("Back up now|Verify")).click()
        succeeds(page)
    to_dashboard(page)
    step = page.locator(".v-checklist li", has_text="First verification")
    expect(step).to_contain_text("Done")
    expect(step).to_have_class(re.compile("v-success"))

    # A secret went from the form to the worker, and nowhere else.
    kept = b"".join(file.read_bytes() for file in site.portal.folder.glob("portal.sqlite3*"))
    assert b"sealed:1:" in kept
    for secret in (OF_THE_REPOSITORY, shop.password):
        assert secret.encode() not in kept
        assert secret not in site.portal.log() + (site.portal.folder / "portal.log").read_text()
    assert site.portal.rows("SELECT * FROM backups_question WHERE asked LIKE '%sealed:%'") == []
