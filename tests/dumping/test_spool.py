"""What waits between a dump program and who wants its bytes: in order, whole, and within its room."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backups.dumping import spool
from backups.dumping.spool import Room, Spool
from backups.errors import Problem
from tests.actions.test_failures import small_disk
from tests.backups.worlds import wait_until


@contextmanager
def beside(work: Callable[[], None]) -> Iterator[threading.Thread]:
    """Do `work` in a thread, which has to end."""
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    yield thread
    thread.join(30)
    assert not thread.is_alive()


@given(
    chunks=st.lists(st.binary(min_size=1, max_size=40), max_size=60),
    memory=st.integers(40, 100),
    on_disk=st.integers(0, 200),
)
def test_bytes_come_out_as_they_went_in_wherever_they_waited(
    chunks: list[bytes], memory: int, on_disk: int
) -> None:
    with tempfile.TemporaryFile() as file:
        tested = Spool(memory, file, on_disk)

        def put() -> None:
            for chunk in chunks:
                tested.put(chunk)
            tested.end()

        with beside(put):
            assert b"".join(tested.taken()) == b"".join(chunks)
        assert Path(f"/proc/self/fd/{file.fileno()}").stat().st_size <= on_disk


def test_who_puts_waits_where_there_is_no_room() -> None:
    tested = Spool(10)
    put: list[int] = []

    def put_all() -> None:
        for number in range(5):
            tested.put(b"12345")
            put.append(number)
        tested.end()

    with beside(put_all) as putting:
        wait_until(lambda: len(put) == 2, "room for two")
        putting.join(0.2)
        assert len(put) == 2
        assert b"".join(tested.taken()) == b"12345" * 5


def test_who_puts_takes_a_breath_now_and_then_so_that_the_server_does_not_give_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(spool, "_BREATH_SECONDS", 0.01)
    monkeypatch.setattr(spool, "_BREATH_BYTES", 5)
    tested, put = Spool(10, breaths=3), []

    def put_all() -> None:
        for number in range(8):
            tested.put(b"12345")
            put.append(number)
        tested.end()

    with beside(put_all) as putting:
        wait_until(lambda: len(put) == 5, "three breaths")
        putting.join(0.2)
        assert len(put) == 5
        assert b"".join(tested.taken()) == b"12345" * 8


def test_what_ended_one_side_is_raised_on_the_other_at_once() -> None:
    tested = Spool(100)
    tested.put(b"rows")
    tested.end(Problem("The dump program was killed."))

    with pytest.raises(Problem, match="was killed"):
        tested.take()


def test_who_puts_is_let_go_when_nobody_wants_the_bytes_any_more() -> None:
    tested = Spool(4)
    tested.put(b"1234")

    with beside(lambda: tested.put(b"5678")):
        tested.close()


def test_full_disk_is_told_and_nothing_is_left_on_it(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", megabytes=1) as disk:
        room = Room(str(disk), 50 << 20)
        assert room.bytes < 1 << 20
        with room.file() as file:
            tested = Spool(0, file, 50 << 20)
            tested.put(bytes(1 << 19))
            with pytest.raises(
                Problem, match=r"\(DUMP_SPOOL_DIR\) cannot be written to: No space left on device"
            ):
                tested.put(bytes(1 << 20))
        assert list(disk.iterdir()) == []


def test_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(Problem, match="cannot be written to: No such file or directory"):
        Room(str(tmp_path / "gone"), 1)
