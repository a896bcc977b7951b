"""What is to be forgotten of a database: for the run that does it, and for the form that tries numbers."""

from __future__ import annotations

from datetime import datetime

from django.utils import timezone

from backups.catalog import series
from backups.models import Database, SnapshotQuerySet
from backups.restoring import kept_states
from backups.snapshots import holds, naming, retention, selection
from backups.text.sentences import phrase


def plan_of(
    database: Database, present: SnapshotQuerySet, policy: retention.Policy, now: datetime
) -> retention.Plan:
    """Which of a database's snapshots in one repository stay under a policy, why, and which go."""
    return retention.plan(
        _dated(database, present), policy, _held(database, present, now), timezone.get_default_timezone()
    )


def _held(database: Database, present: SnapshotQuerySet, now: datetime) -> dict[str, list[str]]:
    """What is held among rows, and what undoing a restore would need that a newer one lies upon."""
    held = holds.held(present, now)
    for snapshot, older, newer in kept_states.held_snapshots(database):
        held.setdefault(snapshot.snapshot_id, []).append(
            phrase(holds.STANDS, restore=older.run_id, newer=newer.run_id)
        )
    return held


def _dated(database: Database, present: SnapshotQuerySet) -> list[retention.Dated]:
    """Each with what a policy counts together: one database, in either format, whatever its row.

    Other installations by host as well, since they may share a repository; the old scripts' containers
    had names by chance. What was not made here pushes nothing out that was, and what was saved before
    a restore is no day's backup.
    """
    our_hosts = series.of_this_installation(database)
    saved = selection.safety_copies(present)
    found = []
    for snapshot in present:
        ours = naming.has_our_tag(snapshot.tags)
        theirs = snapshot.host if ours and snapshot.host not in our_hosts else ""
        counted_with = (snapshot.made_here, ours, theirs, snapshot.file_stem)
        found.append(
            retention.Dated(
                snapshot.snapshot_id, snapshot.time, None if snapshot.pk in saved else counted_with
            )
        )
    return found
