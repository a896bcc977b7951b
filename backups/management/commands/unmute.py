"""`manage.py unmute`: have messages about a database sent again."""

from __future__ import annotations

from backups.choices import StandDownKind
from backups.management.standing_down import Ends
from backups.text.sentences import phrase


class Command(Ends):
    """Unmute a database."""

    help = phrase("End the mute of a database: what is wrong with it is told again.")
    kind = StandDownKind.MUTE
