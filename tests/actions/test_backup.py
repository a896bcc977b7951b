"""A backup from end to end: real server, real restic, real files."""

from __future__ import annotations

import gzip
import json
import signal
import subprocess
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from pytest_django.fixtures import Settings

from backups import restic
from backups.catalog import learned
from backups.choices import Status
from backups.dumpfile.digesting import Digester
from backups.endpoints import repository_access
from backups.models import Database, Run, Snapshot
from sentinel import heartbeat
from tests.backups.conftest import MakeDatabase, MakePortal
from tests.backups.worlds import Portal, Shop, wait_until
from tests.servers import S3Server

BackUp = Callable[[Database], Run]


def stored(snapshot: Snapshot) -> bytes:
    """The dump as it lies in the repository."""
    access = repository_access(snapshot.repository)
    args = restic.dump_args(snapshot.snapshot_id, snapshot.path)
    return restic.call(access, restic.Command(args, "reading the dump")).stdout


def dumped_by_hand(shop: Shop) -> list[bytes]:
    """The statements that the server's own dump program gives, run by the administrator."""
    program = {"mariadb": "mariadb-dump", "mysql": "mysqldump"}[shop.server.flavour]
    defaults = shop.server.defaults_file()
    args: list[str | Path] = [
        shop.server.client_dir / program, f"--defaults-file={defaults}", "--single-transaction", "--routines",
        "--triggers", "--events", "--skip-dump-date", "--no-tablespaces", "--skip-add-locks",
        "--default-character-set=utf8mb4",
    ]  # fmt: skip
    args += ["--set-gtid-purged=OFF"] if shop.server.flavour == "mysql" else ["--dump-history"]
    done = subprocess.run([*args, shop.name], capture_output=True, check=True)
    return statements(done.stdout)


def statements(dump: bytes) -> list[bytes]:
    """A dump's lines without those that begin with a comment."""
    return [
        line for line in dump.splitlines() if line.strip() and not line.startswith((b"--", b"/*M!999999"))
    ]


def manifest_in(dump: bytes) -> dict[str, object] | None:
    digester = Digester()
    for _ in digester.feed(dump):
        pass
    for _ in digester.close():
        pass
    return digester.manifest()


@pytest.mark.one_flavour("mariadb")
def test_snapshot_holds_what_the_dump_program_gives_and_all_tell_of_it(
    shop: Shop, make_database: MakeDatabase, back_up: BackUp, settings: Settings
) -> None:
    database = make_database(shop)
    run = back_up(database)

    assert run.status == Status.SUCCEEDED, run.error
    snapshot = run.snapshot
    assert snapshot is not None
    dump = stored(snapshot)
    assert statements(dump) == dumped_by_hand(shop)
    assert manifest_in(dump) == snapshot.manifest
    assert len(dump) == snapshot.total_bytes_processed
    row_says_what_restic_says(database, run)
    run_tells_its_story(shop, database, run)
    written = heartbeat.stamp_read(settings.SENTINEL.heartbeat_path).time
    assert written is not None
    assert abs(written - snapshot.time) < timedelta(seconds=1)


def row_says_what_restic_says(database: Database, run: Run) -> None:
    snapshot = Snapshot.objects.get()
    (listed,) = restic.snapshots(repository_access(database.repository))
    assert (snapshot.snapshot_id, snapshot.time, snapshot.host) == (listed.id, listed.time, "vedetta")
    assert snapshot.tags == list(listed.tags) == ["vedetta", f"database:{database.name}"]
    assert (snapshot.database, snapshot.made_by, run.snapshot) == (database, run, snapshot)
    assert snapshot.data_added == listed.data_added
    manifest = snapshot.manifest
    assert manifest is not None
    assert manifest["sha256"] == snapshot.dump_sha256
    assert manifest["inventory"] == {
        "table": ["customers", "journal", "orders"],
        "view": ["open_orders"],
        "trigger": ["orders"],
        "event": ["nightly"],
        "procedure": ["close_orders"],
        "function": ["twice"],
    }


def run_tells_its_story(shop: Shop, database: Database, run: Run) -> None:
    assert [phase["name"] for phase in run.phases] == ["preflight", "dump", "confirm", "heartbeat"]
    assert run.started_at is not None
    assert run.finished_at is not None
    assert run.queued_at <= run.started_at < run.finished_at
    assert run.bytes_done == run.result["dump_bytes"]
    assert run.restic_version
    assert run.server_version.startswith({"mariadb": "MariaDB", "mysql": "MySQL"}[shop.server.flavour])
    assert run.client_version.split()[0] == run.server_version.split()[0]
    assert "Heartbeat written" in "\n".join(run.lines.values_list("text", flat=True))
    database.server.refresh_from_db()
    assert database.server.flavour == run.server_version.split()[0]


@pytest.mark.one_flavour("mariadb")
def test_gzipped_dump_holds_the_same(shop: Shop, make_database: MakeDatabase, back_up: BackUp) -> None:
    database = make_database(shop, dump_format="sql.gz")
    zipped = back_up(database).snapshot
    Database.objects.update(dump_format="sql")
    plain = back_up(Database.objects.get()).snapshot

    assert zipped is not None
    assert plain is not None
    assert (zipped.path, plain.path) == (f"/mysql/{shop.name}.sql.gz", f"/mysql/{shop.name}.sql")
    assert statements(gzip.decompress(stored(zipped))) == statements(stored(plain))
    assert zipped.dump_sha256 == plain.dump_sha256


# Below, the same by the command; tests/dumping/test_dump.py dumps twice.
@pytest.mark.soak
@pytest.mark.one_flavour("mariadb")
def test_same_data_again_adds_next_to_nothing_and_digests_the_same(
    shop: Shop, make_database: MakeDatabase, back_up: BackUp
) -> None:
    database = make_database(shop)
    first = back_up(database).snapshot
    second = back_up(database).snapshot

    assert first is not None
    assert second is not None
    assert first.dump_sha256 == second.dump_sha256
    assert second.data_added_packed is not None
    assert first.data_added_packed is not None
    assert second.data_added_packed < max(first.data_added_packed, 4096)


def test_no_earlier_snapshot_is_looked_for_and_still_nothing_is_stored_twice(mariadb_portal: Portal) -> None:
    """To find a parent, restic would read every snapshot of the repository."""
    for _ in range(2):
        assert mariadb_portal.backup().code == 0

    first, second = mariadb_portal.snapshots()

    assert first["paths"] == second["paths"]
    assert "parent" not in second
    assert second["summary"]["data_blobs"] == 0
    assert second["summary"]["data_added"] < 4096 < second["summary"]["total_bytes_processed"]


def test_heartbeat_is_withheld_while_the_last_check_found_damage(
    mariadb_shop: Shop, make_database: MakeDatabase, back_up: BackUp, settings: object
) -> None:
    database = make_database(mariadb_shop)
    learned.check_recorded(database.repository, error="a pack is damaged", all_data=False)

    run = back_up(database)

    assert run.status == Status.SUCCEEDED
    assert run.result["heartbeat"] == "withheld"
    path = settings.SENTINEL.heartbeat_path  # type: ignore[attr-defined]
    assert heartbeat.stamp_read(path).time is None


# tests/actions/test_identical.py backs the same databases up, and verifies that.
@pytest.mark.soak
def test_awkward_database_is_backed_up_on_either_server(
    awkward: Shop, make_database: MakeDatabase, back_up: BackUp
) -> None:
    """Names of any characters, every type, all bytes, hostile bodies."""
    run = back_up(make_database(awkward))

    assert run.status == Status.SUCCEEDED, run.error
    assert run.snapshot is not None
    assert manifest_in(stored(run.snapshot)) == run.snapshot.manifest


def test_empty_database_is_backed_up(
    mariadb_shop: Shop, make_database: MakeDatabase, back_up: BackUp
) -> None:
    server = mariadb_shop.server
    server.execute(f"DROP DATABASE `{mariadb_shop.name}`; CREATE DATABASE `{mariadb_shop.name}`")

    run = back_up(make_database(mariadb_shop))

    assert run.status == Status.SUCCEEDED, run.error
    assert run.snapshot is not None
    assert run.snapshot.manifest is not None
    assert run.snapshot.manifest["inventory"] == {}


def test_second_database_has_a_heartbeat_of_its_own(
    mariadb_shop: Shop, make_database: MakeDatabase, back_up: BackUp, settings: object
) -> None:
    back_up(make_database(mariadb_shop, name="archive/2026", is_primary=False))

    main = settings.SENTINEL.heartbeat_path  # type: ignore[attr-defined]
    assert heartbeat.stamp_read(main).time is None
    assert heartbeat.stamp_read(heartbeat.last_ok_path(main, "archive/2026")).time is not None


# ---------------------------------------------------------------- The command


@pytest.mark.parametrize("dump_format", ["sql", pytest.param("sql.gz", marks=pytest.mark.soak)])
@pytest.mark.one_flavour("mariadb")
def test_command_backs_up_into_a_folder(dump_format: str, shop: Shop, make_portal: MakePortal) -> None:
    portal = make_portal(shop, BACKUP_DUMP_FORMAT=dump_format)

    ran = portal.backup()

    assert ran.code == 0, ran.err
    (snapshot,) = portal.snapshots()
    row = portal.rows("SELECT * FROM backups_snapshot")[0]
    assert ran.json == {
        "status": "succeeded",
        "run_id": portal.run()["id"],
        "snapshot_id": snapshot["id"],
        "dump_bytes": snapshot["summary"]["total_bytes_processed"],
        "data_added": snapshot["summary"]["data_added"],
        "sha256": row["dump_sha256"],
        "log": json.loads(row["manifest"])["log"],
        "dump_connections": 1,
    }
    assert snapshot["paths"] == [f"/mysql/{shop.name}.{dump_format}"]
    assert portal.run()["status"] == "succeeded"
    beat = portal.heartbeat()
    assert beat is not None
    assert abs(beat - restic.parse_time(snapshot["time"])) < timedelta(seconds=1)
    assert portal.leftovers() == []
    assert shop.connections() == 0


# tests/faults/test_storage.py and tests/restoring have portals that back up into S3.
@pytest.mark.soak
@pytest.mark.one_flavour("mariadb")
def test_command_backs_up_into_s3(
    shop: Shop, s3_server: S3Server, s3_repository: str, make_portal: MakePortal
) -> None:
    portal = make_portal(shop, repository=s3_repository, **s3_server.environment)

    ran = portal.backup()

    assert ran.code == 0, ran.err
    (snapshot,) = portal.snapshots()
    assert snapshot["id"] == ran.json["snapshot_id"]
    assert portal.restic("dump", "latest", f"/mysql/{shop.name}.sql").endswith(b"\n")
    assert portal.leftovers() == []


def test_without_json_a_person_is_told(mariadb_portal: Portal) -> None:
    ran = mariadb_portal.manage("backup")

    assert ran.code == 0, ran.err
    assert ran.out.splitlines()[-1].startswith(f"Backed up {mariadb_portal.shop.name}: snapshot ")


def test_whoever_stops_reading_ends_no_backup(mariadb_portal: Portal) -> None:
    """`manage.py backup 2>&1 | head -1`: what nobody reads goes nowhere."""
    process = mariadb_portal.start("backup", real=True)
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    process.stderr.close()

    assert process.wait(timeout=90) == 0
    assert mariadb_portal.run()["status"] == "succeeded"


# tests/actions/test_check.py has both of them follow.
@pytest.mark.soak
def test_follow_ups_run_as_children(mariadb_shop: Shop, make_portal: MakePortal) -> None:
    portal = make_portal(mariadb_shop, BACKUP_CHECK_INTERVAL="1")

    assert portal.backup().code == 0

    parent = portal.run()["id"]
    children = portal.rows("SELECT action, status FROM backups_run WHERE parent_id = ? ORDER BY id", parent)
    assert [(child["action"], child["status"]) for child in children] == [
        ("forget", "succeeded"),
        ("check", "succeeded"),
    ]


@pytest.mark.one_flavour("mysql")
def test_bootstrap_and_preflight_find_everything_in_order(portal: Portal) -> None:
    again = portal.manage("bootstrap", "--json")
    preflight = portal.manage("preflight", "--json")

    assert (again.code, again.json) == (0, {"status": "succeeded", "notices": []})
    assert preflight.code == 0, preflight.err
    names = [check["name"] for check in preflight.json["checks"]]
    assert names[:12] == [
        "status folder", "restic", "repository", "database", "client", "privileges", "views", "tables",
        "connections", "schedule", "test restores", ".env",
    ]  # fmt: skip
    assert all(check["ok"] for check in preflight.json["checks"])


# tests/repositories/test_known.py has a second one made.
@pytest.mark.soak
def test_repository_is_made_where_there_is_none(
    mariadb_shop: Shop, make_portal: MakePortal, tmp_path: Path
) -> None:
    portal = make_portal(mariadb_shop, repository=str(tmp_path / "new"))
    again = portal.manage("repository", "init", "--json")

    assert again.code == 0, again.err
    assert portal.snapshots() == []
    assert portal.backup().code == 0


def test_snapshots_lists_what_the_repository_holds(mariadb_portal: Portal) -> None:
    backup = mariadb_portal.backup().json
    snapshot_id = backup["snapshot_id"]
    assert (backup["log"]["exact"], backup["log"]["why_not"]) == (False, "log_off")
    mariadb_portal.rows("SELECT 1")
    mariadb_portal.shell("from backups.models import Snapshot; Snapshot.objects.all().delete()")

    ran = mariadb_portal.manage("snapshots", "--json")

    (listed,) = ran.json["snapshots"]
    assert listed["snapshot_id"] == snapshot_id
    assert listed["database"] == mariadb_portal.shop.name
    assert listed["path"] == f"/mysql/{mariadb_portal.shop.name}.sql"
    assert listed["verified"] is False
    # Only the manifest tells it, which was in the row.
    assert listed["log"] is None
    assert datetime.fromisoformat(listed["time"]).tzinfo is not None


@pytest.mark.parametrize(
    "args",
    [
        ["backup", "--sideways"],
        pytest.param(["repository"], marks=pytest.mark.soak),
        pytest.param(["repository", "paint"], marks=pytest.mark.soak),
    ],
)
def test_wrong_usage_is_status_two(args: list[str], mariadb_shop: Shop, make_portal: MakePortal) -> None:
    ran = make_portal(mariadb_shop, set_up=False).manage(*args)

    assert ran.code == 2
    assert "usage:" in ran.err


def test_unknown_name_is_status_one(mariadb_portal: Portal) -> None:
    ran = mariadb_portal.manage("backup", "--json", "--database", "nosuch")

    assert ran.code == 1
    assert ran.json["status"] == "failed"
    assert ran.json["error"].startswith("There is no database called nosuch.")


def test_portal_that_is_not_set_up_is_status_one(mariadb_shop: Shop, make_portal: MakePortal) -> None:
    ran = make_portal(mariadb_shop, set_up=False).backup()

    assert ran.code == 1
    assert "run `manage.py bootstrap`" in ran.json["error"]


def test_portal_whose_databases_all_came_later_asks_which(
    mariadb_shop: Shop, make_portal: MakePortal
) -> None:
    portal = make_portal(mariadb_shop, set_up=False)
    portal.shell("""
from backups.models import Database, Repository
from tests.rows import a_server
main = Repository.objects.create(name="main", url="/nowhere")
for name in ("orders", "stock"):
    Database.objects.create(name=name, server=a_server("h"), database=name, repository=main)
""")
    ran = portal.backup()

    assert ran.code == 2
    assert ran.json["error"] == "No database was named. Say --database with one of: orders, stock."


@pytest.mark.one_flavour("mariadb")
@pytest.mark.soak
def test_second_backup_at_once_is_status_three(portal: Portal) -> None:
    with portal.shop.held("orders"):
        first = portal.start("backup", "--json")
        portal.shop.wait_for_a_waiting_dump()
        second = portal.backup()
    ended = portal.finish(first)

    assert second.code == 3
    assert second.json["status"] == "failed"
    assert "is running already" in second.json["error"]
    assert ended.code == 0
    assert len(portal.snapshots()) == 1


@pytest.mark.parametrize(
    "signal_number", [pytest.param(signal.SIGINT, marks=pytest.mark.soak), signal.SIGTERM]
)
@pytest.mark.one_flavour("mariadb")
def test_stopped_backup_is_status_130_within_five_seconds(
    portal: Portal, signal_number: signal.Signals
) -> None:
    with portal.shop.held("orders"):
        backup = portal.start("backup", "--json", real=True)
        portal.shop.wait_for_a_waiting_dump()
        began = time.monotonic()
        backup.send_signal(signal_number)
        ran = portal.finish(backup)
        took = time.monotonic() - began

    assert ran.code == 130
    assert ran.json["status"] == "failed"
    assert took < 5
    assert_nothing_came_of_it(portal, "cancelled")


@pytest.mark.one_flavour("mariadb")
def test_cancelled_backup_stops_within_five_seconds(portal: Portal) -> None:
    with portal.shop.held("orders"):
        backup = portal.start("backup", "--json")
        portal.shop.wait_for_a_waiting_dump()
        portal.cancel("backup")
        began = time.monotonic()
        ran = portal.finish(backup)
        took = time.monotonic() - began

    assert ran.code == 130
    assert took < 5
    assert_nothing_came_of_it(portal, "cancelled")


def assert_nothing_came_of_it(portal: Portal, status: str) -> None:
    # MySQL sees that a client is gone only when its statement has what it waited for.
    wait_until(lambda: portal.shop.connections() == 0, "the dump's connection to end", 5)
    run = portal.run()
    assert run["status"] == status
    assert run["error"].endswith("earlier snapshots are safe.")
    assert portal.heartbeat() is None
    assert portal.leftovers() == []
    assert portal.snapshots() == []
