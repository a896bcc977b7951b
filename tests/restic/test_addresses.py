"""One repository, however its address is written; and two that look alike."""

from __future__ import annotations

from pathlib import Path

import pytest

from backups import restic

SAME = [
    ("/srv/repository", "/srv/repository/"),
    ("/srv/repository", "/srv//repository///"),
    ("/srv/repository", "//srv/repository"),
    ("/srv/repository", "/srv/./repository"),
    ("/srv/repository", "local:/srv/repository/"),
    ("var/repository", "var/repository/"),
    ("/", "//"),
    ("s3:https://host/bucket", "s3:https://host/bucket/"),
    ("s3:https://host:9000/bucket/a/b", "s3:https://host:9000/bucket//a/b//"),
    ("s3:host/bucket", "s3:host/bucket/"),
    ("s3://host/bucket", "s3://host//bucket/"),
    ("rest:https://host:8000/shop", "rest:https://host:8000/shop/"),
    ("rest:https://host", "rest:https://host/"),
    ("sftp:u@host:/srv/repository", "sftp:u@host:/srv//repository/"),
    ("sftp://u@host//srv/repository", "sftp://u@host//srv/repository/"),
    ("s3:https://host/bucket", "s3:https://Host:443/bucket"),
    ("s3:host/bucket", "s3:https://host/bucket/"),
    ("s3://host/bucket", "s3:host/bucket"),
    ("rest:https://host/a", "rest:https://HOST:443/a/"),
    ("rest:http://u@host:80/a", "rest:http://u@Host/a"),
    ("rest:https://[::1]:443/a", "rest:https://[::1]/a"),
    ("sftp:u@host:/srv/repository", "sftp://u@HOST:22//srv/repository"),
    ("sftp:u@host:repository", "sftp://u@host/repository"),
    ("b2:bucket:path", "b2:bucket:path/"),
    ("gs:bucket:/path", "gs:bucket://path/"),
    ("rclone:far:path", "rclone:far:path/"),
]
OTHERS = [
    ("/srv/repository", "/srv/repository2"),
    ("/srv/repository", "srv/repository"),
    ("/srv/repository", "/srv/Repository"),
    ("/srv/a b", "/srv/ab"),
    ("/", ""),
    ("s3:https://host/bucket", "s3:http://host/bucket"),
    ("s3:https://host/bucket/a", "s3:https://host/bucket/a/b"),
    ("s3:host/bucket", "s3:host:9000/bucket"),
    ("rest:https://host/a", "rest:https://host/a/b"),
    ("s3:https://host/Bucket", "s3:https://host/bucket"),
    ("rest:http://host:8000/a", "rest:http://host/a"),
    ("rest:https://host:80/a", "rest:https://host/a"),
    ("sftp:U@host:/a", "sftp:u@host:/a"),
    ("sftp:u@host:/a", "sftp:u@host:a"),
    # From the root, and from where the login lands.
    ("sftp://u@host//srv/repository", "sftp://u@host/srv/repository"),
    ("rclone:far:/path", "rclone:far:path"),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_slashes_that_mean_nothing_make_no_other_repository(one: str, other: str) -> None:
    assert restic.same_address(one, other)
    assert restic.same_address(other, one)


@pytest.mark.parametrize(("one", "other"), OTHERS)
def test_another_place_is_another_repository(one: str, other: str) -> None:
    assert not restic.same_address(one, other)


def test_a_folder_is_one_place_by_whatever_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to(tmp_path / "var")
    place = f"{tmp_path}/var/repository"

    for written in (
        f"{place}/",
        f"{tmp_path}/etc/../var/repository",
        "var/repository",
        f"local:{tmp_path}/./var/repository",
        "local:var/./repository",
        f"{tmp_path}/link/repository",
    ):
        assert restic.same_place(place, written), written
        assert restic.same_place(written, place), written
    assert not restic.same_place(place, f"{tmp_path}/var/repository2")
    assert not restic.same_place("s3:host/bucket/a", "s3:host/bucket/b")


def test_who_asks_makes_no_other_place() -> None:
    assert restic.same_place("rest:https://a@host/x", "rest:https://host:443/x")
    assert restic.same_place("sftp:a@host:/x", "sftp://b@Host//x")
    assert not restic.same_place("sftp:a@host:x", "sftp:b@host:x")
