"""`manage.py pause`: have a database's schedules stand still."""

from __future__ import annotations

from backups.choices import StandDownKind
from backups.management.standing_down import Begins
from backups.text.sentences import phrase


class Command(Begins):
    """Pause a database."""

    help = phrase("Pause a database: its schedules stand still until then, or until somebody resumes it.")
    kind = StandDownKind.PAUSE
