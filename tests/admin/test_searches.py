"""Odd texts in the searches of lists and of the first page: each is looked for, and none is an error."""

from __future__ import annotations

import pytest
from django.contrib import admin
from django.contrib.admin import ModelAdmin
from django.contrib.auth.models import User
from django.urls import reverse

from tests.admin.conftest import Login
from tools.history import History


def searches() -> dict[str, str]:
    """The pages with a search, and what names theirs."""
    found = {reverse("admin:index"): "q", reverse("admin:search"): "s"}
    for model, page in admin.site._registry.items():
        if isinstance(page, ModelAdmin) and page.search_fields:
            opts = model._meta
            found[reverse(f"admin:{opts.app_label}_{opts.model_name}_changelist")] = "q"
    return found


SOAK = pytest.mark.soak
ODD = [
    pytest.param("a " * 5000, id="thousands of words"),
    pytest.param("\U0001f5c4" * 20_000, id="long, in characters of four bytes", marks=SOAK),
    pytest.param("\0% _ '\"\\ ", id="NUL and what means something to databases"),
    pytest.param("\u202e\u05d0\u0628\u200f '\"", id="from right to left", marks=SOAK),
    pytest.param("\0", id="NUL", marks=SOAK),
    pytest.param("%", id="per cent", marks=SOAK),
    pytest.param("_", id="underscore", marks=SOAK),
    pytest.param("'", id="a quote", marks=SOAK),
    pytest.param('"', id="a double quote", marks=SOAK),
    pytest.param('"' * 10_000, id="thousands of quotes", marks=SOAK),
    pytest.param("%" * 60_000, id="thousands of per cents", marks=SOAK),
    pytest.param("x" * 10_000, id="a long word", marks=SOAK),
    pytest.param("\\", id="a backslash", marks=SOAK),
    pytest.param("\ud800", id="half a character", marks=SOAK),
    pytest.param("\r\n\t", id="ends of lines", marks=SOAK),
    pytest.param("<script>alert(1)</script>", id="a script", marks=SOAK),
]


@pytest.mark.parametrize("text", ODD)
def test_no_search_is_an_error(past: History, login: Login, text: str) -> None:
    client = login("superuser")
    client.raise_request_exception = False
    pages = searches()
    assert len(pages) > 10

    # As browsers send it; half a character cannot be sent otherwise than wrongly.
    told = {
        page: client.get(page, {name: text.encode(errors="surrogatepass")}).status_code
        for page, name in pages.items()
    }

    assert {page: status for page, status in told.items() if status != 200} == {}


def test_a_search_of_all_is_made_anew_in_each_language_and_for_the_rights_of_the_moment(
    past: History, login: Login
) -> None:
    client, page = login("Viewer"), reverse("admin:search")

    def found(language: str) -> str:
        answer = client.get(page, {"s": "a", "extended": "1"}, headers={"accept-language": language})
        return answer.content.decode()

    assert "Databases" in found("en")
    italian = found("it")
    assert "Database" in italian
    assert "Databases" not in italian
    User.objects.get(username="viewer").groups.clear()
    assert "Database" not in found("en")


def test_what_means_something_to_databases_is_looked_for_as_it_is(past: History, login: Login) -> None:
    client, name = login("Viewer"), past.databases[0].name
    page = reverse("admin:backups_database_changelist")
    first = reverse("admin:backups_database_change", args=[past.databases[0].pk])

    def is_found(text: str) -> bool:
        return first in client.get(page, {"q": text}).content.decode()

    assert is_found(name)
    assert not is_found("%")
    assert not is_found(f"{name[:2]}%{name[-2:]}")
    # Of more than can be looked for, as much as can.
    assert is_found(f"{name} " * 5000)
