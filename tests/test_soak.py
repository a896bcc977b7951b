"""What `make test` leaves to `make soak` is run there: a mark alone would put a test aside for ever."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests import soak

LEFT_TO_SOAK = re.compile(r"mark\.(soak\b|larger\b|one_flavour\()")


@pytest.fixture(scope="module")
def leaving() -> set[Path]:
    """The files that leave tests, or the most of them, to `make soak`."""
    files = soak.PROJECT.glob("tests/*/**/test_*.py")
    return {path for path in files if LEFT_TO_SOAK.search(path.read_text())}


def test_every_file_that_leaves_tests_to_soak_belongs_to_exactly_one_part(leaving: set[Path]) -> None:
    assert len(leaving) > 30
    assert {str(path): soak.parts_of(path) for path in leaving if len(soak.parts_of(path)) != 1} == {}


def test_every_place_of_a_part_is_there_and_leaves_something_to_it(leaving: set[Path]) -> None:
    places = [place for part in soak.PARTS.values() for place in part.places]

    assert [place for place in places if not (soak.PROJECT / place).exists()] == []
    for name in soak.PARTS:
        assert set(soak.files_of(name)) & leaving, name


def test_every_part_says_how_long_it_took_which_is_less_than_half_an_hour() -> None:
    for name, part in soak.PARTS.items():
        minutes = re.search(r"(\d+) minutes?", part.took)
        assert minutes is not None, name
        assert int(minutes[1]) < 30, name


def test_every_part_is_named_where_people_look() -> None:
    told = subprocess.run(
        ["make", "--no-print-directory", "help"], cwd=soak.PROJECT, capture_output=True, text=True, check=True
    ).stdout
    for place in (told, (soak.PROJECT / "CONTRIBUTING.md").read_text()):
        assert [name for name in soak.PARTS if not re.search(rf"\b{name}\b", place)] == []


def test_what_is_no_part_is_refused_with_those_that_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert soak.main(["kill"]) == 2
    assert "there is no part kill. There are:\n  kills " in capsys.readouterr().err
