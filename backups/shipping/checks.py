"""What has to be so on a server before a log can be followed, and the statements that mend it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import MySQLdb

from backups import mysql
from backups.dumpfile.log_positions import WhyNot, sentence_of
from backups.errors import Problem
from backups.mysql.answers import fetch_rows
from backups.mysql.grants import holds_everywhere, of_user
from backups.mysql.log_states import NotExact, refuse_unfit
from backups.shipping import computed_anew, neighbours
from backups.shipping.ends import no_log
from backups.shipping.wire import connected
from backups.text.sentences import joined, phrase, plural

# The server's log is the only place where what is not stored yet lies.
_LEAST_HOURS = 24
_VARIABLES = (
    "binlog_format",
    "binlog_row_image",
    "binlog_expire_logs_seconds",
    "expire_logs_days",
    "sync_binlog",
    "innodb_flush_log_at_trx_commit",
    "gtid_mode",
)
_SHOWN = 5


@dataclass
class Checked:
    """What keeps a log from being followed, and what is worth knowing of it: sentences."""

    refused: list[Problem] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def refuse(self) -> None:
        """Raise Problem where anything keeps it: the first, and what is to be done about all."""
        if not self.refused:
            return
        first, *others = self.refused
        what = joined([first.what, *(each.what for each in others)])
        raise Problem(what, code=first.code, do=joined(filter(None, (each.do for each in self.refused))))


class Unfit(Problem):
    """The log of a database cannot be followed as the server is now."""


def checked(server: mysql.Server, database: str) -> Checked:
    """Look at a server. Raises MySQLProblem where it cannot be asked."""
    found = Checked()
    with mysql.connect(server) as connection:
        info = mysql.probe(connection)
        if not mysql.has_log(connection):
            found.refused.append(no_log(server, WhyNot.LOG_OFF))
            return found
        known = _variables(connection)
        found.refused += _of_grants(connection, info)
        found.refused += _of_format(known)
        found.refused += _of_retention(connection, known)
        if info.flavour == mysql.MARIADB:
            found.refused += _of_sequences(connection, database, known)
        found.refused += _of_keys(connection, database)
        computed = computed_anew.tables(connection, info, database)
        found.refused += computed_anew.problems(connection, computed)
        if not found.refused:
            found.refused += _of_dumps(connection, info, database)
        found.warnings += _warnings(known)
        if info.flavour == mysql.MARIADB:
            found.warnings += neighbours.warnings(connection, database)
        found.warnings += computed_anew.warnings(computed)
    if not found.refused:
        # That nothing between here and there is in the way of the one connection that is not the driver's.
        with connected(server):
            pass
    return found


def _variables(connection: Any) -> dict[str, str]:
    names = ", ".join(f"'{name}'" for name in _VARIABLES)
    asked = f"SHOW GLOBAL VARIABLES WHERE Variable_name IN ({names})"
    return {str(name): str(value) for name, value in fetch_rows(connection, asked, 2)}


# MariaDB's and MySQL's names for the right to ask where the log ends; the former lists some by older names.
_MAY_ASK = frozenset({"BINLOG MONITOR", "REPLICATION CLIENT", "SUPER"})
_MAY_FETCH = frozenset({"REPLICATION SLAVE"})


def _of_grants(connection: Any, info: mysql.ServerInfo) -> Iterator[Problem]:
    grants = of_user(connection)
    monitor = "BINLOG MONITOR" if info.flavour == mysql.MARIADB else "REPLICATION CLIENT"
    missing = [
        right
        for right, names in (("REPLICATION SLAVE", _MAY_FETCH), (monitor, _MAY_ASK))
        if not holds_everywhere(grants, names)
    ]
    if missing:
        statement = f"GRANT {', '.join(missing)} ON *.* TO {mysql.account(connection)};"
        yield Unfit(
            phrase("The user may not read the server's binary log."),
            code="log.no_right",
            do=phrase(
                "Run as an administrator: {statement} With it the user reads the changes of all databases of "
                "the server.",
                statement=statement,
            ),
        )


def _of_format(known: dict[str, str]) -> Iterator[Problem]:
    if (log_format := known.get("binlog_format", "ROW")).upper() != "ROW":
        yield Unfit(
            phrase(
                "The server logs changes as statements (binlog_format is {log_format}), and what these do "
                "elsewhere is not known.",
                log_format=log_format,
            ),
            code="log.format",
            do=phrase(
                "Run as an administrator: {statement} and set it in the server's configuration. Sessions "
                "that are open keep the old one until they connect again.",
                statement="SET GLOBAL binlog_format = 'ROW';",
            ),
        )


def _of_retention(connection: Any, known: dict[str, str]) -> Iterator[Problem]:
    hours = _kept_by_rds(connection)
    if hours is not None:
        if hours < _LEAST_HOURS:
            yield _too_short(hours, "CALL mysql.rds_set_configuration('binlog retention hours', 24);")
        return
    seconds = float(known.get("binlog_expire_logs_seconds") or 0)
    seconds = seconds or float(known.get("expire_logs_days") or 0) * 86400
    # 0 is for ever.
    if 0 < seconds < _LEAST_HOURS * 3600:
        yield _too_short(int(seconds // 3600), "SET GLOBAL binlog_expire_logs_seconds = 172800;")


def _too_short(hours: int, statement: str) -> Problem:
    return Unfit(
        plural(
            "The server keeps its binary log for {n} hour, which is too short: what is not stored yet lies "
            "nowhere else.",
            "The server keeps its binary log for {n} hours, which is too short: what is not stored yet lies "
            "nowhere else.",
            n=hours,
        ),
        code="log.kept_too_short",
        do=phrase("Keep a day at least. Run as an administrator: {statement}", statement=statement),
    )


def _kept_by_rds(connection: Any) -> int | None:
    """Amazon's servers have a setting of their own, which begins as nothing: no log is kept."""
    asked = "SELECT value FROM mysql.rds_configuration WHERE name = 'binlog retention hours'"
    with suppress(MySQLdb.Error):
        for (value,) in fetch_rows(connection, asked, 1):
            return int(value) if str(value or "").isdecimal() else 0
    return None


def _of_sequences(connection: Any, database: str, known: dict[str, str]) -> Iterator[Problem]:
    if known.get("binlog_row_image", "FULL").upper() in ("FULL", "FULL_NODUP"):
        return
    if sequences := mysql.inventory(connection, database).get("sequence", []):
        yield Unfit(
            phrase(
                "{database} has sequences ({names}), which MariaDB itself cannot replay from a log with "
                "binlog_row_image = {image}.",
                database=database,
                names=_some(sequences),
                image=known["binlog_row_image"],
            ),
            code="log.sequences",
            do=phrase(
                "Run as an administrator: {statement} and set it in the server's configuration.",
                statement="SET GLOBAL binlog_row_image = 'FULL';",
            ),
        )


def _of_keys(connection: Any, database: str) -> Iterator[Problem]:
    """What deletes in another database does here is in no log but the other one's."""
    if cascading := mysql.foreign_keys_that_cascade_in(connection, database):
        yield Unfit(
            phrase(
                "Tables of {database} change with tables of other databases by their foreign keys ({names}), "
                "and its own log does not hold why.",
                database=database,
                names=_some(cascading),
            ),
            code="log.foreign_parent",
            do=phrase(
                "Let these keys refer to tables of {database}, or have them neither cascade nor set NULL.",
                database=database,
            ),
        )


def _of_dumps(connection: Any, info: mysql.ServerInfo, database: str) -> Iterator[Problem]:
    """The log is replayed on a dump, whose position in it must be exact."""
    try:
        state = mysql.log_state(connection, info)
        refuse_unfit(connection, info, database, state)
    except NotExact as why:
        if why.why in _OF_THE_MOMENT:
            return
        yield Unfit(
            phrase(
                "A dump of {database} has no exact position in the binary log, so there is nothing to replay "
                "it on: {why}.",
                database=database,
                why=sentence_of(why.why),
            ),
            code=f"log.{why.why.value}",
            do=phrase("Set that right, then switch it on again."),
        )


_OF_THE_MOMENT = frozenset({WhyNot.XA, WhyNot.FEW_CONNECTIONS})


def _warnings(known: dict[str, str]) -> Iterator[str]:
    loose = [
        f"{name} = {known[name]}"
        for name in ("sync_binlog", "innodb_flush_log_at_trx_commit")
        if known.get(name, "1") != "1"
    ]
    if loose:
        yield phrase(
            "When the server's machine crashes, the end of its log may be lost or differ from its data "
            "({loose}). Set both to 1 if that matters.",
            loose=", ".join(loose),
        )


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (" …" if len(names) > _SHOWN else "")
