"""Every text of every page can be told in another language: a made-up one puts «» around each."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import Group, User
from django.db.models import Model
from django.urls import reverse
from django.utils import timezone, translation

from backups.actions.preflight import _told_checks
from backups.actions.steps.checks import Check
from backups.choices import AlertState, RestoreMode, Status
from backups.errors import Failure, Problem
from backups.models import Alert, Question, Run, Snapshot
from backups.requests import RestoreRequest, questions
from backups.restoring.plan import drafted
from backups.text.sentences import phrase, plural
from tests.admin.conftest import Login
from tests.admin.test_pages import pages
from tools.history import History

# What is no text: units of measure, what is shown as a machine says it, and names.
NO_TEXT = re.compile(
    r"""
    \b(?:[kMGTP]?i?B(?:/s)?|min|[hsd]|UTC|CET|CEST)\b   # units and time zones
    | \b[0-9a-f]{8}\b | \bmanage\.py\ \w+ | \b(?:fresh|grace|stale|unverified|override|invalid)\b
    | \b(?:English|Italiano)\b                          # languages, as each calls itself
    | \b[0-9a-f]{64}\b | \besc\b | \bdb:3306\b     # digests, a key, an address
    | \b(?:Vedetta|restic|MySQL|MariaDB|SHA-256|TLS|S3|NOTIFY_URLS|PING_URL|SENTINEL_[A-Z_]+)\b
    | \bAt\ \d\d:\d\d.*                                # cron in words, by a library with languages of its own
    | `[^`]*`                                          # commands
    | [\w.+-]+@[\w.-]+ | \bhttps?://\S+ | (?<!\w)/[\w./-]+   # addresses and paths
    """,
    re.VERBOSE,
)
SILENT_TAGS = {"script", "style", "template", "pre", "code", "title"}
# Icons are ligatures; the others show what a machine says.
SILENT_CLASSES = re.compile(r"material-symbols-outlined|v-mono|v-log.*|v-version")


@pytest.fixture
def made_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever reads has a language in which each text is itself, between «»."""
    quoted: Callable[[str], str] = lambda text: f"«{text}»"  # noqa: E731
    trans = translation._trans  # type: ignore[attr-defined]
    monkeypatch.setattr(trans, "gettext", quoted, raising=False)
    monkeypatch.setattr(trans, "pgettext", lambda _context, text: quoted(text), raising=False)
    monkeypatch.setattr(
        trans, "ngettext", lambda one, several, n: quoted(one if n == 1 else several), raising=False
    )
    monkeypatch.setattr(
        trans, "npgettext", lambda _c, one, several, n: quoted(one if n == 1 else several), raising=False
    )


class Visible(HTMLParser):
    """The texts that a page shows, without those that only a machine wrote."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self._silent: list[bool] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Whether what it holds is read."""
        attributes = dict(attrs)
        self.texts += [
            text for name in ("title", "aria-label", "placeholder") if (text := attributes.get(name))
        ]
        if tag in {"input", "img", "br", "meta", "link", "hr", "col", "path"}:
            return
        classes = (attributes.get("class") or "").split()
        is_silent = tag in SILENT_TAGS or any(SILENT_CLASSES.fullmatch(each) for each in classes)
        self._silent.append(is_silent or bool(self._silent and self._silent[-1]))

    def handle_endtag(self, tag: str) -> None:
        """Back to what it stands in."""
        if self._silent:
            self._silent.pop()

    def handle_data(self, data: str) -> None:
        """A text."""
        if data.strip() and not (self._silent and self._silent[-1]):
            self.texts.append(" ".join(data.split()))


def outside(text: str, depth: int = 0) -> tuple[str, int]:
    """What of a text stands outside of all «», and how many are open behind it."""
    found = []
    for letter in text:
        depth = max(depth + (letter == "«") - (letter == "»"), 0)
        found.append(letter if depth == 0 and letter != "»" else " ")
    return "".join(found), depth


def strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from strings(each)
    elif isinstance(value, list):
        for each in value:
            yield from strings(each)


def data() -> list[str]:
    """What rows hold, the longest first: names, and texts that were stored in English."""
    found: set[str] = set()
    models: list[type[Model]] = list(apps.get_models())
    for model in models:
        for row in model._default_manager.all().values():
            for value in row.values():
                found.update(" ".join(each.split()) for each in strings(value))
    return sorted({each for each in found if re.search("[A-Za-z]{3}", each)}, key=len, reverse=True)


def untold(page: str, known: list[str]) -> list[str]:
    """Texts of a page, or what is left of them, that nobody could translate."""
    visible = Visible()
    visible.feed(page)
    left, depth = [], 0
    for text in visible.texts:
        rest, depth = outside(text, depth)
        if re.search("[A-Za-z]{2}", rest):
            # A sentence of a row is one as it is stored: the address in it is not taken out before.
            for each in (each for each in known if len(each) > 40):
                rest = rest.replace(each, " ")
            rest = NO_TEXT.sub(" ", rest)
            for each in known:
                rest = rest.replace(each, " ")
        is_cut = rest.endswith("…") and any(each.startswith(text.rstrip("… ")) for each in known)
        if re.search("[A-Za-z]{2}", rest) and not is_cut:
            left.append(text)
    return left


def failed(past: History) -> Run:
    """A run whose failure names much."""
    problem = Problem(
        phrase(
            "The server {host} holds {tables} of {kind}.",
            host="db.example.com",
            tables=plural("{n} table", "{n} tables", n=3),
            kind=phrase("Backup"),
        ),
        code="some.code",
        do=phrase("Try again."),
    )
    failure = Failure.of(problem, safe=phrase("Nothing was touched."))
    return Run.objects.create(
        action="backup", trigger="cli", status=Status.FAILED, database=past.databases[0],
        repository=past.repository, started_at=timezone.now(), finished_at=timezone.now(),
        error=failure.sentence, error_code=failure.code, error_params=failure.stored,
    )  # fmt: skip


def everything(past: History) -> dict[str, str]:
    """More than `pages`: what people fill in, and lists that others wrote."""
    database, snapshot = past.databases[0], Snapshot.objects.filter(forgotten_at=None)[0]
    somebody = User.objects.create_user("somebody", is_staff=True)
    somebody.groups.add(Group.objects.get(name="Operator"))
    more = {
        "dashboard": reverse("admin:index"),
        "gate": reverse("gate"),
        "a failed run with parts": reverse("admin:backups_run_change", args=[failed(past).pk]),
        "restore": reverse("snapshot-restore", args=[snapshot.pk]),
        "restore at": reverse("database-restore", args=[database.pk]),
        "new database": reverse("admin:backups_database_add"),
        "new repository": reverse("admin:backups_repository_add"),
        "new server": reverse("admin:backups_server_add"),
        "set-up": reverse("set-up"),
        "alerts": reverse("admin:backups_alert_changelist"),
        "schedules": reverse("admin:django_q_schedule_changelist"),
        "audit": reverse("admin:admin_logentry_changelist"),
        "own sessions": reverse("own-sessions"),
        "people": reverse("admin:auth_user_changelist"),
        "invitation": reverse("admin:auth_user_add"),
        "person": reverse("admin:auth_user_change", args=[somebody.pk]),
        "new link": reverse("admin:auth_user_link", args=[somebody.pk]),
        "their password": reverse("admin:auth_user_password_change", args=[somebody.pk]),
        "deactivation": reverse("admin:auth_user_deactivate", args=[somebody.pk]),
        "back up": reverse("admin:backups_database_back_up", args=[database.pk]),
        "verify": reverse("admin:backups_database_verify", args=[database.pk]),
    }
    return {**pages(past), **more}


def told_by_the_worker(past: History, reader: User) -> dict[str, str]:
    """Pages of what the worker wrote, each with one and the same text in it."""
    told, snapshot = phrase("Nothing was changed."), Snapshot.objects.filter(forgotten_at=None)[0]
    check = Check("repository", ok=False, detail=told)
    preflight = Run.objects.create(
        action="preflight", trigger="admin", status=Status.FAILED, database=past.databases[0],
        repository=past.repository, started_at=timezone.now(), finished_at=timezone.now(),
        result=_told_checks([check]),
    )  # fmt: skip
    wanted = RestoreRequest(past.databases[0], snapshot, RestoreMode.NEW, "shop__copy")
    plan = drafted(wanted.database, snapshot, mode=wanted.mode, target=wanted.target)
    plan.warnings.append(told)
    answered: dict[str, tuple[questions.Question, Any]] = {
        "an answer": (questions.TestMessageQuestion(), {"sentence": told}),
        "a question in vain": (questions.TestMessageQuestion(), Problem(told, code="some.code")),
        "a plan": (questions.PreviewQuestion(wanted), plan.told()),
    }
    urls = {"preflight": reverse("admin:backups_run_change", args=[preflight.pk])}
    for name, (question, answer) in answered.items():
        row = Question.objects.create(kind=question.kind, asked=question.asked(), asked_by=reader)
        questions.answer(row, answer)
        view = "question-preview" if name == "a plan" else "question"
        urls[name] = reverse(view, args=[row.pk])
    return urls


def test_what_the_worker_wrote_is_told_in_the_readers_language(
    past: History, login: Login, made_up: None
) -> None:
    client = login("superuser")
    urls = told_by_the_worker(past, User.objects.get(username="superuser"))

    for name, url in urls.items():
        answer = client.get(url)
        is_json = "json" in answer["Content-Type"]
        page = answer.json()["html"] if is_json else answer.content.decode()
        assert "«Nothing was changed.»" in page, name
    # What is stored is English, under the keys of before.
    assert Run.objects.latest("pk").result["checks"][0]["detail"] == "Nothing was changed."
    stored = [each.answer for each in Question.objects.order_by("pk")]
    assert stored[0]["told"]["sentence"] == stored[1]["problem"] == "Nothing was changed."
    assert "Nothing was changed." in stored[2]["told"]["warnings"]


def test_every_text_of_every_page_can_be_told_in_another_language(
    past: History, login: Login, made_up: None
) -> None:
    client = login("superuser")
    Alert.objects.create(
        subject="Backup of shop",
        state=AlertState.FAILED,
        title="Backup of shop: failed",
        text="It failed.",
        since=timezone.now(),
    )
    urls = everything(past)
    known = data()

    found = {}
    for name, url in urls.items():
        answer = client.get(url)
        assert answer.status_code == 200, (name, answer.status_code)
        text = answer.content.decode()
        if "json" in answer["Content-Type"]:
            text = " ".join(each for each in strings(json.loads(text)))
        if name != "log" and (left := untold(text, known)):
            found[name] = left

    assert found == {}
    page = client.get(urls["a failed run with parts"]).content.decode()
    assert "«The server db.example.com holds «3 tables» of «Backup».» «Nothing was touched.»" in page
