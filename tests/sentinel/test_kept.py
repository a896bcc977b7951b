"""What the portal does not read again of the status folder never differs from what lies there."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sentinel import heartbeat, kept
from sentinel.environment import GateSettings
from sentinel.observe import observe

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def gate(tmp_path: Path) -> GateSettings:
    """Two databases that gate, the second with a proved backup as well, all long at rest."""
    main = tmp_path / "status" / "last_ok"
    heartbeat.stamp_write(main, NOW)
    heartbeat.stamp_write(heartbeat.last_ok_path(main, "crm"), NOW)
    heartbeat.stamp_write(heartbeat.last_verified_path(main, "crm"), NOW)
    heartbeat.stamp_write(heartbeat.last_logged_path(main, "crm"), NOW)
    listed(main, "shop", "crm")
    return GateSettings(heartbeat_path=main, database="shop")


def listed(main: Path, *names: str) -> None:
    gates = [heartbeat.gate_for(main, name, first=number == 0) for number, name in enumerate(names)]
    heartbeat.gates_write(main, [replace(each, is_logged=each.name == "crm") for each in gates])


def crm(gate: GateSettings, name: str = "last_ok") -> Path:
    return heartbeat.last_ok_path(gate.heartbeat_path, "crm").with_name(name)


def in_place(gate: GateSettings) -> None:
    """As `date -u` of a shell does it: the same file, of the same length."""
    crm(gate).write_text("2026-03-01T11:00:00Z\n")


def folder(gate: GateSettings) -> None:
    crm(gate).unlink()
    crm(gate).mkdir()


def with_its_time_set_back(gate: GateSettings) -> None:
    before = crm(gate).stat()
    in_place(gate)
    os.utime(crm(gate), ns=(before.st_atime_ns, before.st_mtime_ns))


CHANGES: dict[str, Callable[[GateSettings], object]] = {
    "another one is put in its place": lambda gate: heartbeat.stamp_write(crm(gate), NOW - HOUR),
    "it is written in place": in_place,
    "its time is set back": with_its_time_set_back,
    "it goes": lambda gate: crm(gate).unlink(),
    "the proof goes": lambda gate: crm(gate, "last_verified").unlink(),
    "a proof comes": lambda gate: heartbeat.stamp_write(gate.heartbeat_path.with_name("last_verified"), NOW),
    "a link that leads nowhere comes": lambda gate: gate.heartbeat_path.with_name("last_verified").symlink_to(
        "nowhere"
    ),
    "more of a log is stored": lambda gate: heartbeat.stamp_write(crm(gate, "last_logged"), NOW + HOUR),
    "nobody tells of a log any more": lambda gate: crm(gate, "last_logged").unlink(),
    "it becomes a folder": folder,
    "another is listed": lambda gate: listed(gate.heartbeat_path, "shop", "crm", "blog"),
    "it is listed no more": lambda gate: listed(gate.heartbeat_path, "shop"),
    "the list is damaged": lambda gate: heartbeat.gates_path(gate.heartbeat_path).write_text("{"),
    "the list goes": lambda gate: heartbeat.gates_path(gate.heartbeat_path).unlink(),
    "nothing happens": lambda gate: None,
}


@pytest.mark.parametrize("at_rest", [True, False], ids=["long at rest", "just written"])
@pytest.mark.parametrize("change", CHANGES)
def test_what_is_kept_is_what_lies_there(
    gate: GateSettings, change: str, at_rest: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if at_rest:
        # As if all had been written long ago.
        monkeypatch.setattr(kept, "_SETTLED_NS", -(10**12))
    files = kept.Kept()
    before = observe(gate, NOW)
    assert observe(gate, NOW, files=files) == before
    assert observe(gate, NOW, files=files) == before
    time.sleep(0.02)  # a disk's clock goes in steps

    CHANGES[change](gate)

    after = observe(gate, NOW)
    assert (after == before) == (change == "nothing happens")
    for _ in range(2):
        assert observe(gate, NOW, files=files) == after


def test_what_looks_as_it_did_is_not_opened_again(
    gate: GateSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept, "_SETTLED_NS", -(10**12))
    files = kept.Kept()
    observe(gate, NOW, files=files)
    opened: list[Path] = []

    def opening(path: Path) -> heartbeat.Reading:
        opened.append(path)
        return heartbeat.MISSING

    monkeypatch.setattr(heartbeat, "stamp_read", opening)

    assert len(observe(gate, NOW, files=files).databases) == 2
    assert opened == []
