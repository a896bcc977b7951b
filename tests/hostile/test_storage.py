"""Whatever a storage answers, who asks restic comes to an end: in time, with little memory, one sentence."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from pytest_django.fixtures import Settings

from backups import restic
from backups.actions.steps import snapshot_list
from backups.choices import Action, Status
from backups.endpoints import repository_access
from backups.errors import Problem
from backups.models import Repository
from backups.repositories import identity
from backups.restic import probing, queries, runner
from backups.text.terminal import escape_control_characters
from tests.backups.conftest import MakeDatabase
from tests.backups.worlds import Shop, copy_repository
from tests.hostile.storage import MISDEEDS, S3_MISDEEDS, redirect, where
from tests.hostile.test_deadlines import LATE, LONGEST_SENTENCE, played
from tests.servers.rest import RestServer

PATIENCE = 2
IN_SHORT = ("a list without an end", "strange names")
# What is asked for when a repository is opened, and when its snapshots are listed.
PLACES = ("/config$", "/keys/$", "/snapshots/$", "/locks/$")


@pytest.fixture
def impatient(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """With deadlines that a test can wait for."""
    settings.STORAGE_PATIENCE_SECONDS = PATIENCE
    for module, name in (
        (runner, "PROBE_DEADLINE_SECONDS"), (probing, "PROBE_DEADLINE_SECONDS"),
        (queries, "PROBE_DEADLINE_SECONDS"),
        (probing, "_BUCKET_SECONDS"), (probing, "_WORDS_SECONDS"),
        (identity, "_LIST_SECONDS"), (snapshot_list, "_LIST_SECONDS"),
    ):  # fmt: skip
        monkeypatch.setattr(module, name, PATIENCE)


@pytest.fixture
def rest(impatient: None, repository: Repository, tmp_path: Path) -> Iterator[RestServer]:
    """The repository of this process's portal, kept by a REST server."""
    copy_repository(Path(repository.url), tmp_path / "rest")
    with RestServer(tmp_path / "rest") as server:
        repository.url = server.repository
        repository.save()
        yield server


@contextmanager
def no_restic_takes_more_than(megabytes: int, server: RestServer) -> Iterator[None]:
    """Look at the memory of all that know this server's address."""
    most, over = [0], threading.Event()

    def look() -> None:
        while not over.wait(0.05):
            most[0] = max(most[0], *_megabytes(server.url.encode()))

    looking = threading.Thread(target=look)
    looking.start()
    try:
        yield
    finally:
        over.set()
        looking.join()
    assert most[0] < megabytes


def _megabytes(address: bytes) -> Iterator[int]:
    yield 0
    for place in Path("/proc").iterdir():
        try:
            if place.name.isdecimal() and address in (place / "cmdline").read_bytes():
                yield int((place / "statm").read_text().split()[1]) * 4096 >> 20
        except OSError:
            continue


def refuse_unfit(sentence: str, mode: str) -> None:
    """What people are told is of a sentence's length, and expected."""
    assert len(sentence) < LONGEST_SENTENCE, mode
    assert "met an unexpected" not in sentence, mode


@pytest.mark.parametrize(
    "mode", [name if name in IN_SHORT else pytest.param(name, marks=pytest.mark.soak) for name in MISDEEDS]
)
def test_who_lists_snapshots_comes_to_an_end(mode: str, rest: RestServer) -> None:
    access = repository_access(Repository.objects.get())
    rest.misbehave = where("/snapshots/$", MISDEEDS[mode])
    began = time.monotonic()
    with no_restic_takes_more_than(1200, rest):
        try:
            found = restic.snapshots(access)
        except Problem as problem:
            refuse_unfit(problem.sentence(), mode)
        else:
            assert (mode, found) == ("404 for ever", ())
    assert time.monotonic() - began < PATIENCE + LATE


@pytest.mark.soak
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("mode", MISDEEDS)
def test_every_question_on_it_ends_with_a_sentence(
    mode: str, place: str, rest: RestServer, mariadb_shop: Shop, make_database: MakeDatabase
) -> None:
    """Work, which has no deadline but the run's, is another matter: a backup opens the repository itself."""
    database = make_database(mariadb_shop)
    rest.misbehave = where(place, MISDEEDS[mode])
    for action in (Action.PREFLIGHT, Action.SNAPSHOTS):
        began = time.monotonic()
        with no_restic_takes_more_than(1200, rest):
            run = played(action, database)
        refuse_unfit(run.error, f"{mode} at {place}: {action}")
        assert escape_control_characters(run.error) == run.error, "it steers a terminal"
        assert run.status in (Status.FAILED, Status.SUCCEEDED)
        assert time.monotonic() - began < 90, action


def test_a_test_of_the_connection_ends_with_a_sentence(
    rest: RestServer, mariadb_shop: Shop, make_database: MakeDatabase
) -> None:
    database = make_database(mariadb_shop)
    rest.misbehave = where("/config$", MISDEEDS["a head by the byte"])
    run = played(Action.PREFLIGHT, database)
    assert run.status == Status.FAILED
    assert f"The repository {rest.repository} cannot be reached" in run.error


def test_what_restic_tells_is_bounded(rest: RestServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backups.process.running.MOST_KEPT", 100)
    monkeypatch.setattr("backups.process.MOST_KEPT", 100)
    with pytest.raises(
        restic.ResticError, match=r"restic wrote more than 0 MB about the repository at .*, so it was ended"
    ):
        restic.probe(repository_access(Repository.objects.get()))


@pytest.mark.soak
def test_a_body_without_an_end_takes_no_more_memory_than_a_question_may(
    rest: RestServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the time that a question really has."""
    monkeypatch.setattr(probing, "PROBE_DEADLINE_SECONDS", 60)
    rest.misbehave = where("/config$", MISDEEDS["a body without an end"])
    with no_restic_takes_more_than(1200, rest), pytest.raises(restic.ResticError):
        restic.probe(repository_access(Repository.objects.get()))


@pytest.mark.soak
def test_a_password_does_not_follow_a_redirect_to_another_host(
    rest: RestServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RESTIC_REST_USERNAME", "us")
    monkeypatch.setenv("RESTIC_REST_PASSWORD", "the-password")
    heard: list[str] = []

    def listen(handler: object) -> bool:
        heard.append(str(handler.headers))  # type: ignore[attr-defined]
        return False

    with RestServer(tmp_path / "rest") as other:
        other.misbehave = listen
        address = other.url.replace("127.0.0.1", "localhost")
        rest.misbehave = where("/config$", redirect(f"{address}config"))
        with suppress(Problem):
            restic.probe(repository_access(Repository.objects.get()))
    assert heard
    assert "Authorization" not in "".join(heard)


@pytest.mark.soak
@pytest.mark.parametrize("mode", S3_MISDEEDS)
def test_an_s3_storage_comes_to_an_end_too(
    mode: str, rest: RestServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a-key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a-secret")
    Repository.objects.update(url=f"s3:{rest.url}bucket")
    access = repository_access(Repository.objects.get())
    rest.misbehave = where("", S3_MISDEEDS[mode])
    for ask in (restic.probe, restic.snapshots):
        began = time.monotonic()
        with no_restic_takes_more_than(1200, rest), pytest.raises(Problem) as caught:
            ask(access)
        refuse_unfit(caught.value.sentence(), mode)
        assert time.monotonic() - began < 3 * PATIENCE + LATE
