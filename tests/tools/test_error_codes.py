"""The page of error codes says what the code raises."""

from __future__ import annotations

import ast
import re

import pytest

from tests import sources
from tools import error_codes


@pytest.fixture(scope="module")
def page() -> str:
    """It is written from all that the code raises, which takes a second or two."""
    return error_codes.page()


def test_the_page_tells_of_each_code_and_its_sentence_as_it_is_raised(page: str) -> None:
    """A changed sentence or code is seen there: `python -m tools.error_codes` writes it anew."""
    assert error_codes.PAGE.read_text(encoding="utf-8") == page


def test_each_code_that_a_run_or_a_command_is_given_is_on_the_page(page: str) -> None:
    told = set(re.findall(r"^\| `([\w.]+)` \|", page, re.MULTILINE))
    given = set()
    for path in sources.modules("backups").values():
        for node in sources.nodes(path):
            if isinstance(node, ast.keyword) and node.arg in {"code", "error_code"}:
                given |= {ast.literal_eval(node.value)} if isinstance(node.value, ast.Constant) else set()
            if (
                isinstance(node, ast.Call)
                and getattr(node.func, "id", "") == "Failure"
                and len(node.args) > 1
            ):
                given |= {node.args[1].value} if isinstance(node.args[1], ast.Constant) else set()

    assert given - told == set()


def test_each_code_says_what_failed(page: str) -> None:
    assert re.findall(r"^\| `[\w.]+` \|\s*\|$", page, re.MULTILINE) == []
