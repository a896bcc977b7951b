"""The portal comes back from the repository: history, set-up and people, from the newest copy that fits."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import re
import shlex
import subprocess
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest
from django.conf import settings

from portal.cookies import cookie_name
from tests.backups.conftest import MakePortal
from tests.backups.worlds import Portal, Shop
from tests.portal_copy.conftest import NewDatabase
from tests.sentinel.conftest import StatusFolder, ask, gate_process

# What somebody did in the portal, and what was under way when it was copied.
LIVED = """
from django.contrib.auth.models import Group, User
from django.contrib.sessions.models import Session
from django.utils import timezone
from backups.choices import Trigger
from backups.errors import Failure
from backups.models import Database, Repository, Run, Server
from backups.requests import Asker, StatsRequest, UnlockRequest, VerifyRequest
from backups.runs import lifecycle, notes
ada = User.objects.create_user("ada", "ada@example.com", "a password of hers")
ada.groups.add(Group.objects.get(name="Restorer"))
Session.objects.create(session_key="of-hers", session_data="", expire_date=timezone.now())
Database.objects.update(backup_cron="5 1 * * *", keep_daily=3)
there = Server.objects.create(name="h:3306", host="h", user="u")
other = Database.objects.create(name="second", server=there, database="second", backup_cron="",
    verify_cron="", repository=Repository.objects.get())
failed = VerifyRequest(other).submit(Asker(Trigger.CLI), send=False)
lifecycle.run_claim(failed.pk, worker="")
notes.run_log(failed.pk, [notes.line("a line of a log — with ünicode")])
lifecycle.run_finish(failed.pk, status="failed", failure=Failure("It was not to be.", "test.not_to_be"))
running = StatsRequest(other.repository, other).submit(Asker(Trigger.CLI), send=False)
lifecycle.run_claim(running.pk, worker="")
UnlockRequest(other.repository, other).submit(Asker(Trigger.ADMIN), send=False)
"""
TOLD = """
import json
from django.contrib.auth import authenticate
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django_q.models import Schedule
from backups.models import Database, Run, Snapshot
print(json.dumps({
    "roles": [g.name for u in User.objects.filter(username="ada") for g in u.groups.all()],
    "may": User.objects.get(username="ada").has_perm("backups.run_restore"),
    "signs in": User.objects.get(username="ada").check_password("a password of hers"),
    "sessions": Session.objects.count(),
    "databases": list(Database.objects.values_list("name", "backup_cron", "keep_daily")),
    "held": Database.objects.exclude(lease_run=None).count(),
    "runs": [[r.action, r.trigger, r.status, r.error] for r in Run.objects.order_by("pk")],
    "lines": Run.objects.get(action="verify").lines.get().text,
    "snapshots": [[s.snapshot_id, s.made_by.action, bool(s.manifest)] for s in Snapshot.objects.all()],
    "scheduled": [s.cron for s in Schedule.objects.filter(func="backups.tasks.backup_due")],
    "next": Run.objects.create(action="stats", repository=Database.objects.first().repository).pk,
}))
"""


@pytest.mark.parametrize(
    "new_database",
    ["sqlite", *(pytest.param(each, marks=pytest.mark.soak) for each in ("mariadb", "mysql", "postgresql"))],
    indirect=True,
)
def test_all_that_people_did_comes_back_on_an_empty_machine(
    mariadb_shop: Shop, make_portal: MakePortal, new_database: NewDatabase
) -> None:
    # Of which kind the rows were, and are, makes no difference: tests/portal_database/test_kinds.py.
    lost = make_portal(mariadb_shop, BACKUP_PORTAL="true")
    lost.shell(LIVED)
    backed_up = lost.manage("backup", "--database", mariadb_shop.name, "--json")
    assert backed_up.code == 0, backed_up.err

    portal = make_portal(
        mariadb_shop, repository=lost.repository, set_up=False, BACKUP_PORTAL="true", **new_database()
    )
    ran = portal.manage("recover", "--history-only")

    assert ran.code == 0, ran.err
    assert "was restored: 7 runs, 2 databases, 1 person." in ran.out
    told = json.loads(portal.shell(TOLD))
    assert (told["roles"], told["may"], told["signs in"], told["sessions"]) == (["Restorer"], True, True, 0)
    assert told["databases"] == [["second", "", 7], [mariadb_shop.name, "5 1 * * *", 3]]
    assert told["held"] == 0
    assert told["lines"] == "a line of a log — with ünicode"
    assert told["snapshots"] == [[backed_up.json["snapshot_id"], "backup", True]]
    assert told["scheduled"] == ["5 1 * * *"]
    kinds = [(action, trigger, status) for action, trigger, status, _ in told["runs"]]
    assert kinds == [
        ("init", "cli", "succeeded"),
        ("verify", "cli", "failed"),
        ("stats", "cli", "lost"),
        ("unlock", "admin", "cancelled"),
        ("backup", "cli", "succeeded"),
        ("forget", "backup", "succeeded"),
        ("portal", "backup", "succeeded"),
        ("recover", "cli", "succeeded"),
    ]
    assert told["runs"][1][3] == "It was not to be."
    assert "In that copy this run was under way. How it ended is not known." in told["runs"][2][3]
    assert "Nothing was done." in told["runs"][3][3]
    assert portal.heartbeat() is None


def test_recover_brings_data_and_portal_back(mariadb_shop: Shop, make_portal: MakePortal) -> None:
    rows = mariadb_shop.query("SELECT * FROM orders")
    mariadb_shop.execute("ALTER DEFINER=`clerk`@`%` EVENT nightly ENABLE")
    portal = make_portal(mariadb_shop, BACKUP_PORTAL="true")
    saved = portal.backup()
    portal.shop.server.execute(f"DROP DATABASE `{portal.shop.name}`; CREATE DATABASE `{portal.shop.name}`")

    new = make_portal(portal.shop, repository=portal.repository, set_up=False)
    ran = new.manage("recover", "--json")

    to_enable = f"ALTER DEFINER=`clerk`@`%` EVENT `{portal.shop.name}`.`nightly` ENABLE;"
    told = dict(ran.json)
    assert told.pop("load_connections") >= 1
    assert told == {
        "status": "succeeded",
        "snapshot_id": saved.json["snapshot_id"],
        "to_restore": [],
        "events_disabled": ["nightly"],
        "events_to_enable": [to_enable],
    }
    assert f"as they are then:\n  {to_enable}" in ran.err
    assert portal.shop.query("SELECT * FROM orders") == rows
    backups = new.rows("SELECT \"trigger\" FROM backups_run WHERE action = 'backup' ORDER BY id")
    assert [row["trigger"] for row in backups] == ["cli"]


def test_what_was_backed_up_since_the_copy_is_named(portal: Portal, make_portal: MakePortal) -> None:
    """That this installation made it stands in no signed copy."""
    (saved, *_) = portal.rows("SELECT snapshot_id FROM backups_snapshot")
    later = portal.backup(BACKUP_PORTAL="false").json["snapshot_id"]

    new = make_portal(portal.shop, repository=portal.repository, set_up=False)
    ran = new.manage("recover", "--history-only", "--json")

    assert (ran.code, ran.json["snapshot_id"]) == (0, saved["snapshot_id"])
    assert ran.json["newer_strange_snapshot"] == later
    assert f"Snapshot {later[:8]} of" in ran.err
    assert f"restore it by its id: --snapshot {later[:8]}." in ran.err
    backups = new.rows("SELECT \"trigger\" FROM backups_run WHERE action = 'backup' ORDER BY id")
    assert [row["trigger"] for row in backups] == ["cli", "recovered"]


def test_recover_names_the_other_databases_with_the_command_that_restores_each(
    mariadb_shop: Shop, make_portal: MakePortal
) -> None:
    portal = make_portal(mariadb_shop, BACKUP_PORTAL="true")
    server, name, other = mariadb_shop.server, mariadb_shop.name, f"{mariadb_shop.name}__second"
    server.execute(f"CREATE DATABASE `{other}`; CREATE TABLE `{other}`.t (id INT PRIMARY KEY)")
    portal.shell(
        f"""
from backups.models import Database
second = Database.objects.get()
second.pk, second.is_primary, second.name, second.database = None, False, "second shop", "{other}"
second.save()
"""
    )
    for database in ("second shop", name):
        assert portal.manage("backup", "--database", database).code == 0
    server.execute(f"DROP DATABASE `{name}`; CREATE DATABASE `{name}`; DROP DATABASE `{other}`")

    new = make_portal(mariadb_shop, repository=portal.repository, set_up=False)
    ran = new.manage("recover", "--json")

    (left,) = ran.json["to_restore"]
    assert left["database"] == "second shop"
    assert f"  {left['command']}\n" in ran.err
    assert "back up each database that gates" in ran.err
    restored = new.manage(*shlex.split(left["command"])[1:])
    assert restored.code == 0, restored.err
    assert server.query(f"SHOW TABLES FROM `{other}`") == [("t",)]
    server.execute(f"DROP DATABASE `{other}`")


@pytest.mark.parametrize(
    "new_database",
    ["sqlite", *(pytest.param(each, marks=pytest.mark.soak) for each in ("mariadb", "mysql", "postgresql"))],
    indirect=True,
)
def test_a_worker_that_starts_rebuilds_an_empty_history_once_on_every_server(
    mariadb_shop: Shop, make_portal: MakePortal, new_database: NewDatabase
) -> None:
    """What the container asks at each start: nothing is said or played where there is a history."""
    asked = ("recover", "--history-only", "--if-empty")
    old = make_portal(mariadb_shop, **new_database())
    nothing_yet = old.manage(*asked)
    assert (nothing_yet.code, nothing_yet.out) == (0, "")
    assert old.backup().code == 0
    of_its_own = old.manage(*asked)
    assert (of_its_own.code, of_its_own.out) == (0, "")

    new = make_portal(mariadb_shop, repository=old.repository, **new_database())
    first, second = new.manage(*asked), new.manage(*asked)

    assert "The history is empty and the repository is not" in first.out
    assert (second.code, second.out) == (0, "")
    actions = new.shell(
        "from backups.models import Run; print(*Run.objects.values_list('action', flat=True))"
    )
    assert actions.split().count("recover") == 1


def test_a_portal_with_a_history_keeps_it(portal: Portal) -> None:
    before = portal.rows("SELECT id, action, finished_at FROM backups_run ORDER BY id")

    ran = portal.manage("recover", "--history-only")

    assert "The portal has a history of its own, which stays as it is." in ran.out
    assert "portal.sqlite3 away, then run `manage.py recover --history-only`" in ran.out
    after = portal.rows("SELECT id, action, finished_at FROM backups_run ORDER BY id")
    assert after[: len(before)] == before


# Below, with what people said of snapshots.
@pytest.mark.soak
def test_a_portal_that_was_only_set_up_gets_its_history_back(portal: Portal, make_portal: MakePortal) -> None:
    """As in a container, which sets up before anybody can say `recover`."""
    new = make_portal(portal.shop, repository=portal.repository)

    ran = new.manage("recover", "--history-only")

    assert "was restored: 4 runs" in ran.out
    assert new.run()["trigger"] == "cli"


# ---------------------------------------------------------------- Damaged and lost databases


def overwrite_whole(file: Path) -> None:
    file.write_bytes(b"no database at all" * 1000)


def overwrite_middle(file: Path) -> None:
    with file.open("r+b") as opened:
        opened.seek(4096 * 3)
        opened.write(os.urandom(4096 * 20))


@pytest.mark.parametrize("damage", [overwrite_whole, pytest.param(overwrite_middle, marks=pytest.mark.soak)])
def test_a_damaged_portal_database_is_named_moved_aside_and_replaced(
    damage: Callable[[Path], None], portal: Portal
) -> None:
    copied = portal.rows("SELECT id, action FROM backups_run ORDER BY id")
    damage(portal.database_file)
    damaged = portal.database_file.read_bytes()
    sentence = f"The portal's database {portal.database_file} is damaged."
    remedy = "Stop portal and worker and run `manage.py recover --history-only`"

    worker = portal.manage("worker")
    assert (worker.code, "Traceback" in worker.err) == (1, False)
    assert sentence in worker.err
    assert remedy in worker.err
    with gate_process(StatusFolder(portal.heartbeat_path), MYSQL_DATABASE=portal.shop.name) as (port, _):
        assert ask(port).body == "fresh"
        with portal.served() as url:
            own = int(url.rpartition(":")[2])
            assert ask(own).body == "fresh"
            assert ask(own, "/admin/login/?next=/admin/").code == 200
            page = ask(own, "/healthz")
            assert page.code == 503
            assert_told_on_a_page(portal, own)
        assert sentence in (portal.folder / "portal.log").read_text()

        ran = portal.manage("recover", "--history-only")

        assert ask(port).body == "fresh"
    assert ran.code == 0, ran.err
    assert "is damaged and was moved to" in ran.out
    aside = Path(ran.out.splitlines()[0].rpartition(" ")[2].rstrip("."))
    assert aside.read_bytes() == damaged
    assert portal.rows("SELECT id, action FROM backups_run ORDER BY id")[: len(copied)] == copied


# Above, it was damaged before the portal started.
@pytest.mark.soak
def test_pages_say_what_to_do_about_a_damaged_database(portal: Portal) -> None:
    with portal.served() as url:
        overwrite_whole(portal.database_file)
        port = int(url.rpartition(":")[2])
        assert_told_on_a_page(portal, port)
        assert ask(port).body == "fresh"


def assert_told_on_a_page(portal: Portal, port: int) -> None:
    """To somebody whose browser is signed in, as far as it knows."""
    place = {"ENGINE": "django.db.backends.sqlite3", "NAME": portal.database_file}
    session = cookie_name("session", settings.SECRET_KEY, place)
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request("GET", "/admin/", headers={"Cookie": f"{session}={'a' * 32}"})
    answer = connection.getresponse()

    assert answer.status == 503
    page = answer.read().decode()
    assert "Stop portal and worker and run" in page
    assert re.search(r"<code[^>]*>[^<]*recover --history-only</code>", page)
    connection.close()


def test_a_lost_portal_database_is_not_taken_for_a_new_one(portal: Portal) -> None:
    portal.database_file.unlink()

    worker = portal.manage("worker")

    assert worker.code == 1
    assert "is empty. Run `manage.py bootstrap` if it is new; if it was lost, run" in worker.err
    # Above, with a gate, which minds none of it.
    ran = portal.manage("recover", "--history-only")
    assert ran.code == 0, ran.err
    assert portal.run()["status"] == "succeeded"


def test_commands_say_what_to_do_about_a_damaged_database(portal: Portal) -> None:
    overwrite_whole(portal.database_file)

    for command in ("migrate", "bootstrap", "backup"):
        ran = portal.manage(command)
        assert (ran.code, "Traceback" in ran.err) == (1, False), ran.err
        assert "recover --history-only" in ran.err


# ---------------------------------------------------------------- Copies that cannot be used


def copy_of(portal: Portal) -> bytes:
    """What the newest copy holds."""
    listed = [s for s in json.loads(portal.restic("snapshots", "--json")) if "portal" in s["tags"]]
    return portal.restic("dump", listed[-1]["id"], f"/portal/{portal.shop.name}.jsonl")


def store_copy(portal: Portal, content: bytes) -> None:
    """Put a copy of our own making into the repository."""
    subprocess.run(
        [
            portal.restic_path, "backup", "--quiet", "--host", "vedetta", "--tag", "vedetta",
            "--tag", "portal", "--stdin", "--stdin-filename", f"/portal/{portal.shop.name}.jsonl",
        ],
        input=content, env={**os.environ, **portal.environment}, check=True,
    )  # fmt: skip


def with_migrations(content: bytes, **names: str) -> bytes:
    """The copy as a Vedetta of other migrations would have made it."""
    header, *lines, end = content.splitlines(keepends=True)
    if "backups" in names and names["backups"] < "0026":
        for table in ("LogArchive", "LogPiece", "LogMark", "LogGap", "ReplayProof"):
            lines = list(_without(f"backups.{table}", lines))
    if "backups" in names and names["backups"] < "0025":
        lines = list(_without("backups.Account", lines))
    if "backups" in names and names["backups"] < "0020":
        for table in ("backups.StandDown", "backups.Label", "backups.Database_labels"):
            lines = list(_without(table, lines))
    if "backups" in names and names["backups"] < "0023":
        lines = list(_without("backups.Channel", lines))
        lines = list(_without("backups.Channel_databases", lines))
    if "backups" in names and names["backups"] < "0018":
        lines = list(_without("backups.Pin", lines))
    if "backups" in names and names["backups"] < "0012":
        lines = list(_before_servers(lines))
    if "backups" in names and names["backups"] < "0006":
        lines = list(_before_suspicions(line for line in lines if b"backups.suspicion" not in line.lower()))
    told = json.loads(header)
    told["migrations"] = [[app, names.get(app, name)] for app, name in told["migrations"]]
    whole = b"".join([json.dumps(told).encode() + b"\n", *lines])
    rows = sum(line.startswith(b"[") for line in lines)
    assert rows <= json.loads(end)["rows"]
    ending = {"rows": rows, "sha256": hashlib.sha256(whole).hexdigest()}
    return whole + json.dumps(ending).encode() + b"\n"


def _without(table: str, lines: Iterable[bytes]) -> Iterator[bytes]:
    """The lines without what is told of a table."""
    is_of_it = False
    for line in lines:
        told = json.loads(line)
        if isinstance(told, dict):
            is_of_it = told["table"] == table
        if not is_of_it:
            yield line


def _before_servers(lines: Iterable[bytes]) -> Iterator[bytes]:
    """The lines with what a server's row says in the rows of its databases."""
    table = ""
    fields: list[str] = []
    servers: dict[int, list[object]] = {}
    for line in lines:
        told = json.loads(line)
        if isinstance(told, dict):
            table, fields = told["table"], told["fields"]
            if table == "backups.Database":
                at = fields.index("server_id")
                told["fields"] = [*fields[:at], *fields[at + 1 :], *SERVERS_OWN]
        elif table == "backups.Server":
            row = dict(zip(fields, told, strict=True))
            servers[row["id"]] = [row[name.removeprefix("server_")] for name in SERVERS_OWN]
        elif table == "backups.Database":
            at = fields.index("server_id")
            told = [*told[:at], *told[at + 1 :], *servers[told[at]]]
        if table != "backups.Server":
            yield json.dumps(told).encode() + b"\n"


SERVERS_OWN = (
    "host", "port", "user", "password_ref", "ssl_mode", "ssl_ca", "server_flavour", "server_version",
)  # fmt: skip
# Fields that came with those migrations and later ones.
LATER = {
    "definitions_left", "until", "tables_after", "restic_id", "hosts", "verdict", "signature", "made_here",
    "scratch_address", "verify_host", "verify_port", "verify_user", "verify_password_ref",
    "verify_ssl_mode", "verify_ssl_ca", "request", "error_code", "error_params", "slot", "waits_for_id",
    "priority", "parts", "disk_bytes", "disk_free_bytes", "disk_seen_at", "disk_full_at", "event",
}  # fmt: skip


def _before_suspicions(lines: Iterable[bytes]) -> Iterator[bytes]:
    """The lines without the fields that came since, and their values."""
    kept: list[int] = []
    for line in lines:
        told = json.loads(line)
        if isinstance(told, dict):
            # A database has had a host all along.
            later = LATER | ({"host"} if told["table"] == "backups.Run" else set())
            kept = [at for at, name in enumerate(told["fields"]) if name not in later]
            told["fields"] = [told["fields"][at] for at in kept]
        else:
            told = [told[at] for at in kept]
        yield json.dumps(told).encode() + b"\n"


def changed(content: bytes) -> bytes:
    """One name is another."""
    assert b'"Viewer"' in content
    return content.replace(b'"Viewer"', b'"Vievver"', 1)


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        *(
            pytest.param(spoil, "It is not whole, or was changed.", marks=pytest.mark.soak)
            for spoil in (
                lambda content: content[: len(content) // 2],
                changed,
                lambda _: b"\n",
                lambda _: b"\x00\xff" * 100_000,
                lambda _: b"[" * 100_000,
            )
        ),
        pytest.param(
            lambda _: b'{"something": "else"}\n' * 100_000,
            "It is no copy of a portal.",
            marks=pytest.mark.soak,
        ),
        (
            lambda content: with_migrations(content, backups="9999_of_the_future"),
            "It was made by a newer Vedetta than this one.",
        ),
    ],
    ids=["half", "changed", "empty", "binary", "deep", "other", "newer"],
)
def test_a_copy_that_cannot_be_used_is_named_and_the_one_before_taken(
    spoil: Callable[[bytes], bytes], complaint: str, portal: Portal, make_portal: MakePortal
) -> None:
    store_copy(portal, spoil(copy_of(portal)))

    new = make_portal(portal.shop, repository=portal.repository, set_up=False)
    ran = new.manage("recover", "--history-only")

    assert ran.code == 0, ran.err
    assert f"cannot be used. {complaint}" in ran.out
    assert "was restored: 4 runs" in ran.out
    assert new.run()["trigger"] == "cli"


@pytest.mark.soak
def test_a_copy_of_an_older_schema_is_restored_and_migrated(portal: Portal, make_portal: MakePortal) -> None:
    store_copy(portal, with_migrations(copy_of(portal), backups="0002_alert"))

    new = make_portal(portal.shop, repository=portal.repository, set_up=False)
    ran = new.manage("recover", "--history-only")

    assert ran.code == 0, ran.err
    assert "cannot be used" not in ran.out
    assert new.run()["trigger"] == "cli"


PAUSE_AND_LABEL = """
from backups.choices import StandDownKind
from backups.keeping import stand_downs
from backups.models import Database, Label
database = Database.objects.get()
stand_downs.begin(database, StandDownKind.PAUSE, stand_downs.Wish("The server moves.", "anna"))
database.labels.add(Label.objects.create(name="production"))
"""


@pytest.mark.soak
def test_what_people_said_of_snapshots_and_databases_comes_back(
    portal: Portal, make_portal: MakePortal
) -> None:
    portal.shell(PAUSE_AND_LABEL)
    pinned = portal.manage("backup", "--pin", "before migration 42", "--until", "2099-01-31")
    assert pinned.code == 0, pinned.err
    assert "holds the portal itself" in pinned.out

    # Set up already, as in a container.
    new = make_portal(portal.shop, repository=portal.repository)
    ran = new.manage("recover", "--history-only")

    assert ran.code == 0, ran.err
    assert "was restored: " in ran.out
    assert "until 2099-01-31" in (told := new.manage("pins").out)
    assert "before migration 42" in told
    status = json.loads(new.manage("status", "--json").out)
    assert [each["paused"]["reason"] for each in status["databases"]] == ["The server moves."]
    labelled = "from backups.models import Label; print(Label.objects.get().databases.count())"
    assert new.shell(labelled) == "1"


def test_without_a_copy_the_history_is_rebuilt_from_the_snapshots(
    mariadb_shop: Shop, make_portal: MakePortal
) -> None:
    portal = make_portal(mariadb_shop)
    assert portal.backup().code == 0

    new = make_portal(mariadb_shop, repository=portal.repository, set_up=False)
    ran = new.manage("recover", "--history-only")

    assert "The repository holds no copy of the portal's own database." in ran.out
    assert new.run()["trigger"] == "recovered"
