"""A large download through the portal's real process: little memory, and nothing left of it."""

from __future__ import annotations

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
from http.cookiejar import CookieJar
from pathlib import Path

import pytest

from tests.admin.conftest import PASSWORD
from tests.admin.test_restoring import LOOK, START, shown_on
from tests.backups.conftest import MakePortal, empty_repository, make_portal, mariadb_shop, migrated
from tests.backups.worlds import (
    PROJECT,
    Portal,
    Shop,
    children_of,
    command_of,
    is_buried,
    orphans_come_to_us,
    wait_until,
)
from tests.servers import Server
from tests.servers.processes import answers_http, free_port

__all__ = ["empty_repository", "make_portal", "mariadb_shop", "migrated"]
pytestmark = pytest.mark.slow

MB = 1_000_000
DUMP_BYTES = 256 * MB
MOST_MB = 150
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


@pytest.fixture
def portal(make_portal: MakePortal, mariadb_shop: Shop) -> Portal:
    """A portal whose repository holds one large dump."""
    portal = make_portal(mariadb_shop, PORTAL_ADMIN_USER="admin", PORTAL_ADMIN_PASSWORD=PASSWORD)
    own = {name: value for name, value in portal.environment.items() if name.startswith("RESTIC")}
    argv: list[str | Path] = [
        portal.restic_path, "backup", "--stdin", "--stdin-filename", f"/mysql/{mariadb_shop.name}.sql",
        "--host", "vedetta", "--tag", f"database:{mariadb_shop.name}", "--quiet",
    ]  # fmt: skip
    storing = subprocess.Popen(argv, stdin=subprocess.PIPE, env={**os.environ, **own})
    assert storing.stdin
    for _ in range(DUMP_BYTES // MB):
        storing.stdin.write(os.urandom(MB))
    storing.stdin.close()
    assert storing.wait() == 0
    return portal


@contextmanager
def gunicorn(portal: Portal) -> Iterator[tuple[int, Server]]:
    """The portal as it is served for real; gives its port."""
    port = free_port()
    server = Server(
        [sys.executable, "-m", "gunicorn", "-c", "portal/gunicorn.conf.py", "portal.wsgi"],
        log=portal.folder / "portal.log",
        cwd=PROJECT,
        env={**portal.environment, "PORTAL_BIND": f"127.0.0.1:{port}", "WEB_CONCURRENCY": "1"},
        ready=lambda: answers_http(f"http://127.0.0.1:{port}/sentinel/ok"),
    )
    with server:
        yield port, server


def begun(port: int, snapshot: str) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
    """Sign in, confirm a download, and give what answers."""
    url, jar = f"http://127.0.0.1:{port}", CookieJar()
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar))

    def token(page: bytes) -> str:
        found = re.search(rb'name="csrfmiddlewaretoken" value="(\w+)"', page)
        assert found
        return found[1].decode()

    form = {"username": "admin", "password": PASSWORD}
    form["csrfmiddlewaretoken"] = token(opener.open(f"{url}/admin/login/").read())
    opener.open(f"{url}/admin/login/?next=/admin/gate/", urllib.parse.urlencode(form).encode())
    path = f"/admin/backups/snapshot/{snapshot}/restore/"
    body = {
        "csrfmiddlewaretoken": token(opener.open(url + path).read()), "mode": "file", "definers": "keep",
        "reason": "To look at it.",
    }  # fmt: skip
    shown = shown_on(opener.open(url + path, urllib.parse.urlencode(body | LOOK).encode()).read())
    body |= shown | START
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    headers = {
        "Cookie": "; ".join(f"{cookie.name}={cookie.value}" for cookie in jar),
        "Content-Type": "application/x-www-form-urlencoded",
    }
    connection.request("POST", path, urllib.parse.urlencode(body), headers)
    response = connection.getresponse()
    assert (response.status, response.getheader("Content-Type")) == (200, "application/sql")
    return connection, response


def portal_pids(server: Server) -> list[int]:
    """gunicorn and its workers."""
    return [server.pid, *(pid for pid in children_of(server.pid) if "gunicorn" in command_of(pid))]


def restics(server: Server) -> list[int]:
    """The restics that work for the portal."""
    return [pid for pid in children_of(server.pid) if "restic" in command_of(pid)]


def resident_mb(pid: int) -> float:
    """How much memory a process holds."""
    found = re.search(r"^VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.M)
    assert found
    return int(found[1]) * 1024 / MB


def test_a_slow_client_costs_little_memory_and_one_that_leaves_no_restic(portal: Portal) -> None:
    snapshot = portal.shell(STORE)
    with gunicorn(portal) as (port, server):
        connection, response = begun(port, snapshot)
        read, most = 0, 0.0
        with closing(connection):
            while chunk := response.read(8 * MB):
                read += len(chunk)
                most = max(most, *(resident_mb(pid) for pid in portal_pids(server)))
                time.sleep(0.02)
        assert read == DUMP_BYTES
        print(f"At most {most:.0f} MB while {read / MB:.0f} MB were read.")
        assert most < MOST_MB
        wait_until(lambda: not restics(server), "restic to be gone after a whole download", 5)

        connection, response = begun(port, snapshot)
        response.read(MB)
        assert restics(server)
        response.close()
        connection.close()
        wait_until(lambda: not restics(server), "restic to be gone after the client", 5)
        assert answers_http(f"http://127.0.0.1:{port}/sentinel/ok")


def test_a_download_that_breaks_off_is_not_taken_for_whole(portal: Portal) -> None:
    snapshot = portal.shell(STORE)
    packs = [file for file in (Path(portal.repository) / "data").glob("*/*") if file.stat().st_size > 8 * MB]
    late = max(packs, key=lambda file: file.stat().st_mtime_ns)
    late.write_bytes(b"\0" * late.stat().st_size)
    with gunicorn(portal) as (port, _):
        connection, response = begun(port, snapshot)
        broken = pytest.raises((http.client.IncompleteRead, OSError))
        with closing(connection), Path(os.devnull).open("wb") as nowhere, broken:
            shutil.copyfileobj(response, nowhere)


@pytest.mark.parametrize("number", [signal.SIGKILL, pytest.param(signal.SIGTERM, marks=pytest.mark.soak)])
def test_a_portal_killed_while_it_sends_stops_nobody_after_it(number: signal.Signals, portal: Portal) -> None:
    """restic ends with it, what the client has is not whole, and maintenance finds no lock in its way."""
    snapshot = portal.shell(STORE)
    with orphans_come_to_us(), gunicorn(portal) as (port, server):
        connection, response = begun(port, snapshot)
        response.read(MB)
        reading = restics(server)
        assert reading
        if number == signal.SIGKILL:
            server.kill()
        else:
            os.kill(server.pid, number)
        with closing(connection), pytest.raises((http.client.IncompleteRead, OSError)):
            read_slowly(response)
        wait_until(lambda: all(map(is_buried, reading)), "all that the portal had started to end", 15)
    assert not portal.processes()

    assert portal.manage("repository", "forget").code == 0
    assert list((Path(portal.repository) / "locks").iterdir()) == []


def read_slowly(response: http.client.HTTPResponse) -> None:
    """For longer than a portal that is told to stop gives to what it has begun."""
    while response.read(MB):
        time.sleep(0.05)
