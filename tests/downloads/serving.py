"""The worker's server of downloads, in the test's own process."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connections
from pytest_django import Settings

from backups.worker import downloads
from backups.worker.downloads import DownloadServer
from tests.backups.worlds import PROJECT, Portal
from tests.servers import Server

ALONE = """
import time
from pathlib import Path
from django.conf import settings
from backups.worker.downloads import DownloadServer
server = DownloadServer(Path(settings.DOWNLOADS_SOCKET))
while True:
    server.keep_serving()
    time.sleep(0.1)
"""


def downloads_alone(portal: Portal) -> Server:
    """What of a portal's worker serves downloads, without the rest, which would end what only rows say."""
    return Server(
        [sys.executable, "manage.py", "shell", "--no-imports", "-c", ALONE],
        log=portal.folder / "downloads.log",
        cwd=PROJECT,
        env=portal.environment,
        ready=(portal.folder / "run" / "downloads.socket").is_socket,
        stop_seconds=5,
    )


@pytest.fixture
def downloads_served(
    db: None, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[DownloadServer]:
    """It serves this process's portal, and sees the rows of the test's own transaction."""
    settings.DOWNLOADS_SOCKET = str(tmp_path / "run" / "downloads.socket")
    own, serve = connections["default"], downloads._Listening._serve
    own.inc_thread_sharing()

    def serve_with_our_rows(listening: Any, *arguments: Any) -> None:
        connections["default"] = own
        serve(listening, *arguments)

    monkeypatch.setattr(downloads._Listening, "_serve", serve_with_our_rows)
    server = DownloadServer(Path(settings.DOWNLOADS_SOCKET))
    server.keep_serving()
    yield server
    server.end()
    own.dec_thread_sharing()
