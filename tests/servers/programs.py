"""Where the programs of the tests' servers are: the machine's own, or those of another version."""

from __future__ import annotations

import os
from pathlib import Path

from tools import mysql
from tools.system import find_program

# Folders with the programs in `bin`, for MySQL with a data folder beside it: see CONTRIBUTING.md.
NAMED_IN = {"mariadb": "VEDETTA_TESTS_MARIADB", "mysql": "VEDETTA_TESTS_MYSQL"}


def another_home(flavour: str) -> Path | None:
    """The folder of another version of a server; None to test the usual one."""
    named = os.environ.get(NAMED_IN[flavour])
    return Path(named).resolve() if named else None


def programs_of(flavour: str) -> Path:
    """The folder with the flavour's own client programs."""
    usual = Path("/usr/bin") if flavour == "mariadb" else mysql.home() / "bin"
    home = another_home(flavour)
    return home / "bin" if home else usual


def mariadb_program(name: str) -> str:
    """What starts the server or makes its data, `mariadbd` or `mariadb-install-db`."""
    home = another_home("mariadb")
    return str(home / "bin" / name) if home else find_program(name) or name


def mysql_data() -> Path:
    """A data folder of MySQL's to copy, without an identity of its own."""
    return (another_home("mysql") or mysql.home()) / "data"


def look_there_first() -> None:
    """Have this process and those that it starts find the other version's dump program."""
    homes = [home for flavour in NAMED_IN if (home := another_home(flavour))]
    os.environ["PATH"] = os.pathsep.join([*(str(home / "bin") for home in homes), os.environ["PATH"]])
