"""`manage.py repository`: the repository's maintenance."""

from __future__ import annotations

import shlex
from argparse import SUPPRESS, ArgumentParser
from collections.abc import Mapping
from typing import Any

from backups import restic
from backups.configuration import bootstrap
from backups.endpoints import repository_access
from backups.errors import Problem
from backups.management.base import VedettaCommand, WrongUsage, add_json, given, repository_named
from backups.management.elsewhere import missing_here
from backups.management.named_snapshots import snapshot_named
from backups.management.people import person, reason
from backups.management.waiting import add_wait
from backups.models import Repository
from backups.repositories import identity
from backups.requests import (
    CheckRequest,
    ForgetRequest,
    ForgetSnapshotRequest,
    InitRequest,
    PruneRequest,
    RepairIndexRequest,
    RepairSnapshotsRequest,
    RepositoryRequest,
    Request,
    StatsRequest,
    UnlockRequest,
)
from backups.text import formatting
from backups.text.sentences import phrase


class Command(VedettaCommand):
    """Look after a restic repository."""

    may_wait = True
    help = phrase("Look after the restic repository.")

    def add_own_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--repository", metavar="NAME", type=given, help=phrase("which one, where there are several")
        )
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
        for verb, text in _VERBS.items():
            of_verb = verbs.add_parser(verb, help=text, allow_abbrev=False)
            add_json(of_verb)
            add_wait(of_verb)
            of_verb.add_argument("--repository", dest="after_verb", metavar="NAME", type=given, help=SUPPRESS)
        verbs.choices["init"].add_argument(
            "--new", action="store_true",
            help=phrase("the one that the portal knows there is lost: begin another in its place, for its "
"databases"),
        )  # fmt: skip
        forget = verbs.choices["forget"]
        forget.add_argument(
            "--snapshot", metavar="ID", type=given,
            help=phrase("this one alone: eight digits of its id, all of them where it is the last"),
        )  # fmt: skip
        forget.add_argument(
            "--reason", metavar="TEXT", type=reason, help=phrase("why that one is to go; it is kept")
        )
        forget.add_argument(
            "--although-held", action="store_true",
            help=phrase("forget it although something holds it, as was said"),
        )  # fmt: skip
        data = verbs.choices["check"].add_mutually_exclusive_group()
        data.add_argument("--read-data", action="store_true", help=phrase("read all data as well"))
        data.add_argument(
            "--read-data-subset", metavar="5%", type=given, help=phrase("read a part of the data as well")
        )

    def work(self, **options: Any) -> Mapping[str, Any]:
        before, after = options["repository"], options["after_verb"]
        if before and after and before != after:
            raise WrongUsage(
                phrase("--repository is said twice, as {before} and as {after}.", before=before, after=after),
                do=phrase("Say one of them."),
            )
        repository = repository_named(before or after)
        if options.get("snapshot") or options.get("reason") or options.get("although_held"):
            return self._forget_one(repository, options)
        if options.get("read_data"):
            size = (
                formatting.size(repository.size_bytes)
                if repository.size_bytes
                else phrase("not measured yet")
            )
            self.say(phrase("All data of {repository} is read: {size}.", repository=repository, size=size))
        if options.get("new"):
            repository = self._begun_anew(repository)
        run = self.play(_asked(repository, options))
        self.say(
            run.result.get(
                "sentence",
                phrase(
                    "{action} of {repository} is done.",
                    action=run.get_action_display(),
                    repository=repository,
                ),
            )
        )
        return {"run_id": run.pk}

    def _forget_one(self, repository: Repository, options: Mapping[str, Any]) -> Mapping[str, Any]:
        """Forget one snapshot by hand. Raises Problem."""
        typed = options["snapshot"]
        if not typed or not options["reason"]:
            raise WrongUsage(phrase("One snapshot is forgotten with --snapshot ID and --reason TEXT, both."))
        snapshot = snapshot_named(typed)
        if snapshot.repository != repository:
            raise WrongUsage(
                phrase(
                    "Snapshot {snapshot} lies in the repository {repository}.",
                    snapshot=snapshot.short_id,
                    repository=snapshot.repository,
                ),
                do=phrase("Say --repository {name}.", name=shlex.quote(snapshot.repository.name)),
            )
        wanted = ForgetSnapshotRequest(
            snapshot, options["reason"], person(), typed, although_held=options["although_held"]
        )
        wanted.check()
        run = self.play(wanted)
        self.say(run.result["sentence"])
        return {"run_id": run.pk, "forgotten": run.result["forgotten"]}

    def _begun_anew(self, repository: Repository) -> Repository:
        """The row for the one that is to begin; itself where nothing is known of it yet. Raises Problem."""
        if (missing := missing_here(InitRequest(repository, in_place=True))) is not None:
            raise Problem(
                phrase(
                    "{missing} `init --new` looks at the old repository first, which only it can open.",
                    missing=missing.what,
                ),
                code=missing.code,
                safe=phrase("Nothing was changed."),
                do=phrase("Run this where the worker runs, with its environment. {do}", do=missing.do),
            )
        access = repository_access(repository)
        if not access.names.known:
            return repository
        if repository.databases.filter(is_primary=True).exists():
            raise WrongUsage(
                phrase("{repository} is the environment's repository.", repository=repository),
                do=phrase("Run `manage.py bootstrap --new repository`."),
            )
        try:
            identity.meet(repository, access)
        except (restic.NoRepository, restic.NoBucket, restic.OtherRepository):
            follower = bootstrap.begun_anew(repository)
            bootstrap.apply()
            self.say(
                phrase(
                    "{follower} takes the place of {repository}. Its databases are backed up there "
                    "from now on.",
                    follower=follower,
                    repository=repository,
                )
            )
            return follower
        raise Problem(
            phrase(
                "The repository at {url} is already known as {repository}, so no new one was begun.",
                url=access.url,
                repository=repository,
            ),
            code="repository.known",
            safe=phrase("Nothing was changed."),
        )


def _asked(repository: Repository, options: Mapping[str, Any]) -> Request:
    if options["verb"] == "init":
        return InitRequest(repository, in_place=options["new"])
    if options["verb"] == "check":
        subset = options["read_data_subset"] or ""
        return CheckRequest(repository, read_data=options["read_data"], read_data_subset=subset)
    return _TENDING[options["verb"]](repository)


_TENDING: dict[str, type[RepositoryRequest]] = {
    "forget": ForgetRequest,
    "prune": PruneRequest,
    "stats": StatsRequest,
    "repair-index": RepairIndexRequest,
    "repair-snapshots": RepairSnapshotsRequest,
    "unlock": UnlockRequest,
}


_VERBS = {
    "init": phrase("make the repository, where there is none yet"),
    "check": phrase("check its integrity"),
    "forget": phrase("forget what the retention policy no longer keeps"),
    "prune": phrase("remove data that no snapshot needs"),
    "stats": phrase("measure how much data it holds"),
    "repair-index": phrase("save what is readable of damaged packs, rebuild the index"),
    "repair-snapshots": phrase("write damaged snapshots anew without what is lost"),
    "unlock": phrase("show who holds locks, remove stale ones"),
}
