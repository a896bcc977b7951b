"""The shipped Caddyfile in a real Caddy, before a gate that opens, closes, dies and hangs."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.nginx.conftest import PROJECT, program
from tests.nginx.gates import APPLICATION, Application, Gate, listening
from tests.nginx.surrounding import Answer, fetch
from tests.servers.processes import Server, answers_tcp
from tools.ports import HOST, free_port

CADDYFILE = PROJECT / "deploy" / "caddy" / "Caddyfile"
APP, PORTAL = "app.example.com", "backup.example.com"


class Caddy:
    """A Caddy, and the gate that it asks."""

    def __init__(self, gate: Gate, port: int) -> None:
        self.gate = gate
        self.port = port

    def get(self, host: str, path: str, **headers: str) -> Answer:
        """What a visitor of this host is answered."""
        return fetch(self.port, "GET", path, {"Host": host, **headers})


@pytest.fixture(scope="module")
def caddy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Caddy]:
    folder = tmp_path_factory.mktemp("caddy")
    with ExitStack() as servers:
        gate = Gate()
        servers.callback(gate.close)
        application = servers.enter_context(listening(Application))
        port = free_port()
        text = CADDYFILE.read_text()
        # The names stay; what they listen at, and who stands behind them, is the test's.
        for shipped, ours in {
            f"{APP} {{": f"http://{APP}:{port} {{",
            f"{PORTAL} {{": f"http://{PORTAL}:{port} {{",
            "127.0.0.1:8001": f"{HOST}:{gate.port}",
            "127.0.0.1:3000": f"{HOST}:{application}",
            "127.0.0.1:8000": f"{HOST}:{application}",
        }.items():
            assert text.count(shipped) == 1, shipped
            text = text.replace(shipped, ours)
        file = folder / "Caddyfile"
        file.write_text(f"{{\n\tadmin off\n\tauto_https off\n}}\n{text}")
        arguments = ["run", "--config", str(file), "--adapter", "caddyfile"]
        servers.enter_context(
            Server(
                [program("caddy"), *arguments],
                log=folder / "caddy.log",
                ready=lambda: answers_tcp(port),
                env={"HOME": str(folder), "PATH": "/usr/bin"},
            )
        )
        yield Caddy(gate, port)


@pytest.mark.parametrize(
    ("state", "status", "says"),
    [
        ("open", 200, APPLICATION),
        ("closed", 503, "Service unavailable: backup status not OK"),
        ("dead", 503, "Service unavailable: backup status not OK"),
        ("hanging", 503, "Service unavailable: backup status not OK"),
    ],
)
def test_the_application_is_there_while_the_gate_says_so(
    caddy: Caddy, state: str, status: int, says: str
) -> None:
    caddy.gate.becomes(state)
    try:
        answer = caddy.get(APP, "/orders")
        assert (answer.status, says in answer.body) == (status, True), answer
        assert caddy.get(PORTAL, "/admin/").status == 200
    finally:
        caddy.gate.becomes("open")


def test_a_visitor_says_neither_below_which_path_nor_from_where_he_comes(caddy: Caddy) -> None:
    said = {"SCRIPT_NAME": "/evil", "X-Forwarded-For": "192.0.2.7", "X-Forwarded-Proto": "https"}
    body = caddy.get(PORTAL, "/admin/", **said).body
    assert "/evil" not in body
    assert "192.0.2.7" not in body
    assert f"X-Forwarded-For: {HOST}" in body
    assert "X-Forwarded-Proto: http\n" in body + "\n"


def test_caddy_finds_nothing_to_mend_in_the_file() -> None:
    subprocess.run(
        [program("caddy"), "validate", "--config", str(CADDYFILE), "--adapter", "caddyfile"],
        check=True,
        capture_output=True,
        env={"HOME": "/nonexistent", "PATH": "/usr/bin"},
    )
