"""What an empty list says: what will stand in it, and what brings the first."""

from __future__ import annotations

from typing import Any

from django import template

from backups.text.sentences import phrase

register = template.Library()

_WORDS = {
    "run": phrase(
        "Backups, verifications, restores and checks stand here from their first second. The first comes by "
        "its schedule, or by Back up now."
    ),
    "snapshot": phrase("What backups keep in a repository stands here. Each good backup brings a snapshot."),
    "verification": phrase(
        "Test restores and what they found stand here. They come by schedule, or by Verify newest on a "
        "database's page."
    ),
    "restore": phrase(
        "Restores and downloads stand here, with their reason. They begin on a snapshot's page: Restore or "
        "download."
    ),
    "alert": phrase(
        "What went wrong stands here, and whether somebody was told. It comes when something fails, and is "
        "over when that works again."
    ),
    "database": phrase("Databases that are backed up stand here. Each has a server and a repository."),
    "server": phrase("Servers of databases stand here, with the account that backs up."),
    "repository": phrase("Repositories stand here: where restic keeps the snapshots."),
    "schedule": phrase(
        "What the worker does by itself stands here, once a database is set up and the worker has started."
    ),
    "logentry": phrase(
        "Who changed or started what stands here. The first button that is pressed brings one."
    ),
}


@register.simple_tag
def what_will_appear(opts: Any) -> str:
    """In a sentence or two; empty for a list that says enough by its name."""
    return _WORDS.get(opts.model_name, "")
