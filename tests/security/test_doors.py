"""The portal as it is shipped, at a Unix socket behind the shipped nginx: guesses, floods, forged paths."""

from __future__ import annotations

import http.client
import os
import re
import shutil
import socket
import statistics
import sys
import threading
import time
import urllib.parse
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.backups.worlds import children_of
from tests.nginx.conftest import CONFIGURATION, nginx
from tests.portal.test_settings import PROJECT, start
from tests.servers import made_once
from tests.servers.processes import Server
from tools.ports import HOST, free_port

PASSWORD = "a password of the tests 1"
MADE = f"""
from django.contrib.auth.models import User
User.objects.create_superuser("anna", password="{PASSWORD}")
"""
SITE = """
    server {
        listen 127.0.0.1:8080;
        include /etc/nginx/vedetta-gate.conf;
        location / { proxy_pass http://127.0.0.1:3000; }
    }
}
"""


class AtSocket(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=60)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(60)
        self.sock.connect(str(self.path))


@dataclass
class Browser:
    """Somebody who opens the sign-in page and sends its form."""

    connect: Callable[[], http.client.HTTPConnection]
    under: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    cookies: dict[str, str] = field(default_factory=dict)
    token: str = ""

    def ask(self, method: str, path: str, body: str = "") -> tuple[int, str]:
        """Status and body of an answer, whose cookies are kept."""
        kept = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        told = {"Content-Type": "application/x-www-form-urlencoded", "Cookie": kept, **self.headers}
        with closing(self.connect()) as there:
            there.request(method, self.under + path, body, told)
            answer = there.getresponse()
            for cookie in answer.headers.get_all("Set-Cookie", []):
                name, _, value = cookie.partition(";")[0].partition("=")
                self.cookies[name] = value
            return answer.status, answer.read().decode()

    def sign_in(self, password: str) -> tuple[int, str]:
        """Send the form, after its page was opened once."""
        if not self.token:
            _, page = self.ask("GET", "/admin/login/")
            found = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page)
            assert found, page
            self.token = found[1]
        told = {"username": "anna", "password": password, "csrfmiddlewaretoken": self.token}
        return self.ask("POST", "/admin/login/", urllib.parse.urlencode(told))


@dataclass(frozen=True)
class Doors:
    """The portal at its socket or port, and nginx before it."""

    server: Server
    socket: Path
    port: int
    nginx: int

    def through_nginx(self, by: str, **headers: str) -> Browser:
        return Browser(lambda: self._tcp(self.nginx, by), "/vedetta", headers)

    def straight(self, by: str = HOST, **headers: str) -> Browser:
        return Browser(lambda: self._tcp(self.port, by), "", headers)

    def at_socket(self, **headers: str) -> Browser:
        return Browser(lambda: AtSocket(self.socket), "", headers)

    @staticmethod
    def _tcp(port: int, by: str) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(HOST, port, timeout=60, source_address=(by, 0))

    def seconds_of_cores(self) -> float:
        """What all processes of the portal have computed so far."""
        of_all = 0.0
        for pid in (self.server.pid, *children_of(self.server.pid)):
            told = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            of_all += (int(told[11]) + int(told[12])) / os.sysconf("SC_CLK_TCK")
        return of_all


@pytest.fixture(scope="module")
def doors(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Doors]:
    folder = tmp_path_factory.mktemp("doors")
    at, port = folder / "portal", free_port()
    told = {
        "DATABASE_URL": f"sqlite:///{shutil.copy(made_once.migrated_database(), folder)}",
        "SENTINEL_HEARTBEAT_PATH": f"{folder}/status/last_ok",
        "PORTAL_BIND": f"unix:{at}",
        # Beside the socket, so that somebody may come past nginx too.
        "GUNICORN_CMD_ARGS": f"--bind unix:{at} --bind {HOST}:{port}",
        "TRUSTED_PROXIES": "",
        "FORWARDED_ALLOW_IPS": "",
    }
    made = start(["manage.py", "shell", "--no-imports", "-c", MADE], **told)
    assert made.returncode == 0, made.stderr
    text = CONFIGURATION.replace("    include /etc/nginx/surroundings/*.conf;\n}\n", SITE)
    with ExitStack() as servers:
        server = servers.enter_context(
            Server(
                [sys.executable, "-m", "gunicorn", "-c", "portal/gunicorn.conf.py", "portal.wsgi"],
                log=folder / "portal.log",
                cwd=PROJECT,
                env={**os.environ, **told},
                ready=lambda: _answers(at),
            )
        )
        # nginx's own user opens it.
        at.chmod(0o777)
        folder.chmod(0o755)
        world = servers.enter_context(nginx(folder / "nginx", text, {"127.0.0.1:8000": f"unix:{at}"}))
        yield Doors(server, at, port, world.http)


def _answers(at: Path) -> bool:
    with suppress(OSError, http.client.HTTPException), closing(AtSocket(at)) as there:
        there.request("GET", "/healthz")
        return there.getresponse().status == 200
    return False


def test_behind_nginx_and_a_socket_ten_guesses_lock_out_who_guesses_alone(doors: Doors) -> None:
    """Whatever they say of where they come from; the owner of the name signs in meanwhile, from elsewhere."""
    thief = doors.through_nginx("127.0.0.3")
    for number in range(10):
        thief.headers["X-Forwarded-For"] = f"192.0.2.{number}"
        status, page = thief.sign_in(f"wrong {number}")
        assert status == (200 if number < 9 else 429), page
    time.sleep(1.5)  # nginx lets one a second through from here on
    status, page = thief.sign_in(PASSWORD)
    assert (status, "locked" in page.lower()) == (429, True)
    assert doors.through_nginx("127.0.0.4").sign_in(PASSWORD)[0] == 302


@pytest.mark.soak
def test_without_any_proxy_all_at_the_socket_are_one(doors: Doors) -> None:
    statuses = [doors.at_socket().sign_in("wrong")[0] for _ in range(10)]
    assert statuses == [200] * 9 + [429]
    assert doors.at_socket().sign_in(PASSWORD)[0] == 429
    assert doors.at_socket(**{"X-Forwarded-For": "192.0.2.77"}).sign_in(PASSWORD)[0] == 302


@pytest.mark.soak
@pytest.mark.parametrize("header", ["SCRIPT_NAME", "script_name", "Script-Name"])
def test_nobody_but_a_proxy_says_where_the_portal_is(doors: Doors, header: str) -> None:
    """Else path rules at a proxy are walked round, and pages load from //elsewhere."""
    said = {header: "/x"}
    assert doors.straight("127.0.0.2", **said).ask("GET", "/x/admin/login/")[0] == 404
    assert doors.through_nginx("127.0.0.2", **said).ask("GET", "/x/admin/login/")[0] == 404
    for browser in (doors.straight(), doors.straight("127.0.0.2"), doors.at_socket()):
        browser.headers = {header: "//evil.example"}
        status, page = browser.ask("GET", "//evil.example/admin/login/")
        assert (status, "//evil.example/static" in page) == (404, False)
    assert "/vedetta/static/" in doors.through_nginx("127.0.0.2", **said).ask("GET", "/admin/login/")[1]


@pytest.mark.soak
@pytest.mark.parametrize("addresses", [1, 24])
def test_a_flood_of_sign_ins_keeps_one_core_busy_and_pages_go_on(doors: Doors, addresses: int) -> None:
    """Straight at the portal, past what nginx would hold up; each guess is of another name's password."""
    over = threading.Event()
    statuses: Counter[int] = Counter()

    def flood(number: int) -> None:
        browser = doors.at_socket(**{"X-Forwarded-For": f"198.51.100.{number % addresses}"})
        while not over.is_set():
            status, _ = browser.sign_in("wrong")
            statuses[status] += 1

    threads = [threading.Thread(target=flood, args=[number], daemon=True) for number in range(24)]
    for thread in threads:
        thread.start()
    time.sleep(2)
    took, began, computed = [], time.monotonic(), doors.seconds_of_cores()
    while time.monotonic() < began + 12:
        asked = time.monotonic()
        assert doors.at_socket().ask("GET", "/healthz")[0] == 200
        took.append(time.monotonic() - asked)
        time.sleep(0.1)
    cores = (doors.seconds_of_cores() - computed) / (time.monotonic() - began)
    over.set()
    for thread in threads:
        thread.join(60)
    print(
        f"{addresses} addresses: {dict(statuses)}, {cores:.2f} cores, median {statistics.median(took):.3f} s"
    )
    assert set(statuses) <= {200, 429, 503}
    assert statuses[503] > 0
    assert statistics.median(took) < 1
