"""`manage.py retire`: have a database backed up no more."""

from __future__ import annotations

from backups.choices import StandDownKind
from backups.management.standing_down import Begins
from backups.text.sentences import phrase


class Command(Begins):
    """Retire a database."""

    help = phrase("Retire a database: it is backed up no more and does not gate; its snapshots stay.")
    kind = StandDownKind.RETIREMENT
    is_timed = False
