"""What of a log is too long for memory lies where there is room, and leaves nothing behind."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from pytest_django.fixtures import Settings

from backups.binlog import spill
from backups.binlog.spill import NoRoom, Spill
from backups.moments.spilling import spill_folder

# Writes more than Python keeps of a file in memory, says so, and waits.
_WRITES = """
import sys, time
from backups.binlog.spill import Spill
file = Spill(sys.argv[1])
file.write(bytes(1 << 20))
file.flush()
print("written", flush=True)
time.sleep(60)
"""


def test_it_gives_back_what_it_was_given(tmp_path: Path) -> None:
    folder = tmp_path / "not" / "there yet"
    file = Spill(str(folder))
    file.write(b"one")
    file.write(b"two")

    assert file.from_the_beginning().read() == b"onetwo"
    assert list(folder.iterdir()) == []
    assert folder.stat().st_mode & 0o77 == 0


def test_a_disk_that_would_be_full_is_told_before_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = Spill(str(tmp_path))
    monkeypatch.setattr(spill, "_LOOK_BYTES", 1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=10_000))
    file.write(bytes(80_000))

    with pytest.raises(NoRoom) as raised:
        file.write(bytes(20_000))

    assert raised.value.code == "log.no_room"
    assert (
        f"does not go into {tmp_path} (less than a tenth of it would be left free)" in raised.value.sentence()
    )
    assert "DUMP_SPOOL_DIR" in raised.value.sentence()


def test_a_folder_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(NoRoom, match="File exists"):
        Spill(str(tmp_path / "file"))


def test_one_that_is_killed_leaves_nothing_behind(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _WRITES, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "written\n"
        running.send_signal(signal.SIGKILL)
        running.wait(20)

    assert list(tmp_path.iterdir()) == []


def test_it_lies_with_what_else_is_large_and_never_among_temporary_files(settings: Settings) -> None:
    settings.DUMP_SPOOL_DIR, settings.RESTIC_CACHE_DIR = "", "/srv/vedetta/cache"
    assert spill_folder() == "/srv/vedetta/cache/log-spill"
    settings.DUMP_SPOOL_DIR = "/srv/spool"
    assert spill_folder() == "/srv/spool"
