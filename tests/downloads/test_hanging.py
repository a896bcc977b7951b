"""Downloads from a storage that hangs: few at a time, and everybody else is served meanwhile."""

from __future__ import annotations

import http.client
import os
import signal
import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.admin.conftest import PASSWORD
from tests.admin.test_download import both, signed_in
from tests.backups.conftest import (
    MakePortal,
    bucket,
    empty_repository,
    make_portal,
    mariadb_shop,
    migrated,
    s3_repository,
)
from tests.backups.worlds import Portal, Shop, children_of, command_of, wait_until
from tests.faults.promises import what_is_wrong_with
from tests.servers import S3Server, Server
from tests.servers.faulty_s3 import Fault, FaultyS3, drop, hang
from tests.servers.processes import answers_http

__all__ = ["bucket", "empty_repository", "make_portal", "mariadb_shop", "migrated", "s3_repository"]
NEWEST = "from backups.models import Snapshot; print(Snapshot.objects.get().pk)"
PACKS = "GET .*/data/"


@pytest.fixture
def storage(s3_server: S3Server) -> Iterator[FaultyS3]:
    """An S3 storage that fails when it is told to."""
    with FaultyS3(s3_server) as storage:
        yield storage


@pytest.fixture
def patient(
    storage: FaultyS3, s3_server: S3Server, s3_repository: str, mariadb_shop: Shop, make_portal: MakePortal
) -> Portal:
    """A portal with one backup in it, which waits for its storage for long."""
    portal = make_portal(
        mariadb_shop, repository=storage.in_front_of(s3_repository), PORTAL_ADMIN_USER="admin",
        PORTAL_ADMIN_PASSWORD=PASSWORD, **s3_server.environment,
    )  # fmt: skip
    assert portal.backup().code == 0
    return portal


@pytest.fixture
def impatient(patient: Portal) -> Portal:
    """The same, and it does not wait."""
    patient.environment["STORAGE_PATIENCE_SECONDS"] = "2"
    return patient


def dumping(worker: Server) -> int:
    """How many restics read a snapshot for it."""
    commands = map(command_of, children_of(worker.pid))
    return sum("restic" in each and " dump " in each for each in commands)


def test_a_storage_that_hangs_holds_up_few(patient: Portal, storage: FaultyS3) -> None:
    portal = patient
    snapshot = portal.shell(NEWEST)
    with both(portal) as (port, _, worker), storage.failing(Fault(hang, PACKS)):
        person = signed_in(port)
        waiting = [person.ask(snapshot) for _ in range(4)]
        wait_until(lambda: dumping(worker) == 4, "four to wait for the storage", 60)

        began = time.monotonic()
        for _ in range(4):
            assert "4 downloads are under way" in person.told(person.ask(snapshot), snapshot)
        assert answers_http(f"http://127.0.0.1:{port}/healthz")
        assert time.monotonic() - began < 40
        assert dumping(worker) == 4

        waiting.pop().close()
        wait_until(lambda: dumping(worker) == 3, "restic to be gone after its client", 5)

        os.kill(worker.pid, signal.SIGTERM)
        wait_until(lambda: not worker.running, "the worker's end", 15)
        # They share a session, in which one of the three sentences may take the place of another.
        pages = [person.told(connection, snapshot) for connection in waiting]
        assert any("Nothing was downloaded. The worker broke the download off" in page for page in pages)
        assert "The worker does not run" in person.told(person.ask(snapshot), snapshot)
    assert not portal.rows("SELECT * FROM django_admin_log")
    assert portal.leftovers() == []


# Above, one that hangs; tests/admin/test_restoring.py has one that is away.
@pytest.mark.soak
def test_a_storage_that_is_gone_is_told_and_the_next_download_is_whole(
    impatient: Portal, storage: FaultyS3
) -> None:
    portal = impatient
    snapshot = portal.shell(NEWEST)
    with both(portal, alone=True) as (port, _, _):
        person = signed_in(port)
        with storage.failing(Fault(drop, PACKS)) as struck:
            page = person.told(person.ask(snapshot), snapshot)
        assert struck.hits
        assert "Nothing was downloaded. " in page
        assert "cannot be reached" in page

        with closing(person.ask(snapshot)) as connection:
            response: http.client.HTTPResponse = connection.getresponse()
            assert response.getheader("Content-Type") == "application/sql"
            assert what_is_wrong_with(response.read()) == ""
    (entry,) = portal.rows("SELECT change_message FROM django_admin_log")
    assert entry["change_message"].startswith("Downloaded ")
    (spent,) = portal.rows("SELECT COUNT(*) AS n FROM backups_downloadticket WHERE used_at IS NOT NULL")
    assert spent["n"] == 2
