"""`manage.py retention --preview`: what the next forget would remove, and why the rest stays."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Mapping
from typing import Any

from django.utils import timezone

from backups.management.base import VedettaCommand, database_named, given, repository_named
from backups.models import Snapshot
from backups.requests import retention_preview
from backups.text.sentences import phrase


class Command(VedettaCommand):
    """Say what the next forget would do, and change nothing."""

    help = phrase("Say what the next forget would remove, and why the rest stays. Nothing is changed.")

    def add_own_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--preview", action="store_true", required=True,
            help=phrase("show the plan; `repository forget` carries it out"),
        )  # fmt: skip
        which = parser.add_mutually_exclusive_group()
        which.add_argument(
            "--database", metavar="NAME", type=given,
            help=phrase("of this one alone; without it, of all in the repository"),
        )  # fmt: skip
        which.add_argument(
            "--repository", metavar="NAME", type=given, help=phrase("which one, where there are several")
        )

    def work(self, **options: Any) -> Mapping[str, Any]:
        if options["database"]:
            database = database_named(options["database"])
            repository, databases = database.repository, [database]
        else:
            repository, databases = repository_named(options["repository"]), None
        found = retention_preview.previews(repository, timezone.now(), databases=databases)
        for preview in found:
            self._tell(preview)
        if not found:
            self.say(phrase("No database is backed up to {repository}.", repository=repository))
        notes = retention_preview.repository_notes(repository) if databases is None else []
        for note in notes:
            self.say(note)
        return retention_preview.as_json(found, notes)

    def _tell(self, preview: retention_preview.Preview) -> None:
        self.say(f"{preview.database}:")
        for line in preview.goes:
            self.say(
                phrase(
                    "forget {snapshot}: {why}", snapshot=_shown(line.snapshot), why="; ".join(line.reasons)
                )
            )
        for line in preview.stays:
            self.say(
                phrase(
                    "keep   {snapshot}: {why}", snapshot=_shown(line.snapshot), why="; ".join(line.reasons)
                )
            )
        for note in filter(None, [retention_preview.room_words(preview.goes), *preview.notes]):
            self.say(note)


def _shown(snapshot: Snapshot) -> str:
    return f"{snapshot.short_id} {snapshot.local_time:%Y-%m-%d %H:%M}"
