"""What to type goes by how Vedetta was installed, not by where the machine happens to be."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from backups import installation

CONTAINER = ["app/manage.py", "usr/local/bin/entrypoint"]


@pytest.fixture(autouse=True)
def asked_anew() -> Iterator[None]:
    installation.commands.cache_clear()
    yield
    installation.commands.cache_clear()


@pytest.mark.parametrize(
    ("there", "start", "log", "restart"),
    [
        (
            CONTAINER, "`docker compose up -d db_backup`, or its container",
            "`docker compose logs db_backup`", "`docker compose restart sentinel`",
        ),
        (
            ["etc/systemd/system/vedetta-worker.service"], "`systemctl start vedetta-worker`", "`journalctl",
            "`systemctl restart vedetta-gate`",
        ),
        ([".dockerenv"], "`manage.py worker`", "its own log", "end it and run `gunicorn"),
        ([".dockerenv", "app/manage.py"], "`manage.py worker`", "its own log", "end it and run `gunicorn"),
        ([], "`manage.py worker`", "its own log", "end it and run `gunicorn"),
    ],
)  # fmt: skip
def test_it_is_told_by_what_is_there(
    there: list[str], start: str, log: str, restart: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in there:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    for name in ("_IMAGE", "_UNITS"):
        places = getattr(installation, name)
        monkeypatch.setattr(installation, name, tuple(tmp_path / place.relative_to("/") for place in places))

    found = installation.commands()

    assert found.start_worker.startswith(start)
    assert found.worker_log.startswith(log)
    assert found.restart_gate.startswith(restart)
