"""A command that follows a run which it left to the worker: for what it waits, and for how long."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.utils import timezone

from backups.actions.steps import rights
from backups.choices import Trigger
from backups.errors import Problem
from backups.management import elsewhere
from backups.models import Database, Repository, Run, WorkerPulse
from backups.requests import Asker, BackupRequest
from backups.runs import queue
from backups.runs.progress import State
from tests.rows import a_server

MISSING = Problem("The secret is not here.", code="secret.not_set")


@pytest.fixture
def follow(db: None, monkeypatch: pytest.MonkeyPatch) -> Callable[[timedelta], list[str]]:
    """Follows a backup that no worker begins, one having been seen so long ago; answers what it told."""
    monkeypatch.setattr(elsewhere, "_BEGINS_WITHIN_SECONDS", 0.2)
    monkeypatch.setattr(elsewhere, "_COMES_WITHIN_SECONDS", 1.0)
    monkeypatch.setattr(elsewhere, "_OTHER_COMES_WITHIN_SECONDS", 1.0)
    repository = Repository.objects.create(name="main", url="/nowhere/at/all")
    orders = Database.objects.create(
        name="orders", server=a_server(), database="orders", repository=repository
    )

    def follow(seen_ago: timedelta) -> list[str]:
        WorkerPulse.objects.create(cluster="vedetta", seen_at=timezone.now() - seen_ago)
        told: list[str] = []

        def observe(_state: State, lines: list[str]) -> None:
            told.extend(map(str, lines))

        run = BackupRequest(orders).submit(Asker(Trigger.CLI))
        assert elsewhere.Follower(run, MISSING, observe).to_its_end().error
        return told

    return follow


def test_it_says_at_once_how_long_a_worker_that_was_just_seen_is_given(
    follow: Callable[[timedelta], list[str]],
) -> None:
    ago = queue.PULSE_LOST - timedelta(seconds=3)
    until = timezone.localtime() + timedelta(seconds=3)

    told = follow(ago)

    said = [line for line in told if "No worker has begun with it yet." in line]
    assert len(said) == 1
    assert re.search(r"One was last seen 1 min 5\d s ago\. It is given until ", said[0])
    assert said[0][-9:-1] in {f"{until + timedelta(seconds=more):%H:%M:%S}" for more in range(-1, 20)}
    assert Run.objects.get().error.startswith("The secret is not here. No worker is there")


def test_it_waits_for_no_worker_that_was_not_seen_of_late(follow: Callable[[timedelta], list[str]]) -> None:
    assert [line for line in follow(timedelta(minutes=9)) if "No worker has begun" in line] == []


def test_rights_are_heard_as_the_worker_told_them_or_it_is_said_that_it_did_not() -> None:
    excess = {"user": "u", "rights": "FILE", "on": "*.*", "lets": "read files"}
    lack = {"user": "u", "purpose": "a backup", "because": "no", "do": "GRANT"}

    held, lacking = rights.heard({"grants": [excess], "lacking": [lack]})
    assert (held[0].rights, lacking[0].purpose) == ("FILE", "a backup")
    for result, words in (
        ({}, "The worker did not look at them. See that portal and worker are of the same version"),
        ({"grants": [{"x": 1}], "lacking": []}, "The worker did not look at them."),
        ({"grants_problem": "The server does not answer."}, "The server does not answer."),
    ):
        with pytest.raises(Problem, match=words):
            rights.heard(result)
