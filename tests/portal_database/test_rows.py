"""The tests of rows alone, which `make test` runs on SQLite, once more on servers."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence

import pytest

from tests.backups.worlds import PROJECT
from tests.servers import DatabaseServer, PostgreSQLServer

QUICK = ("tests/runs/test_history.py", "tests/runs/test_services.py")
ALL = (
    *QUICK, "tests/worker/test_queues.py", "tests/scheduling/test_schedules.py", "tests/runs/test_turns.py",
    "tests/scheduling/test_staleness.py", "tests/keeping/test_suspicions.py", "tests/verdict/test_overall.py",
    "tests/reports",
)  # fmt: skip


def test_rows_on_postgresql(postgresql_server: PostgreSQLServer) -> None:
    play(QUICK, address=admin_of(postgresql_server))


@pytest.mark.soak
def test_more_rows_on_postgresql(postgresql_server: PostgreSQLServer) -> None:
    play(ALL, address=admin_of(postgresql_server))


@pytest.mark.soak
@pytest.mark.parametrize("flavour", ["mariadb", "mysql"])
def test_rows_on_mysql(flavour: str, request: pytest.FixtureRequest) -> None:
    server: DatabaseServer = request.getfixturevalue(f"{flavour}_server")
    server.create_user("tests", "opens", ["ALL ON *.*"])
    try:
        play(ALL, address=f"mysql://tests:opens@{server.host}:{server.port}/portal")
    finally:
        server.execute("DROP USER 'tests'@'%'")


def admin_of(server: PostgreSQLServer) -> str:
    """Who may make the tests' own database."""
    return f"postgres://{server.user}:{server.password}@{server.host}:{server.port}/postgres"


def play(places: Sequence[str], *, address: str) -> None:
    """Run these tests in a process of their own, whose rows are there."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    # What needs a file of SQLite's says so in its name. SQLite asks a query of its own: it alone counts them.
    leave_out = "not file and not sqlite and not at_once and not locked and not number_of_queries"
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", leave_out, *places],
        cwd=PROJECT,
        env={**environment, "VEDETTA_TESTS_ROWS_IN": address},
        capture_output=True,
        text=True,
        check=False,
    )

    assert ran.returncode == 0, ran.stdout[-5000:]
