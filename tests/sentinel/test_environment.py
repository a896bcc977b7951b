"""The gate's settings: typed, and a wrong one stops the start with one sentence."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from sentinel import environment
from sentinel.environment import GateSettings, gate_address, gate_settings

NAMES = [
    "SENTINEL_THRESHOLD_SECONDS",
    "SENTINEL_BOOT_GRACE_SECONDS",
    "SENTINEL_VERIFIED_THRESHOLD_SECONDS",
    "SENTINEL_LOG_THRESHOLD_SECONDS",
]


@pytest.fixture(autouse=True)
def _nothing_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [*NAMES, "SENTINEL_HEARTBEAT_PATH", "SENTINEL_ADDRESS", "MYSQL_DATABASE"]:
        monkeypatch.delenv(name, raising=False)


def test_the_defaults_in_a_container_and_outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "CONTAINER_STATUS", tmp_path)
    assert gate_settings() == GateSettings(93600, 86400, 0, heartbeat_path=tmp_path / "last_ok")
    monkeypatch.setattr(environment, "CONTAINER_STATUS", tmp_path / "not there")
    assert gate_settings().heartbeat_path == environment.PROJECT / "var/status/last_ok"


def test_everything_can_be_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for number, name in enumerate(NAMES):
        monkeypatch.setenv(name, f" {number}")
    monkeypatch.setenv("SENTINEL_HEARTBEAT_PATH", "/srv/status/heartbeat")
    monkeypatch.setenv("MYSQL_DATABASE", "orders")
    expected = GateSettings(0, 1, 2, 3, heartbeat_path=Path("/srv/status/heartbeat"), database="orders")
    assert gate_settings() == expected


def test_a_relative_path_counts_from_the_project(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SENTINEL_HEARTBEAT_PATH", "var/here")
    assert gate_settings().heartbeat_path == environment.PROJECT / "var/here"


def test_an_empty_value_counts_as_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SENTINEL_THRESHOLD_SECONDS", "")
    monkeypatch.setenv("SENTINEL_HEARTBEAT_PATH", "")
    assert gate_settings().threshold_seconds == 93600
    assert gate_settings().heartbeat_path.name == "last_ok"


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", ["-1", "1.5", "26h", "1_000", "٣", "9" * 12, "9" * 5000, "x"])
def test_a_wrong_number_is_named_in_one_sentence(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ImproperlyConfigured) as caught:
        gate_settings()
    sentence = str(caught.value)
    assert sentence.startswith(f"{name} must be")
    assert len(sentence.splitlines()) == 1
    assert len(sentence) < 250


def test_a_folder_is_no_heartbeat(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SENTINEL_HEARTBEAT_PATH", "/status/")
    with pytest.raises(ImproperlyConfigured, match="SENTINEL_HEARTBEAT_PATH must name a file"):
        gate_settings()


def test_env_files_fill_in_what_the_environment_leaves_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dotenv = tmp_path / ".env"
    dotenv.write_text("SENTINEL_THRESHOLD_SECONDS=5\nSENTINEL_BOOT_GRACE_SECONDS=6\nRESTIC_PASSWORD=secret\n")
    monkeypatch.setattr(environment, "ENV_FILES", (dotenv, tmp_path / "not there"))
    monkeypatch.setenv("SENTINEL_THRESHOLD_SECONDS", "7")
    monkeypatch.setenv("SENTINEL_BOOT_GRACE_SECONDS", "")
    monkeypatch.delenv("RESTIC_PASSWORD", raising=False)
    settings = gate_settings(environment.env_with_files())
    assert (settings.threshold_seconds, settings.boot_grace_seconds) == (7, 6)
    assert "RESTIC_PASSWORD" not in os.environ


def test_the_gate_goes_on_with_what_it_read_before_and_tells_of_its_own_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dotenv = tmp_path / ".env"
    monkeypatch.setattr(environment, "ENV_FILES", (dotenv,))
    told: list[str] = []

    dotenv.write_text("RESTIC_PASSWORD=pa$$word\nexport SENTINEL_THRESHOLD_SECONDS=5\n")
    assert gate_settings(environment.env_with_files(told.append)).threshold_seconds == 5
    dotenv.write_text("SENTINEL_THRESHOLD_SECONDS = 5\nMYSQL_DATABASE='shop' \n")
    settings = gate_settings(environment.env_with_files(told.append))
    assert (settings.threshold_seconds, settings.database) == (93600, "'shop'")

    exported, spaced = told
    assert exported.startswith(f"Line 2 of {dotenv} begins with export")
    assert "read as earlier versions read it (docs/configuration.md says how). Write NAME=value." in exported
    assert spaced.startswith(f"Line 1 of {dotenv} has blanks before its =.")
    assert spaced.endswith("See to these as well: line 2 (MYSQL_DATABASE).")
    assert "RESTIC" not in "".join(told)


def test_the_gate_refuses_what_no_version_could_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_bytes(b"A=\xe9")
    monkeypatch.setattr(environment, "ENV_FILES", (tmp_path / ".env",))

    with pytest.raises(ImproperlyConfigured, match=rf"^Line 1 of {tmp_path}"):
        environment.env_with_files()


def test_a_gate_that_may_not_see_the_secrets_is_told_its_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unreadable as a folder is, whoever runs the tests."""
    monkeypatch.setattr(environment, "ENV_FILES", (tmp_path,))

    with pytest.raises(ImproperlyConfigured, match="cannot be read by user"):
        environment.env_with_files()
    monkeypatch.setenv("MYSQL_DATABASE", "orders")
    assert gate_settings(environment.env_with_files()).database == "orders"


@pytest.mark.parametrize(
    ("bind", "address", "asked"),
    [
        ("", "", "127.0.0.1:8001"),
        ("127.0.0.1:8081", "", "127.0.0.1:8081"),
        ("0.0.0.0:8001", "", "127.0.0.1:8001"),
        (":8001", "", "127.0.0.1:8001"),
        ("[::]:8001", "", "[::1]:8001"),
        ("unix:/run/gate.sock", "", "unix:/run/gate.sock"),
        ("unix:/run/gate.sock, 127.0.0.1:8001", "", "unix:/run/gate.sock"),
        ("fd://3", "", ""),
        ("127.0.0.1", "", ""),
        ("127.0.0.1:8081", "sentinel:8001", "sentinel:8001"),
        ("127.0.0.1:8081", "off", ""),
    ],
)
def test_the_gate_is_asked_where_it_listens_or_where_that_is_said(
    bind: str, address: str, asked: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SENTINEL_BIND", bind)
    monkeypatch.setenv("SENTINEL_ADDRESS", address)
    assert gate_address() == asked


@pytest.mark.parametrize(
    "address", ["sentinel", "http://sentinel:8001", "sentinel:0", "sentinel:99999", "unix:gate", "a b:1"]
)
def test_an_address_at_which_nobody_can_be_asked_is_named(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SENTINEL_ADDRESS", address)
    with pytest.raises(ImproperlyConfigured, match="SENTINEL_ADDRESS must be an address and port"):
        gate_address()
