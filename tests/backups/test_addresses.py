"""One repository, however its address is written; and two that look alike."""

from __future__ import annotations

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
