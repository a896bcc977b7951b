"""A pytest plugin: in a new checkout, all that is loaded is compiled once, before several processes begin.

Each of them would compile all of it, at the same time as the others: ten seconds of a core for each.
"""

from __future__ import annotations

import compileall
import os
import traceback
from collections.abc import Iterable
from pathlib import Path

import pytest
from _pytest.assertion import rewrite

PROJECT = Path(__file__).resolve().parent.parent
FOLDERS = ("backups", "portal", "sentinel", "tests", "tools")


def pytest_xdist_setupnodes(config: pytest.Config) -> None:
    """By as many processes as there are cores."""
    paths = sorted(path for folder in FOLDERS for path in (PROJECT / folder).rglob("*.py"))
    cores = len(os.sched_getaffinity(0))
    compiling = []
    for number in range(cores):
        if (pid := os.fork()) == 0:
            try:
                _compile(paths[number::cores], config)
            except Exception:  # noqa: BLE001  whoever loads it compiles it as well, and tells what is wrong
                traceback.print_exc()
            finally:
                os._exit(0)
        compiling.append(pid)
    for pid in compiling:
        os.waitpid(pid, 0)


def _compile(paths: Iterable[Path], config: pytest.Config) -> None:
    for path in paths:
        if path.name == "conftest.py" or path.name.startswith("test_"):
            _compile_test(path, config)
        else:
            compileall.compile_file(path, quiet=2)


def _compile_test(path: Path, config: pytest.Config) -> None:
    """With assertions that tell what they saw, as pytest has it where it loads a test."""
    state = config.stash[rewrite.assertstate_key]
    folder = rewrite.get_cache_dir(path)
    kept = folder / f"{path.stem}{rewrite.PYC_TAIL}"
    if rewrite.try_makedirs(folder) and rewrite._read_pyc(path, kept, state.trace) is None:
        source, code = rewrite._rewrite_test(path, config)
        rewrite._write_pyc(state, code, source, kept)
