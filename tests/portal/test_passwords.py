"""One sign-in at a time, in all processes; what comes in too many is answered at once."""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import ExitStack

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from portal import passwords
from portal.passwords import Busy, Turns


@pytest.fixture
def turns() -> Turns:
    return Turns()


def child(turns: Turns, says: int) -> int:
    """Another process, which tells that it has its turn, and never gives it back. Answers its id."""
    if pid := os.fork():
        return pid
    with turns.turn("child", 5):
        os.write(says, b"!")
        time.sleep(60)
    os._exit(0)


def test_a_turn_is_for_one_of_all_processes_and_goes_with_a_killed_one(turns: Turns) -> None:
    reads, says = os.pipe()
    pid = child(turns, says)
    try:
        assert os.read(reads, 1) == b"!"
        with pytest.raises(Busy), turns.turn("a", 0.1):
            pytest.fail("two at once")
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    with turns.turn("a", 1):
        pass
    for end in (reads, says):
        os.close(end)


def test_a_turn_is_for_one_of_all_threads_and_few_wait(turns: Turns) -> None:
    order: list[str] = []

    def take(address: str) -> None:
        try:
            with turns.turn(address, 5):
                order.append(f"{address} in")
                time.sleep(0.05)
                order.append(f"{address} out")
        except Busy:
            order.append(f"{address} away")

    with turns.turn("flood", 1):
        threads = [threading.Thread(target=take, args=["flood"]) for _ in range(5)]
        threads += [threading.Thread(target=take, args=[f"other {number}"]) for number in range(5)]
        for thread in threads:
            thread.start()
            time.sleep(0.01)
    for thread in threads:
        thread.join()
    # Of the address that has its turn one more waits; of others two, which is four in all.
    assert order.count("flood away") == 4
    assert sum(each.endswith("away") for each in order) == 7
    goings = [each for each in order if not each.endswith("away")]
    assert [each.split()[-1] for each in goings] == ["in", "out"] * 3
    # Nothing is kept of who has gone.
    assert not turns._waiting


def test_what_nobody_has_any_more_keeps_no_file_open() -> None:
    made = Turns()
    with made.turn("a", 1):
        kept = made._between_processes
    del made
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(kept)


def test_who_finds_no_place_is_told_so_and_counted_as_no_failure(
    db: None, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    User.objects.create_superuser("anna", password="a password of the tests 1")
    assert reverse("admin:login") == passwords.SIGN_IN
    turns = Turns()
    monkeypatch.setattr(passwords, "Turns", lambda: turns)
    told = {"username": "anna", "password": "a password of the tests 1"}
    with ExitStack() as held:
        for _ in range(passwords.MOST_OF_ONE_ADDRESS):
            turns._take_place("127.0.0.1")
            held.callback(turns._give_place_back, "127.0.0.1")
        for _ in range(12):
            answer = Client().post("/admin/login/", told)
            assert (answer.status_code, answer.headers["Retry-After"]) == (503, "8")
        # All else goes on, and so does who comes from elsewhere.
        assert Client().get("/admin/login/").status_code == 200
        assert Client(REMOTE_ADDR="192.0.2.1").post("/admin/login/", told).status_code == 302
    assert Client().post("/admin/login/", told).status_code == 302
