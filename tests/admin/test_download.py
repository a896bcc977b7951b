"""A large download through portal and worker as they are: little memory, and nothing left of it.

The portal knows no secret of the repository: the worker reads the snapshot.
"""

from __future__ import annotations

import html
import http.client
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http.cookiejar import CookieJar
from pathlib import Path

import pytest
from django.utils.html import strip_tags

from tests.admin.conftest import PASSWORD
from tests.admin.test_restoring import LOOK, START, shown_on
from tests.backups.conftest import MakePortal, empty_repository, make_portal, migrated
from tests.backups.worlds import (
    PROJECT,
    RESTIC_PASSWORD,
    Portal,
    children_of,
    command_of,
    copy_repository,
    environment_of,
    is_buried,
    make_shop,
    orphans_come_to_us,
    wait_until,
)
from tests.downloads.serving import downloads_alone
from tests.servers import DatabaseServer, Server, made_once
from tests.servers.commands import CommandServer
from tests.servers.processes import answers_http
from tools.ports import free_port

__all__ = ["empty_repository", "make_portal", "migrated"]
pytestmark = pytest.mark.slow

MB = 1_000_000
DUMP_BYTES = 100 * MB
LARGE = "large_download"
MOST_MB = 150
SECRETS = ("RESTIC_PASSWORD", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
STORE = """
from backups import restic
from backups.catalog import records
from backups.endpoints import repository_access
from backups.models import Database
database = Database.objects.get()
(info,) = restic.snapshots(repository_access(database.repository))
ours = records.Provenance(signature="")
print(records.snapshot_record(info, repository=database.repository, database=database, provenance=ours).pk)
"""


@pytest.fixture(scope="session")
def large_repository(restic_path: Path, empty_repository: Path) -> Path:
    """A repository with one large dump, to copy: restic needs seconds to store it."""

    def make(folder: Path) -> None:
        argv: list[str | Path] = [
            restic_path, "backup", "--repo", copy_repository(empty_repository, folder), "--stdin",
            "--stdin-filename", f"/mysql/{LARGE}.sql", "--host", "vedetta", "--tag", f"database:{LARGE}",
            "--quiet", "--no-cache",
        ]  # fmt: skip
        environment = {**os.environ, "RESTIC_PASSWORD": RESTIC_PASSWORD}
        storing = subprocess.Popen(argv, stdin=subprocess.PIPE, env=environment)
        assert storing.stdin
        for _ in range(DUMP_BYTES // MB):
            storing.stdin.write(os.urandom(MB))
        storing.stdin.close()
        assert storing.wait() == 0

    return made_once.made_once("large-repository", make)


@pytest.fixture
def portal(make_portal: MakePortal, mariadb_server: DatabaseServer, large_repository: Path) -> Portal:
    """A portal whose repository holds one large dump."""
    shop = make_shop(mariadb_server, name=LARGE)
    portal = make_portal(shop, PORTAL_ADMIN_USER="admin", PORTAL_ADMIN_PASSWORD=PASSWORD)
    for name in ("data", "index", "snapshots"):
        shutil.copytree(
            large_repository / name, Path(portal.repository) / name, copy_function=os.link, dirs_exist_ok=True
        )
    return portal


@contextmanager
def gunicorn(portal: Portal, kind: type[Server]) -> Iterator[tuple[int, Server]]:
    """The portal as it is served for real, without the repository's secrets; gives its port."""
    port = free_port()
    own = {name: value for name, value in portal.environment.items() if not name.startswith(SECRETS)}
    server = kind(
        [sys.executable, "-m", "gunicorn", "-c", "portal/gunicorn.conf.py", "portal.wsgi"],
        log=portal.folder / "portal.log",
        cwd=PROJECT,
        env={**own, "PORTAL_BIND": f"127.0.0.1:{port}", "WEB_CONCURRENCY": "1"},
        ready=lambda: answers_http(f"http://127.0.0.1:{port}/sentinel/ok"),
    )
    with server:
        yield port, server


@contextmanager
def both(
    portal: Portal, *, alone: bool = False, kind: type[Server] = CommandServer
) -> Iterator[tuple[int, Server, Server]]:
    """Portal and worker, or `alone` what of it serves downloads; gives the portal's port, and both."""
    with (
        downloads_alone(portal) if alone else portal.worker() as worker,
        gunicorn(portal, kind) as (port, server),
    ):
        yield port, server, worker


def signed_in(port: int, below: str = "") -> Asked:
    """Sign in as the administrator to the portal that is served `below` a path."""
    url, jar = f"http://127.0.0.1:{port}{below}", CookieJar()
    asked = Asked(port, jar, urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar)), below)
    form = {"username": "admin", "password": PASSWORD}
    form["csrfmiddlewaretoken"] = token_on(asked.opener.open(f"{url}/admin/login/").read())
    asked.opener.open(f"{url}/admin/login/?next={below}/admin/gate/", urllib.parse.urlencode(form).encode())
    return asked


def token_on(page: bytes) -> str:
    """What a form has to bring with it."""
    found = re.search(rb'name="csrfmiddlewaretoken" value="(\w+)"', page)
    assert found
    return found[1].decode()


@dataclass
class Asked:
    """Somebody who is signed in and asks for downloads."""

    port: int
    jar: CookieJar
    opener: urllib.request.OpenerDirector
    below: str = ""

    def page_of(self, snapshot: str) -> str:
        """Where it is restored."""
        return f"{self.below}/admin/backups/snapshot/{snapshot}/restore/"

    def ask(self, snapshot: str, **more: str) -> http.client.HTTPConnection:
        """Confirm a download; the answer is still to be read."""
        url, path = f"http://127.0.0.1:{self.port}", self.page_of(snapshot)
        body = {
            "csrfmiddlewaretoken": token_on(self.opener.open(url + path).read()), "mode": "file",
            "definers": "keep", "reason": "To look at it.", **more,
        }  # fmt: skip
        shown = shown_on(self.opener.open(url + path, urllib.parse.urlencode(body | LOOK).encode()).read())
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        headers = {
            "Cookie": "; ".join(f"{cookie.name}={cookie.value}" for cookie in self.jar),
            "Content-Type": "application/x-www-form-urlencoded",
            "Accept-Encoding": "gzip",
        }
        connection.request("POST", path, urllib.parse.urlencode(body | shown | START), headers)
        return connection

    def told(self, connection: http.client.HTTPConnection, snapshot: str) -> str:
        """What the page says on which a download that was not begun ends."""
        response = connection.getresponse()
        path = self.page_of(snapshot)
        assert (response.status, response.getheader("Location")) == (302, path)
        page = self.opener.open(f"http://127.0.0.1:{self.port}{path}").read().decode()
        return " ".join(html.unescape(strip_tags(page)).split())


def begun(port: int, snapshot: str) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
    """Sign in, confirm a download, and give what answers."""
    connection = signed_in(port).ask(snapshot)
    response = connection.getresponse()
    assert (response.status, response.getheader("Content-Type")) == (200, "application/sql")
    assert response.getheader("Content-Encoding") is None
    return connection, response


def restics(server: Server) -> list[int]:
    """The restics that a process works with."""
    return [pid for pid in children_of(server.pid) if "restic" in command_of(pid)]


def resident_mb(pid: int) -> float:
    """How much memory a process holds, 0 once it is gone."""
    try:
        found = re.search(r"^VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.M)
    except OSError:
        return 0
    return int(found[1]) * 1024 / MB if found else 0


def measured(portal: Server, worker: Server) -> list[int]:
    """gunicorn and its workers, and the worker's first process, which streams."""
    return [
        portal.pid,
        worker.pid,
        *(pid for pid in children_of(portal.pid) if "gunicorn" in command_of(pid)),
    ]


def test_a_slow_client_costs_little_memory_and_one_that_leaves_no_restic(portal: Portal) -> None:
    snapshot = portal.shell(STORE)
    # Of a fork, memory of the process that it was forked from would be counted.
    with both(portal, kind=Server) as (port, server, worker):
        known = [each for each in environment_of(server.pid).split("\0") if each.startswith(SECRETS)]
        assert [each for each in known if not each.endswith("=")] == [], "the portal has no such secret"
        idle = resident_mb(worker.pid)
        connection, response = begun(port, snapshot)
        read, most = 0, 0.0
        with closing(connection):
            while chunk := response.read(8 * MB):
                read += len(chunk)
                most = max(most, *map(resident_mb, measured(server, worker)))
                assert not restics(server)
                time.sleep(0.02)
        assert read == DUMP_BYTES
        print(f"At most {most:.0f} MB while {read / MB:.0f} MB were read; idle {idle:.0f} MB.")
        assert most < MOST_MB
        wait_until(lambda: not restics(worker), "restic to be gone after a whole download", 5)

        connection, response = begun(port, snapshot)
        response.read(MB)
        assert restics(worker)
        response.close()
        connection.close()
        wait_until(lambda: not restics(worker), "restic to be gone after the client", 5)
        assert answers_http(f"http://127.0.0.1:{port}/sentinel/ok")
    assert portal.leftovers() == []


# tests/downloads/test_nginx.py has one that breaks off because its worker is killed.
@pytest.mark.soak
def test_a_download_that_breaks_off_is_not_taken_for_whole(portal: Portal) -> None:
    snapshot = portal.shell(STORE)
    packs = [file for file in (Path(portal.repository) / "data").glob("*/*") if file.stat().st_size > 8 * MB]
    late = max(packs, key=lambda file: file.stat().st_mtime_ns)
    size = late.stat().st_size
    late.unlink()  # the file is the template's as well
    late.write_bytes(b"\0" * size)
    with both(portal, alone=True) as (port, _, _):
        connection, response = begun(port, snapshot)
        broken = pytest.raises((http.client.IncompleteRead, OSError))
        with closing(connection), Path(os.devnull).open("wb") as nowhere, broken:
            shutil.copyfileobj(response, nowhere)


# Who is killed or told to stop while a download goes through both.
@pytest.mark.parametrize(
    ("who", "number"),
    [
        ("portal", signal.SIGKILL),
        # Behind nginx, tests/downloads/test_nginx.py has a worker that is killed.
        pytest.param("worker", signal.SIGKILL, marks=pytest.mark.soak),
        # tests/downloads/test_hanging.py has a worker that is told to stop.
        pytest.param("worker", signal.SIGTERM, marks=pytest.mark.soak),
        pytest.param("portal", signal.SIGTERM, marks=pytest.mark.soak),
    ],
)
def test_who_is_killed_while_it_sends_stops_nobody_after_it(
    who: str, number: signal.Signals, portal: Portal
) -> None:
    """restic ends with it, what the client has is not whole, and maintenance finds no lock in its way."""
    snapshot = portal.shell(STORE)
    is_worker = who == "worker"
    with orphans_come_to_us(), both(portal, alone=not is_worker) as (port, server, worker):
        connection, response = begun(port, snapshot)
        response.read(MB)
        reading = restics(worker)
        assert reading
        killed = worker if is_worker else server
        if number == signal.SIGKILL:
            killed.kill()
        else:
            os.kill(killed.pid, number)
        with closing(connection), pytest.raises((http.client.IncompleteRead, OSError)):
            read_slowly(response)
        wait_until(lambda: all(map(is_buried, reading)), "all that was started for it to end", 15)
    wait_until(lambda: not portal.processes(), "all of both to end", 20)

    # It needs the repository for itself; a forget of nothing would not.
    assert portal.manage("repository", "prune").code == 0
    assert list((Path(portal.repository) / "locks").iterdir()) == []


def read_slowly(response: http.client.HTTPResponse) -> None:
    """For longer than a portal that is told to stop gives to what it has begun."""
    while response.read(MB):
        time.sleep(0.05)
