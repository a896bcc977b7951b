"""Where a restore goes, and how far its swap of tables is."""

from __future__ import annotations

from django.db import models

# restic's tag on what was saved before a restore: what was to be repaired, and no backup to go back to.
# In the repository, so that it is known as well to a portal that was rebuilt from there alone.
SAFETY_TAG = "before-restore"


class RestoreMode(models.TextChoices):
    """Where a restore goes."""

    FILE = "file", "To a file"
    NEW = "new", "Into a new database"
    REPLACE = "replace", "Replace the live database"
    IN_PLACE = "in_place", "Straight into the existing database"
    UNDO = "undo", "Back to the kept tables"


# Modes after which a database is no longer what it was.
OVERWRITING_MODES = frozenset({RestoreMode.REPLACE, RestoreMode.IN_PLACE})


class Swap(models.TextChoices):
    """How far a swap of tables is, so that whoever finds it broken off can end it either way."""

    NONE = "", "Not begun"
    PREPARED = "prepared", "Prepared"
    RENAMED = "renamed", "Tables renamed"
    FINISHED = "finished", "Finished"
    ROLLED_BACK = "rolled_back", "Rolled back"


# A swap that somebody still has to end: nothing else may touch its target.
UNSETTLED = frozenset({Swap.PREPARED, Swap.RENAMED})


class DefinerPolicy(models.TextChoices):
    """What a restore does with DEFINER users of views, triggers, routines and events."""

    KEEP = "keep", "Keep as in the snapshot"
    CURRENT_USER = "current_user", "Set to the user that restores"
