"""Where a restore goes, and how far its swap of tables is."""

from __future__ import annotations

from backups.choices.base import OpenChoices
from backups.text.sentences import phrase

# restic's tag on what was saved before a restore: what was to be repaired, and no backup to go back to.
# In the repository, so that it is known as well to a portal that was rebuilt from there alone.
SAFETY_TAG = "before-restore"


# The target of a file that is kept where the worker runs, to be downloaded in the portal.
TO_DOWNLOAD = "download"


class RestoreMode(OpenChoices):
    """Where a restore goes."""

    FILE = "file", phrase("To a file")
    NEW = "new", phrase("Into a new database")
    REPLACE = "replace", phrase("Replace the live database")
    IN_PLACE = "in_place", phrase("Straight into the existing database")
    UNDO = "undo", phrase("Back to the kept tables")


# Modes after which a database is no longer what it was.
OVERWRITING_MODES = frozenset({RestoreMode.REPLACE, RestoreMode.IN_PLACE})


class Swap(OpenChoices):
    """How far a swap of tables is, so that whoever finds it broken off can end it either way."""

    NONE = "", phrase("Not begun")
    PREPARED = "prepared", phrase("Prepared")
    RENAMED = "renamed", phrase("Tables renamed")
    FINISHED = "finished", phrase("Finished")
    ROLLED_BACK = "rolled_back", phrase("Rolled back")


# A swap that somebody still has to end: nothing else may touch its target.
UNSETTLED = frozenset({Swap.PREPARED, Swap.RENAMED})


class DefinerPolicy(OpenChoices):
    """What a restore does with DEFINER users of views, triggers, routines and events."""

    KEEP = "keep", phrase("Keep as in the snapshot")
    CURRENT_USER = "current_user", phrase("Set to the user that restores")
