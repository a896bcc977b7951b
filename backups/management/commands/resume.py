"""`manage.py resume`: have a paused database's schedules go on."""

from __future__ import annotations

from backups.choices import StandDownKind
from backups.management.standing_down import Ends
from backups.text.sentences import phrase


class Command(Ends):
    """Resume a database."""

    help = phrase("End the pause of a database: its schedules go on.")
    kind = StandDownKind.PAUSE
