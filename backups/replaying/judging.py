"""Which statements of the log are run again, and as what: `binlog.statements` alone says so."""

from __future__ import annotations

from dataclasses import dataclass, replace

from backups import mysql
from backups.binlog.barriers import Barrier, Code
from backups.binlog.events import Format
from backups.binlog.logged import Logged
from backups.binlog.queries import Query
from backups.binlog.statements import AnothersForSure, Ours, judged
from backups.dumpfile.dialect import Dialect
from backups.replaying import barriers
from backups.replaying.problems import Where, stands_in_the_way
from backups.replaying.settings import Collations
from backups.replaying.steps import Definition

# Of a session that the log says nothing of.
_UNTOLD = "utf8mb4"
# Since when MySQL tells of tables whether they are InnoDB's.
_TELLS_ENGINES = (8, 0, 11)


@dataclass(frozen=True)
class LetOut:
    """A statement that may be sent, as it is in the target's words. `ours` says what it defines."""

    text: bytes
    ours: Ours


@dataclass(frozen=True)
class Judge:
    """`folds_case` where the server's lower_case_table_names is not 0. `number` is the version of the server
    that wrote what is judged: it decides which version comments were read. By default it is the target's."""

    source: str
    target: str
    info: mysql.ServerInfo
    collations: Collations
    folds_case: bool
    number: tuple[int, ...] = ()

    def reading(self, log_format: Format) -> Judge:
        """The same for what is written in a format."""
        # A server that calls itself otherwise than it is does so in its log as well.
        number = () if self.info.claimed else mysql.version_number(log_format.version)
        return replace(self, number=number)

    def is_source(self, database: bytes) -> bool:
        """Whether rows of that database are the source's."""
        name = database.decode(errors="surrogateescape")
        return name == self.source or (self.folds_case and name.lower() == self.source.lower())

    def of(self, definition: Definition, where: Where) -> LetOut | None:
        """What may be sent of a statement; None where it did not change the source. Raises Problem."""
        verdict = judged(self._logged(definition.query), self.source, folds_case=self.folds_case)
        if isinstance(verdict, AnothersForSure):
            return None
        if isinstance(verdict, Ours) and verdict.lacks_engine and self._tells_engines:
            named = {"verb": verdict.verb, "kind": verdict.kind, "name": verdict.changed[0]}
            verdict = Barrier(Code.SETTING, {**named, "setting": "default_storage_engine"})
        if isinstance(verdict, Barrier):
            raise barriers.problem(verdict, where)
        query = definition.query
        # How it was read no server leaves out, and what is not told our session has as it was told last.
        is_told = query.charsets is not None and query.sql_mode is not None
        if not isinstance(verdict, Ours) or definition.has_variables or not is_told:
            raise stands_in_the_way(where)
        return LetOut(verdict.text(self.target), verdict)

    @property
    def _tells_engines(self) -> bool:
        return self.info.flavour == mysql.MYSQL and (self.number or self.info.number) >= _TELLS_ENGINES

    def _logged(self, query: Query) -> Logged:
        charset = _UNTOLD
        if query.charsets is not None:
            _, charset = self.collations.by_number.get(query.charsets[0], ("", ""))
        number = self.number or self.info.number
        dialect = Dialect.of(is_mariadb=self.info.flavour == mysql.MARIADB, number=number)
        return Logged.of(query, charset, dialect)
