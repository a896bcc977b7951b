"""What a verification found, and which of that makes a snapshot a bad one."""

from __future__ import annotations

from backups.choices.base import OpenChoices
from backups.text.sentences import phrase


class Verdict(OpenChoices):
    """What a verification found."""

    IDENTICAL = "identical", phrase("Identical")
    DIFFERENT = "different", phrase("Different")
    UNREADABLE = "unreadable", phrase("Unreadable")


# A snapshot of which the newest verification said so is known to be bad.
BAD_VERDICTS = frozenset({Verdict.DIFFERENT, Verdict.UNREADABLE})

VERDICT_COLOURS = {
    Verdict.IDENTICAL: "success",
    Verdict.DIFFERENT: "danger",
    Verdict.UNREADABLE: "danger",
}
