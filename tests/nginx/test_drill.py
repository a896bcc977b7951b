"""The drill through nginx: it finds each surrounding as its file says, the open ones above all."""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor

import pytest

from backups import drill
from tests.nginx.conftest import SURROUNDINGS, World
from tests.nginx.surrounding import Surrounding, read
from tests.servers.processes import HOST

ALL = [read(path) for path in SURROUNDINGS]
WORD = "0123456789abcdef" * 2


@pytest.fixture
def named_world(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """The names of the surroundings lead to the nginx, and its certificate is trusted."""
    look_up = socket.getaddrinfo

    def here(host: str, *arguments: object, **more: object) -> object:
        return look_up(HOST if host.endswith(".test") else host, *arguments, **more)

    monkeypatch.setattr(socket, "getaddrinfo", here)
    monkeypatch.setenv("SSL_CERT_FILE", str(world.folder / "certificate.pem"))
    monkeypatch.setattr(world.gate, "drill", WORD)
    return world


def held(world: World, surrounding: Surrounding) -> drill.Drilled:
    """As `drill.hold`, with the word that this gate knows."""
    scheme, port = ("http", world.http) if surrounding.over == "http" else ("https", world.https)
    url = f"{scheme}://{surrounding.name}.test:{port}{surrounding.asks[0].split()[1]}"
    return drill.judge(url, drill.ask(url), drill.ask(url, WORD), drill.ask(url))


def test_the_drill_finds_each_surrounding_as_its_file_says(named_world: World) -> None:
    named_world.gate_becomes("open")
    # Not more at once than a gate takes drills.
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda one: held(named_world, one), ALL))
    wrong = [
        f"{surrounding.name}: {surrounding.drill} expected, {drilled.detail}"
        for surrounding, drilled in zip(ALL, found, strict=True)
        if drilled.found != surrounding.drill
    ]
    assert not wrong, "\n".join(wrong)
    opens = [one for one in ALL if one.expected["closed"] == one.expected["open"]]
    assert len(opens) >= 5
    assert all(one.drill not in drill.GOOD for one in opens)


def test_while_the_gate_is_closed_the_drill_says_so(named_world: World) -> None:
    for state in ("closed", "dead"):
        named_world.gate_becomes(state)
        assert held(named_world, ALL[[one.name for one in ALL].index("plain")]).found == "closed already"
