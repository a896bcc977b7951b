"""Ctrl-C and SIGTERM that come while something is being asked for."""

from __future__ import annotations

import os
import signal

import pytest

from backups.management import interrupts


def test_a_ctrl_c_comes_once_what_is_asked_for_is_asked_for() -> None:
    done = []

    with pytest.raises(KeyboardInterrupt), interrupts.held() as let_through:  # noqa: PT012
        os.kill(os.getpid(), signal.SIGINT)
        done.append("asked")
        let_through()
        done.append("followed")

    assert done == ["asked"]


def test_it_comes_at_the_end_at_the_latest_and_only_once() -> None:
    done = []

    with pytest.raises(KeyboardInterrupt), interrupts.held():  # noqa: PT012
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        done.append("asked")

    assert done == ["asked"]
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)


def test_without_a_signal_all_is_as_before() -> None:
    before = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]

    with interrupts.held() as let_through:
        let_through()

    assert [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)] == before
