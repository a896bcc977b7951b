"""What is known of a repository."""

from __future__ import annotations

from django.db import models


class Health(models.TextChoices):
    """What is known of a repository. Damage, found by a check, lasts until one of all data finds none.

    So does suspect: a snapshot in it was found bad, and no check has met damage since.
    """

    UNKNOWN = "unknown", "Not checked yet"
    GOOD = "good", "Good"
    SUSPECT = "suspect", "Suspect"
    DAMAGED = "damaged", "Damaged"
