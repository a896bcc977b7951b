"""All that applications do, by several of them at once, is made again in the copy, however it is logged."""

from __future__ import annotations

import pytest

from tests.binlog import made, tables
from tests.binlog.test_workload import WAYS
from tests.binlog.workload import Names, Workload
from tests.replaying.playing import Played, end_of_log

pytestmark = pytest.mark.soak

OF_ROWS = sorted({way for ways in WAYS.values() for way in ways} - {"mixed", "statements"})


@pytest.mark.parametrize("way", OF_ROWS)
def test_a_workload_is_made_again(played: Played, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if way not in WAYS[played.server.flavour]:
        pytest.skip("is the other flavour's")
    as_server, as_session = WAYS[played.server.flavour][way]
    # A replay begins with a database that is there.
    monkeypatch.setattr(played.server, "create_database", lambda name: None)
    # SET STATEMENT … FOR may be anything, and ends a replay.
    definitions = [each for each in tables.DEFINITIONS_OF_MARIADB if not each.startswith("SET STATEMENT")]
    monkeypatch.setattr(tables, "DEFINITIONS_OF_MARIADB", definitions)
    # The order of rows without a key is nobody's, and MariaDB logs too little of a sequence.
    without = ["keyless", *(["sequence"] if "minimal" in way else [])]
    work = Workload(played.server, Names(played.source, played.other), session=as_session, without=without)
    with made.logged(played.server, as_server):
        played.after = end_of_log(played.server)
        work.set_up()
        work.each()
        work.run(150, writers=3)
        work.define(1)
        work.run(50, writers=2)
        until = end_of_log(played.server)
    before = played.tables_of(played.source), played.tables_of(played.other)

    replayed = played.replay(until)

    assert replayed.transactions > 400
    assert (played.tables_of(played.source), played.tables_of(played.other)) == before
    assert {kind for kind, _ in played.differing()} <= {"event"}
