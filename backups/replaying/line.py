"""The one way from a replay to the server: whatever goes there goes past the fence."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import MySQLdb

from backups import mysql
from backups.binlog.barriers import Barrier, Code
from backups.binlog.events import Format
from backups.binlog.queries import Query
from backups.binlog.settings_untold import setting_of_expressions
from backups.binlog.statements import Ours
from backups.mysql.answers import as_text, fetch_rows
from backups.mysql.session import CHANGES_TABLES
from backups.replaying import barriers
from backups.replaying.fence import refuse_others
from backups.replaying.judging import LetOut
from backups.replaying.problems import Where, packet_too_small, setting_withheld, unknown_collation
from backups.replaying.rows import MOST_BYTES, Group, binlog, fits, in_fragments, packet_for, statements
from backups.replaying.settings import Collations, Settings, UnknownCollation, settings_of
from backups.replaying.steps import Begin, Definition, End, Savepoint

# Of what a session has these are asked for once: to set one anew may be forbidden, and is not needed then.
_ASKED = ("default_collation_for_utf8mb4", "default_table_encryption", "explicit_defaults_for_timestamp")
# What the log does not tell, where the server knows it. What was done once may be done again. The others are
# as both servers begin: what they would decide otherwise is a barrier, or was seen on the server itself.
_ALWAYS: Settings = {
    "system_versioning_alter_history": "KEEP",
    "default_storage_engine": "InnoDB",
    "div_precision_increment": "4",
    "default_week_format": "0",
    "block_encryption_mode": "aes-128-ecb",
    "default_regex_flags": "",
}
# Since when MariaDB's sessions decide what utf8 means.
_UTF8_SINCE = (10, 6, 1)
_SPELLED = {"ON": "1", "OFF": "0"}


@dataclass
class Line:
    """A connection into the target, and what its session was told. Nothing else may use it meanwhile."""

    connection: mysql.LoadingConnection
    info: mysql.ServerInfo
    where: Where
    collations: Collations
    bytes_sent: int = 0
    _told: Settings = field(default_factory=dict)

    def __post_init__(self) -> None:
        names = ", ".join(f"'{name}'" for name in _ASKED)
        with self.where.translated(self._driver):
            rows = fetch_rows(self._driver, f"SHOW SESSION VARIABLES WHERE Variable_name IN ({names})", 2)
        for name, value in rows:
            self._told[as_text(name).lower()] = _SPELLED.get(as_text(value), as_text(value))
        self._set(_ALWAYS)
        if self.is_mariadb and self.info.number >= _UTF8_SINCE:
            self._set({"old_mode": "UTF8_IS_UTF8MB3"})

    @property
    def _driver(self) -> Any:
        return self.connection.driver

    @property
    def is_mariadb(self) -> bool:
        """Whether a MariaDB is at the other end."""
        return self.info.flavour == mysql.MARIADB

    def begin_format(self, log_format: Format) -> None:
        """Tell the server how the events are written that follow. Raises Problem."""
        self._say(binlog(log_format.without_checksums().raw))
        if not self.is_mariadb:
            # The event has left it at what a file of a log begins with, and then nothing can be changed.
            self._say(b"SET @@SESSION.gtid_next = 'AUTOMATIC'")

    def begin(self, begin: Begin) -> None:
        """Begin a transaction, its session as it was then. Raises Problem."""
        if begin.query is None:
            self._set({"timestamp": str(begin.when)})
        else:
            self._set(self._settings_of(begin.query))
        # Under MariaDB's mode ORACLE, a BEGIN alone is the beginning of a block.
        self._say(b"START TRANSACTION")

    def end(self, end: End) -> None:
        """Commit, or roll back what can be. Raises Problem."""
        self._say(end.value.encode())

    def savepoint(self, savepoint: Savepoint) -> None:
        """Set, go back to or release one. Raises Problem."""
        self._say(f"{savepoint.verb} `vedetta_{savepoint.number}`".encode())

    def rows(self, groups: Iterable[Group]) -> None:
        """Change rows of the target. Raises Problem, NotOurs."""
        limit = self.connection.longest_statement or MOST_BYTES * 4
        fragments = 2 if self.is_mariadb else 1
        for raw in statements(groups, min(MOST_BYTES, fits(limit))):
            if len(raw) > fits(limit, fragments=fragments):
                raise packet_too_small(self.where, limit, packet_for(len(raw), fragments=fragments))
            refuse_others(raw, self.where.target.encode())
            self.bytes_sent += len(raw)
            for statement in [binlog(raw)] if len(raw) <= fits(limit) else in_fragments(raw):
                self._say(statement)

    def define(self, definition: Definition, let_out: LetOut) -> None:
        """Run a statement as it was let out, under the settings that it had. Raises Problem."""
        makes_table = (let_out.ours.verb, let_out.ours.kind) == ("CREATE", "table")
        if makes_table and (withheld := sorted(CHANGES_TABLES.intersection(self.connection.withheld))):
            raise setting_withheld(self.where, ", ".join(withheld))
        self._set({**self._settings_of(definition.query), **definition.values})
        self.bytes_sent += len(let_out.text)
        try:
            self._driver.query(let_out.text)
            self._driver.drop_answers()
        except MySQLdb.Error as error:
            # It failed in the same way before, and has done as much as then.
            if not definition.query.error or error.args[0] != definition.query.error:
                with self.where.translated(self._driver):
                    raise
        self._told = {name: value for name, value in self._told.items() if name not in definition.values}

    def refuse_altered(self, ours: Ours) -> None:
        """Raise Problem for tables of the target that an ALTER may not leave as it left the source's."""
        with mysql.connect(self.connection.server, self.where.target) as connection:
            tables = mysql.made_as(connection, self.where.target, ours.tables).values()
        named = {"verb": ours.verb, "kind": ours.kind, "name": ours.changed[0]}
        expressions = [each for made in tables for each in made.expressions]
        if ours.needs_key and not all(made.has_key for made in tables):
            raise barriers.problem(Barrier(Code.ROW_ORDER, named), self.where)
        if setting := setting_of_expressions(expressions, is_mariadb=self.is_mariadb):
            raise barriers.problem(Barrier(Code.SETTING, {**named, "setting": setting}), self.where)

    def _settings_of(self, query: Query) -> Settings:
        try:
            return settings_of(query, self.collations, self.info)
        except UnknownCollation as unknown:
            raise unknown_collation(self.where, unknown.number) from None

    def _set(self, settings: Settings) -> None:
        """Tell the session what it was not told last. Raises MissingPrivilege."""
        changes = {name: value for name, value in settings.items() if self._told.get(name, "") != value}
        if not changes:
            return
        with self.where.translated(self._driver):
            self.connection.set(changes)
        if withheld := sorted(self.connection.withheld.intersection(changes)):
            raise setting_withheld(self.where, ", ".join(withheld))
        self._told |= changes

    def _say(self, statement: bytes) -> None:
        with self.where.translated(self._driver):
            self._driver.query(statement)
            self._driver.drop_answers()
