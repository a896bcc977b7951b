"""Servers that call themselves something else: nothing of a backup changes, and preflight says so."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from backups import mysql
from backups.actions import preflight
from backups.choices import RestoreMode
from tests.actions.tools import back_up, verdict, verify
from tests.backups.conftest import MakeDatabase
from tests.backups.worlds import SHOP, Shop, make_shop
from tests.compat.test_clients import folder_of
from tests.dumping.test_dump import dumped, dumped_from, server_of
from tests.restoring.stories import content, drop_all, make_restorable, restore, with_events_disabled
from tests.servers import DatabaseServer
from tests.servers.disguise import Disguise

OF_MARIADB = "CREATE SEQUENCE numbers; CREATE TABLE numbered (id INT DEFAULT NEXTVAL(numbers));"
SAID = [
    "8.0.11", "5.5.30", "5.5.5-10.11.19-MariaDB", "26.7.0", "26.7.0-MariaDB", "", "rubbish", "x" * 300,
    "4.0.1", "\udcff\udcfe", f"{'9' * 5000}.1.1", "9.7.4; DROP TABLE customers", "10.2.0-MariaDB",
]  # fmt: skip
TRUE_NUMBER = {"mariadb": (10, 11), "mysql": (9, 7)}


def all_kinds(server: DatabaseServer) -> Shop:
    """A shop with all that a dump program may leave out for a server that it takes for an old one."""
    return make_restorable(server, SHOP + (OF_MARIADB if server.flavour == "mariadb" else ""))


def seen_through(shop: Shop, disguise: Disguise) -> Shop:
    """The same shop, reached through a disguise."""
    return replace(shop, server=cast(DatabaseServer, disguise))


@pytest.fixture(scope="module")
def shop(db_server: DatabaseServer) -> Iterator[Shop]:
    """A shop of all kinds that is only looked at."""
    shop = all_kinds(db_server)
    yield shop
    drop_all(shop)


WHERE = {"greeting": (True, False), "answers": (False, True), "everywhere": (True, True)}
QUICK = {("8.0.11", "greeting"): "mysql", ("rubbish", "everywhere"): "mariadb"}


@pytest.mark.parametrize(
    ("said", "where"),
    [
        pytest.param(
            said, where, id=f"{ascii(said)[1:12]}-{where}",
            marks=pytest.mark.one_flavour(QUICK[said, where]) if (said, where) in QUICK else pytest.mark.soak,
        )
        for said in SAID for where in WHERE
    ],
)  # fmt: skip
def test_a_dump_is_the_same_whatever_the_server_calls_itself(shop: Shop, said: str, where: str) -> None:
    greets, answers = WHERE[where]
    with Disguise(shop.server, said, greets=greets, answers=answers) as disguise:
        other = seen_through(shop, disguise)
        with mysql.connect(server_of(other)) as connection:
            info = mysql.probe(connection)
        manifest = dumped(other)

    wanted = dumped(shop)
    assert info.number[:2] == TRUE_NUMBER[shop.server.flavour]
    assert manifest["sections"] == wanted["sections"]
    assert manifest["inventory"] == wanted["inventory"]
    assert {"trigger", "event", "procedure", "function"} <= manifest["inventory"].keys()
    assert mysql.version_number(manifest["server"]["version"]) == info.number


@pytest.mark.soak
def test_a_dump_over_several_connections_is_the_same_too(shop: Shop) -> None:
    with Disguise(shop.server, "rubbish") as disguise:
        manifest = dumped_from(server_of(seen_through(shop, disguise)), shop, connections=4)
        greetings = disguise.greetings

    assert manifest["sections"] == dumped(shop)["sections"]
    assert greetings > 4


@pytest.mark.one_flavour("mariadb")
def test_preflight_says_what_a_server_calls_itself(shop: Shop, make_database: MakeDatabase) -> None:
    with Disguise(shop.server, "26.7.0") as disguise:
        found = preflight.make_ready(make_database(seen_through(shop, disguise)))

    odd, newer = (text for text in found.warnings if "26.7.0" in text)
    assert f"calls itself 26.7.0, but it behaves as {found.source.info}" in odd
    assert "26.7.0 is newer than any M" in newer
    assert found.source.programs.flavour == {"mariadb": "MariaDB", "mysql": "MySQL"}[shop.server.flavour]


@pytest.mark.parametrize(
    "said",
    ["8.0.11"]
    + [pytest.param(said, marks=pytest.mark.soak) for said in SAID if "\0" not in said and said.isascii()],
)
def test_mariadb_under_another_version_is_backed_up_verified_and_restored(
    said: str, make_database: MakeDatabase
) -> None:
    """Its greeting, its variables and its answers all say so."""
    with DatabaseServer("mariadb", options=[f"--version={said}"]) as server:
        shop = all_kinds(server)
        wanted = content(server, shop.name) if said in ("26.7.0", "26.7.0-MariaDB") else []
        database = make_database(shop)

        snapshot = back_up(database)
        found = verdict(verify(database))
        run = restore(database, RestoreMode.NEW, snapshot=snapshot, target=f"{shop.name}_copy")

        assert found.verdict == "identical", found.differences
        assert run.status == "succeeded", run.error
        held = snapshot.manifest["inventory"] if snapshot.manifest else {}
        assert held["sequence"] == ["numbers"]
        assert held.keys() >= {"trigger", "event", "procedure", "function"}
        if wanted:
            assert content(server, f"{shop.name}_copy") == with_events_disabled(wanted)


@pytest.mark.parametrize(
    ("version", "claimed", "flavour", "said"),
    [
        ("10.11.19-MariaDB", None, "MariaDB", []),
        ("9.7.4", None, "MySQL", []),
        ("12.3.1-MariaDB", None, "MariaDB", ["MariaDB 12.3.1 is newer than any MariaDB"]),
        ("26.7.0", None, "MySQL", ["MySQL 26.7.0 is newer than any MySQL"]),
        ("10.11.19", "8.0.11", "MariaDB", ["calls itself 8.0.11, but it behaves as MariaDB 10.11.19"]),
        ("10.11.19", "", "MariaDB", ["calls itself nothing,"]),
        ("10.11.19", "27.1", "MariaDB", ["calls itself 27.1,", "27.1 is newer than any MariaDB"]),
        ("9.7.4", "11.9.1-MariaDB", "MySQL", ["calls itself 11.9.1-MariaDB,"]),
        ("9.7.4", "\x1b[31m" + "y" * 300, "MySQL", [f"calls itself �[31m{'y' * 55}…,"]),
    ],
)
def test_what_is_said_of_a_version(version: str, claimed: str | None, flavour: str, said: list[str]) -> None:
    info = mysql.ServerInfo(flavour, version, claimed=claimed)

    told = mysql.server_warnings(info)

    assert len(told) == len(said)
    assert all(part in text for part, text in zip(said, told, strict=True))


@pytest.mark.parametrize(
    ("greeting", "changes", "refused"),
    [
        ("8.0.11", {}, False),
        ("8.0.11", {"ssl_mode": "REQUIRED"}, False),
        ("8.0.11", {"ssl_mode": "VERIFY_IDENTITY", "ssl_ca": "/ca"}, True),
        ("rubbish", {"ssl_mode": "VERIFY_CA", "ssl_ca": "/ca"}, True),
        ("rubbish", {"host": "localhost"}, False),
        ("rubbish", {"host": "/run/mysqld/mysqld.sock"}, True),
        ("26.7.0", {"ssl_mode": "VERIFY_IDENTITY", "ssl_ca": "/ca"}, False),
        (None, {"ssl_mode": "VERIFY_IDENTITY", "ssl_ca": "/ca"}, False),
    ],
)
def test_a_greeting_that_cannot_be_put_right_is_refused(
    greeting: str | None, changes: dict[str, str], refused: bool
) -> None:
    server = replace(mysql.Server("db.example", 3306, "u", "p"), **changes)  # type: ignore[arg-type]
    info = mysql.ServerInfo("MariaDB", "10.11.19", claimed=greeting, greeting=greeting)

    if not refused:
        mysql.refuse_uncorrectable(server, info)
        return
    with pytest.raises(mysql.MySQLProblem, match="would silently leave things out") as told:
        mysql.refuse_uncorrectable(server, info)
    assert "mysql-server_version in ProxySQL's" in told.value.do


def test_a_dump_under_a_changed_greeting_is_encrypted_as_demanded(tls_server: DatabaseServer) -> None:
    shop = make_shop(tls_server)
    tls_server.execute(f"ALTER USER '{shop.user}'@'%' REQUIRE SSL")
    with Disguise(tls_server, "rubbish") as disguise:
        server = replace(server_of(seen_through(shop, disguise)), ssl_mode="REQUIRED")

        manifest = dumped_from(server, shop)

    assert manifest["inventory"] == dumped_from(replace(server, port=tls_server.port), shop)["inventory"]
    assert "procedure" in manifest["inventory"]


def test_a_port_for_a_dump_is_gone_with_it(shop: Shop) -> None:
    with Disguise(shop.server, "rubbish") as disguise:
        server = server_of(seen_through(shop, disguise))
        with mysql.connect(server) as connection:
            info = mysql.probe(connection)
        with mysql.corrected(server, info) as told, mysql.connect(told) as connection:
            assert mysql.version_number(connection.get_server_info()) == info.number
        with pytest.raises(mysql.MySQLProblem), mysql.connect(told):
            pass


@pytest.mark.parametrize(
    ("help_text", "flavour"),
    [("  --set-gtid-purged[=name] \n", "MySQL"), ("  --gtid   Used together\n", "MariaDB"), ("", "MariaDB")],
)
def test_a_dump_program_is_told_by_its_options(tmp_path: Path, help_text: str, flavour: str) -> None:
    """Its version says MariaDB, as a wrapper's may; the options decide where it lists them."""
    folder = folder_of(tmp_path / "bin", "mariadb", ("mysqldump",))
    program = tmp_path / "bin" / "mysqldump"
    program.write_text(program.read_text() + f"[ $# = 2 ] && printf '%s' '{help_text}'\nexit 0\n")

    found = mysql.clients(mysql.ServerInfo(flavour, "9.7.4"), folder)

    assert found.flavour == flavour
    assert found.knows("set-gtid-purged", since=(99,)) == (flavour == "MySQL")
