"""The small scripts that start the programs of the tests' MySQL."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tools import mysql


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An unpacked MySQL, whose loader tells what it would load."""
    root = tmp_path / "of mysql" / "root"
    for place in ("usr/lib64/ld-linux-x86-64.so.2", "usr/lib/x86_64-linux-gnu/libc.so.6"):
        (root / place).parent.mkdir(parents=True)
        (root / place).write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
        (root / place).chmod(0o755)
    mysql._write_wrappers(root.parent)
    return root.parent


def test_however_it_is_started_it_finds_what_lies_beside_it(folder: Path, tmp_path: Path) -> None:
    link = tmp_path / "mysqldump"
    link.symlink_to(folder / "bin" / "mysqldump")

    for program, cwd in (
        (str(folder / "bin" / "mysqldump"), tmp_path),
        ("./mysqldump", folder / "bin"),
        ("bin/mysqldump", folder),
        (str(link), folder),
        ("mysqldump", tmp_path),
    ):
        told = subprocess.run(
            [program, "a b", "--c"], cwd=cwd, check=True, capture_output=True, text=True,
            env={"PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}", "me": "somebody's"},
        ).stdout.splitlines()  # fmt: skip
        assert Path(told[2]).resolve() == folder / "root/usr/bin/mysqldump", program
        assert told[3:] == ["a b", "--c"]


def test_an_earlier_versions_scripts_are_written_anew_and_its_own_are_left(folder: Path) -> None:
    ours, theirs = folder / "bin" / "mysql", folder / "bin" / "mysqld"
    theirs.write_text("#!/bin/sh\nexit 1\n")
    before = ours.stat().st_ino

    mysql._write_wrappers(folder)

    assert ours.stat().st_ino == before
    assert "ld-linux" in theirs.read_text()
    assert theirs.stat().st_mode & 0o777 == 0o755
    assert sorted(file.name for file in (folder / "bin").iterdir()) == sorted(("mysqld", *mysql.CLIENTS))
