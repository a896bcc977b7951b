"""The server of downloads: who may talk to it, how long and how much, and how it comes and goes."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from pytest_django import Settings

from backups.downloads import asking, places, wire
from backups.errors import Problem
from backups.models import DownloadTicket, Snapshot
from backups.worker import downloads
from backups.worker.downloads import MOST_AT_ONCE, DownloadServer
from sentinel.worker import PatientWorker
from tests.admin.conftest import past, person, roles
from tests.backups.worlds import wait_until
from tests.downloads.serving import downloads_served
from tests.downloads.test_tickets import restorer, snapshot

__all__ = ["downloads_served", "past", "person", "restorer", "roles", "snapshot"]
PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a short path."""
    with tempfile.TemporaryDirectory(prefix="dl-") as name:
        yield Path(name)


@contextmanager
def serving(path: Path) -> Iterator[DownloadServer]:
    """A server, for the length of a block."""
    server = DownloadServer(path)
    server.keep_serving()
    try:
        yield server
    finally:
        server.end()


def connected(path: Path) -> socket.socket:
    """A connection to what listens there."""
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(20)
    with places.address_of(path) as address:
        connection.connect(address)
    return connection


def answers(path: Path) -> bool:
    """Whether something there takes a connection."""
    try:
        connected(path).close()
    except OSError:
        return False
    return True


# ---------------------------------------------------------------- The socket


def test_nobody_else_may_open_it(folder: Path) -> None:
    path = folder / "var" / "run" / "downloads.socket"
    with serving(path):
        assert stat.S_IMODE(path.lstat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        assert answers(path)
    assert not path.exists()


def test_what_a_dead_worker_left_is_replaced(folder: Path) -> None:
    path = folder / "downloads.socket"
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(path))
    left.close()
    assert path.is_socket()
    assert not answers(path)
    with serving(path):
        assert answers(path)


def test_what_is_no_socket_stays(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = folder / "downloads.socket"
    path.write_text("mine")
    with serving(path) as server:
        server.keep_serving()
    assert path.read_text() == "mine"
    assert caplog.text.count("something else than a socket is there") == 1


def test_a_long_path_is_no_hindrance(folder: Path) -> None:
    path = folder / ("long" * 20) / ("longer" * 20) / "downloads.socket"
    with serving(path):
        assert answers(path)
        assert stat.S_IMODE(path.lstat().st_mode) == 0o600


def test_of_two_workers_one_serves_and_the_other_takes_over(
    folder: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloads, "_AGAIN_SECONDS", 0)
    path = folder / "downloads.socket"
    with serving(path) as first, serving(path) as second:
        ours = path.lstat().st_ino
        second.keep_serving()
        assert path.lstat().st_ino == ours
        assert caplog.text.count("another worker on this machine serves them") == 1
        second.end()
        assert answers(path), "one that does not serve takes nothing away"
        first.end()
        assert not answers(path)
        second.keep_serving()
        assert answers(path)


def test_a_socket_that_somebody_removed_is_made_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloads, "_AGAIN_SECONDS", 0)
    path = folder / "downloads.socket"
    with serving(path) as server:
        path.unlink()
        server.keep_serving()
        assert answers(path)


def test_a_folder_that_cannot_be_written_is_told_once_and_harms_nothing(
    folder: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloads, "_AGAIN_SECONDS", 0)
    (folder / "run").write_text("no folder")
    with serving(folder / "run" / "downloads.socket") as server:
        server.keep_serving()
        server.keep_serving()
    assert caplog.text.count("nothing can be downloaded through this worker") == 1


# ---------------------------------------------------------------- Who talks to it


STRANGE = {
    "nothing": b"",
    "HTTP": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "another version": b"vedetta-downloads 2 token\n",
    "no end": b"x" * 100_000,
    "no text": b"\xff\x00\n",
}


@pytest.mark.parametrize("what", STRANGE)
def test_strange_bytes_are_not_answered(what: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloads, "_TOKEN_SECONDS", 0.5)
    with serving(folder / "downloads.socket"):
        began = time.monotonic()
        with connected(folder / "downloads.socket") as connection:
            try:
                connection.sendall(STRANGE[what])
                assert connection.recv(100) == b""
            except (BrokenPipeError, ConnectionResetError):
                pass
        assert time.monotonic() - began < 5
        assert answers(folder / "downloads.socket")


def test_one_who_drips_is_let_go_in_time(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloads, "_TOKEN_SECONDS", 1.0)
    with serving(folder / "downloads.socket"), connected(folder / "downloads.socket") as connection:
        began = time.monotonic()
        while not wire.hung_up(connection) and time.monotonic() < began + 10:
            with suppress(BrokenPipeError):
                connection.sendall(b"v")
            time.sleep(0.1)
        assert time.monotonic() - began < 5


def test_many_who_are_silent_are_closed(folder: Path) -> None:
    with serving(folder / "downloads.socket"), ExitStack() as held:
        silent = [held.enter_context(connected(folder / "downloads.socket")) for _ in range(40)]
        closed = 0

        def all_but_some() -> bool:
            nonlocal closed
            closed = sum(wire.hung_up(each) for each in silent)
            return closed >= len(silent) - downloads._MOST_CONNECTIONS

        wait_until(all_but_some, "those who are too many to be closed", 4)
        assert threading.active_count() < 40


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
def test_another_user_is_not_talked_to(folder: Path) -> None:
    """Even where modes would let him in."""
    folder.chmod(0o755)
    path = folder / "downloads.socket"
    ask = (
        f"import socket; s = socket.socket(socket.AF_UNIX); s.settimeout(4); s.connect({str(path)!r}); "
        "s.sendall(b'vedetta-downloads 1 x\\n'); print(s.recv(100))"
    )
    with serving(path):
        path.chmod(0o666)
        as_nobody = ["setpriv", "--reuid=nobody", "--clear-groups", "/usr/bin/python3", "-c", ask]
        strange = subprocess.run(as_nobody, capture_output=True, text=True, check=False)
        assert "setpriv" not in strange.stderr
        # Closed before or after it has said something.
        assert strange.stdout == "b''\n" or "Error" in strange.stderr


# ---------------------------------------------------------------- What the portal is told


def told(begin: Exception) -> str:
    """A sentence."""
    assert isinstance(begin, Problem)
    return begin.sentence()


@pytest.mark.parametrize("left", [False, True])
def test_without_a_worker_it_is_said_in_a_sentence(
    left: bool, restorer: User, snapshot: Snapshot, settings: Settings, folder: Path
) -> None:
    settings.DOWNLOADS_SOCKET = str(folder / "downloads.socket")
    if left:
        of_a_dead_one = socket.socket(socket.AF_UNIX)
        of_a_dead_one.bind(settings.DOWNLOADS_SOCKET)
        of_a_dead_one.close()
    with pytest.raises(asking.NoWorker) as raised:
        asking.begin(restorer, snapshot)
    assert raised.value.sentence().startswith(
        "The worker does not run, so nothing can be downloaded. Start it"
    )
    assert not DownloadTicket.objects.exists()


def test_a_worker_that_hangs_is_given_up(
    restorer: User, snapshot: Snapshot, settings: Settings, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "_ANSWER_SECONDS", 0.3)
    settings.DOWNLOADS_SOCKET = str(folder / "downloads.socket")
    with socket.socket(socket.AF_UNIX) as hanging:
        hanging.bind(settings.DOWNLOADS_SOCKET)
        hanging.listen(100)
        for _ in range(asking.MOST_PER_PORTAL + 1):  # no place is lost by it
            with pytest.raises(Problem, match="gave no answer"):
                asking.begin(restorer, snapshot)


def test_whoever_leaves_is_not_waited_for(
    restorer: User, snapshot: Snapshot, settings: Settings, folder: Path
) -> None:
    settings.DOWNLOADS_SOCKET = str(folder / "downloads.socket")
    with socket.socket(socket.AF_UNIX) as hanging:
        hanging.bind(settings.DOWNLOADS_SOCKET)
        hanging.listen(100)
        began = time.monotonic()
        with pytest.raises(Problem):
            asking.begin(restorer, snapshot, is_gone=lambda: True)
        assert time.monotonic() - began < 5


def test_a_ticket_that_is_not_good_is_answered_in_a_sentence(downloads_served: DownloadServer) -> None:
    with connected(downloads_served._path) as connection:
        connection.sendall(wire.greeting("made up"))
        kind, content = wire.Receiver(connection, lambda: False).next(seconds=10)
    assert kind == wire.FAILURE
    assert "is not valid" in told(wire.problem_of(content))


def test_one_too_many_is_told_to_wait_before_the_ticket_is_spent(
    downloads_served: DownloadServer, restorer: User, snapshot: Snapshot
) -> None:
    listening = downloads_served._listening
    assert listening
    for _ in range(MOST_AT_ONCE):
        listening._slots.acquire()
    with pytest.raises(Problem, match="4 downloads are under way"):
        asking.begin(restorer, snapshot)
    assert DownloadTicket.objects.get().used_at is None
    listening._slots.release()
    with pytest.raises(Problem) as raised:  # what history has is in no repository
        asking.begin(restorer, snapshot)
    assert raised.value.code != "downloads.worker_is_busy"


def test_a_portal_keeps_turns_for_everybody_else() -> None:
    assert PatientWorker.at_once > asking.MOST_PER_PORTAL


@pytest.mark.parametrize(
    "said", [b"D\xff\xff\xff\xff", b"H\x00\x02\x00\x00", b"F\x00\x00\x00\x01x", b"A", b""]
)
def test_a_worker_that_talks_nonsense_harms_no_portal(
    said: bytes, restorer: User, snapshot: Snapshot, settings: Settings, folder: Path
) -> None:
    settings.DOWNLOADS_SOCKET = str(folder / "downloads.socket")
    with socket.socket(socket.AF_UNIX) as strange:
        strange.bind(settings.DOWNLOADS_SOCKET)
        strange.listen(1)

        def answer() -> None:
            connection, _ = strange.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(said)

        answering = threading.Thread(target=answer)
        answering.start()
        with pytest.raises(Problem, match="broke the download off"):
            asking.begin(restorer, snapshot)
        answering.join()


# ---------------------------------------------------------------- What reaps must not take


CHILDREN = """
import os, sys, time
from backups import process
process.become_subreaper()
failed = process.Child(process.Program([sys.executable, "-S", "-c", "raise SystemExit(3)"], {}))
os.waitid(os.P_PID, failed.pid, os.WEXITED | os.WNOWAIT)
process.reap_orphans()
assert failed.poll() == 3, failed.poll()
failed.stop()

there = {"PATH": "/usr/bin:/bin"}
left = process.Child(process.Program(["sh", "-c", "sleep 0.2 &"], there, own_group=False))
left.stop()
until = time.monotonic() + 20
while time.monotonic() < until:
    process.reap_orphans()
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        break
else:
    raise SystemExit("the orphan was not buried")
"""


def test_the_status_of_a_restic_that_failed_is_left_for_who_started_it() -> None:
    """Taken away, the failure would be a success, and half a dump whole. Orphans are buried all the same."""
    ran = subprocess.run(
        [sys.executable, "-c", CHILDREN], cwd=PROJECT, capture_output=True, text=True, check=False, timeout=60
    )
    assert ran.returncode == 0, ran.stderr
