"""What people come to the portal for, in ten tasks, and how many clicks each of them takes.

Each begins on the first page and goes by what is in sight alone. By mouse the clicks are limited. By keyboard
each has to come to its end as well, and the presses of the one for which they are counted are limited.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, ViewportSize, expect

from tests.backups.light_key import make_light
from tests.backups.worlds import PROJECT, Portal
from tests.browser import past
from tests.browser.conftest import Person, Site, _worker, opened
from tests.browser.hands import Hands, Keys, Mouse, is_in_sight
from tests.servers import DatabaseServer
from tests.servers.inbox import Inbox, inbox

pytestmark = [pytest.mark.browser, pytest.mark.slow]

DESK, PHONE = ViewportSize(width=1440, height=900), ViewportSize(width=390, height=844)
# A run has to be taken off the queue first, which is looked at once a second.
A_RUN_MS = 60_000
BY_BOTH = pytest.mark.parametrize("kind", [Mouse, pytest.param(Keys, marks=pytest.mark.soak)])


@dataclass
class World:
    """The portal in which all tasks are done, where its messages arrive, and what tells `past` a name."""

    site: Site
    inbox: Inbox
    tell: Callable[[str], None]

    @contextmanager
    def where(self, name: str) -> Iterator[None]:
        """For a block, what `past` has under this name is so."""
        self.tell(name)
        try:
            yield
        finally:
            self.tell(name)


@pytest.fixture(scope="module")
def world(
    mariadb_server: DatabaseServer, restic_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    """One database, which was backed up yesterday and today and proved; somebody is told of failures."""
    with inbox() as box:
        told = {"NOTIFY_URLS": f"json://127.0.0.1:{box.port}"}
        with opened(mariadb_server, restic_path, tmp_path_factory, told) as site:
            site.shop.execute("CREATE TABLE prices (id INT PRIMARY KEY, cents INT)")
            site.shop.execute("INSERT INTO prices VALUES (1, 990)")
            assert site.portal.backup().code == 0
            site.shop.execute("INSERT INTO customers VALUES (4, 'Barbara')")
            assert site.portal.backup().code == 0
            with in_the_past(site.portal) as tell, _worker(site.portal):
                yield World(site, box, tell)


@contextmanager
def in_the_past(portal: Portal) -> Iterator[Callable[[str], None]]:
    """Has `past` played in the portal; gives what tells it a name."""
    program = "import django; django.setup(); from tests.browser import past; past.obey()"
    playing = subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=PROJECT, env={**os.environ, **portal.environment},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert playing.stdin
    assert playing.stdout
    told, answers = playing.stdin, playing.stdout

    def tell(name: str) -> None:
        print(name, file=told, flush=True)
        assert answers.readline() == "done\n"

    try:
        tell("")  # once it has begun
        yield tell
    finally:
        playing.communicate(timeout=20)


@pytest.fixture(scope="module")
def site(world: World) -> Site:
    """What `sign_in` signs in to."""
    return world.site


@pytest.fixture
def begin(sign_in: Callable[..., Person]) -> Callable[..., Hands]:
    """Gives somebody hands of a kind, on the first page."""

    def come(name: str, kind: type[Hands] = Mouse) -> Hands:
        return kind(sign_in(name, width=DESK["width"]).page)

    return come


def menu(page: Page, title: str) -> Locator:
    """A page's link on the left, where the first page has a picture as well."""
    return page.locator("#nav-sidebar").get_by_role("link", name=title, exact=True).last


def assert_in_sight_everywhere(*these: Locator) -> None:
    """Without scrolling, on a phone and on a desk."""
    page = these[0].page
    for screen in (PHONE, DESK):
        page.set_viewport_size(screen)
        for each in these:
            assert is_in_sight(each), f"{each} is out of sight at {screen}"


def card(page: Page, database: str) -> Locator:
    """A database's own, on the first page."""
    return page.locator(".v-database", has=page.get_by_role("link", name=database, exact=True))


def tell(task: int, hands: Hands) -> None:
    """For whoever wants to know; `pytest -rP` shows it."""
    print(f"task {task}: {hands}")


def to_dashboard(hands: Hands) -> None:
    """By the menu."""
    hands.press(menu(hands.page, "Dashboard"))
    hands.page.wait_for_url("**/admin/")


def succeeds(page: Page, part: str = "#run") -> None:
    """The run, or the restore, whose page is open, to its end."""
    expect(page.locator(f"{part} .v-label").first).to_have_text("Succeeded", timeout=A_RUN_MS)


def confirm(hands: Hands, button: str) -> None:
    """In the dialog that has opened."""
    hands.press(hands.page.get_by_role("dialog").get_by_role("button", name=button))


# ---------------------------------------------------------------- 1: is everything fine?

# What is wrong, what the answer is as long as it is so, and the reason.
WRONGS = {
    "damaged": ("No", "Pack 1a2b is missing"),
    "differing": ("No", "restores, but not to what was backed up"),
    "old": ("No", "hours are allowed"),
    "untold": ("No", "Nobody could be told of 1 alert"),
}


def test_1_whether_all_is_well_is_told_without_a_click_and_never_wrongly(
    world: World, begin: Callable[..., Hands]
) -> None:
    hands = begin("viewer")
    page = hands.page
    assert answer_in_sight(page) == "Yes, proved"
    for what, (word, reason) in WRONGS.items():
        with world.where(what):
            page.reload()
            assert answer_in_sight(page) == word, what
            expect(page.locator("#content")).to_contain_text(reason)
    page.reload()
    assert answer_in_sight(page) == "Yes, proved"
    assert hands.clicks == 0
    tell(1, hands)


def test_1_and_2_of_sixty_databases_the_one_that_failed_stands_above_the_fold_and_any_is_found(
    world: World, begin: Callable[..., Hands]
) -> None:
    with world.where("many"):
        hands = begin("viewer")
        page = hands.page
        assert answer_in_sight(page) == "Yes, proved"
        with world.where("one_failed"):
            page.reload()
            assert answer_in_sight(page) == "Doubtful"
            worst = page.locator(".v-looks li")
            expect(worst).to_contain_text(f"branch{past.THE_FAILED}")
            assert_in_sight_everywhere(worst.locator("p", has_text="The server does not answer."))
            assert hands.clicks == 0

            hands.write(page.get_by_role("searchbox"), f"branch{past.THE_SOUGHT}")
            hands.press(page.get_by_role("button", name="Search", exact=True))
            found = page.locator(".v-lines li")
            expect(found).to_have_count(1)
            expect(found).to_contain_text(f"branch{past.THE_SOUGHT}")
            assert_in_sight_everywhere(found)
            assert answer_in_sight(page) == "Doubtful"
    tell(1, hands)


def answer_in_sight(page: Page) -> str:
    """What the first page says, where it is seen at once."""
    assert_in_sight_everywhere(*page.locator(".v-hero").all())
    return page.locator(".v-hero").first.inner_text()


# ---------------------------------------------------------------- 2: why did it fail, what now?


@BY_BOTH
def test_2_why_it_failed_and_what_to_do_stands_above_the_fold(
    world: World, begin: Callable[..., Hands], kind: type[Hands]
) -> None:
    site, server = world.site, world.site.shop.server
    server.execute(f"REVOKE ALL ON `{escaped(site.shop.name)}`.* FROM '{site.shop.user}'@'%'")
    assert site.portal.backup().code != 0
    hands = begin("operator", kind)
    page = hands.page
    assert answer_in_sight(page) == "Doubtful"
    worst = page.locator(".v-looks li").first
    expect(worst).to_contain_text("that user")
    expect(worst).to_contain_text("Check MYSQL_DATABASE and the user's grants.")
    assert_in_sight_everywhere(worst.locator("p"), worst.get_by_role("button", name="Back up now"))
    tell(2, hands)

    server.execute(f"GRANT ALL ON `{escaped(site.shop.name)}`.* TO '{site.shop.user}'@'%'")
    hands.press(worst.get_by_role("button", name="Back up now"))
    confirm(hands, "Back up now")
    page.wait_for_url("**/backups/run/*/change/")
    succeeds(page)
    to_dashboard(hands)
    assert answer_in_sight(page) == "Yes, proved"
    print(f"and until it is mended: {hands}")


def escaped(name: str) -> str:
    """The name of a database as a GRANT has it."""
    return name.replace("_", r"\_")


# ---------------------------------------------------------------- 3 and 4: a restore, and the way back


# Below, all tables on the same pages; tests/admin/test_restoring.py puts single ones back by one choice.
@pytest.mark.soak
@BY_BOTH
def test_3_one_table_is_as_yesterday(world: World, begin: Callable[..., Hands], kind: type[Hands]) -> None:
    shop = world.site.shop
    shop.execute("UPDATE prices SET cents = 0")
    orders = shop.query("SELECT COUNT(*) FROM orders")
    hands = begin("restorer", kind)
    page = hands.page
    hands.press(menu(page, "Snapshots"))
    hands.press(of_yesterday(page))
    hands.press(page.get_by_role("link", name="Put prices back"))
    expect(page.get_by_label("Put only the tables chosen below back")).to_be_checked()
    hands.write(page.get_by_label("Why"), "A wrong import.")
    hands.send(page.get_by_role("button", name="Show what will happen"))
    expect(page.locator("#plan")).to_contain_text("What was written to prices")
    hands.write(page.get_by_label(f"Type {shop.name}"), shop.name)
    hands.press(page.get_by_role("button", name="Restore now"))
    succeeds(page, "#restore")
    assert_in_sight_everywhere(page.get_by_role("button", name="Undo"))
    tell(3, hands)
    assert hands.clicks <= 5
    assert shop.query("SELECT cents FROM prices") == [(990,)]
    assert shop.query("SELECT COUNT(*) FROM orders") == orders


def of_yesterday(page: Page) -> Locator:
    """The snapshot's link, in a list."""
    row = page.locator("#content tr").filter(has_text=re.compile("1 day ago|24 hours ago"))
    return row.get_by_role("link").first


@BY_BOTH
def test_4_the_live_database_is_replaced_and_that_undone(
    world: World, begin: Callable[..., Hands], kind: type[Hands]
) -> None:
    shop = world.site.shop
    shop.execute("INSERT INTO orders (customer, note) VALUES (2, 'of today')")
    now = shop.query("SELECT * FROM orders")
    hands = begin("restorer", kind)
    page = hands.page
    hands.press(card(page, shop.name).get_by_role("link", name="Restore …"))
    hands.press(of_yesterday(page))
    hands.choose(page.get_by_label("Replace the live database"))
    hands.write(page.get_by_label("Why"), "Back to yesterday.")
    hands.send(page.get_by_role("button", name="Show what will happen"))
    hands.write(page.get_by_label(f"Type {shop.name}"), shop.name)
    hands.press(page.get_by_role("button", name="Restore now"))
    succeeds(page, "#restore")
    assert len(shop.query("SELECT * FROM orders")) < len(now)
    undo = page.get_by_role("button", name="Undo")
    assert_in_sight_everywhere(undo)

    restored = page.url
    hands.press(undo)
    dialog = page.get_by_role("dialog")
    hands.write(dialog.get_by_label("Why"), "It was right after all.")
    hands.write(dialog.get_by_label(f"Type {shop.name}"), shop.name)
    hands.send(dialog.get_by_role("button", name="Undo the restore"))
    page.wait_for_url(lambda url: url.endswith("/change/") and url != restored)
    succeeds(page, "#restore")
    tell(4, hands)
    assert hands.clicks <= 9
    assert shop.query("SELECT * FROM orders") == now


# ---------------------------------------------------------------- 5: one more database


@BY_BOTH
@pytest.mark.soak
def test_5_a_second_database_with_a_repository_of_its_own_ends_in_a_green_tick(
    world: World, begin: Callable[..., Hands], kind: type[Hands]
) -> None:
    shop, name = world.site.shop, f"second_{kind.__name__.lower()}"
    place, password = f"{world.site.portal.repository}_{name}", "typed once, and kept elsewhere"
    shop.server.create_database(f"{shop.name}_{name}")
    shop.server.load("CREATE TABLE parcels (id INT PRIMARY KEY)", f"{shop.name}_{name}")
    hands = begin("administrator", kind)
    page = hands.page
    tried = page.locator("#tried")
    hands.press(menu(page, "Checklist"))
    hands.press(page.get_by_role("link", name="Add a repository"))
    hands.write(page.get_by_label("Name"), name)
    hands.write(page.get_by_label("Location"), place)
    hands.write(page.get_by_label("Password", exact=False).first, password)
    hands.press(page.get_by_role("button", name="Test", exact=True))
    expect(tried).to_contain_text("no repository is there yet")
    hands.press(page.get_by_role("button", name="Save and initialise"))
    page.wait_for_url("**/backups/run/*/change/")
    succeeds(page)
    make_light(Path(place), password)

    hands.press(menu(page, "Checklist"))
    hands.press(page.locator(".v-checklist").get_by_role("link", name="Add a database"))
    hands.write(page.get_by_label("Name"), name)
    expect(page.locator("[name=repository] option:checked")).to_have_text(name)
    hands.write(page.get_by_label("Database on the server"), f"{shop.name}_{name}")
    hands.press(page.get_by_role("button", name="Save", exact=True))
    for button, confirmed in (("Back up now", "Back up now"), ("Verify newest", "Verify")):
        hands.press(menu(page, "Checklist"))
        hands.press(page.locator(".v-checklist").get_by_role("button", name=button))
        confirm(hands, confirmed)
        page.wait_for_url("**/backups/run/*/change/")
        succeeds(page)
    hands.press(menu(page, "Checklist"))
    done = page.locator(".v-notice.v-success")
    expect(done).to_contain_text("are set up")
    assert is_in_sight(done.locator(".v-tick"))
    expect(page.get_by_role("heading", name=f"Set-up of {name}")).to_have_count(0)
    to_dashboard(hands)
    expect(card(page, name).locator(".v-label").first).to_have_text("Good")
    assert answer_in_sight(page) == "Yes, proved"
    tell(5, hands)
    # The secret went from the form to the worker, and nowhere else.
    portal = world.site.portal
    kept = b"".join(file.read_bytes() for file in portal.folder.glob("portal.sqlite3*"))
    assert b"sealed:1:" in kept
    assert password.encode() not in kept
    assert password not in portal.log() + (portal.folder / "portal.log").read_text()


# ---------------------------------------------------------------- 6 and 9: for the auditor


@BY_BOTH
def test_6_last_quarter_is_proved_on_a_page_to_print(begin: Callable[..., Hands], kind: type[Hands]) -> None:
    hands = begin("viewer", kind)
    page = hands.page
    page.context.add_init_script("window.print = () => { window.isPrinted = true; }")  # there is no printer
    hands.press(menu(page, "Proof report"))
    expect(page.locator(".v-proof")).to_contain_text(f"{past.WEEKS} / {past.WEEKS}")
    hands.press(page.get_by_role("button", name="Print"))
    assert page.evaluate("window.isPrinted")
    page.emulate_media(media="print")
    expect(page.locator(".v-proof h1")).to_be_visible()
    expect(page.locator("#nav-sidebar")).to_be_hidden()
    expect(page.get_by_role("button", name="Print")).to_be_hidden()
    tell(6, hands)
    assert hands.clicks <= 3


@BY_BOTH
def test_9_who_restored_what_and_why_is_seen_in_a_list(
    world: World, begin: Callable[..., Hands], kind: type[Hands]
) -> None:
    hands = begin("viewer", kind)
    page = hands.page
    hands.press(menu(page, "Restores"))
    row = page.locator("#result_list tr", has_text=past.REASON)
    for words in ("restorer", "all tables", f"{world.site.shop.name}_prices", "Into a new database"):
        expect(row).to_contain_text(words)
    assert is_in_sight(row.locator(".field-why"))
    tell(9, hands)
    assert hands.clicks <= 1


# ---------------------------------------------------------------- 7: people


# tests/browser/test_portal.py invites somebody, who comes in.
@pytest.mark.soak
@BY_BOTH
def test_7_a_colleague_is_invited_and_gets_another_password(
    begin: Callable[..., Hands], kind: type[Hands]
) -> None:
    name = f"anna_{kind.__name__.lower()}"
    hands = begin("administrator", kind)
    page = hands.page
    hands.press(menu(page, "People"))
    hands.press(page.get_by_role("link", name="Invite"))
    hands.write(page.get_by_label("Name"), name)
    hands.choose(page.get_by_role("radio", name="Operator May do what a Viewer may"))
    hands.send(page.get_by_role("button", name="Invite"))
    expect(page.get_by_label("The link")).to_have_value(re.compile("/#"))
    hands.press(page.get_by_role("button", name="Copy"))
    tell(7, hands)
    assert hands.clicks <= 5

    again = begin("administrator", kind)
    page = again.page
    again.press(menu(page, "People"))
    again.press(page.locator("#result_list").get_by_role("link", name=name))
    again.press(page.get_by_role("link", name="New link"))
    again.press(page.get_by_role("button", name="Make the link"))
    again.press(page.get_by_role("button", name="Copy"))
    print(f"another password: {again}")
    assert again.clicks <= 5


# ---------------------------------------------------------------- 8: who is told


@BY_BOTH
@pytest.mark.soak
def test_8_failures_are_told_by_telegram(
    world: World, begin: Callable[..., Hands], kind: type[Hands]
) -> None:
    hands, box = begin("administrator", kind), world.inbox
    page = hands.page
    hands.press(menu(page, "Channels"))
    hands.press(page.get_by_role("link", name="Add").first)
    hands.press(page.get_by_role("link", name="Set up Telegram"))
    hands.write(page.get_by_label("Name"), f"on call, by {kind.__name__}")
    hands.write(page.get_by_label("Bot token"), "110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw")
    hands.write(page.get_by_label("Chat ID"), "-1001234567890")
    hands.write(page.get_by_label("Bot API server"), box.url)
    hands.press(page.get_by_role("button", name="Send a test message"))
    expect(page.locator("#channel-tried")).to_contain_text("It answered 200: ok", timeout=A_RUN_MS)
    assert box.requests[-1].path.endswith("/sendMessage")
    hands.press(page.get_by_role("button", name="Save", exact=True))
    expect(page.locator("#result_list")).to_contain_text(f"on call, by {kind.__name__}")
    tell(8, hands)
    assert hands.clicks <= 6


# ---------------------------------------------------------------- 10: by keyboard

# From the first page to "Restore now": what is typed counts as well.
MOST_PRESSES = 45


@pytest.mark.soak
def test_10_a_restore_into_a_new_database_by_keyboard_alone(
    world: World, begin: Callable[..., Hands]
) -> None:
    hands = begin("restorer", Keys)
    page = hands.page
    hands.press(card(page, world.site.shop.name).get_by_role("link", name="Restore …"))
    hands.press(page.locator("a[href*='/snapshot/'][href$='/restore/']").first)
    expect(page.get_by_label("Into a new database")).to_be_focused()
    hands.write(page.get_by_label("Why"), "A look")
    hands.send(page.get_by_role("button", name="Show what will happen"))
    expect(page.get_by_role("button", name="Restore now")).to_be_visible()
    expect(page.locator("#plan")).to_be_focused()
    hands.press(page.get_by_role("button", name="Restore now"))
    succeeds(page, "#restore")
    tell(10, hands)
    assert hands.keys <= MOST_PRESSES
