"""No regular expression is one that Debian 12's Python reads otherwise.

Until 3.11.5 a possessive repeat of a group went on from wherever its last, failing attempt had got to
(https://github.com/python/cpython/issues/106052). `(?:[^*]|\\*(?!/))*+` passed over the end of a comment,
and a good dump was called unreadable. Other Pythons do not show it, so this looks at the patterns.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import re._constants as kinds  # type: ignore[import-not-found]  # isort: skip
import re._parser as parser  # type: ignore[import-not-found]  # isort: skip

PROJECT = Path(__file__).resolve().parents[2]
# Loads all modules and makes the patterns that depend on a character set; prints what was compiled.
ALL = """
import importlib, json, os, pkgutil, re._compiler, sys
seen, compile = {}, re._compiler.compile
def noted(pattern, flags=0):
    caller = sys._getframe(1)
    while caller.f_code.co_filename.startswith(os.path.dirname(re.__file__)):
        caller = caller.f_back
    file = caller.f_code.co_filename
    if file.startswith(os.getcwd() + os.sep) and "site-packages" not in file:
        text = pattern.decode("latin-1") if isinstance(pattern, bytes) else pattern
        where = f"{os.path.relpath(file)}:{caller.f_lineno}"
        seen[text, isinstance(pattern, bytes), int(flags)] = where
    return compile(pattern, flags)
re._compiler.compile = noted
from backups import at_first_use
at_first_use.pattern = re.compile
import django
os.environ["DJANGO_SETTINGS_MODULE"] = "portal.settings"
django.setup()
for package in map(importlib.import_module, ("backups", "sentinel", "portal")):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if not {"migrations", "gunicorn", "conf"} & set(module.name.replace("_", ".").split(".")):
            importlib.import_module(module.name)
from backups.dumpfile import dialect, encodings, lexer, mixed_heads, rows, splitter, statements
for charset in ("utf8mb4", *encodings.WIDE):
    wide = encodings.WIDE.get(charset)
    for mode in ("", "ANSI_QUOTES", "NO_BACKSLASH_ESCAPES", "ANSI_QUOTES,NO_BACKSLASH_ESCAPES"):
        quotes = dialect.quoting(charset, mode)
        for make in (lexer._quoted_tokens, mixed_heads._names, rows._head, rows._values, statements._quoted):
            make(quotes)
        mixed_heads._in_parentheses(quotes, wide)
        splitter._string_token(b"'", "NO_BACKSLASH" not in mode, wide)
    for make in (lexer._word, mixed_heads._bare, splitter._normal_token):
        make(wide)
print(json.dumps([[*key, where] for key, where in seen.items()]))
"""
ONE_CHARACTER = {kinds.LITERAL, kinds.NOT_LITERAL, kinds.IN, kinds.ANY}


def written_out(items: Any) -> list[tuple[Any, Any]]:
    """Groups are no attempt of their own."""
    return [
        each
        for kind, of in items
        for each in (written_out(of[3]) if kind is kinds.SUBPATTERN else [(kind, of)])
    ]


def is_read_alike(repeated: Any) -> bool:
    """Whether a possessive repeat of this is the same for all Pythons.

    What tells the place anew is an attempt within it: a choice, a lookahead, a repeat. Without any, or with a
    choice at its beginning, or a repeat at its end that cannot fail, the place is where it began. A choice
    whose last way is nothing never fails.
    """
    items = written_out(repeated)
    if [kind for kind, _ in items] == [kinds.BRANCH]:
        ways = items[0][1][1]
        return not ways[-1] or all(map(is_read_alike, ways))
    if items and items[0][0] is kinds.BRANCH and not all(map(is_read_alike, items.pop(0)[1][1])):
        return False
    if items and items[-1][0] is kinds.POSSESSIVE_REPEAT and items[-1][1][0] == 0:
        items[-1:] = written_out(items[-1][1][2])
    return all(kind in ONE_CHARACTER for kind, _ in items)


def repeated_possessively(items: Any) -> Iterator[Any]:
    """What is repeated so, at any depth, but for single characters: those are counted and not tried."""
    for kind, of in items:
        if kind is kinds.POSSESSIVE_REPEAT and [each for each, _ in of[2]] not in [
            [k] for k in ONE_CHARACTER
        ]:
            yield of[2]
        for within in _within(kind, of):
            yield from repeated_possessively(within)


def _within(kind: Any, of: Any) -> list[Any]:
    if kind in (kinds.MAX_REPEAT, kinds.MIN_REPEAT, kinds.POSSESSIVE_REPEAT):
        return [of[2]]
    if kind is kinds.BRANCH:
        return list(of[1])
    if kind is kinds.SUBPATTERN:
        return [of[3]]
    if kind in (kinds.ASSERT, kinds.ASSERT_NOT):
        return [of[1]]
    return [of] if kind is kinds.ATOMIC_GROUP else []


def read_otherwise(pattern: str | bytes, flags: int = 0) -> bool:
    """Whether some Python before 3.11.5 may match it otherwise than those after it."""
    return not all(map(is_read_alike, repeated_possessively(parser.parse(pattern, flags))))


@pytest.mark.parametrize(
    "pattern",
    [
        rb"/\*(?:[^*]|\*(?!/))*+\*/",
        rb"(?:\s|/\*M?!\d{5,6}|\*/)*+",
        rb"(?:,`(?:[^`]|``)*+`)*+",
        r"(?: ON (?:DELETE|UPDATE))*+",
        r"(?:a(?=b)|c)++",
        r"(?:(?<=x)y|z)*+",
    ],
)
def test_what_goes_on_from_a_failed_attempt_is_noticed(pattern: str | bytes) -> None:
    assert read_otherwise(pattern)


def test_each_pattern_of_ours_is_read_alike_by_all_pythons() -> None:
    listed = subprocess.run(
        [sys.executable, "-c", ALL], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    found = json.loads(listed.stdout.splitlines()[-1])

    assert len(found) > 200
    assert [
        (where, text)
        for text, of_bytes, flags, where in found
        if read_otherwise(text.encode("latin-1") if of_bytes else text, flags)
    ] == []
