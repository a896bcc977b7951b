"""What a row may refer to for its secret: what is listed, and never what is the portal's own."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.urls import reverse

from backups import secret_references, validators
from backups.configuration import undeclared
from backups.errors import Problem
from backups.models import Database, Repository, Server
from backups.reports import standing
from portal.env import Environment
from tests.admin.conftest import Login
from tests.admin.test_set_up import form_of_server, hint


@pytest.fixture
def folder(tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Path:
    """SECRETS_DIR, with things beside it that are nobody's business."""
    inside = tmp_path / "secrets"
    inside.mkdir()
    (inside / "shop").write_text("hunter2\n")
    (inside / "own").write_text("the key\n")
    (tmp_path / "outside").write_text("hunter2\n")
    (inside / "link").symlink_to(tmp_path / "outside")
    (inside / "hard").hardlink_to(inside / "own")
    (tmp_path / "back").symlink_to(inside / "shop")
    (tmp_path / "secrets2").mkdir()
    (tmp_path / "secrets2" / "x").write_text("hunter2\n")
    monkeypatch.setenv("SECRET_KEY_FILE", str(inside / "own"))
    settings.SECRETS_DIR = str(inside)
    settings.SECRET_REFERENCES = ["SHOP_PASSWORD", "OFFSITE_*", f"file:{tmp_path}/outside"]
    return tmp_path


ALLOWED = {
    "env:MYSQL_PASSWORD": True,
    "env:MYSQL_PASSWORD_FILE": True,
    "env:RESTIC_REST_PASSWORD": True,
    "env:AWS_SECRET_ACCESS_KEY": True,
    "env:VERIFY_MYSQL_PASSWORD": True,
    "env:RESTORE_MYSQL_PASSWORD": True,
    "env:REPLAY_MYSQL_PASSWORD": True,
    "env:SHOP_PASSWORD": True,
    "env:SHOP_PASSWORD_FILE": True,
    "env:OFFSITE_KEY": True,
    "env:MYSQL_ROOT_PASSWORD": False,
    "env:MYSQL_ROOT_PASSWORD_FILE": False,
    "env:SECRET_KEY": False,
    "env:SECRET_KEY_FALLBACKS": False,
    "env:VEDETTA_KEY": False,
    "env:NOTIFY_URLS_FILE": False,
    "env:SHOP_PASSWORD2": False,
    "env:SHOP": False,
    "env:mysql_password": False,
    "env:HTTPS_PROXY": False,
    "env:PATH": False,
    "file:{0}/secrets/shop": True,
    "file:{0}/secrets/../secrets/shop": True,
    "file:{0}/secrets/not/there": True,
    "file:{0}/back": True,
    "file:{0}/outside": True,
    "file:{0}/./outside": False,
    "file:{0}/secrets/link": False,
    "file:{0}/secrets/own": False,
    "file:{0}/secrets/hard": False,
    "file:{0}/secrets": False,
    "file:{0}/secrets2/x": False,
    "file:{0}/secrets/../secrets2/x": False,
    "file:/etc/machine-id": False,
    "file:/proc/self/environ": False,
    "file:relative": False,
    "hunter2": False,
    "": False,
}


@pytest.mark.parametrize("reference", ALLOWED)
def test_what_may_be_referred_to_is_listed(folder: Path, reference: str) -> None:
    assert secret_references.is_declared(reference.format(folder)) is ALLOWED[reference]


def test_without_a_folder_no_file_may_be_referred_to(folder: Path, settings: Any) -> None:
    settings.SECRETS_DIR = ""
    assert not secret_references.is_declared(f"file:{folder}/secrets/shop")


@pytest.mark.parametrize("by", ["secrets/own", "secrets/hard", "secrets/../secrets/own"])
def test_the_portals_own_secret_goes_to_no_server_by_its_file(folder: Path, by: str) -> None:
    """Also where a row refers to it already."""
    with pytest.raises(ValidationError, match="the portal's own"):
        validators.secret_reference(f"file:{folder}/{by}")
    with pytest.raises(Problem, match="the portal's own secret"):
        secret_references.Secret(f"file:{folder}/{by}").resolve()


@pytest.mark.parametrize("place", [".env", "var/run.env", "deploy/../.env"])
def test_nor_by_the_settings_with_all_of_them(settings: Any, place: str) -> None:
    """Of which a value may be the only line."""
    assert secret_references.is_portals_own(f"file:{settings.BASE_DIR}/{place}")
    assert secret_references.is_portals_own(f"file:{settings.VEDETTA_KEY_MADE}")


def test_nor_by_a_copy_of_it(folder: Path, settings: Any) -> None:
    settings.SECRET_KEY_FALLBACKS = ["the one before, which still signs nobody in"]
    for key in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS):
        (folder / "secrets" / "copy").write_text(key)
        with pytest.raises(Problem, match="the portal's own secret") as raised:
            secret_references.Secret(f"file:{folder}/secrets/copy").resolve()
        assert key not in str(raised.value)


def test_the_line_to_add_makes_them_allowed_and_keeps_what_is_there(folder: Path, settings: Any) -> None:
    wanted = ["env:A_PASSWORD", f"file:{folder}/secrets2/x", "env:MYSQL_PASSWORD", "env:A_PASSWORD"]
    told = secret_references.how_to_declare([*wanted, "env:MYSQL_ROOT_PASSWORD", f"file:{folder}/a b"])

    _, _, line = told.partition("SECRET_REFERENCES='")
    os.environ["ZZ_REFERENCES"] = line.partition("'")[0]
    try:
        settings.SECRET_REFERENCES = Environment().references("ZZ_REFERENCES")
    finally:
        del os.environ["ZZ_REFERENCES"]
    assert all(
        secret_references.is_declared(each) for each in (*wanted, "env:SHOP_PASSWORD", "env:OFFSITE_1")
    )
    assert not secret_references.is_declared("env:MYSQL_ROOT_PASSWORD")
    assert f"Put {folder}/a b below the folder that SECRETS_DIR names" in told
    assert "give backups a user and a password of their own" in told
    assert told.endswith("'"), "what is copied to the end of the sentence is the line and no more"


def test_the_line_is_for_all_rows_and_the_rest_for_whom_it_concerns() -> None:
    told = secret_references.how_to_declare(["env:A_PASSWORD"], ["env:MYSQL_ROOT_PASSWORD", "env:B_PASSWORD"])
    roots = secret_references.how_to_declare(["env:MYSQL_ROOT_PASSWORD"], ["env:A_PASSWORD"])

    assert "A_PASSWORD,B_PASSWORD'" in told
    assert "MYSQL_ROOT_PASSWORD" not in told
    assert "SECRET_REFERENCES" not in roots


# ---------------------------------------------------------------- Rows of before


@pytest.fixture
def old(db: None) -> Database:
    """A set-up of a version that let everything be referred to."""
    repository = Repository.objects.create(name="main", url="/nowhere", password_ref="env:OLD_REPOSITORY")
    return Database.objects.create(
        name="shop", database="shop", repository=repository,
        server=Server.objects.create(name="h:3306", host="h", user="u", password_ref="env:OLD_SHOP"),
    )  # fmt: skip


def test_what_rows_refer_to_already_is_read_and_told_of(
    old: Database, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    monkeypatch.setenv("OLD_SHOP", "hunter2")
    assert secret_references.Secret(old.server.password_ref).resolve() == "hunter2"
    old.full_clean()
    old.server.full_clean()

    line = "SECRET_REFERENCES='OLD_REPOSITORY,OLD_SHOP'"
    of_server, of_repository = undeclared.words([old])[old.pk]
    assert of_server.startswith("Server h:3306 refers to env:OLD_SHOP, ")
    assert of_repository.startswith("Repository main refers to env:OLD_REPOSITORY, ")
    assert of_server.endswith(line)
    assert of_repository.endswith(line)
    notes = [each for each in standing.read().overall.notes if each.key == "secret_reference"]
    assert [each.sentence for each in notes] == [of_server, of_repository]

    settings.SECRET_REFERENCES = ["OLD_REPOSITORY", "OLD_SHOP"]
    assert undeclared.words([old]) == {old.pk: []}


def test_a_new_or_changed_reference_has_to_be_declared(old: Database, login: Login, settings: Any) -> None:
    client = login("Administrator")
    page = reverse("admin:backups_server_change", args=[old.server_id])

    assert client.post(page, form_of_server(old.server, ssl_mode="REQUIRED")).status_code == 302
    answer = client.post(page, form_of_server(old.server, password_ref="env:HTTPS_PROXY")).content.decode()
    assert "env:HTTPS_PROXY is not declared, so no row may refer to it." in answer
    old.server.refresh_from_db()
    assert (old.server.password_ref, old.server.ssl_mode) == ("env:OLD_SHOP", "REQUIRED")
    # A second row with what another one has from before is new.
    another = form_of_server(old.server, name="again")
    answer = client.post(reverse("admin:backups_server_add"), another).content.decode()
    assert "SECRET_REFERENCES=&#x27;OLD_SHOP&#x27;" in answer

    settings.SECRET_REFERENCES = ["HTTPS_*"]
    assert client.post(page, form_of_server(old.server, password_ref="env:HTTPS_PROXY")).status_code == 302


@pytest.mark.parametrize(
    "reference",
    ["file:{0}/outside2", "file:{0}/not there", "file:/proc/self/fd/0", "env:HOME", "env:NOT_SET"],
)
def test_a_hint_tells_nothing_of_what_may_not_be_referred_to(
    folder: Path, login: Login, reference: str
) -> None:
    (folder / "outside2").write_text("hunter2\n")
    told = hint(login("Administrator"), "secret", reference.format(folder))

    assert "is not declared, so no row may refer to it." in told
    assert not [word for word in ("Found", "not there", "cannot be read", "not set") if word in told.replace(
        "/not there", "")]  # fmt: skip


# ---------------------------------------------------------------- Files that are none


def test_nothing_waits_for_what_is_no_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = folder / "secrets" / "pipe"
    os.mkfifo(pipe)
    large = folder / "secrets" / "large"
    large.write_text("x" * 16_385)
    monkeypatch.setenv("OFFSITE_KEY_FILE", str(pipe))
    told: list[str] = []

    def ask() -> None:
        for reference in (
            f"file:{pipe}", "env:OFFSITE_KEY", f"file:{large}", f"file:{folder}/secrets", "file:/dev/tty"
        ):  # fmt: skip
            with pytest.raises(Problem) as raised:
                secret_references.Secret(reference).resolve()
            told.append(raised.value.sentence())

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(20)

    assert len(told) == 5
    assert all("cannot be read" in sentence or "is not there" in sentence for sentence in told)
