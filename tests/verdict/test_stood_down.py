"""What people had left out: told, and forgotten by nobody."""

from __future__ import annotations

from dataclasses import replace

from backups import verdict
from backups.verdict import StandDownFacts, State
from tests.verdict.test_overall import DAY, HOUR, NOW, WELL, shop

FOR_A_DAY = StandDownFacts(NOW - HOUR, "anna", "The server moves.", NOW + DAY)
FOR_GOOD = replace(FOR_A_DAY, until=None)


def test_a_pause_with_an_end_is_a_word_and_one_without_is_in_doubt() -> None:
    ends, stays = verdict.overall(shop(paused=FOR_A_DAY)), verdict.overall(shop(paused=FOR_GOOD))

    assert (ends.state, [each.key for each in ends.notes]) == (State.GOOD, ["paused"])
    assert "(anna: The server moves)" in ends.notes[0].reason
    assert (stays.state, [each.key for each in stays.findings]) == (State.DOUBTFUL, ["paused"])
    assert "Press Resume" in stays.next_step


def test_a_pause_says_when_the_gate_closes_where_it_would_within_it() -> None:
    (within,) = verdict.overall(shop(paused=FOR_A_DAY)).notes
    (sooner,) = verdict.overall(shop(paused=replace(FOR_A_DAY, until=NOW + HOUR))).notes
    (beside,) = verdict.overall(shop(paused=FOR_A_DAY, gates=False)).notes

    assert "The gate closes" in within.reason
    assert "The gate closes" not in sooner.reason + beside.reason


def test_a_stale_backup_says_that_its_database_is_paused() -> None:
    found = verdict.overall(shop(paused=FOR_A_DAY, newest_at=NOW - 3 * DAY))

    assert (found.state, found.findings[0].key) == (State.BAD, "backup_age")
    assert found.next_step.startswith("It is paused (anna: The server moves). Resume it")


def test_the_json_has_them_under_keys_of_their_own() -> None:
    told = verdict.overall(
        replace(shop(paused=FOR_GOOD, muted=FOR_A_DAY), retired={"old": FOR_GOOD})
    ).as_json()

    since = (NOW - HOUR).isoformat()
    said = {"since": since, "until": None, "by": "anna", "reason": "The server moves."}
    assert told["databases"][0]["paused"] == said
    assert told["databases"][0]["muted"] == {**said, "until": (NOW + DAY).isoformat()}
    assert told["retired"] == [{"database": "old", **said}]
    assert verdict.overall(WELL).as_json()["databases"][0]["paused"] is None
    assert "muted" in [each["key"] for each in told["notes"]]
