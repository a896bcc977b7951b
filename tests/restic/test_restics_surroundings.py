"""Nothing in the operator's environment changes what a restic command means, by really setting all of it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from unittest.mock import patch

import pytest

from backups import endpoints, restic, secret_references
from backups.errors import Problem
from backups.models import Repository
from tests.backups.conftest import MakePortal
from tests.backups.worlds import Portal, Shop

# What restic, the libraries of its backends, rclone and Go's runtime would go by.
HOSTILE = {
    "RESTIC_HOST": "web01",
    "RESTIC_FEATURES": "no-such-feature=true",
    "RESTIC_READ_CONCURRENCY": "many",
    "RESTIC_PROGRESS_FPS": "0",
    "RESTIC_PASSWORD_COMMAND": "echo of another repository",
    "RESTIC_REPOSITORY2": "/nonexistent",
    "RESTIC_PASSWORD2": "of another repository",
    "RESTIC_FROM_REPOSITORY": "/nonexistent",
    "RESTIC_FROM_REPOSITORY_FILE": "/dev/null",
    "RESTIC_FROM_PASSWORD": "of another repository",
    "RESTIC_FROM_PASSWORD_FILE": "/dev/null",
    "RESTIC_FROM_PASSWORD_COMMAND": "false",
    "RESTIC_FROM_KEY_HINT": "ffffffff",
    "RESTIC_DEBUG_STACKTRACE_SIGINT": "1",
    "RESTIC_SOMETHING_NEW": "1",
    "DEBUG_LOG": "{folder}/debug.log",
    "DEBUG_FUNCS": "*",
    "B2_LOG_LEVEL": "10",
    "AZURE_SDK_GO_LOGGING": "all",
    "GOOGLE_SDK_GO_LOGGING_LEVEL": "debug",
    "GOOGLE_SDK_GO_TRACING_COOKIE": "1",
    "STORAGE_EMULATOR_HOST": "192.0.2.1:1",
    "RCLONE_DRY_RUN": "true",
    "RCLONE_INTERACTIVE": "true",
    "RCLONE_APPEND_ONLY": "true",
    "RCLONE_EXCLUDE": "*",
    "RCLONE_INCLUDE": "nothing",
    "RCLONE_FILTER": "- *",
    "RCLONE_MAX_AGE": "1s",
    "RCLONE_MAX_DEPTH": "1",
    "RCLONE_LOG_FILE": "{folder}/rclone.log",
    "RCLONE_DUMP": "headers,bodies,auth",
    "RCLONE_VERBOSE": "3",
    "GODEBUG": "schedtrace=1,gctrace=1",
    "GOTRACEBACK": "all",
    "GOGC": "off",
    "GOMEMLIMIT": "1B",
    "GOMAXPROCS": "1",
    "GRPC_GO_LOG_SEVERITY_LEVEL": "info",
    "HTTP_PROXY": "http://127.0.0.1:1",
    "XDG_CACHE_HOME": "{folder}/elsewhere",
    "TZ": "Asia/Kathmandu",
    "LANG": "tr_TR.ISO-8859-9",
}
# They pass, and change nothing about a repository in a folder.
PASSED = {
    "RESTIC_KEY_HINT": "ffffffff",
    "RESTIC_COMPRESSION": "off",
    "RESTIC_PACK_SIZE": "4",
    "RESTIC_CACERT": "",
    "AWS_PROFILE": "other",
    "AWS_REGION": "mars-1",
    "AZURE_ACCOUNT_NAME": "other",
    "GOOGLE_PROJECT_ID": "other",
    "OS_AUTH_URL": "http://192.0.2.1/",
    "ST_AUTH": "http://192.0.2.1/",
    "HTTPS_PROXY": "http://127.0.0.1:1",
    "SSH_AUTH_SOCK": "/nonexistent",
}
NAMES = [
    ("AWS_ACCESS_KEY_ID", True),
    ("AWS_CONTAINER_CREDENTIALS_FULL_URI", True),
    ("AZURE_ACCOUNT_SAS", True),
    ("B2_ACCOUNT_KEY", True),
    ("GOOGLE_APPLICATION_CREDENTIALS", True),
    ("OS_APPLICATION_CREDENTIAL_SECRET", True),
    ("ST_KEY", True),
    ("MINIO_ACCESS_KEY", True),
    ("RESTIC_REST_PASSWORD", True),
    ("RESTIC_TLS_CLIENT_CERT", True),
    ("RESTIC_AWS_ASSUME_ROLE_ARN", True),
    ("RCLONE_CONFIG", True),
    ("RCLONE_CONFIG_NAS_TYPE", True),
    ("RCLONE_S3_ENDPOINT", True),
    ("SSH_AUTH_SOCK", True),
    ("no_proxy", True),
    ("SECRET_KEY", False),
    ("MYSQL_PASSWORD", False),
    ("NOTIFY_URLS", False),
    ("LD_PRELOAD", False),
    *((name, name == "HTTP_PROXY") for name in HOSTILE),
]


@pytest.mark.parametrize(("name", "passes"), NAMES)
def test_what_says_where_and_with_which_key_passes(name: str, passes: bool) -> None:
    assert restic.passed([name]) == ({name} if passes else set())


@pytest.mark.soak
def test_the_snapshot_of_another_host_is_not_the_newest(mariadb_portal: Portal) -> None:
    """A script that fixed its host so had restic list, keep and restore that host's snapshots alone."""
    portal = mariadb_portal
    path = f"/mysql/{portal.shop.name}.sql"
    old = ["backup", "--stdin", "--stdin-filename", path, "--time", "2025-11-01 03:00:00"]
    ran = subprocess.run(
        [portal.restic_path, *old], env={**os.environ, **portal.environment, "RESTIC_HOST": "web01"},
        input=b"-- a year ago\n", capture_output=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    places = {name: value.format(folder=portal.folder) for name, value in HOSTILE.items()}
    portal.environment |= PASSED | places

    made = portal.backup()
    assert made.code == 0, made.err
    listed = portal.manage("snapshots", "--json").json["snapshots"]
    file = portal.folder / "restored"
    restored = portal.manage("restore", "--snapshot", "latest", "--output", str(file), "--json")
    preflight = portal.manage("preflight", "--json")

    assert [each["snapshot_id"] for each in listed][-1] == made.json["snapshot_id"]
    assert len(listed) == 2
    assert restored.json["snapshot_id"] == made.json["snapshot_id"]
    assert "2 kept" in portal.log()
    (seen,) = [each["detail"] for each in preflight.json["checks"] if each["name"] == "restic"]
    assert "hides these variables" in seen
    assert "RESTIC_HOST" in seen
    assert portal.manage("repository", "check", "--read-data").code == 0
    assert not list(portal.folder.glob("*.log"))
    assert portal.leftovers() == []


def test_a_wrong_compression_stops_the_start(mariadb_shop: Shop, make_portal: MakePortal) -> None:
    portal = make_portal(mariadb_shop, set_up=False)

    for told, ran in (
        ("RESTIC_COMPRESSION is 'much'", portal.manage("preflight", RESTIC_COMPRESSION="much")),
        ("RESTIC_PACK_SIZE is 'nonsense'", portal.manage("preflight", RESTIC_PACK_SIZE="nonsense")),
    ):
        assert ran.code == 1
        assert ran.err.startswith(f"vedetta: {told}, but must be ")


# ---------------------------------------------------------------- Files, read by each run


def set_only(environment: dict[str, str]) -> dict[str, str]:
    """What restic would be given in this environment."""
    with patch.dict(os.environ, environment, clear=True):
        return secret_references.for_restic()


def test_a_rotated_token_is_the_next_runs(tmp_path: Path) -> None:
    names = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "RESTIC_REST_PASSWORD"]
    environment = {f"{name}_FILE": str(tmp_path / name) for name in names}
    for content in ("old", "new"):
        for name in names:
            (tmp_path / name).write_text(f"{content} {name}\n")
        assert set_only(environment) == {name: f"{content} {name}" for name in names}


@pytest.mark.parametrize(
    ("environment", "named"),
    [
        ({}, "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY"),
        (
            {"AWS_ACCESS_KEY_ID_FILE": "/a", "AWS_SECRET_ACCESS_KEY": "s", "AWS_SESSION_TOKEN_FILE": "/t"},
            "AWS_ACCESS_KEY_ID_FILE, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN_FILE",
        ),
        ({"AWS_PROFILE": "p", "AWS_SESSION_TOKEN": ""}, "AWS_PROFILE"),
        ({"AWS_WEB_IDENTITY_TOKEN_FILE": "/t"}, "AWS_WEB_IDENTITY_TOKEN_FILE"),
    ],
)
def test_keys_are_named_by_what_holds_them(environment: dict[str, str], named: str) -> None:
    with patch.dict(os.environ, environment, clear=True):
        assert endpoints._set_for(Repository(url="s3:https://host/bucket"))["keys_set_by"] == named


@pytest.mark.parametrize(
    "name",
    [
        "AZURE_FEDERATED_TOKEN_FILE",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AWS_SHARED_CREDENTIALS_FILE",
        "RCLONE_CONFIG_NAS_KEY_FILE",
    ],
)
def test_a_file_that_the_library_reads_itself_is_named_to_it(name: str) -> None:
    assert set_only({name: "/run/secrets/token"}) == {name: "/run/secrets/token"}


def test_what_is_left_empty_is_not_set() -> None:
    assert set_only({"B2_ACCOUNT_KEY_FILE": "", "AWS_REGION": "", "AWS_PROFILE": "p"}) == {"AWS_PROFILE": "p"}


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(Problem, match="The file that B2_ACCOUNT_KEY_FILE names cannot be read"):
        set_only({"B2_ACCOUNT_KEY_FILE": str(tmp_path / "absent")})


def test_what_is_secret_of_it_is_masked() -> None:
    given = {
        "AZURE_ACCOUNT_SAS": "sv=1&sig=2",
        "HTTPS_PROXY": "http://me:of-the-proxy@proxy:3128",
        "RCLONE_CONFIG_NAS_PASS": "of the nas",
        "AWS_REGION": "eu-1",
        "HTTP_PROXY": "http://proxy:3128",
    }
    access = restic.Access("restic", "/r", "of the repository", given)

    assert set(access.secret_values()) == {"of the repository", "sv=1&sig=2", "of-the-proxy", "of the nas"}


@pytest.mark.parametrize("name", ["RESTIC_CACERT", "RESTIC_TLS_CLIENT_CERT"])
def test_a_certificate_that_is_not_there_is_named_by_its_variable(
    name: str, tmp_path: Path, restic_path: Path
) -> None:
    """restic reads it for a repository in a folder too, and says no word of the variable."""
    absent = str(tmp_path / "Absent.pem")
    access = restic.Access(str(restic_path), str(tmp_path), "the password", {name: absent})

    with pytest.raises(restic.ResticError) as told:
        restic.call(access, restic.Command(("snapshots",), "listing the snapshots"))

    assert told.value.what.startswith(f"restic cannot read the file {absent}, which {name} names")
