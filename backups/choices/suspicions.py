"""What became of a backup that holds suspiciously little."""

from __future__ import annotations

from datetime import timedelta

from backups.choices.base import OpenChoices
from backups.text.sentences import phrase


class SuspicionState(OpenChoices):
    """What became of a backup of which a person is to say whether it is right."""

    WAITING = "waiting", phrase("Waits for a person")
    ACCEPTED = "accepted", phrase("Accepted")
    OVER = "over", phrase("Over by itself")


# So long after it was found, one that nobody accepted holds the snapshot before it, whatever became of it.
SUSPICION_KEPT = timedelta(days=90)
