"""`manage.py pins`: which snapshots are pinned, why, by whom and until when."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Mapping
from typing import Any

from django.utils import timezone

from backups.management.base import VedettaCommand
from backups.models import Pin
from backups.snapshots import holds
from backups.text.sentences import phrase


class Command(VedettaCommand):
    """List the pins."""

    help = phrase("List the pinned snapshots: why, by whom, and until when.")

    def add_own_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--all", action="store_true", help=phrase("also the pins that are over, and who ended them")
        )

    def work(self, **options: Any) -> Mapping[str, Any]:
        now = timezone.now()
        standing = set(Pin.objects.standing(now).values_list("pk", flat=True))
        rows = Pin.objects.select_related("snapshot__database", "snapshot__repository").order_by("pk")
        listed = list(rows.defer("snapshot__manifest"))
        if not options["all"]:
            listed = [each for each in listed if each.pk in standing and not each.snapshot.forgotten_at]
        for pin in listed:
            over = "" if pin.pk in standing else phrase("  (over)")
            self.say(
                f"{pin.snapshot.short_id}  {pin.snapshot.local_time:%Y-%m-%d %H:%M:%S}  "
                f"{pin.snapshot.database or pin.snapshot.source}  {holds.pin_words(pin)}{over}"
            )
        if not listed:
            self.say(phrase("No snapshot is pinned."))
        return {"pins": [_as_json(pin, is_standing=pin.pk in standing) for pin in listed]}


def _as_json(pin: Pin, *, is_standing: bool) -> dict[str, Any]:
    return {
        "snapshot_id": pin.snapshot.snapshot_id,
        "database": str(pin.snapshot.database) if pin.snapshot.database else None,
        "reason": pin.reason,
        "until": pin.until.isoformat() if pin.until else None,
        "made_at": pin.made_at.isoformat(),
        "made_by": pin.made_by,
        "holds": is_standing,
        "ended_at": pin.ended_at.isoformat() if pin.ended_at else None,
        "ended_by": pin.ended_by,
        "end_reason": pin.end_reason,
    }
