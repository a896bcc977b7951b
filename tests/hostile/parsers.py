"""Everything of ours that reads what others wrote, as a table: a new parser is a line of it.

`of` are the pieces that mean something to the parser: hostile texts are made of them.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from django.core.exceptions import ImproperlyConfigured, ValidationError

from backups import mysql, restic, validators
from backups.actions.steps.reach import _calls
from backups.actions.steps.sections import differing_sections
from backups.dumpfile import master_data, mixed
from backups.dumpfile.allowed import NotAllowed
from backups.dumpfile.chosen_tables import chosen_tables
from backups.dumpfile.digesting import Digester
from backups.dumpfile.lexer import Unexpected, resolved
from backups.dumpfile.manifests import ManifestDamaged
from backups.dumpfile.narration import Narrator
from backups.dumpfile.ready import Does, Ready
from backups.dumpfile.rewriting import (
    normalised_table,
    with_sequences,
    without_definer,
    without_qualifiers,
    without_state,
)
from backups.dumpfile.sections import TooLarge
from backups.dumpfile.settings import Settings
from backups.dumpfile.splitter import Splitter
from backups.dumpfile.statements import NoStatement
from backups.dumpfile.tally import Tally
from backups.dumpfile.views import without_own_name
from backups.errors import Problem
from backups.loading.progress import Loading
from backups.loading.table_plan import comparable, plan_for
from backups.mysql import grants
from backups.mysql.ddl import requalified
from backups.mysql.dump_errors import dump_problem
from backups.mysql.error_numbers import problem_from_number
from backups.mysql.excess_rights import Needs, asleep, stand_ins
from backups.mysql.lossy import _without_database
from backups.mysql.server import version_number
from backups.process import Completed
from backups.process.output import Lines
from backups.restic import parsers, ssh
from backups.restic.exit_codes import error_from
from backups.restic.output import readable, reasons
from backups.text.terminal import escape_control_characters
from sentinel import env_file, heartbeat
from tests.dumpfile.reading import MARIADB, TABLE, judged
from tests.restic.test_restic import ACCESS


class Parser(NamedTuple):
    """What reads text of others. `begins` are beginnings after which it reads on, `of` what it knows."""

    read: Callable[[bytes], object]
    of: tuple[bytes, ...]
    begins: tuple[bytes, ...] = (b"",)


def digest(text: bytes, cut: int = 64 << 10) -> None:
    """Digest it section by section, as a verification does."""
    digester = Digester()
    with suppress(TooLarge):
        for at in range(0, len(text), cut):
            for _ in digester.feed(text[at : at + cut]):
                pass
        for _ in digester.close():
            pass
    digester.sections({"utf8": "utf8_bin"}, whatever_state=True, whoever_defines=True)
    with suppress(ManifestDamaged):
        digester.manifest()


def judge(text: bytes) -> None:
    """Read it as it would be loaded."""
    with suppress(NotAllowed, NoStatement):
        judged(TABLE.encode() + text, cuts=range(0, len(text), 64 << 10))


def _words(read: Callable[[str], object]) -> Callable[[bytes], object]:
    return lambda text: read(text.decode(errors="replace"))


def _lines(read: Callable[[list[str]], object]) -> Callable[[bytes], object]:
    return lambda text: read(text.decode(errors="replace").split("\n"))


def _choose(text: bytes) -> None:
    splitter = Splitter()
    with suppress(TooLarge):
        for _ in chosen_tables(splitter.feed(text), {"t"}):
            pass


def _head(charset: str, mode: str = "") -> Callable[[bytes], object]:
    def read(text: bytes) -> None:
        known = mixed.Known(by_mariadb=True)
        settings = Settings(MappingProxyType({"character_set_client": charset, "sql_mode": mode}))
        mixed.in_one_charset(text, settings, known)

    return read


def _resolve(text: bytes) -> None:
    with suppress(Unexpected):
        resolved(text, MARIADB)


def _warned(text: bytes) -> None:
    loading = Loading()
    loading.warned["t", 1265] = text.decode(errors="replace")
    loading.found.definitions["t"] = text
    loading.values_changed()


def _tallied(text: bytes) -> None:
    for does in (Does.TABLE, Does.ROWS, Does.DEFINITION):
        Tally().add(Ready(does, text, Settings(), "t", "view", "v"))


def _sections(text: bytes) -> None:
    """As a manifest tells them, each by its name."""
    told = [
        {"kind": "rows", "name": name, "bytes": 1, "sha256": ""}
        for name in text.decode("latin-1").split("\n")
    ]
    differing_sections(told, told[1:], "in the stream")


def _position(text: bytes) -> None:
    """The first and the last bytes of MariaDB's dump program."""
    master_data.is_told(text[: master_data.HEADER_BYTES - 1])
    master_data.header(text)
    master_data.footer(text)


def _as_lines(text: bytes) -> None:
    lines = Lines(lambda _: None)
    for at in range(0, len(text), 1024):
        lines.feed(text[at : at + 1024])
    lines.close()


def _env_lines(text: bytes) -> None:
    with tempfile.NamedTemporaryFile() as file, suppress(env_file.EnvFileError):
        file.write(text)
        file.flush()
        env_file.read(Path(file.name))


def _restic_answers(text: bytes) -> None:
    for parse in (
        restic.parse_snapshots, restic.parse_total_size, restic.parse_forget_plan, restic.parse_check_summary,
        parsers.parse_repository_id, parsers.parse_keys, lambda answer: restic.parse_lock("a", answer),
    ):  # fmt: skip
        with suppress(Problem):
            parse(text)


def _valid(check: Callable[[str], object]) -> Callable[[bytes], object]:
    def read(text: bytes) -> None:
        with suppress(ValidationError, ImproperlyConfigured, ValueError):
            check(text.decode(errors="replace"))

    return read


SERVER = mysql.Server("db", 3306, "vedetta", "")
_QUOTES = (b"'", b'"', b"`", b"``", b"\\'", b"''", b"\\", b"x", b" ", b"\n")
_COMMENTS = (b"/*", b"*/", b"/*!50003 ", b"/*M!100100 ", b"--", b"-- ", b"#", b"/**/", b";", b";;", b";\n")
_SQL = (
    *_QUOTES, *_COMMENTS, b"(", b")", b",", b".", b"`a`", b"'a'", b"TRIGGER ", b"CREATE ",
    b"INSERT INTO `t` VALUES (", b"DELIMITER ;;\n", b"DELIMITER ;\n", b"SET NAMES gbk;\n", b" AS ", b"$a$",
    b"ALTER DATABASE `", b"nextval(`", b" CHARACTER SET utf8", b" DATA DIRECTORY='x'",
    b" REFERENCES `b`.`t` (`a`)",
    b"FOREIGN KEY ", b"DEFAULT ",
    b"COMMENT '", b"BEGIN ", b"END", b"\x81", b"--\n", b"-- Table structure for table `t`\n",
)  # fmt: skip
TRIGGER = (
    b"--\n-- Table structure for table `t`\n--\n\nCREATE TABLE `t` (id int);\n"
    b"/*!50003 SET @saved_cs_client      = @@character_set_client */ ;\nDELIMITER ;;\nCREATE "
)
OF_TABLE = b"--\n-- Table structure for table `t`\n--\n\n"
_GBK = b"/*!50003 SET character_set_client  = gbk */ ;\nDELIMITER ;;\nCREATE PROCEDURE `p`("
_SAID = (
    b"Got error 1045: ", b" (1045)", b" (", b"(", b")", b"'", b"`", b"@", b"to user '", b"Routine ",
    b"x", b" ", b"\n",
    b"SHOW CREATE TRIGGER `", b"`': ", b"Table '", b".", b"for column '", b"' at row", b"FUNCTION ",
    b" does not exist", b"Unknown database '",
)  # fmt: skip
_OF_RESTIC = (
    b"Fatal: ", b"{", b'{"message_type":"error","error":{"message":"', b'"}}\n', b"[", b'"a":', b",",
    b"]", b"}", b"1",
    b" returned error, retrying after 1s: ", b"failed: ", b"open ", b": permission denied",
    b"subprocess ssh: ",
    b"failed to find snapshot: ", b"security token ", b"Remove(<data/", b"\n", b"\n\t", b"x",
    b" ", b"pack ", b"a" * 64,
)  # fmt: skip

_HEADS = (b"", b"CREATE PROCEDURE `p`(", b"CREATE EVENT `e` ON ")
_OF_GRANTS = (b"GRANT ", b"SELECT", b" (", b")", b"(", b", ", b" ON ", b"`", b"``", b"*.*", b" TO ", b" ")

PARSERS = {
    "digest": Parser(digest, _SQL, (b"", OF_TABLE, TRIGGER, _GBK)),
    "digest of crumbs": Parser(lambda text: digest(text, 256), (b"x", b"\n", b"ALTER DATABASE `", b"`")),
    "judge": Parser(
        judge, _SQL, (b"", b"CREATE VIEW v AS SELECT ", b"CREATE TABLE `u` (", b"/*!50100 ", _GBK)
    ),
    "chosen tables": Parser(_choose, _SQL, (OF_TABLE, TRIGGER)),
    "version comments": Parser(_resolve, _SQL),
    "head in latin1": Parser(_head("latin1"), _SQL, _HEADS),
    "head in gbk": Parser(
        _head("gbk", "ANSI_QUOTES"), _SQL, (b"", b"CREATE PROCEDURE `p`(", b"CREATE EVENT `e` ON ")
    ),
    "definer": Parser(
        without_definer, (*_SQL, b"CREATE ", b"DEFINER=", b"@", b" SQL SECURITY DEFINER "), (b"", b"CREATE ")
    ),
    "trigger": Parser(without_qualifiers, _SQL, (b"CREATE TRIGGER ", b"")),
    "view": Parser(without_own_name, (*_SQL, b" join ", b"`a`.`b`.`c`")),
    "view's text": Parser(_words(lambda text: [*_without_database(text, "shop")]), (*_SQL, b"`shop`.`")),
    "table": Parser(lambda text: normalised_table(text, {"utf8": "utf8_bin"}), _SQL),
    "table's plan": Parser(
        plan_for, (*_SQL, b"  `a` int,\n", b"  KEY `k` (`a`)"), (b"", b"CREATE TABLE `t` (\n  ")
    ),
    "tables compared": Parser(lambda text: comparable(text, {}), (*_SQL, b" AUTO_INCREMENT=1")),
    "sequences": Parser(lambda text: with_sequences(text, "a", "b"), _SQL),
    "default": Parser(
        _words(lambda text: requalified(text, "a", "b")), (*_QUOTES, b"nextval(`a`.", b"+", b")")
    ),
    "event": Parser(
        without_state, (*_SQL, b"EVENT `e` ON SCHEDULE ", b" ON COMPLETION PRESERVE ", b"ENABLE")
    ),
    "server's message": Parser(
        _words(lambda text: problem_from_number(1370, text[:1024], SERVER, "shop")), _SAID
    ),
    "dump program's end": Parser(_lines(lambda lines: dump_problem(lines[-25:], 2, SERVER, "shop")), _SAID),
    "dump program's words": Parser(_lines(lambda lines: [*map(Narrator(["a\nb"]).told, lines)]), _SAID),
    "warnings": Parser(_warned, _SAID),
    "why not": Parser(_words(lambda text: _calls(text[:1024], ())), _SAID),
    "version": Parser(_words(version_number), (b"1", b".", b"5.5.5-", b"-", b"x")),
    "grants": Parser(
        _lines(grants.parse),
        (b"GRANT ", b"SELECT", b" (", b")", b"(", b", ", b" ON ", b"`", b"``", b"*.*", b" TO ", b" "),
    ),
    "roles in grants": Parser(
        _lines(lambda lines: asleep(lines, lines[-1], Needs("v", "shop"))),
        (b"`", b"``", b"@", b",", b", ", b" ", b" TO "),
        (b"GRANT ", b"GRANT `a`"),
    ),
    "accounts in grants": Parser(
        _lines(lambda lines: stand_ins(lines, Needs("v", "shop"))),
        (b"`", b"``", b"'", b"''", b"\\", b"@", b" TO "),
        (b"GRANT PROXY ON ", b"GRANT PROXY ON `a`@'"),
    ),
    "pattern of a grant": Parser(
        _words(lambda text: grants._matches(text[:192], "a" * 64)),
        (b"%", b"a", b"_", b"\\", b"b"),
        (b"", b"%"),
    ),
    "restic's line": Parser(_words(readable), _OF_RESTIC),
    "restic's end": Parser(
        _lines(lambda lines: error_from(Completed(1, b"", tuple(lines[-25:])), ACCESS, "x")), _OF_RESTIC
    ),
    "restic's reasons": Parser(_lines(reasons), _OF_RESTIC),
    "restic's answer": Parser(_restic_answers, _OF_RESTIC),
    "ssh": Parser(_lines(lambda lines: ssh.is_without_word(lines[-25:])), _OF_RESTIC),
    "position": Parser(
        _position,
        (
            b"\n",
            b"--\n",
            b"-- x\n",
            b"*/;\n",
            b"/*",
            b"-- CHANGE MASTER TO MASTER_LOG_FILE='a.1', ",
            b"MASTER_LOG_POS=1;\n",
            b"-- The deferred gtid x\n\n",
            b"-- SET GLOBAL gtid_slave_pos='';\n",
            b"-- Dump completed\n",
        ),
        (b"*/;\n\n--\n-- ", b"\n-- The deferred gtid x\n\n-- y\n\n-- SET GLOBAL gtid_slave_pos='';\n"),
    ),
    "packs": Parser(_lines(restic.broken_packs), _OF_RESTIC),
    "lines of programs": Parser(_as_lines, (b"x", b"\n", b"\r")),
    "time": Parser(_valid(restic.parse_time), (b"2026-01-01T00:00:00.", b"1", b"Z", b"+")),
    "heartbeat": Parser(heartbeat.stamp_parse, (b"2026-01-01T00:00:00Z", b"1", b" ", b"\n", b".")),
    ".env": Parser(_env_lines, (b"A=", b"'", b'"', b"#", b" ", b"\t", b"\n", b"\r", b"export ", b"\\", b"$")),
    "cron": Parser(_valid(validators.cron), (b"*", b"/", b"1", b",", b"-", b" ", b"H", b"R", b"(", b"mon")),
    "address of a repository": Parser(
        _valid(validators.repository_url), (b"sftp:", b"//", b"@", b":", b"/", b"-", b"a", b"rclone:", b"s3:")
    ),
    "tally": Parser(
        _tallied, (*_SQL, b"bigint ", b" GENERATED ALWAYS AS ROW START"), (b"CREATE TABLE `t` (",)
    ),
    "sections": Parser(_sections, (b"a", b"b", b"\n"), (b"a\n" * 100,)),
    "what is shown": Parser(_words(escape_control_characters), (b"\x1b", b"x", b"\n", b"\xe2\x80\xae")),
}
