"""`manage.py bootstrap`: everything that a new installation needs; safe to repeat."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.management import call_command

from backups import configuration
from backups.choices import Action
from backups.console import VedettaCommand
from backups.models import Database


class Command(VedettaCommand):
    """Migrate, make admin user, roles, first database, schedules and the restic repository."""

    help = (
        "Migrate, then make what is absent: the admin user, the roles, the first database and "
        "repository, the schedules, the restic repository. Safe to repeat."
    )

    def work(self, **_: Any) -> Mapping[str, Any]:
        call_command("migrate", interactive=False, verbosity=0)
        configuration.roles()
        configuration.admin_user(self.say)
        database = configuration.from_environment()
        configuration.apply()
        configuration.first_boot()
        if database is None:
            self.say("No database is set up yet: set MYSQL_* and RESTIC_*, or add one in the admin.")
        else:
            self._repository(database)
        return {}

    def _repository(self, database: Database) -> None:
        run = self.play(Action.INIT, repository=database.repository)
        self.say(run.result["sentence"])
        self.say(f"{database} on {database.host}:{database.port} is set up.")
