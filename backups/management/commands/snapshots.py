"""`manage.py snapshots`: what the repository holds."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Mapping
from typing import Any

from django.utils import timezone

from backups.management.base import VedettaCommand, add_database, database_named
from backups.models import Snapshot
from backups.requests import SnapshotsRequest
from backups.snapshots import selection
from backups.text import formatting
from backups.text.sentences import phrase


class Command(VedettaCommand):
    """Bring the list of snapshots from the repository and print it."""

    may_wait = True
    help = phrase("Bring the list of snapshots from the repository and print it.")

    def add_own_arguments(self, parser: ArgumentParser) -> None:
        add_database(parser)

    def work(self, **options: Any) -> Mapping[str, Any]:
        database = database_named(options["database"])
        self.play(SnapshotsRequest(database.repository))
        listed = Snapshot.objects.present().filter(database=database).order_by("time")
        saved = selection.safety_copies(listed)
        for snapshot in listed:
            verified = phrase("verified") if snapshot.verified_at else phrase("not verified")
            if snapshot.is_known_bad:
                verified = phrase("BAD: {verdict}", verdict=snapshot.verdict)
            note = phrase("  (saved before a restore)") if snapshot.pk in saved else ""
            note += "" if snapshot.made_here else phrase("  (not made here)")
            self.say(
                f"{snapshot.short_id}  {timezone.localtime(snapshot.time):%Y-%m-%d %H:%M:%S}  "
                f"{formatting.size(snapshot.total_bytes_processed):>10}  {verified:<15}  "
                f"{snapshot.path}{note}"
            )
        if not listed:
            self.say(phrase("The repository holds no snapshots of {database} yet.", database=database))
        return {"snapshots": [_as_json(snapshot) for snapshot in listed]}


def _as_json(snapshot: Snapshot) -> dict[str, Any]:
    return {
        "snapshot_id": snapshot.snapshot_id,
        "time": snapshot.time.isoformat(),
        "database": str(snapshot.database),
        "path": snapshot.path,
        "bytes": snapshot.total_bytes_processed,
        "verified": snapshot.verified_at is not None,
        "verdict": snapshot.verdict,
        "made_here": snapshot.made_here,
        "log": snapshot.log,
    }
