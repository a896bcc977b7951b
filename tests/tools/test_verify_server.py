"""The private server for test restores: of the kind of the one that is backed up, with nothing else in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from backups import mysql
from tools import mysql as mysql_for_tests
from tools import verify_server
from tools.private_server import PrivateServerError
from tools.verify_server import Like

ACCOUNT = "'vedetta'@'127.0.0.1'"


@pytest.mark.parametrize(
    ("flavour", "cases", "folder", "spelled"),
    [
        ("MariaDB", 0, "verify-mariadb", "0"),
        ("MySQL", 0, "verify-mysql", "0"),
        # Those of other systems than Linux have 2 as well, with which no server starts here.
        ("MySQL", 2, "verify-mysql-lower-case", "1"),
        ("MariaDB", 1, "verify-mariadb-lower-case", "1"),
    ],
)
def test_it_is_as_the_one_that_is_backed_up(
    flavour: str, cases: int, folder: str, spelled: str, tmp_path: Path
) -> None:
    like = Like(mysql.ServerInfo(flavour, "10.0.1"), cases)

    server = verify_server.verify_server(like, tmp_path, port=3307, user="vedetta", password="p")

    assert (server.flavour, server.folder) == (flavour, tmp_path / folder)
    assert f"--lower-case-table-names={spelled}" in server.options()
    granted = [each for each in server.statements(ACCOUNT) if each.startswith("GRANT ")]
    assert rf"GRANT ALL ON `%\_\_verify\_%`.* TO {ACCOUNT}" in granted
    assert all(each.endswith(f" TO {ACCOUNT}") and "orders" not in each for each in granted)
    assert not any("ALL ON *.*" in each or "FILE" in each or "SUPER" in each for each in granted)


def test_mariadb_under_mysqls_name_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "mysqld"
    program.write_text("#!/bin/sh\necho mysqld  Ver 10.11.6-MariaDB\n")
    program.chmod(0o755)
    monkeypatch.setattr(verify_server, "find_program", lambda _: str(program))
    monkeypatch.setattr(mysql_for_tests, "home", lambda: tmp_path / "none")
    like = Like(mysql.ServerInfo("MySQL", "8.4.0"), 0)
    server = verify_server.verify_server(like, tmp_path, port=3307, user="vedetta", password="p")

    with pytest.raises(PrivateServerError, match="this machine has no mysqld to start beside it"):
        server.program()
