"""A changed `.env` under a portal that is there: rows stay what they are until a person says what it is."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from backups import endpoints, keys
from backups.configuration import bootstrap, environment
from backups.errors import Problem
from backups.management.base import database_named, repository_named
from backups.models import Database, Repository, Server, Snapshot
from sentinel import heartbeat
from tests.backups.conftest import MakePortal
from tests.backups.worlds import Portal, Shop, copy_repository, make_shop
from tests.restoring.stories import content
from tests.rows import a_server

WHEN = datetime(2026, 3, 1, 12, tzinfo=UTC)
KNOWN = {
    "MYSQL_HOST": "db", "MYSQL_PORT": 3306, "MYSQL_DATABASE": "shop", "MYSQL_USER": "u",
    "RESTIC_REPOSITORY": "/srv/repository",
}  # fmt: skip
OTHER_NAME = {"MYSQL_DATABASE": "other"}
OTHER_HOST = {"MYSQL_HOST": "db2"}
OTHER_PORT = {"MYSQL_PORT": 3307}
OTHER_REPOSITORY = {"RESTIC_REPOSITORY": "/srv/elsewhere"}
ROW = (
    "name",
    "server__host",
    "server__port",
    "database",
    "is_primary",
    "repository__name",
    "repository__url",
)


@pytest.fixture
def says(db: None, settings: Settings, tmp_path: Path) -> Any:
    """Sets what the environment says; at first what the portal is then set up with."""
    settings.SENTINEL = dataclasses.replace(settings.SENTINEL, heartbeat_path=tmp_path / "status" / "last_ok")

    def says(**more: object) -> None:
        for name, value in (KNOWN | more).items():
            setattr(settings, name, value)

    says()
    bootstrap.from_environment()
    return says


@pytest.fixture
def backed_up(says: Any) -> Snapshot:
    """A snapshot of the database that was set up first."""
    first = Database.objects.get()
    return Snapshot.objects.create(
        database=first, repository=first.repository, snapshot_id="a" * 64, time=WHEN, path="/mysql/shop.sql"
    )


def rows() -> list[tuple[Any, ...]]:
    return list(Database.objects.order_by("pk").values_list(*ROW))


SHOP = ("shop", "db", 3306, "shop", True, "main", "/srv/repository")


def test_an_environment_that_is_as_it_was_changes_nothing(says: Any, backed_up: Snapshot) -> None:
    Database.objects.update(name="orders tracker", keep_daily=3)
    says(MYSQL_USER="another")

    bootstrap.from_environment()
    bootstrap.from_environment(moved=["database", "repository"], new=["database", "repository"])

    assert rows() == [("orders tracker", *SHOP[1:])]
    assert Database.objects.get().server.user == "another"
    assert environment.disagreement(Database.objects.get()) is None
    assert database_named(None) == Database.objects.get()


@pytest.mark.parametrize("said", ["/srv/repository/", "//srv//repository", "local:/srv/repository"])
def test_slashes_that_mean_nothing_ask_nothing(says: Any, backed_up: Snapshot, said: str) -> None:
    says(RESTIC_REPOSITORY=said)
    assert environment.disagreement(Database.objects.get()) is None

    bootstrap.from_environment()

    assert rows() == [SHOP]


def test_localhost_is_the_address_that_it_means(says: Any, backed_up: Snapshot) -> None:
    Server.objects.update(host="127.0.0.1")
    says(MYSQL_HOST="localhost")

    assert environment.disagreement(Database.objects.get()) is None
    bootstrap.from_environment()

    assert rows() == [("shop", "localhost", *SHOP[2:])]


@pytest.mark.parametrize(
    ("change", "ways"),
    [
        (OTHER_NAME, ["MYSQL_DATABASE says other at db:3306", "shop, is shop at db:3306", "--new database"]),
        (OTHER_HOST, ["say db2:3306", "knows shop at db:3306", "--moved database", "--new database"]),
        (OTHER_PORT, ["say db:3307", "--moved database"]),
        (OTHER_NAME | OTHER_HOST, ["MYSQL_DATABASE says other at db2:3306", "--new database"]),
        ({"MYSQL_DATABASE": "Shop"}, ["MYSQL_DATABASE says Shop"]),
        (
            OTHER_REPOSITORY,
            ["RESTIC_REPOSITORY says /srv/elsewhere", "--moved repository", "--new repository"],
        ),
    ],
)
def test_a_change_is_refused_with_its_ways_before_and_by_bootstrap(
    says: Any, backed_up: Snapshot, change: dict[str, object], ways: list[str]
) -> None:
    says(**change)

    with pytest.raises(Problem) as bootstrapped:
        bootstrap.from_environment()
    with pytest.raises(Problem) as asked:
        database_named(None)

    for way in ways:
        assert way in bootstrapped.value.sentence()
        assert way in asked.value.sentence()
    assert "Nothing was changed." in bootstrapped.value.sentence()
    assert "say --database shop" in asked.value.sentence()
    assert rows() == [SHOP]
    assert database_named("shop").name == "shop"
    if change == OTHER_REPOSITORY:
        with pytest.raises(Problem) as of_repository:
            repository_named(None)
        assert "say --repository main" in of_repository.value.sentence()
    else:
        assert repository_named(None).name == "main"


def test_of_two_that_changed_each_has_its_own_ways(says: Any, backed_up: Snapshot) -> None:
    says(**OTHER_HOST, **OTHER_REPOSITORY)

    differs = environment.disagreement(Database.objects.get())

    assert differs is not None
    assert differs.do.startswith(
        "Of the database: If MYSQL_HOST or MYSQL_PORT is a slip, set it back to db:3306. If the host or port "
        "of shop in the portal is a slip, correct it there. If the same data lies at db2:3306 now, run"
    )
    assert (
        "Of the repository: If RESTIC_REPOSITORY is a slip, set it back to /srv/repository. If the location "
        "of main in the portal is a slip, correct it there. If the repository of /srv/repository lies at "
        "/srv/elsewhere now, run `manage.py bootstrap --moved repository`."
    ) in differs.do


@pytest.mark.parametrize("change", [OTHER_NAME, OTHER_HOST, OTHER_NAME | OTHER_HOST | OTHER_REPOSITORY])
def test_what_was_wrong_at_the_first_try_is_just_corrected(says: Any, change: dict[str, Any]) -> None:
    says(**change)

    bootstrap.from_environment()

    wanted = KNOWN | change
    name = wanted["MYSQL_DATABASE"]
    repository = ("main", wanted["RESTIC_REPOSITORY"])
    assert rows() == [(name, wanted["MYSQL_HOST"], 3306, name, True, *repository)]
    assert Repository.objects.count() == 1


@pytest.mark.parametrize("change", [OTHER_HOST, OTHER_PORT, OTHER_REPOSITORY])
def test_the_same_at_another_address(says: Any, backed_up: Snapshot, change: dict[str, Any]) -> None:
    says(**change)
    thing = "repository" if change == OTHER_REPOSITORY else "database"
    other = {"repository": "database", "database": "repository"}[thing]
    with pytest.raises(Problem):
        bootstrap.from_environment(moved=[other])

    bootstrap.from_environment(moved=[thing])

    wanted = KNOWN | change
    assert rows() == [
        (
            "shop",
            wanted["MYSQL_HOST"],
            wanted["MYSQL_PORT"],
            "shop",
            True,
            "main",
            wanted["RESTIC_REPOSITORY"],
        )
    ]
    backed_up.refresh_from_db()
    assert (backed_up.repository.name, backed_up.forgotten_at) == ("main", None)


# ---------------------------------------------------------------- Further databases on the same server


@pytest.fixture
def beside(says: Any) -> Database:
    """A further database on the first one's server, of which there is a snapshot."""
    first = Database.objects.get()
    beside = Database.objects.create(
        name="blog", server=first.server, database="blog", repository=first.repository
    )
    Snapshot.objects.create(
        database=beside, repository=beside.repository, snapshot_id="b" * 64, time=WHEN, path="/mysql/blog.sql"
    )
    return beside


def test_what_is_on_the_first_ones_server_goes_with_it_and_that_is_said(says: Any, beside: Database) -> None:
    says(MYSQL_USER="another")
    told: list[str] = []

    bootstrap.from_environment(tell=told.append)

    assert told == [
        "The portal had u for shop. MYSQL_USER decides, so it is another now.",
        "On the same server in the portal, so the same now holds for it: blog.",
    ]
    assert Database.objects.get(name="blog").server.user == "another"
    told.clear()
    bootstrap.from_environment(tell=told.append)
    assert told == []


def test_a_server_is_not_changed_silently_under_a_further_database(says: Any, beside: Database) -> None:
    """Of the first one itself there is no snapshot yet, so that its own slip would just be corrected."""
    says(**OTHER_HOST)
    with pytest.raises(Problem, match="--moved database"):
        bootstrap.from_environment()
    assert {row[1] for row in rows()} == {"db"}

    told: list[str] = []
    bootstrap.from_environment(moved=["database"], tell=told.append)

    assert {row[:2] for row in rows()} == {("shop", "db2"), ("blog", "db2")}
    assert told[-1].endswith("holds for it: blog.")
    assert [server.name for server in Server.objects.all()] == ["db2:3306"]


def test_another_name_alone_leaves_the_server_as_it_is(says: Any, beside: Database) -> None:
    says(**OTHER_NAME)
    bootstrap.from_environment()
    assert {row[:2] for row in rows()} == {("other", "db"), ("blog", "db")}


def test_another_first_database_gets_a_server_of_its_own(says: Any, beside: Database) -> None:
    says(**OTHER_HOST)

    bootstrap.from_environment(new=["database"])

    assert [row[:2] for row in rows()] == [("shop", "db"), ("blog", "db"), ("shop-2", "db2")]


@pytest.mark.parametrize(
    ("known", "shared", "name"),
    [
        ({}, True, "there"),
        ({"ssl_mode": "REQUIRED"}, False, "db:3306"),
        ({"password_ref": "env:MYSQL_OTHER"}, False, "db:3306"),
        ({"user": "another"}, False, "db:3306"),
        ({"name": "db:3306", "user": "another"}, False, "u@db:3306"),
    ],
)
def test_a_first_database_shares_a_server_only_if_that_is_just_so(
    says: Any, known: dict[str, Any], shared: bool, name: str
) -> None:
    """Else it would change what others are reached with."""
    Database.objects.all().delete()
    Server.objects.all().delete()
    there = Server.objects.create(**{"name": "there", "host": "db", "user": "u", **known})

    first = bootstrap.from_environment()

    assert first is not None
    assert (first.server == there, first.server.name) == (shared, name)
    assert Server.objects.filter(pk=there.pk, **known).exists()


def test_a_server_that_moved_is_not_shown_what_was_typed_for_the_one_of_before(says: Any) -> None:
    server, key = Server.objects.get(), keys.InstallationKey.made()
    sealed = keys.seal("typed", keys.Use(*server.use_of("password_ref")), key.public_sealing)
    Server.objects.update(password_ref=sealed)
    says(MYSQL_USER="another")
    bootstrap.from_environment()
    assert Server.objects.get().password_ref == sealed

    says(**OTHER_HOST)
    bootstrap.from_environment(moved=["database"])

    assert (Server.objects.get().host, Server.objects.get().password_ref) == ("db2", "env:MYSQL_PASSWORD")


def test_another_name_has_not_moved(says: Any, backed_up: Snapshot) -> None:
    says(**OTHER_NAME | OTHER_HOST)
    with pytest.raises(Problem, match="MYSQL_DATABASE says other"):
        bootstrap.from_environment(moved=["database"])
    assert rows() == [SHOP]


def test_another_database_comes_first_and_the_known_one_stays_beside_it(
    says: Any, backed_up: Snapshot, settings: Settings
) -> None:
    main = settings.SENTINEL.heartbeat_path
    heartbeat.stamp_write(main, WHEN)
    heartbeat.stamp_write(heartbeat.last_verified_path(main), WHEN)
    says(**OTHER_NAME | OTHER_HOST)

    bootstrap.from_environment(new=["database"])
    bootstrap.apply()

    assert rows() == [
        ("shop", "db", 3306, "shop", False, "main", "/srv/repository"),
        ("other", "db2", 3306, "other", True, "main", "/srv/repository"),
    ]
    # No file vouches for a database that it is not of.
    assert not main.exists()
    assert not heartbeat.last_verified_path(main).exists()
    assert heartbeat.stamp_read(heartbeat.last_ok_path(main, "shop")).time == WHEN
    assert heartbeat.stamp_read(heartbeat.last_verified_path(main, "shop")).time == WHEN
    assert {(gate.name, gate.path) for gate in heartbeat.gates_read(main)} == {
        ("other", "last_ok"), ("shop", "shop/last_ok"),
    }  # fmt: skip

    # And back: the known one is found again, with its own files.
    says()
    bootstrap.from_environment(new=["database"])
    assert [(row[0], row[4]) for row in rows()] == [("shop", True), ("other", False)]
    assert heartbeat.stamp_read(main).time == WHEN


def test_a_database_that_the_portal_has_already_is_not_to_be_added(says: Any, backed_up: Snapshot) -> None:
    says(**OTHER_NAME)
    with pytest.raises(Problem, match="set it back and add other in the portal"):
        bootstrap.from_environment()
    Database.objects.create(
        name="second", server=a_server(), database="other", repository=backed_up.repository
    )

    with pytest.raises(Problem, match="set it back: the portal has other already, as second"):
        bootstrap.from_environment()


def test_a_name_that_another_row_has_is_told_apart(says: Any, backed_up: Snapshot) -> None:
    """As a portal has it whose row became another's before: shop is called what is other on the server."""
    Database.objects.update(database="other")
    says(MYSQL_DATABASE="shop")

    bootstrap.from_environment(new=["database"])

    assert [(row[0], row[3], row[4]) for row in rows()] == [
        ("shop", "other", False),
        ("shop-2", "shop", True),
    ]


def test_another_repository_leaves_the_old_one_and_its_snapshots(says: Any, backed_up: Snapshot) -> None:
    says(**OTHER_REPOSITORY)

    bootstrap.from_environment(new=["repository"])

    assert rows() == [(*SHOP[:5], "main-2", "/srv/elsewhere")]
    backed_up.refresh_from_db()
    assert (backed_up.repository.url, backed_up.forgotten_at) == ("/srv/repository", None)
    assert repository_named(None).name == "main-2"
    # And back, before anything was stored there.
    says()
    bootstrap.from_environment()
    assert rows() == [SHOP]


# ---------------------------------------------------------------- Through its processes


@pytest.fixture
def changed(mariadb_shop: Shop, make_portal: MakePortal) -> tuple[Portal, Shop]:
    """A portal of one database, whose environment names another one by now."""
    portal = make_portal(mariadb_shop)
    assert portal.backup().code == 0
    other = make_shop(mariadb_shop.server, "CREATE TABLE t (id INT PRIMARY KEY);")
    portal.environment |= other.environment
    return portal, other


def test_a_changed_database_under_a_portal(changed: tuple[Portal, Shop]) -> None:
    portal, other = changed
    shop, before = portal.shop, portal.heartbeat()
    was = content(other.server, other.name)

    for command in (["backup"], ["bootstrap"], ["restore", "--snapshot", "latest", "--replace", "--yes"]):
        ran = portal.manage(*command, "--json")
        assert ran.code == 1
        assert ran.json["error"].startswith(f"MYSQL_DATABASE says {other.name} at ")
    assert len(portal.snapshots()) == 1
    # What is scheduled goes on, and does not open the gate on the proof of another database.
    named = portal.manage("backup", "--database", shop.name, "--json", MYSQL_PASSWORD=shop.password)
    assert named.code == 1
    kept = portal.snapshots()[-1]["id"][:8]
    assert f"Snapshot {kept} of {shop.name} was made and is good; no heartbeat" in named.json["error"]
    assert portal.heartbeat() == before
    checks = portal.manage("preflight", "--json", MYSQL_PASSWORD=shop.password).json["checks"]
    assert [check["name"] for check in checks if not check["ok"]] == ["environment"]

    assert portal.manage("bootstrap", "--new", "database").code == 0
    assert portal.heartbeat() is None
    first = portal.backup()
    assert first.code == 0, first.err
    tags = [snapshot["tags"][1] for snapshot in portal.snapshots()]
    assert tags == [f"database:{shop.name}"] * 2 + [f"database:{other.name}"]
    wrong = portal.manage("restore", "--snapshot", kept, "--replace", "--yes", "--json")
    assert wrong.json["error"].startswith(f"Snapshot {kept} is of {shop.name} (in repository main), not of")
    assert content(other.server, other.name) == was
    assert portal.leftovers() == []


def test_a_repository_is_not_taken_for_moved_where_it_is_another(
    mariadb_shop: Shop, make_portal: MakePortal, empty_repository: Path, tmp_path: Path
) -> None:
    portal = make_portal(mariadb_shop)
    assert portal.backup().code == 0
    copied = copy_repository(Path(portal.repository), tmp_path / "copied")
    portal.environment["RESTIC_REPOSITORY"] = copy_repository(empty_repository, tmp_path / "empty")

    refused = portal.manage("bootstrap", "--moved", "repository", "--json")
    assert refused.code == 1
    assert "holds not the one snapshot of" in refused.json["error"]

    portal.environment["RESTIC_REPOSITORY"] = copied
    assert portal.manage("bootstrap", "--moved", "repository").code == 0
    (listed,) = portal.manage("snapshots", "--json").json["snapshots"]
    assert listed["snapshot_id"] == portal.snapshots()[0]["id"]


@pytest.mark.parametrize(
    ("said", "known", "wanted"),
    [
        ("REQUIRED", "PREFERRED", "REQUIRED"),
        ("VERIFY_CA", "REQUIRED", "VERIFY_CA"),
        ("REQUIRED", "DISABLED", "REQUIRED"),
        ("PREFERRED", "DISABLED", "DISABLED"),
        ("PREFERRED", "VERIFY_CA", "VERIFY_CA"),
        ("DISABLED", "REQUIRED", "REQUIRED"),
    ],
)
def test_encryption_that_is_demanded_is_not_put_off_until_the_next_bootstrap(
    said: str, known: str, wanted: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.MYSQL_SSL_MODE, settings.MYSQL_SSL_CA = said, "/of/the/environment.pem"
    settings.VERIFY_MYSQL_HOST, settings.VERIFY_MYSQL_USER = "elsewhere", "v"
    for name in ("MYSQL_PASSWORD", "VERIFY_MYSQL_PASSWORD"):
        monkeypatch.setenv(name, "p")
    server = Server(host="db", user="u", ssl_mode=known, ssl_ca="/of/the/row.pem")
    row = Database(name="shop", server=server, is_primary=True)

    for there in (endpoints.database_server(row), endpoints.scratch_server(row)):
        assert there.ssl_mode == wanted
        assert there.ssl_ca == ("/of/the/environment.pem" if wanted != known else "/of/the/row.pem")
    row.is_primary = False
    assert endpoints.database_server(row).ssl_mode == known
