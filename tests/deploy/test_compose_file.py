"""What of Compose's server for test restores can be seen without Docker."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from contextlib import closing
from pathlib import Path
from typing import Any

import MySQLdb
import pytest
import yaml

from portal import servers_secrets
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


# ---------------------------------------------------------------- What the portal gets of .env

# For worker and portal alike.
SET_BY_THE_IMAGE = {"DOWNLOADS_SOCKET"}
# The worker's, though no secret of its own stands in them.
OF_THE_WORKER = {"VEDETTA_KEY_MADE", "AWS_ACCESS_KEY_ID", "AWS_DEFAULT_REGION", "PORTAL_ADMIN_PASSWORD"}
OWN_SECRETS = (
    "SECRET_KEY",
    "SECRET_KEY_FALLBACKS",
    "DATABASE_URL",
    "NOTIFY_URLS",
    "PING_URL",
    "METRICS_TOKEN",
)


def read_by_the_portal() -> set[str]:
    """The variables that its settings read."""
    settings = (PROJECT / "portal" / "settings.py").read_text()
    gate = (PROJECT / "sentinel" / "environment.py").read_text()
    found = re.findall(r'env\.\w+\(\s*"([A-Z_]+)"', settings) + re.findall(r'"([A-Z_]+_[A-Z_]+)"', gate)
    return set(found) - {"VEDETTA_HOME"}


def test_the_portal_is_passed_each_variable_that_it_reads_and_no_secret_of_a_server() -> None:
    portal = compose()["services"]["portal"]
    passed = set(portal["environment"])

    assert "env_file" not in portal
    read = read_by_the_portal()
    assert len(read) > 60
    example = set(re.findall(r"^(\w+)=", (PROJECT / ".env.example").read_text(), re.MULTILINE))
    left = read - passed - OF_THE_WORKER - SET_BY_THE_IMAGE
    assert left == {name for name in read if servers_secrets.is_one(name)}
    assert {name for name in passed if servers_secrets.is_one(name)} == set()
    assert {f"{name}_FILE" for name in OWN_SECRETS} <= passed
    # What of .env.example reaches no process but the worker's is its own, or Compose's.
    by_compose = set(
        re.findall(r"^(\w+)=", (PROJECT / ".env.example").read_text().partition("Compose alone")[2], re.M)
    )
    left_out = {name for name in example - passed - by_compose if not servers_secrets.is_one(name)}
    assert left_out == OF_THE_WORKER - {"VEDETTA_KEY_MADE"}


def test_neither_the_repository_nor_what_was_restored_is_mounted_into_the_portal() -> None:
    mounted = [place.partition(":")[2] for place in compose()["services"]["portal"]["volumes"]]

    assert mounted == ["/status", "/data"]


@pytest.mark.skipif(not shutil.which("docker-compose"), reason="reads the file as Compose itself does")
def test_as_compose_reads_it_no_secret_of_env_reaches_the_portal(tmp_path: Path) -> None:
    names = re.findall(r"^(\w+)=", (PROJECT / ".env.example").read_text(), re.MULTILINE)
    secrets = [
        *filter(servers_secrets.is_one, names),
        "SHOP_PASSWORD",
        "RESTIC_PASSWORD_FILE",
        "MYSQL_ROOT_PASSWORD",
    ]
    lines = [f"{name}=/hunter2" for name in secrets] + [
        "TIME_ZONE=Europe/Rome",
        "SECRET_KEY='k$x'",
        "BACKUP_CRON=",
    ]
    (tmp_path / ".env").write_text("".join(f"{line}\n" for line in lines))
    shutil.copy(PROJECT / "docker-compose.yml", tmp_path)

    ran = subprocess.run(
        ["docker-compose", "config"],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert ran.returncode == 0, ran.stderr
    services = yaml.safe_load(ran.stdout)["services"]
    assert "hunter2" not in json.dumps(services["portal"])
    assert "hunter2" in json.dumps(services["db_backup"])
    said = services["portal"]["environment"]
    # Compose doubles a $ where it prints.
    assert (said["TIME_ZONE"], said["SECRET_KEY"], said["BACKUP_CRON"]) == ("Europe/Rome", "k$$x", "")
    assert (said["WEB_CONCURRENCY"], said["MYSQL_DATABASE"]) == ("2", "orders_tracker")
