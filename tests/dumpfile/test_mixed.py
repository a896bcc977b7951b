"""Definitions in two character sets, put into one: table by table, without a server."""

from __future__ import annotations

from types import MappingProxyType

import pytest

from backups.dumpfile.encodings import bytes_of, text_of
from backups.dumpfile.mixed import Known, in_one_charset, name_of
from backups.dumpfile.mixed_heads import Incomplete, read_head
from backups.dumpfile.sections import Kind
from backups.dumpfile.settings import Settings
from backups.dumpfile.splitter import Splitter
from backups.dumping.mysqldump import with_views

MYSQL = Known(by_mariadb=False)
MARIADB = Known(by_mariadb=True)


def settings(charset: str, mode: str = "") -> Settings:
    return Settings(MappingProxyType({"character_set_client": charset, "sql_mode": mode}))


def u(text: str) -> bytes:
    return text.encode()


# What a dump program writes, the client's character set, who wrote it, and what the server is sent.
TRIGGER = b"/*!50003 CREATE*/ /*!50017 DEFINER=`%s`@`%%`*/ /*!50003 "
CASES = {
    "MySQL's trigger": (
        TRIGGER % u("jörg")
        + b"TRIGGER `%s` BEFORE INSERT ON `%s` FOR EACH ROW set @x='\xfc' */" % (u("prüf"), u("tür")),
        "latin1",
        MYSQL,
        TRIGGER % b"j\xf6rg" + b"TRIGGER `pr\xfcf` BEFORE INSERT ON `t\xfcr` FOR EACH ROW set @x='\xfc' */",
    ),
    "MariaDB's trigger, as its author typed it": (
        TRIGGER % u("jörg") + b"trigger `pr\xfcf` after update on `t\xfcr` for each row set @x='\xfc' */",
        "latin1",
        MARIADB,
        TRIGGER % b"j\xf6rg" + b"trigger `pr\xfcf` after update on `t\xfcr` for each row set @x='\xfc' */",
    ),
    "an older MySQL's, as its author typed it": (
        TRIGGER % b"root" + b"TRIGGER `pr\xfcf` AFTER UPDATE ON t FOR EACH ROW set @x='\xfc' */",
        "latin1",
        MYSQL,
        TRIGGER % b"root" + b"TRIGGER `pr\xfcf` AFTER UPDATE ON t FOR EACH ROW set @x='\xfc' */",
    ),
    "a table that was renamed": (
        TRIGGER % b"root" + b"trigger t before delete ON `%s` for each row set @x='\xfc' */" % u("Tür"),
        "latin1",
        Known(by_mariadb=True, is_table=lambda name: name == "Tür"),
        TRIGGER % b"root" + b"trigger t before delete ON `T\xfcr` for each row set @x='\xfc' */",
    ),
    "an event": (
        b"CREATE EVENT `%s` ON SCHEDULE EVERY '1:30' HOUR_MINUTE COMMENT '%s''s DO' DO select '\xfc'"
        % (u("nächtlich"), u("größe")),
        "latin1",
        MARIADB,
        b"CREATE EVENT `n\xe4chtlich` ON SCHEDULE EVERY '1:30' HOUR_MINUTE %s"
        % b"COMMENT 'gr\xf6\xdfe''s DO' DO select '\xfc'",
    ),
    "MySQL's function": (
        b"CREATE DEFINER=`root`@`%%` FUNCTION `%s`(`\xfc)` enum('\xfc')) RETURNS enum('%s') CHARSET utf8mb4\n"
        b"    NO SQL\n    DETERMINISTIC\n    COMMENT '%s'\nreturn '\xfc'" % (u("prüf"), u("ö"), u("ä")),
        "latin1",
        MYSQL,
        b"CREATE DEFINER=`root`@`%%` FUNCTION `pr\xfcf`(`\xfc)` enum('\xfc')) RETURNS enum('\xf6') %s"
        % b"CHARSET utf8mb4\n    NO SQL\n    DETERMINISTIC\n    COMMENT '\xe4'\nreturn '\xfc'",
    ),
    "MariaDB's procedure": (
        b"CREATE DEFINER=`j\xf6rg`@`%%` PROCEDURE `pr\xfcf`()\n    COMMENT '%s'\nselect '\xfc'" % u("ä"),
        "latin1",
        MARIADB,
        b"CREATE DEFINER=`j\xf6rg`@`%` PROCEDURE `pr\xfcf`()\n    COMMENT '\xe4'\nselect '\xfc'",
    ),
    "letters that end in a backslash or a backtick": (
        TRIGGER % b"root" + b"TRIGGER `%s` BEFORE INSERT ON `t` FOR EACH ROW set @x='\x95\\' */" % u("表チ"),
        "sjis",
        MYSQL,
        TRIGGER % b"root" + b"TRIGGER `\x95\\\x83`` BEFORE INSERT ON `t` FOR EACH ROW set @x='\x95\\' */",
    ),
    "the same as its author typed it": (
        TRIGGER % b"" + b"trigger `\x95\\\x83`` before insert on `\x95\\` for each row set @x='\x95\\' */",
        "sjis",
        MARIADB,
        TRIGGER % b"" + b"trigger `\x95\\\x83`` before insert on `\x95\\` for each row set @x='\x95\\' */",
    ),
    "a client of no character set": (
        b"CREATE FUNCTION `%s`() RETURNS enum('%s') CHARSET latin1\nreturn '\xfc'" % (u("ä"), u("ö")),
        "binary",
        MARIADB,
        b"CREATE FUNCTION `%s`() RETURNS enum('\xf6') CHARSET latin1\nreturn '\xfc'" % u("ä"),
    ),
    "what is no such definition": (u("CREATE TABLE `ä`"), "latin1", MYSQL, u("CREATE TABLE `ä`")),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_what_the_server_wrote_is_put_into_the_clients_character_set(case: str) -> None:
    text, charset, known, wanted = CASES[case]

    plain = in_one_charset(text, settings(charset), known)

    assert plain.text == wanted
    assert (plain.settings.charset, plain.following, plain.why) == (charset, b"", "")


def test_a_comment_says_what_it_said_where_backslashes_are_none() -> None:
    text = b"CREATE PROCEDURE \"p\"()\n    COMMENT 'C:\\\\new ''s\\n'\nselect 'x\\'"

    plain = in_one_charset(text, settings("utf8mb4", "ANSI_QUOTES,NO_BACKSLASH_ESCAPES"), MYSQL)

    assert plain.text == b"CREATE PROCEDURE \"p\"()\n    COMMENT 'C:\\new ''s\n'\nselect 'x\\'"


@pytest.mark.parametrize(
    "text",
    [
        b"CREATE PROCEDURE `p`()\n    COMMENT '%s'\n    COMMENT '%s'\nselect 1" % (u("п"), u("я")),
        b"CREATE PROCEDURE p\xfc()\n    COMMENT '%s'\nselect 1" % u("п"),
        b"CREATE PROCEDURE `x`.`p`()\n    COMMENT '%s'\nselect 1" % u("п"),
        b"CREATE DEFINER=x@`%s` EVENT e ON SCHEDULE AT '1' DO select '\xfc" % u("п"),
        b"CREATE FUNCTION `\xff\xfe`() RETURNS enum('%s') CHARSET nonsense\n" % u("п"),
    ],
)
@pytest.mark.parametrize("charset", ["latin1", "sjis", "binary", "dec8", "nonsense", "utf8mb4"])
@pytest.mark.parametrize("mode", ["", "NO_BACKSLASH_ESCAPES"])
def test_what_no_server_writes_is_put_into_one_or_left(text: bytes, charset: str, mode: str) -> None:
    plain = in_one_charset(text, settings(charset, mode), MARIADB)

    assert not plain.following or plain.following == u("ALTER PROCEDURE `p` COMMENT 'п'")


def test_a_comment_never_ends_elsewhere_than_it_seems_to() -> None:
    text = b"CREATE PROCEDURE `p`()\n    COMMENT '%s\\' SQL SECURITY INVOKER '\nselect 1" % u("п")

    plain = in_one_charset(text, settings("latin1", "NO_BACKSLASH_ESCAPES"), MYSQL)

    assert (plain.text, plain.following) == (text, b"")


def test_a_comment_that_the_character_set_lacks_comes_after() -> None:
    text = b"CREATE PROCEDURE `p`()\n    COMMENT '%s'\nselect '\xfc'" % u("проверка")

    plain = in_one_charset(text, settings("latin1"), MYSQL)

    assert plain.text == b"CREATE PROCEDURE `p`()\n    COMMENT ''\nselect '\xfc'"
    assert plain.following == u("ALTER PROCEDURE `p` COMMENT 'проверка'")
    assert (plain.settings.charset, plain.why) == ("latin1", "")


@pytest.mark.parametrize(
    ("body", "sent"),
    [
        (b"set @x='\xfc'", u("set @x='ü'")),
        # Its letter is one of latin1 whatever the client speaks.
        (b"set @x=_latin1'\xfc', @y=_latin1'y'", b"set @x=_latin1 x'fc', @y=_latin1'y'"),
    ],
)
def test_any_other_name_that_it_lacks_is_said(body: bytes, sent: bytes) -> None:
    text = b"CREATE TRIGGER `t` BEFORE INSERT ON `%s` FOR EACH ROW " % u("новая")

    plain = in_one_charset(text + body, settings("latin1"), MYSQL)

    assert plain.text == text + sent
    assert plain.settings.charset == "utf8mb4"
    assert plain.why == (
        "its character set latin1 lacks what it is now called by or refers to, so it is made as by a client "
        "of utf8mb4"
    )


@pytest.mark.parametrize("case", CASES)
def test_a_head_that_is_cut_anywhere_is_waited_for(case: str) -> None:
    text, charset, _, _ = CASES[case]
    whole = read_head(text + b" " * 40, 0, charset, "", is_whole=False)
    if whole is None:
        return

    for end in range(len(text)):
        try:
            head = read_head(text[:end], 0, charset, "", is_whole=False)
        except Incomplete:
            continue
        assert head == whole


def test_a_name_that_could_be_two_is_that_of_the_dump_program_before_it() -> None:
    """In GBK's two bytes for each letter, and well-formed UTF-8 by chance."""
    text = b"CREATE PROCEDURE `\xc1\xaa\xcd\xa8`()\nselect 1"

    assert name_of(text, "gbk", "", MARIADB) == "联通"
    dropped = Known(by_mariadb=False, is_dropped=lambda kind, name: (kind, name) == ("procedure", "联通"))
    assert name_of(text, "gbk", "", dropped) == "联通"


SPLIT = b"""\
--
-- Dumping routines for database 'x'
--
/*!50003 DROP PROCEDURE IF EXISTS `%(name)s` */;
/*!50003 SET character_set_client  = sjis */ ;
DELIMITER ;;
CREATE DEFINER=`root`@`%%` PROCEDURE `%(name)s`()
    COMMENT '%(name)s'
select '\x95\\', "\x95\\", `\x83`` ;;
DELIMITER ;
/*!50003 SET character_set_client  = @saved_cs_client */ ;
/*!50003 DROP PROCEDURE IF EXISTS `after` */;
DELIMITER ;;
CREATE DEFINER=`root`@`%%` PROCEDURE `after`()
select 1 ;;
DELIMITER ;
-- Dump completed
"""


@pytest.mark.parametrize("name", ["表チ", "表", "p", "チ"])
@pytest.mark.parametrize("size", [1, 7, 4096])
def test_a_dump_of_such_bodies_is_cut_where_they_end(name: str, size: int) -> None:
    dump = SPLIT % {b"name": u(name)}
    splitter = Splitter()
    for at in range(0, len(dump), size):
        list(splitter.feed(dump[at : at + size]))
    list(splitter.close())

    found = [section.name for section in splitter.sections if section.kind == Kind.PROCEDURE]
    assert found == [name, "after"]
    assert splitter.is_complete


@pytest.mark.parametrize(
    ("data", "charset", "text"),
    [
        (b"\x80\x81\xfc", "latin1", "€\x81ü"),  # where Python's cp1252 knows no 0x81
        (b"\x81\x60", "sjis", "\u301c"),
        (b"\x81\x60", "cp932", "\uff5e"),
        (b"\xa1\xc1", "eucjpms", "\uff5e"),
        (b"\xc3\xbc", "binary", "ü"),
        (b"\xfc", "cp866", "ⁿ"),
        (b"\xff\xfe", "utf8mb4", None),
        (b"\xfc", "keybcs2", None),  # of which nobody here knows a table
    ],
)
def test_letters_are_those_of_the_servers(data: bytes, charset: str, text: str | None) -> None:
    assert text_of(data, charset) == text
    if text is not None:
        assert bytes_of(text, charset) == data
    assert bytes_of("п", "latin1") is None


VIEW = b"""\
--
-- Final view structure for view `picked`
--

/*!50001 DROP VIEW IF EXISTS `picked`*/;
/*!50001 SET @saved_cs_client          = @@character_set_client */;
/*!50001 SET character_set_client      = latin1 */;
/*!50001 SET character_set_results     = latin1 */;
/*!50001 CREATE ALGORITHM=UNDEFINED */
/*!50013 DEFINER=`root`@`%` SQL SECURITY DEFINER */
/*!50001 VIEW `picked` AS select `people`.`???` AS `???` from `people` */;
/*!50001 SET character_set_client      = @saved_cs_client */;
/*!40103 SET TIME_ZONE=@OLD_TIME_ZONE */;
"""


@pytest.mark.parametrize("name", ["picked", "another"])
def test_a_view_is_written_as_it_is_where_its_program_cannot(name: str) -> None:
    made = b"/*!50001 VIEW `picked` AS select `people`.`%s` */;\n" % u("имя")
    splitter = Splitter()

    pieces = with_views([*splitter.feed(VIEW), *splitter.close()], {name: made})

    written = b"".join(bytes(piece.data) for piece in pieces)
    if name == "another":
        assert written == VIEW
        return
    assert written.count(b"utf8mb4 */;") == 2
    assert b"?" not in written
    assert (
        b"\n/*!50001 SET character_set_results     = utf8mb4 */;\n" + made + b"/*!50001 SET char" in written
    )
    assert written.startswith(VIEW[:100])
    assert written.endswith(VIEW[-100:])
