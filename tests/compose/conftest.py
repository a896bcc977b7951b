"""The Compose file, started as a user starts it: a folder with it, deploy/ and .env, nothing else."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.compose.docker import Docker, docker, until
from tools.ports import HOST, free_port
from tools.shell import ROOT

# Nothing of this directory is part of `make test`: it takes minutes and wants to be root.
collect_ignore_glob = [] if os.environ.get("VEDETTA_TEST_COMPOSE") else ["test_*.py"]

PASSWORD = "lookout over the compose file"


class Stack:
    """The started Compose file."""

    def __init__(self, found: Docker, folder: Path, *, project: str, profiles: Sequence[str]) -> None:
        self.docker = found
        self.folder = folder
        self._project = project
        self._profiles = [part for name in profiles for part in ("--profile", name)]
        self.http = free_port()
        self.portal = free_port()
        shutil.copy(ROOT / "docker-compose.yml", folder)
        shutil.copytree(ROOT / "deploy", folder / "deploy")

    def write_env(self, **more: str) -> None:
        """What a user must write, and what makes the test quick."""
        values = {
            "MYSQL_ROOT_PASSWORD": "of-root",
            "MYSQL_DATABASE": "orders_tracker",
            "MYSQL_USER": "vedetta",
            "MYSQL_PASSWORD": 'a password "quoted"',
            "RESTIC_PASSWORD": "keep-it-elsewhere-too",
            "PORTAL_ADMIN_PASSWORD": PASSWORD,
            "VERIFY_MYSQL_HOST": "db_verify",
            "VERIFY_MYSQL_PASSWORD": "'another \\ \"password\"'",
            "SENTINEL_BOOT_GRACE_SECONDS": "0",
            "HTTP_ADDRESS": f"{HOST}:{self.http}",
            "PORTAL_ADDRESS": f"{HOST}:{self.portal}",
        }
        lines = [f"{name}={value}\n" for name, value in {**values, **more}.items()]
        (self.folder / ".env").write_text("".join(lines))

    def compose(self, *arguments: str, stdin: bytes | None = None, check: bool = True) -> str:
        """Run docker compose in the folder; answers its standard output."""
        done = subprocess.run(
            ["docker", "compose", "--project-name", self._project, *arguments],
            cwd=self.folder,
            env=self.docker.environment,
            stdin=subprocess.DEVNULL if stdin is None else None,
            input=stdin,
            capture_output=True,
            timeout=600,
            check=False,
        )
        told = done.stdout.decode(errors="replace")
        assert not check or done.returncode == 0, (
            f"docker compose {' '.join(arguments)}: {told[-3000:]}\n{done.stderr.decode()[-3000:]}"
        )
        return told

    def shell(self, line: str) -> str:
        """Run a line of the old guide as it is written there."""
        done = subprocess.run(
            ["sh", "-c", line],
            cwd=self.folder,
            env={**self.docker.environment, "COMPOSE_PROJECT_NAME": self._project},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=600,
            check=False,
        )
        told = done.stdout.decode(errors="replace") + done.stderr.decode(errors="replace")
        assert done.returncode == 0, f"{line}: {told[-4000:]}"
        return told

    def up(self, *more: str) -> None:
        """Start all of it."""
        self.compose(*self._profiles, "up", "--detach", "--no-build", *more)

    def down(self) -> None:
        """Remove the containers and the named volumes."""
        self.compose(*self._profiles, "down", "--volumes", "--timeout", "60")

    def end(self) -> None:
        """Tell what it said, and remove it, unless somebody wants to look at it."""
        if os.environ.get("VEDETTA_TEST_COMPOSE") == "keep":
            print(f"left running in {self.folder}")
            return
        print(self.compose(*self._profiles, "logs", "--no-color", "--tail", "80", check=False))
        self.down()

    def sql(self, statement: str, database: str = "orders_tracker") -> str:
        """Run SQL as root; answers its rows."""
        argv = ("exec", "-T", "-e", "MYSQL_PWD=of-root", "db", "mysql", "-uroot", "-N", "-B", database)
        return self.compose(*argv, stdin=statement.encode()).strip()

    def checksums(self) -> str:
        """What tells whether the rows are the same."""
        return self.sql("CHECKSUM TABLE orders, notes EXTENDED; SELECT COUNT(*) FROM orders")

    def manage(self, *arguments: str) -> dict[str, Any]:
        """Run a command of the worker's container; answers its JSON."""
        told = self.compose("exec", "-T", "db_backup", "manage", *arguments, "--json")
        return dict(json.loads(told.splitlines()[-1]))

    def runs(self, **having: str) -> list[dict[str, Any]]:
        """The history, read beside the portal."""
        where = " AND ".join(f"{name} = ?" for name in having) or "1"
        path = self.folder / "data" / "portal.sqlite3"
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30)) as connection:
            connection.row_factory = sqlite3.Row
            rows = connection.execute(
                f"SELECT * FROM backups_run WHERE {where} ORDER BY id", list(having.values())
            )
            return [dict(row) for row in rows]

    def get(self, path: str, port: int = 0) -> tuple[int, str]:
        """Status code and text of an answer, by default through nginx."""
        try:
            with urllib.request.urlopen(f"http://{HOST}:{port or self.http}{path}", timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError as error:
            return 0, str(error)

    def is_open(self) -> bool:
        """Whether the application is served."""
        return self.get("/")[0] == 200

    def snapshots(self) -> list[str]:
        """The ids of the repository's snapshots."""
        return sorted(path.name for path in (self.folder / "repository" / "snapshots").glob("*"))

    def locks(self) -> list[Path]:
        """restic's locks."""
        return list((self.folder / "repository" / "locks").glob("*"))

    def healthy(self, *services: str) -> bool:
        """Whether Docker takes the services for healthy."""
        told = [json.loads(line) for line in self.compose("ps", "--format", "json").splitlines()]
        asked = [entry for entry in told if entry["Service"] in services]
        is_there = set(services) == {entry["Service"] for entry in asked}
        return is_there and all(entry["Health"] == "healthy" for entry in asked)


@pytest.fixture(scope="session")
def found() -> Iterator[Docker]:
    """A Docker with the images."""
    with docker() as made:
        yield made


@pytest.fixture(scope="session")
def stack(found: Docker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The Compose file, not started yet. A backup is scheduled for a few minutes from now."""
    made = Stack(found, tmp_path_factory.mktemp("stack"), project="vedetta-test", profiles=["prod", "verify"])
    # Until it has started there may be none, however busy the machine is.
    soon = datetime.now(UTC) + timedelta(minutes=6)
    made.write_env(BACKUP_CRON=f"{soon.minute} {soon.hour} * * *")
    try:
        yield made
    finally:
        made.end()


__all__ = ["Stack", "until"]
