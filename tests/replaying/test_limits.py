"""Rows of any size go into packets of the server's size, or it is said which size they need."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from backups.errors import Problem
from backups.replaying import rows as row_statements
from tests.replaying.playing import Played, end_of_log

MEGABYTE = 1 << 20


@pytest.fixture
def small_packets(played: Played) -> Iterator[Played]:
    """The server takes 2 MB from new sessions, and the source holds rows of up to 2 MB."""
    ((before,),) = played.server.query("SELECT @@GLOBAL.max_allowed_packet")
    played.execute("CREATE TABLE t (i INT PRIMARY KEY, b LONGBLOB, n INT)")
    yield played
    played.server.execute(f"SET GLOBAL max_allowed_packet = {before}")


def row(played: Played, number: int, size: int) -> None:
    played.execute(f"INSERT INTO t VALUES ({number}, REPEAT('x', {size}), 0)")


@pytest.mark.one_flavour("mariadb")
def test_a_statement_of_many_rows_is_sent_in_parts(
    small_packets: Played, monkeypatch: pytest.MonkeyPatch
) -> None:
    played = small_packets
    for number in range(40):
        row(played, number, 300_000)
    played.execute("UPDATE t SET n = n + 1", "DELETE FROM t WHERE i % 2")
    played.server.execute(f"SET GLOBAL max_allowed_packet = {2 * MEGABYTE}")

    replayed = played.replay()

    assert played.differing() == set()
    assert replayed.bytes > 30 * MEGABYTE


@pytest.mark.one_flavour("mysql")
def test_one_row_over_the_packet_goes_in_two_parts_or_its_size_is_named(small_packets: Played) -> None:
    played = small_packets
    row(played, 1, MEGABYTE)
    played.execute("UPDATE t SET n = 1")  # 2 MB, as both images are logged
    played.server.execute(f"SET GLOBAL max_allowed_packet = {2 * MEGABYTE}")

    if played.server.flavour == "mariadb":
        played.replay()
        assert played.differing() == set()
        played.server.execute(f"SET GLOBAL max_allowed_packet = {MEGABYTE}")
        played.server.execute("DROP TABLE t", played.target)
    with pytest.raises(Problem) as raised:
        played.replay()
    assert raised.value.code == "replay.packet_too_small"
    needed = raised.value.params["needed"]
    assert str(needed) in str(raised.value)
    played.server.execute(f"SET GLOBAL max_allowed_packet = {needed}")
    played.server.execute("DROP TABLE t", played.target)
    played.replay()
    assert played.differing() == set()


@pytest.mark.soak
def test_a_statement_of_eighty_megabytes(played: Played) -> None:
    played.execute("CREATE TABLE t (i INT AUTO_INCREMENT PRIMARY KEY, b LONGBLOB)")
    for _ in range(10):
        played.execute("INSERT INTO t (b) VALUES (REPEAT('x', 8000000))")
    played.replay()
    played.after = end_of_log(played.server)
    played.execute("CREATE TABLE u LIKE t", "INSERT INTO u SELECT * FROM t")

    played.replay()

    assert played.query("CHECKSUM TABLE u")[0][1] == played.query("CHECKSUM TABLE u", played.source)[0][1]
    assert row_statements.MOST_BYTES < 80_000_000
