"""What an installation of before has goes on with the gate of now: its unit and its fragments."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path

import pytest

from tests.sentinel.conftest import StatusFolder, ask, gate_environment, running, wait_until
from tests.sentinel.test_process import DEPLOY, backend, in_front_of
from tools.ports import free_port

BEFORE = Path(__file__).with_name("before")


def unit(path: Path) -> tuple[list[str], dict[str, str]]:
    """The command of a unit for this Python, and the environment that it sets itself."""
    text = path.read_text()
    found = re.search(r"^ExecStart=/opt/vedetta/\.venv/bin/(gunicorn .+)$", text, re.MULTILINE)
    assert found
    own = dict(line.split("=", 1) for line in re.findall(r"^Environment=(.+)$", text, re.MULTILINE))
    return [sys.executable, "-m", *shlex.split(found[1])], own


@pytest.mark.parametrize(
    ("started_by", "asked_by"),
    [
        pytest.param(
            BEFORE / "tcp_gate",
            BEFORE / "tcp_gate",
            id="unit and fragments of before",
            marks=pytest.mark.soak,
        ),
        pytest.param(BEFORE / "tcp_gate", DEPLOY, id="unit of before"),
        pytest.param(DEPLOY.parent / "systemd", BEFORE / "tcp_gate", id="fragments of before"),
        pytest.param(DEPLOY.parent / "systemd", DEPLOY, id="all of now", marks=pytest.mark.soak),
    ],
)
def test_the_gate_opens_and_closes(started_by: Path, asked_by: Path, tmp_path: Path) -> None:
    folder, port = StatusFolder(tmp_path / "status" / "last_ok"), free_port()
    folder.backed_up(10)
    command, own = unit(started_by / "vedetta-gate.service")
    # Where it listens is what the unit says, at a port and in a folder of the test.
    bind = own.get("SENTINEL_BIND", "127.0.0.1:8001").replace("127.0.0.1:8001", f"127.0.0.1:{port}")
    bind = bind.replace("/run/vedetta-gate", str(tmp_path))
    environment = gate_environment(folder.heartbeat, SENTINEL_BIND=bind)
    with running(command, port, environment), backend("application") as application:
        places = {"127.0.0.1:3000": f"127.0.0.1:{application}", "127.0.0.1:8001": f"127.0.0.1:{port}"}
        with in_front_of(tmp_path, places, asked_by) as http:
            wait_until(lambda: ask(http, "/").code == 200, seconds=10)
            folder.backed_up(10**6)
            wait_until(lambda: ask(http, "/").code == 503, seconds=10)


def test_where_the_socket_may_not_be_opened_the_port_is_asked(tmp_path: Path) -> None:
    """As where nginx runs in another group than the unit says; here something else lies in its place."""
    folder, port = StatusFolder(tmp_path / "status" / "last_ok"), free_port()
    folder.backed_up(10)
    (tmp_path / "socket").touch()
    command, _ = unit(DEPLOY.parent / "systemd" / "vedetta-gate.service")
    environment = gate_environment(folder.heartbeat, SENTINEL_BIND=f"127.0.0.1:{port}")
    with running(command, port, environment), backend("application") as application:
        places = {"127.0.0.1:3000": f"127.0.0.1:{application}", "127.0.0.1:8001": f"127.0.0.1:{port}"}
        with in_front_of(tmp_path, places, DEPLOY) as http:
            assert [ask(http, "/").code for _ in range(50)] == [200] * 50
