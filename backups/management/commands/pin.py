"""`manage.py pin`: have a snapshot kept, whatever retention says."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Mapping
from typing import Any

from backups.keeping import pins
from backups.management.base import VedettaCommand, given
from backups.management.named_snapshots import snapshot_named
from backups.management.people import day, person, reason
from backups.text.sentences import phrase


class Command(VedettaCommand):
    """Pin a snapshot."""

    help = phrase("Pin a snapshot: no retention forgets it until its last day is over or somebody unpins it.")

    def add_own_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("snapshot", metavar="SNAPSHOT", type=given, help=phrase("its id"))
        parser.add_argument(
            "--reason",
            metavar="TEXT",
            type=reason,
            required=True,
            help=phrase("why it is to stay"),
        )
        parser.add_argument(
            "--until", metavar="DAY", type=day,
            help=phrase("the last day on which it is kept, as in 2027-01-31; else until it is unpinned"),
        )  # fmt: skip

    def work(self, **options: Any) -> Mapping[str, Any]:
        snapshot = snapshot_named(options["snapshot"])
        made = pins.pin(snapshot, pins.Wish(options["reason"], person(), options["until"]))
        self.say(pins.pinned_words(snapshot, made))
        if late := pins.maybe_too_late(snapshot):
            self.say(late)
        return {
            "snapshot_id": snapshot.snapshot_id,
            "until": made.until.isoformat() if made.until else None,
            "maybe_too_late": bool(late),
        }
