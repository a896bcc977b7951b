"""`manage.py recover`: from nothing but `.env` back to a working database."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.utils import timezone

from backups import configuration, health, services
from backups.actions import recover
from backups.choices import Action, RestoreMode, Trigger
from backups.connections import repository_access
from backups.console import VedettaCommand
from backups.errors import Problem
from backups.models import Database, Repository


class Command(VedettaCommand):
    """Bring the portal back, rebuild what its copy lacks, restore the newest snapshot."""

    help = (
        "On an empty machine with only .env: bring the portal back from its newest copy, find the "
        "snapshots, restore the newest one into the database. Writes no heartbeat."
    )

    def add_own_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--history-only",
            action="store_true",
            help="bring back the portal alone, restore nothing",
        )

    def work(self, **options: Any) -> Mapping[str, Any]:
        database = self._set_up()
        run = self.play(Action.RECOVER, repository=database.repository)
        self.say(run.result["sentence"])
        snapshot = recover.newest(database)
        age = timezone.now() - snapshot.time
        self.say(
            f"The newest is {snapshot.short_id} of {snapshot.local_time:%Y-%m-%d %H:%M:%S}, "
            f"{age.days} days and {age.seconds // 3600} hours old. What was written since is lost."
        )
        if not options["history_only"]:
            queued = services.restore_enqueue(
                database=database,
                snapshot=snapshot,
                mode=RestoreMode.NEW,
                target=database.database,
                trigger=Trigger.CLI,
                reason="recover",
                send=False,
            )
            self.play_queued(queued)
            self.say(
                f"{database.database} is restored. Now back up once, which opens the gate again: "
                "`manage.py backup`."
            )
        return {"snapshot_id": snapshot.snapshot_id}

    def _set_up(self) -> Database:
        """A portal with what its newest copy held, and on top of it what the environment says."""
        if moved_to := health.set_aside_damaged(timezone.now()):
            self.say(f"The portal's own database is damaged and was moved to {moved_to}.")
        call_command("migrate", interactive=False, verbosity=0)
        if not settings.RESTIC_REPOSITORY or not settings.MYSQL_DATABASE:
            raise Problem(
                "Nothing says what to recover.",
                do="Set RESTIC_REPOSITORY, RESTIC_PASSWORD and MYSQL_* in .env, as they were.",
            )
        if recover.portal(repository_access(Repository(url=settings.RESTIC_REPOSITORY)), self.say):
            # What this version added to rights and roles.
            call_command("migrate", interactive=False, verbosity=0)
        configuration.roles()
        configuration.admin_user(self.say)
        database = configuration.from_environment()
        assert database is not None  # noqa: S101  the environment says which
        configuration.apply()
        return database
