"""A portal with roles, people and some history."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client
from pytest_django import Settings

from backups.configuration import roles as portal_roles
from backups.models import Database, Repository
from backups.worker import answering
from tests.rows import a_server
from tools import history

PASSWORD = "a password of the tests 1"
Login = Callable[..., Client]
# Nobody guesses the passwords of tests, which else take a third of a second of a core each.
QUICK = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture(autouse=True)
def status_folder(settings: Settings, tmp_path: Path) -> Path:
    """Each test's own status files."""
    settings.SENTINEL = replace(settings.SENTINEL, heartbeat_path=tmp_path / "status" / "last_ok")
    return tmp_path / "status"


@pytest.fixture(autouse=True)
def quick_passwords(settings: Settings) -> None:
    """Of people who are made without `person` as well."""
    settings.PASSWORD_HASHERS = QUICK


@pytest.fixture(autouse=True)
def worker_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """What pages ask is answered at once, in this process, as a worker does within a second or two."""
    monkeypatch.setattr("backups.runs.queue.wake_for_question", lambda _: answering.answer_next())


@pytest.fixture
def nobody_answers(worker_answers: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """No worker is there."""
    monkeypatch.setattr("backups.runs.queue.wake_for_question", lambda _: None)


@pytest.fixture
def roles(db: None) -> None:
    """The groups that bootstrap makes."""
    portal_roles.make()


@pytest.fixture
def person(roles: None, settings: Settings) -> Callable[[str], User]:
    """Makes a person of a role; "superuser" and "nobody" are such too."""
    settings.PASSWORD_HASHERS = QUICK

    def make(role: str) -> User:
        if role == "superuser":
            return User.objects.create_superuser(role, password=PASSWORD)
        user = User.objects.create_user(role.lower(), password=PASSWORD, is_staff=role != "nobody")
        if role in portal_roles.ROLES:
            user.groups.add(Group.objects.get(name=role))
        return user

    return make


@pytest.fixture
def login(person: Callable[[str], User]) -> Login:
    """A client that is signed in as a person of a role."""

    def make(role: str, *, enforce_csrf_checks: bool = False) -> Client:
        client = Client(enforce_csrf_checks=enforce_csrf_checks)
        client.force_login(person(role), backend="django.contrib.auth.backends.ModelBackend")
        return client

    return make


@pytest.fixture
def past(db: None) -> history.History:
    """Some weeks of history with a run that is just running."""
    return history.make(days=30)


@pytest.fixture
def database(db: None) -> Database:
    """A database that nothing was done with yet."""
    repository = Repository.objects.create(name="main", url="/tmp/nowhere")
    return Database.objects.create(
        name="shop", database="shop", server=a_server("127.0.0.1", user="backup"), repository=repository,
        is_primary=True,
    )  # fmt: skip
