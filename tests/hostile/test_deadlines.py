"""Whatever a database server does, who asks it comes to an end: in time, with little memory, one sentence."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from pytest_django.fixtures import Settings

from backups import mysql
from backups.choices import Action, Status, Trigger
from backups.errors import Problem
from backups.models import Database, Run
from backups.mysql import conversation
from backups.mysql.answers import fetch_all
from backups.mysql.connection import opened
from backups.runs import lifecycle
from backups.runs.asked import Asker, Wanted
from backups.worker import executor
from tests.backups.conftest import MakeDatabase, MakePortal
from tests.backups.worlds import Shop, wait_until
from tests.hostile import (
    Answer,
    HostileRelay,
    HostileServer,
    drip,
    endless_field,
    endless_rows,
    endless_warnings,
    rows,
    silence,
    where,
)
from tests.hostile.modes import MODES
from tests.hostile.wire import Wire
from tests.rows import change_server
from tests.servers import DatabaseServer

SECONDS = 0.5
# How long more than its limit a conversation may take here, where others keep the machine busy.
LATE = 6.0
LONGEST_SENTENCE = 2500


def at(server: HostileServer, **changes: object) -> mysql.Server:
    """How it is reached by who has little patience."""
    ours = mysql.Server(server.host, server.port, "u", "p", ssl_mode="DISABLED", question_seconds=SECONDS)
    return replace(ours, **changes)  # type: ignore[arg-type]


def resident_mb() -> int:
    """What this process holds in memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 >> 20


@contextmanager
def grows_by_less_than(megabytes: int) -> Iterator[None]:
    """Look at this process's memory all the time."""
    before, most, over = resident_mb(), [0], threading.Event()

    def look() -> None:
        while not over.wait(0.02):
            most[0] = max(most[0], resident_mb())

    looking = threading.Thread(target=look)
    looking.start()
    try:
        yield
    finally:
        over.set()
        looking.join()
    assert most[0] - before < megabytes


def told_by(server: mysql.Server) -> str:
    """What is said in the end of who asks what a server is."""
    with pytest.raises(Problem) as caught, mysql.connect(server) as connection:
        mysql.probe(connection)
    return caught.value.sentence()


def in_short(*names: str) -> list[object]:
    """All modes, of which the others are for the long tests."""
    return [name if name in names else pytest.param(name, marks=pytest.mark.soak) for name in MODES]


ASKED_IN_SHORT = (
    "a byte now and then", "rows without an end", "warnings without an end", "a greeting without an end",
)  # fmt: skip


@pytest.mark.parametrize("ssl_mode", ["DISABLED", pytest.param("REQUIRED", marks=pytest.mark.soak)])
@pytest.mark.parametrize("mode", in_short(*ASKED_IN_SHORT))
def test_who_asks_comes_to_an_end(mode: str, ssl_mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With REQUIRED most of these are refused as servers without TLS; those that greet strangely are not."""
    monkeypatch.setattr(conversation, "MOST_BYTES", 8 << 20)
    threads = threading.active_count()
    began = time.monotonic()

    with MODES[mode]() as server, grows_by_less_than(400):
        sentence = told_by(at(server, ssl_mode=ssl_mode))

        assert time.monotonic() - began < SECONDS + LATE
        assert server.host in sentence or "The program that answers" in sentence
        assert len(sentence) < LONGEST_SENTENCE
    wait_until(lambda: threading.active_count() <= threads + 1, "the threads beside it to be over", 20)


def test_a_server_that_drips_is_named_with_what_to_do() -> None:
    with HostileServer(where("^select", drip(0.1))) as server:
        assert told_by(at(server)) == (
            f"The database server at {server.host}:{server.port} took more than 0.5 s to answer a "
            "question, so the connection was cut. See what it is busy with (SHOW PROCESSLIST), and "
            "whether something on the way delays its answers. If it always needs this long, raise "
            "MYSQL_QUESTION_SECONDS."
        )


def test_the_deadline_is_of_the_whole_conversation() -> None:
    """Each answer comes well in time, all of them together do not."""

    def slowly(wire: Wire, statement: bytes) -> None:
        time.sleep(SECONDS / 4)
        rows(("1",))(wire, statement)

    with HostileServer(where("^select 1", slowly)) as server, mysql.connect(at(server)) as connection:
        assert fetch_all(connection, "SELECT 1") == [("1",)]
        with pytest.raises(mysql.TookTooLong):
            [fetch_all(connection, "SELECT 1") for _ in range(20)]


@pytest.mark.one_flavour("mariadb")
def test_many_quick_questions_are_no_long_conversation(db_server: DatabaseServer) -> None:
    """A database of 100,000 tables is asked about each of them."""
    ours = mysql.Server(
        db_server.host, db_server.port, db_server.user, db_server.password, question_seconds=1
    )
    with mysql.connect(ours) as connection:
        began = time.monotonic()
        while time.monotonic() < began + 1.5:
            assert fetch_all(connection, "SELECT 41 + 1") == [(42,)]


@pytest.mark.one_flavour("mariadb")
def test_work_has_no_such_deadline(db_server: DatabaseServer) -> None:
    ours = mysql.Server(
        db_server.host, db_server.port, db_server.user, db_server.password, question_seconds=1
    )
    with mysql.connect(ours) as connection:
        mysql.execute(connection, "DO SLEEP(1.2)")
        with pytest.raises(mysql.TookTooLong):
            fetch_all(connection, "SELECT SLEEP(1.5)")


def test_rows_are_counted_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversation, "MOST_ROWS", 1000)
    with HostileServer(where("^select", endless_rows(1))) as server:
        assert "answered one question with more than 1000 rows or 256 MB" in told_by(
            at(server, question_seconds=20)
        )


@pytest.mark.soak
@pytest.mark.parametrize("mode", [name for name in MODES if name.endswith("without an end")])
def test_the_limits_as_they_are_hold_memory_down(mode: str) -> None:
    with MODES[mode]() as server, grows_by_less_than(900):
        told_by(at(server, question_seconds=60))


@pytest.mark.parametrize("warnings", [endless_rows(), endless_field], ids=["rows", "a value"])
def test_warnings_of_a_load_are_no_way_round_it(
    warnings: Answer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows are counted as they are taken, at a socket too, which counts no bytes; a value as it comes."""
    monkeypatch.setattr(conversation, "MOST_BYTES", 8 << 20)
    answer = where("^show warnings", warnings, where("^insert", endless_warnings))
    path = tmp_path / "server.sock" if warnings is not endless_field else None
    with HostileServer(answer, socket_path=path) as server:
        there = mysql.Server(str(path or server.host), server.port or 3306, "u", "p", ssl_mode="DISABLED")
        driver = opened(there, "", read_timeout=None)
        loading = mysql.LoadingConnection(driver, driver.fileno(), 1, there, "shop")
        loading.run(b"INSERT INTO t VALUES (1)")
        with pytest.raises(mysql.SaidTooMuch):
            loading.warnings()
        driver.close()


def test_who_waits_can_be_told_to_wait_no_more() -> None:
    with HostileServer(where("^select", drip(0.1))) as server:
        ours = at(server, question_seconds=60)
        threading.Timer(0.5, mysql.hang_up_on, [ours]).start()
        began = time.monotonic()
        assert "was cut on request" in told_by(ours)
        assert time.monotonic() - began < LATE


def played(action: Action, database: Database) -> Run:
    """A run of this process's own portal, to its end."""
    run = lifecycle.run_enqueue(Wanted(action, database=database), Asker(Trigger.CLI), send=False)
    ended = executor.execute(run.pk, send_follow_ups=False)
    assert ended is not None
    return ended


@pytest.mark.parametrize("mode", in_short("a row now and then", "warnings without an end"))
def test_every_run_against_it_ends_with_a_sentence(
    mode: str,
    mariadb_shop: Shop,
    make_database: MakeDatabase,
    back_up: Callable[[Database], Run],
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The test of a connection in the portal is the run of a preflight."""
    database = make_database(mariadb_shop, ssl_mode="DISABLED")
    assert back_up(database).status == Status.SUCCEEDED
    monkeypatch.setattr(conversation, "MOST_BYTES", 8 << 20)
    settings.MYSQL_QUESTION_SECONDS = 1

    with MODES[mode]() as server:
        change_server(database, host=server.host, port=server.port)
        for action in (Action.PREFLIGHT, Action.BACKUP, Action.VERIFY):
            began = time.monotonic()
            run = played(action, database)
            assert run.status == Status.FAILED
            assert f"{server.host}:{server.port}" in run.error or "The program that answers" in run.error
            assert "unexpected" not in run.error
            assert len(run.error) < LONGEST_SENTENCE
            assert time.monotonic() - began < 30


# Where in its work a backup is held up by a server that was honest so far.
MOMENTS = (
    "SELECT CAST.VERSION", "PROCESSLIST", "information_schema.*TABLES", "FROM information_schema.*ROUTINES",
    "SHOW CREATE VIEW", "SHOW FIELDS", "SHOW GRANTS", "SHOW (BINARY LOG|MASTER) STATUS",
)  # fmt: skip


@pytest.mark.soak
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_server_that_is_honest_for_a_while(
    moment: str,
    mariadb_shop: Shop,
    make_database: MakeDatabase,
    back_up: Callable[[Database], Run],
    settings: Settings,
) -> None:
    settings.MYSQL_QUESTION_SECONDS = 2
    there = mariadb_shop.server
    database = make_database(mariadb_shop, ssl_mode="DISABLED")

    with HostileRelay(there.host, there.port, moment, drip(0.2)) as relay:
        change_server(database, host=relay.host, port=relay.port)
        began = time.monotonic()
        run = back_up(database)

        assert time.monotonic() - began < 60
        assert run.status in (Status.FAILED, Status.SUCCEEDED)
        assert run.status == Status.SUCCEEDED or "took more than 2 s" in run.error
        assert relay.attacked


ADD_HOSTILE_ONES = """
from backups.models import Database, Server
from backups.requests import Asker, BackupRequest
from backups.choices import Trigger
honest = Database.objects.get()
def queued(database):
    return BackupRequest(database).submit(Asker(Trigger.SCHEDULE)).pk
there = honest.server
def hostile(name):
    server = Server.objects.create(name=name, host="127.0.0.1", port={port}, user=there.user,
        ssl_mode="DISABLED", password_ref=there.password_ref)
    return Database.objects.create(name=name, server=server, database=honest.database,
        repository=honest.repository)
print(*[queued(hostile(name)) for name in ("hostile", "hostile too", "and this")], queued(honest))
"""


# Above, each question has its end; tests/runs/test_turns.py has whose runs wait for whose.
@pytest.mark.soak
def test_work_that_a_server_draws_out_holds_up_its_own_databases_alone(
    mariadb_shop: Shop, make_portal: MakePortal
) -> None:
    """It has three databases, and a dump whose rows do not come has no end of its own."""
    portal = make_portal(mariadb_shop)
    there = mariadb_shop.server
    with HostileRelay(there.host, there.port, "SQL_NO_CACHE", silence) as relay, portal.worker():
        first, *others, honest = map(int, portal.shell(ADD_HOSTILE_ONES.format(port=relay.port)).split())

        wait_until(lambda: portal.run(honest)["status"] == "succeeded", "the honest backup", 60)
        wait_until(lambda: relay.attacked, "the hostile server's silence", 60)

        assert portal.run(first)["status"] == "running", portal.run(first)
        for other in others:
            assert portal.run(other)["status"] == "queued"
        assert f"Waits for backup {first} of hostile" in portal.run(others[0])["detail"]
