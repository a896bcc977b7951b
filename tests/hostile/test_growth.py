"""What others wrote may take no longer to be read than its length does, however it was made.

Each row is a text that took its square, or for ever, in some parser at some time, or is of that kind.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.hostile.parsers import OF_TABLE, PARSERS, TRIGGER

_VIEW = b"CREATE VIEW v AS SELECT "
# The parser, and what is made of a number.
ROWS: dict[str, tuple[str, Callable[[int], bytes]]] = {
    "a view: blanks": ("judge", lambda n: _VIEW + b" " * (8 * n) + b"1;\n"),
    "a view: ends of comments": ("judge", lambda n: _VIEW + b"1" + b"\n*/" * (8 * n) + b";\n"),
    "a view: blanks before its option": ("judge", lambda n: (
        b"/*!50001 CREATE VIEW v AS SELECT 1" + b" " * (8 * n)
        + b"*/\n/*!50002 WITH CASCADED CHECK OPTION */;\n"
    )),
    "a view: escaped quotes in a text": ("judge", lambda n: _VIEW + b'"' + b"\\'" * n + b'";\n'),
    "a view: escaped quotes in a comment": ("judge", lambda n: _VIEW + b"-- " + b"\\'" * n + b"\n1;\n"),
    "a view: a name of backticks": ("judge", lambda n: _VIEW + b"`" * (2 * n) + b";\n"),
    "a view: names without a blank": ("judge", lambda n: _VIEW + b"`a`" * n + b";\n"),
    "a view: names of databases": ("judge", lambda n: _VIEW + b"`a`.`b`.`c`," * n + b"1;\n"),
    "a view: joins of no name": ("judge", lambda n: _VIEW + b" join ``" * n + b";\n"),
    "a view: joins of half a name": ("judge", lambda n: _VIEW + b" join `" * (2 * n) + b";\n"),
    "a view: brackets of a join": ("judge", lambda n: _VIEW + b" from " + b"(" * n + b"`a`;\n"),
    "a view: a text that ends in half an escape": ("view", lambda n: b"'" + b"\\'" * (4 * n) + b"\\"),
    "a view's text: quotes that do not end": ("view's text", lambda n: b"'" + b"\\'" * n),
    "a trigger: short lines": ("digest", lambda n: TRIGGER + b";\n" * (n // 2)),
    "a trigger: lines of comments": ("digest", lambda n: TRIGGER + b"#\n" * (n // 2)),
    "a trigger: comments that do not end": ("trigger", lambda n: b"TRIGGER /*" * n),
    "a trigger: comments before a name": ("trigger", lambda n: (
        b"CREATE TRIGGER " + b"/**/" * (4 * n) + b" t BEFORE --\x01x\nINSERT ON o FOR EACH ROW SET @a=1"
    )),
    "a trigger: comments behind names": ("trigger", lambda n: b"TRIGGER a /**/" * (4 * n)),
    "a trigger: dashes": ("trigger", lambda n: b"TRIGGER -- " * (4 * n)),
    "a trigger: names that do not end": ("trigger", lambda n: b"TRIGGER `a" * (4 * n)),
    "a trigger: a text that ends in half an escape": ("trigger", lambda n: b"'" + b"\\'" * (4 * n) + b"\\"),
    "a definer: a name that does not end": ("definer", lambda n: b"CREATE DEFINER=`" + b"``" * (9 * n)),
    "a definer: names that do not begin": ("definer", lambda n: b"CREATE DEFINER=" * (9 * n)),
    "a definer: comments without a definer": ("definer", lambda n: b"CREATE " + b"*/ /*!50013 " * (4 * n)),
    "a section: lines without a name": ("digest", lambda n: OF_TABLE + b"x\n" * (8 * n)),
    "a section: a line without an end": ("digest of crumbs", lambda n: OF_TABLE + b"x" * (2000 * n)),
    "a section: a database's name without an end": ("digest of crumbs", lambda n: (
        b"ALTER DATABASE `" + b"``" * (60 * n)
    )),
    "a table: a text that does not end": ("table", lambda n: b"DEFAULT '" + b"\\'" * (2 * n)),
    "a table: texts compared": ("tables compared", lambda n: b"DEFAULT '" + b"\\'" * (2 * n)),
    "a table: folders in one comment": ("judge", lambda n: (
        b"CREATE TABLE `u` (a int) /*!50100 " + b" DATA DIRECTORY='x'" * (n // 4) + b" */;\n"
    )),
    "sequences: a text that does not end": ("sequences", lambda n: b"'" + b"\\'" * n + b"\\\n"),
    "a table: numbers of transactions": ("tally", lambda n: b"CREATE TABLE `t` (`a` " + b"bigint " * (2 * n)),
    "sections: of one name": ("sections", lambda n: b"a\n" * n),
    "a default: a text that does not end": ("default", lambda n: b"+" * n + b"'" + b"\\'" * n),
    "a head: parameters that do not end": ("head in latin1", lambda n: (
        b"CREATE PROCEDURE `p`(" + b"'" + b"\\'" * (4 * n)
    )),
    "a head: comments that do not end": ("head in gbk", lambda n: b"CREATE PROCEDURE `p`(" + b"/*" * (4 * n)),
    "a dump: a comment that does not end": ("judge", lambda n: b"/* " + b"x" * (500 * n)),
    "a dump program's end: numbers without one": ("dump program's end", lambda n: b" (" * (4 * n)),
    "a server's message": ("server's message", lambda n: b"to user '@'" * n),
    "a warning": ("warnings", lambda n: b"for column '`" * n),
    "grants: columns without an end": ("grants", lambda n: b"GRANT " + b"A (" * n + b" ON *.* TO x"),
    "grants: blanks": ("grants", lambda n: b"GRANT " + b" " * (2 * n) + b" ON *.* TO x"),
    "a line of restic's": ("restic's end", lambda n: b"lstat " * n),
    "a line of restic's: retries": ("restic's end", lambda n: b": returned error, retrying after " * n),
    "a line of restic's: packs": ("packs", lambda n: (b"pack " + b"a" * 64 + b" ") * n),
    "a position: comments without one": ("position", lambda n: b"*/;\n\n--\n" + b"-- x\n" * (8 * n)),
    "a position: beginnings": ("position", lambda n: b"*/;\n\n--\n-- x\n--\n\n" * (4 * n)),
    "a position: a footer that does not end": ("position", lambda n: (
        b"\n-- The deferred gtid x\n\n-- y\n\n-- SET GLOBAL gtid_slave_pos='';\n" + b"\n/**/;\n" * n + b"x"
    )),
    "a program's line without an end": ("lines of programs", lambda n: b"x" * (1000 * n)),
}  # fmt: skip
_TRIES = 4
# Linear is four times; the square is sixteen.
_MOST_TIMES = 8
_ROOM_SECONDS = 0.05
_HOPELESS_SECONDS = 5.0
# What doubles with each piece takes seconds here, and at the least length above more than a life.
_FEW, _MOST_SECONDS_OF_A_FEW = 5, 0.5


def seconds(read: Callable[[bytes], object], text: bytes) -> float:
    """How long a text takes of this process's own time."""
    began = time.process_time()
    read(text)
    return time.process_time() - began


def grows(read: Callable[[bytes], object], made: Callable[[int], bytes], count: int) -> str:
    """How a text's time grows, where that is more than its length does in each of several tries."""
    if (alone := seconds(read, made(_FEW))) > _MOST_SECONDS_OF_A_FEW:
        return f"{alone:.3f} s for {_FEW}, of twice as many nobody would see an end"
    best = [float("inf")] * 3
    for _ in range(_TRIES):
        best = [min(was, seconds(read, made(count * by))) for was, by in zip(best, (1, 2, 4), strict=True)]
        if best[2] < _MOST_TIMES * best[0] + _ROOM_SECONDS:
            return ""
        if best[2] > _HOPELESS_SECONDS:
            break
    return f"{best[0]:.3f}, {best[1]:.3f}, {best[2]:.3f} s"


@pytest.mark.parametrize("what", ROWS)
def test_a_text_of_others_is_read_in_the_time_that_its_length_takes(what: str) -> None:
    parser, made = ROWS[what]

    assert not grows(PARSERS[parser].read, made, 1000)


def test_a_grant_for_many_patterns_at_once_is_compared_at_once() -> None:
    """A hostile server's: the name is 64 letters at most, so it is the pattern that could be made costly."""
    assert seconds(PARSERS["pattern of a grant"].read, b"%a" * 40 + b"b") < 1


@pytest.mark.soak
@pytest.mark.parametrize("name", PARSERS)
def test_nobody_finds_a_text_that_takes_longer(name: str) -> None:
    parser = PARSERS[name]
    pieces = st.sampled_from([*parser.of, b"x", b" ", b"\n"])
    repeated = st.lists(pieces, min_size=1, max_size=4).map(b"".join)
    ends = st.one_of(st.just(b""), st.lists(pieces, max_size=2).map(b"".join), st.just(b"\x01"))

    @settings(
        max_examples=400, deadline=None, suppress_health_check=list(HealthCheck),
        phases=(Phase.generate, Phase.target),
    )  # fmt: skip
    @given(begin=st.sampled_from(parser.begins), before=repeated, unit=repeated, end=ends)
    def nobody(begin: bytes, before: bytes, unit: bytes, end: bytes) -> None:
        def made(count: int) -> bytes:
            return begin + before + unit * (count // len(unit)) + end

        if seconds(parser.read, made(8000)) > _ROOM_SECONDS:
            assert not grows(parser.read, made, 4000)

    nobody()
