"""`manage.py mute`: hold messages about a database back."""

from __future__ import annotations

from backups.choices import StandDownKind
from backups.management.standing_down import Begins
from backups.text.sentences import phrase


class Command(Begins):
    """Mute a database."""

    help = phrase("Mute a database: messages about it are held back until then.")
    kind = StandDownKind.MUTE
    has_an_end = True
