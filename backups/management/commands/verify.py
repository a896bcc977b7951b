"""`manage.py verify`: prove that a snapshot restores in full, or that the log leads from one to the next."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Mapping
from typing import Any

from backups.choices import ReplayVerdict
from backups.management.base import (
    RunEnded,
    VedettaCommand,
    add_database,
    add_snapshot,
    database_named,
)
from backups.management.passed_over import passed_over
from backups.models import Database, Run
from backups.requests import ReplayProofRequest, VerifyRequest
from backups.snapshots.selection import resolve_snapshot
from backups.text import formatting
from backups.text.sentences import phrase, plural


class Command(VedettaCommand):
    """Restore a snapshot into a scratch database, dump it again, compare byte for byte.

    With `--replay` it is the newest backup but one, onto which the log is replayed up to the newest.
    """

    may_wait = True
    help = phrase("Restore a snapshot into a scratch database, dump it again and compare byte for byte.")

    def add_own_arguments(self, parser: ArgumentParser) -> None:
        add_database(parser)
        what = parser.add_mutually_exclusive_group()
        add_snapshot(what, default="latest", help=phrase("latest (default), an id or its beginning"))
        what.add_argument(
            "--replay",
            action="store_true",
            help=phrase(
                "restore a backup, replay the archived binary log up to the next one, and compare with that"
            ),
        )

    def work(self, **options: Any) -> Mapping[str, Any]:
        database = database_named(options["database"])
        if options["replay"]:
            return self._replay(database)
        snapshot = resolve_snapshot(database, options["snapshot"])
        newer = passed_over(snapshot, self.say) if options["snapshot"] == "latest" else {}
        try:
            run = self.play(VerifyRequest(database, snapshot))
        except RunEnded as ended:
            raise RunEnded(ended.exit_status, {**ended.result, **_found(ended.run), **newer}) from None
        found = _found(run)
        self.say(
            phrase(
                "Snapshot {snapshot} is {verdict}: {tables}, {rows} restored and compared{where}.",
                snapshot=snapshot.short_id,
                verdict=found["verdict"],
                tables=plural("{n} table", "{n} tables", n=found["tables"]),
                rows=plural("{n} row", "{n} rows", n=found["rows"]),
                where=_where(found),
            )
        )
        return {"run_id": run.pk, **found, **newer}

    def _replay(self, database: Database) -> Mapping[str, Any]:
        try:
            run = self.play(ReplayProofRequest(database))
        except RunEnded as ended:
            raise RunEnded(ended.exit_status, {**ended.result, **_proved(ended.run)}) from None
        proved = _proved(run)
        if proved["verdict"] == ReplayVerdict.NOTHING:
            self.say(phrase("Nothing to prove: {reason}", reason=proved["reason"]))
        else:
            self.say(
                phrase(
                    "The log of {database} leads from snapshot {base} to {next}: {transactions} replayed in "
                    "{duration}, and the result is identical{where}.",
                    database=database,
                    base=proved["base"][:8],
                    next=proved["next"][:8],
                    transactions=plural("{n} transaction", "{n} transactions", n=proved["transactions"]),
                    duration=formatting.duration(proved["replay_seconds"]),
                    where=_where(proved),
                )
            )
        return {"run_id": run.pk, **proved}


def _where(found: Mapping[str, Any]) -> str:
    place = found.get("verified_on")
    return (
        phrase(", on {server} at {address}", server=place["server"], address=place["address"])
        if place
        else ""
    )


def _found(run: Run | None) -> dict[str, Any]:
    names = (
        "snapshot_id", "verdict", "differences", "tables", "rows", "computed_anew", "refused", "not_run",
        "verified_on", "load_connections", "binary_log",
    )  # fmt: skip
    return _of(run, names)


def _proved(run: Run | None) -> dict[str, Any]:
    names = (
        "verdict", "base", "next", "transactions", "row_events", "row_changes", "log_bytes", "load_seconds",
        "replay_seconds", "differences", "not_covered", "reason", "verified_on", "load_connections",
        "binary_log",
    )  # fmt: skip
    return _of(run, names)


def _of(run: Run | None, names: tuple[str, ...]) -> dict[str, Any]:
    return {name: run.result[name] for name in names if run and name in run.result}
