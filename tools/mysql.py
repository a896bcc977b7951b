"""A real MySQL server and its programs for the tests, made once per machine in the cache folder.

Debian has it in the unstable suite only, built for a newer C library than the machine's. So the
packages and all that they need are unpacked into a folder, and small wrappers start the programs
with that folder's own loader: no root, no chroot, no container.
"""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
from pathlib import Path

from tools import apt
from tools.shell import SetupError, cache_dir, locked, output_of, run, say

PACKAGES = ["mysql-server-core", "mysql-client-core"]
DRAFT = "mysql.draft."
CLIENTS = ("mysql", "mysqladmin", "mysqlbinlog", "mysqldump")
# Options go behind the caller's, because --no-defaults has to come first.
SERVER_OPTIONS = (
    '--basedir="$root/usr"',
    '--lc-messages-dir="$root/usr/share/mysql"',
    '--character-sets-dir="$root/usr/share/mysql/charsets"',
    '--plugin-dir="$root/usr/lib/mysql/plugin"',
    "--secure-file-priv=NULL",
)
# Tests start a thousand of them: no program is asked for its place that it tells by itself.
WRAPPER = """\
#!/bin/sh
me="$0"
case "$me" in /*) ;; *) me="$(readlink -f "$me")" ;; esac
if [ -L "$me" ]; then me="$(readlink -f "$me")"; fi
root="${{me%/*/*}}/root"
exec "$root/{loader}" --library-path "$root/{libraries}" "$root/{program}" "$@" {options}
"""
# Data is thrown away with the server, so that only a lost process matters, not a lost machine.
FAST_OPTIONS = (
    "--innodb-flush-method=nosync",
    "--innodb-doublewrite=OFF",
    "--innodb-use-native-aio=0",
    "--innodb-redo-log-capacity=32M",
)


def home() -> Path:
    """The folder that holds `bin` (the wrappers), `root` (the packages) and `data` (a template)."""
    return cache_dir() / f"mysql-{platform.machine()}"


def install() -> None:
    """Make the folder unless it is there and its server runs."""
    with locked(cache_dir() / "mysql.lock", "waiting for another set-up that is making MySQL"):
        if _works(home()):
            _write_wrappers(home())  # an earlier version's may be there
            return
        for abandoned in cache_dir().glob(f"{DRAFT}*"):
            shutil.rmtree(abandoned, ignore_errors=True)
        say(f"making a MySQL server for the tests in {home()}")
        draft = Path(tempfile.mkdtemp(dir=cache_dir(), prefix=DRAFT))
        try:
            _build(draft)
            shutil.rmtree(home(), ignore_errors=True)
            draft.rename(home())
        finally:
            shutil.rmtree(draft, ignore_errors=True)


def _build(folder: Path) -> None:
    root = folder / "root"
    with apt.unstable("MySQL for the tests") as suite:
        suite.unpack_with_dependencies(PACKAGES, root)
    _write_wrappers(folder)
    if not _works(folder):
        raise SetupError("the MySQL server from Debian's unstable suite does not run here.")
    _initialise(folder)


def _write_wrappers(folder: Path) -> None:
    """One script per program, which finds the folder by its own place so that it can be renamed."""
    root = folder / "root"
    loader = _only(root, "usr/lib*/ld-linux*.so.*")
    libraries = _only(root, "usr/lib/*/libc.so.6").parent
    (folder / "bin").mkdir(exist_ok=True)
    programs = {"mysqld": "usr/sbin/mysqld", **{name: f"usr/bin/{name}" for name in CLIENTS}}
    for name, program in programs.items():
        wrapper = folder / "bin" / name
        text = WRAPPER.format(
            loader=loader.relative_to(root),
            libraries=libraries.relative_to(root),
            program=program,
            options=" ".join(SERVER_OPTIONS) if name == "mysqld" else "",
        )
        if wrapper.is_file() and wrapper.read_text() == text:
            continue
        # Somebody may be starting it.
        draft = wrapper.with_name(f".{name}")
        draft.write_text(text)
        draft.chmod(0o755)
        draft.replace(wrapper)


def _initialise(folder: Path) -> None:
    """Make the data folder that servers start from as a copy."""
    user = ["--user=root"] if os.geteuid() == 0 else []
    run(
        [
            folder / "bin" / "mysqld",
            "--no-defaults",
            "--initialize-insecure",
            f"--datadir={folder / 'data'}",
            *FAST_OPTIONS,
            *user,
        ]
    )
    # Servers that share an identity could not replicate from each other.
    (folder / "data" / "auto.cnf").unlink(missing_ok=True)


def _works(folder: Path) -> bool:
    return output_of([folder / "bin" / "mysqld", "--no-defaults", "--version"]) is not None


def _only(root: Path, pattern: str) -> Path:
    found = sorted(root.glob(pattern))
    if not found:
        raise SetupError(f"the unpacked packages hold no {pattern}.")
    return found[0]
