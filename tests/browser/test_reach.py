"""Every page for whoever reads it by ear, by keyboard, at night, or on a phone, as axe-core judges it."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from playwright.sync_api import expect

from tests.browser.axe import graves
from tests.browser.conftest import Site
from tests.browser.test_portal import SignIn
from tests.browser.test_walk import site

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.soak, pytest.mark.timeout(3600)]
__all__ = ["site"]

LOOKS = {"light": (1440, False), "dark": (1440, True), "phone": (390, False)}
# All addresses of the portal, filled in with the newest rows: pages, and dialogs as pages.
ADDRESSES = """
import re
from django.apps import apps
from tests.security.test_roles import rules
for address in rules():
    kind = re.match(r"admin/(\\w+)/(\\w+)/", address)
    if "(?P" in address or not address.startswith("admin/"):
        continue
    if "<" in address:
        try:
            row = apps.get_model(kind[1], kind[2]).objects.order_by("-pk").first()
        except (LookupError, TypeError):
            continue
        address = re.sub(r"<[^>]+>", str(row.pk if row else 0), address)
    print("/" + address)
"""
FEWEST = 60
# Several tests, so that each ends within minutes where one is repeated alone.
PARTS = range(4)


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("look", LOOKS)
def test_no_page_keeps_anybody_out(site: Site, sign_in: SignIn, look: str, part: int) -> None:
    width, dark = LOOKS[look]
    person = sign_in("admin", width=width, dark=dark)
    found, pages = [], 0
    for address in site.portal.shell(ADDRESSES).split()[part :: len(PARTS)]:
        answer = person.page.request.get(person.url + address)
        # Parts of pages, as the hints of a form, are looked at in the pages that show them.
        if answer.status not in {200, 404} or "<html" not in answer.text():
            continue
        person.goto(address)
        pages += 1
        found += [f"{address}: {each}" for each in graves(person.page)]
    person.wrong.clear()  # the browser's own words for what is not there
    assert found == []
    assert pages >= FEWEST // len(PARTS)


@pytest.mark.parametrize("look", LOOKS)
def test_no_dialog_menu_or_drawer_keeps_anybody_out(site: Site, sign_in: SignIn, look: str) -> None:
    width, dark = LOOKS[look]
    person = sign_in("admin", width=width, dark=dark)
    page = person.goto("/admin/")
    page.get_by_role("button", name="Menu").locator("visible=true").click()
    assert graves(page) == []
    person.goto("/admin/backups/run/")
    page.locator("[x-on\\:click^='filterOpen = ']").locator("visible=true").first.click()
    expect(page.locator("#filter-form")).to_be_visible()
    assert graves(page) == []
    for address in dialogs(site):
        person.goto(address)
        expect(page.locator("#dialog")).to_be_visible()
        assert graves(page) == [], address
    person.goto("/admin/")
    page.get_by_role("button", name="Back up now").first.click()
    expect(page.locator("#dialog")).to_be_visible()
    assert graves(page) == []


def dialogs(site: Site) -> Iterable[str]:
    """The dialogs of a database's and a repository's buttons."""
    (database,) = site.portal.rows("SELECT max(id) AS id FROM backups_database")
    (repository,) = site.portal.rows("SELECT max(id) AS id FROM backups_repository")
    for action in ("back_up", "verify", "test_connection"):
        yield f"/admin/backups/database/{database['id']}/{action}/"
    for action in ("check_now", "prune", "unlock", "repair_index"):
        yield f"/admin/backups/repository/{repository['id']}/{action}/"


def test_a_rule_of_axe_that_is_broken_is_found(site: Site, sign_in: SignIn) -> None:
    page = sign_in("admin").page
    page.evaluate("document.getElementById('content').insertAdjacentHTML('beforeend', '<button></button>')")
    assert [each.split()[0] for each in graves(page)] == ["button-name"]
