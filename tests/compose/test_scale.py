"""The profile `scale`: the portal's own rows in PostgreSQL, and two workers that share the work."""

from __future__ import annotations

import json
from collections.abc import Iterator
from urllib.parse import quote

import pytest

from tests.compose.conftest import Stack
from tests.compose.docker import Docker, until
from tests.compose.test_compose import QUEUE_A_BACKUP

pytestmark = pytest.mark.timeout(1200)

PASSWORD_OF_POSTGRES = "p@ss: of/the portal's"
ROWS = "CREATE TABLE orders (id INT PRIMARY KEY); INSERT INTO orders VALUES (1), (2);"


@pytest.fixture(scope="module")
def scaled(found: Docker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The Compose file with the profile and two workers, all of it healthy."""
    made = Stack(found, tmp_path_factory.mktemp("scaled"), project="vedetta-test-scaled", profiles=["scale"])
    made.write_env(
        POSTGRES_PASSWORD=PASSWORD_OF_POSTGRES,
        DATABASE_URL=f"postgres://vedetta:{quote(PASSWORD_OF_POSTGRES, safe='')}@postgres/vedetta",
        VERIFY_MYSQL_HOST="",
        VERIFY_MYSQL_PASSWORD="",
        # Only what is asked for here.
        BACKUP_CRON="0 0 29 2 *",
        VERIFY_CRON="",
    )
    try:
        made.up("--scale", "db_backup=2")
        until("the servers are healthy", lambda: made.healthy("db", "postgres"), 240)
        made.sql(ROWS)
        until("all are healthy", lambda: made.healthy("db_backup", "portal", "sentinel"), 240)
        yield made
    finally:
        made.end()


def test_each_of_two_workers_makes_a_backup_and_the_portals_rows_are_in_postgresql(scaled: Stack) -> None:
    both = set(_workers(scaled))
    assert len(both) == 2
    first = _back_up(scaled, asked_of=min(both))
    scaled.docker("stop", "--time", "90", first)
    (left,) = both - {first}
    second = _back_up(scaled, asked_of=left)
    assert {first, second} == both
    assert len(scaled.snapshots()) >= 2
    assert scaled.get("/healthz", scaled.portal)[0] == 200
    assert not (scaled.folder / "data" / "portal.sqlite3").exists()


def _workers(stack: Stack) -> list[str]:
    """The workers' containers, by the short ids that are their host names."""
    return [each[:12] for each in stack.compose("ps", "--quiet", "db_backup").split()]


def _back_up(stack: Stack, *, asked_of: str) -> str:
    """Have any worker make a backup; answers in which container that was."""
    stack.docker("exec", asked_of, "manage", "shell", "-c", QUEUE_A_BACKUP)
    until("a worker takes it", lambda: bool(_newest_backup(stack)["worker"]), 60)
    until("it ends", lambda: _newest_backup(stack)["status"] not in ("queued", "running"), 120)
    newest = _newest_backup(stack)
    assert newest["status"] == "succeeded", newest
    return str(newest["worker"]).partition(":")[0]


def _newest_backup(stack: Stack) -> dict[str, object]:
    asked = "SELECT row_to_json(r) FROM backups_run r WHERE action = 'backup' ORDER BY id DESC LIMIT 1"
    psql = ("psql", "--username=vedetta", "--no-align", "--tuples-only", "--command", asked)
    return dict(json.loads(stack.compose("exec", "-T", "postgres", *psql)))
