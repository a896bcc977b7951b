"""The page that searches the log itself: what it asks the worker, what it shows, and who looked."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.urls import reverse

from backups.admin import log_search
from backups.errors import Problem
from backups.models import Database, Snapshot
from backups.moments.until import local
from tests.admin.conftest import Login
from tests.admin.test_moments import FILE, at, logged
from tests.admin.test_restoring import told

__all__ = ["logged"]
TEXT = "DELETE FROM orders WHERE id = 7 \x1b[2J<script>"


def one(**fields: Any) -> dict[str, Any]:
    """A transaction as the worker tells of it."""
    return {
        "file": FILE, "position": 7000, "moment": at(7).isoformat(), "gtid": "0-1-7", "connection": 42,
        "rows": 1, "tables": {"orders": {"delete": 1}}, "tables_beyond": 0, "is_definition": False,
        "statements": [], "statements_beyond": 0, **fields,
    }  # fmt: skip


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The worker's answer, which a test may change, and under "asked" what it was asked."""
    answer: dict[str, Any] = {
        "transactions": [one()], "why": "", "reached": at(7).isoformat(), "go_on": None, "bytes": 9000,
        "unread": [], "unlike": [], "asked": [],
    }  # fmt: skip

    def ask(_person: Any, _snapshot: Snapshot, _database: int, asked: Any) -> bytes:
        answer["asked"].append(asked)
        return json.dumps({name: value for name, value in answer.items() if name != "asked"}).encode()

    monkeypatch.setattr(log_search, "ask_for_log", ask)
    return answer


def searched(client: Client, database: Database, **fields: str) -> Any:
    """The page after a search of the log's first twenty minutes."""
    wanted = {"begins": local(at(1)), "ends": local(at(20)), **fields}
    page = client.post(reverse("database-log-search", args=[database.pk]), wanted)
    assert page.status_code == 200
    assert "no-store" in page["Cache-Control"]
    return page


def test_a_search_shows_what_the_worker_finds_and_leads_to_the_restore(
    logged: Database, login: Login, answers: dict[str, Any]
) -> None:
    client = login("Restorer")
    first = client.get(reverse("database-log-search", args=[logged.pk])).content.decode()
    assert f'name="ends" value="{local(at(50))}"' in first

    page = searched(client, logged, table="orders", key="7", rows="1", connection="42")

    assert "1 transaction found All of that time was looked through." in told(page)
    assert "orders 1 deleted" in told(page)
    assert "connection 42" in told(page)
    assert f"before={FILE}%3A7000" in page.content.decode()
    (asked,) = answers["asked"]
    assert (asked["key"], asked["table"], asked["rows"], asked["with_text"]) == ("7", "orders", 1, False)
    searched(client, logged)
    # Who turns from one search to the next looked once.
    assert [each.change_message for each in LogEntry.objects.all()] == ["Looked at transactions in its log."]


def test_each_look_at_statements_is_noted_and_they_steer_nobody(
    logged: Database, login: Login, answers: dict[str, Any]
) -> None:
    client = login("Restorer")
    answers["transactions"] = [one(statements=[TEXT], statements_beyond=2), one(position=8000)]

    pages = [searched(client, logged, with_text="on") for _ in range(2)]

    for page in pages:
        assert "DELETE FROM orders WHERE id = 7 \\x1b[2J&lt;script&gt;" in page.content.decode()
        assert "and 2 further statements" in told(page)
        assert "The log does not have its text." in told(page)
    notes = [each.change_message for each in LogEntry.objects.all()]
    words = f"Looked at the text of statements in its log from {local(at(1))} to {local(at(20))}."
    assert notes == [words, words]


def test_where_it_ended_is_said_and_it_goes_on_from_there(
    logged: Database, login: Login, answers: dict[str, Any]
) -> None:
    client = login("Restorer")
    answers |= {"why": "time", "go_on": [5, 7000], "unlike": ["prices"]}

    page = searched(client, logged)

    assert f"It ended at {local(at(7))}, because it took too long." in told(page)
    assert "The key could not be looked at in prices" in told(page)
    assert 'name="after" value="5:7000"' in page.content.decode()
    searched(client, logged, after="5:7000")
    searched(client, logged, after="5:x")
    assert [each["after"] for each in answers["asked"]] == [None, [5, 7000], None]


def test_what_cannot_be_meant_or_had_is_said(
    logged: Database, login: Login, answers: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    client = login("Restorer")
    assert "is no time" in told(searched(client, logged, begins="yesterday"))
    for name in ("begins", "ends"):
        for text in ("9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z"):
            page = searched(client, logged, with_text="on", **{name: text})
            assert "is no time that any log has" in told(page)
    assert "lies before its beginning" in told(searched(client, logged, begins=local(at(30))))
    assert not answers["asked"]
    answers["transactions"] = [{"file": FILE}]
    assert "cannot be read" in told(searched(client, logged))

    def nobody(*_: Any) -> bytes:
        raise Problem("The worker does not run.", code="downloads.no_worker")

    monkeypatch.setattr(log_search, "ask_for_log", nobody)
    assert "The worker does not run." in told(searched(client, logged))
    Snapshot.objects.all().delete()
    assert "so its log is of no use" in told(searched(client, logged))


@pytest.mark.parametrize("role", ["Viewer", "Operator"])
def test_who_may_not_restore_searches_nothing(
    logged: Database, login: Login, answers: dict[str, Any], role: str
) -> None:
    url = reverse("database-log-search", args=[logged.pk])
    assert login(role).post(url, {"begins": "x"}).status_code == 403
    assert not answers["asked"]
