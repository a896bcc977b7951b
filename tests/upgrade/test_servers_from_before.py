"""A portal of the version in whose rows databases named their servers themselves: each server becomes a row.

`before/servers/` was made by that version: `shop` and `blog` lie on one server, `stock` on another.
`portal.sql` is its own database, `portal_copy.jsonl` its copy of that. `worker.sql` is what its worker
sent for its databases' rows during a backup, but for the run's number; `new_database.sql` is what its
`bootstrap` sent for a database that it did not know.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.backups.conftest import MakePortal
from tests.backups.worlds import Portal, Shop
from tests.portal_copy.conftest import NewDatabase, new_database
from tests.portal_copy.test_recover import store_copy
from tests.restoring.stories import may_restore
from tests.servers import DatabaseServer
from tests.upgrade.earlier import earlier_portal, earlier_shop, written

__all__ = ["new_database"]

BEFORE = Path(__file__).with_name("before")
VERSION = "10.11.6-MariaDB"
OF_A_DATABASE = "host, port, user, password_ref, ssl_mode, ssl_ca, server_flavour, server_version"
SERVERS = """
SELECT d.name, s.name AS server, s.host, s.port, s.user, s.password_ref, s.flavour, s.version
FROM backups_database d JOIN backups_server s ON s.id = d.server_id ORDER BY d.id
"""
# Three databases on two servers, one of them on the first's with another user.
MORE = """
from backups.models import Database, Server
shop = Database.objects.get()
Server.objects.update(flavour="mariadb", version="10.11.6-MariaDB")
there = Server.objects.get()
other = Server.objects.create(name="mine", host=there.host, port=there.port, user="U", ssl_mode="VERIFY_CA",
    ssl_ca="/ca.pem", password_ref="env:RESTIC_PASSWORD")
for name, server in (("blog", there), ("stock", other)):
    Database.objects.create(name=name, database=name, server=server, repository=shop.repository,
        backup_cron="", verify_cron="", gates_app=False)
"""
TOLD = """
import hashlib
import json
from backups.models import Database, Server
fields = ("host", "port", "user", "password_ref", "ssl_mode", "ssl_ca", "flavour", "version")
print(json.dumps([
    [list(Database.objects.order_by("name").values_list("name", *(f"server__{f}" for f in fields)))],
    sorted(Server.objects.values_list("name", flat=True)),
]))
"""
# What was sent to SQLite, sent to whichever engine it is.
SENT = """
from pathlib import Path
from django.db import connection
with connection.cursor() as cursor:
    if connection.vendor == "mysql":
        cursor.execute("SET sql_mode = CONCAT(@@sql_mode, ',ANSI_QUOTES')")
    for statement in Path({file!r}).read_text().splitlines():
        cursor.execute(statement)
"""
BY_ITS_WORKER = SENT.format(file=str(BEFORE / "servers" / "worker.sql"))
LEARNED = {"server_flavour": "MariaDB", "server_version": "10.11.19-MariaDB-0+deb12u1"}
# As a version sees them that has these columns still.
COLUMNS = f"""
import json
from django.db import connection
with connection.cursor() as cursor:
    cursor.execute("SELECT name, {OF_A_DATABASE} FROM backups_database ORDER BY id")
    names = [column[0] for column in cursor.description]
    print(json.dumps([dict(zip(names, row)) for row in cursor.fetchall()]))
"""
ONE_MORE = """
from backups.models import Database, Repository, Server
there = Server.objects.create(name="there", host="db.example.com", port=3307, user="V")
Database.objects.create(name="more", database="more", server=there, repository=Repository.objects.get(),
    backup_cron="", verify_cron="", gates_app=False)
"""


@pytest.fixture(scope="module")
def server() -> Iterator[DatabaseServer]:
    """A server with two databases as that version left them."""
    with DatabaseServer("mariadb") as server:
        for name in ("shop", "blog"):
            server.create_database(name)
            server.client("--binary-mode", "--comments", name, stdin=(BEFORE / "shop.sql").read_bytes())
        rights = [*may_restore(server, "shop"), *may_restore(server, "blog")]
        server.create_user("vedetta", "of-the-fixture", rights)
        yield server


@pytest.fixture
def portal(server: DatabaseServer, tmp_path: Path, restic_path: Path) -> Portal:
    """The portal of before, where only the server's port and the folders are others."""
    rows, environment = BEFORE / "servers" / "portal.sql", {"VEDETTA_KEY": ""}
    portal = earlier_portal(rows, BEFORE, tmp_path, earlier_shop(server), restic_path, environment)
    written(portal, "UPDATE backups_database SET port = ? WHERE host = ?", server.port, server.host)
    return portal


def test_databases_of_one_server_share_its_row_and_are_backed_up_as_before(portal: Portal) -> None:
    port = portal.shop.server.port
    before = portal.rows(f"SELECT name, {OF_A_DATABASE} FROM backups_database ORDER BY id")

    assert portal.manage("bootstrap").code == 0

    ours = {"server": f"127.0.0.1:{port}", "host": "127.0.0.1", "port": port, "user": "vedetta",
            "password_ref": "env:MYSQL_PASSWORD", "flavour": "mariadb", "version": VERSION}  # fmt: skip
    theirs = {"server": f"db.example.com:{before[2]['port']}", "host": "db.example.com",
              "port": before[2]["port"], "user": "keeper", "password_ref": "env:MYSQL_PASSWORD",
              "flavour": "", "version": ""}  # fmt: skip
    assert portal.rows(SERVERS) == [
        {"name": "shop", **ours}, {"name": "blog", **ours}, {"name": "stock", **theirs},
    ]  # fmt: skip
    for name in ("shop", "blog"):
        ran = portal.manage("backup", "--database", name, "--json")
        assert ran.code == 0, ran.err

    assert portal.manage("migrate", "backups", "0011").code == 0
    after = portal.rows(f"SELECT name, {OF_A_DATABASE} FROM backups_database ORDER BY id")
    learned = {row["name"]: row["server_version"] for row in after}
    assert learned["shop"] == learned["blog"] != ""
    for row in (*before, *after):
        del row["server_flavour"], row["server_version"]
    assert after == before


def test_a_worker_of_before_goes_on_while_its_database_is_migrated(portal: Portal) -> None:
    before = columns_of_before(portal)

    assert portal.manage("bootstrap").code == 0

    assert columns_of_before(portal) == before
    portal.shell(BY_ITS_WORKER)
    assert columns_of_before(portal) == [before[0] | LEARNED, *before[1:]]
    ran = portal.manage("backup", "--database", "shop", "--json")
    assert ran.code == 0, ran.err


def test_nobody_of_before_adds_a_database_that_lies_on_no_server(portal: Portal) -> None:
    before = columns_of_before(portal)
    assert portal.manage("bootstrap").code == 0

    ran = portal.manage(
        "shell", "--no-imports", "-c", SENT.format(file=str(BEFORE / "servers" / "new_database.sql"))
    )

    assert ran.code == 1
    assert "NOT NULL constraint failed: backups_database.server_id" in ran.err
    assert columns_of_before(portal) == before


def columns_of_before(portal: Portal) -> list[dict[str, object]]:
    """What the rows of databases say of servers."""
    told = json.loads(portal.shell(COLUMNS))
    assert isinstance(told, list)
    return told


# Above, the way there and back on SQLite.
@pytest.mark.soak
@pytest.mark.parametrize("new_database", ["mariadb", "mysql"], indirect=True)
def test_the_way_back_and_forth_on_a_server(
    mariadb_shop: Shop, make_portal: MakePortal, new_database: NewDatabase
) -> None:
    """Names are given anew. Such a server takes two users for one who differ in capitals alone."""
    portal = make_portal(mariadb_shop, **new_database())
    portal.shell(MORE)
    rows, _ = json.loads(portal.shell(TOLD))

    assert portal.manage("migrate", "backups", "0011").code == 0
    assert portal.manage("migrate").code == 0

    address = f"{mariadb_shop.server.host}:{mariadb_shop.server.port}"
    assert json.loads(portal.shell(TOLD)) == [rows, sorted([address, f"U@{address}"])]

    portal.shell(BY_ITS_WORKER)
    assert LEARNED.items() <= columns_of_before(portal)[0].items()
    portal.shell(ONE_MORE)
    assert columns_of_before(portal)[-1]["host"] == ""
    now, _ = json.loads(portal.shell(TOLD))
    assert portal.manage("migrate", "backups", "0011").code == 0
    assert columns_of_before(portal)[-1]["host"] == "db.example.com"
    assert portal.manage("migrate").code == 0
    assert json.loads(portal.shell(TOLD))[0] == now


def copy_of_before(port: int) -> bytes:
    """The copy, but for the server's port."""
    *lines, end = (BEFORE / "servers" / "portal_copy.jsonl").read_bytes().splitlines(keepends=True)
    whole = b"".join(lines).replace(b'"127.0.0.1",60935,', f'"127.0.0.1",{port},'.encode())
    told = json.loads(end) | {"sha256": hashlib.sha256(whole).hexdigest()}
    return whole + json.dumps(told).encode() + b"\n"


def test_a_copy_of_the_portal_of_before_is_taken_over(portal: Portal, make_portal: MakePortal) -> None:
    store_copy(portal, copy_of_before(portal.shop.server.port))

    new = make_portal(portal.shop, repository=portal.repository, set_up=False)
    ran = new.manage("recover", "--history-only", "--trust-copy")

    assert ran.code == 0, ran.err
    assert "cannot be used" not in ran.out
    assert "stock: stock on db.example.com:" in ran.out
    servers = {row["name"]: row["server"] for row in new.rows(SERVERS)}
    assert servers["shop"] == servers["blog"] != servers["stock"]
    assert len(new.rows("SELECT * FROM backups_server")) == 2
