"""`manage.py log_archive`: whether the binary log of a database is stored, and up to when."""

from __future__ import annotations

from argparse import SUPPRESS, ArgumentParser
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from django.utils import timezone

from backups.actions import log_search
from backups.keeping import log_archives
from backups.management import log_transactions
from backups.management.base import VedettaCommand, add_database, add_json, database_named, given
from backups.management.people import person
from backups.models import Database, LogArchive, LogGap, LogPiece
from backups.moments import searching
from backups.moments.refusals import why
from backups.moments.searching import Found, Search, left_off
from backups.moments.timeline import Barrier
from backups.moments.until import local
from backups.reports import stored_logs
from backups.shipping import switching
from backups.text import formatting
from backups.text.sentences import phrase, plural

# So often one search goes on from the one before, which ended at a transaction of gigabytes.
_PAST_LARGE = 10


class Command(VedettaCommand):
    """Switch the archive of a database's log on or off, or look at it."""

    help = phrase(
        "Store the binary log of a database, so that any moment can be restored; or look how far it is."
    )

    def add_own_arguments(self, parser: ArgumentParser) -> None:
        add_database(parser)
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
        for verb, text in _VERBS.items():
            of_verb = verbs.add_parser(verb, help=text, allow_abbrev=False)
            add_json(of_verb)
            of_verb.add_argument("--database", dest="after_verb", metavar="NAME", type=given, help=SUPPRESS)
        verbs.choices["on"].add_argument(
            "--keep-days", type=int, metavar="DAYS",
            help=phrase("for how many days any moment is to be had (LOG_KEEP_DAYS)"),
        )  # fmt: skip
        log_transactions.add_arguments(verbs.choices["transactions"])

    def work(self, **options: Any) -> Mapping[str, Any]:
        database = database_named(options["after_verb"] or options["database"])
        if options["verb"] == "on":
            self._switch_on(database, options["keep_days"])
        elif options["verb"] == "off":
            self._switch_off(database)
        elif options["verb"] == "acknowledge":
            self._acknowledge(database)
        elif options["verb"] == "transactions":
            return self._transactions(database, options)
        return self._status(database)

    def _transactions(self, database: Database, options: Mapping[str, Any]) -> dict[str, Any]:
        if (search := log_transactions.search(options)) is not None:
            return self._searched(database, search)
        found = log_transactions.found(database, options)
        for row in found:
            self.say(log_transactions.line(row))
        if not found:
            self.say(phrase("Nothing of that kind is in what is stored of the log."))
        return {
            "database": database.name,
            "transactions": [log_transactions.as_json(row) for row in found],
        }

    def _searched(self, database: Database, search: Search) -> dict[str, Any]:
        found = Found.of(log_search.found(database, search))
        for _ in range(_PAST_LARGE):
            if not (found.is_at_large and found.go_on) or len(found.transactions) > searching.MOST_FOUND:
                break
            going_on = replace(search, after=found.go_on)
            found = searching.together(found, Found.of(log_search.found(database, going_on)))
        for row in found.transactions:
            self.say(log_transactions.line(row))
        told = left_off(database, search, found)
        for sentence in told:
            self.say(sentence)
        if not found.transactions:
            self.say(phrase("Nothing of that kind is in what was read of the log."))
        return {
            "database": database.name,
            "transactions": [log_transactions.as_json(row) for row in found.transactions],
            "reached": _time(found.reached),
            "left_off": [str(each) for each in told],
        }

    def _switch_on(self, database: Database, keep_days: int | None) -> None:
        archive, warnings = switching.switch_on(database, person())
        if keep_days is not None:
            LogArchive.objects.filter(pk=archive.pk).update(keep_days=keep_days)
        for warning in warnings:
            self.say(warning)
        self.say(
            phrase(
                "The log of {database} is stored from its next backup on, which is queued.", database=database
            )
        )

    def _switch_off(self, database: Database) -> None:
        log_archives.switch_off(database, person())
        self.say(
            phrase(
                "The log of {database} is stored no more. What is stored stays as long as it was to be kept.",
                database=database,
            )
        )

    def _acknowledge(self, database: Database) -> None:
        newest = LogGap.objects.filter(database=database).order_by("-pk").first()
        count = log_archives.acknowledge(database, newest.pk, person()) if newest else 0
        self.say(plural("{n} gap was acknowledged.", "{n} gaps were acknowledged.", n=count))

    def _status(self, database: Database) -> dict[str, Any]:
        archive = LogArchive.objects.filter(database=database).first() or LogArchive(database=database)
        self.say(phrase("{database}: {state}.", database=database, state=archive.get_state_display()))
        if archive.stored_until is not None and archive.is_on:
            self.say(
                phrase(
                    "All that was committed before {moment} is stored ({age}).",
                    moment=_local(archive.stored_until),
                    age=formatting.age(archive.stored_until),
                )
            )
        if archive.problem:
            self.say(phrase("The last look came to nothing: {problem}", problem=archive.problem))
        stored = stored_logs.look(database)
        had = stored.windows
        for window in had:
            begins, ends = map(local, window.whole)
            self.say(phrase("Any moment from {begins} to {ends} can be restored.", begins=begins, ends=ends))
            if window.barrier is not None and window.barrier != stored.barrier:
                self.say(_barrier_words(window.barrier))
        for sentence in stored.told_of_barrier() or ():
            self.say(sentence)
        found = list(LogGap.objects.filter(database=database).order_by("pk"))
        for gap in found:
            self.say(_told(gap))
        moments = [
            {
                "begins": window.whole[0].astimezone(UTC).isoformat(),
                "ends": window.whole[1].astimezone(UTC).isoformat(),
                "barrier": window.barrier.code if window.barrier else None,
            }
            for window in had
        ]
        barrier = stored_logs.barrier_as_json(stored)
        return {**_as_json(archive, found), "moments": moments, "barrier": barrier}


_VERBS = {
    "on": phrase("check the server, and have the log stored from the next backup on"),
    "off": phrase("store no more of it"),
    "status": phrase("tell up to when it is stored, and its gaps"),
    "acknowledge": phrase("say that all gaps up to now were seen"),
    "transactions": phrase(
        "list those that changed 20 rows or more, and changes of definitions; or search all of a time"
    ),
}


def _barrier_words(barrier: Barrier) -> str:
    return phrase(
        "The log cannot be replayed past {place}. {why} Later moments can be restored from the next backup "
        "on: if there is none yet, make one.",
        place=f"{barrier.place.file}:{barrier.place.position}",
        why=why(barrier),
    )


def _told(gap: LogGap) -> str:
    if gap.ends is None:
        return phrase(
            "Gap from {begins} on: {sentence}",
            begins=_local(gap.begins),
            sentence=gap.sentence,
        )
    return phrase(
        "Gap from {begins} to {ends}: {sentence}",
        begins=_local(gap.begins),
        ends=_local(gap.ends),
        sentence=gap.sentence,
    )


def _as_json(archive: LogArchive, found: list[LogGap]) -> dict[str, Any]:
    pieces = LogPiece.objects.filter(database=archive.database, forgotten_at=None)
    return {
        "database": archive.database.name,
        "state": archive.state,
        "keep_days": archive.keep_days,
        "stored_until": _time(archive.stored_until),
        "problem": archive.problem or None,
        "problem_code": archive.problem_code or None,
        "pieces": pieces.count(),
        "bytes": sum(pieces.values_list("bytes", flat=True)),
        "gaps": [
            {
                "begins": _time(gap.begins),
                "ends": _time(gap.ends),
                "code": gap.code,
                "sentence": gap.sentence,
                "acknowledged_at": _time(gap.acknowledged_at),
            }
            for gap in found
        ],
    }


def _local(moment: datetime) -> str:
    return f"{timezone.localtime(moment):%Y-%m-%d %H:%M:%S}"


def _time(moment: datetime | None) -> str | None:
    return moment.astimezone(UTC).isoformat(timespec="seconds") if moment else None
