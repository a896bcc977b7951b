"""Stored columns that MariaDB computes anew where a log is replayed, by settings that the log does not tell.

Seen on 11.8, not on 10.11: a changed row is logged without these columns, and whoever applies a change
computes them, also where the log has the value.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from backups import mysql
from backups.binlog.settings_untold import OLD_MODE, setting_of_expressions
from backups.errors import Problem
from backups.mysql.answers import as_text, fetch_rows
from backups.text.sentences import phrase

_SINCE = (11, 0)
# As a replay's session has them, which is as MariaDB begins.
_USUAL = {
    "div_precision_increment": "4",
    "default_week_format": "0",
    "block_encryption_mode": "aes-128-ecb",
    "default_regex_flags": "",
    "old_passwords": "OFF",
    OLD_MODE: "UTF8_IS_UTF8MB3",
}
# Of the old modes, the one that decides about a value.
_OF_DATES = "ZERO_DATE_TIME_CAST"
_SHOWN = 5


class ComputedAnew(Problem):
    """A replay would give stored columns other values than they have."""

    code = "log.computed_anew"


def tables(connection: Any, info: mysql.ServerInfo, database: str) -> dict[str, list[str]]:
    """Tables whose stored columns depend on a setting, by that. Raises MySQLdb.Error."""
    found: dict[str, list[str]] = defaultdict(list)
    if info.flavour == mysql.MARIADB and info.number >= _SINCE:
        for name, made in mysql.made_as(connection, database).items():
            if setting := setting_of_expressions(made.expressions, is_mariadb=True):
                found[setting].append(name)
    return dict(found)


def problems(connection: Any, of_setting: Mapping[str, list[str]]) -> Iterator[Problem]:
    """Why no moment would be right, where the server has another setting than a replay.

    Raises MySQLdb.Error.
    """
    if not of_setting:
        return
    names = ", ".join(f"'{name}'" for name in of_setting)
    asked = f"SHOW GLOBAL VARIABLES WHERE Variable_name IN ({names})"
    for name, value in fetch_rows(connection, asked, 2):
        setting, has = as_text(name), as_text(value)
        usual = _USUAL.get(setting, has)
        if has == usual or (setting == OLD_MODE and _OF_DATES not in has):
            continue
        yield ComputedAnew(
            phrase(
                "MariaDB computes stored columns anew where its log is replayed, and those of {names} would "
                "come out otherwise: {setting} is {value} on the server, and {usual} in a replay.",
                names=_some(of_setting[setting]),
                setting=setting,
                value=repr(has),
                usual=repr(usual),
            ),
            do=phrase(
                "Let these columns not depend on it, or run as an administrator: {statement} and set it in "
                "the server's configuration.",
                statement=f"SET GLOBAL {setting} = {usual if usual.isdecimal() else repr(usual)};",
            ),
        )


def warnings(of_setting: Mapping[str, list[str]]) -> Iterator[str]:
    """What no log tells: that a session had another one."""
    for setting, names in of_setting.items():
        yield phrase(
            "MariaDB computes stored columns anew where its log is replayed, and those of {names} depend on "
            "{setting}: let no session change it, else a moment has other values in them.",
            names=_some(names),
            setting=setting,
        )


def _some(names: list[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (" …" if len(names) > _SHOWN else "")
