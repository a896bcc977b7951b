"""What of Compose's server for test restores can be seen without Docker."""

from __future__ import annotations

import os
import re
import subprocess
from contextlib import closing
from pathlib import Path
from typing import Any

import MySQLdb
import pytest
import yaml

from tests.servers import DatabaseServer

PROJECT = Path(__file__).resolve().parents[2]
SCRIPT = PROJECT / "deploy" / "compose" / "verify-server.sh"
GIVEN = {"VERIFY_MYSQL_HOST": "db_verify", "VERIFY_MYSQL_USER": "o'brien"}


def compose() -> dict[str, Any]:
    found = yaml.safe_load((PROJECT / "docker-compose.yml").read_text())
    assert isinstance(found, dict)
    return found


def test_the_server_for_test_restores_is_asked_for_and_seen_by_the_worker_alone() -> None:
    whole = compose()
    services = whole["services"]
    server = services["db_verify"]

    assert server["profiles"] == ["verify"]
    assert server["image"] == services["db"]["image"]
    assert "ports" not in server
    assert "env_file" not in server
    assert whole["networks"]["verify"] == {"internal": True}
    assert [name for name, each in services.items() if "verify" in each.get("networks", [])] == [
        "db_verify",
        "db_backup",
    ]
    assert server["networks"] == ["verify"]
    assert "default" in services["db_backup"]["networks"]
    # Started for nobody who has not asked for it.
    assert all("db_verify" not in each.get("depends_on", {}) for each in services.values())


def test_it_gets_its_own_secret_and_no_other_and_shares_no_data() -> None:
    server = compose()["services"]["db_verify"]
    told = re.findall(r"\$\{([A-Z_]+)", " ".join(map(str, server["environment"].values())))

    assert {name for name in told if "PASSWORD" in name} == {
        "VERIFY_MYSQL_PASSWORD",
        "VERIFY_MYSQL_PASSWORD_FILE",
    }
    data, *files = server["volumes"]
    assert data == "/var/lib/mysql"
    for file in files:
        place, _, mode = file.split(":")
        assert (PROJECT / place).is_file()
        assert mode == "ro"


def started(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the container's program where the image's own shows what the server would be told."""
    for name, script in {"docker-entrypoint.sh": 'cat "${2#--init-file=}"', "chown": ":"}.items():
        (folder / name).write_text(f"#!/bin/bash\n{script}\n")
        (folder / name).chmod(0o755)
    return subprocess.run(
        ["bash", SCRIPT],
        env={
            "PATH": f"{folder}:{os.environ['PATH']}",
            "TMPDIR": str(folder),
            "VEDETTA_GRANTS": str(PROJECT / "deploy" / "mysql" / "grants-mysql.sql"),
            **GIVEN,
            **environment,
        },
        capture_output=True,
        text=True,
        check=False,
    )


def test_its_user_may_make_the_databases_of_test_restores_and_nothing_else(
    tmp_path: Path, mysql_server: DatabaseServer
) -> None:
    ran = started(tmp_path, VERIFY_MYSQL_PASSWORD="a 'pass\\word'")
    assert (ran.returncode, ran.stderr) == (0, "")
    mysql_server.load(ran.stdout)
    try:
        connection = MySQLdb.connect(
            host=mysql_server.host, port=mysql_server.port, user="o'brien", password="a 'pass\\word'"
        )
        with closing(connection), connection.cursor() as cursor:
            cursor.execute("SHOW GRANTS")
            granted = [str(line) for (line,) in cursor.fetchall()]
    finally:
        mysql_server.execute("DROP USER 'o''brien'@'%'")

    on = [line.partition(" ON ")[2].partition(" TO ")[0] for line in granted]
    assert set(on) == {"*.*", r"`%\_\_verify\_%`.*"}
    assert not re.search(r"ALL PRIVILEGES ON \*|SUPER|FILE|\bSELECT\b|GRANT OPTION", " ".join(granted))


@pytest.mark.parametrize(
    ("environment", "code", "said"),
    [
        ({}, 1, "VERIFY_MYSQL_PASSWORD is not set in .env"),
        ({"VERIFY_MYSQL_PASSWORD": "a", "VERIFY_MYSQL_HOST": ""}, 0, "no VERIFY_MYSQL_HOST=db_verify"),
    ],
)
def test_what_would_leave_it_unused_is_in_its_log(
    tmp_path: Path, environment: dict[str, str], code: int, said: str
) -> None:
    ran = started(tmp_path, **environment)

    assert ran.returncode == code
    assert said in ran.stderr


def test_its_password_may_come_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("of the file\n")

    ran = started(tmp_path, VERIFY_MYSQL_PASSWORD_FILE=str(tmp_path / "secret"))

    assert "IDENTIFIED BY 'of the file';" in ran.stdout
