"""What each kind of database takes for the portal's own rows, and what is said where it does not."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from backups.choices import Action, Trigger
from backups.models import Repository, Run
from backups.reports import own_database
from tests.backups.conftest import MakePortal
from tests.backups.worlds import Portal, Shop
from tests.portal_database.conftest import new_mariadb
from tests.servers import PostgreSQLServer

# ---------------------------------------------------------------- What others say may be of any length

SAY_MUCH = """
import json
from django.utils import timezone
from backups.choices import Action, Trigger
from backups.errors import Failure
from backups.models import Alert, Repository, Run, Snapshot, Verification
from backups.runs import lifecycle, notes
repository = Repository.objects.get()
run = Run.objects.create(action=Action.VERIFY, trigger=Trigger.CLI, repository=repository)
lifecycle.run_claim(run.pk, worker="w" * 300)
notes.run_phase(run.pk, "p" * 80)
notes.run_log(run.pk, [notes.line("a NUL \\0, an \\U0001f600")])
beat = lifecycle.Beat("p" * 80, 1, None, "d\\0" * 300)
lifecycle.run_beat(run.pk, beat)
notes.run_update(run.pk, server_version="8\\0" * 101, result={"said \\0": ["\\0 and \\udcff", {"n": 1}]})
snapshot = Snapshot.objects.create(repository=repository, snapshot_id="f" * 64, time=timezone.now(),
    host="h" * 300, path="/" + "p" * 600, tags=["t\\0"], manifest={"database": "shop\\0", "sha256": ""})
Verification.objects.create(run=run, snapshot=snapshot, verdict="good", source_version="v" * 200,
    scratch_address="a" * 400, differences=["\\0"])
Alert.objects.create(subject="s", title="t" * 400, text="\\0")
lifecycle.run_finish(run.pk, status="failed", failure=Failure("It said \\0.", "test.said"))
run.refresh_from_db()
snapshot.refresh_from_db()
print(json.dumps([run.lines.get().text, run.error, len(run.detail), run.phase, run.server_version[:3],
    len(run.server_version), len(snapshot.host), len(snapshot.path), run.result["said " + chr(0) * (
    "said " not in run.result)][1], run.status]))
"""


def test_what_is_said_of_a_run_is_cut_to_what_its_columns_hold(portal: Portal) -> None:
    told = json.loads(portal.shell(SAY_MUCH))

    assert told == [
        "a NUL , an \N{GRINNING FACE}", "It said .", 0, "p" * 50, "888", 100, 255, 500, {"n": 1}, "failed",
    ]  # fmt: skip


# ---------------------------------------------------------------- A copy goes from any kind to any other

WRITE = """
from backups.portal_copy import archive
with open({path!r}, "wb") as file:
    archive.write(file, made_by=0, tick=lambda: None)
"""
READ = """
from backups.portal_copy import archive
from backups.models import Repository, Run
with open({path!r}, "rb") as file:
    archive.restore(archive.lines_in(file), accept=lambda offered: None, then=lambda header: None)
"""
LIVED = """
from django.contrib.auth.models import User
from backups.models import Database, Repository, Run, RunLine, Snapshot
from django.utils import timezone
User.objects.create_user("ada", "ada@example.com", "a password of hers")
for number in range(30):
    run = Run.objects.create(action="backup", trigger="cli", repository=Repository.objects.get(),
        status="succeeded", finished_at=timezone.now(), result={"b": number, "a": [1.5, None, "ü"]})
    RunLine.objects.create(run=run, text=f"line {number} \\U0001f600 'quoted' \\\\ %s")
    Snapshot.objects.create(repository=run.repository, snapshot_id=f"{number:064x}", time=timezone.now(),
        path="/x.sql", made_by=run, manifest={"database": "x", "tables": {"ü": 1}})
Run.objects.filter(result__b__lt=10).delete()
"""
NEXT = """
from backups.models import Repository, Run
print(Run.objects.order_by("-pk")[0].pk, Run.objects.create(action="stats", trigger="cli",
    repository=Repository.objects.get()).pk)
"""


def told(file: Path) -> list[Any]:
    """A copy's lines, without those that say when it was made and of how many bytes."""
    return [json.loads(line) for line in file.read_bytes().splitlines()[1:-1]]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("sqlite", "postgresql"),
        *(
            pytest.param(old, new, marks=pytest.mark.soak)
            for old in ("sqlite", "mariadb", "postgresql")
            for new in ("sqlite", "mariadb", "postgresql")
            if (old, new) not in (("sqlite", "postgresql"), ("sqlite", "sqlite"))
        ),
    ],
)
def test_rows_are_the_same_and_the_next_has_the_next_number(
    old: str, new: str, mariadb_shop: Shop, make_portal: MakePortal, request: pytest.FixtureRequest
) -> None:
    def made(kind: str) -> Portal:
        if kind == "postgresql":
            server: PostgreSQLServer = request.getfixturevalue("postgresql_server")
            return make_portal(mariadb_shop, DATABASE_URL=server.new_database(migrated=True))
        if kind == "mariadb":
            return make_portal(mariadb_shop, DATABASE_URL=new_mariadb(mariadb_shop.server))
        return make_portal(mariadb_shop)

    before, after = made(old), made(new)
    before.shell(LIVED)
    copy, again = before.folder / "copy", after.folder / "copy"
    before.shell(WRITE.format(path=str(copy)))
    after.shell(READ.format(path=str(copy)) + WRITE.format(path=str(again)))

    assert told(again) == told(copy)
    newest, following = map(int, after.shell(NEXT).split())
    assert following == newest + 1


def test_what_sqlite_held_too_long_fits_elsewhere(
    mariadb_shop: Shop, make_portal: MakePortal, postgresql_server: PostgreSQLServer
) -> None:
    """A portal of before wrote it: SQLite has no widths."""
    before = make_portal(mariadb_shop)
    before.shell(
        LIVED
        + "from django.db import connection\n"
        + "connection.cursor().execute(\"UPDATE backups_snapshot SET path = '/' || hex(zeroblob(400))\")\n"
        + "connection.cursor().execute(\"UPDATE backups_runline SET text = 'a' || char(0) || 'b'\")\n"
    )
    after = make_portal(mariadb_shop, DATABASE_URL=postgresql_server.new_database(migrated=True))
    copy = before.folder / "copy"
    before.shell(WRITE.format(path=str(copy)))
    after.shell(READ.format(path=str(copy)))

    assert {len(row["path"]) for row in after.rows("SELECT path FROM backups_snapshot")} == {500}
    assert {row["text"] for row in after.rows("SELECT text FROM backups_runline")} == {"ab"}


# ---------------------------------------------------------------- Characters


def test_a_mariadb_database_without_all_characters_is_refused_before_anything_is_written(
    mariadb_shop: Shop, make_portal: MakePortal
) -> None:
    server = mariadb_shop.server
    address = new_mariadb(server, "latin1")
    name = address.rpartition("/")[2]
    portal = make_portal(mariadb_shop, set_up=False, DATABASE_URL=address)

    refused = portal.manage("bootstrap", "--json")

    assert refused.code == 1
    assert refused.json["error_code"] == "portal.database_charset"
    assert "its character set is latin1, not utf8mb4" in refused.json["error"]
    assert f"ALTER DATABASE `{name}` CHARACTER SET utf8mb4;" in refused.json["error"]
    migrating = portal.manage("migrate")
    assert migrating.code == 1
    assert "backups.E003" in migrating.err
    assert server.query(f"SHOW TABLES FROM `{name}`") == []

    server.execute(f"ALTER DATABASE `{name}` CHARACTER SET utf8mb4")
    assert portal.manage("bootstrap").code == 0


@pytest.mark.soak
def test_a_portal_that_is_on_one_already_goes_on_and_is_told(
    mariadb_shop: Shop, make_portal: MakePortal
) -> None:
    address = new_mariadb(mariadb_shop.server)
    portal = make_portal(mariadb_shop, DATABASE_URL=address)
    name = address.rpartition("/")[2]
    convert = "ALTER TABLE backups_runline CONVERT TO CHARACTER SET latin1"
    mariadb_shop.server.execute(f"ALTER DATABASE `{name}` CHARACTER SET latin1")
    mariadb_shop.server.execute(convert, name)

    ran = portal.manage("bootstrap")

    assert ran.code == 0
    assert "CONVERT TO CHARACTER SET utf8mb4" in ran.out
    assert f"ALTER DATABASE `{name}`" in portal.manage("preflight").out
    assert portal.backup().code == 0


# ---------------------------------------------------------------- Servers that are not to be had


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ((":opens@", ":wrong@"), "it refuses the user or the password"),
        pytest.param(
            ("/portal_", "/no_portal_"), "there is no such database or user", marks=pytest.mark.soak
        ),
        (None, "no server listens there"),
    ],
)
def test_a_postgresql_that_cannot_be_opened_is_told_in_one_sentence(
    change: tuple[str, str] | None, said: str, mariadb_shop: Shop, make_portal: MakePortal,
    postgresql_server: PostgreSQLServer,
) -> None:  # fmt: skip
    address = postgresql_server.new_database()
    old, new = change or (str(postgresql_server.port), "1")
    # The last one: its user is called as the database is.
    before, _, after = address.rpartition(old)
    address = f"{before}{new}{after}"
    portal = make_portal(mariadb_shop, set_up=False, DATABASE_URL=address)

    ran = portal.manage("backup", "--json")

    assert ran.code == 1
    assert ran.json["error"].startswith(f"The portal's database gives no answer ({said}); check DATABASE_URL")
    assert "Traceback" not in ran.err + ran.out
    assert "opens" not in ran.err + ran.out


# ---------------------------------------------------------------- One file, two machines


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("workers", "told"),
    [
        (["a:1:aaaaaaaa-1", "b:2:bbbbbbbb-7", "a:1:aaaaaaaa-1"], "(a, b)"),
        (["a:1:aaaaaaaa-1", "b:2:bbbbbbbb-7", "c:1:cccccccc-1", "a:5:aaaaaaaa-9"], "(a, b, c)"),
        # Started again, then again, on another machine.
        (["a:1:aaaaaaaa-1", "a:2:bbbbbbbb-7", "b:2:cccccccc-7"], ""),
        # Containers on one machine.
        (["a:1:aaaaaaaa-1", "b:2:aaaaaaaa-7", "a:1:aaaaaaaa-1"], ""),
        (["", "a:1:aaaaaaaa-1", "nonsense", "a:1:aaaaaaaa-1"], ""),
        ([], ""),
    ],
)
def test_two_machines_that_play_in_one_sqlite_file_are_named(workers: Sequence[str], told: str) -> None:
    repository = Repository.objects.create(name="main", url="/repository")
    for worker in workers:
        Run.objects.create(
            action=Action.STATS, trigger=Trigger.CLI, repository=repository, worker=worker,
            queued_at=timezone.now(),
        )  # fmt: skip

    found = own_database.finding()

    assert bool(found) == bool(told)
    if found:
        assert f"Several machines {told} play runs in one SQLite file" in found[0]
        assert "PostgreSQL" in found[1]
