"""What the portal itself fails at in the middle of a restore: the run says what became of the database."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import OperationalError

from backups.choices import RestoreMode, Status, Swap
from backups.models import Database, Run
from backups.runs import lifecycle, restores
from backups.worker import reaper
from tests.backups.conftest import MakeDatabase
from tests.backups.worlds import Shop
from tests.restoring.stories import LATER, content, restore, succeeded, undo

BackUp = Callable[[Database], Run]


# tests/restoring/test_commands.py has one that is stopped there, which says the same.
@pytest.mark.soak
def test_portal_error_in_the_middle_of_an_in_place_load(
    mariadb_shop: Shop, make_database: MakeDatabase, back_up: BackUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = mariadb_shop
    database = make_database(shop)
    succeeded(back_up(database))
    shop.server.load(LATER, shop.name)
    before = content(shop.server, shop.name)
    beat = lifecycle.run_beat

    def beat_or_fail(run_id: int, told: lifecycle.Beat, **options: Any) -> bool:
        if told.phase == "load" and told.bytes_done:
            shop.wait_for_a_waiting_dump()
            raise OperationalError("database is locked")
        return beat(run_id, told, **options)

    monkeypatch.setattr(lifecycle, "run_beat", beat_or_fail)
    with shop.held("journal", "READ"):
        run = restore(database, RestoreMode.IN_PLACE)

    assert content(shop.server, shop.name) != before
    assert run.status == Status.FAILED
    saved = run.restore.safety_snapshot
    assert saved is not None
    assert run.error == (
        f"Restore met an unexpected OperationalError. {shop.name} may be partly overwritten: restore "
        f"again, or restore snapshot {saved.short_id}, which has what it held before. "
        "The run's log has the details; please report them."
    )


# An undo is a swap like any other.
# tests/restoring/test_kills.py has a worker that dies there, which is judged in the same way.
@pytest.mark.soak
@pytest.mark.parametrize("way", [pytest.param("there", marks=pytest.mark.soak), "back"])
def test_portal_error_right_after_the_tables_were_swapped(
    way: str,
    mariadb_shop: Shop,
    make_database: MakeDatabase,
    back_up: BackUp,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shop = mariadb_shop
    database = make_database(shop)
    succeeded(back_up(database))
    restored = content(shop.server, shop.name)
    shop.server.load(LATER, shop.name)
    later = content(shop.server, shop.name)
    there = succeeded(restore(database, RestoreMode.REPLACE, without_safety=True)) if way == "back" else None
    note = restores.restore_note

    def note_or_fail(noted: Any, **facts: Any) -> None:
        if facts.get("swap") == Swap.RENAMED:
            raise OperationalError("database is locked")
        note(noted, **facts)

    with monkeypatch.context() as patched:
        patched.setattr(restores, "restore_note", note_or_fail)
        run = undo(there) if there else restore(database, RestoreMode.REPLACE, without_safety=True)

    assert run.status == Status.FAILED
    assert "unexpected OperationalError. It was swapping tables. The swap is completed or taken" in run.error
    assert "not touched" not in run.error
    assert "as it was before" not in run.error
    reaper.run()
    run.refresh_from_db()
    assert f"{shop.name} is wholly restored" in run.error
    assert content(shop.server, shop.name) == (later if there else restored)
