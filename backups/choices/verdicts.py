"""What a verification found, and which of that makes a snapshot a bad one."""

from __future__ import annotations

from django.db import models


class Verdict(models.TextChoices):
    """What a verification found."""

    IDENTICAL = "identical", "Identical"
    DIFFERENT = "different", "Different"
    UNREADABLE = "unreadable", "Unreadable"


# A snapshot of which the newest verification said so is known to be bad.
BAD_VERDICTS = frozenset({Verdict.DIFFERENT, Verdict.UNREADABLE})

VERDICT_COLOURS = {
    Verdict.IDENTICAL: "success",
    Verdict.DIFFERENT: "danger",
    Verdict.UNREADABLE: "danger",
}
