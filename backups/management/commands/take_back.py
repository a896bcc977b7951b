"""`manage.py take_back`: have a retired database backed up again."""

from __future__ import annotations

from backups.choices import StandDownKind
from backups.management.standing_down import Ends
from backups.text.sentences import phrase


class Command(Ends):
    """Take a database back into service."""

    help = phrase(
        "Take a retired database back into service: it is backed up by its schedule and gates again."
    )
    kind = StandDownKind.RETIREMENT
