"""`manage.py bootstrap`: everything that a new installation needs; safe to repeat."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.db import connection

from backups import keys, restic
from backups.catalog import made_here, series
from backups.configuration import bootstrap, environment, roles
from backups.endpoints import repository_access
from backups.errors import Failure, Problem
from backups.management.base import FAILED, RunEnded, VedettaCommand, WrongUsage, failed
from backups.models import Database, Repository
from backups.reports import own_database
from backups.repositories import identity
from backups.requests import InitRequest
from backups.shipping import from_environment
from backups.text.sentences import phrase


class Command(VedettaCommand):
    """Migrate, make admin user, roles, first database, schedules and the restic repository."""

    tells_of_env_file = True
    help = phrase(
        "Migrate, then make what is absent: the admin user, the roles, the first database and "
        "repository, the schedules, the restic repository. Safe to repeat."
    )

    def add_own_arguments(self, parser: ArgumentParser) -> None:
        things = [bootstrap.DATABASE, bootstrap.REPOSITORY, bootstrap.HOST]
        parser.add_argument(
            "--moved", action="append", choices=things, default=[],
            help=phrase("it is the same one, and lies now where the environment says"),
        )  # fmt: skip
        parser.add_argument(
            "--new",
            action="append",
            choices=things,
            default=[],
            help=phrase(
                "the environment means another one, which comes first from now on; the known one is kept"
            ),
        )

        which = parser.add_mutually_exclusive_group()
        which.add_argument(
            "--show-key",
            action="store_true",
            help=phrase(
                "print the line of .env that holds the key of this installation, and do nothing else"
            ),
        )
        which.add_argument(
            "--key-kept",
            action="store_true",
            help=phrase("the key's line is in an .env that is kept elsewhere"),
        )
        which.add_argument(
            "--new-key", action="store_true",
            help=phrase("the key is lost: make another one, and sign with it what was made here"),
        )  # fmt: skip

    def work(self, **options: Any) -> Mapping[str, Any]:
        if options["show_key"]:
            return self._show_key()
        self._look_at_own_database()
        call_command("migrate", interactive=False, verbosity=0)
        doubt = settings.ENV_FILE_DOUBT
        if not doubt or not doubt.stops:
            if doubt:
                self.say(doubt.sentence)
            return self._set_up(**options)
        if options["new"] or not Database.objects.exists():
            raise Problem(
                doubt.what, code="env.doubt", safe=phrase("Nothing new is set up with that."), do=doubt.do
            )
        # What is set up goes on, and whoever is here is told.
        result = self._set_up(**options)
        raise RunEnded(
            FAILED, {**result, **failed(Failure(doubt.sentence, "env.doubt"), env_file=doubt.what)}
        )

    def _look_at_own_database(self) -> None:
        """Before anything is written: what is made with the wrong character set keeps it. Raises Problem."""
        found = own_database.charset_problem()
        if found is None:
            return
        what, do = found
        if connection.introspection.table_names():
            # A portal that is set up goes on, and is told.
            self.say(f"{what} {do}")
            return
        raise Problem(what, code="portal.database_charset", safe=phrase("Nothing was written."), do=do)

    def _set_up(self, **options: Any) -> Mapping[str, Any]:
        moved, new = options["moved"], options["new"]
        roles.make()
        bootstrap.admin_user(self.say)
        self._key(options)
        if both := sorted({*moved} & {*new}):
            raise WrongUsage(phrase("The {both} cannot be moved and new as well.", both=both[0]))
        if bootstrap.REPOSITORY in moved:
            _make_sure_it_is_the_same()
        is_replaced = bootstrap.REPOSITORY in new and self._is_replaced()
        try:
            database = bootstrap.from_environment(
                moved=moved, new=new, is_replaced=is_replaced, tell=self.say
            )
        finally:
            # What is set up already goes on, also where the environment means something else.
            bootstrap.apply()
            bootstrap.first_boot()
        if bootstrap.HOST in (*moved, *new):
            for words in series.settle(is_ours=bootstrap.HOST in moved) or [
                phrase("No host name is undecided.")
            ]:
                self.say(words)
        if database is None:
            self.say(phrase("No database is set up yet: set MYSQL_* and RESTIC_*, or add one in the admin."))
            return {}
        self._repository(database, in_place=bootstrap.REPOSITORY in new)
        # What was settled above is in its row, and not in what was read before.
        database.refresh_from_db()
        notices = [*environment.notices(database), *from_environment.switch_on_unless_decided(database)]
        for words in notices:
            self.say(words)
        return {"notices": notices}

    def _show_key(self) -> Mapping[str, Any]:
        """The key itself, for a person alone: no run and no log has it. Raises Problem."""
        call_command("migrate", interactive=False, verbosity=0)
        line = keys.line_of_env(made_here.key_in_use())
        if not self.as_json:
            self.stdout.write(line)
        return {"line": line}

    def _key(self, options: Mapping[str, Any]) -> None:
        """Have a key, and say what is still to be done with it. A backup needs none."""
        try:
            if options["new_key"]:
                made_here.new_key()
                self.say(phrase("Another key signs from now on, and has signed what was made here."))
            else:
                made_here.key_in_use()
        except Problem as problem:
            self.say(problem.sentence())
            return
        if options["key_kept"]:
            made_here.note_copied()
            self.say(phrase("Noted: the key of this installation is kept elsewhere."))
        if words := made_here.not_copied():
            self.say(words)

    def _is_replaced(self) -> bool:
        """Whether another repository, or none, is by now where the known one lay. Raises Problem."""
        first = Database.objects.filter(is_primary=True).first()
        if first is None or environment.other_repository(first) is not None:
            return False
        access = repository_access(first.repository)
        if not access.names.known:
            return False
        try:
            identity.meet(first.repository, access)
        except (restic.NoRepository, restic.NoBucket, restic.OtherRepository):
            return True
        self.say(
            phrase(
                "The repository at {url} is already known as {repository}, so no new one was begun.",
                url=access.url,
                repository=first.repository,
            )
        )
        return False

    def _repository(self, database: Database, *, in_place: bool) -> None:
        self.play(InitRequest(database.repository, in_place=in_place))
        self.say(
            phrase("{database} on {address} is set up.", database=database, address=database.server.address)
        )


def _make_sure_it_is_the_same() -> None:
    """Raise Problem unless what RESTIC_REPOSITORY names is the repository that moved.

    Every snapshot that another repository lacks would be taken for forgotten.
    """
    first = Database.objects.filter(is_primary=True).first()
    if first is None or environment.other_repository(first) is None:
        return
    known = first.repository
    there = repository_access(Repository(url=settings.RESTIC_REPOSITORY))
    found_id = restic.probe(there)
    if known.restic_id not in ("", found_id):
        why = phrase(
            "has another id ({found_id}, not {restic_id}) than {url}",
            found_id=found_id[:8],
            restic_id=known.restic_id[:8],
            url=known.url,
        )
    elif not identity.holds_what_is_known(known, there):
        count = known.snapshots.present().count()
        of_them = (
            phrase("none of the {count} snapshots", count=count)
            if count > 1
            else phrase("not the one snapshot")
        )
        why = phrase("holds {of_them} of {url}", of_them=of_them, url=known.url)
    else:
        return
    raise Problem(
        phrase(
            "The repository at {restic_repository} {why}, so it is not the same one moved.",
            restic_repository=settings.RESTIC_REPOSITORY,
            why=why,
        ),
        code="repository.not_the_moved_one",
        safe=phrase("Nothing was changed."),
        do=phrase("Copy the repository there whole, or run `manage.py bootstrap --new repository`."),
    )
