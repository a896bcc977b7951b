"""What is known of a repository."""

from __future__ import annotations

from backups.choices.base import OpenChoices
from backups.text.sentences import phrase


class Health(OpenChoices):
    """What is known of a repository. Damage, found by a check, lasts until one of all data finds none.

    So does suspect: a snapshot in it was found bad, and no check has met damage since.
    """

    UNKNOWN = "unknown", phrase("Not checked yet")
    GOOD = "good", phrase("Good")
    SUSPECT = "suspect", phrase("Suspect")
    DAMAGED = "damaged", phrase("Damaged")
