"""`manage.py backup`: one backup with its follow-ups."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Mapping
from typing import Any

from backups.keeping import suspicions
from backups.management.base import VedettaCommand, add_database, database_named
from backups.requests import BackupRequest
from backups.text import formatting
from backups.text.sentences import phrase


class Command(VedettaCommand):
    """Back up a database now."""

    may_wait = True
    help = phrase("Back up a database now, then forget old snapshots and check when that is due.")

    def add_own_arguments(self, parser: ArgumentParser) -> None:
        add_database(parser)
        parser.add_argument(
            "--scheduled",
            action="store_true",
            help=phrase("Leave forgetting, checking and the portal's copy to the night, as a schedule does."),
        )

    def work(self, **options: Any) -> Mapping[str, Any]:
        run = self.play(BackupRequest(database_named(options["database"]), options["scheduled"]))
        result = run.result
        self.say(
            phrase(
                "Backed up {database}: snapshot {snapshot_id}, {dump_bytes} dumped, {data_added_packed} "
                "added.",
                database=run.database,
                snapshot_id=result["snapshot_id"][:8],
                dump_bytes=formatting.size(result["dump_bytes"]),
                data_added_packed=formatting.size(result["data_added_packed"]),
            )
        )
        if result["suspicious"]:
            self.say(suspicions.told(run.pk, result["suspicious"]))
        elif result["heartbeat"] == "withheld":
            self.say(
                phrase(
                    "No heartbeat was written, because an integrity check found the repository damaged: "
                    "the gate will close. Repair the repository, check all of its data, then back up "
                    "again."
                )
            )
        names = ["snapshot_id", "dump_bytes", "data_added", "sha256"]
        if result["heartbeat"] == "withheld":
            names += ["heartbeat", "suspicious"]
        if result["shrunk"]:
            names.append("shrunk")
        return {"run_id": run.pk, **{name: result[name] for name in names}}
