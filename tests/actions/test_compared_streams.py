"""Both sides of a comparison as they are read, without any server."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest

from backups.actions.steps import compared_sides, compared_streams
from backups.actions.steps.compared_streams import NOW, EveryTable, Wish, live_dumped
from backups.differences.meeting import NotMet
from backups.dumpfile.ready import Ready
from backups.errors import Problem
from backups.loading.progress import Loading
from backups.mysql import MARIADB, ServerInfo

UNREADABLE = b"-- MariaDB dump 10.19\nSET NAMES utf8mb4;\nGRANT SELECT ON `t` TO 'a value of a row';\n"
WRITER = f"""
import os, sys
os.write(1, {UNREADABLE!r})
for _ in range(64):
    os.write(1, b"SET NAMES utf8mb4;\\n" * 10_000)
"""


class _Progress:
    """Answers a run's progress, for as long as a test may take."""

    def __init__(self, seconds: float = 8) -> None:
        self._until = time.monotonic() + seconds

    def tick(self) -> None:
        assert time.monotonic() < self._until, "still waiting for a program whose dump nobody reads"

    def bytes_done(self, done: int) -> None: ...

    def detail(self, text: str) -> None: ...

    def log(self, text: str) -> None: ...


class _Taker:
    def take(self, ready: Ready) -> None: ...

    def close(self) -> None: ...


def wish(side: str) -> Wish:
    return Wish(EveryTable(), _Taker(), ServerInfo(MARIADB, "11.4.2-MariaDB"), "shop", set(), side)


def test_a_program_that_writes_on_after_something_unreadable_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(compared_streams, "command", lambda *_: [sys.executable, "-c", WRITER])
    monkeypatch.setattr(compared_streams, "_LAST_WORDS_SECONDS", 0.5)
    order = cast("Any", SimpleNamespace(as_json=lambda: b"{}"))

    with pytest.raises(Problem) as raised:
        live_dumped(order, wish(NOW).read, cast("Any", _Progress()), Loading())

    assert raised.value.code == "diff.not_readable"


@pytest.mark.parametrize("beginning", [UNREADABLE, b"<?xml version='1.0'?> 'a value of a row';\n"])
def test_what_cannot_be_read_is_told_by_its_side_and_line_and_not_quoted(beginning: bytes) -> None:
    def chunks() -> Iterator[bytes]:
        yield beginning

    with pytest.raises(Problem) as raised:
        wish("snapshot 1234abcd").read(chunks(), Loading())

    told = raised.value.told
    assert "The dump of snapshot 1234abcd cannot be compared" in told
    assert "value of a row" not in told
    assert "value of a row" not in repr(raised.value.params)
    assert ("near line 2" in told) == (beginning == UNREADABLE)


def test_which_chosen_tables_are_there_is_asked_when_the_live_dump_begins(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    did: list[str] = []
    ready = SimpleNamespace(
        source=SimpleNamespace(
            server=SimpleNamespace(password=""),
            info=ServerInfo(MARIADB, "11.4.2"),
            programs=SimpleNamespace(takes_init_command=True),
        ),
        access=SimpleNamespace(secret_values=list),
    )
    monkeypatch.setattr(compared_sides, "make_ready", lambda *_, **__: ready)

    def of_chosen(_: object) -> tuple[str, ...]:
        did.append("tables")
        return ()

    monkeypatch.setattr(compared_sides.LaterNow, "_of_chosen", of_chosen)
    story = SimpleNamespace(
        request=SimpleNamespace(database=SimpleNamespace(database="shop"), tables=("t",)),
        progress=SimpleNamespace(mask_secrets=lambda _: None, tick=lambda: None),
        keep=lambda: None,
    )

    later = compared_sides.LaterNow(cast("Any", story))
    did.append("earlier")
    later.read(lambda *_: did.append("read"), Loading())

    assert did == ["earlier", "tables", "read"]


class _Side:
    """A side that is read at once with another one, or cannot be."""

    def __init__(self, story: SimpleNamespace) -> None:
        self.side, self.story = SimpleNamespace(), story

    def is_known_same(self) -> bool:
        return False


def test_what_cannot_be_read_at_once_is_read_in_turns_from_the_beginning(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    did: list[str] = []

    def not_met(*_: object) -> None:
        did.append("at once")
        raise NotMet

    monkeypatch.setattr(compared_sides, "_at_once", not_met)
    monkeypatch.setattr(compared_sides, "_in_turns", lambda *_: did.append("in turns"))
    monkeypatch.setattr(compared_sides, "LaterNow", _Side)
    story = SimpleNamespace(
        request=SimpleNamespace(until=None),
        progress=SimpleNamespace(log=lambda said: did.append(str(said))),
        both=SimpleNamespace(begin_again=lambda: did.append("again")),
        keep=lambda: did.append("keep"),
    )

    compared_sides.read_both(cast("Any", story), None)

    said = "Both sides could not be read at once, so they are read in turns."
    assert did == ["at once", said, "again", "keep", "in turns"]
