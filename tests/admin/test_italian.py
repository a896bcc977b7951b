"""Whoever reads Italian is told everything in Italian; machines and logs are told in English."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from types import MappingProxyType

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import translation
from pytest_django import Settings

from backups.alerting import delivery, subjects
from backups.choices import AlertState
from backups.models import Alert, Run, Snapshot
from backups.text import formatting
from backups.text.logs import EscapingFormatter
from backups.text.sentences import Sentence, capitalized, parts_of, phrase
from portal.bodies import MOST_BYTES
from tests.admin.conftest import Login
from tests.admin.test_actions import CONFIRM, action_url
from tests.admin.test_languages import Visible, data, everything, failed, strings, told_by_the_worker
from tests.text.test_catalogue import ENTRIES
from tools.history import History

ITALIAN = {"accept-language": "it-IT,it;q=0.9,en;q=0.5"}
# Words that no Italian sentence has.
ENGLISH = re.compile(
    r"\b(?:the|is|are|was|were|of|and|with|this|that|not|has|have|been|from|be|by|its|will)\b"
)
# Texts that Italian has in other words, so that none of them stands on a page as it is in English.
TRANSLATED = {one for (one, several), told in ENTRIES.items() if not several and told[0] != one} - {
    text for told in ENTRIES.values() for text in told
}

MOMENT = datetime(2025, 11, 23, 3, 0, 12, tzinfo=UTC)

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def nobody_reads_italian_afterwards() -> Iterator[None]:
    """A request leaves its language to its thread, until the next one says its own."""
    yield
    translation.deactivate()


def left_in_english(text: str, known: list[str]) -> list[str]:
    visible = Visible()
    visible.feed(text)
    found = []
    for each in visible.texts:
        rest = each
        for row in known:
            rest = rest.replace(row, " ")
        is_cut = each.endswith("…") and any(row.startswith(each.rstrip("… ")) for row in known)
        called = each.removesuffix(" | Vedetta")
        if not is_cut and ((called in TRANSLATED and called not in known) or ENGLISH.search(rest)):
            found.append(each)
    return found


def fails_for_real() -> None:
    """What made-up runs failed with nobody has translated."""
    told = phrase("Nothing was changed.")
    Run.objects.filter(error_code="some.code").update(error=told, error_params=parts_of(told))


def test_every_page_is_in_italian(past: History, login: Login) -> None:
    client = login("superuser")
    person = User.objects.get(username="superuser")
    urls = everything(past) | {
        "oneself": reverse("admin:auth_user_change", args=[person.pk]),
        "own password": reverse("admin:password_change"),
        "history": reverse("admin:backups_database_history", args=[past.databases[0].pk]),
        "deletion": reverse("admin:auth_user_delete", args=[User.objects.get(username="somebody").pk]),
        "new server": reverse("admin:backups_server_add"),
    }
    fails_for_real()
    known = [each for each in data() if len(each) > 3]

    found = {}
    for name, url in urls.items():
        answer = client.get(url, headers=ITALIAN)
        assert answer.status_code == 200, (name, answer.status_code)
        text = answer.content.decode()
        if "json" in answer["Content-Type"]:
            text = " ".join(strings(json.loads(text)))
        elif "html" in answer["Content-Type"] and "<html" in text:
            assert re.search(r'<html lang="it"', text), name
        if name != "log" and (left := left_in_english(text, known)):
            found[name] = left

    assert found == {}


def test_a_stored_failure_is_told_in_the_readers_language(past: History, login: Login) -> None:
    run = failed(past)
    fails_for_real()
    url = reverse("admin:backups_run_change", args=[run.pk])
    client = login("superuser")

    assert "Non è stato cambiato nulla." in client.get(url, headers=ITALIAN).content.decode()
    assert "Nothing was changed." in client.get(url).content.decode()
    assert Run.objects.get(pk=run.pk).error == "Nothing was changed."


def test_what_the_worker_wrote_is_told_in_italian(past: History, login: Login) -> None:
    client = login("superuser")
    urls = told_by_the_worker(past, User.objects.get(username="superuser"))

    for name, url in urls.items():
        answer = client.get(url, headers=ITALIAN)
        is_json = "json" in answer["Content-Type"]
        page = answer.json()["html"] if is_json else answer.content.decode()
        assert "Non è stato cambiato nulla." in page, name
        assert "Nothing was changed." not in page, name


# ---------------------------------------------------------------- Which language it is


def language_of(client: Client, headers: Mapping[str, str] = MappingProxyType({})) -> str:
    answer = client.get("/admin/login/", headers=dict(headers))
    found = re.search(r'<html lang="(\w+)"', answer.content.decode())
    assert found, answer.content[:200]
    assert answer["Content-Language"] == found[1]
    assert {"accept-language", "cookie"} <= {each.strip().lower() for each in answer["Vary"].split(",")}
    return found[1]


@pytest.mark.parametrize(
    ("asked", "language"),
    [
        ("it", "it"),
        ("it-CH,fr;q=0.5", "it"),
        ("en-GB,it;q=0.8", "en"),
        ("de", "en"),
        ("", "en"),
        ("%s;q=x", "en"),
    ],
)
def test_it_is_the_browsers(asked: str, language: str) -> None:
    assert language_of(Client(), {"accept-language": asked}) == language


def test_a_choice_on_the_page_is_kept_and_wins_over_the_browser(settings: Settings) -> None:
    client = Client()
    page = client.get("/admin/login/").content.decode()
    assert 'name="language" value="it"' in page
    assert 'action="/admin/language/"' in page

    answer = client.post("/admin/language/", {"language": "it", "next": "/admin/login/?next=/admin/"})

    assert answer["Location"] == "/admin/login/?next=/admin/"
    cookie = answer.cookies[settings.LANGUAGE_COOKIE_NAME]
    assert (cookie["path"], cookie["httponly"], cookie["samesite"]) == ("/admin/", True, "Lax")
    assert cookie["max-age"] > timedelta(days=300).total_seconds()
    assert language_of(client, {"accept-language": "en"}) == "it"
    client.post("/admin/language/", {"language": "en", "next": "/admin/login/"})
    assert language_of(client, ITALIAN) == "en"


def test_a_choice_of_what_is_no_language_changes_nothing_and_leads_nowhere_else() -> None:
    client = Client()

    answer = client.post("/admin/language/", {"language": "xx/../..", "next": "https://example.com/"})

    assert answer["Location"] == "/"
    assert language_of(client) == "en"


def test_a_choice_needs_the_pages_token() -> None:
    answer = Client(enforce_csrf_checks=True).post("/admin/language/", {"language": "it"}, headers=ITALIAN)

    assert answer.status_code == 403
    assert "Non è stato fatto nulla" in answer.content.decode()


def test_pages_for_who_is_locked_out_or_refused_are_in_italian(login: Login, settings: Settings) -> None:
    client = Client()
    wrong = {"username": "anna", "password": "wrong"}
    for _ in range(settings.AXES_FAILURE_LIMIT + 1):
        answer = client.post("/admin/login/", wrong, headers=ITALIAN)
    assert answer.status_code == 429
    assert "L'accesso è bloccato" in answer.content.decode().replace("&#x27;", "'")
    assert '<html lang="it">' in answer.content.decode()

    answer = Client().generic(
        "POST", "/admin/login/", b"", "text/plain", CONTENT_LENGTH=str(MOST_BYTES + 1), headers=ITALIAN
    )
    assert answer.status_code == 413
    assert not ENGLISH.search(answer.content.decode())


@pytest.mark.parametrize("path", ["/sentinel/heartbeat", "/ok", "/healthz", "/metrics"])
def test_machines_are_answered_in_english_and_as_ever(path: str, settings: Settings) -> None:
    settings.METRICS_TOKEN = "a token of the tests"
    token = {"authorization": "Bearer a token of the tests"}
    english, italian = (Client().get(path, headers={**token, **more}) for more in ({}, ITALIAN))

    ages = re.compile(rb"[0-9.e+-]+")
    assert ages.sub(b"", italian.content) == ages.sub(b"", english.content)
    for answer in (english, italian):
        assert "Content-Language" not in answer
        assert "accept-language" not in answer.get("Vary", "").lower()


# ---------------------------------------------------------------- What is written down, sent and logged


def test_what_is_written_down_is_in_english_whoever_acts(past: History, login: Login) -> None:
    client = login("superuser")
    client.defaults["HTTP_ACCEPT_LANGUAGE"] = ITALIAN["accept-language"]
    snapshot = Snapshot.objects.filter(forgotten_at=None)[0]

    client.post(action_url(past.databases[0], "verify"), CONFIRM)
    client.post(action_url(snapshot, "pin"), CONFIRM | {"reason": "before 42"})
    client.post(action_url(Run.objects.latest("pk"), "cancel"), CONFIRM)

    written = [f"{entry.object_repr}: {entry.change_message}" for entry in LogEntry.objects.order_by("pk")]
    number = Run.objects.latest("pk").pk
    assert f"{past.databases[0]}: Started Verification {number}." in written
    assert any("Pinned: before 42" in each for each in written)
    assert f"Verification {number}: Asked to cancel." in written


def test_alerts_are_sent_and_shown_in_the_language_that_is_asked_for(
    past: History, login: Login, settings: Settings
) -> None:
    subject = phrase("Schedule: {name}", name="shop")
    subjects.change(subject, subjects.Standing(AlertState.FAILED, phrase("Nothing was changed.")))
    alert = Alert.objects.get(subject="Schedule: shop")

    assert (alert.title, alert.text) == ("Schedule: shop: failed", "Nothing was changed.")
    sent = {}
    for language in ("en", "it"):
        settings.NOTIFY_LANGUAGE = language
        message = delivery._message(alert.in_words("title"), alert.in_words("text"), AlertState.FAILED, [])
        sent[language] = (message["title"], message["body"].splitlines()[0])
    assert sent["en"] == ("Schedule: shop: failed", "Nothing was changed.")
    assert sent["it"] == ("Pianificazione: shop: errore", "Non è stato cambiato nulla.")
    page = login("superuser").get(reverse("admin:backups_alert_change", args=[alert.pk]), headers=ITALIAN)
    assert "Pianificazione: shop: errore" in page.content.decode()


def test_an_alert_of_before_stays_as_it_was_written(past: History) -> None:
    alert = Alert.objects.create(subject="Backup of shop", title="Backup of shop: failed", text="It failed.")

    with translation.override("it"):
        assert str(alert.in_words("title")) == "Backup of shop: failed"


def test_logs_are_in_english_whose_request_they_are_of() -> None:
    record = logging.LogRecord("a", logging.ERROR, "b", 1, "%s", (phrase("Nothing was changed."),), None)

    with translation.override("it"):
        assert EscapingFormatter("{message}", style="{").format(record) == "Nothing was changed."
        assert str(phrase("Nothing was changed.")) == "Non è stato cambiato nulla."


# ---------------------------------------------------------------- Numbers and dates


@pytest.mark.parametrize(
    ("told", "english", "italian"),
    [
        (formatting.size(15_300_000), "15.3 MB", "15,3 MB"),
        (formatting.size(0), "0 B", "0 B"),
        (formatting.size(10**13), "10.0 TB", "10,0 TB"),
        (formatting.speed(1_500_000), "1.5 MB/s", "1,5 MB/s"),
        (formatting.duration(4.25), "4.2 s", "4,2 s"),
        (formatting.duration(2 * 86400 + 3 * 3600), "2 d 3 h", "2 g 3 h"),
        (formatting.day(date(2025, 11, 26)), "Wed 26 Nov", "mer 26 nov"),
        (formatting.exact(MOMENT), "Sun 23 Nov 2025, 03:00:12 UTC", "dom 23 nov 2025, 03:00:12 UTC"),
        (formatting.approximate_duration(26 * 3600), "26 hours", "26 ore"),
        (formatting.approximate_duration(10 * 365 * 86400), "10 years", "10 anni"),
    ],
)  # fmt: skip
def test_numbers_and_dates_are_written_as_the_reader_writes_them(
    told: str, english: str, italian: str
) -> None:
    assert told == english
    with translation.override("it"):
        assert str(told) == italian


def test_a_text_begins_with_a_capital_in_each_language() -> None:
    text = capitalized(phrase("{kind} {name}", kind=phrase("view"), name="totals"))
    again = Sentence.from_json(json.loads(json.dumps(text.as_json())))  # type: ignore[attr-defined]

    assert text == again == "View totals"
    with translation.override("it"):
        assert str(text) == str(again) == "Vista totals"
