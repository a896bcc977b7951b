"""A snapshot that cannot be restored is called so; what is not its fault is not held against it."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from backups import mysql
from backups.choices import Action, Health
from backups.models import Run, Verification
from backups.worker import reaper
from tests.actions.tools import (
    ExclusiveLock,
    back_up,
    damage,
    dumped,
    play,
    restic,
    scratch_databases,
    stored,
    verdict,
    verify,
)
from tests.backups.conftest import MakeDatabase
from tests.backups.worlds import Shop, make_shop, the_child
from tests.servers import DatabaseServer


def assert_unreadable(run: Run, *words: str) -> None:
    found = verdict(run)
    assert found.verdict == "unreadable", found.differences
    assert run.status == "failed"
    assert "cannot be restored" in run.error
    assert "The live database was not touched." in run.error
    for word in words:
        assert word in found.differences[0]
        assert word in run.error
    found.snapshot.refresh_from_db()
    assert found.snapshot.verified_at is None


def assert_no_verdict(run: Run, *words: str) -> None:
    assert not Verification.objects.filter(run=run).exists()
    assert run.status == "failed"
    assert "verdict" not in run.result
    for word in words:
        assert word in run.error


# tests/actions/test_check.py has it be unreadable.
@pytest.mark.soak
@pytest.mark.one_flavour("mysql")
def test_byte_flipped_in_the_repository(least_shop: Shop, make_database: MakeDatabase) -> None:
    database = make_database(least_shop)
    snapshot = back_up(database)
    damage(database.repository)

    run = verify(database)

    assert_unreadable(run, "reading the snapshot")
    assert verdict(run).snapshot == snapshot


# tests/actions/test_check.py has it damaged.
@pytest.mark.soak
def test_data_gone_from_the_repository(mariadb_least_shop: Shop, make_database: MakeDatabase) -> None:
    database = make_database(mariadb_least_shop)
    back_up(database)
    shutil.rmtree(Path(database.repository.url) / "data")

    assert_unreadable(verify(database), "reading the snapshot")


def half(content: bytes) -> bytes:
    return content[: len(content) // 2]


def without_closing_line(content: bytes) -> bytes:
    return content[: content.index(b"-- Dump completed")]


def nothing(_content: bytes) -> bytes:
    return b"\n"


def page_not_found(_content: bytes) -> bytes:
    return b"<html>404</html>\n"


def unknown_type(content: bytes) -> bytes:
    return content.replace(b"  `name` varchar(", b"  `name` varkar(")


def unknown_statement(content: bytes) -> bytes:
    return content.replace(b"CREATE TABLE `journal`", b"CREATE TABBLE `journal`")


STOPS = ("stops before its closing line",)
BROKEN: dict[Callable[[bytes], bytes], tuple[str, ...]] = {
    half: STOPS,
    without_closing_line: STOPS,
    nothing: STOPS,
    page_not_found: (),
    # Which the server does not take.
    unknown_type: ("varkar",),
    # Which no dump program writes.
    unknown_statement: (
        "This snapshot was not made by a dump program that Vedetta knows: line ",
        "begins with 'CREATE TABBLE `journal`",
        "What stands there was not run.",
    ),
}


def test_what_is_no_whole_dump(mariadb_least_shop: Shop, make_database: MakeDatabase) -> None:
    database = make_database(mariadb_least_shop)
    good = back_up(database)
    content = dumped(good)

    for broken, words in BROKEN.items():
        assert_unreadable(verify(database, stored(good, broken(content))), *words)


def flipped(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 0xFF]) + content[middle + 1 :]


def not_gzip(_content: bytes) -> bytes:
    return b"-- Dump completed\n"


@pytest.mark.parametrize(
    "broken", [half, *(pytest.param(each, marks=pytest.mark.soak) for each in (flipped, not_gzip))]
)
def test_broken_gzip(
    mariadb_least_shop: Shop, make_database: MakeDatabase, broken: Callable[[bytes], bytes]
) -> None:
    database = make_database(mariadb_least_shop, dump_format="sql.gz")
    good = back_up(database)

    assert_unreadable(verify(database, stored(good, broken(dumped(good)))))


# tests/actions/test_check.py has one that is good again after all that was damaged.
@pytest.mark.soak
def test_later_snapshot_is_good_again(mariadb_least_shop: Shop, make_database: MakeDatabase) -> None:
    """New data is stored anew, not deduplicated against what is damaged."""
    database = make_database(mariadb_least_shop)
    good = back_up(database)
    verify(database, stored(good, half(dumped(good))))

    back_up(database)

    assert verdict(verify(database)).verdict == "identical"


# ---------------------------------------------------------------- Not the snapshot's fault


@pytest.fixture
def own_server() -> Iterator[DatabaseServer]:
    """A server that the test may kill."""
    with DatabaseServer("mariadb") as server:
        yield server


def is_reading(command: str) -> bool:
    """Whether this is a restic that reads a snapshot."""
    return Path(command.split(" ")[0]).name == "restic" and " dump " in command


def before_rows(monkeypatch: pytest.MonkeyPatch, do: Callable[[], object]) -> None:
    """Have something done once, when the first rows are about to be sent to the scratch database."""
    run_first = mysql.LoadingConnection.run
    done: list[bool] = []

    def run(connection: mysql.LoadingConnection, statement: bytes) -> None:
        if statement.startswith(b"INSERT") and not done:
            done.append(True)
            do()
        run_first(connection, statement)

    monkeypatch.setattr(mysql.LoadingConnection, "run", run)


def test_server_that_dies_in_the_middle(
    own_server: DatabaseServer, make_database: MakeDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = make_shop(own_server)
    own_server.execute(f"GRANT ALL ON *.* TO '{shop.user}'@'%'")
    database = make_database(shop)
    back_up(database)
    before_rows(monkeypatch, own_server.kill)

    run = play(Action.VERIFY, database=database)

    assert_no_verdict(run, "database server at")
    own_server.kill()
    own_server.start()
    assert len(scratch_databases(own_server)) == 1
    reaper.run()
    assert scratch_databases(own_server) == []


@pytest.mark.one_flavour("mariadb")
def test_user_who_may_not_create_the_scratch_database(shop: Shop, make_database: MakeDatabase) -> None:
    database = make_database(shop)
    back_up(database)

    run = verify(database)

    pattern = shop.name.replace("_", r"\_")
    assert_no_verdict(
        run,
        f"The user {shop.user} may not create the scratch database {shop.name}__verify_{run.pk}.",
        rf"GRANT ALL ON `{pattern}\_\_verify\_%`.* TO '{shop.user}'@'%'; or set VERIFY_MYSQL_HOST",
        "The live database and the snapshots were not touched.",
    )


# Above, the sentence has it; tests/actions/test_grants.py has what is granted be enough.
@pytest.mark.soak
@pytest.mark.one_flavour("mysql")
def test_grant_in_the_sentence_is_the_one_that_was_missing(shop: Shop, make_database: MakeDatabase) -> None:
    script = "CREATE TABLE t (id INT); INSERT INTO t VALUES (1);"
    shop = make_shop(shop.server, script, name="per%cent__verify_`x`")
    database = make_database(shop, name="odd")
    back_up(database)
    refused = verify(database)
    grant = refused.error.partition("administrator: ")[2].partition("; or set")[0]

    shop.server.execute(grant)

    assert verdict(verify(database)).verdict == "identical"
    shop.server.execute("DROP DATABASE `per%cent__verify_``x```")


def test_snapshot_that_somebody_else_forgot(mariadb_least_shop: Shop, make_database: MakeDatabase) -> None:
    """It is no bad backup, and its repository no suspect."""
    database = make_database(mariadb_least_shop)
    snapshot = back_up(database)
    restic(database.repository, "forget", snapshot.snapshot_id)

    run = verify(database, snapshot)

    assert_no_verdict(
        run, "does not hold that snapshot any more", "manage.py snapshots", snapshot.snapshot_id[:8]
    )
    database.repository.refresh_from_db()
    assert database.repository.health != Health.SUSPECT


# tests/actions/test_check.py has it away from a check, tests/actions/test_failures.py from a backup.
@pytest.mark.soak
def test_repository_that_is_away(mariadb_least_shop: Shop, make_database: MakeDatabase) -> None:
    database = make_database(mariadb_least_shop)
    back_up(database)
    folder = Path(database.repository.url)
    folder.rename(folder.with_name("away"))

    assert_no_verdict(verify(database), "There is no repository at")


# tests/actions/test_check.py has it in a check, tests/actions/test_failures.py in a backup.
@pytest.mark.soak
def test_password_that_does_not_open_the_repository(
    mariadb_least_shop: Shop, make_database: MakeDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = make_database(mariadb_least_shop)
    back_up(database)
    monkeypatch.setenv("RESTIC_PASSWORD", "another one")

    assert_no_verdict(verify(database), "The password does not open the repository")


def test_restic_that_is_killed(
    mariadb_least_shop: Shop, make_database: MakeDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    mariadb_least_shop.execute(
        "CREATE TABLE large AS SELECT seq, REPEAT(MD5(seq), 1000) AS text FROM seq_1_to_300"
    )
    database = make_database(mariadb_least_shop)
    back_up(database)
    before_rows(monkeypatch, lambda: os.kill(the_child(os.getpid(), is_reading), signal.SIGKILL))

    assert_no_verdict(verify(database), "restic was killed by signal 9 while reading the snapshot")


# tests/actions/test_failures.py has it in a backup; below, restic ends for another reason.
@pytest.mark.soak
def test_repository_under_an_exclusive_lock(
    mariadb_least_shop: Shop, make_database: MakeDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = make_database(mariadb_least_shop)
    back_up(database)
    monkeypatch.setattr("backups.restic.arguments._RETRY_LOCK", "1s")

    with ExclusiveLock(database.repository):
        run = verify(database)

    assert_no_verdict(run, "is locked", "locked exclusively by PID")
    assert verdict(verify(database)).verdict == "identical"
