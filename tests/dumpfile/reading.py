"""What the tests of the reader share: two servers to read as, and a dump read in pieces."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

from backups.dumpfile.allowed import Allowed
from backups.dumpfile.dialect import Dialect
from backups.dumpfile.judge import Judge
from backups.dumpfile.ready import LoadOptions, Ready
from backups.dumpfile.settings import Settings
from backups.dumpfile.statements import Reader, Statement

MARIADB = Dialect.of(is_mariadb=True, number=(10, 11, 19))
MYSQL = Dialect.of(is_mariadb=False, number=(9, 7, 4))
OPTIONS = LoadOptions("live__verify_1", source="live")
TABLE = "CREATE TABLE `t` (`id` int, `n` int) ENGINE=InnoDB;\n"
SEQUENCE = "CREATE SEQUENCE `s` start with 1;\n"


def pieces(text: bytes, cuts: Iterable[int]) -> list[bytes]:
    """The text cut at these places."""
    places = [0, *sorted(cuts), len(text)]
    return [text[begin:end] for begin, end in pairwise(places)]


def statements(
    text: bytes, cuts: Iterable[int] = (), *, dialect: Dialect = MARIADB, settings: Settings | None = None
) -> list[Statement]:
    """All statements of a text that comes in pieces."""
    reader = Reader(dialect, settings or Settings())
    found = [statement for piece in pieces(text, cuts) for statement in reader.feed(piece)]
    return [*found, *reader.close()]


def judged(
    text: str | bytes, dialect: Dialect = MARIADB, options: LoadOptions = OPTIONS, *, cuts: Iterable[int] = ()
) -> tuple[list[Ready], Allowed]:
    """What is sent of a dump, and what was found in it."""
    allowed = Allowed(dialect, options)
    judge = Judge(dialect, allowed)
    data = text if isinstance(text, bytes) else text.encode()
    ready = [each for piece in pieces(data, cuts) for each in judge.feed(piece)]
    return [*ready, *judge.close(), *allowed.rest()], allowed


def sent(text: str, dialect: Dialect = MARIADB, options: LoadOptions = OPTIONS) -> list[str]:
    """The texts of what is sent, each blank as one."""
    return [" ".join(ready.text.decode().split()) for ready in judged(text, dialect, options)[0]]
