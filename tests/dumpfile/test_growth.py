"""Definitions that somebody wrote to be read for ever: four times the text may take little more than four
times as long, whether it is judged or digested."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress

import pytest

from backups.dumpfile.allowed import NotAllowed
from backups.dumpfile.statements import NoStatement
from backups.stream import Digester
from tests.dumpfile.reading import TABLE, judged

VIEW = b"CREATE VIEW v AS SELECT "
# Read as a view's text, whose columns may come with their database's name, and its WITH CHECK OPTION.
JUDGED: dict[str, Callable[[int], bytes]] = {
    "blanks": lambda n: VIEW + b" " * (8 * n) + b"1;\n",
    "ends of comments": lambda n: VIEW + b"1" + b"\n*/" * (8 * n) + b";\n",
    "blanks before its option": lambda n: (
        b"/*!50001 CREATE VIEW v AS SELECT 1" + b" " * (8 * n)
        + b"*/\n/*!50002 WITH CASCADED CHECK OPTION */;\n"
    ),
    "escaped quotes in a text": lambda n: VIEW + b'"' + b"\\'" * n + b'";\n',
    "escaped quotes in a comment": lambda n: VIEW + b"-- " + b"\\'" * n + b"\n1;\n",
    "a name of backticks": lambda n: VIEW + b"`" * (2 * n) + b";\n",
    "names without a blank": lambda n: VIEW + b"`a`" * n + b";\n",
    "names of databases": lambda n: VIEW + b"`a`.`b`.`c`," * n + b"1;\n",
    "joins of no name": lambda n: VIEW + b" join ``" * n + b";\n",
    "joins of half a name": lambda n: VIEW + b" join `" * (2 * n) + b";\n",
    "brackets of a join": lambda n: VIEW + b" from " + b"(" * n + b"`a`;\n",
}  # fmt: skip

OF_A_TRIGGER = (
    b"--\n-- Table structure for table `t`\n--\n\nCREATE TABLE `t` (id int);\n"
    b"/*!50003 SET @saved_cs_client      = @@character_set_client */ ;\nDELIMITER ;;\nCREATE "
)
# Read as a trigger's statement, which has its name somewhere and may have its database's before it.
DIGESTED: dict[str, Callable[[int], bytes]] = {
    "short lines": lambda n: OF_A_TRIGGER + b";\n" * n,
    "lines of comments": lambda n: OF_A_TRIGGER + b"#\n" * n,
    "comments that do not end": lambda n: OF_A_TRIGGER + b"TRIGGER /*" * n + b";;\n",
    "comments behind names": lambda n: OF_A_TRIGGER + b"TRIGGER a /**/" * n + b";;\n",
    "comments before no name": lambda n: OF_A_TRIGGER + b"TRIGGER " + b"/**/" * n + b";;\n",
    "dashes": lambda n: OF_A_TRIGGER + b"TRIGGER -- " * n + b";;\n",
    "names that do not end": lambda n: OF_A_TRIGGER + b"TRIGGER `a" * n + b";;\n",
}


def judge(text: bytes) -> None:
    """Read it as it would be loaded."""
    with suppress(NotAllowed, NoStatement):
        judged(TABLE.encode() + text, cuts=range(0, len(text), 64 << 10))


def digest(text: bytes) -> None:
    """Digest it section by section, as a verification does."""
    digester = Digester()
    for at in range(0, len(text), 64 << 10):
        for _ in digester.feed(text[at : at + (64 << 10)]):
            pass
    for _ in digester.close():
        pass
    digester.sections({"utf8": "utf8_bin"}, whatever_state=True)


def growth(read: Callable[[bytes], None], made: Callable[[int], bytes], count: int) -> tuple[float, float]:
    """How long a text takes, and one of four times the length; the better of two."""
    best = []
    for times in (1, 4):
        text = made(count * times)
        seconds = 99.0
        for _ in range(2):
            began = time.process_time()
            read(text)
            seconds = min(seconds, time.process_time() - began)
        best.append(seconds)
    return best[0], best[1]


@pytest.mark.parametrize("what", JUDGED)
def test_a_views_text_is_read_in_the_time_that_its_length_takes(what: str) -> None:
    once, four_times = growth(judge, JUDGED[what], 1500)

    assert four_times < 8 * once + 0.05


@pytest.mark.parametrize("what", DIGESTED)
def test_a_triggers_text_is_digested_in_the_time_that_its_length_takes(what: str) -> None:
    once, four_times = growth(digest, DIGESTED[what], 1000)

    assert four_times < 8 * once + 0.05
