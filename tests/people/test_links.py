"""A link sets one person's password once, for some days, and its secret part is written nowhere."""

from __future__ import annotations

import html
import logging
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.apps import apps
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, User
from django.test import Client
from django.utils import timezone

from backups.models import Account
from backups.people import changes
from tests.admin.conftest import PASSWORD, Login

NEW = "of their own choice 2"
OVER = "This link opens nothing any more: it was used, is older than 3 days, or was replaced."
Person = Callable[[str], User]


def shown_link(answer: Any) -> str:
    """The link that a page shows."""
    found = re.search(r'id="link"[^>]* value="([^"]+)"', answer.content.decode())
    assert found, answer.content.decode()
    return html.unescape(found[1])


def invited(client: Client, name: str = "anna", role: str = "Operator") -> str:
    """The link that somebody is given who was just invited."""
    return shown_link(client.post("/admin/auth/user/add/", {"name": name, "role": role}))


def used(link: str, password: str = NEW, client: Client | None = None) -> Any:
    """The answer to who opens a link and chooses a password."""
    said = {"link": link, "new_password1": password, "new_password2": password}
    return (client or Client()).post("/admin/welcome/", said)


def test_who_is_invited_chooses_a_password_and_is_in_with_their_role(login: Login) -> None:
    link = invited(login("Administrator"))
    anna = User.objects.get(username="anna")
    assert not anna.has_usable_password()
    assert link.startswith("http://testserver/admin/welcome/#")

    browser = Client()
    assert browser.get("/admin/welcome/").status_code == 200
    asked = browser.post("/admin/welcome/", {"link": link}).content.decode()
    assert "Welcome, anna" in asked
    assert "May do what a Viewer may, and back up" in asked
    answer = used(link, client=browser)

    assert answer["Location"] == "/admin/"
    page = browser.get("/admin/").content.decode()
    assert "Your password is set. You are Operator" in page
    assert browser.get("/admin/admin/logentry/").status_code == 403
    assert User.objects.get(username="anna").check_password(NEW)


def test_its_secret_is_in_no_row_no_log_and_no_address(
    login: Login, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    client = login("Administrator")
    link = invited(client)
    secret = link.partition("#")[2]
    assert len(secret) > 30
    browser = Client()
    browser.post("/admin/welcome/", {"link": link})
    used(link, "short", browser)
    answer = used(link, client=browser)
    used(link)

    rows = [str(list(model._default_manager.all().values())) for model in apps.get_models()]
    for part in (secret, secret.split("-")[2]):
        assert part not in caplog.text + "".join(rows) + answer["Location"]
    told = [(each.user.get_username(), each.change_message) for each in LogEntry.objects.order_by("pk")]
    assert told == [("administrator", "Invited as Operator."), ("anna", "Chose a password by the link.")]
    assert client.get("/admin/auth/user/").content.decode().count(secret) == 0


def _used(anna: User) -> None:
    anna.set_password(NEW)
    anna.save()


def _replaced(anna: User) -> None:
    changes.new_link(User.objects.get(username="administrator"), anna.pk)


def _back_and_forth(anna: User) -> None:
    actor = User.objects.get(username="administrator")
    changes.deactivate(actor, anna.pk)
    changes.let_in_again(actor, anna.pk)


ENDS: dict[str, Callable[[User], object]] = {
    "used": _used,
    "replaced": _replaced,
    "of who was deactivated": lambda anna: User.objects.filter(pk=anna.pk).update(is_active=False),
    "of who was deactivated and let in again": _back_and_forth,
    "of who has another role": lambda anna: anna.groups.set([Group.objects.get(name="Viewer")]),
    "of who signed in meanwhile": lambda anna: User.objects.filter(pk=anna.pk).update(
        last_login=timezone.now()
    ),
    "of nobody any more": lambda anna: anna.delete(),
}


@pytest.mark.parametrize("what", ENDS)
def test_a_link_that_is_over_says_so_in_a_sentence(what: str, login: Login) -> None:
    link = invited(login("Administrator"))
    anna = User.objects.get(username="anna")
    before = anna.password
    # The same second would make the same link.
    Account.objects.update(link_made_at=timezone.now() - timedelta(seconds=5))
    link = link if what != "replaced" else invited_before(anna)
    ENDS[what](anna)
    later = User.objects.filter(username="anna").first()

    answer = used(link)

    assert answer.status_code == 200
    assert OVER in answer.content.decode()
    assert "Ask an Administrator for a new one." in answer.content.decode()
    if what not in {"used", "replaced"} and later is not None:
        assert User.objects.get(username="anna").password == before


def invited_before(anna: User) -> str:
    """A link that opens, until another one is made."""
    from backups.people import links

    made = links.make(anna)
    assert links.person_of(made) == anna
    Account.objects.update(link_made_at=timezone.now() - timedelta(seconds=5))
    return made


def test_a_link_is_over_after_three_days(login: Login, monkeypatch: pytest.MonkeyPatch) -> None:
    from backups.people.links import _tokens

    link = invited(login("Administrator"))
    now = _tokens._now()
    for age, is_open in ((timedelta(days=3, seconds=-5), True), (timedelta(days=3, seconds=5), False)):
        monkeypatch.setattr(_tokens, "_now", lambda later=now + age: later)
        shown = Client().post("/admin/welcome/", {"link": link}).content.decode()
        assert (OVER in shown) is not is_open
        assert ("Welcome, anna" in shown) is is_open


@pytest.mark.parametrize(
    "link", ["", "#", "x", "1-2-3", "#99999999999999999999-a-b", "1-" + "z" * 900, "#1-\x00", "²-a-b"]
)
def test_what_is_no_link_is_refused_and_no_error(link: str, login: Login) -> None:
    login("Administrator")
    answer = used(link)
    assert answer.status_code == 200
    said = (OVER, "Paste the whole link.", "Null characters are not allowed.")
    assert any(sentence in answer.content.decode() for sentence in said)


def test_a_link_opens_for_its_own_account_alone(login: Login, person: Person) -> None:
    viewer = person("Viewer")
    secret = invited(login("Administrator")).partition("#")[2]
    foreign = f"{viewer.pk}-{secret.partition('-')[2]}"
    assert OVER in used(foreign).content.decode()
    assert User.objects.get(pk=viewer.pk).check_password(PASSWORD)


def test_a_password_that_is_too_easy_leaves_the_link_as_it_was(login: Login) -> None:
    link = invited(login("Administrator"))
    for bad, why in (("12345678", "entirely numeric"), ("anna", "too similar"), ("short", "too short")):
        assert why in used(link, bad).content.decode()
    assert used(link).status_code == 302


def test_who_is_signed_in_as_somebody_else_signs_out_first(login: Login) -> None:
    client = login("Administrator")
    link = invited(client)
    answer = used(link, client=client)
    assert "You are signed in as <strong>administrator</strong>" in answer.content.decode()
    assert used(link).status_code == 302


def test_a_new_link_ends_sessions_and_the_password_of_before(login: Login) -> None:
    operator, administrator = login("Operator"), login("Administrator")
    pk = User.objects.get(username="operator").pk
    asked = administrator.get(f"/admin/auth/user/{pk}/link/").content.decode()
    assert "all sessions end" in asked
    assert operator.get("/admin/").status_code == 200

    link = shown_link(administrator.post(f"/admin/auth/user/{pk}/link/"))

    assert operator.get("/admin/").status_code == 302
    assert not User.objects.get(pk=pk).check_password(PASSWORD)
    assert used(link).status_code == 302
    assert User.objects.get(pk=pk).check_password(NEW)
    assert OVER in used(link).content.decode()


def test_the_page_with_a_link_is_kept_by_no_browser(login: Login) -> None:
    answer = login("Administrator").post("/admin/auth/user/add/", {"name": "anna", "role": "Viewer"})
    assert "no-store" in answer["Cache-Control"]
    assert "no-store" in Client().get("/admin/welcome/")["Cache-Control"]
