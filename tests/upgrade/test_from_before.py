"""A portal of the version before, with its repository, its status folder and its .env, goes on with this one.

`before/` was made by that version: a backup, a verification, a second backup, and a `--replace` back to the
first snapshot, whose kept tables are in `shop__before_7`.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.backups.worlds import PROJECT, Portal
from tests.restoring.stories import content, may_restore
from tests.servers import DatabaseServer
from tests.upgrade.earlier import earlier_portal, earlier_shop, written

BEFORE = Path(__file__).with_name("before")
KEPT = "shop__before_7"


@pytest.fixture(scope="module")
def server() -> Iterator[DatabaseServer]:
    """A server with the databases as that version left them."""
    with DatabaseServer("mariadb") as server:
        for name in ("shop", KEPT):
            server.create_database(name)
            server.client("--binary-mode", "--comments", name, stdin=(BEFORE / f"{name}.sql").read_bytes())
        server.create_user("vedetta", "of-the-fixture", may_restore(server, "shop"))
        yield server


@pytest.fixture(scope="module")
def portal(server: DatabaseServer, tmp_path_factory: pytest.TempPathFactory, restic_path: Path) -> Portal:
    """The portal of before, where only the server's port and the folders are others."""
    folder = tmp_path_factory.mktemp("upgrade")
    # That version had no key.
    environment = {"VEDETTA_KEY": ""}
    rows = BEFORE / "portal.sql"
    portal = earlier_portal(rows, BEFORE, folder, earlier_shop(server), restic_path, environment)
    written(portal, "UPDATE backups_database SET port = ?", server.port)
    return portal


def test_it_goes_on_without_anything_being_done(portal: Portal) -> None:
    """The commands in the order in which a person on call would need them, first of all a backup."""
    before = portal.heartbeat()
    assert before is not None

    assert portal.manage("bootstrap").code == 0
    ran = portal.backup()
    assert ran.code == 0, ran.err
    assert "heartbeat" not in ran.json, "nothing is suspicious about a database as it was"
    after = portal.heartbeat()
    assert after is not None
    assert after > before
    (repository,) = portal.rows("SELECT restic_id FROM backups_repository")
    assert repository["restic_id"] == json.loads(portal.restic("cat", "config"))["id"]
    present = portal.rows("SELECT 1 FROM backups_snapshot WHERE forgotten_at IS NULL")
    assert len(portal.snapshots()) == len(present)


def test_its_repository_is_tended_the_first_night(portal: Portal) -> None:
    """No row of that version says when, and nobody has to."""
    code = (
        "from backups.worker import executor, nightly;"
        "(run,) = nightly.ask_due(); executor.execute(run.pk); run.refresh_from_db();"
        "print(run.status, run.error, run.result['sentence'], nightly.ask_due())"
    )
    told = portal.shell(code)
    assert told.startswith("succeeded  0 snapshots forgotten"), told
    assert told.endswith(" []"), told


def test_what_it_made_before_it_had_a_key_is_its_own(portal: Portal) -> None:
    """The key is made by whatever comes first, and somebody is asked to keep it elsewhere."""
    rows = portal.rows("SELECT made_here, signature FROM backups_snapshot WHERE forgotten_at IS NULL")
    assert len(rows) > 1
    assert all(row["made_here"] and row["signature"] for row in rows)
    (path,) = portal.folder.glob("vedetta_key")
    assert path.stat().st_mode & 0o777 == 0o600

    told = portal.manage("preflight", "--json")

    assert told.code == 0
    assert "Copy the line that `manage.py bootstrap --show-key` prints" in json.dumps(told.json)
    shown = portal.manage("bootstrap", "--show-key").out
    assert f"VEDETTA_KEY={path.read_text().strip()}" in shown
    assert portal.manage("bootstrap", "--key-kept").code == 0
    assert "--show-key" not in json.dumps(portal.manage("preflight", "--json").json)


def test_a_snapshot_of_before_is_proved_and_restored(portal: Portal, server: DatabaseServer) -> None:
    first = portal.snapshots()[0]["short_id"]

    verified = portal.manage("verify", "--snapshot", first, "--json")
    assert verified.json["verdict"] == "identical", verified.err
    restored = portal.manage("restore", "--snapshot", first, "--into", "shop_copy", "--json")
    assert restored.code == 0, restored.err
    assert server.query("SELECT COUNT(*) FROM orders", "shop_copy") == [(3,)]


def test_a_restore_of_before_is_undone(portal: Portal, server: DatabaseServer) -> None:
    """What it kept was written down by that version."""
    kept = server.query("SELECT id, note FROM orders ORDER BY id", KEPT)

    ran = portal.manage("undo_restore", "--json")

    assert ran.code == 0, ran.err
    assert server.query("SELECT id, note FROM orders ORDER BY id", "shop") == kept
    text = b"\n".join(content(server, "shop"))
    for name in (b"every_parcel", b"customers_noted", b"hourly", b"twice"):
        assert name in text


DOUBTFUL = r"""# What versions took that had no rule for it.
RESTIC_PASSWORD="opens the tests\' repositories"
export MYSQL_PASSWORD='of-the-fixture'
BACKUP_HOST=vedetta\
"""
# The same in words that mean one thing to all; one name stands twice.
TWICE = """BACKUP_HOST=another
RESTIC_PASSWORD="opens the tests' repositories"
MYSQL_PASSWORD=of-the-fixture
BACKUP_HOST=vedetta
"""


class ByHand:
    """An installation by hand: a folder with the programs, and what is set in its .env."""

    def __init__(self, folder: Path, portal: Portal) -> None:
        self.folder = folder
        for name in ("backups", "portal", "sentinel", "templates"):
            shutil.copytree(PROJECT / name, folder / name)  # with what is compiled
        shutil.copy(PROJECT / "manage.py", folder)
        (folder / ".env").write_text(DOUBTFUL)
        told = {name: value for name, value in {**os.environ, **portal.environment}.items() if value}
        in_file = ("RESTIC_PASSWORD", "MYSQL_PASSWORD", "BACKUP_HOST")
        self.environment = {name: value for name, value in told.items() if name not in in_file}

    def python(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a program of it to its end."""
        return subprocess.run(
            [sys.executable, *arguments], cwd=self.folder, env={**self.environment, **environment},
            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=90,
        )  # fmt: skip

    def manage(self, *arguments: str, **environment: str) -> tuple[int, dict[str, Any], str]:
        """Exit status, JSON and standard error of a command."""
        ran = self.python("manage.py", *arguments, "--json", **environment)
        return ran.returncode, json.loads(ran.stdout.splitlines()[-1]), ran.stderr


def test_a_dotenv_of_before_that_others_would_read_otherwise_goes_on(portal: Portal, tmp_path: Path) -> None:
    """The passwords fit still; whoever sets up or asks is told of the lines, and never shown them."""
    by_hand = ByHand(tmp_path / "vedetta", portal)
    first = f"Line 2 of {by_hand.folder}/.env (RESTIC_PASSWORD) means one value here and another one"

    code, told, err = by_hand.manage("bootstrap")
    assert (code, told["error"][: len(first)], told["env_file"][: len(first)]) == (1, first, first)
    assert "line 3 (MYSQL_PASSWORD), line 4 (BACKUP_HOST)" in told["error"]
    code, told, err = by_hand.manage("backup")
    assert code == 0, err
    assert f"Warning: {first}" in err
    (snapshot,) = [each for each in portal.snapshots() if each["id"] == told["snapshot_id"]]
    assert snapshot["hostname"] == "vedetta\\"
    _, told, err = by_hand.manage("status")
    assert [each["state"] for each in told["findings"] if each["key"] == "env_file"] == ["doubtful"]
    code, told, err = by_hand.manage("preflight")
    assert code == 1
    assert [each["name"] for each in told["checks"] if not each["ok"]] == [".env"]

    served = by_hand.python("-c", "import portal.wsgi")
    assert (served.returncode, first in served.stderr) == (0, True)
    assert "repositories" not in served.stderr + err
    assert "of-the-fixture" not in served.stderr + err


# Above, lines of which more is to be said; tests/sentinel/test_env_file.py has what is said of these.
@pytest.mark.soak
def test_a_name_that_stands_twice_is_told_and_nothing_fails_of_it(portal: Portal, tmp_path: Path) -> None:
    by_hand = ByHand(tmp_path / "vedetta", portal)
    (by_hand.folder / ".env").write_text(TWICE)
    counts = f"BACKUP_HOST stands 2 times in {by_hand.folder}/.env: line 4 counts, and line 1 does not."
    code, _, err = by_hand.manage("bootstrap")
    assert code == 0, err
    code, told, err = by_hand.manage("preflight")
    assert code == 0, err
    assert [each["ok"] for each in told["checks"] if each["detail"].startswith(counts)] == [True]
    _, told, _ = by_hand.manage("status")
    (finding,) = [each for each in told["findings"] if each["key"] == "env_file"]
    assert finding["reason"].startswith(counts)


@pytest.mark.soak
def test_nothing_new_is_set_up_with_such_a_line(portal: Portal, tmp_path: Path) -> None:
    by_hand = ByHand(tmp_path / "vedetta", portal)

    code, told, _ = by_hand.manage(
        "bootstrap",
        RESTIC_REPOSITORY=str(tmp_path / "new"),
        DATABASE_URL=f"sqlite:///{tmp_path}/new.sqlite3",
    )

    assert code == 1
    assert "Nothing new is set up with that." in told["error"]
    assert not (tmp_path / "new").exists()
