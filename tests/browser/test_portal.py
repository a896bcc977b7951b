"""What people do in the portal, done in a real browser."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Page, expect

from tests.backups.worlds import Shop
from tests.browser.accidents import play_accident
from tests.browser.conftest import PASSWORD, PATIENCE_MS, Person, Site
from tests.servers.inbox import inbox

pytestmark = [pytest.mark.browser, pytest.mark.slow]

SignIn = Callable[..., Person]
# A run has to be taken off the queue first, which is looked at once a second.
A_RUN_MS = 60_000
ALL_BUT_CSRF = re.compile("^(?!.*csrf)")


def back_up_now(page: Page) -> None:
    """Press the button on the first page and confirm."""
    page.get_by_role("button", name="Back up now").first.click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("The database is dumped into the repository")
    dialog.get_by_role("button", name="Back up now").click()
    page.wait_for_url("**/backups/run/*/change/")


def state(page: Page) -> str:
    """The run's status as the page shows it."""
    return page.locator("#run .v-label").first.inner_text()


def test_a_wrong_password_is_told_and_lets_nobody_in(site: Site, sign_in: SignIn) -> None:
    page = site.browser.new_page()
    page.goto(site.url)
    page.get_by_label("Username").fill("viewer")
    page.get_by_label("Password").fill("not it")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Name or password is wrong.")).to_be_visible()
    page.close()


MAKE_GUESSED = f"""
from django.contrib.auth.models import User
User.objects.create_user("guessed", password={PASSWORD!r}, is_staff=True)
"""


# tests/portal/test_proxies.py has the page and who is locked out, tests/portal/test_refusals.py its minutes.
@pytest.mark.soak
def test_who_is_locked_out_is_told_for_how_long_and_that_others_are_not(site: Site, sign_in: SignIn) -> None:
    site.portal.shell(MAKE_GUESSED)
    page = site.browser.new_page()
    page.set_default_timeout(PATIENCE_MS)

    def type_in(password: str) -> None:
        page.goto(f"{site.url}/admin/login/")
        page.get_by_label("Username").fill("guessed")
        page.get_by_label("Password").fill(password)
        with page.expect_navigation():
            page.keyboard.press("Enter")

    for _ in range(10):
        type_in("not it")
    heading = page.get_by_role("heading", level=1)
    expect(heading).to_have_text(re.compile("^Sign-in is locked for another 1[45] minutes$"))
    type_in(PASSWORD)
    expect(heading).to_contain_text("Sign-in is locked for another")
    page.get_by_role("link", name="Back to the sign-in page").click()
    expect(page.get_by_label("Username")).to_be_visible()
    page.close()
    expect(sign_in("operator").page.get_by_role("heading", name="Are we safe?")).to_be_visible()


def test_back_up_now_watch_it_finish(site: Site, sign_in: SignIn) -> None:
    page = sign_in("operator").page
    expect(page.get_by_text("There is no backup of").first).to_be_visible()
    with site.shop.held("orders"):
        back_up_now(page)
        page.evaluate("window.notReloaded = true")
        site.shop.wait_for_a_waiting_dump()
        expect(page.locator("#run")).to_contain_text("Running", timeout=A_RUN_MS)
        expect(page.locator("#run")).to_contain_text("Dump", timeout=A_RUN_MS)
        expect(page.get_by_role("progressbar")).to_be_visible()
        expect(page.get_by_role("link", name="Cancel")).to_be_visible()
        expect(page.get_by_text("Run again")).to_be_hidden()
        later = sign_in("viewer").page
        later.goto(page.url)
        expect(later.get_by_role("progressbar")).to_be_visible()
        later.goto(f"{site.url}/admin/")
        expect(later.get_by_role("progressbar")).to_be_visible()
    expect(page.locator("#run")).to_contain_text("Succeeded", timeout=A_RUN_MS)
    expect(page.get_by_role("log")).to_contain_text("Heartbeat written")
    expect(page.get_by_text("Run again")).to_be_visible()
    expect(page.get_by_text("Cancel", exact=True)).to_be_hidden()
    assert page.evaluate("window.notReloaded")
    assert page.title().startswith("Succeeded")
    expect(later.get_by_role("progressbar")).to_be_hidden(timeout=A_RUN_MS)
    assert site.portal.run()["status"] == "succeeded"


# tests/actions/test_backup.py cancels within five seconds, tests/admin/test_actions.py presses the button.
@pytest.mark.soak
def test_cancel_stops_it_within_five_seconds_and_leaves_no_snapshot(site: Site, sign_in: SignIn) -> None:
    page = sign_in("operator").page
    before = len(site.portal.snapshots())
    with site.shop.held("orders"):
        back_up_now(page)
        site.shop.wait_for_a_waiting_dump()
        page.get_by_role("link", name="Cancel").click()
        page.get_by_role("dialog").get_by_role("button", name="Cancel the run").click()
        pressed = time.monotonic()
        expect(page.locator("#run")).to_contain_text("Cancelled", timeout=8000)
        assert time.monotonic() - pressed < 8
    run = site.portal.run()
    assert run["status"] == "cancelled"
    assert len(site.portal.snapshots()) == before
    expect(page.get_by_role("alert")).to_contain_text("No snapshot was made")


# Below, a restore that overwrites; tests/admin/test_actions.py presses what verifies.
@pytest.mark.soak
def test_verify_and_restore_into_a_new_database(site: Site, sign_in: SignIn) -> None:
    page = sign_in("restorer").page
    page.get_by_role("button", name="Verify newest").first.click()
    page.get_by_role("dialog").get_by_role("button", name="Verify").click()
    page.wait_for_url("**/backups/run/*/change/")
    expect(page.locator("#run")).to_contain_text("Succeeded", timeout=A_RUN_MS)
    expect(page.locator("#run")).to_contain_text("Identical")

    page.goto(f"{site.url}/admin/backups/snapshot/")
    page.locator("#result_list tbody a").first.click()
    page.get_by_role("link", name="Restore or download").click()
    target = f"{site.shop.name}_copy"
    page.get_by_label("Name of the new database").fill(target)
    page.get_by_label("Why").fill("To see that it works.")
    page.get_by_role("button", name="Show what will happen").click()
    page.get_by_role("button", name="Restore now").click()
    page.wait_for_url("**/backups/restore/*/change/")
    expect(page.locator("#restore")).to_contain_text("Succeeded", timeout=A_RUN_MS)
    assert site.shop.server.query("SELECT COUNT(*) FROM customers", target) == [(3,)]


@contextmanager
def written_to(shop: Shop) -> Iterator[None]:
    """A row and a table more than in the snapshot, for a block."""
    shop.execute("INSERT INTO customers VALUES (4, 'Barbara'); CREATE TABLE parcels (id INT PRIMARY KEY)")
    yield
    shop.execute("DELETE FROM customers WHERE id = 4; DROP TABLE parcels")


def test_what_a_replacement_will_do_is_shown_and_a_wrong_name_begins_none(
    site: Site, sign_in: SignIn
) -> None:
    with written_to(site.shop):
        page = sign_in("restorer").page
        look_at_a_replacement(site, page)
        page.get_by_role("button", name="Restore now").click()
        expect(page.get_by_text("This is not the database's name.")).to_be_visible()


def look_at_a_replacement(site: Site, page: Page) -> None:
    """From the list of snapshots to the button below what will happen."""
    page.goto(f"{site.url}/admin/backups/snapshot/")
    page.locator("#result_list tbody a").first.click()
    page.get_by_role("link", name="Restore or download").click()
    nothing_left = page.get_by_label("There is nothing left to save")
    expect(page.get_by_label("Name of the new database")).to_be_visible()
    expect(nothing_left).to_be_hidden()
    page.get_by_label("Replace the live database").check()
    expect(page.get_by_label("Name of the new database")).to_be_hidden()
    expect(nothing_left).to_be_visible()
    page.get_by_label("Why").fill("A wrong import.")
    page.get_by_role("button", name="Show what will happen").click()
    expect(page.locator("#plan")).to_contain_text("1: parcels")
    page.get_by_text("Only these tables").click()
    page.get_by_label("Part of a name").fill("CUST")
    expect(page.get_by_label("orders")).to_be_hidden()
    expect(page.locator("#plan")).to_have_count(1)  # a search changes nothing
    page.get_by_label("customers").check()
    expect(page.locator("[data-tables-chosen]")).to_have_text("1 of 3 chosen")
    expect(page.locator("#plan")).to_have_count(0)  # it told of all tables
    page.get_by_label("customers").uncheck()
    page.get_by_role("button", name="Show what will happen").click()
    expect(page.locator("#plan")).to_be_focused()


# Above, what is seen before; tests/browser/test_tasks.py replaces and undoes; below, a dialog that refuses,
# and one in which somebody was signed out.
@pytest.mark.soak
def test_replace_the_live_database_and_undo_it(site: Site, sign_in: SignIn) -> None:
    with written_to(site.shop):
        replaced_and_undone(site, sign_in("restorer").page)


def replaced_and_undone(site: Site, page: Page) -> None:
    shop = site.shop
    look_at_a_replacement(site, page)
    page.get_by_label(f"Type {shop.name}").fill(shop.name)
    page.get_by_role("button", name="Restore now").click()
    page.wait_for_url("**/backups/restore/*/change/")
    story = page.locator("#restore")
    expect(story.locator(".v-label").first).to_have_text("Succeeded", timeout=A_RUN_MS)
    assert shop.query("SELECT COUNT(*) FROM customers") == [(3,)]
    expect(story.get_by_role("row", name="customers")).to_contain_text("-1")
    expect(story).to_contain_text("A wrong import.")

    restored, dialog = page.url, page.get_by_role("dialog")
    page.get_by_role("button", name="Undo").click()
    dialog.get_by_label("Why").fill("It was right after all.")
    dialog.get_by_label(f"Type {shop.name}").fill("something else")
    dialog.get_by_role("button", name="Undo the restore").click()
    expect(dialog).to_contain_text("This is not the database's name.")
    page.context.clear_cookies(name=ALL_BUT_CSRF)
    dialog.get_by_role("button", name="Undo the restore").click()
    dialog.get_by_role("link", name="Sign in again").click()
    page.get_by_label("Username").fill("restorer")
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(restored)
    page.get_by_role("button", name="Undo").click()
    expect(dialog.get_by_label("Why")).to_have_value("It was right after all.")
    dialog.get_by_label(f"Type {shop.name}").fill(shop.name)
    dialog.get_by_role("button", name="Undo the restore").click()
    page.wait_for_url(lambda url: url.endswith("/change/") and url != restored)
    expect(story.locator(".v-label").first).to_have_text("Succeeded", timeout=A_RUN_MS)
    assert shop.query("SELECT COUNT(*) FROM customers") == [(4,)]
    assert shop.query("SELECT COUNT(*) FROM parcels") == [(0,)]


# Of forms that no script changes, tests/admin/test_gate.py has it.
@pytest.mark.soak
def test_override_the_gate_and_end_it(site: Site, sign_in: SignIn) -> None:
    site.portal.heartbeat_path.write_text("2020-01-01T00:00:00Z\n")
    person = sign_in("administrator")
    page = person.goto("/admin/gate/")
    expect(page.get_by_text("Closed: stale")).to_be_visible()
    expect(page.get_by_text("Gate closed")).to_be_visible()
    page.get_by_label("Why").fill("Moving to another bucket.")
    page.get_by_role("button", name="Keep the gate open").click()
    expect(page.get_by_text("Open: override")).to_be_visible()
    person.goto("/admin/")
    expect(page.get_by_text("The gate is overridden")).to_be_visible()
    person.goto("/admin/gate/")
    page.get_by_role("button", name="End the override now").click()
    expect(page.get_by_text("Closed: stale")).to_be_visible()


# tests/security/test_roles.py has every role and every button.
@pytest.mark.soak
def test_a_viewer_has_no_buttons_and_is_refused_at_the_address(site: Site, sign_in: SignIn) -> None:
    person = sign_in("viewer")
    expect(person.page.get_by_role("button", name="Back up now")).to_have_count(0)
    person.goto("/admin/backups/database/1/change/")
    expect(person.page.get_by_text("Back up now")).to_have_count(0)
    answer = person.page.request.get(f"{site.url}/admin/backups/database/1/back_up/")
    assert answer.status == 403


def test_an_operator_is_invited_comes_in_elsewhere_and_is_signed_out(site: Site, sign_in: SignIn) -> None:
    page = sign_in("administrator").goto("/admin/auth/user/")
    page.get_by_role("link", name="Invite").click()
    page.get_by_label("Name").fill("anna")
    page.get_by_role("radio", name="Operator May do what a Viewer may").check()
    page.get_by_role("button", name="Invite").click()
    link = page.get_by_label("The link").input_value()
    page.get_by_role("button", name="Copy").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()

    elsewhere = site.browser.new_context()
    theirs = elsewhere.new_page()
    theirs.set_default_timeout(PATIENCE_MS)
    theirs.goto(link)
    expect(theirs.get_by_role("heading", name="Welcome, anna")).to_be_visible()
    assert "#" not in theirs.url
    theirs.get_by_label("Password").fill(f"{PASSWORD} of anna")
    theirs.get_by_label("The same once more").fill(f"{PASSWORD} of anna")
    theirs.keyboard.press("Enter")
    expect(theirs.get_by_text("Your password is set. You are Operator")).to_be_visible()
    expect(theirs.get_by_role("button", name="Back up now").first).to_be_visible()
    for title in ("People", "Audit"):
        expect(theirs.get_by_role("link", name=title, exact=True)).to_have_count(0)
    assert theirs.goto(f"{site.url}/admin/auth/user/").status == 403  # type: ignore[union-attr]

    with site.browser.new_context() as third:
        late = third.new_page()
        late.goto(link)
        expect(late.get_by_text("This link opens nothing any more")).to_be_visible()

    page.get_by_role("link", name="To anna").click()
    expect(page.get_by_text("Chrome on Linux")).to_be_visible()
    page.get_by_role("button", name="End: Chrome on Linux, 127.0.0.1").click()
    expect(page.get_by_text("1 session ended.")).to_be_visible()
    theirs.goto(f"{site.url}/admin/")
    expect(theirs.get_by_label("Username")).to_be_visible()
    elsewhere.close()


def test_a_dialog_is_worked_by_keyboard_alone(site: Site, sign_in: SignIn) -> None:
    page = sign_in("operator").page
    button = page.get_by_role("button", name="Back up now").first
    button.focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    page.wait_for_timeout(200)
    for _ in range(5):
        assert page.evaluate("document.getElementById('dialog').contains(document.activeElement)")
        page.keyboard.press("Tab")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(button).to_be_focused()


def test_a_dialog_in_a_tab_of_its_own_is_a_page(site: Site, sign_in: SignIn) -> None:
    """As when somebody opens its button in a new tab; what is asked for in it starts."""
    person = sign_in("operator")
    page = person.page
    address = page.get_by_role("button", name="Back up now").first.get_attribute("href")
    assert address
    person.goto(address)
    expect(page).to_have_title(re.compile("Back up"))
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("link", name="Back to the dashboard")).to_be_visible()
    dialog.get_by_role("button", name="Back up now").click()
    page.wait_for_url("**/admin/backups/run/**")


def test_a_dialog_never_fails_without_a_word(site: Site, sign_in: SignIn) -> None:
    """Signed in anew in another tab, signed out, and with the portal away."""
    person = sign_in("operator")
    page, button = person.page, "Back up now"
    # The page itself would find out first, and lead to the sign-in page.
    page.route("**/admin/live/*", lambda route: route.abort())
    page.get_by_role("button", name=button).first.click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("is dumped into the repository")
    token = next(each for each in page.context.cookies() if "csrf" in each["name"])
    page.context.add_cookies([{**token, "value": "x" * 32}])
    dialog.get_by_role("button", name=button).click()
    expect(dialog.get_by_role("alert")).to_contain_text("Nothing was started")
    expect(dialog.get_by_role("link", name="Load it again")).to_be_focused()

    person.goto("/admin/")
    page.get_by_role("button", name=button).first.click()
    expect(dialog).to_contain_text("is dumped into the repository")
    page.context.clear_cookies()
    dialog.get_by_role("button", name=button).click()
    expect(dialog.get_by_role("alert")).to_contain_text("Nothing was started")

    page.reload()
    page.get_by_label("Username").fill("operator")
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(f"{site.url}/admin/")
    page.wait_for_timeout(200)
    page.context.clear_cookies(name=ALL_BUT_CSRF)
    page.get_by_role("button", name=button).first.click()
    expect(dialog.get_by_role("alert")).to_contain_text("You were signed out meanwhile.")
    expect(dialog.get_by_role("link", name="Sign in again")).to_have_attribute(
        "href", "/admin/login/?next=%2Fadmin%2F"
    )

    page.context.set_offline(True)
    page.keyboard.press("Escape")
    page.get_by_role("button", name=button).first.click()
    expect(dialog.get_by_role("alert")).to_contain_text("The portal gives no answer")
    person.wrong.clear()  # the browser's own words for each of these


# Above, a dialog while the portal is away; below, what was typed outlives a session.
@pytest.mark.soak
def test_a_dialog_that_was_open_while_the_portal_was_away_keeps_what_was_typed(
    site: Site, sign_in: SignIn
) -> None:
    person = sign_in("administrator")
    page = person.page
    dialog = page.get_by_role("dialog")
    told = dialog.get_by_role("alert")
    page.context.set_offline(True)
    page.get_by_role("button", name="Back up now").first.click()
    expect(told).to_contain_text("no answer, so nothing was started.")
    # A link would lead to the browser's own page.
    expect(dialog.get_by_role("link")).to_have_count(0)
    expect(dialog.get_by_role("button", name="Close")).to_be_focused()
    page.keyboard.press("Enter")
    expect(dialog).to_be_hidden()
    expect(page.get_by_text("The portal does not answer; this page tries again.")).to_be_visible()
    page.context.set_offline(False)
    expect(page.get_by_text("The portal does not answer; this page tries again.")).to_be_hidden()

    person.goto("/admin/backups/database/1/change/")
    page.get_by_role("button", name="Pause or retire").press("Enter")
    page.get_by_role("link", name="Pause", exact=True).click()
    dialog.get_by_label("Why?").fill("The server moves.")
    page.context.set_offline(True)
    press = dialog.get_by_role("button", name="Pause")
    for _ in range(2):
        press.click()
        expect(told).to_contain_text("The portal gives no answer. Whether this was done is not known")
        expect(told.get_by_role("link")).to_have_count(0)
    expect(dialog.get_by_label("Why?")).to_have_value("The server moves.")
    page.context.set_offline(False)
    press.click()
    expect(page.locator(".v-label", has_text="Paused")).to_be_visible()
    page.get_by_role("button", name="Pause or retire").press("Enter")
    page.get_by_role("link", name="Resume", exact=True).click()
    dialog.get_by_role("button", name="Resume").click()
    expect(page.locator(".v-label", has_text="Paused")).to_have_count(0)
    person.wrong.clear()  # the browser's own words for each request without an answer


def test_a_dialog_comes_although_its_button_was_renewed_meanwhile(site: Site, sign_in: SignIn) -> None:
    """The first page renews its state every two seconds, also while an answer is on its way."""
    page = sign_in("operator").page
    page.evaluate("""() => {
      const button = document.querySelector("[data-live-state] [hx-get$='/back_up/']");
      const state = button.closest("[data-live-state]");
      button.click();
      state.replaceChildren(...[...state.childNodes].map((node) => node.cloneNode(true)));
    }""")
    expect(page.get_by_role("dialog")).to_contain_text("is dumped into the repository")


SPOIL = """
from backups.models import Alert, Repository
Repository.objects.update(health="{health}", check_error="Pack 1a2b is missing.")
Alert.objects.filter(subject="a test").delete()
if {is_untold}:
    Alert.objects.create(subject="a test", error="The mail server does not answer.")
"""
LOOK_AGAIN = """() => {
  Object.defineProperty(document, "hidden", { get: () => window.isHidden === true, configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
}"""


def test_the_first_page_follows_what_others_do_and_leaves_the_rest_as_it_is(
    site: Site, sign_in: SignIn
) -> None:
    """Nothing is asked for while nobody looks, and whoever comes back sees at once how it is then."""
    person = sign_in("operator")
    page = person.page
    answers: list[int] = []
    page.on("response", lambda told: answers.append(told.status) if "/admin/live/" in told.url else None)
    badge = page.locator("[data-live-badge$='alerts.badge']")
    site.portal.shell(SPOIL.format(health="damaged", is_untold=False))
    page.clock.install()
    person.goto("/admin/")
    expect(page).to_have_title(re.compile("^ *No · Dashboard"))
    expect(badge).to_be_hidden()
    opener = page.locator("[data-live-state] [hx-get$='/back_up/']").first
    opener.click()
    expect(page.get_by_role("dialog")).to_contain_text("is dumped into the repository")
    page.evaluate("window.warning = document.querySelector('[data-live-state] [role=alert]')")

    page.evaluate("window.isHidden = true")
    page.evaluate(LOOK_AGAIN)
    answers.clear()
    page.clock.fast_forward(600_000)
    page.wait_for_timeout(500)
    assert answers == []

    site.portal.shell(SPOIL.format(health="damaged", is_untold=True))
    page.evaluate("window.isHidden = false")
    page.evaluate(LOOK_AGAIN)
    expect(badge).to_have_text("1")
    expect(page.get_by_text("could be told of 1 alert")).to_be_attached()
    assert page.evaluate("window.warning.isConnected")
    page.keyboard.press("Escape")
    page.clock.run_for(1000)
    expect(opener).to_be_focused()

    answers.clear()
    with page.expect_response("**/admin/live/*"):
        page.evaluate(LOOK_AGAIN)
    site.portal.shell(SPOIL.format(health="good", is_untold=False))
    page.evaluate(LOOK_AGAIN)
    expect(badge).to_be_hidden()
    # As long as time alone changes nothing, which it does twice a minute.
    assert set(answers) <= {200, 304}


# Below, what was typed into a row's form and into a dialog.
@pytest.mark.soak
def test_what_was_typed_for_a_restore_outlives_a_session(site: Site, sign_in: SignIn) -> None:
    page = sign_in("restorer").goto("/admin/backups/snapshot/")
    page.locator("#result_list tbody a").first.click()
    page.get_by_role("link", name="Restore or download").click()
    page.get_by_label("Replace the live database").check()
    page.get_by_text("Only these tables").click()
    page.get_by_label("journal").check()
    page.get_by_label("Why").fill("The prices of Monday.")
    page.context.clear_cookies(name=ALL_BUT_CSRF)
    page.get_by_role("button", name="Show what will happen").click()
    page.get_by_label("Username").fill("restorer")
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_label("Why")).to_have_value("The prices of Monday.")
    expect(page.get_by_label("Replace the live database")).to_be_checked()
    expect(page.get_by_label("journal")).to_be_checked()
    expect(page.get_by_label("Name of the new database")).to_be_hidden()


def test_the_form_tells_what_a_schedule_means_while_one_types(site: Site, sign_in: SignIn) -> None:
    page = sign_in("administrator").goto("/admin/backups/database/1/change/?tab=settings")
    expect(page.locator("#hint-backup_cron")).to_contain_text("At 03:00 and 15:00. Next times:")
    page.get_by_label("Backup schedule").fill("*/20 * * * *")
    expect(page.locator("#hint-backup_cron")).to_contain_text("Every 20 minutes. Next times:")
    expect(page.locator("#hint-heartbeat_threshold")).to_contain_text("due at most 20 minutes apart")
    page.get_by_label("Keep daily").fill("1")
    expect(page.get_by_text("would stay and")).to_be_visible()
    page.goto(f"{site.url}/admin/backups/server/1/change/")
    expect(page.locator("#hint-password_ref")).to_contain_text("Found.")


def test_a_database_is_paused_and_resumed_in_its_dialogs(site: Site, sign_in: SignIn) -> None:
    page = sign_in("administrator").goto("/admin/backups/database/1/change/")
    page.get_by_role("button", name="Pause or retire").press("Enter")
    page.get_by_role("link", name="Pause", exact=True).click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("The gate")
    dialog.get_by_role("button", name="Pause").click()
    expect(dialog).to_contain_text("This field is required.")
    dialog.get_by_label("Why?").fill("The server moves.")
    page.context.clear_cookies(name=ALL_BUT_CSRF)
    dialog.get_by_role("button", name="Pause").click()
    dialog.get_by_role("link", name="Sign in again").click()
    page.get_by_label("Username").fill("administrator")
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url("**/admin/backups/database/1/change/**")
    page.get_by_role("button", name="Pause or retire").press("Enter")
    page.get_by_role("link", name="Pause", exact=True).click()
    expect(dialog.get_by_label("Why?")).to_have_value("The server moves.")
    dialog.get_by_role("button", name="Pause").click()
    expect(page.locator(".v-label", has_text="Paused")).to_be_visible()
    page.get_by_role("link", name="Log", exact=True).click()
    expect(page.get_by_text("The server moves.", exact=False).last).to_be_visible()
    page.get_by_role("button", name="Pause or retire").press("Enter")
    page.get_by_role("link", name="Resume", exact=True).click()
    dialog.get_by_role("button", name="Resume").click()
    expect(page.locator(".v-label", has_text="Paused")).to_have_count(0)


# Above, another hint that comes while one types; tests/admin/test_set_up.py has what this one says.
@pytest.mark.soak
def test_a_secret_that_the_worker_does_not_find_is_said_in_the_form_and_once_it_is_saved(
    site: Site, sign_in: SignIn
) -> None:
    page = sign_in("administrator").goto("/admin/backups/repository/1/change/?tab=settings")
    password = page.locator("[name=password_ref]")
    before = password.input_value()
    password.fill("env:RESTIC_NOT_THERE")
    expect(page.locator("#hint-password_ref")).to_contain_text("env:RESTIC_NOT_THERE is not set")
    page.get_by_role("button", name="Save", exact=True).click()
    told = page.get_by_text("The worker looks for the password of")
    expect(told).to_contain_text("env:RESTIC_NOT_THERE is not set")
    page.goto(f"{site.url}/admin/backups/repository/1/change/?tab=settings")
    password.fill(before)
    page.get_by_role("button", name="Save", exact=True).click()
    expect(told).to_contain_text("Found.")


# Above, a form that waits for the worker's answer; tests/admin/test_alerts.py has this one.
@pytest.mark.soak
def test_a_test_notification_says_by_itself_whom_it_reached(site: Site, sign_in: SignIn) -> None:
    page = sign_in("operator").goto("/admin/backups/alert/send_test/")
    page.get_by_role("button", name="Send it").click()
    expect(page.get_by_text("NOTIFY_URLS is not set, so nobody is told.")).to_be_visible()
    page.get_by_role("link", name="Back to the alerts").click()
    page.wait_for_url("**/backups/alert/")


# A dialog and a run's page, as a backup has them; tests/admin/test_set_up.py has this one.
@pytest.mark.soak
def test_the_connection_test_shows_each_check(site: Site, sign_in: SignIn) -> None:
    page = sign_in("operator").goto("/admin/backups/database/1/change/")
    page.get_by_role("button", name="More").press("Enter")
    page.get_by_role("link", name="Test connection").click()
    page.get_by_role("dialog").get_by_role("button", name="Test").click()
    looked_at = page.locator("section", has_text="What was looked at")
    expect(looked_at).to_contain_text("opens with the password", timeout=A_RUN_MS)
    expect(looked_at).to_contain_text("may dump all of", timeout=A_RUN_MS)


PAGES = (
    "/admin/", "/admin/gate/", "/admin/backups/run/", "/admin/backups/run/1/change/",
    "/admin/backups/snapshot/", "/admin/backups/verification/", "/admin/backups/restore/",
    "/admin/backups/alert/", "/admin/backups/database/", "/admin/backups/database/1/change/",
    "/admin/backups/database/1/restore/", "/admin/backups/repository/1/change/",
)  # fmt: skip


@pytest.mark.parametrize(
    ("width", "dark"),
    [
        (390, True),
        pytest.param(390, False, marks=pytest.mark.soak),
        pytest.param(1440, True, marks=pytest.mark.soak),
    ],
)
def test_every_page_fits_a_phone_and_has_no_errors(
    site: Site, sign_in: SignIn, width: int, dark: bool
) -> None:
    person = sign_in("admin", width=width, dark=dark)
    for path in PAGES:
        page = person.goto(path)
        beyond = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        assert beyond <= 0, f"{path} is {beyond} px too wide"
        assert re.search(r"\S", page.title())


# tests/security/test_kept_secret.py reads all pages without a browser.
@pytest.mark.soak
def test_nothing_secret_is_on_any_page(site: Site, sign_in: SignIn) -> None:
    person = sign_in("admin")
    secrets = [site.shop.password, site.portal.environment["RESTIC_PASSWORD"], PASSWORD]
    for path in PAGES:
        text = person.goto(path).content()
        assert not [secret for secret in secrets if secret in text], path


def test_what_a_press_opens_opens_and_is_remembered(site: Site, sign_in: SignIn) -> None:
    person = sign_in("admin")
    page = person.goto("/admin/backups/run/")
    page.get_by_role("button", name="Filters").click()
    expect(page.get_by_role("button", name="Apply Filters")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Apply Filters")).to_be_hidden()
    page.get_by_role("button", name="Filters").click()
    page.locator("#filter-form .select2-search__field").nth(1).click()
    page.get_by_role("option", name="Failed").click()
    page.get_by_role("button", name="Apply Filters").click()
    page.wait_for_url("**/admin/backups/run/?status__exact=failed*")

    page.locator("#nav-sidebar").get_by_text("admin", exact=True).click()
    page.get_by_text("Dark", exact=True).click()
    expect(page.locator("html")).to_have_class(re.compile("dark"))
    page.get_by_role("button", name="Menu").click()
    expect(page.locator("#nav-sidebar")).to_be_hidden()
    page.reload()
    expect(page.locator("html")).to_have_class(re.compile("dark"))
    expect(page.locator("#nav-sidebar")).to_be_hidden()

    page.keyboard.press("Control+k")
    page.get_by_placeholder("Type to search").press_sequentially("repos")
    expect(page.locator("#command-results-list")).to_contain_text("Repositories")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_url("**/admin/backups/repository/")


def test_a_repository_is_added_from_the_form_of_a_database(site: Site, sign_in: SignIn) -> None:
    """In a window of its own, whose last page tells the form and closes it."""
    page = sign_in("administrator").goto("/admin/backups/database/add/")
    page.locator(".related-widget-wrapper").get_by_role("button").first.click()
    with page.expect_popup() as opened:
        page.locator("#add_id_repository").click()
    window = opened.value
    window.get_by_label("Name").fill("second")
    window.get_by_label("Location").fill("/nowhere/second")
    window.locator("#id_password_ref").fill("env:RESTIC_PASSWORD")
    with window.expect_event("close"):
        window.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator("#id_repository option:checked")).to_have_text("second")


def test_nothing_that_was_written_into_a_page_runs(site: Site, sign_in: SignIn) -> None:
    person = sign_in("viewer")
    page = person.page
    page.evaluate("""() => {
      window.ran = [];
      const script = document.createElement("script");
      script.textContent = "ran.push('a script in the page')";
      document.body.append(script);
      document.body.insertAdjacentHTML("beforeend", `<img src="data:," onerror="ran.push('a handler')">`);
      document.body.insertAdjacentHTML("beforeend", `<a id="bad" href="javascript:ran.push('a link')">x</a>`);
      document.getElementById("bad").click();
      document.body.insertAdjacentHTML("beforeend", `<i x-data x-init="ran.push('of Alpine')"></i>`);
      setTimeout(() => { try { Function("ran.push('a text')")(); } catch { /* told as a violation */ } });
    }""")
    page.wait_for_timeout(500)
    assert page.evaluate("window.ran") == []
    forbidden = sorted(told.split(":")[0] for told in person.forbidden())
    assert forbidden == [f"forbidden by script-src{part}" for part in ("", "-attr", "-elem", "-elem")]
    person.wrong.clear()


def test_a_page_is_worked_by_who_sees_no_mouse_and_no_picture(site: Site, sign_in: SignIn) -> None:
    """Past the menu with one key, charts in numbers, commands copied, and the focus where it was."""
    if not site.portal.snapshots():
        assert site.portal.backup().code == 0
    page = sign_in("operator").goto("/admin/")
    page.keyboard.press("Tab")
    expect(page.locator(".v-skip")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#main-content")).to_be_focused()
    chart = page.locator("canvas.chart").first
    assert chart.get_attribute("role") == "img"
    numbers = page.locator(".v-numbers").first
    numbers.locator("summary").press("Enter")
    expect(numbers.locator("tbody tr").first).to_be_visible()

    # The page is renewed while a dialog is open: its opener is another node of the same name then.
    button = page.get_by_role("button", name="Back up now").first
    button.click()
    expect(page.get_by_role("dialog")).to_be_visible()
    page.evaluate("""() => {
      const state = document.querySelector("[data-live-state]");
      state.replaceChildren(...[...state.childNodes].map((node) => node.cloneNode(true)));
    }""")
    page.get_by_role("dialog").get_by_role("button", name="Close").last.click()
    expect(button).to_be_focused()

    page.locator("#content").evaluate("""(content) => {
      content.insertAdjacentHTML("beforeend", '<code class="v-mono v-command">manage.py worker</code>');
      content.dispatchEvent(new CustomEvent("vedetta:replaced", { bubbles: true }));
    }""")
    page.context.grant_permissions(["clipboard-write"])
    page.get_by_role("button", name="Copy: manage.py worker").last.click()
    expect(page.locator(".v-copy").last).to_have_text("Copied")


def test_without_scripts_there_is_a_page_and_it_says_so(site: Site, sign_in: SignIn) -> None:
    sign_in("viewer")
    context = site.browser.new_context(java_script_enabled=False, storage_state=site.signed_in["viewer"])
    page = context.new_page()
    page.goto(f"{site.url}/admin/")
    # playwright takes the text within <noscript> for none.
    expect(page.locator(".v-noscript")).to_be_visible()
    expect(page.get_by_text("Are we safe?")).to_be_visible()
    context.close()


def test_in_another_time_zone_a_time_says_what_ones_own_clock_showed(site: Site, sign_in: SignIn) -> None:
    sign_in("viewer")
    context = site.browser.new_context(
        timezone_id="Asia/Kathmandu", storage_state=site.signed_in["viewer"], locale="en-GB"
    )
    page = context.new_page()
    page.goto(f"{site.url}/admin/backups/snapshot/")
    title = page.locator("#result_list time").first.get_attribute("title") or ""
    assert re.search(r"UTC\nWhere you are: .*5:45", title)
    context.close()


def test_what_was_typed_into_a_rows_form_outlives_a_session_but_for_passwords(
    site: Site, sign_in: SignIn
) -> None:
    page = sign_in("administrator").goto("/admin/backups/repository/1/change/?tab=settings")
    name = page.locator("[name=name]")
    before = name.input_value()
    name.fill("kept over the signing in")
    page.context.clear_cookies(name=ALL_BUT_CSRF)
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("nothing was done")).to_be_visible()
    page.get_by_label("Username").fill("administrator")
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(name).to_have_value("kept over the signing in")
    page.reload()
    expect(name).to_have_value(before)


# tests/browser/test_tasks.py sets up another kind; tests/admin/test_channels.py has what is typed.
@pytest.mark.soak
def test_a_channel_is_tried_before_it_is_saved_and_nothing_typed_is_lost(site: Site, sign_in: SignIn) -> None:
    page = sign_in("administrator").page
    with inbox() as box:
        page.get_by_role("link", name="Channels").click()
        page.locator("a[href$='/backups/channel/add/']").first.click()
        page.get_by_role("link", name="Set up Webhook").click()
        page.get_by_label("Name").fill("ticket system")
        page.locator("#id_service_url").fill(f"{box.url}/hook")
        page.get_by_label("Signing secret").fill("a secret of the tests")
        page.get_by_role("button", name="Send a test message").click()
        expect(page.locator("#channel-tried")).to_contain_text("It answered 200: ok", timeout=A_RUN_MS)
        assert [each.told["event"] for each in box.requests] == ["test"]
        expect(page.get_by_label("Signing secret")).to_have_value("a secret of the tests")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator("#result_list")).to_contain_text("ticket system")
    expect(page.locator("#result_list")).to_contain_text("Never tried")


# Here, as a portal of its own would take seconds to set up, and last, as it adds tables.
def test_what_was_deleted_changed_and_replaced_comes_back_and_can_be_undone_and_redone(
    site: Site, sign_in: SignIn
) -> None:
    play_accident(site, sign_in)
