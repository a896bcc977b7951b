"""A real browser before a real portal: gunicorn, both worker clusters, MariaDB and restic."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    StorageState,
    expect,
    sync_playwright,
)

from tests.backups.conftest import made_repository
from tests.backups.worlds import PROJECT, Portal, Shop, copy_repository
from tests.restoring.stories import drop_all, make_restorable
from tests.servers import DatabaseServer, Server, made_once
from tests.servers.commands import CommandServer
from tools.system import find_browser

PASSWORD = "a password of the tests 1"
ROLES = ("Viewer", "Operator", "Restorer", "Administrator")
# Nothing that would reach out of this machine.
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-dev-shm-usage")
# For a machine that does many other things, on which whoever waits for a page waits for its turn as well.
PATIENCE_MS = 120_000
expect.set_options(timeout=PATIENCE_MS)
# What the policy forbids is said on the console, and so ends among what went wrong.
TELL_OF_VIOLATIONS = """
document.addEventListener("securitypolicyviolation", (event) => {
  const where = `${event.sourceFile}:${event.lineNumber}`;
  console.error(`forbidden by ${event.effectiveDirective}: ${event.blockedURI} at ${where}`);
});
"""

QUICK = {"DJANGO_SETTINGS_MODULE": "tests.browser.quick_passwords"}
MAKE_PEOPLE = f"""
from django.contrib.auth.hashers import MD5PasswordHasher
from django.contrib.auth.models import Group, User
for role in {ROLES}:
    encoded = MD5PasswordHasher().encode({PASSWORD!r}, "salt of the tests")
    user = User.objects.create(username=role.lower(), password=encoded, is_staff=True)
    user.groups.add(Group.objects.get(name=role))
"""


@dataclass
class Site:
    """A served portal, its shop, and the browser to look at it."""

    portal: Portal
    shop: Shop
    url: str
    browser: Browser
    # Of whoever came in through the form, which takes the portal's processor half a second.
    signed_in: dict[str, StorageState] = field(default_factory=dict)


@dataclass
class Person:
    """Somebody who is signed in, and what went wrong in their browser."""

    page: Page
    url: str
    wrong: list[str]

    def goto(self, path: str) -> Page:
        """Go to an address of the portal."""
        self.page.goto(f"{self.url}{path}")
        return self.page

    def forbidden(self) -> list[str]:
        """What the content security policy kept from being done, as told by the browser so far."""
        return [told for told in self.wrong if told.startswith("forbidden by ")]


@pytest.fixture(scope="module")
def site(
    mariadb_server: DatabaseServer, restic_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    """A portal with people of every role; its worker runs."""
    with opened(mariadb_server, restic_path, tmp_path_factory) as site, _worker(site.portal):
        yield site


@contextmanager
def opened(
    server: DatabaseServer,
    restic_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    settings: Mapping[str, str] | None = None,
) -> Iterator[Site]:
    """A portal with people of every role, served and with a browser before it, but without a worker."""
    shop = make_restorable(server)
    folder = tmp_path_factory.mktemp("browser")
    portal = Portal(
        folder / "portal", shop, restic_path, str(folder / "repository"),
        {"PORTAL_ADMIN_PASSWORD": PASSWORD, "WEB_CONCURRENCY": "1", **(settings or {})},
    )  # fmt: skip
    copy_repository(made_repository("empty", restic_path), folder / "repository")
    shutil.copy(made_once.migrated_database(), portal.database_file)
    ran = portal.manage("bootstrap")
    assert ran.code == 0, ran.err
    portal.shell(MAKE_PEOPLE)
    with ExitStack() as stack:
        stack.callback(drop_all, shop)
        # Connections that a browser opens in advance would each take a process without threads for itself.
        url = stack.enter_context(portal.served("--threads", "8", "--timeout", "300", **QUICK))
        chromium = stack.enter_context(sync_playwright()).chromium
        browser = chromium.launch(executable_path=find_browser(), args=list(FLAGS))
        stack.callback(browser.close)
        yield Site(portal, shop, url, browser)


@pytest.fixture
def sign_in(site: Site) -> Iterator[Callable[..., Person]]:
    """Signs somebody in, at first through the form; any error in the browser fails the test at its end."""
    contexts: list[BrowserContext] = []
    people: list[Person] = []

    def enter(name: str, *, width: int = 1280, dark: bool = False) -> Person:
        context = site.browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme="dark" if dark else "light",
            storage_state=site.signed_in.get(name), reduced_motion="reduce",
        )  # fmt: skip
        contexts.append(context)
        context.add_init_script(TELL_OF_VIOLATIONS)
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        person = Person(page, site.url, [])
        # Of the context, so that windows which pages open are listened to as well.
        context.on("weberror", lambda told: person.wrong.append(str(told.error)))
        context.on("console", lambda line: person.wrong.append(line.text) if is_wrong(line) else None)
        people.append(person)
        person.goto("/")
        if "/login/" in page.url:
            page.get_by_label("Username").fill(name)
            page.get_by_label("Password").fill(PASSWORD)
            page.keyboard.press("Enter")
            page.wait_for_url(f"{site.url}/admin/")
            site.signed_in[name] = context.storage_state()
        return person

    yield enter
    for context in contexts:
        context.close()
    assert [person.wrong for person in people if person.wrong] == []


def is_wrong(line: ConsoleMessage) -> bool:
    """Whether a line of the console tells of an error; beside plain text the browser itself wants an icon."""
    return line.type == "error" and not line.location["url"].endswith("/favicon.ico")


def _worker(portal: Portal) -> Server:
    def both_live() -> bool:
        return len(portal.rows("SELECT cluster FROM backups_workerpulse")) == 2

    return CommandServer(
        [sys.executable, "manage.py", "worker", "--stop-seconds", "5"],
        log=portal.folder / "worker.log",
        cwd=PROJECT,
        env=portal.environment,
        ready=both_live,
        start_seconds=90,
        stop_seconds=20,
    )
