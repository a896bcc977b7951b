"""A receiver of messages on loopback, and rows to tell of."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from backups.choices import Action, Status, Trigger
from backups.models import Database, Repository, Run
from backups.runs import lifecycle
from backups.runs.asked import Asker, Wanted
from tests.backups.conftest import empty_repository, make_database, mariadb_shop, repository
from tests.rows import a_server
from tests.servers.serving import serve

__all__ = ["empty_repository", "make_database", "mariadb_shop", "repository"]


@dataclass
class Receiver:
    """An HTTP server that keeps what it is told, and answers as it is told to."""

    status: int = 200
    delay: float = 0
    requests: list[tuple[str, bytes]] = field(default_factory=list)
    authorizations: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                time.sleep(receiver.delay)
                receiver.authorizations.append(self.headers.get("Authorization", ""))
                receiver.requests.append((self.path, body))
                self.send_response(receiver.status)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Not on the terminal."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        serve(self.server)

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.server.server_address[1])

    @property
    def address(self) -> str:
        """How Apprise is told of it, a secret included."""
        return f"json://user:hunter2@127.0.0.1:{self.port}/inbox"

    def messages(self) -> list[tuple[str, str]]:
        """Title and type of each message, in order."""
        told: list[dict[str, Any]] = [json.loads(body) for _, body in self.requests]
        return [(message["title"], message["type"]) for message in told]

    def bodies(self) -> list[str]:
        """The text of each message."""
        return [json.loads(body)["message"] for _, body in self.requests]

    def close(self) -> None:
        """Stop listening."""
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def receiver(settings: Settings) -> Iterator[Receiver]:
    """The one address of NOTIFY_URLS."""
    receiver = Receiver()
    settings.NOTIFY_URLS = [receiver.address]
    yield receiver
    receiver.close()


@pytest.fixture
def pinged(settings: Settings) -> Iterator[Receiver]:
    """The service behind PING_URL."""
    receiver = Receiver()
    settings.PING_URL = f"http://127.0.0.1:{receiver.port}/ping/d34db33f"
    yield receiver
    receiver.close()


@pytest.fixture
def orders(db: None, tmp_path: Path) -> Database:
    """A database's row, of which nothing is there but the passwords."""
    password = tmp_path / "password"
    password.write_text("hunter1")
    main = Repository.objects.create(name="main", url="/nowhere", password_ref=f"file:{password}")
    return Database.objects.create(
        name="orders", database="orders", repository=main,
        server=a_server("127.0.0.1", 1, password_ref=f"file:{password}"),
    )  # fmt: skip


def ended(database: Database, action: Action, status: Status, error: str = "") -> int:
    """A run that has ended so."""
    run = lifecycle.run_enqueue(Wanted(action, database=database), Asker(Trigger.CLI), send=False)
    if status != Status.CANCELLED:
        lifecycle.run_claim(run.pk, worker="host:1:x")
    Run.objects.filter(pk=run.pk).update(status=status, error=error)
    for model in (Database, Repository):
        model.objects.update(lease_run=None, lease_until=None)
    return run.pk
