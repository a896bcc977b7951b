"""The guides say what there is: every variable, every command, every file."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from django.core.management import get_commands

PROJECT = Path(__file__).resolve().parent.parent
GUIDES = [
    *(PROJECT / f"{name}.md" for name in ("README", "README.it", "SECURITY", "CONTRIBUTING", "CHANGELOG")),
    *sorted((PROJECT / "docs").glob("*.md")),
    *sorted((PROJECT / "docs" / "it").glob("*.md")),
]
# Not of the first start, or not the portal's own.
NOT_IN_EXAMPLE = {"DEBUG", "DOWNLOADS_SOCKET", "WEB_CONCURRENCY", "VEDETTA_HOME", "VEDETTA_KEY_MADE"}


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


def headings(guide: Path) -> set[str]:
    """The anchors of a guide, as GitHub makes them of its headings."""
    found = re.findall(r"^#+ (.+)$", guide.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in found}


@pytest.mark.parametrize("guide", GUIDES, ids=lambda path: path.name)
def test_every_link_to_a_heading_leads_to_one(guide: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]*)#([^)]*)\)", guide.read_text())

    assert [
        f"{place}#{heading}"
        for place, heading in links
        if heading not in headings(guide.parent / place if place else guide)
    ] == []


def test_the_index_and_the_readme_name_every_guide() -> None:
    guides = {path.name for path in (PROJECT / "docs").glob("*.md")} - {"README.md"}
    index, readme = ((PROJECT / name).read_text() for name in ("docs/README.md", "README.md"))

    assert set(re.findall(r"\]\((\w[\w-]*\.md)", index)) == guides
    assert set(re.findall(r"\]\(docs/(\w[\w-]*\.md)", readme)) == {*guides, "README.md"}


@pytest.mark.parametrize(
    ("english", "italian"),
    [
        ("README.md", "README.it.md"),
        *((f"docs/{name}.md", f"docs/it/{name}.md") for name in ("install", "rows-deleted", "rows-changed")),
    ],
)
def test_an_italian_guide_has_the_commands_of_the_english_one(english: str, italian: str) -> None:
    """In their order; only comments are translated."""

    def run(guide: str) -> list[str]:
        blocks = re.findall(r"^```\w*\n(.*?)^```", (PROJECT / guide).read_text(), re.MULTILINE | re.DOTALL)
        return [re.sub(r"^-- .*\n", "", block, flags=re.MULTILINE) for block in blocks]

    assert run(english) == run(italian)


ATTACKERS = (
    "A visitor",
    "A person with a role",
    "A hostile database server, or somebody in the way to it",
    "A user of the application's database",
    "A hostile repository or storage",
    "A user of the machine, or another container",
    "Who has a copy, or writes the portal's database",
    "The supply chain",
)


def promises(section: str) -> list[tuple[str, str]]:
    """Each promise of a section with the cell that names its tests."""
    table = section.partition("| promise | test |")[2].partition("\n\n")[0]
    return re.findall(r"^\| (?!---)(.+) \| (.+?) \|$", table, re.MULTILINE)


def test_security_says_of_each_attacker_what_they_get_what_is_promised_and_what_is_not() -> None:
    text = (PROJECT / "docs" / "security.md").read_text()
    sections = dict(re.findall(r"^## (.+)\n((?:(?!## ).*\n)*)", text, re.MULTILINE))

    assert set(ATTACKERS) <= set(sections)
    for attacker in ATTACKERS:
        assert "**Gets today:**" in sections[attacker], attacker
        assert "**Out of scope:**" in sections[attacker], attacker
        assert promises(sections[attacker]), attacker
    # Every table of promises is one of theirs.
    assert text.count("| promise | test |") == len(ATTACKERS)


def test_every_promise_of_security_names_tests_that_are_there() -> None:
    sections = (PROJECT / "docs" / "security.md").read_text().split("\n## ")
    rows = [row for section in sections for row in promises(section)]
    folder = PROJECT / "tests"
    there = {
        name
        for path in folder.rglob("test_*.py")
        for name in re.findall(r"^def (test_\w+)", path.read_text(), re.M)
    }

    assert len(rows) > 60
    for promise, cell in rows:
        named = re.findall("`([^`]+)`", cell)
        assert named, f"no test for: {promise}"
        gone = [each for each in named if each not in there and not (folder / each).exists()]
        assert gone == [], promise


def test_the_architecture_names_each_room_and_each_dependency() -> None:
    text = (PROJECT / "docs" / "architecture.md").read_text()
    there = {folder.parent.name for folder in (PROJECT / "backups").glob("*/__init__.py")}
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    needed = [*project["dependencies"], *project["optional-dependencies"]["postgresql"]]

    assert set(re.findall(r"^\| `backups/(\w+)/` \|", text, re.MULTILINE)) == there
    reasons = text.partition("## Why each dependency")[2]
    assert re.findall(r"^\| ([a-z][\w-]+) \| (?!for \|)", reasons, re.MULTILINE) == sorted(
        re.split(r"[<>=\[]", each)[0] for each in needed
    )


def test_the_architecture_names_files_that_are_there() -> None:
    text = (PROJECT / "docs" / "architecture.md").read_text()
    named = re.findall(r"`((?:backups|portal|sentinel|templates|tests)/[\w/.-]*)`", text)

    assert len(named) > 40
    assert [name for name in named if not (PROJECT / name).exists()] == []


def test_the_functions_that_the_architecture_follows_are_where_it_says() -> None:
    text = (PROJECT / "docs" / "architecture.md").read_text()
    named = re.findall(r"`(\w+)` in\s+`([\w/]+\.py)`", text)

    assert len(named) >= 4
    assert [
        (name, file)
        for name, file in named
        if not re.search(rf"^(def|class) {name}\(", (PROJECT / file).read_text(), re.MULTILINE)
    ] == []
