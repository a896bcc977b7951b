"""`manage.py repository`: the repository's maintenance."""

from __future__ import annotations

from argparse import SUPPRESS, ArgumentParser
from collections.abc import Mapping
from typing import Any

from backups import humane
from backups.choices import Action
from backups.console import VedettaCommand, WrongUsage, add_json, given, repository_named


class Command(VedettaCommand):
    """Look after a restic repository."""

    help = "Look after the restic repository."

    def add_own_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--repository", metavar="NAME", type=given, help="which one, where there are several"
        )
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
        for verb, text in _VERBS.items():
            of_verb = verbs.add_parser(verb, help=text, allow_abbrev=False)
            add_json(of_verb)
            of_verb.add_argument("--repository", dest="after_verb", metavar="NAME", type=given, help=SUPPRESS)
        data = verbs.choices["check"].add_mutually_exclusive_group()
        data.add_argument("--read-data", action="store_true", help="read all data as well")
        data.add_argument(
            "--read-data-subset", metavar="5%", type=given, help="read a part of the data as well"
        )

    def work(self, **options: Any) -> Mapping[str, Any]:
        before, after = options["repository"], options["after_verb"]
        if before and after and before != after:
            raise WrongUsage(
                f"--repository is said twice, as {before} and as {after}.", do="Say one of them."
            )
        repository = repository_named(before or after)
        action = Action(options["verb"].replace("-", "_"))
        if options.get("read_data"):
            size = humane.size(repository.size_bytes) if repository.size_bytes else "not measured yet"
            self.say(f"All data of {repository} is read: {size}.")
        run = self.play(action, repository=repository, options=_data_options(options))
        self.say(run.result.get("sentence", f"{run.get_action_display()} of {repository} is done."))
        return {"run_id": run.pk}


def _data_options(options: Mapping[str, Any]) -> dict[str, Any]:
    return {name: options[name] for name in ("read_data", "read_data_subset") if options.get(name)}


_VERBS = {
    "init": "make the repository, where there is none yet",
    "check": "check its integrity",
    "forget": "forget what the retention policy no longer keeps",
    "prune": "remove data that no snapshot needs",
    "stats": "measure how much data it holds",
    "repair-index": "save what is readable of damaged packs, rebuild the index",
    "repair-snapshots": "write damaged snapshots anew without what is lost",
    "unlock": "show who holds locks, remove stale ones",
}
