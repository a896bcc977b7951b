"""How many connections a load takes where nobody said how many, and why.

The numbers come from what was measured (docs/performance.md, "Restore and verification"): the server is the
whole cost, some 7 MB of a dump a second for each of its cores. What reads the dump and sends it on manages
190 MB/s.
"""

from __future__ import annotations

from math import inf

from backups import mysql
from backups.loading.chunks import CHUNK_BYTES
from backups.text.sentences import phrase, plural

# With one, a table's keys are made row by row: twice the time, on two cores too.
_LEAST = 2
# What more would give is not measured, and the server may have other work.
_MOST = 8
# Fewer would have nothing to do while the last one works.
_CHUNKS_EACH = 2


def choose(wished: int, cores: int, size: int, to_take: float = inf) -> mysql.ChosenConnections:
    """How many connections load a dump of `size` bytes: as many as are `wished`; without a wish, what helps.

    `to_take` is how many the server has to give.
    """
    if wished:
        return mysql.ChosenConnections(wished, phrase("RESTORE_CONNECTIONS is {wished}", wished=wished))
    limits = (
        (_MOST, phrase("only RESTORE_CONNECTIONS makes it more")),
        (cores, plural("there is one core", "there are {n} cores", n=cores)),
        (size // (CHUNK_BYTES * _CHUNKS_EACH), phrase("the dump has only {size} MB", size=size // 1_000_000)),
        (to_take, phrase("the server has no more to give")),
    )
    number, because = min(limits, key=lambda limit: limit[0])
    if number < _LEAST:
        return mysql.ChosenConnections(
            _LEAST, phrase("at least {least}, although {because}", least=_LEAST, because=because)
        )
    return mysql.ChosenConnections(int(number), because)
