"""What is kept in memory has a bound, and one sentence says what was beyond it; rows stream by."""

from __future__ import annotations

import resource
from collections.abc import Iterator

import MySQLdb
import pytest

from backups.dumpfile import allowed, digesting, manifests, sections, splitter, statements
from backups.dumpfile.allowed import Allowed
from backups.dumpfile.dialect import quoting
from backups.dumpfile.digesting import Digester
from backups.dumpfile.sections import Kind, TooLarge
from backups.loading import reading
from backups.loading.problems import NotADump
from backups.loading.progress import Loading
from backups.loading.reading import judged
from backups.mysql.error_numbers import problem_from
from tests.dumpfile.reading import MARIADB, OPTIONS
from tests.hostile.parsers import OF_TABLE, SERVER, TRIGGER

_PIECE = 256 << 10
_MB = 1 << 20
_OF_VIEW = (
    b"--\n-- Final view structure for view `v`\n--\n\n/*!50001 CREATE ALGORITHM=UNDEFINED */\n/*!50001 VIEW "
)
_OF_ROUTINES = (
    b"--\n-- Dumping routines for database 'shop'\n--\n"
    b"/*!50003 DROP PROCEDURE IF EXISTS `p` */;\nDELIMITER ;;\nCREATE PROCEDURE `p`()\n"
)
_OF_EVENTS = (
    b"--\n-- Dumping events for database 'shop'\n--\n"
    b"/*!50106 DROP EVENT IF EXISTS `e` */;\nDELIMITER ;;\n"
    b"CREATE EVENT `e` ON SCHEDULE EVERY 1 DAY DO BEGIN\n"
)
_BODY = b"SET @a = '" + b"x" * 500 + b"';\n"
_TRIGGER_BEGINS = TRIGGER + b"TRIGGER `g` BEFORE INSERT ON `t` FOR EACH ROW BEGIN\n"


def with_filling(begin: bytes, filling: bytes, megabytes: int) -> Iterator[bytes]:
    """A dump in pieces that goes on with the same."""
    yield begin
    piece = filling * (_PIECE // len(filling))
    for _ in range(megabytes * _MB // len(piece) + 1):
        yield piece


def digest(chunks: Iterator[bytes]) -> Digester:
    """A dump's digests."""
    digester = Digester()
    for chunk in chunks:
        for _ in digester.feed(chunk):
            pass
    return digester


DEFINITIONS = {
    "table t": (OF_TABLE + b"CREATE TABLE `t` (\n", b"  `a` int COMMENT '" + b"x" * 500 + b"',\n"),
    "table one": (OF_TABLE + b"CREATE TABLE `one` (a text DEFAULT '", b"x"),
    "trigger g of table t": (_TRIGGER_BEGINS, _BODY),
    "view v": (_OF_VIEW + b"`v` AS ", b"select '" + b"x" * 500 + b"' union\n"),
    "procedure p": (_OF_ROUTINES + b"BEGIN\n", _BODY),
    "event e": (_OF_EVENTS, _BODY),
}


@pytest.mark.parametrize("named", DEFINITIONS)
def test_a_definition_that_is_too_long_is_refused_by_its_name(
    named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (sections, splitter):
        monkeypatch.setattr(module, "LONGEST_DEFINITION", 1 << 20)

    with pytest.raises(TooLarge) as refused:
        digest(with_filling(*DEFINITIONS[named], 2))

    assert refused.value.what.startswith(f"The definition of {named} is longer than 1 MB")
    assert refused.value.do


@pytest.mark.soak
@pytest.mark.parametrize("named", DEFINITIONS)
def test_a_definition_of_15_mb_is_taken_and_one_of_17_is_not(named: str) -> None:
    digest(with_filling(*DEFINITIONS[named], 15))

    with pytest.raises(TooLarge, match="is longer than 16 MB"):
        digest(with_filling(*DEFINITIONS[named], 17))


def test_a_definition_that_hides_its_name_is_refused() -> None:
    with pytest.raises(TooLarge, match="A trigger of table t has no name in the first 64 kB"):
        digest(with_filling(TRIGGER, b"/* no name */\n", 1))


def test_a_row_of_64_mb_streams_by() -> None:
    rows = OF_TABLE + b"CREATE TABLE `t` (a longblob);\n--\n-- Dumping data for table `t`\n--\n\n"
    digest(with_filling(rows + b"INSERT INTO `t` VALUES ('", b"x", 1))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    digester = digest(with_filling(rows + b"INSERT INTO `t` VALUES ('", b"x", 72))

    assert (digester.section.kind, digester.section.table) == (Kind.ROWS, "t")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 16 << 10


def test_rows_that_no_line_announces_are_none_of_their_tables_definition(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for module in (sections, splitter):
        monkeypatch.setattr(module, "LONGEST_DEFINITION", 1 << 20)
    table = OF_TABLE + b"CREATE TABLE `t` (a text);\n"
    row = b"INSERT INTO `t` VALUES ('" + b"x" * 500 + b"');\n"

    found = digest(with_filling(table, row, 2)).sections({})

    assert [(section["kind"], section["name"]) for section in found] == [("table", "t"), ("rows", "t")]


def test_a_dump_of_endless_parts_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(splitter, "_MOST_SECTIONS", 1000)

    with pytest.raises(TooLarge, match="more than 1000 parts, the last of them table t"):
        digest(with_filling(b"", OF_TABLE + b"CREATE TABLE `t` (a int);\n", 1))


def test_definitions_without_an_end_are_refused_however_short_each_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(digesting, "_MOST_DEFINED", 100_000)

    with pytest.raises(TooLarge, match="With table t, the definitions of the dump are longer than"):
        digest(with_filling(b"", OF_TABLE + b"CREATE TABLE `t` (a int);\n", 1))


@pytest.mark.parametrize("one", [b"CREATE PROCEDURE p() SELECT 1;\n", b"SET @a = 'any text';\n"])
def test_a_load_keeps_so_much_and_no_more(one: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allowed, "_MOST_DEFINED", 10_000)

    with pytest.raises(NotADump, match="what brings no rows is longer than"):
        for _ in judged(with_filling(b"", one, 1), Loading(), Allowed(MARIADB, OPTIONS), MARIADB):
            pass


def test_no_pattern_of_a_dump_is_kept_for_ever() -> None:
    many = b"".join(b"DELIMITER x%d\nSET sql_mode = 'A%d' x%d\n" % (n, n, n) for n in range(150))

    for _ in judged(iter([many]), Loading(), Allowed(MARIADB, OPTIONS), MARIADB):
        pass

    assert statements._stops.cache_info().currsize <= 100
    assert quoting.cache_info().currsize <= 100


def test_a_manifest_that_goes_on_is_damaged(monkeypatch: pytest.MonkeyPatch) -> None:
    section = {"kind": "table", "name": "t", "bytes": 1, "sha256": "0" * 64}
    server = {"flavour": "mariadb", "version": "10.11.19"}
    told = manifests.manifest_text(manifests.manifest_of([section] * 100, server=server, inventory={}))
    assert digest(iter([b"x;\n", told])).manifest()

    monkeypatch.setattr(manifests, "_LONGEST_MANIFEST", 1000)
    with pytest.raises(manifests.ManifestDamaged):
        digest(iter([b"x;\n", told])).manifest()


@pytest.mark.parametrize(
    ("begin", "words"),
    [
        (OF_TABLE + b"CREATE TABLE `t` (a text DEFAULT '", "The definition of table"),
        (b"CREATE TABLE `t` (a text DEFAULT '", "brings no rows and is longer than 1 MB"),
        (b"/* ", "brings no rows and is longer than 1 MB"),
    ],
)
def test_a_load_says_what_is_too_long_and_calls_it_no_cut(
    begin: bytes, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (sections, splitter, reading, statements):
        monkeypatch.setattr(module, "LONGEST_DEFINITION", 1 << 20)
    dump = with_filling(b"CREATE TABLE `s` (a int);\n" + begin, b"x", 3)

    with pytest.raises(NotADump) as refused:
        for _ in judged(dump, Loading(), Allowed(MARIADB, OPTIONS), MARIADB):
            pass

    assert words in refused.value.what
    assert "cut" not in refused.value.what


def test_a_servers_message_goes_into_a_sentence_as_a_sentence() -> None:
    problem = problem_from(MySQLdb.OperationalError(1064, "x" * 100_000), SERVER)

    assert len(problem.what) < 1200
