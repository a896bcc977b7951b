"""The plugins of the installed MariaDB, for the tests: they come with the service, which is not installed.

The package is fetched and unpacked into the cache; what is started with it is the tests' own server.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from tools.shell import SetupError, cache_dir, locked, output_of, run, say

_PACKAGE = "mariadb-server"
_FOLDER = "usr/lib/mysql/plugin"


def home() -> Path:
    """The folder with the plugins of this machine's version."""
    version = output_of(["dpkg-query", "--show", "--showformat=${Version}", f"{_PACKAGE}-core"])
    name = (version or "none").replace(":", "_").strip()
    return cache_dir() / f"mariadb-plugins-{name}"


def install() -> None:
    """Fetch them unless they are there. Raises SetupError."""
    with locked(
        cache_dir() / "mariadb-plugins.lock", "waiting for another set-up that fetches MariaDB's plugins"
    ):
        if home().is_dir():
            return
        say(f"fetching MariaDB's plugins for the tests into {home()}")
        with tempfile.TemporaryDirectory(dir=cache_dir(), prefix="draft-") as folder:
            draft = Path(folder)
            _fetch(draft)
            for archive in draft.glob("*.deb"):
                run(["dpkg", "-x", archive, draft / "root"])
            shutil.move(draft / "root" / _FOLDER, home())


def _fetch(folder: Path) -> None:
    # apt's own user could not write into the folder.
    command = ["apt-get", "-o", "APT::Sandbox::User=", "download", _PACKAGE]
    try:
        run(command, cwd=folder)
    except SetupError:
        run(["apt-get", "update"])
        run(command, cwd=folder)
