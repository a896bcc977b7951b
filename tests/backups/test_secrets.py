"""Secret references: where a secret is, and what is said when it is not there."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.core.exceptions import ValidationError

from backups import validators
from backups.errors import Problem
from backups.secret_references import Secret, is_reference


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("env:MYSQL_PASSWORD", True),
        ("env:_x1", True),
        ("file:/run/secrets/db password", True),
        ("", False),
        ("env:", False),
        ("env:1X", False),
        ("env:A B", False),
        ("env:A\n", False),
        ("file:relative", False),
        ("file:/", False),
        ("hunter2", False),
        ("ENV:X", False),
    ],
)
def test_reference_has_one_of_two_forms(text: str, is_one: bool) -> None:
    assert is_reference(text) is is_one


def test_secret_is_found_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZZ_SECRET", " with blanks \n")

    assert Secret("env:ZZ_SECRET").resolve() == " with blanks "


def test_secret_is_found_in_the_file_that_the_environment_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "secret").write_text("s3cret\r\n")
    monkeypatch.setenv("ZZ_SECRET_FILE", str(tmp_path / "secret"))

    assert Secret("env:ZZ_SECRET").resolve() == "s3cret"
    assert Secret("env:ZZ_SECRET").resolve_optional() == "s3cret"
    assert Secret(f"file:{tmp_path / 'secret'}").resolve() == "s3cret"


def test_rotated_secret_is_read_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZZ_SECRET_FILE", str(tmp_path / "secret"))
    for value in ("old", "new"):
        (tmp_path / "secret").write_text(value)
        assert Secret("env:ZZ_SECRET").resolve() == value


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("env:ZZ_UNSET", "Set ZZ_UNSET or ZZ_UNSET_FILE"),
        ("env:ZZ_EMPTY", "is empty"),
        ("env:ZZ_LOST", "The file that ZZ_LOST_FILE names cannot be read"),
        ("file:/nowhere/at/all", "/nowhere/at/all is not there"),
        ("file:/dev/zero", "/dev/zero cannot be read as a short text"),
        ("hunter2", "wrong form"),
    ],
)
def test_missing_secret_is_a_sentence(reference: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZZ_EMPTY", "")
    monkeypatch.setenv("ZZ_LOST_FILE", "/nowhere/at/all")

    with pytest.raises(Problem) as missing:
        Secret(reference).resolve()

    assert said in missing.value.sentence()
    assert "hunter2" not in missing.value.sentence()


@pytest.mark.parametrize("reference", ["", "env:ZZ_UNSET"])
def test_optional_secret_may_be_absent(reference: str) -> None:
    assert Secret(reference).resolve_optional() == ""


@pytest.mark.parametrize(
    ("url", "holds_one"),
    [
        ("rest:https://user:secret@host/", True),
        ("https://user:secret@host/", True),
        ("sftp://user:secret@host//path", True),
        ("rest:https://user@host/", False),
        ("s3:https://host:9000/bucket", False),
        ("sftp:user@host:/path", False),
        ("/srv/restic", False),
        ("b2:bucket:path", False),
    ],
)
def test_password_in_a_location_is_seen(url: str, holds_one: bool) -> None:
    assert validators.has_password(url) is holds_one


@pytest.mark.parametrize(
    ("validate", "good", "bad"),
    [
        (
            validators.cron,
            ["0 3,15 * * *", "*/5 * * * 1-5"],
            ["", "hourly", "0 3 * *", "61 * * * *", "@daily"],
        ),
        (validators.plain_name, ["orders", "größe ☂"], ["", " ", " a", "a\n", "a\0b"]),
        (validators.schema_name, ["a`b", "a/b", "x" * 64], ["", "x" * 65, "a\0", "a "]),
        (validators.secret_reference, ["env:X", "file:/x"], ["", "hunter2"]),
        (validators.repository_url, ["/srv/r", "s3:https://h/b"], ["", " ", "a\nb", "https://u:p@h/"]),
    ],
)
def test_what_people_type_is_checked(validate: object, good: list[str], bad: list[str]) -> None:
    assert callable(validate)
    for value in good:
        validate(value)
    for value in bad:
        with pytest.raises(ValidationError):
            validate(value)


def test_shown_as_text_a_secret_is_its_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZZ_SECRET", "hunter2")
    secret = Secret("env:ZZ_SECRET", of="the password of shop")

    assert secret.resolve() == "hunter2"
    assert "env:ZZ_SECRET" in repr(secret)
    assert "hunter2" not in f"{secret} {secret!r}"
