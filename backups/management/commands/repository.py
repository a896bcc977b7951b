"""`manage.py repository`: the repository's maintenance."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Mapping
from typing import Any

from backups.choices import Action
from backups.console import VedettaCommand, add_json, repository_named


class Command(VedettaCommand):
    """Look after a restic repository."""

    help = "Look after the restic repository."

    def add_own_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--repository", metavar="NAME", help="which one, where there are several")
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
        add_json(verbs.add_parser("init", help="make the repository, where there is none yet"))

    def work(self, **options: Any) -> Mapping[str, Any]:
        repository = repository_named(options["repository"])
        action = Action(options["verb"].replace("-", "_"))
        run = self.play(action, repository=repository)
        self.say(run.result.get("sentence", f"{run.get_action_display()} of {repository} is done."))
        return {"run_id": run.pk}
