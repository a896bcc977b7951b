"""The stand-alone gate as it really runs: gunicorn, and nginx in front of it."""

from __future__ import annotations

import http.client
import http.server
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from backups.gate import drill
from backups.verdict import GateFacts
from sentinel import heartbeat
from tests.sentinel.conftest import (
    PROJECT,
    Answer,
    StatusFolder,
    ask,
    gate_environment,
    gate_process,
    gunicorn,
    running,
    wait_until,
)
from tests.servers.serving import serve
from tools.ports import free_port

DEPLOY = PROJECT / "deploy" / "nginx"
CLOSED = "Service unavailable: backup status not OK"
SCHEMES = ["portal.settings", "backups", "django.db.backends.sqlite3", "django.contrib.admin"]


def test_the_process_answers_and_forgets_nothing_at_a_restart(folder: StatusFolder) -> None:
    with gate_process(folder, SENTINEL_BOOT_GRACE_SECONDS="3600") as (port, _):
        assert ask(port).body == "grace"
        folder.backed_up(30)
        word = heartbeat.drill_begin(folder.heartbeat, folder.ago(0)).word
        assert ask(port, headers={"X-Vedetta-Drill": word}).body == "stale"
        answer = ask(port)
        assert (answer.code, answer.body) == (200, "fresh")
        assert answer.headers["X-Backup-Status"] == "fresh"
        assert int(answer.headers["X-Backup-Age"]) >= 30
        assert answer.headers["Cache-Control"] == "no-store"
        assert "Set-Cookie" not in answer.headers
        assert ask(port, "/ok", "HEAD") == Answer(200, "", ask(port, "/ok", "HEAD").headers)
        assert ask(port, "/ok", "POST").code == 405
        assert ask(port, "/sentinel/ok/oders").code == 503
        assert '"status": "fresh"' in ask(port, "/sentinel/status").body
        assert ask(port, "/admin/") == Answer(404, "not found", ask(port, "/admin/").headers)
    folder.heartbeat.unlink()
    folder.first_started(4000)
    with gate_process(folder, SENTINEL_BOOT_GRACE_SECONDS="3600") as (port, _):
        assert (ask(port).code, ask(port).body) == (503, "missing")


def test_a_fifo_in_place_of_the_heartbeat_holds_nobody_up(folder: StatusFolder) -> None:
    folder.heartbeat.parent.mkdir()
    os.mkfifo(folder.heartbeat)
    with gate_process(folder) as (port, _):
        before = time.monotonic()
        assert (ask(port).code, ask(port).body) == (503, "invalid")
        assert time.monotonic() - before < 2


def test_a_client_that_says_nothing_holds_nobody_up(folder: StatusFolder) -> None:
    folder.backed_up(1)
    with gate_process(folder) as (port, _), socket.create_connection(("127.0.0.1", port)):
        before = time.monotonic()
        assert ask(port).code == 200
        assert time.monotonic() - before < 2


@pytest.mark.parametrize("preload", [True, False])
def test_a_wrong_environment_stops_the_start_with_one_sentence(preload: bool, folder: StatusFolder) -> None:
    command = gunicorn("sentinel.wsgi")
    if not preload:
        command = [sys.executable, "-m", "gunicorn", "-b", "127.0.0.1:0", "sentinel.wsgi"]
    environment = gate_environment(
        folder.heartbeat, SENTINEL_THRESHOLD_SECONDS="26h", SENTINEL_BIND="127.0.0.1:0"
    )
    ended = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, timeout=30)
    assert ended.returncode != 0
    assert ended.stderr.count("SENTINEL_THRESHOLD_SECONDS must be a whole number") == 1
    assert "Traceback" not in ended.stderr


def test_the_process_loads_neither_the_portal_nor_a_database(folder: StatusFolder) -> None:
    script = f"import sentinel.wsgi, sys; print([m for m in {SCHEMES} if m in sys.modules])"
    environment = gate_environment(folder.heartbeat)
    ended = subprocess.run(
        [sys.executable, "-c", script], cwd=PROJECT, env=environment, capture_output=True, text=True
    )
    assert ended.stdout.strip() == "[]", ended.stderr


class Backend(http.server.BaseHTTPRequestHandler):
    """Stands for the application and for the portal: says who it is and what it was asked."""

    name = "application"

    def do_GET(self) -> None:
        code = 500 if self.path == "/broken" else 200
        body = f"{self.name} {self.path} {self.headers.get('SCRIPT_NAME')}".encode()
        self.send_response(code)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        pass


@contextmanager
def backend(name: str) -> Iterator[int]:
    handler = type("Named", (Backend,), {"name": name})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        serve(server)
        yield server.server_address[1]
        server.shutdown()


def fragment(path: Path, replacements: dict[str, str]) -> str:
    """A file of deploy/nginx with the addresses and folders of this test."""
    text = path.read_text()
    for old, new in replacements.items():
        text = text.replace(old, new)
    return text


@dataclass(frozen=True)
class Site:
    """The whole site: nginx, the gate behind it, and the folder that the gate reads."""

    port: int
    gate_pid: int
    folder: StatusFolder
    access_log: Path

    def questions(self) -> int:
        """How often the gate was asked."""
        return len(self.access_log.read_text().splitlines()) if self.access_log.exists() else 0

    def becomes(self, code: int) -> Answer:
        """The answer, once the verdict of the second before has run out."""
        wait_until(lambda: ask(self.port, "/").code == code, seconds=10)
        return ask(self.port, "/")


@pytest.fixture
def site(folder: StatusFolder, tmp_path: Path) -> Iterator[Site]:
    folder.backed_up(10)
    access_log = tmp_path / "questions.log"
    with (
        backend("application") as application,
        backend("portal") as portal,
        gate_process(folder, GUNICORN_CMD_ARGS=f"--access-logfile {access_log}") as (gate, gate_pid),
    ):
        places = {
            "127.0.0.1:3000": f"127.0.0.1:{application}",
            "127.0.0.1:8000": f"127.0.0.1:{portal}",
            "127.0.0.1:8001": f"127.0.0.1:{gate}",
        }
        with in_front_of(tmp_path, places, DEPLOY) as port:
            yield Site(port, gate_pid, folder, access_log)


@contextmanager
def in_front_of(folder: Path, places: dict[str, str], fragments: Path) -> Iterator[int]:
    """The shipped nginx.conf with these fragments; the gate's socket is `folder`/socket. Gives its port."""
    nginx = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    if nginx is None:
        pytest.fail("nginx is not installed; `make test` installs it.")
    port = free_port()
    folder.chmod(0o755)
    replacements = {
        "worker_processes auto;": f"worker_processes 2;\ndaemon off;\n{user()}",
        "pid /run/nginx.pid;": f"pid {folder}/pid;\nerror_log {folder}/error.log;",
        "include /etc/nginx/vedetta": f"include {folder}/vedetta",
        "server_tokens off;": f"server_tokens off;\n{temporary(folder)}",
        "/var/cache": str(folder),
        "/run/vedetta-gate": str(folder),
        "listen 80;": f"listen 127.0.0.1:{port};",
        "127.0.0.1:8009": f"127.0.0.1:{free_port()}",
        **places,
    }
    (folder / "nginx.conf").write_text(fragment(DEPLOY / "nginx.conf", replacements))
    for name in ("vedetta-http.conf", "vedetta-gate.conf"):
        (folder / name).write_text(fragment(fragments / name, replacements))
    with running([nginx, "-c", str(folder / "nginx.conf")], port):
        yield port


def user() -> str:
    return "user root;" if os.geteuid() == 0 else ""


def temporary(folder: Path) -> str:
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    lines = [f"{kind}_temp_path {folder}/{kind};" for kind in kinds]
    return "\n".join([*lines, f"access_log {folder}/access.log;"])


def test_nginx_lets_visitors_through_while_the_backup_is_fresh(site: Site) -> None:
    assert ask(site.port, "/orders?page=2").body == "application /orders?page=2 None"
    assert ask(site.port, "/broken").code == 500, "the application's own errors pass as they are"


def test_nginx_closes_when_the_backup_gets_stale_and_opens_again(site: Site) -> None:
    site.becomes(200)
    site.folder.backed_up(10**6)
    closed = site.becomes(503)
    assert CLOSED in closed.body
    assert closed.headers["Content-Type"] == "text/html; charset=utf-8"
    assert closed.headers["Cache-Control"] == "no-store"
    assert ask(site.port, "/orders", "POST").code == 503
    assert ask(site.port, "/vedetta/admin/").body == "portal /vedetta/admin/ /vedetta"
    site.folder.kept_open()
    site.becomes(200)
    heartbeat.override_clear(site.folder.heartbeat)
    site.becomes(503)
    site.folder.backed_up(1)
    site.becomes(200)


def test_thousands_of_visitors_cost_the_gate_a_question_a_second(site: Site) -> None:
    before = site.questions()
    end = time.monotonic() + 3
    visits: list[int] = []

    def visit() -> None:
        with closing(http.client.HTTPConnection("127.0.0.1", site.port, timeout=20)) as connection:
            while time.monotonic() < end:
                connection.request("GET", "/orders")
                visits.append(len(connection.getresponse().read()))

    visitors = [threading.Thread(target=visit) for _ in range(4)]
    for visitor in visitors:
        visitor.start()
    for visitor in visitors:
        visitor.join()
    # Four seconds of the clock are touched; on a busy machine some visitors tire of waiting.
    assert site.questions() - before <= 4 * len(visitors) < len(visits) / 10


def test_a_drill_proves_that_the_gate_closes_and_closes_it_for_nobody(
    site: Site,
) -> None:
    site.becomes(200)
    codes: list[int] = []
    over = threading.Event()

    def visit() -> None:
        while not over.is_set():
            codes.append(ask(site.port, "/orders").code)

    visitor = threading.Thread(target=visit)
    visitor.start()
    try:
        for path, found in (("/orders", "closes"), ("/broken", "closes"), ("/vedetta/", "open")):
            held = drill.hold(f"http://127.0.0.1:{site.port}{path}", site.folder.heartbeat, GateFacts)
            assert held.found == found, held.detail
    finally:
        over.set()
        visitor.join()
    assert set(codes) == {200}
    assert not heartbeat.drill_path(site.folder.heartbeat).exists()


def test_the_gate_itself_is_not_reachable_through_nginx(site: Site) -> None:
    assert ask(site.port, "/_vedetta_gate").code == 404


def test_nginx_closes_when_the_gate_dies(site: Site) -> None:
    site.becomes(200)
    os.kill(site.gate_pid, signal.SIGTERM)
    assert CLOSED in site.becomes(503).body
    assert ask(site.port, "/vedetta/").code == 200


def test_nginx_closes_for_everybody_when_the_gate_hangs(site: Site) -> None:
    site.becomes(200)
    os.killpg(site.gate_pid, signal.SIGSTOP)
    try:
        time.sleep(1.2)  # a verdict is good for the second in which it was asked for
        codes: list[int] = []
        visitors = [
            threading.Thread(target=lambda: codes.append(ask(site.port, "/").code)) for _ in range(20)
        ]
        for visitor in visitors:
            visitor.start()
        for visitor in visitors:
            visitor.join()
        assert codes == [503] * 20
        assert ask(site.port, "/vedetta/").code == 200
    finally:
        os.killpg(site.gate_pid, signal.SIGCONT)
    site.becomes(200)
