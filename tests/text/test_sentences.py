"""A text for people is its English, and is told again in the language of whoever reads it."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from django.utils.html import format_html
from django.utils.translation import gettext, ngettext
from hypothesis import given
from hypothesis import strategies as st

from backups.errors import Failure, Problem
from backups.text import sentences
from backups.text.sentences import (
    Sentence,
    joined,
    parts_within,
    phrase,
    plural,
    told_again,
    told_again_within,
)

anything = st.text(alphabet=st.one_of(st.sampled_from("{}%()s!r:.0nab «"), st.characters()), max_size=40)

# What somebody made of our texts; the last ones are mistakes.
GERMAN = {
    "The server {host} does not answer.": "Der Server {host} antwortet nicht.",
    "{what} of {name}": "{name}: {what}",
    "Backup": "Sicherung",
    "Try again.": "Noch einmal.",
    "{n} table": ("eine Tabelle", "{n} Tabellen"),
    "{a} lacks": "{b} fehlt",
    "{a} has no end": "{a hat kein Ende",
    "{a} has a format": "{a!r:>10} hat ein Format",
    "{a} is not named": "ohne Namen",
    "{a} costs 5 %": "{a} kostet 5 % oder 100%s",
}


@contextmanager
def spoken(german: Callable[[str], str]) -> Iterator[None]:
    """Somebody reads German."""
    before = sentences._language.grouped
    sentences.translate_by(german, lambda one, several, n: GERMAN.get(one, (one, several))[n != 1])
    try:
        yield
    finally:
        sentences.translate_by(gettext, ngettext, before)


def in_german(text: str) -> str:
    with spoken(lambda template: str(GERMAN.get(template, template))):
        return str(text)


TOLD = [
    (phrase("The server {host} does not answer.", host="a.b"), "The server a.b does not answer."),
    (phrase("{what} of {name}", what=phrase("Backup"), name="shop"), "Backup of shop"),
    (phrase("{{{name}}} of {what}", name="a", what=3), "{a} of 3"),
    (plural("{n} table", "{n} tables", n=1), "1 table"),
    (plural("{n} table", "{n} tables", n=0), "0 tables"),
    (joined([phrase("Try again."), "", phrase("Backup")]), "Try again.  Backup"),
    (phrase("Backup") + ": " + phrase("Try again."), "Backup: Try again."),
    ("Now: " + phrase("Backup"), "Now: Backup"),
    (phrase("Backup").lower(), "backup"),
    (phrase("{what} of {name}", what=phrase("Backup").lower(), name="Shop"), "backup of Shop"),
    (phrase("{missing} stays"), "{missing} stays"),
]


@pytest.mark.parametrize(("text", "english"), TOLD, ids=[english for _, english in TOLD])
def test_a_text_is_its_english_whoever_reads_it(text: str, english: str) -> None:
    with spoken(lambda template: str(GERMAN.get(template, template))):
        assert isinstance(text, Sentence)
        assert text == english
        assert text.english == english
        assert type(text.english) is str
        assert hash(text) == hash(english)
        assert json.dumps(text) == json.dumps(english)
        assert len(text) == len(english)


@pytest.mark.parametrize(
    ("text", "german"),
    [
        (TOLD[0][0], "Der Server a.b antwortet nicht."),
        (TOLD[1][0], "shop: Sicherung"),
        (TOLD[3][0], "eine Tabelle"),
        (TOLD[4][0], "0 Tabellen"),
        (TOLD[5][0], "Noch einmal.  Sicherung"),
        (TOLD[6][0], "Sicherung: Noch einmal."),
        (TOLD[7][0], "Now: Sicherung"),
        (TOLD[8][0], "sicherung"),
        (TOLD[9][0], "Shop: sicherung"),
        (phrase("Nobody knows {name}", name="it"), "Nobody knows it"),
        (phrase("{a} lacks", a=1), "1 lacks"),
        (phrase("{a} has no end", a=1), "1 has no end"),
        (phrase("{a} has a format", a=1), "1 has a format"),
        (phrase("{a} is not named", a=1), "1 is not named"),
        (phrase("{a} costs 5 %", a="{b} %s"), "{b} %s kostet 5 % oder 100%s"),
    ],
)
def test_it_is_told_in_the_language_of_its_reader_or_in_english_where_that_is_broken(
    text: str, german: str
) -> None:
    with spoken(lambda template: str(GERMAN.get(template, template))):
        assert str(text) == german
        assert type(str(text)) is str
        assert f"{text}" == german
        assert "%s" % text == german  # noqa: UP031
        assert format_html("{}", text) == format_html("{}", german)


@given(anything, anything, st.integers())
def test_only_a_template_is_looked_through_for_braces(name: str, other: str, number: int) -> None:
    text = phrase("{name}, {other} {{and}} {number}", name=name, other=other, number=number)

    assert text == f"{name}, {other} {{and}} {number}"
    assert in_german(text) == text


@given(anything, anything)
def test_a_template_or_a_translation_of_any_shape_never_fails(template: str, translation: str) -> None:
    text = phrase(template, a="1", b="2", n=3)
    with spoken(lambda _: translation):
        assert isinstance(str(text), str)
    again = Sentence.from_json(json.loads(json.dumps(text.as_json())))  # type: ignore[attr-defined]
    assert again == text


@pytest.mark.parametrize("text", [text for text, _ in TOLD], ids=[english for _, english in TOLD])
def test_it_comes_through_a_row_and_through_the_queue_as_it_was(text: Sentence) -> None:
    kept = json.loads(json.dumps(text.as_json()))

    for again in (Sentence.from_json(kept), pickle.loads(pickle.dumps(text)), copy.deepcopy(text)):  # noqa: S301
        assert again == text
        assert again.as_json() == kept
        assert in_german(again) == in_german(text)


STRANGE: list[object] = [
    None, {}, {"parts": None}, {"parts": {}}, {"parts": [None]}, {"parts": [[]]}, {"parts": [["a"]]},
    {"parts": [["Another text.", {}]]}, {"parts": [["{a}", {"a": None}]]}, {"parts": [["{a}", {"a": 1.5}]]},
    {"parts": [["a", {}, {"of": "a later version"}]]}, {"parts": [[1, {}]]}, {"host": "of an older version"},
    "text", 7, [["a", {}]],
]  # fmt: skip


@pytest.mark.parametrize("stored", STRANGE, ids=repr)
def test_a_row_of_another_version_is_told_in_its_own_words(stored: object) -> None:
    assert told_again("What failed.", stored) == "What failed."


def test_what_is_nested_without_end_is_not_read() -> None:
    nested: list[object] = ["What failed."]
    for _ in range(100):
        nested = [["{a}", {"a": nested}]]

    assert type(told_again("What failed.", {"parts": nested})) is str


# ---------------------------------------------------------------- Failures


def problem(host: str = "a.b") -> Problem:
    return Problem(
        phrase("The server {host} does not answer.", host=host),
        code="mysql.unreachable",
        safe="No one knows.",
        do=phrase("Try again."),
    )


def test_a_failure_is_kept_in_english_with_what_it_is_made_of() -> None:
    failure = Failure.of(problem())

    assert failure.sentence == "The server a.b does not answer. No one knows. Try again."
    assert failure.params == {"host": "a.b"}
    assert failure.stored is not None
    assert failure.stored["host"] == "a.b"
    told = told_again(failure.sentence, json.loads(json.dumps(failure.stored)))
    assert told == failure.sentence
    assert in_german(told) == "Der Server a.b antwortet nicht. No one knows. Noch einmal."


def test_a_secret_is_hidden_in_each_part_as_in_the_whole() -> None:
    hide: Callable[[str], str] = lambda text: text.replace("secret", "***").replace("again", "***")  # noqa: E731
    named = phrase("{name} ({what})", name="a secret", what=phrase("in {place}", place="the secret place"))
    whole = Failure.of(Problem(named, code="some.code", params={"more": "secret"}))

    masked = whole.masked(hide)

    assert masked.sentence == "a *** (in the *** place)"
    assert "secret" not in json.dumps(masked.stored)
    assert told_again(masked.sentence, masked.stored) == masked.sentence
    assert isinstance(told_again(masked.sentence, masked.stored), Sentence)

    ours = Failure.of(problem("a secret")).masked(hide)
    assert ours.sentence == "The server a *** does not answer. No one knows. Try ***."
    assert "secret" not in json.dumps(ours.stored)
    assert "again" not in json.dumps(ours.stored), "a word of ours that is a secret as well"


def test_a_number_that_is_a_secret_is_hidden() -> None:
    masked = Failure.of(Problem(phrase("Port {port}", port=12345), code="some.code")).masked(
        lambda text: text.replace("12345", "***")
    )

    assert masked.sentence == "Port ***"
    assert "12345" not in json.dumps(masked.stored)


def test_what_is_too_long_for_a_row_is_kept_in_english_alone() -> None:
    assert Failure.of(problem("a" * 50_000)).stored is None


# ---------------------------------------------------------------- Within JSON


def test_texts_within_json_are_told_again_and_what_does_not_fit_stays() -> None:
    told = {"list": [phrase("It is {n}.", n=3), "plain"], "in": {"it": phrase("A."), "number": 7}}
    stored = json.loads(json.dumps(told))

    parts = json.loads(json.dumps(parts_within(told)))
    again = told_again_within(stored, parts)

    assert again == stored == {"list": ["It is 3.", "plain"], "in": {"it": "A.", "number": 7}}
    assert isinstance(again["list"][0], Sentence)
    assert isinstance(again["in"]["it"], Sentence)
    assert not isinstance(again["list"][1], Sentence)


@pytest.mark.parametrize(
    "parts",
    [
        None, 7, {}, "text", [7], [[]], [[[], []]], [[["gone"], [["A.", {}]]]], [[[0], [["A.", {}]]]],
        [[["list", "x"], [["A.", {}]]]], [[["list", 9], [["A.", {}]]]], [[["list", 0, 0], [["A.", {}]]]],
        [[["list", 0], [["Another.", {}]]]], [[["list", 0], 5]], [[["number"], [["A.", {}]]]],
        [[[["list"]], [["A.", {}]]]],
    ],
)  # fmt: skip
def test_parts_that_fit_nothing_change_nothing(parts: object) -> None:
    told = {"list": ["A."], "number": 7}
    again = told_again_within(told, parts)
    assert again == told
    assert type(again["list"][0]) is str
