"""How a session begins, whatever the server's own settings and its init_connect say."""

from __future__ import annotations

from collections.abc import Mapping

# How long a swap waits for transactions that use the tables, and a question for a table: less than all
# questions may take, so that the server says why.
LOCK_WAIT_SECONDS = 50
_NO_LIMIT = 2**64 - 1
_ALL_MEMORY = 2**63 - 1
_MEMORY = f"/*M!100121 , max_session_mem_used = {_ALL_MEMORY} */"

# Of short connections, as one statement: each flavour reads its own comments only, and MariaDB none of
# MySQL's from 5.7 to 9. https://mariadb.com/kb/en/comment-syntax/
#
# Where the server's own mode is ANSI_QUOTES, it would answer with names in double quotes. By default,
# a statement that changes a table in use waits for a day. All else would cut answers short, or forbid
# them: limits of rows and of time, transactions that only read.
BEGIN_SHORT = (
    "SET SESSION sql_mode = 'STRICT_TRANS_TABLES', "
    f"lock_wait_timeout = {LOCK_WAIT_SECONDS}, sql_quote_show_create = 1, "
    f"sql_select_limit = {_NO_LIMIT}, sql_big_selects = 1, sql_safe_updates = 0, completion_type = 0"
    "/*!50720 , max_execution_time = 0, transaction_read_only = 0 */"
    f"/*M!100101 , max_statement_time = 0, tx_read_only = 0 */{_MEMORY}"
)

# Of a dump program's, where it can be told: the dump programs leave limits as they are, of rows too.
BEGIN_DUMPING = (
    f"SET SESSION sql_select_limit = {_NO_LIMIT}, sql_big_selects = 1, net_write_timeout = 86400"
    "/*!50720 , max_execution_time = 0, transaction_read_only = 0 */"
    f"/*M!100101 , max_statement_time = 0, tx_read_only = 0 */{_MEMORY}"
)
# With which a session sees a part of the rows, or of another time: settings, and how they should be.
CUTS_DUMPS: Mapping[str, str] = {"sql_select_limit": str(_NO_LIMIT)}
# A dump with the history of such tables holds the rows of all times anyway.
CUTS_WITHOUT_HISTORY: Mapping[str, str] = {"system_versioning_asof": "DEFAULT"}

# Of a session that loads, before it asks how all is set.
BEGIN_ASKING = (
    f"SET SESSION sql_select_limit = {_NO_LIMIT}, sql_big_selects = 1"
    f"/*M!100101 , max_statement_time = 0 */{_MEMORY}"
)
# Of a session that loads, once it knows. The first are as the server has them: a dump that says nothing
# of them means those, and init_connect may have changed them.
BEGIN_LOADING: Mapping[str, str] = {
    "sql_mode": "DEFAULT",
    "time_zone": "DEFAULT",
    # A dump's tables may refer to what comes later, and others may refer to them.
    "foreign_key_checks": "0",
    # What one connection leaves open, another one would wait for without end.
    "autocommit": "1",
    # Loading is no work for limits of time: one statement makes all keys of a table.
    "max_statement_time": "0",
    "max_execution_time": "0",
    "tx_read_only": "0",
    "transaction_read_only": "0",
    "sql_safe_updates": "0",
    # What was there once may be there again, though it could not be made or written today.
    "innodb_strict_mode": "0",
    "check_constraint_checks": "0",
    "sql_require_primary_key": "0",
    "restrict_fk_on_non_standard_key": "0",
    # A dump tells all that a table has: nothing is to be added, and nothing hidden.
    "sql_generate_invisible_primary_key": "0",
    "show_gipk_in_create_table_and_information_schema": "1",
    "explicit_defaults_for_timestamp": "1",
    "enforce_storage_engine": "NULL",
    "innodb_compression_default": "0",
    # Any other one is told by a table's definition.
    "innodb_default_encryption_key_id": "1",
    # As INSTANT it would refuse to make most keys.
    "alter_algorithm": "'DEFAULT'",
    "sql_if_exists": "0",
    # MariaDB stores a trigger's definer as this session writes it.
    "sql_quote_show_create": "1",
}

# Of a session that computes and checks as those of others do, who set nothing themselves.
AS_THE_SERVER_HAS_IT = (
    "SET SESSION time_zone = @@GLOBAL.time_zone, sql_mode = @@GLOBAL.sql_mode, foreign_key_checks = 0"
)

# Which of them make a table otherwise than the statement says, without a word.
CHANGES_TABLES = frozenset(
    {
        "sql_generate_invisible_primary_key",
        "explicit_defaults_for_timestamp",
        "enforce_storage_engine",
        "innodb_compression_default",
        "innodb_default_encryption_key_id",
    }
)
OF_PRIMARY_KEYS = frozenset({"sql_require_primary_key", "sql_generate_invisible_primary_key"})

# The same, where the server's own is less. Those that load together take turns, so that one may have
# nothing to do for long; and a load waits for locks, of who copies the server's files for instance, as
# long as others do by default.
_AT_LEAST: Mapping[str, int] = {
    "wait_timeout": 604800,
    "net_read_timeout": 86400,
    "net_write_timeout": 86400,
    "lock_wait_timeout": 86400,
    "innodb_lock_wait_timeout": 50,
}

_SPELLED = {"ON": "1", "OFF": "0", "NULL": "", "'DEFAULT'": "DEFAULT"}


def to_change(current: Mapping[str, str]) -> dict[str, str]:
    """What a session that loads has to set; `current` are its settings now, by their lower-case names.

    What the server does not know is left, and what is as it should be: it may be forbidden to set that.
    """
    changed = {
        name: value
        for name, value in BEGIN_LOADING.items()
        if name in current and (value == "DEFAULT" or not _is_same(value, current[name]))
    }
    raised = {
        name: str(least)
        for name, least in _AT_LEAST.items()
        if current.get(name, "").isdigit() and int(current[name]) < least
    }
    return changed | raised


def _is_same(wanted: str, now: str) -> bool:
    wanted, now = (_SPELLED.get(each.upper(), each) for each in (wanted, now))
    try:
        return float(wanted) == float(now)
    except ValueError:
        return wanted.upper() == now.upper()
