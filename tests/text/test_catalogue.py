"""The Italian catalogue holds every text of the source, whole, and what Vedetta reads is what it says."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator
from gettext import GNUTranslations
from pathlib import Path

import pytest
from django.utils import translation
from django.utils.translation.template import templatize

from backups.text.sentences import plural
from tests.text.test_source import calls, name_of

ROOT = Path(__file__).resolve().parent.parent.parent
CATALOGUE = ROOT / "portal" / "locale" / "it" / "LC_MESSAGES" / "django.po"
# What makemessages looks for, and how many texts each takes.
ONE = {"phrase", "template", "phase", "gettext", "gettext_lazy", "gettext_noop", "_"}
TWO = {"plural", "ngettext", "ngettext_lazy"}
HOLE = re.compile(r"\{\{|\}\}|\{(\w*)\}|%\((\w+)\)[sd]|%[sd]")
NO_WORDS = re.compile(r"%\(\w+\)[sd]|\{\w*\}|<[^>]+>|`[^`]*`")
# Italian equals English for these alone: as those who back up say them, or because both have the word.
SAME = frozenset(re.findall(r"\S+", """
account backup base64 body browser client cluster commit cron database digest dump ed25519 forget gate gtid
gzip heartbeat hook host in init log mail manifest menu min no package password pin preflight prune repository
restic restore retention routine rsyncable server sha snapshot software ssh tls topic trigger worker x25519
"""))  # fmt: skip

Key = tuple[str, str]  # one, several


@functools.cache
def texts_of_the_source() -> set[Key]:
    """What the code and the pages have translated, read as makemessages reads it, without its programs."""
    found = set()
    for _, call in calls("backups", "portal", "sentinel"):
        name = name_of(call)
        count = 1 if name in ONE else 2 if name in TWO else 0
        texts = [each.value for each in call.args[:count] if isinstance(each, ast.Constant)]
        if count and len(texts) == count and texts[0]:
            found.add((str(texts[0]), str(texts[1]) if count == 2 else ""))
    for path in sorted((ROOT / "templates").rglob("*.html")):
        found |= set(_of_a_page(path))
    return found


def _of_a_page(path: Path) -> Iterator[Key]:
    """Django makes Python of a page for xgettext; what is no text is there as X."""
    page = templatize(path.read_text(encoding="utf-8"), origin=str(path))
    text = r"""u?("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')"""
    for plural_form, one, several in re.findall(
        rf"(?<!\w)(n?)(?:gettext|_)\(\s*{text}(?:\s*,\s*{text})?", page
    ):
        yield ast.literal_eval(one), ast.literal_eval(several) if plural_form else ""


def entries() -> dict[Key, list[str]]:
    """What the .po file says: its translations by English. Fails for a guess that nobody confirmed."""
    found = {}
    for block in CATALOGUE.read_text(encoding="utf-8").split("\n\n"):
        lines = block.splitlines()
        assert not any(line.startswith("#,") and "fuzzy" in line for line in lines), f"guessed: {block}"
        values: dict[str, str] = {}
        key = ""
        for line in lines:
            if line.startswith("#"):
                continue
            if not line.startswith('"'):
                key, _, line = line.partition(" ")
            values[key] = values.get(key, "") + ast.literal_eval(line)
        if values.get("msgid"):
            told = [text for name, text in values.items() if name.startswith("msgstr")]
            found[values["msgid"], values.get("msgid_plural", "")] = told
    return found


ENTRIES = entries()


def test_each_text_of_the_source_is_translated() -> None:
    texts = texts_of_the_source()

    assert len(texts) > 2600
    untranslated = sorted(one for one, several in texts if not all(ENTRIES.get((one, several), [""])))
    assert untranslated == [], "run `make catalogue` and translate these"


def test_it_holds_no_text_that_is_gone() -> None:
    """Whoever corrects a translation corrects one that is read."""
    assert sorted(one for one, several in set(ENTRIES) - texts_of_the_source()) == []


def test_what_vedetta_reads_was_made_of_it() -> None:
    with CATALOGUE.with_suffix(".mo").open("rb") as file:
        compiled = GNUTranslations(file)._catalog  # type: ignore[attr-defined]
    wanted: dict[object, str] = {}
    for (one, several), told in ENTRIES.items():
        if several:
            wanted |= {(one, number): text for number, text in enumerate(told)}
        else:
            wanted[one] = told[0]

    assert {key: text for key, text in compiled.items() if key != ""} == wanted, "run `make catalogue`"


def holes(text: str) -> set[str]:
    return {hole[0] for hole in HOLE.finditer(text)}


def test_each_translation_names_what_its_text_names() -> None:
    wrong = []
    for (one, several), told in ENTRIES.items():
        assert len(told) == (2 if several else 1), one
        for english, text in zip((one, several), told, strict=False):
            # A plural may say "a table" for one.
            number = {"{n}", "%(n)s", "%(counter)s"} if several else set()
            if holes(english) - number != holes(text) - number or not holes(text) <= holes(one + several):
                wrong.append((english, text))
            if (english[:1].isspace(), english[-1:].isspace()) != (text[:1].isspace(), text[-1:].isspace()):
                wrong.append((english, text))
            for each in re.findall(r"</?\w+|`[^`]*`", english):
                if each not in text:
                    wrong.append((english, text))

    assert wrong == []


def test_italian_equals_english_for_known_words_alone() -> None:
    same = []
    for (one, several), told in ENTRIES.items():
        for english, text in zip((one, several), told, strict=False):
            words = re.findall(r"[a-z][a-z0-9]+", NO_WORDS.sub(" ", english).lower())
            if english == text and not set(words) <= SAME:
                same.append(english)

    assert same == []


@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_a_number_of_things_is_told_in_its_form(count: int) -> None:
    with translation.override("it"):
        for (one, several), told in ENTRIES.items():
            if several:
                assert translation.ngettext(one, several, count) == told[count != 1], one
        tables = f"{plural('{n} table', '{n} tables', n=count)}"

    assert tables == {0: "0 tabelle", 1: "1 tabella", 2: "2 tabelle", 5: "5 tabelle"}[count]
