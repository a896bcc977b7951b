"""Django's own list of what a portal on the internet must not do, with the settings of one."""

from __future__ import annotations

import secrets
import subprocess

from tests.portal.test_settings import start

PRODUCTION = {
    "SECRET_KEY": secrets.token_urlsafe(64),
    "ALLOWED_HOSTS": "backups.example.com",
    "CSRF_TRUSTED_ORIGINS": "https://backups.example.com",
}


def check(**environment: str) -> subprocess.CompletedProcess[str]:
    """What `manage.py check --deploy` says."""
    return start(["manage.py", "check", "--deploy", "--fail-level", "WARNING"], **environment)


def test_nothing_is_said_against_the_production_settings() -> None:
    ran = check(**PRODUCTION)
    assert ran.returncode == 0, ran.stderr
    assert "no issues (1 silenced)" in ran.stdout, "HSTS is for who asks for it"


def test_it_does_warn_of_a_portal_without_https() -> None:
    ran = check(**PRODUCTION | {"CSRF_TRUSTED_ORIGINS": ""})
    assert ran.returncode != 0
    assert "security.W012" in ran.stderr
