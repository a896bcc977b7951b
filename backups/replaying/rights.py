"""What a user needs to replay a log, beside what loading a dump needs."""

from __future__ import annotations

from typing import Any

from backups import mysql
from backups.mysql import grants
from backups.mysql.answers import as_text, fetch_rows
from backups.mysql.grants import Missing
from backups.text.sentences import phrase

# Since when a right of its own lets a session apply events: https://mariadb.com/kb/en/grant/#binlog-replay
# and https://dev.mysql.com/doc/refman/8.4/en/privileges-provided.html#priv_replication-applier
_SINCE = {mysql.MARIADB: (10, 5, 2), mysql.MYSQL: (8, 0, 18)}
_RIGHT = {mysql.MARIADB: "BINLOG REPLAY", mysql.MYSQL: "REPLICATION_APPLIER"}
# Either lets a session apply events too, and everywhere.
_MORE_THAN_IT = ("BINLOG_ADMIN", "SUPER")
# Global settings with which MariaDB would apply row events otherwise than they are: leave out what fails, or
# run triggers, which then write a second time, and wherever they like.
_OF_ROW_EVENTS = {"slave_exec_mode": "STRICT", "slave_run_triggers_for_rbr": "NO"}


def missing_for_replay(connection: Any, info: mysql.ServerInfo, target: str) -> Missing | None:
    """What the connected user lacks to replay a log into databases like `target`, None when nothing.

    MariaDB checks no right on tables where BINLOG is allowed. MySQL does, unless BINLOG_ADMIN is held too.
    """
    right = _right(info)
    enough = {right, *(_MORE_THAN_IT if info.flavour == mysql.MYSQL else ())}
    if not grants.holds_everywhere(grants.of_user(connection), enough):
        return Missing(
            because=phrase("it may not apply events of a binary log ({right})", right=right),
            statement=replay_grant(connection, info, target),
        )
    return grants.missing_in_scratch(connection, target)


def replay_grant(connection: Any, info: mysql.ServerInfo, target: str) -> str:
    """The statements that let us replay into databases like `target`, definers of others included."""
    account = mysql.account(connection)
    scratch = mysql.prefix_pattern(target.rstrip("0123456789"))
    return (
        f"GRANT {_right(info)} ON *.* TO {account}; GRANT ALL ON {scratch}.* TO {account}; "
        f"{mysql.definer_grant(connection)};"
    )


def refuse_unfit_settings(connection: Any, server: mysql.Server, info: mysql.ServerInfo) -> None:
    """Raise OfTheServer where row events would be applied otherwise than as they are, MySQLdb.Error."""
    if info.flavour != mysql.MARIADB:
        return
    names = ", ".join(f"'{name}'" for name in _OF_ROW_EVENTS)
    for name, value in fetch_rows(connection, f"SHOW GLOBAL VARIABLES WHERE Variable_name IN ({names})", 2):
        wanted = _OF_ROW_EVENTS.get(as_text(name).lower())
        if wanted is not None and as_text(value) != wanted:
            raise mysql.OfTheServer(
                phrase(
                    "The database server at {address} runs with {name} = {value}. A log would not be played "
                    "as it was written.",
                    address=server.address,
                    name=name,
                    value=value,
                ),
                code="replay.unfit_setting",
                do=phrase(
                    "Run as an administrator: SET GLOBAL {name} = '{wanted}';", name=name, wanted=wanted
                ),
            )


def _right(info: mysql.ServerInfo) -> str:
    return _RIGHT[info.flavour] if info.number >= _SINCE[info.flavour] else "SUPER"
