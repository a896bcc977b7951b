"""A portal as an earlier version left it: its rows, its repository and its status folder."""

from __future__ import annotations

import shutil
import sqlite3
import tarfile
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

from tests.backups.light_key import make_light
from tests.backups.worlds import RESTIC_PASSWORD, Portal, Shop
from tests.servers import DatabaseServer


def earlier_portal(
    rows: Path, kept: Path, folder: Path, shop: Shop, restic_path: Path, environment: Mapping[str, str]
) -> Portal:
    """A portal in a folder of its own with these rows, over what was `kept` beside them.

    Its repository lies there too; where servers are now, who knows the version's tables says.
    """
    with tarfile.open(kept / "repository.tar.gz") as tar:
        tar.extractall(folder, filter="data")
    make_light(folder / "repository", RESTIC_PASSWORD)
    portal = Portal(folder / "portal", shop, restic_path, str(folder / "repository"), dict(environment))
    if (kept / "status").is_dir():
        shutil.copytree(kept / "status", portal.folder / "status", dirs_exist_ok=True)
    written(portal, rows.read_text())
    written(portal, "UPDATE backups_repository SET url = ?", portal.repository)
    return portal


def written(portal: Portal, sql: str, *values: object) -> None:
    """Write into the portal's database: one statement with its values, or any number without."""
    with closing(sqlite3.connect(portal.database_file)) as connection:
        if values:
            connection.execute(sql, values)
        else:
            connection.executescript(sql)
        connection.commit()


def earlier_shop(server: DatabaseServer) -> Shop:
    """The shop that the fixtures of before back up."""
    return Shop(server, "shop", "vedetta", "of-the-fixture")
