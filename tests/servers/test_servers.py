"""The tests' own servers start, answer, survive what a test does to them, and leave nothing."""

from __future__ import annotations

import concurrent.futures
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import MySQLdb
import pytest

from tests.servers import FLAVOURS, DatabaseServer, S3Server, Server, ServerError, free_port
from tests.servers.processes import answers_tcp
from tools.ports import lasting_port


@pytest.fixture(params=FLAVOURS)
def own_server(request: pytest.FixtureRequest) -> Iterator[DatabaseServer]:
    """A server that the test may stop and kill."""
    with DatabaseServer(request.param) as server:
        yield server


def test_database_answers_as_the_flavour_that_was_asked_for(db_server: DatabaseServer) -> None:
    ((version,),) = db_server.query("SELECT VERSION()")

    assert ("MariaDB" in version) == (db_server.flavour == "mariadb")


def test_database_runs_several_statements_and_gives_rows(db_server: DatabaseServer) -> None:
    db_server.create_database("servers")
    db_server.execute("CREATE TABLE t (n INT); INSERT INTO t VALUES (1), (2)", "servers")

    assert db_server.query("SELECT n FROM t WHERE n > %s", "servers", [1]) == [(2,)]


def test_database_error_in_a_later_statement_is_raised(db_server: DatabaseServer) -> None:
    with pytest.raises(MySQLdb.Error, match="nowhere"):
        db_server.execute("SELECT 1; SELECT * FROM nowhere.nothing")


def test_native_client_loads_routines_with_their_comments(db_server: DatabaseServer, tmp_path: Path) -> None:
    db_server.create_database("servers")
    script = tmp_path / "routine.sql"
    script.write_text(
        "DELIMITER ;;\n"
        "CREATE FUNCTION answer() RETURNS INT DETERMINISTIC\nBEGIN\n  -- why\n  RETURN 1;\nEND ;;\n"
    )

    db_server.load(script, "servers")

    assert db_server.query("SELECT answer()", "servers") == [(1,)]
    ((body,),) = db_server.query(
        "SELECT ROUTINE_DEFINITION FROM information_schema.ROUTINES"
        " WHERE ROUTINE_SCHEMA = 'servers' AND ROUTINE_NAME = 'answer'"
    )
    assert "-- why" in body


def test_native_client_reports_what_is_wrong(db_server: DatabaseServer) -> None:
    with pytest.raises(RuntimeError, match="nonsense"):
        db_server.load("nonsense;")


def test_user_has_the_password_and_the_grants_it_was_made_with(db_server: DatabaseServer) -> None:
    db_server.create_database("servers")
    db_server.create_user("reader", "it's 100% secret", ["SELECT ON `servers`.*"])

    connection = MySQLdb.connect(
        host=db_server.host, port=db_server.port, user="reader", password="it's 100% secret"
    )
    with connection.cursor() as cursor:
        cursor.execute("SHOW DATABASES LIKE 'servers'")
        assert cursor.fetchall() == (("servers",),)
        with pytest.raises(MySQLdb.Error, match="denied"):
            cursor.execute("CREATE TABLE servers.t (n INT)")
    connection.close()


@pytest.mark.parametrize(
    "end",
    [
        pytest.param(DatabaseServer.stop, marks=pytest.mark.one_flavour("mariadb")),
        pytest.param(DatabaseServer.kill, marks=pytest.mark.one_flavour("mysql")),
    ],
)
def test_database_starts_again_on_the_same_data(own_server: DatabaseServer, end: object) -> None:
    own_server.create_database("kept")
    own_server.execute("CREATE TABLE t (n INT); INSERT INTO t VALUES (7)", "kept")

    assert callable(end)
    end(own_server)
    assert not answers_tcp(own_server.port)
    own_server.start()

    assert own_server.query("SELECT n FROM t", "kept") == [(7,)]


def test_removed_database_leaves_neither_process_nor_folder() -> None:
    with DatabaseServer("mariadb") as server:
        pid = server.pid

    assert not server.folder.exists()
    assert not _exists(pid)


# Every test on S3 has it.
@pytest.mark.soak
def test_s3_serves_a_restic_repository(s3_server: S3Server, restic_path: Path) -> None:
    repository = s3_server.create_bucket("servers")
    environment = {**os.environ, **s3_server.environment, "RESTIC_PASSWORD": "x"}

    for command in (["init"], ["snapshots"]):
        subprocess.run(
            [restic_path, "--repo", repository, "--no-cache", *command],
            env=environment,
            check=True,
        )


def test_s3_starts_again_on_the_same_port(tmp_path: Path) -> None:
    with S3Server(tmp_path) as server:
        server.stop()
        assert not answers_tcp(server.port)
        server.start()
        assert answers_tcp(server.port)


def test_server_that_ends_by_itself_is_reported_with_its_log(tmp_path: Path) -> None:
    server = Server(["sh", "-c", "echo no licence; exit 3"], log=tmp_path / "log", ready=lambda: False)

    with pytest.raises(ServerError, match="no licence"):
        server.start()


def test_server_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    log = tmp_path / "log"
    server = Server(
        ["sh", "-c", "trap '' TERM; echo up; while :; do sleep 1; done"],
        log=log,
        ready=lambda: "up" in log.read_text(),
        stop_seconds=0.2,
    ).start()
    pid = server.pid

    server.stop()

    assert not _exists(pid)


def test_server_ends_when_the_test_run_is_killed(tmp_path: Path) -> None:
    script = """
        import sys, time
        from pathlib import Path
        from tests.servers import Server

        server = Server(["sleep", "600"], log=Path(sys.argv[1]), ready=lambda: True).start()
        print(server.pid, flush=True)
        time.sleep(600)
    """
    run = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script), tmp_path / "log"],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert run.stdout is not None
    pid = int(run.stdout.readline())
    # What ties a server to the test run comes between its first breath and its program.
    while Path(f"/proc/{pid}/comm").read_text() != "sleep\n":
        time.sleep(0.01)

    run.send_signal(signal.SIGKILL)
    run.wait()
    run.stdout.close()

    deadline = time.monotonic() + 10
    while _exists(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _exists(pid)


def test_what_is_made_once_is_made_by_one_process_and_the_others_wait_for_it(tmp_path: Path) -> None:
    script = """
        import time
        from tests.servers.made_once import made_once

        def make(path):
            with path.open("a") as file:
                time.sleep(0.2)
                file.write("made")

        print(made_once("thing", make).read_text())
    """
    several = [
        subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(script)],
            env={**os.environ, "VEDETTA_TESTS_MADE_ONCE": str(tmp_path)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]

    assert [each.communicate()[0] for each in several] == ["made\n"] * 3


def test_a_port_that_is_given_out_stays_free_for_its_server() -> None:
    script = (
        "from tools.ports import free_port; print(*(free_port() for _ in range(50)), flush=True); input()"
    )
    several = [
        subprocess.Popen(
            [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(3)
    ]
    given = [int(port) for each in several for port in each.stdout.readline().split()]  # type: ignore[union-attr]
    clients = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    for each in several:
        each.communicate("\n")

    assert len({*given, free_port()}) == 151, "two processes were given the same port"
    assert max(given) < max(clients, 32_768), "a client's connection may take such a port"
    assert not any(map(answers_tcp, given))


def test_a_forked_process_is_given_other_ports_than_its_parent() -> None:
    free_port()
    with concurrent.futures.ProcessPoolExecutor(1, multiprocessing.get_context("fork")) as forked:
        there = [forked.submit(free_port).result() for _ in range(20)]

    assert not {free_port() for _ in range(20)} & set(there)


def test_what_is_to_last_is_given_no_port_of_a_process() -> None:
    lasting = {lasting_port() for _ in range(50)}

    assert max(free_port() for _ in range(200)) < min(lasting)
    assert not any(map(answers_tcp, lasting))


def test_a_port_that_a_server_of_another_address_holds_is_not_given() -> None:
    expected = free_port() + 1
    with socket.create_server(("127.0.0.3", expected)):
        assert free_port() != expected


def _exists(pid: int) -> bool:
    """Whether a process of this id runs; one that has ended and awaits its parent does not."""
    try:
        return ") Z" not in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
