"""Which variables are secrets of servers and repositories, and that the web process goes without them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from portal import servers_secrets

PROJECT = Path(__file__).resolve().parents[2]
SECRET = [
    "MYSQL_PASSWORD", "VERIFY_MYSQL_PASSWORD", "RESTORE_MYSQL_PASSWORD", "MYSQL_ROOT_PASSWORD", "MYSQL_PWD",
    "RESTIC_PASSWORD", "RESTIC_PASSWORD_FILE", "RESTIC_PASSWORD2", "RESTIC_REST_PASSWORD", "VEDETTA_KEY",
    "VEDETTA_KEY_FILE", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_WEB_IDENTITY_TOKEN_FILE",
    "B2_ACCOUNT_KEY", "AZURE_ACCOUNT_KEY", "AZURE_ACCOUNT_SAS", "GOOGLE_APPLICATION_CREDENTIALS",
    "OS_APPLICATION_CREDENTIAL_SECRET", "SHOP_PASSWORD", "SHOP_PASSWORD_FILE", "RCLONE_CONFIG_NAS_PASS",
]  # fmt: skip
NONE = [
    "SECRET_KEY", "SECRET_KEY_FILE", "SECRET_KEY_FALLBACKS", "DATABASE_URL", "PORTAL_ADMIN_PASSWORD",
    "NOTIFY_URLS", "PING_URL", "METRICS_TOKEN", "METRICS_TOKEN_FILE", "SECRET_REFERENCES", "SECRETS_DIR",
    "VEDETTA_KEY_MADE", "MYSQL_USER", "MYSQL_DATABASE", "RESTIC_REPOSITORY", "PATH", "PWD", "SSL_CERT_FILE",
]  # fmt: skip


@pytest.mark.parametrize("name", SECRET)
def test_what_opens_a_server_or_a_repository_is_one(name: str) -> None:
    assert servers_secrets.is_one(name)


@pytest.mark.parametrize("name", NONE)
def test_what_the_web_process_needs_is_none(name: str) -> None:
    assert not servers_secrets.is_one(name)


def test_what_rows_may_refer_to_is_one_and_no_setting_is_for_a_wide_declaration() -> None:
    declared = ["SHOP_PW", "NAS_*", "P*", "MYSQL_*", "SECRET_*"]

    assert servers_secrets.is_one("SHOP_PW_FILE", declared)
    assert servers_secrets.is_one("NAS_KEY", declared)
    for name in ("PATH", "MYSQL_HOST", "SECRET_KEY", "SECRET_REFERENCES", "PORTAL_BIND"):
        assert not servers_secrets.is_one(name, declared), name


def test_names_are_told_of_what_is_set_and_values_of_nothing() -> None:
    variables = {"RESTIC_PASSWORD": "hunter2", "MYSQL_PASSWORD": " ", "SECRET_REFERENCES": "X_Y", "X_Y": "b"}

    assert servers_secrets.names_in(variables) == ["RESTIC_PASSWORD", "X_Y"]
    assert servers_secrets.without(variables) == {"SECRET_REFERENCES": "X_Y"}


LOOK = """
import os
from portal import env, servers_secrets
servers_secrets.WEB.begin(os.environ)
env.read_env_files(__import__("pathlib").Path(os.environ["FILE"]))
print(servers_secrets.WEB.found, os.environ.get("TIME_ZONE"))
print(sorted(name for name in os.environ if servers_secrets.is_one(name)))
"""


def test_the_web_process_takes_none_from_its_environment_nor_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("MYSQL_PASSWORD=hunter2\nTIME_ZONE=Europe/Rome\nVEDETTA_KEY_FILE=/x\n")
    ran = subprocess.run(
        [sys.executable, "-c", LOOK],
        cwd=PROJECT,
        env={"PATH": os.environ["PATH"], "FILE": str(file), "RESTIC_PASSWORD": "hunter2"},
        capture_output=True,
        text=True,
        check=True,
    )

    assert ran.stdout.splitlines() == ["['RESTIC_PASSWORD'] Europe/Rome", "[]"]
