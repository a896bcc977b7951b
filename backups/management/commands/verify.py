"""`manage.py verify`: prove that a snapshot restores in full."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Mapping
from typing import Any

from backups.management.base import (
    RunEnded,
    VedettaCommand,
    add_database,
    add_snapshot,
    database_named,
)
from backups.management.passed_over import passed_over
from backups.models import Run
from backups.requests import VerifyRequest
from backups.snapshots.selection import resolve_snapshot
from backups.text.sentences import phrase, plural


class Command(VedettaCommand):
    """Restore a snapshot into a scratch database, dump it again, compare byte for byte."""

    may_wait = True
    help = phrase("Restore a snapshot into a scratch database, dump it again and compare byte for byte.")

    def add_own_arguments(self, parser: ArgumentParser) -> None:
        add_database(parser)
        add_snapshot(parser, default="latest", help=phrase("latest (default), an id or its beginning"))

    def work(self, **options: Any) -> Mapping[str, Any]:
        database = database_named(options["database"])
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
    return {name: run.result[name] for name in names if run and name in run.result}
