"""`manage.py accept`: say of a suspicious backup that it is right."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Mapping
from typing import Any

from django.core.management.base import CommandError

from backups.actions.accept import accept, suspicion_of
from backups.errors import Problem
from backups.management.base import VedettaCommand, given
from backups.management.people import person
from backups.models import Run
from backups.text.sentences import phrase

_LEAST, _MOST = 5, 300


class Command(VedettaCommand):
    """Take a backup for right whose database suddenly held no table, or none of before."""

    help = phrase("Say that a suspicious backup is right: the heartbeat moves on, and retention works again.")

    def add_own_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "run", type=int, metavar="RUN", help=phrase("the number of the backup, as the alert says it")
        )
        parser.add_argument(
            "--reason", metavar="TEXT", type=given, required=True, help=phrase("why it is right; it is kept")
        )

    def work(self, **options: Any) -> Mapping[str, Any]:
        reason = options["reason"].strip()
        if not _LEAST <= len(reason) <= _MOST:
            raise CommandError(
                phrase("--reason takes {least} to {most} characters.", least=_LEAST, most=_MOST), returncode=2
            )
        run = Run.objects.filter(pk=options["run"]).first()
        if run is None:
            raise Problem(
                phrase("There is no run {run}.", run=options["run"]),
                code="run.unknown",
                do=phrase("Its number stands in the alert."),
            )
        self.say(accept(suspicion_of(run), by=person(), reason=reason))
        return {"run_id": run.pk}
