"""All transactions of a time are found in the stored log itself: by table, kind, rows, connection and key."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partialmethod
from threading import Event
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command

from backups import process
from backups.actions import log_search
from backups.actions.steps.log_replayed import piece_bytes
from backups.choices import RestoreMode
from backups.downloads import tickets
from backups.downloads.asking import ask_for_log
from backups.errors import Problem
from backups.models import DownloadTicket, LogTransaction, Snapshot
from backups.moments import searching
from backups.moments.listed import Wanted
from backups.moments.searching import Found, Search, left_off
from backups.moments.until import before_transaction, local
from backups.shipping import follower
from backups.worker.downloads import DownloadServer
from tests.admin.conftest import past, person, roles
from tests.backups.worlds import children_of, command_of, wait_until
from tests.downloads.serving import downloads_served
from tests.moments.conftest import To
from tests.restoring.stories import succeeded
from tests.servers import DatabaseServer
from tests.shipping.conftest import Ship, Shipped, ship_shop

__all__ = ["downloads_served", "past", "person", "roles"]
pytestmark = pytest.mark.django_db
TABLES = """
CREATE TABLE parcels (id BIGINT UNSIGNED PRIMARY KEY, note VARCHAR(200));
CREATE TABLE codes (code VARCHAR(20) CHARACTER SET latin1, n SMALLINT, PRIMARY KEY (code, n));
CREATE TABLE prices (price DECIMAL(10,2) PRIMARY KEY);
CREATE TABLE `small` (id SMALLINT PRIMARY KEY);
"""


@pytest.fixture
def searched(server: DatabaseServer, ship: Ship) -> Shipped:
    """A shop in which small things were done, one by one, all of which is stored."""
    shop = ship_shop(server)
    server.load(TABLES, shop.name)
    if server.flavour == "mysql":
        server.execute("SET GLOBAL binlog_rows_query_log_events = ON")
    shipped = ship(shop)
    for statement in (
        "INSERT INTO parcels VALUES (18446744073709551615, 'the largest'), (7, 'seven')",
        "INSERT INTO codes VALUES ('Grün', -1), ('other', 7)",
        "UPDATE parcels SET note = 'secret words' WHERE id = 7",
        "INSERT INTO prices VALUES (7.00)",
        "INSERT INTO `small` VALUES (-7)",
        "ALTER TABLE parcels ADD COLUMN more INT",
        "DELETE FROM parcels WHERE id > 7",
    ):
        shop.execute(statement)
    shipped.look()
    return shipped


def of_today(**fields: Any) -> Search:
    """A search of the last hour."""
    wanted = {name: fields.pop(name) for name in list(fields) if name in Wanted.__dataclass_fields__}
    now = datetime.now(UTC)
    return Search(now - timedelta(hours=1), now, Wanted(**wanted), **fields)


def found(shipped: Shipped, **fields: Any) -> Found:
    """What such a search finds, as the portal reads it."""
    told = log_search.answer(shipped.database.pk, of_today(**fields).asked(), lambda: None)
    return Found.of(json.loads(told))


def tables(answered: Found) -> list[dict[str, Any]]:
    """What those changed that were found."""
    return [dict(each.tables) for each in answered.transactions]


# Below, what is in no list is found; tests/moments/test_s3.py searches, and restores to just before.
@pytest.mark.soak
@pytest.mark.one_flavour("mariadb")
def test_the_smallest_is_found_and_restored_to_just_before(shipped: Shipped, to_moment: To) -> None:
    """One row of one table, which is in no list."""
    shop, then = shipped.shop, f"{shipped.shop.name}__then"
    before = shop.query("SELECT * FROM customers ORDER BY id")
    shop.execute("UPDATE customers SET name = 'Nobody' WHERE id = 2")
    shipped.look()
    assert not LogTransaction.objects.exists()

    (one,) = found(shipped, table="CUSTOM", kind="update").transactions

    assert (one.tables, one.rows) == ({"customers": {"update": 1}}, 1)
    succeeded(to_moment(shipped, before_transaction(one.place), RestoreMode.NEW, then))
    assert shop.server.query("SELECT * FROM customers ORDER BY id", then) == before


@pytest.mark.one_flavour("mariadb")
def test_by_table_kind_rows_and_connection(searched: Shipped) -> None:
    everything = found(searched)
    assert tables(everything) == [
        {"parcels": {"insert": 2}},
        {"codes": {"insert": 2}},
        {"parcels": {"update": 1}},
        {"prices": {"insert": 1}},
        {"small": {"insert": 1}},
        {"parcels": {}},
        {"parcels": {"delete": 1}},
    ]
    assert (everything.why, everything.go_on) == ("", None)
    assert everything.bytes == sum(piece.bytes for piece in searched.pieces)
    assert not any(each.statements for each in everything.transactions)
    assert tables(found(searched, table="parcel", kind="insert")) == [{"parcels": {"insert": 2}}]
    assert tables(found(searched, rows=2, table="CODES")) == [{"codes": {"insert": 2}}]
    (definition,) = found(searched, kind="definition").transactions
    assert (definition.is_definition, definition.rows) == (True, 0)
    # As after a recovery, when nobody has noted what it changes.
    LogTransaction.objects.all().delete()
    assert len(found(searched, kind="definition", table="parcels").transactions) == 1
    assert not found(searched, kind="definition", table="prices").transactions
    number = next(each.connection for each in everything.transactions if each.is_definition)
    assert number in {each.connection for each in found(searched, connection=number).transactions}
    assert not found(searched, connection=2**40).transactions
    gtid = everything.transactions[2].gtid
    if gtid:
        assert tables(found(searched, gtid=gtid)) == [{"parcels": {"update": 1}}]


@pytest.mark.one_flavour("mariadb")
@pytest.mark.parametrize(
    "found_by",
    [
        {
            "18446744073709551615": ([{"parcels": {"insert": 2}}], ["parcels", "prices"]),
            "Grün": ([{"codes": {"insert": 2}}], ["prices"]),
        },
        pytest.param(
            {
                "-7": ([{"small": {"insert": 1}}], ["prices"]),
                "grün": ([], ["prices"]),
                "99999999999999999999999": ([], ["prices"]),
            },
            marks=pytest.mark.soak,
        ),
    ],
    ids=", ".join,
)
def test_by_key(searched: Shipped, found_by: dict[str, tuple[list[Any], list[str]]]) -> None:
    """In tables as they are now: what was done to parcels while it had a column more is told as left out."""
    searched.shop.execute("ALTER TABLE parcels DROP COLUMN more")
    searched.look()
    for key, (kinds, unlike) in found_by.items():
        answered = found(searched, key=key)

        assert tables(answered) == kinds, key
        # No DECIMAL is compared; and of parcels not the rows with a column more, which were deleted.
        assert list(answered.unlike) == unlike, key
        told = left_off(searched.database, of_today(), answered)
        assert any(f"The key could not be looked at in {', '.join(unlike)}" in each for each in told), key


@pytest.mark.one_flavour("mysql")
def test_statements_come_where_they_are_asked_for_and_the_command_reads_the_log_itself(
    searched: Shipped, capsys: pytest.CaptureFixture[str]
) -> None:
    (one,) = found(searched, table="parcels", kind="update", with_text=True).transactions

    assert one.statements == ["UPDATE parcels SET note = 'secret words' WHERE id = 7"]
    # They are stored nowhere.
    assert "secret words" not in str(list(LogTransaction.objects.values_list()))
    begins, ends = (local(each) for each in (of_today().begins, of_today().ends))
    capsys.readouterr()
    of_log = ("log_archive", "--database", searched.database.name, "transactions", "--from", begins)

    call_command(*of_log, "--to", ends, "--key", "Grün", "--json")

    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert [each["tables"] for each in told["transactions"]] == [{"codes": {"insert": 2}}]
    with pytest.raises(SystemExit):
        call_command(*of_log)
    assert "say --from and --to" in capsys.readouterr().err


@pytest.mark.one_flavour("mariadb")
def test_what_is_beyond_its_limits_is_said_and_had_by_going_on(
    searched: Shipped, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = [each.place for each in found(searched).transactions]
    for name, value, why in (
        ("MOST_FOUND", 3, searching.RESULTS),
        ("SECONDS", -1.0, searching.TIME),
        ("MOST_BYTES", 0, searching.SIZE),
    ):
        with monkeypatch.context() as patched:
            patched.setattr(searching, name, value)
            patched.setattr(log_search, "_LONGEST_SECONDS", 60.0)
            places, answered = [], found(searched)
            while answered.go_on:
                assert answered.why == why
                assert left_off(searched.database, of_today(), answered)[0].startswith("It ended at 20")
                places += [each.place for each in answered.transactions]
                answered = found(searched, after=answered.go_on)
            assert [*places, *(each.place for each in answered.transactions)] == whole


@pytest.fixture
def with_a_large_one(server: DatabaseServer, ship: Ship, monkeypatch: pytest.MonkeyPatch) -> Shipped:
    """A large transaction between two small ones, which no search comes to the end of."""
    shop = ship_shop(server)
    server.execute(f"CREATE TABLE {shop.name}.letters (id INT PRIMARY KEY, note LONGTEXT)")
    monkeypatch.setattr(follower, "MOST_BYTES", 1 << 20)
    shipped = ship(shop)
    shop.execute("INSERT INTO letters VALUES (1, 'small')")
    rows = ", ".join(f"({number}, REPEAT('x', 200000))" for number in range(2, 26))
    shop.execute(f"INSERT INTO letters VALUES {rows}")
    shop.execute("DELETE FROM letters WHERE id = 1")
    shipped.look()
    slow_down(monkeypatch)
    return shipped


def slow_down(monkeypatch: pytest.MonkeyPatch) -> None:
    """A minute goes by while a large piece is read, by a clock of the search's own."""
    clock, is_given_up = SimpleNamespace(now=0.0), Event()
    tick = log_search._Reading._tick

    def slowly(*asked: Any) -> Iterator[bytes]:
        is_given_up.clear()
        for number, chunk in enumerate(piece_bytes(*asked)):
            yield chunk
            if not number and len(chunk) > 10_000:
                clock.now += 60
                # Restic would go on while somebody reads.
                if is_given_up.wait(30):
                    wait_until(lambda: not readers(), "restic to be ended", every=0.02)

    def told_tick(reading: Any) -> None:
        try:
            tick(reading)
        except Problem:
            is_given_up.set()
            raise

    # It waits for who reads, and heeds no signal meanwhile.
    monkeypatch.setattr(process.Child, "stop", partialmethod(process.Child.stop, grace=0.2))
    monkeypatch.setattr(log_search, "piece_bytes", slowly)
    monkeypatch.setattr(log_search._Reading, "_tick", told_tick)
    monkeypatch.setattr(log_search, "time", SimpleNamespace(monotonic=lambda: clock.now))
    monkeypatch.setattr(log_search, "_LARGE_BYTES", 1000)


def readers() -> list[str]:
    """The programs of ours that read out of a repository."""
    commands = [command_of(child) for child in children_of(os.getpid())]
    return [command for command in commands if "restic" in command and " dump " in command]


def to_the_end(shipped: Shipped, **fields: Any) -> list[Found]:
    """All searches that go on from one another."""
    answers = [found(shipped, **fields)]
    while answers[-1].go_on and len(answers) < 9:
        answers.append(found(shipped, **fields, after=answers[-1].go_on))
    assert not answers[-1].go_on
    return answers


@pytest.mark.one_flavour("mariadb")
def test_it_gets_past_a_transaction_that_it_does_not_come_to_the_end_of(
    with_a_large_one: Shipped, capsys: pytest.CaptureFixture[str]
) -> None:
    """That is told as it was noted when it was stored; whether it holds a key is not known, and is said."""
    answers = to_the_end(with_a_large_one, table="letters")
    assert [dict(each.tables) for one in answers for each in one.transactions] == [
        {"letters": {"insert": 1}}, {"letters": {"insert": 24}}, {"letters": {"delete": 1}},
    ]  # fmt: skip
    assert not any(each.too_large for each in answers)
    large = LogTransaction.objects.get(rows=24)
    place = f"{large.piece.file}:{large.position}"

    small = [{"letters": {"insert": 1}}, {"letters": {"delete": 1}}]
    answers = to_the_end(with_a_large_one, key="1")
    assert [dict(each.tables) for one in answers for each in one.transactions] == small
    (beyond,) = [each for each in answers if each.too_large]
    told = left_off(with_a_large_one.database, of_today(), beyond)
    assert any(f"so they may be among what you look for: {place}." in each for each in told)

    # The command gets past it by itself.
    capsys.readouterr()
    begins, ends = (local(each) for each in (of_today().begins, of_today().ends))
    of_log = ("log_archive", "--database", with_a_large_one.database.name, "transactions", "--from", begins)
    call_command(*of_log, "--to", ends, "--key", "1", "--json")
    printed = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert [each["tables"] for each in printed["transactions"]] == small
    assert any(place in each for each in printed["left_off"])

    LogTransaction.objects.all().delete()
    (unknown,) = [each for each in to_the_end(with_a_large_one, table="letters") if each.too_large]
    assert unknown.too_large == (place,)


@pytest.mark.one_flavour("mariadb")
def test_a_storage_that_gives_nothing_is_told_as_what_it_is(
    with_a_large_one: Shipped, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_search, "_LARGE_BYTES", 1 << 40)
    (*_, last) = with_a_large_one.pieces[:-1]

    with pytest.raises(Problem) as raised:
        found(with_a_large_one, after=(last.pk, LogTransaction.objects.get().position))

    assert raised.value.code == "moment.search_too_slow"


@pytest.mark.one_flavour("mariadb")
def test_what_is_not_of_the_time_is_not_read_and_a_piece_that_is_gone_is_named(searched: Shipped) -> None:
    long_ago = datetime.now(UTC) - timedelta(days=400)
    search = Search(long_ago, long_ago + timedelta(hours=1))

    assert Found.of(log_search.found(searched.database, search)) == Found()
    later = Search(long_ago, datetime.now(UTC) + timedelta(hours=1))
    assert "is not stored yet" in left_off(searched.database, later, Found())[-1]
    with pytest.raises(Problem) as raised:
        log_search.found(searched.database, Search(search.ends, search.begins))
    assert raised.value.code == "moment.turned_round"

    (piece,) = [each for each in searched.pieces if each.transactions]
    piece.snapshot_id = "f" * 64
    piece.save()

    # The others are looked through.
    answered = found(searched)

    assert answered.unread == (f"{piece.file}:{piece.start}",)
    assert not answered.transactions
    told = left_off(searched.database, of_today(), answered)
    words = f"could not be read, and what is in them is missing here: {piece.file}:{piece.start}"
    assert any(words in each for each in told)


@pytest.mark.one_flavour("mariadb")
def test_the_worker_answers_who_may_restore_for_a_ticket_of_this_database(
    searched: Shipped, person: Callable[[str], User], downloads_served: DownloadServer
) -> None:
    snapshot = Snapshot.objects.filter(database=searched.database).first()
    assert snapshot is not None
    asked = of_today(key="Grün", with_text=True).asked()
    restorer = person("Restorer")

    told = ask_for_log(restorer, snapshot, searched.database.pk, asked)

    assert b"INSERT INTO codes" in told
    assert "Grün" not in str(list(DownloadTicket.objects.values_list()))
    with pytest.raises(Problem) as raised:
        ask_for_log(person("Viewer"), snapshot, searched.database.pk, asked)
    assert raised.value.code == "downloads.may_not"
    with pytest.raises(Problem) as raised:
        ask_for_log(restorer, snapshot, searched.database.pk, {"begins": "x"})
    assert raised.value.code == "moment.unknown_search"
    token = tickets.issue(restorer, snapshot, purpose=tickets.of_log(searched.database.pk))
    for purpose in ("", tickets.of_rows(searched.database.pk), tickets.of_log(0)):
        with pytest.raises(Problem):
            tickets.spend(token, purpose=purpose)
