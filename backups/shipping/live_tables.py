"""What a server tells of a database's tables, for statements of which its log tells too little."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from backups import mysql
from backups.binlog.barriers import Barrier, Code
from backups.binlog.settings_untold import OLD_MODE, setting_of_expressions
from backups.binlog.statements import Ours

# A replay makes tables of this one where a statement names none.
_ENGINE = "innodb"
# What MariaDB's sessions give tables that do not name it, and by which setting.
_GIVEN = {
    "PAGE_COMPRESSED": "innodb_compression_default",
    "ENCRYPTION_KEY_ID": "innodb_default_encryption_key_id",
}
_GONE = mysql.MadeAs("", "", has_key=False, has_utf8mb4=True)


class LiveTables:
    """The tables as they are once the log was told to end somewhere: what is older is among them or gone.

    They are asked for where a statement needs it, once in a fetch. `spelled` is how the server compares
    names.
    """

    def __init__(self, database: str, spelled: Callable[[str], str], *, is_mariadb: bool) -> None:
        self._database, self._spelled, self._is_mariadb = database, spelled, is_mariadb
        self._server: mysql.Server | None = None
        self._known: Mapping[str, mysql.MadeAs] | None = None

    def begin(self, server: mysql.Server) -> None:
        """Forget what is known: they are asked for anew."""
        self._server, self._known = server, None

    def unclear(self, ours: Ours, text: bytes) -> Barrier | None:
        """Why it is not known what a statement made of the database; None where that is as a replay has it.

        A table that is gone since is not known any more. Raises MySQLProblem.
        """
        code, setting = Code.SETTING, ""
        if ours.needs_key and not all(made.has_key for made in self._made(ours)):
            code = Code.ROW_ORDER
        elif ours.lacks_engine and any(made.engine.lower() != _ENGINE for made in self._made(ours)):
            setting = "default_storage_engine"
        elif ours.names_utf8 and ours.kind == "table" and any(made.has_utf8mb4 for made in self._made(ours)):
            setting = OLD_MODE
        elif (ours.verb, ours.kind) == ("CREATE", "table") and not ours.reads:
            setting = self._of_options(ours, text)
        elif (ours.verb, ours.kind) == ("ALTER", "table"):
            setting = self._of_columns(ours)
        if code == Code.SETTING and not setting:
            return None
        named = {"verb": ours.verb, "kind": ours.kind, "name": ours.changed[0] if ours.changed else ""}
        return Barrier(code, {**named, "setting": setting} if setting else named)

    def _of_options(self, ours: Ours, text: bytes) -> str:
        """The setting that gave a new table what its statement does not say."""
        if not self._is_mariadb:
            return ""
        unsaid = [option for option in _GIVEN if option.encode() not in text.upper()]
        has = " ".join(made.options.upper() for made in self._there(ours)) if unsaid else ""
        return next((_GIVEN[option] for option in unsaid if option in has), "")

    def _of_columns(self, ours: Ours) -> str:
        """The setting by which stored columns may have been computed anew; a replay looks for itself too."""
        expressions = [each for made in self._there(ours) for each in made.expressions]
        return setting_of_expressions(expressions, is_mariadb=self._is_mariadb)

    def _made(self, ours: Ours) -> list[mysql.MadeAs]:
        """What is known of the tables of a statement; of those that are gone the worst."""
        return self._there(ours) or [_GONE]

    def _there(self, ours: Ours) -> list[mysql.MadeAs]:
        if self._known is None:
            self._known = self._asked()
        # One that was renamed by the same statement has one of these names.
        found = [self._known.get(self._spelled(name)) for name in ours.tables]
        return [each for each in found if each is not None]

    def _asked(self) -> dict[str, mysql.MadeAs]:
        if self._server is None:
            return {}
        with mysql.connect(self._server) as connection:
            found = mysql.made_as(connection, self._database)
        return {self._spelled(name): made for name, made in found.items()}
