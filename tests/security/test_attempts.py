"""What somebody patient tries on the portal and the gate besides, and gets nothing by."""

from __future__ import annotations

import gzip
import io
import re
import socket
import tracemalloc
from collections.abc import Mapping
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from axes.models import AccessAttempt
from django.contrib.admin.models import LogEntry
from django.contrib.auth.hashers import MD5PasswordHasher
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone
from django_q.models import OrmQ
from django_q.signing import SignedPackage

from backups.loading.reading import unpacked
from backups.models import Database, Snapshot
from backups.notifications import channels
from backups.worker import queue
from tests.admin.conftest import PASSWORD, Login
from tests.admin.test_set_up import form_of
from tests.portal.test_settings import start
from tests.security.test_queue import mark, pickled
from tests.security.test_requests import WRONG, Person, sign_in
from tests.security.test_roles import Rows, rules, url_of
from tests.sentinel.conftest import StatusFolder, gate_process

__all__ = ["mark"]

# ---------------------------------------------------------------- Two requests that pass for one

_GET, _HOST = b"GET /sentinel/ok HTTP/1.1\r\n", b"Host: localhost\r\n"
_POST = b"POST /sentinel/ok HTTP/1.1\r\n" + _HOST
_CHUNKED = b"Transfer-Encoding: chunked\r\n"
# What servers behind each other have taken for another number of requests than the one before them.
SMUGGLING = {
    "two lengths": _POST + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
    "a length with a sign": _POST + b"Content-Length: +3\r\n\r\nabc",
    "a length and chunks": _POST + b"Content-Length: 3\r\n" + _CHUNKED + b"\r\n0\r\n\r\n",
    "chunks by another name": _POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "chunks twice": _POST + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "a chunk's length with a sign": _POST + _CHUNKED + b"\r\n+3\r\nabc\r\n0\r\n\r\n",
    "a blank before a colon": _GET + _HOST + b"X-A : 1\r\n\r\n",
    "a header over two lines": _GET + _HOST + b"X-A: 1\r\n 2\r\n\r\n",
    "a zero byte": _GET + _HOST + b"X-A: 1\x002\r\n\r\n",
    "a line that only a line feed ends": _GET + b"Host: localhost\nX-A: 1\r\n\r\n",
    "a header of 20 kB": _GET + _HOST + b"X-A: " + b"x" * 20_000 + b"\r\n\r\n",
    "a thousand headers": _GET + _HOST + b"".join(b"X-%d: 1\r\n" % each for each in range(1000)) + b"\r\n",
}


def answered(port: int, request: bytes) -> list[bytes]:
    """The status of each answer to what was sent over one connection."""
    with closing(socket.create_connection(("127.0.0.1", port), timeout=20)) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        with connection.makefile("rb") as answers:
            return re.findall(rb"HTTP/1\.1 (\d{3})", answers.read())


def test_nothing_is_read_as_two_requests_that_another_reads_as_one(folder: StatusFolder) -> None:
    folder.backed_up(1)
    with gate_process(folder) as (port, _):
        told = {name: answered(port, request) for name, request in SMUGGLING.items()}
        assert answered(port, _GET + _HOST + b"\r\n") == [b"200"]
    # What the gate does not do (405) is refused before its body is looked at.
    assert {name: got for name, got in told.items() if not set(got) <= {b"400", b"405", b"431", b"501"}} == {}
    assert {name: got for name, got in told.items() if got[-1:] == [b"405"]} == {}


@pytest.fixture
def folder(tmp_path: Path) -> StatusFolder:
    """Of a gate."""
    return StatusFolder(tmp_path / "gate" / "last_ok")


# ---------------------------------------------------------------- Odd requests

ODD_NAMES = [
    "a\0b", "x" * 100_000, "\u202egnp.exe", "' OR 1=1 --", "{{ 7 * 7 }}", " ", "\U0001f418" * 99,
]  # fmt: skip
ODD_PATHS = [
    "/admin/%00", "/admin/..%2f..%2fetc/passwd", "/admin/%ff%fe", "//admin//login/", "/admin/login/;x=1",
    "/admin/backups/run/?o=x", "/admin/backups/run/?p=99999999999999999999", "/admin/backups/run/?q=%00",
    "/admin/backups/run/?status=%00", "/admin/backups/snapshot/?time=x", "/" + "a" * 5000,
    "/admin/?" + "a=1&" * 3000, "/admin/admin/logentry/?action_time_to=9999-12-31",
]  # fmt: skip
ODD_HEADERS = [
    {"Cookie": "sessionid=%00; csrftoken=\x7f; =;;"}, {"Cookie": "a" * 9000}, {"Referer": "http://[::1"},
    {"Accept-Language": "x;q=a," * 500}, {"Content-Type": "multipart/form-data; boundary="},
    {"Authorization": "Bearer \xff"},
]  # fmt: skip
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"]


def test_nothing_odd_is_an_error_of_the_server(rows: Rows, login: Login) -> None:
    """Which a visitor could cause as often as they like, each told in the log."""
    signed_in = login("superuser")
    told = []
    for client in (Client(), signed_in):
        client.raise_request_exception = False
        told += [
            (name[:20], client.post("/admin/login/", {"username": name, "password": name}))
            for name in ODD_NAMES
        ]
        told += [(path[:40], client.get(path)) for path in ODD_PATHS]
        told += [
            (str(headers)[:40], client.post("/admin/login/", headers=headers)) for headers in ODD_HEADERS
        ]
        told += [(method, client.generic(method, "/admin/login/")) for method in METHODS]
        many = {f"field{number}": "x" for number in range(1500)}
        told.append(("1,500 fields", client.post("/admin/login/", many)))
        files = {f"file{number}": io.BytesIO(b"x") for number in range(200)}
        told.append(("200 files", client.post("/admin/login/", files)))
        told.append(("3 MB", client.post("/admin/login/", b"x" * 3_000_000, content_type="text/plain")))
    assert {what: answer.status_code for what, answer in told if answer.status_code >= 500} == {}


# ---------------------------------------------------------------- Who is there


def test_a_sign_in_tells_nobody_which_users_there_are(
    person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the same words, and by as many digests of a password, which is what takes the time."""
    person("Viewer")
    person("nobody")
    gone = person("Operator")
    gone.is_active = False
    gone.save()
    digested: list[str] = []
    encode = MD5PasswordHasher.encode

    def counted(self: MD5PasswordHasher, password: str, salt: str, *more: object) -> str:
        digested.append(password)
        return str(encode(self, password, salt, *more))

    monkeypatch.setattr(MD5PasswordHasher, "encode", counted)
    told = {}
    for name in ("viewer", "nobody", "operator", "not-there"):
        digested.clear()
        page = Client().post("/admin/login/", {"username": name, "password": WRONG})
        errors = re.findall(
            r'class="errornote.*?</p>|Please enter the correct[^<]*', page.content.decode(), re.S
        )
        told[name] = (page.status_code, tuple(errors), len(digested))
    assert len(set(told.values())) == 1, told
    assert told["not-there"][1]
    assert told["not-there"][2] == 1


SPELLINGS = ["\N{FULLWIDTH LATIN SMALL LETTER V}iewer", "viewer", "viewe\N{MODIFIER LETTER SMALL R}"]


def test_other_spellings_of_a_name_are_no_further_guesses(person: Person) -> None:
    person("Viewer")
    for number in range(10):
        sign_in(Client(), SPELLINGS[number % 3], WRONG)
    assert sign_in(Client(), "viewer", PASSWORD) == 429
    assert AccessAttempt.objects.values_list("username", flat=True).distinct().get() == "viewer"


# ---------------------------------------------------------------- What lists and forms may be asked


QUESTIONS = [
    ("backups/run", "Viewer", "requested_by__password__startswith"),
    ("backups/run", "Viewer", "database__server__password_ref__startswith"),
    ("backups/snapshot", "Viewer", "made_by__requested_by__password__contains"),
    ("admin/logentry", "Administrator", "user__password__startswith"),
    ("auth/user", "superuser", "password__startswith"),
]


def test_a_list_answers_no_question_about_what_it_does_not_show(rows: Rows, login: Login) -> None:
    clients = {role: login(role) for role in {role for _, role, _ in QUESTIONS}}
    for page, role, lookup in QUESTIONS:
        assert clients[role].get(f"/admin/{page}/").status_code == 200
        assert clients[role].get(f"/admin/{page}/?{lookup}=pbkdf2").status_code == 400, (page, lookup)


def test_a_form_takes_no_more_than_it_shows(rows: Rows, login: Login) -> None:
    database = rows["backups_database"]
    assert isinstance(database, Database)
    held = {
        "is_primary": not database.is_primary, "id": "4711", "client_version": "theirs",
        "lease_run": "1", "lease_until_0": "2030-01-01", "lease_until_1": "00:00",
    }  # fmt: skip
    before: Mapping[str, object] = Database.objects.filter(pk=database.pk).values()[0]
    told = form_of(database, backup_cron="31 1 * * *") | held
    page = f"/admin/backups/database/{database.pk}/change/"
    assert login("Administrator").post(page, told).status_code == 302
    after: Mapping[str, object] = Database.objects.filter(pk=database.pk).values()[0]
    assert {name for name in before if before[name] != after[name]} == {"backup_cron"}


def test_who_did_something_is_not_deleted_together_with_the_record_of_it(rows: Rows, login: Login) -> None:
    entry = rows["admin_logentry"]
    assert isinstance(entry, LogEntry)
    answer = login("superuser").post(f"/admin/auth/user/{entry.user_id}/delete/", {"post": "yes"})
    assert answer.status_code == 302
    assert LogEntry.objects.filter(pk=entry.pk).exists()
    assert User.objects.filter(pk=entry.user_id).exists()


def test_nobody_says_in_the_portal_where_messages_go(
    rows: Rows, login: Login, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That is for .env alone; and the program that sends them is given no secret but those addresses."""
    client = login("superuser")
    forms = [
        route for route in rules() if re.fullmatch("admin/(backups|auth)/.*(add|change)/|admin/gate/", route)
    ]
    seen = []
    for route in forms:
        text = client.get(url_of(route, rows)).content.decode()
        seen += re.findall('<(?:input|textarea|select)[^>]*name="([^"]*)"', text)
    assert {"host", "url", "role"} <= set(seen)
    assert [name for name in seen if re.search("notify|ping|webhook|smtp", name, re.I)] == []
    for name in ("SECRET_KEY", "VEDETTA_KEY", "MYSQL_PASSWORD", "RESTIC_PASSWORD", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "hunter2")
    assert "hunter2" not in channels._messenger_environment().values()


# ---------------------------------------------------------------- What is left lying about


def test_a_message_that_nobody_signed_is_not_unpacked(db: None, mark: Path) -> None:
    value = pickled(mark)
    signed = SignedPackage.dumps({"func": "x"})
    for payload in (value, f"{value}:x:y", value + signed[signed.index(":") :], ""):
        OrmQ.objects.create(key="vedetta", payload=payload, lock=timezone.now() - timedelta(hours=1))
    broker = queue.OwnOrders()
    assert [taken for _ in range(4) for taken in broker.dequeue()] == []
    assert not OrmQ.objects.exists()
    assert not mark.exists()


CONNECTS = """
import os
os.umask(0)
import runpy, sys
sys.argv = ["manage.py", "shell", "--no-imports", "-c",
            "from django.db import connection; connection.cursor().execute('CREATE TABLE t (a)')"]
runpy.run_path("manage.py", run_name="__main__")
"""


def test_what_a_process_of_the_portals_makes_is_for_its_account_alone(tmp_path: Path) -> None:
    """Its database above all, whatever the umask was where it was started."""
    ran = start(["-c", CONNECTS], DATABASE_URL=f"sqlite:///{tmp_path}/portal.sqlite3")
    assert ran.returncode == 0, ran.stderr
    assert {path.stat().st_mode & 0o077 for path in tmp_path.iterdir()} == {0}


def test_a_dump_that_unpacks_to_a_thousand_times_its_size_is_read_bit_by_bit(tmp_path: Path) -> None:
    bomb = tmp_path / "dump.sql.gz"
    bomb.write_bytes(gzip.compress(b"\n" * (32 << 20)))
    tracemalloc.start()
    try:
        with bomb.open("rb") as source:
            longest = max(map(len, unpacked(source, gzip=True)))
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert longest <= 1 << 20
    assert most < 8 << 20


# ---------------------------------------------------------------- A row with another's manifest


@pytest.mark.parametrize("manifest", [5, ["a"], {"inventory": 5}, {"sections": 5}, {"server": 5}], ids=str)
def test_a_manifest_of_another_form_is_as_none(rows: Rows, login: Login, manifest: object) -> None:
    Snapshot.objects.update(manifest=manifest)
    snapshot = Snapshot.objects.filter(forgotten_at=None).order_by("pk")[0]
    client = login("superuser")

    for page in ("change", "restore"):
        answer = client.get(f"/admin/backups/snapshot/{snapshot.pk}/{page}/")
        assert answer.status_code == 200, page
