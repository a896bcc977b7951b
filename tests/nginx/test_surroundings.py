"""The shipped fragments hold inside any server block: each file of `surroundings/`, with each gate."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.nginx.conftest import SURROUNDINGS, World
from tests.nginx.gates import STATES
from tests.nginx.surrounding import Surrounding, read, visit

ALL = [read(path) for path in SURROUNDINGS]


def test_there_are_thirty_surroundings_and_each_that_does_not_close_says_why() -> None:
    assert len(ALL) >= 30
    for surrounding in ALL:
        closes = {surrounding.expected[state] for state in STATES[1:]} == {"503 closed"}
        assert closes != bool(surrounding.because), surrounding.name


@pytest.mark.parametrize("state", STATES)
def test_each_surrounding_answers_as_its_file_says(world: World, state: str) -> None:
    world.gate_becomes(state)
    visits = [(surrounding, ask) for surrounding in ALL for ask in surrounding.asks]
    with ThreadPoolExecutor(len(visits)) as visitors:
        wrong = [told for told in visitors.map(lambda one: _wrong(world, state, *one), visits) if told]
    assert not wrong, "\n".join(wrong)


def _wrong(world: World, state: str, surrounding: Surrounding, ask: str) -> str:
    """What is not as the file says, or nothing."""
    port = world.http if surrounding.over == "http" else world.https
    expected = surrounding.expected[state]
    where = f"{surrounding.name}, {ask}, gate {state}"
    try:
        answer = visit(port, surrounding, ask)
    except Exception as error:  # noqa: BLE001  whatever it was, the others are looked at as well
        return f"{where}: {expected} expected, {error!r} came"
    if ask.startswith("HEAD"):
        return "" if expected.startswith(answer.words()) else f"{where}: {answer.words()} came"
    if answer.words() != expected:
        return f"{where}: {expected} expected, {answer.words()} came: {answer.body[:200]!r}"
    if expected == "503 closed":
        kept = {
            name: answer.headers.get(name, "") for name in ("Content-Type", "Cache-Control", "Retry-After")
        }
        if list(kept.values()) != ["text/html; charset=utf-8", "no-store", "60"]:
            return f"{where}: {kept}"
    return ""
