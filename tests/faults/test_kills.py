"""Whoever takes part in a run is killed, at a random moment of it; then every promise is looked at."""

from __future__ import annotations

from tests.faults import promises
from tests.faults.promises import Seen
from tests.restore.plays import Stage


def test_nothing_broke_and_all_promises_hold(stage: Stage) -> None:
    """The promises themselves, seen to hold where nothing happened."""
    portal = stage.portal
    before = Seen.of(portal)

    promises.next_backup_succeeds(portal)
    promises.reap(portal)

    assert promises.no_bad_snapshot(portal)
    promises.no_heartbeat_without_its_snapshot(portal)
    promises.live_untouched(portal, before)
    promises.no_run_left(portal)
    promises.no_lock_left(portal)
    promises.no_database_left(portal.shop)
