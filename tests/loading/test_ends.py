"""Whether a file is whole: cut off behind the end of another program's dump, it is not."""

from __future__ import annotations

import pytest

from backups.dumpfile.allowed import Allowed
from backups.dumpfile.dialect import Dialect
from backups.dumpfile.ready import Does, LoadOptions, Ready
from backups.loading.progress import End, Loading
from backups.loading.reading import judged

TABLE = b"CREATE TABLE `t` (\n  `id` int\n);\n"
ROWS = b"INSERT INTO `t` VALUES (1);\n"
SECOND = b"CREATE TABLE `u` (\n  `id` int\n);\n"
MORE = b"INSERT INTO `u` VALUES (1);\n"
CLOSING = b"-- Dump completed on 2026-01-01  0:00:00\n"
SAVED = b"/*!40103 SET @OLD_TIME_ZONE=@@TIME_ZONE, TIME_ZONE='+00:00' */;\n"
PUT_BACK = b"/*!40103 SET TIME_ZONE=@OLD_TIME_ZONE */;\n"
# What mysqldump sets for the length of a table, also with --compact.
FOR_A_TABLE = (
    b"/*!40101 SET @saved_cs_client     = @@character_set_client */;\n"
    b"/*!50503 SET character_set_client = utf8mb4 */;\n" + TABLE +
    b"/*!40101 SET character_set_client = @saved_cs_client */;\n"
)  # fmt: skip
FOR_ITS_ROWS = (
    b"SET @old_autocommit=@@autocommit, autocommit=0;\n" + ROWS + b"SET autocommit=@old_autocommit;\n"
)
FOR_ITS_HISTORY = (
    b"SET @old_system_versioning_insert_history=@@system_versioning_insert_history,"
    b" system_versioning_insert_history=1;\n"
    + ROWS
    + b"SET system_versioning_insert_history=@old_system_versioning_insert_history;\n"
)

WHOLE = {
    "a closing line": TABLE + ROWS + CLOSING,
    "a closing line behind another": TABLE + ROWS + CLOSING + SECOND + MORE + CLOSING,
    "settings put back": SAVED + TABLE + ROWS + PUT_BACK,
    "a commit": b"START TRANSACTION;\n" + TABLE + ROWS + b"COMMIT;\n",
    "a commit and settings": b"START TRANSACTION;\n" + TABLE + ROWS + b"COMMIT;\nSET time_zone='+00:00';\n",
    "settings of a table within those of a dump": SAVED + FOR_A_TABLE + FOR_ITS_ROWS + PUT_BACK,
}
# The end of the first tells nothing of a second that follows it, of which the rest is missing.
UNKNOWN = {
    "rows behind a closing line": TABLE + CLOSING + ROWS,
    "a table behind a closing line": TABLE + ROWS + CLOSING + SECOND,
    "rows behind a commit": TABLE + b"COMMIT;\n" + ROWS,
    "a table behind a commit": TABLE + ROWS + b"COMMIT;\n" + SECOND,
    "a view behind a commit": TABLE + ROWS + b"COMMIT;\nCREATE VIEW v AS SELECT 1;\n",
    "a transaction behind a commit": TABLE + ROWS + b"COMMIT;\nSTART TRANSACTION;\n",
    "settings of a table put back": FOR_A_TABLE,
    "settings of its rows put back": TABLE + FOR_ITS_ROWS,
    "settings of its history put back": TABLE + FOR_ITS_HISTORY,
    "no settings": TABLE + ROWS,
}
CUT = {
    "settings not put back": SAVED + TABLE + ROWS,
    "settings not put back behind those of a table": SAVED + FOR_A_TABLE + FOR_ITS_ROWS,
    "a second dump's settings behind a closing line": TABLE + CLOSING + SAVED + SECOND,
    "a second dump's settings behind those of the first": SAVED + TABLE + PUT_BACK + SAVED + SECOND,
    "a second dump's settings behind a commit": TABLE + ROWS + b"COMMIT;\n" + SAVED + SECOND,
}


def read(dump: bytes, dialect: Dialect, *, at_once: int) -> tuple[list[Ready], Loading]:
    """What is sent of a dump that comes in pieces."""
    loading = Loading()
    allowed = Allowed(dialect, LoadOptions("shop__verify_1", source="shop"))
    pieces = [dump[at : at + at_once] for at in range(0, len(dump), at_once)]
    return [*judged(iter(pieces), loading, allowed, dialect)], loading


@pytest.mark.parametrize(
    ("dump", "end"),
    [
        pytest.param(dump, end, id=f"{end.value}-{name}")
        for end, dumps in ((End.WHOLE, WHOLE), (End.UNKNOWN, UNKNOWN), (End.CUT, CUT))
        for name, dump in dumps.items()
    ],
)
@pytest.mark.parametrize("is_mariadb", [True, False], ids=["mariadb", "mysql"])
def test_only_the_last_end_in_a_file_counts(dump: bytes, end: End, is_mariadb: bool) -> None:
    dialect = Dialect(is_mariadb, 101119 if is_mariadb else 90704)

    for at_once in (1, 7, 1 << 20):
        assert read(dump, dialect, at_once=at_once)[1].end == end


def test_of_a_cut_dump_nothing_is_sent_that_waits_for_all_rows() -> None:
    dialect = Dialect(is_mariadb=True, version=101119)
    keys = b"ALTER TABLE `t` ADD PRIMARY KEY (`id`);\n"

    sent, _ = read(SAVED + TABLE + keys + ROWS, dialect, at_once=1 << 20)

    assert [one.does for one in sent] == [Does.TABLE, Does.ROWS]
