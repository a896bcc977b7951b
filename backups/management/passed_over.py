"""What is newer than the backup that a command takes, and why it takes the older one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from backups.models import Snapshot
from backups.snapshots import selection
from backups.text.sentences import phrase


def passed_over(
    chosen: Snapshot, say: Callable[[str], None], until: datetime | None = None
) -> dict[str, str]:
    """Say what is newer than the backup that was chosen, and why; answers it for the JSON object."""
    return {
        **_passed_over_bad(chosen, say),
        **_passed_over_others(chosen, say, until),
        **_passed_over_safety(chosen, say, until),
    }


def _passed_over_bad(chosen: Snapshot, say: Callable[[str], None]) -> dict[str, str]:
    newer = None if chosen.is_known_bad else selection.newer_known_bad(chosen)
    if newer is None:
        return {}
    say(
        phrase(
            "Snapshot {snapshot} of {local_time} is newer and was passed over. {known_bad_words}",
            snapshot=newer.short_id,
            local_time=f"{newer.local_time:%Y-%m-%d %H:%M:%S}",
            known_bad_words=selection.known_bad_words(newer),
        )
    )
    return {"newer_bad_snapshot": newer.snapshot_id}


def _passed_over_others(
    chosen: Snapshot, say: Callable[[str], None], until: datetime | None
) -> dict[str, str]:
    newer = selection.newer_of_others(chosen, until)
    if newer is None:
        return {}
    say(
        phrase(
            "Snapshot {snapshot} of {local_time} is newer and was not taken: nothing shows that this "
            "installation made it. A backup made after the newest copy of the portal looks the same. "
            "If you know it, restore it by its id: --snapshot {snapshot}.",
            snapshot=newer.short_id,
            local_time=f"{newer.local_time:%Y-%m-%d %H:%M:%S}",
        )
    )
    return {"newer_strange_snapshot": newer.snapshot_id}


def _passed_over_safety(
    chosen: Snapshot, say: Callable[[str], None], until: datetime | None
) -> dict[str, str]:
    newer = selection.newer_safety_copy(chosen, until)
    if newer is None:
        return {}
    say(
        phrase(
            "Snapshot {snapshot} of {local_time} is newer and was not taken: it is a safety backup of "
            "the database from before a restore. To take it all the same: --snapshot {snapshot}.",
            snapshot=newer.short_id,
            local_time=f"{newer.local_time:%Y-%m-%d %H:%M:%S}",
        )
    )
    return {"newer_safety_snapshot": newer.snapshot_id}
