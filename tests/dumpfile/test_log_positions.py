"""Positions in the binary log: their order, what people are told, and MariaDB's comments that tell one."""

from __future__ import annotations

import pytest

from backups.dumpfile import log_positions, master_data
from backups.dumpfile.log_positions import How, Place, WhyNot

BEFORE = b"-- MariaDB dump 10.19\n-- Host: db\n\n/*!40101 SET @OLD=1 */;\n/*!40111 SET SQL_NOTES=0 */;\n"
TABLE = b"\n--\n-- Table structure for table `t`\n--\n\nDROP TABLE IF EXISTS `t`;\n"
CHANGE = b"-- CHANGE MASTER TO MASTER_LOG_FILE='bin-log.000012', MASTER_LOG_POS=4711;\n"
OF_10_11_19 = (
    b"\n--\n-- Alternately, following is the position of the binary logging from SHOW MASTER STATUS.\n"
    b"-- Use this when creating a slave of the master server where the backup was made.\n--\n\n" + CHANGE
    + b"\n-- A corresponding to the above master-data CHANGE-MASTER settings is printed later in the file.\n"
)  # fmt: skip
GTID = (
    b"\n-- Preferably use GTID to start replication from GTID position:\n"
    b"\n-- SET GLOBAL gtid_slave_pos='0-1-5,1-1-7';\n"
)
BEFORE_THAT = b"\n--\n-- Position to start replication or point-in-time recovery from\n--\n\n" + CHANGE + GTID
DEFERRED = b"\n-- The deferred gtid setting for slave follows\n" + GTID
FOOTER = (
    b"/*!40103 SET TIME_ZONE=@OLD_TIME_ZONE */;\n\n/*M!100616 SET NOTE_VERBOSITY=1 */;\n\n-- Dump completed\n"
)


@pytest.mark.parametrize(("said", "gtid"), [(OF_10_11_19, None), (BEFORE_THAT, "0-1-5,1-1-7")])
@pytest.mark.parametrize("after", [TABLE, FOOTER])
def test_header_is_as_if_nothing_had_been_told(said: bytes, gtid: str | None, after: bytes) -> None:
    told = master_data.header(BEFORE + said + after)

    assert told == (BEFORE + after, Place("bin-log.000012", 4711), gtid)
    assert master_data.is_told(BEFORE + said + after)
    assert not master_data.is_told(BEFORE + said[:-1])


@pytest.mark.parametrize(
    "header",
    [
        BEFORE + TABLE,
        BEFORE + OF_10_11_19.replace(b"-- CHANGE", b"CHANGE") + TABLE,
        BEFORE + OF_10_11_19.replace(b"4711", b"x") + TABLE,
        # Who told it first, and which of them is right?
        BEFORE + OF_10_11_19 + b"\n--\n" + CHANGE + TABLE,
    ],
)
def test_header_that_is_not_known_tells_nothing(header: bytes) -> None:
    assert master_data.header(header) is None


@pytest.mark.parametrize("before", [b"COMMIT;\n", b"x\n" * master_data.FOOTER_BYTES])
def test_footer_is_as_if_nothing_had_been_told(before: bytes) -> None:
    assert master_data.footer(before + DEFERRED + FOOTER) == (before + FOOTER, "0-1-5,1-1-7")
    assert master_data.footer(before + FOOTER) == (before + FOOTER, None)


def test_body_of_a_routine_that_looks_like_a_footer_stays() -> None:
    body = b"CREATE PROCEDURE p()\nBEGIN\n" + DEFERRED + b"DO 1;\nEND ;;\nDELIMITER ;\n"

    assert master_data.footer(body + FOOTER) == (body + FOOTER, None)
    assert master_data.footer(body + DEFERRED + FOOTER) == (body + FOOTER, "0-1-5,1-1-7")


@pytest.mark.parametrize(
    ("before", "place", "after", "is_between"),
    [
        (Place("b.000009", 4), Place("b.000010", 4), Place("b.000010", 4), True),
        (Place("b.999999", 900), Place("b.1000000", 4), Place("b.1000000", 5), True),
        (Place("b.000010", 5), Place("b.000010", 4), Place("b.000010", 9), False),
        (Place("b.000010", 5), Place("b.000010", 9), Place("b.000010", 8), False),
        (Place("b.000010", 5), Place("b.000001", 4), Place("b.000001", 4), False),
        (Place("b.000010", 5), Place("c.000010", 5), Place("b.000010", 5), False),
    ],
)
def test_files_follow_each_other_by_their_numbers(
    before: Place, place: Place, after: Place, is_between: bool
) -> None:
    assert place.is_between(before, after) == is_between


def test_people_are_told_where_it_is_or_why_it_is_nowhere() -> None:
    exact = log_positions.exact(Place("b.000012", 4711), How.LOCK, gtid=None, server={"id": 1, "uuid": None})

    assert log_positions.told(exact) == "b.000012:4711, exact"
    told = {log_positions.told(log_positions.not_exact(why)) for why in WhyNot}
    assert len(told) == len(WhyNot)
    assert "no exact position: the server writes no binary log (log_bin is off)" in told
    later = {**log_positions.not_exact(WhyNot.XA), "why_not": "of tomorrow"}
    assert log_positions.told(later) == "no exact position: of tomorrow"
