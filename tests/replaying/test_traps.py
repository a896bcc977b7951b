"""What has led replays astray: it is made again byte for byte, or it ends the replay with its name."""

from __future__ import annotations

import pytest

from backups import mysql
from backups.errors import Problem
from tests.replaying.newer_traps import NEWER_TRAPS
from tests.replaying.playing import Played
from tests.replaying.session import say
from tests.replaying.traps import TRAPS, Trap


def marks_of(number: int, trap: Trap) -> pytest.MarkDecorator:
    """Each on one of the servers that have it, in turn."""
    mainly = trap.flavours[number % len(trap.flavours)]
    return pytest.mark.one_flavour(mainly) if trap.always else pytest.mark.soak


@pytest.mark.parametrize(
    "trap",
    [
        pytest.param(trap, id=trap.name, marks=marks_of(number, trap))
        for number, trap in enumerate((*TRAPS, *NEWER_TRAPS))
    ],
)
def test_a_trap_leads_to_the_same_or_ends_the_replay(played: Played, trap: Trap) -> None:
    if played.server.flavour not in trap.flavours:
        pytest.skip("the other kind of server has no such thing")
    number = mysql.version_number(str(played.server.query("SELECT VERSION()")[0][0]))
    is_over = trap.until and played.server.flavour == "mariadb" and number >= trap.until
    if number < trap.since or is_over:
        pytest.skip("another version")
    database = {"source": played.source, "other": played.other}[trap.database]
    say(played.server, database, map(played.named, trap.statements))
    before = played.tables_of(played.other)

    if trap.ends is None:
        replayed = played.replay()
        assert replayed.transactions
        assert played.differing() == set()
    else:
        with pytest.raises(Problem) as raised:
            played.replay()
        if isinstance(trap.ends, str):
            assert raised.value.code == trap.ends
        else:
            assert raised.value.code == "replay.barrier"
            assert raised.value.params["barrier"] == trap.ends.value
    assert played.tables_of(played.other) == before
