"""Hundreds of clients that are slow, silent or talk nonsense: the portal goes on answering people."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sentinel.test_process import DEPLOY, in_front_of
from tests.servers import made_once
from tests.servers.processes import Server, answers_http
from tests.slow import honest
from tests.slow.clients import SHAPES
from tests.slow.honest import Door
from tools.ports import HOST, free_port

PROJECT = Path(__file__).resolve().parents[2]
DOORS = ("port", "socket", "nginx")
# What people ask for, and what costs the portal least: floods of work are another matter.
SIGN_IN, LEAST = "/admin/login/", "/sentinel/ok"


class Portal:
    """The portal as it is shipped, on a port and on a socket, and nginx before it."""

    def __init__(self, port: int, socket: Path, http: int) -> None:
        self._doors = {"port": f"{HOST}:{port}", "socket": f"unix:{socket}", "nginx": f"{HOST}:{http}"}

    def goes_on(self, door: str, seconds: float, connections: int = 350, *shapes: str) -> None:
        """Through nginx both are attacked: nginx as visitors do, the portal as a neighbour does."""
        below = "/vedetta" if door == "nginx" else ""
        attack = [Door(self._doors[door], below + LEAST, below + SIGN_IN)]
        if door == "nginx":
            attack.append(Door(self._doors["port"], LEAST, SIGN_IN))
        asked = Door(self._doors[door], below + SIGN_IN)
        honest.goes_on(asked, seconds, attack=attack, shapes=shapes, connections=connections)


@pytest.fixture(scope="module")
def portal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Portal]:
    folder = tmp_path_factory.mktemp("portal")
    port, path = free_port(), folder / "portal.socket"
    environment = {
        **os.environ,
        "DATABASE_URL": f"sqlite:///{folder / 'portal.sqlite3'}",
        "ALLOWED_HOSTS": "localhost,127.0.0.1",
        "PORTAL_BIND": f"unix:{path},{HOST}:{port}",
        "WEB_CONCURRENCY": "2",
    }
    shutil.copy(made_once.migrated_database(), folder / "portal.sqlite3")
    server = Server(
        [sys.executable, "-m", "gunicorn", "-c", "portal/gunicorn.conf.py", "portal.wsgi"],
        log=folder / "portal.log",
        cwd=PROJECT,
        env=environment,
        ready=lambda: answers_http(f"http://{HOST}:{port}{LEAST}"),
    )
    places = {"127.0.0.1:8000": f"{HOST}:{port}", "127.0.0.1:8001": f"{HOST}:{port}"}
    with server, in_front_of(folder, places, DEPLOY) as http:
        yield Portal(port, path, http)


# Through nginx the port is attacked as well.
@pytest.mark.parametrize(
    "door", [*(pytest.param(each, marks=pytest.mark.soak) for each in ("port", "socket")), "nginx"]
)
def test_slow_clients_take_nothing_from_people(portal: Portal, door: str) -> None:
    portal.goes_on(door, seconds=5)


@pytest.mark.soak
@pytest.mark.parametrize("door", DOORS)
def test_nor_do_they_in_a_minute(portal: Portal, door: str) -> None:
    portal.goes_on(door, 60, 700)


@pytest.mark.soak
@pytest.mark.parametrize("shape", SHAPES)
def test_nor_do_they_when_all_are_of_one_shape(portal: Portal, shape: str) -> None:
    portal.goes_on("port", 10, 700, shape)
