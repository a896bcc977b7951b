"""Where the set-up may not install packages itself, one sentence says what a person has to do."""

from __future__ import annotations

import pytest

from tools import system
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


def test_other_distributions_get_the_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system, "run", _must_not_run)
    monkeypatch.setattr(system, "is_debian_kind", lambda: False)

    with pytest.raises(SetupError, match="by hand what Debian calls libabsent-dev"):
        system.install_missing((ABSENT,))
