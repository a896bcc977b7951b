"""Sessions as their owners know them: listed, and ended one by one, by what opens nothing."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.conf import settings
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from backups.models import SignIn
from backups.people import browsers, sign_ins
from tests.admin.conftest import PASSWORD, Login

Person = Callable[[str], User]
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"
IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/18.5 Mobile/15E148 Safari/604.1"
)
EDGE = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 "
    "Safari/537.36 Edg/141.0.0.0"
)
BACKEND = "django.contrib.auth.backends.ModelBackend"


@pytest.mark.parametrize(
    ("agent", "words"),
    [
        (FIREFOX, "Firefox on Linux"),
        (IPHONE, "Safari on iPhone"),
        (EDGE, "Edge on Windows"),
        ("curl/8.14.1", "curl"),
        ("<script>", "Unknown browser"),
        ("", "Unknown browser"),
        ("Something (Macintosh; Intel Mac OS X 10_15_7)", "A browser on macOS"),
    ],
)
def test_a_browser_is_told_in_words(agent: str, words: str) -> None:
    assert browsers.in_words(agent) == words


def entered(name: str, agent: str, address: str) -> Client:
    """A browser of somebody who signed in through the form."""
    client = Client(headers={"user-agent": agent}, REMOTE_ADDR=address)
    assert client.post("/admin/login/", {"username": name, "password": PASSWORD}).status_code == 302
    return client


def key_of(client: Client) -> str:
    return client.cookies[settings.SESSION_COOKIE_NAME].value


def is_in(client: Client) -> bool:
    return client.get("/admin/password_change/").status_code == 200


def keys_on(page: str) -> list[str]:
    return re.findall(r'name="key" value="(\w+)"', page)


def test_sessions_are_listed_and_ended_one_by_one_and_all_at_once(login: Login, person: Person) -> None:
    viewer = person("Viewer")
    at_work, on_the_way = entered("viewer", FIREFOX, "192.0.2.7"), entered("viewer", IPHONE, "2001:db8::1")
    client = login("Administrator")
    url, end = f"/admin/auth/user/{viewer.pk}/change/", f"/admin/auth/user/{viewer.pk}/sessions/"

    page = client.get(url).content.decode()
    for words in ("Firefox on Linux", "192.0.2.7", "Safari on iPhone", "2001:db8::1"):
        assert words in page
    assert len(keys_on(page)) == 2
    for session in (at_work, on_the_way, client):
        assert key_of(session) not in page
    # What is listed opens nothing.
    thief = Client()
    thief.cookies[settings.SESSION_COOKIE_NAME] = keys_on(page)[0]
    assert not is_in(thief)

    newest = keys_on(page)[0]
    assert "1 session ended." in client.post(end, {"key": newest}, follow=True).content.decode()
    assert (is_in(at_work), is_in(on_the_way)) == (True, False)
    assert "over already" in client.post(end, {"key": newest}, follow=True).content.decode()

    entered("viewer", EDGE, "192.0.2.8")
    assert "2 sessions ended." in client.post(end, {"all": "1"}, follow=True).content.decode()
    assert not is_in(at_work)
    assert "Not signed in anywhere." in client.get(url).content.decode()
    assert [each.change_message for each in LogEntry.objects.order_by("pk")] == [
        "Ended 1 session.", "Ended 2 sessions.",
    ]  # fmt: skip


def test_another_persons_session_is_not_ended_by_the_way(login: Login, person: Person) -> None:
    viewer, client = person("Viewer"), login("Administrator")
    own = SignIn.objects.get(person__username="administrator").key
    client.post(f"/admin/auth/user/{viewer.pk}/sessions/", {"key": own})
    assert is_in(client)


@pytest.mark.parametrize("said", ["key", "all"])
def test_who_ends_their_own_session_is_signed_out(said: str, login: Login) -> None:
    client = login("Administrator")
    me = User.objects.get(username="administrator")
    page = client.get(f"/admin/auth/user/{me.pk}/change/").content.decode()
    assert "this one" in page
    answer = client.post(f"/admin/auth/user/{me.pk}/sessions/", {said: keys_on(page)[0]})
    assert answer["Location"] == "/admin/login/"
    assert not is_in(client)
    assert not Session.objects.exists()


def test_the_list_says_when_somebody_was_here_and_in_how_many_browsers(login: Login, person: Person) -> None:
    person("Viewer")
    entered("viewer", FIREFOX, "192.0.2.7")
    gone = entered("viewer", IPHONE, "192.0.2.7")
    gone.post("/admin/logout/")
    SignIn.objects.filter(person__username="viewer").update(seen_at=timezone.now() - timedelta(days=3))
    client = login("Administrator")
    for name in ("Operator", "Restorer"):
        person(name)

    with CaptureQueriesContext(connection) as few:
        page = client.get("/admin/auth/user/")
    rows = re.findall(r"<tr[^>]*>(.*?)</tr>", html.unescape(page.content.decode()), re.DOTALL)
    told = [" ".join(re.sub("<[^>]*>", " ", row).split()) for row in rows]
    assert any("viewer Viewer 3 days ago 1" in each for each in told), told
    assert any("operator Operator never" in each for each in told), told
    for number in range(10):
        user = User.objects.create_user(f"person {number}", is_staff=True)
        Client().force_login(user, backend=BACKEND)
    with CaptureQueriesContext(connection) as many:
        client.get("/admin/auth/user/")
    assert len(many) == len(few)


def test_a_session_follows_its_owner_to_a_new_key(person: Person) -> None:
    person("Viewer")
    client = entered("viewer", FIREFOX, "192.0.2.7")
    known = SignIn.objects.get()
    new = "another one of the tests 2"
    client.post(
        "/admin/password_change/", {"old_password": PASSWORD, "new_password1": new, "new_password2": new}
    )
    assert is_in(client)
    assert SignIn.objects.get().since == known.since
    assert SignIn.objects.get().key != known.key


def test_a_session_of_before_is_listed_once_its_owner_comes_and_it_is_written_down_now_and_then(
    person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    viewer = person("Viewer")
    client = entered("viewer", FIREFOX, "192.0.2.7")
    SignIn.objects.all().delete()
    monkeypatch.setattr(sign_ins, "_noted", {})
    assert is_in(client)
    assert [(each.since, each.address) for each in sign_ins.of(viewer)] == [(None, "192.0.2.7")]
    with CaptureQueriesContext(connection) as captured:
        assert is_in(client)
    assert not [sql for query in captured if "backups_signin" in (sql := query["sql"])]


# ---------------------------------------------------------------- One's own


OWN = "/admin/sessions/"


def test_everybody_sees_their_own_sessions_and_ends_the_others(person: Person) -> None:
    viewer, operator = person("Viewer"), person("Operator")
    here, away = entered("viewer", FIREFOX, "192.0.2.7"), entered("viewer", IPHONE, "2001:db8::1")
    third, others = entered("viewer", EDGE, "192.0.2.9"), entered("operator", EDGE, "192.0.2.8")

    assert f'href="{OWN}"' in here.get("/admin/").content.decode()
    answer = here.get(OWN)
    page = html.unescape(answer.content.decode())
    assert "no-store" in answer["Cache-Control"]
    for words in ("Firefox on Linux", "Safari on iPhone", "2001:db8::1", "this one"):
        assert words in page
    assert "192.0.2.8" not in page
    keys = {each.browser: each.key for each in SignIn.objects.filter(person=viewer)}
    assert page.index("this one") < page.index(f'value="{keys[FIREFOX]}"')
    assert key_of(here) not in page

    assert here.get(OWN, {"key": keys[IPHONE]}).status_code == 200
    assert is_in(away)
    assert here.post(OWN, {"key": keys[IPHONE]})["Location"] == OWN
    assert [is_in(each) for each in (here, away, third)] == [True, False, True]
    entry = LogEntry.objects.latest("pk")
    assert (entry.user, entry.object_repr) == (viewer, "viewer")
    assert entry.get_change_message() == "Ended 1 session."

    # Of somebody else, or of nobody.
    for key in (SignIn.objects.get(person=operator).key, "", "x" * 5000, "\0"):
        assert here.post(OWN, {"key": key})["Location"] == OWN
    assert is_in(others)
    assert LogEntry.objects.latest("pk") == entry

    assert here.post(OWN, {"all": "1"})["Location"] == OWN
    assert [is_in(each) for each in (here, third, others)] == [True, False, True]
    assert here.post(OWN, {"key": keys[FIREFOX]})["Location"].startswith("/admin/login/")
    assert not is_in(here)


def test_ones_own_sessions_are_ended_with_a_token_alone(person: Person) -> None:
    person("Viewer")
    client = Client(enforce_csrf_checks=True)
    client.force_login(User.objects.get(username="viewer"), backend=BACKEND)
    assert client.post(OWN, {"all": "1"}).status_code == 403
    assert Client().get(OWN)["Location"].startswith("/admin/login/")
