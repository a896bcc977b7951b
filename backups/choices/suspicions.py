"""What became of a backup that holds suspiciously little."""

from __future__ import annotations

from backups.choices.base import OpenChoices
from backups.text.sentences import phrase


class SuspicionState(OpenChoices):
    """What became of a backup of which a person is to say whether it is right."""

    WAITING = "waiting", phrase("Waits for a person")
    ACCEPTED = "accepted", phrase("Accepted")
    OVER = "over", phrase("Over by itself")
