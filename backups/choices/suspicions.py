"""What became of a backup that holds suspiciously little."""

from __future__ import annotations

from django.db import models


class SuspicionState(models.TextChoices):
    """What became of a backup of which a person is to say whether it is right."""

    WAITING = "waiting", "Waits for a person"
    ACCEPTED = "accepted", "Accepted"
    OVER = "over", "Over by itself"
