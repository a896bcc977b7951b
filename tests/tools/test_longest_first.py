"""What a test took is kept, and the next time the files that take longest are begun first."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.longest_first import by_files

PROJECT = Path(__file__).resolve().parents[2]
NAMES = ("test_a", "test_b", "test_c")
SHARED = ("--numprocesses", "1", "--dist", "loadfile", "--no-loadscope-reorder")


def order(folder: Path, *options: str) -> list[str]:
    """The files in the order in which their tests ended."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "xdist", "-p", "tests.longest_first", "-v", *options],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(PROJECT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    ended = [line for line in done.stdout.splitlines() if "PASSED" in line]
    return [next(name for name in NAMES if name in line) for line in ended]


# Three starts of pytest; the next one has it begin what takes longest.
@pytest.mark.soak
def test_the_longest_file_comes_first_once_it_is_known(tmp_path: Path) -> None:
    for name in NAMES:
        (tmp_path / f"{name}.py").write_text("import time\ndef test_it() -> None:\n    time.sleep(0.2)\n")

    assert order(tmp_path) == ["test_a", "test_b", "test_c"]
    kept = tmp_path / ".pytest_cache" / "v" / "vedetta" / "seconds"
    took = json.loads(kept.read_text())
    assert set(took) == {f"{name}.py::test_it" for name in NAMES}
    assert min(took.values()) >= 0.2

    kept.write_text(json.dumps({**took, "test_a.py::test_it": 0.1, "test_b.py::test_it": 900}))
    assert order(tmp_path, *SHARED) == ["test_b", "test_c", "test_a"]


def test_where_nothing_is_kept_yet_it_goes_by_what_files_took_elsewhere(tmp_path: Path) -> None:
    for name in NAMES:
        (tmp_path / f"{name}.py").write_text("def test_it() -> None:\n    pass\n")
    told = by_files(
        {"test_c.py::test_it": 900, "test_c.py::test_more": 1, "test_gone.py::test_it": 9}, tmp_path
    )
    assert told == {"test_c.py": 901}
    (tmp_path / "told.json").write_text(json.dumps(told))
    (tmp_path / "conftest.py").write_text(
        "from pathlib import Path\n"
        "from tests import longest_first\n"
        "longest_first.OF_FILES = Path(__file__).with_name('told.json')\n"
    )

    assert order(tmp_path, *SHARED) == ["test_c", "test_a", "test_b"]
