"""The guides say what there is: every variable, every command, every file."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.core.management import get_commands

PROJECT = Path(__file__).resolve().parents[2]
GUIDES = [PROJECT / "README.md", *sorted((PROJECT / "docs").glob("*.md"))]
# Not of the first start, or not the portal's own.
NOT_IN_EXAMPLE = {"DEBUG", "WEB_CONCURRENCY", "VEDETTA_KEY_MADE"}


def test_every_variable_is_in_the_table_and_the_other_way_round() -> None:
    example = re.findall(r"^(\w+)=", (PROJECT / ".env.example").read_text(), re.MULTILINE)
    table = re.findall(r"^\| ([A-Z_]+) \|", (PROJECT / "docs" / "configuration.md").read_text(), re.MULTILINE)

    assert set(table) == set(example) | NOT_IN_EXAMPLE
    assert len(table) == len(set(table))


@pytest.mark.parametrize("guide", GUIDES, ids=lambda path: path.name)
def test_every_command_exists(guide: Path) -> None:
    named = set(re.findall(r"(?:manage\.py|^vedetta|`vedetta) ([a-z_]+)", guide.read_text(), re.MULTILINE))

    assert named <= set(get_commands()), f"{guide.name} names a command that is not there"


@pytest.mark.parametrize("guide", GUIDES, ids=lambda path: path.name)
def test_every_link_leads_somewhere(guide: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)", guide.read_text())

    assert [link for link in links if not (guide.parent / link).exists()] == []


def test_every_promise_of_security_names_tests_that_are_there() -> None:
    table = (PROJECT / "docs" / "security.md").read_text().partition("| promise | test |")[2]
    rows = re.findall(r"^\| (?!---)(.+) \| (.+?) \|$", table.partition("\n## ")[0], re.MULTILINE)
    folder = PROJECT / "tests"
    there = {
        name
        for path in folder.rglob("test_*.py")
        for name in re.findall(r"^def (test_\w+)", path.read_text(), re.M)
    }

    assert len(rows) > 40
    for promise, cell in rows:
        named = re.findall("`([^`]+)`", cell)
        assert named, f"no test for: {promise}"
        gone = [each for each in named if each not in there and not (folder / each).exists()]
        assert gone == [], promise
