"""The same wish makes the same request, whichever way it comes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client
from django.urls import reverse

from backups import requests
from backups.admin.restore_form import RestoreForm
from backups.choices import DefinerPolicy, RestoreMode, Trigger
from backups.errors import Problem
from backups.management.base import VedettaCommand
from backups.models import Run
from backups.requests import CheckRequest, DropKeptRequest, Request, RestoreRequest, UndoRequest
from tests.requests.conftest import Rows

Login = Callable[[str], Client]
CONFIRM = {"_form_submitted": "on", "reason": "A wrong import."}


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Request]:
    """What a command asks for, without playing it."""
    asked: list[Request] = []

    def play(_command: VedettaCommand, wanted: Request) -> Run:
        asked.append(wanted)
        raise Problem("Enough was heard.")

    monkeypatch.setattr(VedettaCommand, "play", play)

    def said(*words: str) -> Request:
        with pytest.raises(SystemExit):
            call_command(*words)
        return asked.pop()

    return said


# What somebody chooses on the page, and the same in words.
RESTORES: dict[str, tuple[dict[str, Any], list[str]]] = {
    "into a new database": (
        {"mode": "new", "target": "copy", "definers": "keep"}, ["--snapshot", "aaaa", "--into", "copy"]
    ),
    "some tables, as another": (
        {"mode": "new", "target": "copy", "tables": ["a", "b"], "definers": "current_user"},
        ["--snapshot", "aaaa", "--into", "copy", "--table", "b", "--table", "a",
         "--definers", "current_user"],
    ),
    "in its place": (
        {"mode": "replace", "definers": "keep", "confirm": "shop"}, ["--snapshot", "aaaa", "--replace"]
    ),
    "in its place without a backup before": (
        {"mode": "in_place", "definers": "keep", "without_safety": "on"},
        ["--snapshot", "aaaa", "--in-place", "--without-safety-backup"],
    ),
    "another one's in its place": (
        {"mode": "replace", "definers": "keep"},
        ["--snapshot", "bbbb", "--replace", "--across", "other", "shop"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("wish", RESTORES)
def test_a_restore_by_form_and_by_command_line(rows: Rows, said: Callable[..., Request], wish: str) -> None:
    chosen, words = RESTORES[wish]
    snapshot = rows.others if "bbbb" in words else rows.snapshot
    form = RestoreForm(
        {"reason": "Why not.", **chosen}, snapshot=snapshot, database=rows.database
    )  # fmt: skip
    assert form.is_valid(), form.errors

    by_command = said("restore", *words, "--reason", "Why not.", "--yes")

    assert form.wanted == by_command
    assert isinstance(by_command, RestoreRequest)
    assert by_command.mode == RestoreMode(chosen["mode"])
    assert by_command.definers == DefinerPolicy(chosen["definers"])


def test_a_check_by_button_and_by_command_line(
    rows: Rows, login: Login, said: Callable[..., Request]
) -> None:
    url = reverse("admin:backups_repository_check_now", args=[rows.repository.pk])
    login("Operator").post(url, {"_form_submitted": "on", "depth": "5%"})

    by_button = requests.read(Run.objects.get(action="check"))

    assert by_button == said("repository", "check", "--read-data-subset", "5%")
    assert said("repository", "check", "--read-data") == CheckRequest(rows.repository, read_data=True)


@pytest.mark.parametrize("verb", ["forget", "prune", "stats", "unlock", "repair_index", "repair_snapshots"])
def test_what_tends_a_repository(rows: Rows, login: Login, said: Callable[..., Request], verb: str) -> None:
    url = reverse(f"admin:backups_repository_{verb}", args=[rows.repository.pk])
    login("Operator").post(url, {"_form_submitted": "on"})

    assert requests.read(Run.objects.get(action=verb)) == said("repository", verb.replace("_", "-"))


def test_an_undo_and_a_drop(rows: Rows, login: Login, said: Callable[..., Request]) -> None:
    client = login("Restorer")
    client.post(reverse("admin:backups_restore_drop_kept", args=[rows.kept.pk]), CONFIRM)
    typed = CONFIRM | {"confirm": rows.kept.target}
    client.post(reverse("admin:backups_restore_undo", args=[rows.kept.pk]), typed)

    drop, undo = (requests.read(Run.objects.get(action=action)) for action in ("drop_kept", "undo"))

    assert drop == said("undo_restore", "--drop", "--yes") == DropKeptRequest(rows.kept)
    assert undo == UndoRequest(rows.kept, CONFIRM["reason"])
    assert said("undo_restore") == UndoRequest(rows.kept)


def test_again_is_the_same_once_more_for_who_may(rows: Rows, login: Login) -> None:
    """A drill is a preflight by its action, and needs another right."""
    drill = requests.DrillRequest(rows.database, "http://shop.example.com/")
    run = drill.submit(requests.Asker(Trigger.ADMIN), send=False)
    Run.objects.update(status="succeeded")
    url = reverse("admin:backups_run_again", args=[run.pk])

    assert login("Operator").post(url, {"_form_submitted": "on"}).status_code == 403
    login("Administrator").post(url, {"_form_submitted": "on"})

    assert requests.read(Run.objects.get(status="queued")) == drill


def test_again_of_what_a_later_version_asked_for_is_told(rows: Rows, login: Login) -> None:
    run = CheckRequest(rows.repository).submit(requests.Asker(Trigger.ADMIN), send=False)
    Run.objects.filter(pk=run.pk).update(status="succeeded", request={"form": "check", "version": 2})

    url = reverse("admin:backups_run_again", args=[run.pk])
    answer = login("Operator").post(url, {"_form_submitted": "on"}, follow=True)

    assert "This version of Vedetta does not know the form in which" in answer.content.decode()
    assert not Run.objects.filter(status="queued").exists()
