"""`manage.py backup`: one backup with its follow-ups."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Mapping
from typing import Any

from backups.errors import Problem
from backups.keeping import suspicions
from backups.keeping.pins import Wish, pinned_words
from backups.management.base import RunEnded, VedettaCommand, WrongUsage, add_database, database_named
from backups.management.people import day, person, reason
from backups.models import Pin, Run
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
        parser.add_argument(
            "--pin", metavar="REASON", type=reason,
            help=phrase("pin the snapshot as it is made, for this reason: no retention forgets it"),
        )  # fmt: skip
        parser.add_argument(
            "--until", metavar="DAY", type=day,
            help=phrase("the last day of that pin, as in 2027-01-31; without one until it is unpinned"),
        )  # fmt: skip

    def work(self, **options: Any) -> Mapping[str, Any]:
        if options["until"] and not options["pin"]:
            raise WrongUsage(phrase("--until is the last day of a pin: say --pin with the reason as well."))
        wish = Wish(options["pin"], person(), options["until"]) if options["pin"] else None
        request = BackupRequest(database_named(options["database"]), options["scheduled"], wish)
        if wish is None:
            return self._told(self.play(request))
        try:
            run = self.play(request)
        except RunEnded as ended:
            self._say_of_pin(ended.run)
            raise
        except Problem:
            self._say_of_pin(None)
            raise
        told = self._told(run)
        return {**told, "pinned": self._say_of_pin(run)}

    def _say_of_pin(self, run: Run | None) -> bool:
        """Say whether the pin was made, which a backup that failed late may have done."""
        made = Pin.objects.filter(snapshot__made_by=run).first() if run is not None else None
        if made is None:
            self.say(phrase("No pin was made, because no snapshot was."))
            return False
        self.say(pinned_words(made.snapshot, made))
        return True

    def _told(self, run: Run) -> dict[str, Any]:
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
        names = ["snapshot_id", "dump_bytes", "data_added", "sha256", "log", "dump_connections"]
        if result["heartbeat"] == "withheld":
            names += ["heartbeat", "suspicious"]
        if result["shrunk"]:
            names.append("shrunk")
        return {"run_id": run.pk, **{name: result[name] for name in names}}
