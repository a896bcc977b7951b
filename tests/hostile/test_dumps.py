"""Every parser of ours reads every hostile dump, in time and without an error that nobody expects."""

from __future__ import annotations

import pytest

from tests.hostile.dumps import gathered, made
from tests.hostile.parsers import PARSERS
from tests.hostile.test_growth import seconds

# What is read as a whole dump; the others read a part of one, or what programs say.
OF_DUMPS = ("digest", "judge")
LONGEST_SECONDS = 2.0


def read_all(parser: str, dumps: dict[str, bytes]) -> None:
    for name, dump in dumps.items():
        try:
            took = seconds(PARSERS[parser].read, dump)
        except Exception as error:
            raise AssertionError(f"{parser}: {name}") from error
        assert took < LONGEST_SECONDS, f"{parser}: {name}"


@pytest.mark.parametrize(
    "parser", [name if name in OF_DUMPS else pytest.param(name, marks=pytest.mark.soak) for name in PARSERS]
)
def test_every_parser_reads_what_is_made(parser: str) -> None:
    read_all(parser, dict(made()))


@pytest.mark.soak
@pytest.mark.parametrize("parser", PARSERS)
def test_every_parser_reads_what_is_kept(parser: str) -> None:
    read_all(parser, dict(gathered()))
