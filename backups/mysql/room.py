"""Where a server keeps its data, and how much room is left there by its own word."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any, NamedTuple

import MySQLdb

from backups.mysql.answers import as_number, as_text, fetch_one, fetch_rows


class DataFolder(NamedTuple):
    """A server's data folder, the name of its machine, and whether it writes a binary log of what we do."""

    path: str
    hostname: str
    has_binary_log: bool


def data_folder(connection: Any) -> DataFolder:
    """Where the server keeps its data, by its own word. Needs no privilege."""
    is_written = "@@GLOBAL.log_bin AND @@SESSION.sql_log_bin"
    row = fetch_one(connection, f"SELECT @@datadir, @@hostname, {is_written}", as_text, as_text, as_number)
    path, hostname, has_binary_log = row
    return DataFolder(path, hostname, bool(has_binary_log))


def free_by_plugin(connection: Any, folder: str) -> int | None:
    """The bytes that are free where `folder` lies, by MariaDB's plugin DISKS; None where it does not tell.

    It has to be installed, and its reader needs the privilege FILE:
    https://mariadb.com/kb/en/disks-plugin/
    """
    try:
        rows = fetch_rows(connection, "SELECT Path, Available FROM information_schema.DISKS", 2)
    except MySQLdb.Error:  # MySQL, no such plugin, or no privilege
        return None
    # Of file systems in one another the innermost, and of several in one place the last that came.
    holding = [
        (len(str(path)), as_number(kilobytes)) for path, kilobytes in rows if _holds(str(path), folder)
    ]
    deepest = max((depth for depth, _ in holding), default=0)
    return next((kilobytes * 1024 for depth, kilobytes in reversed(holding) if depth == deepest), None)


def _holds(mount: str, folder: str) -> bool:
    return PurePosixPath(folder).is_relative_to(mount)
