"""What `make test` leaves to `make soak` is run there: a mark alone would put a test aside for ever."""

from __future__ import annotations

import re
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
LEFT_TO_SOAK = re.compile(r"mark\.(soak\b|one_flavour\()")


def test_every_file_that_leaves_tests_to_soak_is_run_by_it() -> None:
    target = (PROJECT / "Makefile").read_text().partition("\nsoak:\n")[2].partition("\n\n")[0]
    run = {PROJECT / place for place in re.findall(r"tests/[\w./]+", target)}
    leaving = [path for path in PROJECT.glob("tests/*/**/test_*.py") if LEFT_TO_SOAK.search(path.read_text())]

    assert [path for path in run if not path.exists()] == []
    assert len(leaving) > 30
    assert [str(path) for path in leaving if run.isdisjoint({path, *path.parents})] == []
