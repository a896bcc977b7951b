"""A pytest plugin: where several processes share the files of tests, the longest file is begun first.

Else a long one that is begun last has one process work while the others have nothing to do. What each
test took is kept in pytest's cache, `.pytest_cache`, for the next time. Where nothing is kept yet, as in a
new checkout, it goes by `seconds.json`, which `python -m tests.longest_first` makes of what is kept.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Mapping
from pathlib import Path

import pytest

KEPT_AS = "vedetta/seconds"
# By whole files, and only of those that take some.
OF_FILES = Path(__file__).with_name("seconds.json")
SOME_SECONDS = 3.0
# Of a test that was not seen yet: what it asks for, the most costly first, and how long such take.
SECONDS_WITH = {"make_portal": 10.0, "db_server": 2.0, "mariadb_server": 2.0, "mysql_server": 2.0}
SECONDS_AT_LEAST = 0.1


class Clock:
    """Adds up each test's seconds, those of its set-up and tear-down included."""

    def __init__(self) -> None:
        self.took: defaultdict[str, float] = defaultdict(float)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A part of a test has ended, here or in another process."""
        self.took[report.nodeid] += report.duration

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Keep what was counted, beside what is known of the tests that did not run."""
        if cache := getattr(session.config, "cache", None):
            cache.set(KEPT_AS, {**cache.get(KEPT_AS, {}), **self.took})


def pytest_configure(config: pytest.Config) -> None:
    """One process counts, which is told of all tests."""
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Clock())


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Files by their seconds, in a process of xdist's alone; within a file the order stays."""
    if not hasattr(config, "workerinput"):
        return
    known = cache.get(KEPT_AS, {}) if (cache := getattr(config, "cache", None)) else {}
    seconds: defaultdict[str, float] = defaultdict(float)
    for item in items:
        seconds[_file(item.nodeid)] += known.get(item.nodeid) or _guess(item)
    seen = set(map(_file, known))
    of_files: dict[str, float] = json.loads(OF_FILES.read_text())
    seconds.update({file: took for file, took in of_files.items() if file not in seen})
    items.sort(key=lambda item: (-seconds[_file(item.nodeid)], _file(item.nodeid)))


def _file(nodeid: str) -> str:
    return nodeid.partition("::")[0]


def _guess(item: pytest.Item) -> float:
    asked_for: Collection[str] = getattr(item, "fixturenames", ())
    return next((took for name, took in SECONDS_WITH.items() if name in asked_for), SECONDS_AT_LEAST)


def by_files(known: Mapping[str, float], folder: Path) -> dict[str, float]:
    """The seconds of each file that is there and takes some, of those of its tests."""
    seconds: defaultdict[str, float] = defaultdict(float)
    for nodeid, took in known.items():
        seconds[_file(nodeid)] += took
    return {
        file: round(took, 1)
        for file, took in sorted(seconds.items())
        if took >= SOME_SECONDS and (folder / file).exists()
    }


if __name__ == "__main__":
    project = Path(__file__).resolve().parent.parent
    kept = json.loads((project / ".pytest_cache" / "v" / KEPT_AS).read_text())
    OF_FILES.write_text(json.dumps(by_files(kept, project), indent=1) + "\n")
