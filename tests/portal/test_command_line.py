"""What every command has before its own work begins."""

from __future__ import annotations

import os

import pytest

from tests.servers.commands import start_command
from tests.servers.made_once import migrated_database

LOOK = "import gc; print(gc.isenabled(), gc.get_freeze_count() > 50_000)"


def test_what_is_loaded_is_never_looked_at_for_what_can_be_thrown_away_and_all_else_is() -> None:
    ran = start_command(
        ("shell", "--no-imports", "-c", LOOK),
        {**os.environ, "DATABASE_URL": f"sqlite:///{migrated_database()}"},
        real=True,
    )

    assert ran.communicate()[0] == "True True\n"
    assert ran.returncode == 0


@pytest.mark.parametrize(
    ("asked", "told", "code"),
    [
        (("--help",), "  backup\n", 0),
        (("status",), "", 1),
    ],
)
def test_before_anything_is_set_up_it_says_which_commands_there_are_and_what_is_missing(
    asked: tuple[str, ...], told: str, code: int
) -> None:
    ran = start_command(asked, {**os.environ, "SECRET_KEY": ""}, real=True)

    said, complained = ran.communicate()
    assert "SECRET_KEY is not set" in complained
    assert told in said
    assert ran.returncode == code
