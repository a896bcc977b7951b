"""Where the set-up may not install packages itself, one sentence says what a person has to do."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from tools import setup, system
from tools.shell import SetupError

ABSENT = system.Need("libabsent-dev", lambda: False)
PRESENT = system.Need("present", lambda: True)


def _must_not_run(*_: object) -> None:
    pytest.fail("something was installed")


def test_nothing_is_done_when_nothing_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system, "run", _must_not_run)

    system.install_missing((PRESENT,))


def test_user_without_root_gets_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system, "run", _must_not_run)
    monkeypatch.setattr(system, "is_debian_kind", lambda: True)
    monkeypatch.setattr(system, "_as_root", lambda: None)

    with pytest.raises(SetupError, match=r"sudo apt-get install .* libabsent-dev`"):
        system.install_missing((PRESENT, ABSENT))


def test_what_cannot_be_had_is_named_and_keeps_nothing_else_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    installed: set[str] = set()

    def apt_install(_: list[str], packages: list[str]) -> None:
        if "nobodys" in packages:
            raise SetupError("Unable to locate package nobodys")
        installed.update(packages)

    monkeypatch.setattr(system, "is_debian_kind", lambda: True)
    monkeypatch.setattr(system, "_as_root", list)
    monkeypatch.setattr(system, "_no_services", lambda _: contextlib.nullcontext())
    monkeypatch.setattr(system, "_apt_install", apt_install)
    names = ("first", "nobodys", "last")

    system.install_what_can_be(tuple(_need(name, installed) for name in names))

    assert installed == {"first", "last"}
    assert "going on without nobodys: Unable to locate" in capsys.readouterr().err


def _need(name: str, installed: set[str]) -> system.Need:
    return system.Need(name, lambda: name in installed)


def test_what_only_saves_time_is_asked_for_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[object] = []
    monkeypatch.setattr(setup, "LOG", tmp_path / "log" / "setup.log")
    monkeypatch.setattr(setup, "LIGHT_BROWSER", ABSENT)
    monkeypatch.setattr(setup, "is_known_to_apt", lambda _: True)
    monkeypatch.setattr(setup, "install_what_can_be", asked.append)

    for _ in range(2):
        setup._install_light_browser()

    assert asked == [(ABSENT,)]


def test_other_distributions_get_the_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system, "run", _must_not_run)
    monkeypatch.setattr(system, "is_debian_kind", lambda: False)

    with pytest.raises(SetupError, match="by hand what Debian calls libabsent-dev"):
        system.install_missing((ABSENT,))
