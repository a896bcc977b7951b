"""`manage.py recover`: from nothing but `.env` back to a working database."""

from __future__ import annotations

import shlex
import sys
from argparse import ArgumentParser
from collections.abc import Mapping, Sequence
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.utils import timezone

from backups import restic
from backups.actions import recover
from backups.choices import Action, RestoreMode
from backups.configuration import bootstrap, roles
from backups.endpoints import repository_access
from backups.errors import Problem
from backups.management.base import VedettaCommand
from backups.management.commands.restore import TOLD
from backups.management.passed_over import passed_over
from backups.models import Database, Repository, Run, Snapshot
from backups.portal_copy import archive, portal_database
from backups.requests import RecoverRequest, RestoreRequest
from backups.runs import restores
from backups.snapshots import selection
from backups.text.sentences import phrase, plural

LOOK_SECONDS = 60.0
_SHOWN = 50


class Command(VedettaCommand):
    """Bring the portal back, rebuild what its copy lacks, restore the newest snapshot."""

    may_wait = True
    help = phrase(
        "On an empty machine with only .env: bring the portal back from its newest copy, find the "
        "snapshots, restore the newest one into the database. Writes no heartbeat."
    )

    def add_own_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--history-only",
            action="store_true",
            help=phrase("bring back the portal alone, restore nothing"),
        )
        parser.add_argument(
            "--if-empty",
            action="store_true",
            help=phrase("do nothing where the portal has a history, or the repository has no snapshot"),
        )

        parser.add_argument(
            "--trust-copy",
            action="store_true",
            help=phrase("take a copy of the portal that the key of this installation did not sign"),
        )

    def work(self, **options: Any) -> Mapping[str, Any]:
        self._trusts_all = options["trust_copy"]
        if options["if_empty"] and not self._is_empty():
            return {}
        database = self._set_up()
        run = self.play(RecoverRequest(database.repository))
        self.say(run.result["sentence"])
        snapshot = recover.newest(database)
        newer = passed_over(snapshot, self.say)
        self._tell_of(snapshot, is_restored=not options["history_only"])
        if not options["history_only"]:
            wanted = RestoreRequest(
                database, snapshot, RestoreMode.NEW, database.database, reason=restores.FOR_RECOVERY
            )
            restored = self.play(wanted)
            result = {name: restored.result[name] for name in TOLD if name in restored.result}
            left = self._tell_what_is_left(database, result.get("events_to_enable", ()))
            return {"snapshot_id": snapshot.snapshot_id, "to_restore": left, **newer, **result}
        return {"snapshot_id": snapshot.snapshot_id, **newer}

    def _tell_of(self, snapshot: Snapshot, *, is_restored: bool) -> None:
        """How old the newest is, whether it is good, and what becomes of what was written since."""
        age = timezone.now() - snapshot.time
        follows = (
            phrase("What was written since is lost.") if is_restored else phrase("Nothing was restored.")
        )
        self.say(
            phrase(
                "The newest is {snapshot} of {local_time}, {days} and {hours} old. {follows}",
                snapshot=snapshot.short_id,
                local_time=f"{snapshot.local_time:%Y-%m-%d %H:%M:%S}",
                days=plural("{n} day", "{n} days", n=age.days),
                hours=plural("{n} hour", "{n} hours", n=age.seconds // 3600),
                follows=follows,
            )
        )
        if snapshot.is_known_bad:
            self.say(selection.known_bad_words(snapshot))

    def _tell_what_is_left(self, restored: Database, to_enable: Sequence[str]) -> list[dict[str, str]]:
        """Say how the gate opens, and which databases are still to be restored, with the commands."""
        self.say(phrase("{database} is restored.", database=restored.database))
        if to_enable:
            self.say(
                phrase(
                    "Its events are disabled. First enable those that should run, because a backup "
                    "records them as they are then:"
                )
            )
        for statement in to_enable:
            self.say(f"  {statement}")
        left = [
            {"database": other.name, "command": _restoring(other)}
            for other in Database.objects.exclude(pk=restored.pk).order_by("name")
        ]
        if not left:
            self.say(phrase("Now back up once, which opens the gate again: `manage.py backup`."))
            return left
        self.say(
            phrase(
                "No other database was restored. If these are lost too, restore each into a database without "
                "tables:"
            )
        )
        for one in left:
            self.say(f"  {one['command']}")
        self.say(
            phrase(
                "Only then back up each database that gates the application: `manage.py backup "
                "--database NAME`. That opens the gate again. Before, it would back up an empty "
                "database."
            )
        )
        return left

    def _is_empty(self) -> bool:
        """Whether the portal knows of nothing that the repository could tell it."""
        call_command("migrate", interactive=False, verbosity=0)
        # The set-up before this one begins with such a run, however often it starts.
        if not settings.RESTIC_REPOSITORY or Run.objects.exclude(action=Action.INIT).exists():
            return False
        access = repository_access(Repository(url=settings.RESTIC_REPOSITORY))
        restic.probe(access)
        if not restic.snapshots(access, deadline=LOOK_SECONDS, on_unreadable=lambda _: None):
            return False
        self.say(phrase("The history is empty and the repository is not: rebuilding the history from it."))
        return True

    def _trusts(self, name: str, offered: archive.Offered) -> bool:
        """Show what is in a copy that somebody else may have made, and ask; no is the answer of nobody."""
        self.say(phrase("{name} is not signed by the key of this installation. It holds:", name=name))
        held = {
            "People": offered.people,
            "Databases": offered.databases,
            "Repositories": offered.repositories,
        }
        for kind, each in held.items():
            self.say(f"  {kind}:")
            for one in each[:_SHOWN]:
                self.say(f"    {one}")
            if len(each) > _SHOWN:
                self.say(phrase("    and {count} more", count=len(each) - _SHOWN))
        if self._trusts_all:
            return True
        return sys.stdin.isatty() and input("Take it over? Type yes: ") == "yes"

    def _set_up(self) -> Database:
        """A portal with what its newest copy held, and on top of it what the environment says."""
        if moved_to := portal_database.set_aside_damaged(timezone.now()):
            self.say(
                phrase("The portal's own database is damaged and was moved to {moved_to}.", moved_to=moved_to)
            )
        call_command("migrate", interactive=False, verbosity=0)
        if not settings.RESTIC_REPOSITORY or not settings.MYSQL_DATABASE:
            raise Problem(
                phrase("The settings do not say what to recover."),
                code="recover.nothing_said",
                do=phrase("Set RESTIC_REPOSITORY, RESTIC_PASSWORD and MYSQL_* in .env, as they were before."),
            )
        # What is known of a portal without a past is from its copy: the machines of then may be gone.
        is_ours = recover.has_own_history()
        access = repository_access(Repository(url=settings.RESTIC_REPOSITORY))
        found_id = _found_id(access)
        if recover.portal(access, self.say, self._trusts):
            # What this version added to rights and roles.
            call_command("migrate", interactive=False, verbosity=0)
        roles.make()
        bootstrap.admin_user(self.say)
        database = bootstrap.from_environment() if is_ours else _as_it_was_then(found_id)
        assert database is not None  # noqa: S101  the environment says which
        bootstrap.apply()
        return database


def _found_id(access: restic.Access) -> str:
    """The id of the repository to recover from. Raises Problem; none is made where there is none."""
    try:
        return restic.probe(access)
    except (restic.NoRepository, restic.NoBucket) as missing:
        missing.safe = phrase("Nothing was changed, and no repository was made.")
        missing.do = phrase(
            "Mount its disk or share, or have RESTIC_REPOSITORY say where the backups lie; then recover."
        )
        raise


def _as_it_was_then(found_id: str) -> Database | None:
    """The rows of a copy, at the addresses of now: another repository holds other snapshots than it knew."""
    first = Database.objects.filter(is_primary=True).select_related("repository").first()
    is_another = first is not None and first.repository.restic_id not in ("", found_id)
    is_there = first is not None and restic.same_address(first.repository.url, settings.RESTIC_REPOSITORY)
    if is_another and is_there:
        return bootstrap.from_environment(moved=[bootstrap.DATABASE], is_replaced=True)
    if is_another:
        return bootstrap.from_environment(moved=[bootstrap.DATABASE], new=[bootstrap.REPOSITORY])
    return bootstrap.from_environment(moved=[bootstrap.DATABASE, bootstrap.REPOSITORY])


def _restoring(database: Database) -> str:
    """The command that restores a database's newest snapshot as `recover` does its own."""
    which, where = shlex.quote(f"--database={database.name}"), shlex.quote(f"--into={database.database}")
    return f"manage.py restore {which} --snapshot latest {where}"
