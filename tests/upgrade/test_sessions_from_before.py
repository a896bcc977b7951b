"""Who is signed in when the portal is upgraded stays so, and the database holds their key no longer."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from tests.portal.test_settings import start

BEFORE = Path(__file__).with_name("before") / "portal.sql"

# As Django's own store, which that version used, wrote a session.
SIGNED_IN = """
from django.contrib.auth.models import User
from django.contrib.sessions.backends.db import SessionStore
user = User.objects.filter(is_superuser=True)[0]
store = SessionStore()
store.update({"_auth_user_id": str(user.pk), "_auth_user_hash": user.get_session_auth_hash(),
              "_auth_user_backend": "django.contrib.auth.backends.ModelBackend"})
store.create()
print(store.session_key)
"""
# The first start hashes it before anybody is served.
AFTERWARDS = """
import sys
import portal.wsgi
from django.conf import settings
from django.test import Client
client = Client(headers={"host": "localhost"})
client.cookies[settings.SESSION_COOKIE_NAME] = sys.argv[1]
print("first page", client.get("/admin/").status_code)
"""


def test_a_session_of_before_goes_on_by_a_digest(tmp_path: Path) -> None:
    file = tmp_path / "portal.sqlite3"
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript(BEFORE.read_text())
    address = {"DATABASE_URL": f"sqlite:///{file}"}
    made = start(["manage.py", "shell", "--no-imports", "-c", SIGNED_IN], **address)
    key = made.stdout.strip()
    assert len(key) == 32, made.stderr

    assert start(["manage.py", "migrate", "-v", "0"], **address).returncode == 0
    ran = start(["-c", AFTERWARDS, key], **address)

    assert "first page 200" in ran.stdout, ran.stderr
    assert key.encode() not in b"".join(path.read_bytes() for path in tmp_path.iterdir())
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("SELECT LENGTH(session_key) FROM django_session").fetchall() == [(40,)]
