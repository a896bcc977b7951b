"""The version is written in one place, and shown to those who are to know it."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from django.core.management import call_command
from django.test import Client
from pytest_django.fixtures import Settings

import backups
from backups import installation

PROJECT = Path(__file__).resolve().parents[2]
COMMIT = "0123456789abcdef0123456789abcdef01234567"
OTHER = "f" * 40
TOKEN = "only Prometheus knows it"
LOGIN = "/admin/login/"


def test_it_is_a_release_and_the_image_says_the_same() -> None:
    label = re.search(r"org\.opencontainers\.image\.version=(\S+)", (PROJECT / "Dockerfile").read_text())

    assert re.fullmatch(r"\d+\.\d+\.\d+", backups.__version__)
    assert label
    assert label[1] == backups.__version__
    assert '\nversion = "' not in (PROJECT / "pyproject.toml").read_text()


def test_a_command_says_it_with_the_commit(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(installation, "commit", lambda: COMMIT)

    call_command("version")
    call_command("version", "--json")

    words, _, last = capsys.readouterr().out.partition("\n")
    assert words.startswith(f"Vedetta {backups.__version__} (commit 0123456789ab), Python 3.")
    told = json.loads(last.splitlines()[-1])
    assert (told["vedetta"], told["commit"]) == (backups.__version__, COMMIT)


def test_the_version_is_for_who_is_signed_in_or_shows_the_token(
    admin_client: Client, client: Client, settings: Settings
) -> None:
    settings.METRICS_TOKEN = TOKEN
    header = {"Authorization": f"Bearer {TOKEN}"}
    version = backups.__version__

    assert f"Vedetta {version}" in admin_client.get("/admin/").text
    assert client.get("/healthz", headers=header)["X-Vedetta-Version"] == version
    assert f'vedetta_build_info{{version="{version}"}} 1.0' in client.get("/metrics", headers=header).text
    told = [
        client.get(address, headers=headers)
        for headers in ({}, {"Authorization": "Bearer wrong"})
        for address in (LOGIN, "/healthz", "/metrics", "/ok", "/sentinel/ok", "/sentinel/status", "/nowhere")
    ]
    assert [each for each in told if version in each.text + str(each.headers)] == []
    settings.METRICS_TOKEN = ""
    assert "X-Vedetta-Version" not in client.get("/healthz", headers={"Authorization": "Bearer "})


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], str]:
    """The commit that an installation in a folder says of itself."""
    monkeypatch.setattr(installation, "_BUILT_FROM", tmp_path / "commit.txt")

    def commit(folder: Path) -> str:
        monkeypatch.setattr(installation, "_CHECKOUT", folder)
        return installation.commit()

    return commit


def test_the_commit_is_the_one_that_git_has(tmp_path: Path, checkout: Callable[[Path], str]) -> None:
    folder, beside = tmp_path / "checkout", tmp_path / "beside"
    who = ("-c", "user.name=Ada", "-c", "user.email=ada@example.com")

    def git(*words: str) -> str:
        argv = ["git", "-C", str(folder), *who, *words]
        return subprocess.run(argv, check=True, capture_output=True, text=True).stdout.strip()

    folder.mkdir()
    git("init", "--quiet")
    git("commit", "--quiet", "--allow-empty", "--message", "First")
    first = git("rev-parse", "HEAD")
    assert checkout(folder) == first

    git("pack-refs", "--all")
    assert checkout(folder) == first
    git("worktree", "add", "--quiet", str(beside))
    assert checkout(beside) == first
    git("commit", "--quiet", "--allow-empty", "--message", "Second")
    second = git("rev-parse", "HEAD")
    assert (checkout(folder), checkout(beside)) == (second, first)
    git("checkout", "--quiet", "--detach", first)
    assert checkout(folder) == first


def test_where_no_commit_is_known_none_is_said(tmp_path: Path, checkout: Callable[[Path], str]) -> None:
    assert checkout(tmp_path) == ""
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "HEAD").write_text("ref: refs/heads/none\n")
    assert checkout(tmp_path) == ""
    (tmp_path / ".git" / "HEAD").write_text("<b>no commit</b>\n")
    assert checkout(tmp_path) == ""


def test_who_builds_an_image_or_a_wheel_says_the_commit(
    tmp_path: Path, checkout: Callable[[Path], str]
) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "HEAD").write_text(OTHER)
    (tmp_path / "commit.txt").write_text(f"{COMMIT}\n")

    assert checkout(tmp_path) == COMMIT
