"""What a person may have a database left out of for a while, or for good."""

from __future__ import annotations

from backups.choices.base import OpenChoices
from backups.text.sentences import phrase


class StandDownKind(OpenChoices):
    """What does not go on for a database."""

    PAUSE = "pause", phrase("Paused")
    MUTE = "mute", phrase("Muted")
    RETIREMENT = "retirement", phrase("Retired")
