"""Where nginx keeps the verdict of a second: no disk of it stands in the way, and no drill gets there."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from tests.nginx.conftest import SURROUNDINGS, World
from tests.nginx.surrounding import read, visit

Trouble = Callable[[Path], AbstractContextManager[None]]
PLAIN = read(next(path for path in SURROUNDINGS if path.stem == "plain"))


def visitors(world: World, count: int = 40) -> set[str]:
    """What that many visitors get who come at once."""
    with ThreadPoolExecutor(8) as pool:
        return set(pool.map(lambda _: visit(world.http, PLAIN, "GET /").words(), range(count)))


@contextmanager
def without_room(folder: Path) -> Iterator[None]:
    """The folder on a file system that is full."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k,mode=0777", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("only root may mount a file system")
    try:
        subprocess.run(["dd", "if=/dev/zero", f"of={folder}/full", "bs=4k"], capture_output=True)
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


@contextmanager
def gone(folder: Path) -> Iterator[None]:
    """The folder is not there."""
    shutil.move(folder, f"{folder}-away")
    try:
        yield
    finally:
        shutil.move(f"{folder}-away", folder)


@pytest.mark.parametrize("trouble", [without_room, gone])
def test_a_cache_that_cannot_be_written_opens_nothing_and_closes_nothing(
    world: World, trouble: Trouble
) -> None:
    with trouble(world.folder / "vedetta-gate"):
        world.gate_becomes("open")
        assert visitors(world) == {"200 application"}
        for state in ("closed", "dead"):
            world.gate.becomes(state)
            assert visitors(world) == {"503 closed"}


def test_the_gate_is_asked_once_in_a_second(world: World) -> None:
    world.gate_becomes("open")
    assert visitors(world, 1) == {"200 application"}
    world.gate.asked.clear()
    assert visitors(world, 200) == {"200 application"}
    assert len(world.gate.asked) <= 2 * 8, "who comes while the first is asking may ask for himself"


def test_nothing_of_the_visitors_request_reaches_the_gate(world: World) -> None:
    world.gate_becomes("open")
    world.gate.asked.clear()
    stranger = {
        "Cookie": "session=secret",
        "X-Vedetta-Drill": "not a word of ours",
        "Authorization": "Basic x",
    }
    assert visit(world.http, PLAIN, "POST /orders 1MB", stranger).words() == "200 application"
    assert world.gate.asked == ["GET /sentinel/ok HTTP/1.1\r\nHost: localhost\r\n\r\n"]


def test_a_drill_closes_for_whoever_carries_its_word_and_is_kept_for_nobody(world: World) -> None:
    world.gate_becomes("open")
    world.gate.drill = "0123456789abcdef" * 2
    try:
        word, another = {"X-Vedetta-Drill": world.gate.drill}, {"X-Vedetta-Drill": "f" * 32}
        for _ in range(5):
            assert visit(world.http, PLAIN, "GET /", word).words() == "503 closed"
            assert visit(world.http, PLAIN, "GET /", another).words() == "200 application"
            assert visit(world.http, PLAIN, "GET /").words() == "200 application"
    finally:
        world.gate.drill = ""


def test_strangers_drills_do_not_tire_the_gate(world: World) -> None:
    world.gate_becomes("open")
    world.gate.asked.clear()
    words = [{"X-Vedetta-Drill": f"{number:032x}"} for number in range(200)]
    with ThreadPoolExecutor(8) as pool:
        got = list(pool.map(lambda word: visit(world.http, PLAIN, "GET /", word).words(), words))
    assert set(got) == {"200 application", "503 closed"}
    assert len(world.gate.asked) < 120
    assert visitors(world) == {"200 application"}
