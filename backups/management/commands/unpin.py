"""`manage.py unpin`: a snapshot need not stay any more."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from collections.abc import Mapping
from typing import Any

from django.utils import timezone

from backups.keeping import pins
from backups.management.base import VedettaCommand, WrongUsage, given
from backups.management.named_snapshots import snapshot_named
from backups.management.people import person, reason
from backups.requests.forget_snapshot import kept_by, without_pins_words
from backups.text.sentences import phrase


class Command(VedettaCommand):
    """End the pins of a snapshot, having said what then becomes of it."""

    help = phrase("Unpin a snapshot, having said whether it then goes.")

    def add_own_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("snapshot", metavar="SNAPSHOT", type=given, help=phrase("its id"))
        parser.add_argument(
            "--reason", metavar="TEXT", type=reason, required=True,
            help=phrase("why it need not stay; it is kept"),
        )  # fmt: skip
        parser.add_argument(
            "--yes", action="store_true", help=phrase("do not ask, even if it goes with the next forget")
        )

    def work(self, **options: Any) -> Mapping[str, Any]:
        snapshot = snapshot_named(options["snapshot"])
        kept = kept_by(snapshot, timezone.now())
        if not kept.pins:
            raise pins.not_pinned(snapshot)
        then = without_pins_words(snapshot, kept)
        self.say(then)
        if kept.goes_without_pins and not options["yes"]:
            _ask(snapshot.short_id, then)
        ended = pins.unpin(snapshot, by=person(), reason=options["reason"])
        self.say(pins.unpinned_words(snapshot, ended))
        return {
            "snapshot_id": snapshot.snapshot_id,
            "goes": kept.goes_without_pins,
            "reasons": kept.all_but_pins,
        }


def _ask(short_id: str, then: str) -> None:
    """Have the id typed of what then goes. Raises WrongUsage where nobody can, or will not."""
    if not sys.stdin.isatty():
        raise WrongUsage(then, do=phrase("If that is meant, say --yes."))
    print(phrase("Type {id} to unpin it: ", id=short_id), end="", file=sys.stderr, flush=True)
    if input() != short_id:
        raise WrongUsage(phrase("Not confirmed. The pin stays."))
