"""Which variables are secrets of servers and repositories, and that the web process goes without them."""

from __future__ import annotations

import os
import string
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest
from pytest_django import Settings

from backups import secret_references
from portal import servers_secrets
from tests.deploy.test_compose_file import read_by_the_portal
from tools.running import services
from tools.running.address import Address

PROJECT = Path(__file__).resolve().parents[2]
SECRET = [
    "MYSQL_PASSWORD", "VERIFY_MYSQL_PASSWORD", "RESTORE_MYSQL_PASSWORD", "MYSQL_ROOT_PASSWORD", "MYSQL_PWD",
    "RESTIC_PASSWORD", "RESTIC_PASSWORD_FILE", "RESTIC_PASSWORD2", "RESTIC_REST_PASSWORD", "VEDETTA_KEY",
    "VEDETTA_KEY_FILE", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_WEB_IDENTITY_TOKEN_FILE",
    "B2_ACCOUNT_KEY", "AZURE_ACCOUNT_KEY", "AZURE_ACCOUNT_SAS", "GOOGLE_APPLICATION_CREDENTIALS",
    "OS_APPLICATION_CREDENTIAL_SECRET", "SHOP_PASSWORD", "SHOP_PASSWORD_FILE", "RCLONE_CONFIG_NAS_PASS",
    # To which rows may always refer, whatever they end in.
    "MYSQL_PASSWORD_SHOP", "MYSQL_PASSWORD_2", "MYSQL_PASSWORD2_FILE", "MYSQL_PASSWORD12", "MYSQL_SHOP_PW",
    "RESTIC_PASSWORD_OFFSITE", "RESTIC_PASSWORD_COMMAND", "RESTIC_PASS2", "AWS_SECRET_ACCESS_KEY_OFFSITE",
    "AWS_SECRET_ACCESS_KEY_2_FILE", "AWS_OFFSITE_SECRET", "AWS_KEY2", "AWS_CONFIG_FILE", "VERIFY_PW",
    "RESTORE_SECRET", "MYSQL_HOST_2", "MYSQL_SHOP_DIRECTORY",
]  # fmt: skip
NONE = [
    "SECRET_KEY", "SECRET_KEY_FILE", "SECRET_KEY_FALLBACKS", "DATABASE_URL", "PORTAL_ADMIN_PASSWORD",
    "NOTIFY_URLS", "PING_URL", "METRICS_TOKEN", "METRICS_TOKEN_FILE", "SECRET_REFERENCES", "SECRETS_DIR",
    "VEDETTA_KEY_MADE", "MYSQL_HOST_FILE", "AWS_ACCESS_KEY_ID", "AWS_DEFAULT_REGION",
    "MYSQL_USER", "MYSQL_DATABASE", "RESTIC_REPOSITORY", "PATH", "PWD", "SSL_CERT_FILE",
]  # fmt: skip


@pytest.mark.parametrize("name", SECRET)
def test_what_opens_a_server_or_a_repository_is_one(name: str) -> None:
    assert servers_secrets.is_one(name)


@pytest.mark.parametrize("name", NONE)
def test_what_the_web_process_needs_is_none(name: str) -> None:
    assert not servers_secrets.is_one(name)


def test_what_rows_may_refer_to_is_one_and_no_setting_is_for_a_wide_declaration() -> None:
    declared = ["SHOP_PW", "NAS_*", "P*", "H*", "L*", "MYSQL_*", "SECRET_*"]

    assert servers_secrets.is_one("SHOP_PW_FILE", declared)
    assert servers_secrets.is_one("NAS_KEY", declared)
    for name in ("PATH", "HOME", "LC_ALL", "MYSQL_HOST", "SECRET_KEY", "SECRET_REFERENCES", "PORTAL_BIND"):
        assert not servers_secrets.is_one(name, declared), name


DECLARED = [
    ("SHOP*", "SHOPPW"), ("SHOP_*", "SHOP_X"), ("DB*", "DB_PW"), ("MYSQL_SHOP*", "MYSQL_SHOPX"),
    ("SHOP", "SHOP_FILE"), ("SHOP_FILE", "SHOP"), ("PORTAL_SHOP*", "PORTAL_SHOP_PW"),
    ("BACKUP_*", "BACKUP_SHOP_PW"), ("DUMP_PW_*", "DUMP_PW_A"), ("SECRET_*", "SECRET_SHOP"),
    ("VEDETTA_*", "VEDETTA_SHOP"), ("SENTINEL_*", "SENTINEL_SHOP_FILE"), ("P*", "PW"),
]  # fmt: skip


@pytest.mark.parametrize(("entry", "name"), DECLARED)
def test_what_a_declaration_lets_rows_refer_to_is_taken_out(
    entry: str, name: str, settings: Settings
) -> None:
    settings.SECRET_REFERENCES = [entry]

    assert secret_references.is_declared(f"env:{name}")
    assert servers_secrets.without({"SECRET_REFERENCES": entry, name: "hunter2"}) == {
        "SECRET_REFERENCES": entry
    }


def test_of_what_rows_may_refer_to_the_web_process_keeps_each_setting_that_it_reads() -> None:
    everything = [f"{letter}*" for letter in string.ascii_uppercase]
    read = read_by_the_portal()
    taken = {name for name in read if servers_secrets.is_one(name, everything)}

    assert len(read) > 60
    assert taken == {"VEDETTA_KEY"}
    # By gunicorn, by what finds the project, and by a setting of an earlier name.
    elsewhere = {"PORTAL_BIND", "WEB_CONCURRENCY", "VEDETTA_HOME", "FORWARDED_ALLOW_IPS"}
    assert servers_secrets.SETTINGS - read == elsewhere


def test_names_are_told_of_what_is_set_and_values_of_nothing() -> None:
    variables = {"RESTIC_PASSWORD": "hunter2", "MYSQL_PASSWORD": " ", "SECRET_REFERENCES": "X_Y", "X_Y": "b"}

    assert servers_secrets.names_in(variables) == ["RESTIC_PASSWORD", "X_Y"]
    assert servers_secrets.without(variables) == {"SECRET_REFERENCES": "X_Y"}


LOOK = """
import os
from portal import env, servers_secrets
servers_secrets.WEB.begin(os.environ)
env.read_env_files(*map(__import__("pathlib").Path, os.environ["FILES"].split()))
print(servers_secrets.WEB.found, os.environ.get("TIME_ZONE"))
print(sorted(name for name in os.environ if servers_secrets.is_one(name)))
print(sorted(name for name in os.environ if name.startswith("SHOP_")))
"""


def look(*files: Path, **environment: str) -> list[str]:
    """What a web process tells of itself that is started with this environment and reads these files."""
    return subprocess.run(
        [sys.executable, "-c", LOOK],
        cwd=PROJECT,
        env={"PATH": os.environ["PATH"], "FILES": " ".join(map(str, files)), **environment},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()


def test_the_web_process_takes_none_from_its_environment_nor_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("MYSQL_PASSWORD=hunter2\nTIME_ZONE=Europe/Rome\nVEDETTA_KEY_FILE=/x\n")

    assert look(file, RESTIC_PASSWORD="hunter2") == ["['RESTIC_PASSWORD'] Europe/Rome", "[]", "[]"]


@pytest.mark.parametrize(
    ("environment", "first", "second", "told"),
    [
        ({"SECRET_REFERENCES": "SHOP_X"}, "SHOP_X=hunter2", "", []),
        ({"SHOP_X": "hunter2"}, "SECRET_REFERENCES=SHOP_X", "", ["SHOP_X"]),
        ({"SHOP_X": "hunter2"}, "", "SECRET_REFERENCES=SHOP_X", ["SHOP_X"]),
        ({}, "SHOP_X=hunter2", "SECRET_REFERENCES=SHOP_X", []),
        # The environment's counts for rows, and the file's may have counted before.
        ({"SECRET_REFERENCES": "NAS_X", "SHOP_X": "hunter2"}, "SECRET_REFERENCES=SHOP_X", "", ["SHOP_X"]),
        ({"SECRET_REFERENCES_FILE": "declared", "SHOP_X": "hunter2"}, "", "", ["SHOP_X"]),
        ({"SHOP_X": "hunter2"}, "SECRET_REFERENCES_FILE=declared", "", ["SHOP_X"]),
        ({"SECRET_REFERENCES_FILE": "none", "RESTIC_PASSWORD": "x"}, "", "", ["RESTIC_PASSWORD"]),
    ],
)
def test_one_source_may_declare_what_another_holds(
    tmp_path: Path, environment: dict[str, str], first: str, second: str, told: list[str]
) -> None:
    (tmp_path / "declared").write_text("NAS_X, SHOP_X\n")
    files = (tmp_path / ".env", tmp_path / "run.env")
    for file, text in zip(files, (first, second), strict=True):
        file.write_text(f"{text}\n".replace("_FILE=", f"_FILE={tmp_path}/"))
    given = {
        name: f"{tmp_path}/{value}" if name.endswith("_FILE") else value
        for name, value in environment.items()
    }

    assert look(*files, **given) == [f"{told} None", "[]", "[]"]


def test_what_env_declares_is_kept_from_the_portal_of_make_run_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its environment alone does not say which of its variables rows refer to."""
    monkeypatch.setattr(services, "ROOT", tmp_path)
    (tmp_path / ".env").write_text("SECRET_REFERENCES=SHOP_READER\n")
    environment = {"SHOP_READER": "a password", "RESTIC_PASSWORD": "another", "SECRET_KEY": "its own"}
    with ExitStack() as started:
        made = services.Services(environment, 0, started, {"WEB_CONCURRENCY": "1"})
        of_portal = made.of_portal(Address("127.0.0.1:8000", "PORTAL_BIND"))

    assert of_portal == {"SECRET_KEY": "its own", "WEB_CONCURRENCY": "1", "PORTAL_BIND": "127.0.0.1:8000"}
