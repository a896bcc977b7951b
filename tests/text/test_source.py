"""How texts are written in the code, so that each can be translated."""

from __future__ import annotations

import ast
import inspect
import re
import shutil
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.apps import apps
from django.core.management import call_command
from django.utils.functional import Promise
from pytest_django import Settings

from backups.models.naming import NAMES
from backups.reports import gate_words
from backups.text.sentences import Sentence
from sentinel import gate
from tests import sources

ROOT = Path(__file__).resolve().parent.parent.parent
FAILURES = re.compile(r"Problem|Refused|CallsForMore|Failure|WrongUsage|\w+Problem|ResticError")
# What is given to a failure in words.
WORDS = {"what", "do", "safe"}
HOLE = re.compile(r"\{\{|\}\}|\{(\w+)\}")


def calls(*packages: str) -> Iterator[tuple[str, ast.Call]]:
    """Each call, and where it is."""
    for path in sources.modules(*packages).values():
        if "migrations" not in path.parts:
            for node in sources.nodes(path):
                if isinstance(node, ast.Call):
                    yield f"{path.relative_to(ROOT)}:{node.lineno}", node


def name_of(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def is_bare(node: ast.expr) -> bool:
    """Whether an expression is a text that nobody can translate: what is between its names has letters."""
    if isinstance(node, ast.IfExp):
        return is_bare(node.body) or is_bare(node.orelse)
    if isinstance(node, ast.BinOp):
        return is_bare(node.left) or is_bare(node.right)
    parts = node.values if isinstance(node, ast.JoinedStr) else [node]
    texts = [part.value for part in parts if isinstance(part, ast.Constant) and isinstance(part.value, str)]
    return any(re.search(r"[a-z]{2}", text) and not is_statement(text) for text in texts)


def is_statement(text: str) -> bool:
    """SQL that a person runs is no text."""
    return bool(re.match(r"[A-Z]{3,} ", text))


def test_a_failure_is_told_in_phrases() -> None:
    bare = []
    for place, call in calls("backups", "portal"):
        named = [each.value for each in call.keywords if each.arg in WORDS]
        is_failure = FAILURES.fullmatch(name_of(call)) or any(each.arg == "code" for each in call.keywords)
        if is_failure and name_of(call) not in {"phrase", "plural"}:
            bare += [place for each in [*call.args[:1], *named] if is_bare(each)]

    assert bare == []


def test_a_dialog_is_told_in_phrases() -> None:
    dialogs = [(place, call) for place, call in calls("backups") if name_of(call) == "dialog"]
    assert [place for place, call in dialogs if any(map(is_bare_word, call.args))] == []
    assert len(dialogs) > 20


def is_bare_word(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and bool(node.value)


def test_a_phrase_is_one_text_with_all_that_it_names() -> None:
    wrong, count = [], 0
    for place, call in calls("backups", "portal"):
        if name_of(call) not in {"phrase", "plural"} or place.startswith("backups/text/sentences"):
            continue
        templates = [each for each in call.args if isinstance(each, ast.Constant)]
        names = {each.arg for each in call.keywords}
        if any(isinstance(each, ast.JoinedStr) for each in call.args):
            wrong.append(f"{place}: an f-string")
        for each in templates:
            count += 1
            holes = {hole[1] for hole in HOLE.finditer(str(each.value)) if hole[1]}
            without = holes | ({"n"} if name_of(call) == "plural" else set())
            if None not in names and names | {"n"} != without | {"n"}:
                wrong.append(f"{place}: {holes ^ names}")

    assert wrong == []
    assert count > 1500


def test_what_models_and_fields_are_called_is_known_to_whoever_translates() -> None:
    unnamed = set()
    for model in apps.get_app_config("backups").get_models():
        meta = model._meta
        for key in ("verbose_name", "verbose_name_plural"):
            assert isinstance(getattr(meta, key), Promise), f"{model} {key}"
            if key not in meta.original_attrs:
                unnamed.add(str(getattr(meta, key)))
        for field in meta.local_fields:
            assert isinstance(field.verbose_name, Promise) or field.name == "id", field
            if getattr(field, "_verbose_name", "") is None and field.name != "id":
                unnamed.add(str(field.verbose_name))

    assert unnamed - set(NAMES) == set()


def test_each_reason_of_the_gate_is_known_to_whoever_translates() -> None:
    reasons = []
    for function in (gate._heartbeat, gate._verification, gate._without_override):
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
        whole: list[ast.expr] = [node for node in ast.walk(tree) if isinstance(node, ast.JoinedStr)]
        inner = {id(part) for node in whole if isinstance(node, ast.JoinedStr) for part in node.values}
        whole += [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in inner]
        texts = [text for node in whole if re.fullmatch(r"[A-Z].* .*[.]", text := _sample(node))]
        reasons += [text for text in texts if "Rule" not in text and " s old; " not in text]
    told = {
        text.replace("OF", of).replace("FAULT", fault)
        for text in reasons
        for of in ("", " of shop")
        for fault in ("lies more than 60 s in the future", "cannot be read (permission denied)")
    }

    assert len(told) >= 8
    assert [each for each in told if not isinstance(gate_words.reason(each), Sentence)] == []


def _sample(node: ast.expr) -> str:
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ""
    assert isinstance(node, ast.JoinedStr)
    named = {"of": "OF", "_fault": "FAULT"}
    found = ""
    for part in node.values:
        if isinstance(part, ast.Constant):
            found += str(part.value)
        elif isinstance(part, ast.FormattedValue):
            value = part.value.func if isinstance(part.value, ast.Call) else part.value
            found += named.get(getattr(value, "id", ""), "shop")
    return found


@pytest.mark.skipif(shutil.which("xgettext") is None, reason="needs gettext's programs")
def test_makemessages_finds_what_is_written_in_each_way(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.LOCALE_PATHS = [tmp_path]
    monkeypatch.chdir(ROOT)

    call_command("makemessages", locale=["it"], verbosity=0)

    found = (tmp_path / "it" / "LC_MESSAGES" / "django.po").read_text(encoding="utf-8")
    for text in (
        'msgid "{n} table"\nmsgid_plural "{n} tables"',  # plural
        'msgid "Repository {name}"',  # template
        'msgid "Nothing was touched."',  # phrase
        'msgid "backup schedule"',  # gettext_lazy
        'msgid "Are we safe?"',  # a page
        'msgid "safety backup"',  # a phase of a run
    ):
        assert text in found, text
    assert "tests/" not in found


@pytest.mark.skipif(shutil.which("msgfmt") is None, reason="needs gettext's programs")
def test_compilemessages_compiles_our_own_and_nothing_that_is_installed_beside(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.LOCALE_PATHS = []
    monkeypatch.chdir(tmp_path)
    folders = [tmp_path / place / "locale/it/LC_MESSAGES" for place in ("portal", ".venv/lib/django/conf")]
    for folder in folders:
        folder.mkdir(parents=True)
        (folder / "django.po").write_text(
            'msgid ""\nmsgstr "Content-Type: text/plain; charset=UTF-8\\n"\n\nmsgid "a"\nmsgstr "b"\n'
        )

    call_command("compilemessages", locale=["it"], verbosity=0)

    assert [(folder / "django.mo").exists() for folder in folders] == [True, False]


def test_no_page_says_since_before_an_age() -> None:
    """Things are queued 3 hours ago, and not since 3 hours ago."""
    found = 0
    for path in (ROOT / "templates").rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        for name in re.findall(r"(\w+)=[\w.]+\|relative_time", text):
            found += 1
            assert f"since {{{{ {name} }}}}" not in text, path
    assert found
