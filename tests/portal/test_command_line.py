"""What every command has before its own work begins."""

from __future__ import annotations

import os

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
