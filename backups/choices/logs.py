"""What an archive of the binary log can be, and what a proof of it found."""

from __future__ import annotations

from backups.choices.base import OpenChoices
from backups.text.sentences import phrase


class ArchiveState(OpenChoices):
    """How far the archive of a database's log is."""

    # Switched on; the next exact dump is what it begins at.
    WAITING = "waiting", phrase("Waits for a backup with an exact position")
    FOLLOWING = "following", phrase("Follows the log")
    # A gap stands open: it goes on from the next exact dump.
    BROKEN = "broken", phrase("Broken off")
    OFF = "off", phrase("Off")


class ReplayVerdict(OpenChoices):
    """What came of a replay from one dump to the next. Only `identical` counts for anything."""

    IDENTICAL = "identical", phrase("Identical")
    DIFFERENT = "different", phrase("Different")
    GAP = "gap", phrase("Gap in the log")
    BARRIER = "barrier", phrase("Cannot be replayed past a change")
    NOTHING = "nothing", phrase("Nothing to prove")


REPLAY_COLOURS = {
    ReplayVerdict.IDENTICAL: "success",
    ReplayVerdict.DIFFERENT: "danger",
    ReplayVerdict.GAP: "danger",
    ReplayVerdict.BARRIER: "warning",
    ReplayVerdict.NOTHING: "info",
}
