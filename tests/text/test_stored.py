"""What is stored is English, whatever the language of whoever had it stored."""

from __future__ import annotations

import os

import pytest
from django.db import connections
from django.db.backends.mysql.base import DatabaseWrapper
from django.utils import translation

from backups.text.sentences import phrase
from tests.servers import DatabaseServer


@pytest.fixture
def read_in_german(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever sends the form reads another language."""
    monkeypatch.setattr(translation._trans, "gettext", lambda text: f"«{text}»", raising=False)  # type: ignore[attr-defined]


TEXT = phrase("It's {name}.", name="a «b» 'c' \\ %s")
ENGLISH = "It's a «b» 'c' \\ %s."


@pytest.mark.django_db
def test_sqlite_is_given_english(read_in_german: None) -> None:
    assert str(TEXT) != ENGLISH
    with connections["default"].cursor() as cursor:
        cursor.execute("SELECT %s", [TEXT])
        assert cursor.fetchone() == (ENGLISH,)


@pytest.mark.django_db
def test_a_server_is_given_english(mariadb_server: DatabaseServer, read_in_german: None) -> None:
    server = mariadb_server
    name = f"texts_{os.urandom(4).hex()}"
    server.create_database(name)
    server.create_user(name, "opens", [f"ALL ON `{name}`.*"])
    settings = {
        **connections["default"].settings_dict,
        "ENGINE": "django.db.backends.mysql", "NAME": name, "USER": name,
        "PASSWORD": "opens", "HOST": server.host, "PORT": server.port, "OPTIONS": {"charset": "utf8mb4"},
    }  # fmt: skip
    connection = DatabaseWrapper(settings, alias="texts")
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT %s", [TEXT])
            assert cursor.fetchone() == (ENGLISH,)
    finally:
        connection.close()
        server.execute(f"DROP DATABASE `{name}`; DROP USER '{name}'@'%'")
