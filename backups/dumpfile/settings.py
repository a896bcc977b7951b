"""What a dump sets for the session that loads it. Nothing of it is sent: it is understood, and kept.

A dump program saves settings in variables, changes them and puts them back. Followed here, they
tell for each statement under which settings it is to run, so that any connection can run it, and
that quotes are read here as the server will read them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from backups.dumpfile.dialect import quoting
from backups.dumpfile.lexer import Cursor, Kind, Token, Unexpected

# Of the session as it began.
INITIAL = None

_SWITCH = re.compile(r"(?i)[01]|ON|OFF|DEFAULT")
# By name alone: the server knows character sets and modes by number too, which would pass for another.
_WORD = re.compile(r"(?i)[a-z][a-z0-9_]{1,63}")
_MODES = re.compile(r"(?i)(?:[a-z][a-z0-9_]{1,63}(?: *, *[a-z][a-z0-9_]{1,63}|)*+)?(?: *, *)?")
# Which settings a statement's meaning depends on, and what their values look like.
KEPT = {
    "character_set_client": _WORD,
    "character_set_connection": _WORD,
    "collation_connection": _WORD,
    "sql_mode": _MODES,
    "time_zone": re.compile(r"(?i)[a-z0-9_/+:-]{1,64}"),
    "unique_checks": _SWITCH,
    "check_constraint_checks": _SWITCH,
    "system_versioning_insert_history": _SWITCH,
    "system_versioning_alter_history": re.compile(r"(?i)ERROR|KEEP|DEFAULT"),
    "explicit_defaults_for_timestamp": _SWITCH,
    "sql_generate_invisible_primary_key": _SWITCH,
    "sql_require_primary_key": _SWITCH,
    "innodb_strict_mode": _SWITCH,
    "restrict_fk_on_non_standard_key": _SWITCH,
}
# Which ones a dump may set and a load does without: they say how much is told, how long is waited, or
# are the whole server's, which a load has no business with.
_LEFT = frozenset(
    [
        # Always off: a dump may refer to what comes later, and others may refer to it.
        "foreign_key_checks",
        "autocommit",
        "sql_notes",
        "note_verbosity",
        "sql_log_bin",
        "sql_quote_show_create",
        "sql_auto_is_null",
        "sql_warnings",
        "character_set_results",
        "character_set_database",
        "character_set_server",
        "collation_database",
        "collation_server",
        "net_read_timeout",
        "net_write_timeout",
        "wait_timeout",
        "interactive_timeout",
        "lock_wait_timeout",
        "innodb_lock_wait_timeout",
        "max_allowed_packet",
        "max_statement_time",
        "max_execution_time",
        "idle_transaction_timeout",
        "statement_timeout",
        "long_query_time",
        "slow_query_log",
        "general_log",
        "log_output",
        "sql_log_off",
        "log_slow_query",
        "gtid_purged",
        "gtid_slave_pos",
        "gtid_next",
        "gtid_seq_no",
        "gtid_domain_id",
        "server_id",
        "innodb_stats_auto_recalc",
        "show_create_table_skip_secondary_engine",
        "use_secondary_engine",
        "show_create_table_verbosity",
        "show_gipk_in_create_table_and_information_schema",
        "join_buffer_size",
        "sort_buffer_size",
        "optimizer_switch",
        "tx_isolation",
        "transaction_isolation",
        "completion_type",
        "session_track_gtids",
        "information_schema_stats_expiry",
        "default_storage_engine",
        "storage_engine",
        "big_tables",
        "lc_time_names",
        "bulk_insert_buffer_size",
        "myisam_sort_buffer_size",
        "group_concat_max_len",
        "require_row_format",
        "skip_replication",
        "pseudo_slave_mode",
        "session_track_transaction_info",
        "terminology_use_previous",
    ]
)
_SCOPES = (b"SESSION", b"LOCAL", b"GLOBAL", b"PERSIST", b"PERSIST_ONLY")
# What a value comes from, where it comes from no setting.
_LITERAL, _VARIABLE = "", "@"
# Under these a dump keeps settings for the length of a table or a body, not to its end.
_OF_A_TABLE = re.compile(r"save|old_autocommit|old_system_versioning")
Value = str | None


@dataclass(frozen=True, eq=False)
class Settings:
    """Settings of a session that are not as it began, by their names."""

    changed: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    initial_mode: str = ""

    @property
    def charset(self) -> str:
        """The client character set; the connection's own is utf8mb4."""
        return self.changed.get("character_set_client", "utf8mb4").lower()

    @property
    def sql_mode(self) -> str:
        """The sql_mode in force."""
        return self.changed.get("sql_mode", self.initial_mode)

    @property
    def reads_plainly(self) -> bool:
        """Whether texts end where they do by default: backslashes escape, double quotes are for texts."""
        return quoting(self.charset, self.sql_mode) == quoting("utf8mb4", "")

    @property
    def in_utf8(self) -> Settings:
        """The same for a statement of our own, which is in UTF-8 whatever the dump is in."""
        if self.charset.startswith("utf8"):
            return self
        changed = {name: value for name, value in self.changed.items() if "char" not in name}
        return Settings(MappingProxyType(changed), self.initial_mode)

    def with_mode(self, mode: str) -> Settings:
        """The same with one more sql_mode."""
        modes = ",".join(filter(None, (self.sql_mode, mode)))
        return Settings(MappingProxyType({**self.changed, "sql_mode": modes}), self.initial_mode)

    def differing_from(self, other: Settings) -> dict[str, Value]:
        """What to set in a session that has the `other` settings; INITIAL is as the session began."""
        if self is other:
            return {}
        names = [*self.changed, *(name for name in other.changed if name not in self.changed)]
        found = {name: self.changed.get(name, INITIAL) for name in names}
        return {name: value for name, value in found.items() if other.changed.get(name) != value}


class Session:
    """Follows the SET statements of one dump."""

    def __init__(self, sql_mode: str = "") -> None:
        self._initial_mode = sql_mode
        self._changed: dict[str, str] = {}
        self._variables: dict[str, Value] = {}
        self._settings = Settings(MappingProxyType({}), sql_mode)
        # Variables under which a setting was saved, and which ones of them were not put back since.
        self.has_saved = False
        self.outstanding: set[str] = set()

    @property
    def settings(self) -> Settings:
        """As they are now."""
        return self._settings

    def set(self, statement: Cursor) -> None:
        """Understand what follows the word SET. Raises Unexpected."""
        if statement.accept(b"NAMES"):
            self._set_names(statement)
        elif statement.accept(b"CHARACTER", b"SET") or statement.accept(b"CHARSET"):
            self._set_charset(statement)
        else:
            self._assign_all(statement)
        statement.the_end()
        self._settings = Settings(MappingProxyType(dict(self._changed)), self._initial_mode)

    def _set_names(self, statement: Cursor) -> None:
        charset = self._value(statement)
        for name in ("character_set_client", "character_set_results", "character_set_connection"):
            self._put(name, charset)
        # The server takes the character set's own collation.
        self._put("collation_connection", INITIAL)
        if statement.accept(b"COLLATE"):
            self._put("collation_connection", self._value(statement))

    def _set_charset(self, statement: Cursor) -> None:
        charset = self._value(statement)
        for name in ("character_set_client", "character_set_results"):
            self._put(name, charset)

    def _assign_all(self, statement: Cursor) -> None:
        while True:
            self._assign(statement)
            if not statement.accept(b","):
                return

    def _assign(self, statement: Cursor) -> None:
        if statement.accept(b"@"):
            if statement.accept(b"@"):
                self._assign_setting(statement, _setting_name(statement, after_signs=True))
            else:
                self._assign_variable(statement)
            return
        self._assign_setting(statement, _setting_name(statement, after_signs=False))

    def _assign_variable(self, statement: Cursor) -> None:
        variable = statement.plain(statement.take()).lower()
        _assignment_sign(statement)
        source, value = self._expression(statement)
        if source != _LITERAL and not source.startswith(_VARIABLE) and not _OF_A_TABLE.match(variable):
            self.has_saved = True
            self.outstanding.add(variable)
        self._variables[variable] = value

    def _assign_setting(self, statement: Cursor, name: str) -> None:
        _assignment_sign(statement)
        if name in _LEFT:
            self._pass_value(statement)
            return
        source, value = self._expression(statement)
        if source.startswith(_VARIABLE):
            self.outstanding.discard(source.removeprefix(_VARIABLE))
        self._put(name, value)

    def _pass_value(self, statement: Cursor) -> None:
        """Whatever a setting is set to that is left as it is."""
        depth = 0
        while statement.token is not None and (depth or not statement.sees(b",")):
            token = statement.take()
            depth += token.says(b"(") - token.says(b")")
            if token.says(b"@") and not statement.accept(b"@"):
                self.outstanding.discard(statement.plain(statement.take()).lower())

    def _put(self, name: str, value: Value) -> None:
        if name == "character_set_results":
            return
        if name not in KEPT:
            raise Unexpected
        if value is INITIAL or value.upper() == "DEFAULT":
            self._changed.pop(name, None)
        elif KEPT[name].fullmatch(value):
            self._changed[name] = value
        else:
            raise Unexpected

    def _value(self, statement: Cursor) -> Value:
        return self._expression(statement)[1]

    def _expression(self, statement: Cursor) -> tuple[str, Value]:
        """Where a value is from, a setting or a variable, and the value."""
        if statement.accept(b"IFNULL", b"("):
            name, value = self._expression(statement)
            statement.expect(b",")
            _, instead = self._expression(statement)
            statement.expect(b")")
            return name, instead if value is INITIAL else value
        if statement.accept(b"@"):
            if statement.accept(b"@"):
                return self._setting(_setting_name(statement, after_signs=True))
            variable = statement.plain(statement.take()).lower()
            return _VARIABLE + variable, self._variables.get(variable)
        sign = "-" if statement.accept(b"-") else ""
        token = statement.take()
        if token.kind not in (Kind.WORD, Kind.TEXT, Kind.NAME):
            raise Unexpected
        value = sign + statement.plain(token)
        # Of a floating number.
        if token.kind == Kind.WORD and statement.accept(b"."):
            value += "." + statement.plain(statement.take())
        return _LITERAL, value

    def _setting(self, name: str) -> tuple[str, Value]:
        if name not in KEPT and name not in _LEFT:
            raise Unexpected
        return name, self._changed.get(name, INITIAL)


def _setting_name(statement: Cursor, *, after_signs: bool) -> str:
    """A setting's name, with or without its scope."""
    is_global = False
    if statement.sees(*_SCOPES):
        scope: Token = statement.take()
        is_global = scope.text.upper() in (b"GLOBAL", b"PERSIST", b"PERSIST_ONLY")
        if after_signs:
            statement.expect(b".")
    token = statement.take()
    if token.kind not in (Kind.WORD, Kind.NAME):
        raise Unexpected
    name = statement.plain(token).lower()
    if is_global and name not in _LEFT:
        raise Unexpected
    return name


def _assignment_sign(statement: Cursor) -> None:
    if statement.accept(b":"):
        statement.expect(b"=")
        return
    statement.expect(b"=")
