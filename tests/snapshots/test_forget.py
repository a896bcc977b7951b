"""Retention forgets what the policy no longer keeps, and never the last proof."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.utils import timezone
from pytest_django.fixtures import Settings

from backups import restic as backups_restic
from backups.actions import forget
from backups.admin.snapshots import kept_words
from backups.catalog import series
from backups.choices import SAFETY_TAG, Action, RestoreMode, Trigger
from backups.models import Database, Repository, Run, Snapshot, Verification
from backups.runs import lifecycle
from backups.runs.asked import Asker, Wanted
from backups.snapshots import holds
from backups.snapshots.retention import SAFETY_KEPT
from backups.worker import executor
from tests.actions.tools import back_up, log_of, play, restic, sync, verify
from tests.backups.conftest import MakeDatabase
from tests.backups.worlds import Shop
from tests.restoring.stories import again, enqueue, restore, succeeded

NOON = datetime(2026, 3, 31, 12, tzinfo=UTC)
KEEP_NOTHING = {"keep_daily": 0, "keep_weekly": 0, "keep_monthly": 0}


def made_at(
    database: Database,
    time: datetime,
    *,
    old_script: bool = False,
    size: int = 1000,
    tags: Sequence[str] = (),
) -> Snapshot:
    """A snapshot of that time, by us or by the old shell scripts, whose host name was random."""
    tags = ["mysql", "auto"] if old_script else ["vedetta", f"database:{database.name}", *tags]
    ending = "sql.gz" if old_script else database.dump_format
    answer = restic(
        database.repository,
        "backup", "--json", "--time", f"{time:%Y-%m-%d %H:%M:%S}",
        "--host", f"container{time:%d%H}" if old_script else "vedetta",
        *(argument for tag in tags for argument in ("--tag", tag)),
        "--stdin", "--stdin-filename", f"/mysql/{database.database}.{ending}",
        stdin=f"-- {time} {database.name}\n".encode() + random.Random(f"{time}").randbytes(size),
    )  # fmt: skip
    sync(database.repository)
    made = Snapshot.objects.get(snapshot_id=json.loads(answer.splitlines()[-1])["snapshot_id"])
    made.made_here = True
    made.save()
    return made


def forgot(database: Database, **policy: int) -> Run:
    Database.objects.filter(pk=database.pk).update(**policy)
    database.refresh_from_db()
    run = play(Action.FORGET, database=database)
    assert run.status == "succeeded", run.error
    return run


def in_repository(repository: Repository) -> set[str]:
    return {item["id"] for item in json.loads(restic(repository, "snapshots", "--json"))}


def on_disk(repository: Repository) -> int:
    return sum(path.stat().st_size for path in Path(repository.url).rglob("*") if path.is_file())


def ids(*snapshots: Snapshot) -> set[str]:
    return {snapshot.snapshot_id for snapshot in snapshots}


def test_policy_that_keeps_nothing_keeps_the_newest_and_the_newest_verified(database: Database) -> None:
    old = back_up(database)
    proved = back_up(database)
    assert verify(database, old).status == "succeeded"
    assert verify(database, proved).status == "succeeded"
    between = back_up(database)
    newest = back_up(database)

    run = forgot(database, **KEEP_NOTHING)

    assert in_repository(database.repository) == ids(proved, newest)
    assert set(run.result["forgotten"]) == ids(old, between)
    log = log_of(run)
    assert f"keep   {newest.short_id} {newest.local_time:%Y-%m-%d %H:%M}: {holds.NEWEST}" in log
    assert f"keep   {proved.short_id} {proved.local_time:%Y-%m-%d %H:%M}: {holds.NEWEST_VERIFIED}" in log
    assert f"forget {old.short_id}" in log
    assert f"forget {between.short_id}" in log
    assert "2 snapshots forgotten, 2 kept." in log
    proved.refresh_from_db()
    assert proved.kept_because == [holds.NEWEST_VERIFIED]
    # The history of what is forgotten stays.
    old.refresh_from_db()
    assert old.forgotten_at is not None
    assert old.made_by is not None
    assert old.manifest is not None
    assert Verification.objects.get(snapshot=old).verdict == "identical"


def test_what_was_saved_before_a_restore_is_kept_for_a_month_and_while_a_newer_restore_lies_upon_it(
    restorable_shop: Shop, make_database: MakeDatabase
) -> None:
    database = make_database(restorable_shop)
    wanted = back_up(database)
    first = succeeded(restore(database, RestoreMode.IN_PLACE, snapshot=wanted))
    saved = first.restore.safety_snapshot
    assert saved is not None
    newest = back_up(database)

    run = forgot(database, **KEEP_NOTHING)

    assert in_repository(database.repository) == ids(saved, newest)
    why = holds.SAFETY.format(restore=first.pk)
    assert f"keep   {saved.short_id} {saved.local_time:%Y-%m-%d %H:%M}: {why}" in log_of(run)
    saved.refresh_from_db()
    assert kept_words(saved) == "safety"

    second = succeeded(restore(database, RestoreMode.REPLACE, snapshot=newest, without_safety=True))
    Run.objects.filter(pk__in=(first.pk, second.pk)).update(finished_at=timezone.now() - SAFETY_KEPT)
    run = forgot(database)

    assert in_repository(database.repository) == ids(saved, newest)
    why = holds.STANDS.format(restore=first.pk, newer=second.pk)
    assert f"keep   {saved.short_id} {saved.local_time:%Y-%m-%d %H:%M}: {why}" in log_of(run)

    succeeded(again(second, Action.DROP_KEPT))
    forgot(database)

    assert in_repository(database.repository) == ids(newest)


def test_policy_by_days_weeks_and_months(database: Database) -> None:
    today = [made_at(database, NOON - timedelta(hours=hours)) for hours in (0, 6)]
    yesterday = made_at(database, NOON - timedelta(days=1))
    last_month = [made_at(database, NOON - timedelta(days=days)) for days in (40, 42)]

    run = forgot(database, keep_daily=2, keep_weekly=0, keep_monthly=2)

    assert in_repository(database.repository) == ids(today[0], yesterday, last_month[0])
    today[0].refresh_from_db()
    assert today[0].kept_because[0] == holds.NEWEST
    assert {"daily snapshot", "monthly snapshot"} <= set(today[0].kept_because)
    assert "daily snapshot" in log_of(run)


def test_snapshots_go_by_their_ids_and_by_no_rule_of_restics(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, newest = made_at(database, NOON - timedelta(hours=1)), made_at(database, NOON)
    asked: list[tuple[str, ...]] = []
    argv = backups_restic.Access.argv

    def listening(access: backups_restic.Access, args: tuple[str, ...]) -> tuple[str, ...]:
        asked.append(args)
        return argv(access, args)

    monkeypatch.setattr(backups_restic.Access, "argv", listening)
    forgot(database, keep_daily=1, keep_weekly=0, keep_monthly=0)

    (real,) = (args for args in asked if args[0] == "forget")
    assert not any(argument.startswith("--keep") for argument in real)
    assert "--prune" in real
    assert real[-1] == old.snapshot_id
    assert newest.snapshot_id not in real


def test_databases_in_one_repository_do_not_touch_each_other(
    database: Database, least_shop: Shop, make_database: MakeDatabase
) -> None:
    other = make_database(least_shop, name="other", database="other", is_primary=False, **KEEP_NOTHING)
    ours = [made_at(database, NOON - timedelta(hours=hours)) for hours in (2, 1)]
    theirs = [made_at(other, NOON - timedelta(hours=hours)) for hours in (3, 0)]

    forgot(database, **KEEP_NOTHING)

    assert in_repository(database.repository) == ids(ours[1], *theirs)

    play(Action.FORGET, repository=database.repository)

    assert in_repository(database.repository) == ids(ours[1], theirs[1])


# Above, two databases in one repository; tests/snapshots/test_nightly.py has five with one schedule.
@pytest.mark.soak
def test_databases_backed_up_by_one_schedule_are_both_followed_by_retention(
    database: Database, least_shop: Shop, make_database: MakeDatabase, settings: Settings
) -> None:
    again = make_database(least_shop, name="again", is_primary=False)
    for each in (database, again):
        back_up(each)
    Database.objects.update(**KEEP_NOTHING)
    queued = [
        lifecycle.run_enqueue(Wanted(Action.BACKUP, database=each), Asker(Trigger.SCHEDULE))
        for each in (database, again)
    ]

    # As one worker plays its queue: what follows a backup comes after both.
    settings.FORGET_AFTER = "backup"
    for run in queued:
        executor.execute(run.pk)
    for forget_run in Run.objects.filter(action=Action.FORGET, status="queued").order_by("pk"):
        executor.execute(forget_run.pk)

    assert [each.snapshots.filter(forgotten_at=None).count() for each in (database, again)] == [1, 1]


def test_snapshots_of_the_old_scripts_follow_the_policy_too(database: Database) -> None:
    old = [made_at(database, NOON - timedelta(days=days), old_script=True) for days in (9, 8, 7)]
    ours = [made_at(database, NOON - timedelta(days=days)) for days in (1, 0)]

    forgot(database, keep_daily=2, keep_weekly=0, keep_monthly=0)
    assert in_repository(database.repository) == ids(*old[1:], *ours)

    forgot(database, **KEEP_NOTHING)
    assert in_repository(database.repository) == ids(ours[1])


def test_other_snapshots_in_the_repository_are_left_alone(database: Database) -> None:
    made_at(database, NOON - timedelta(hours=1))
    newest = made_at(database, NOON)
    restic(database.repository, "backup", "--stdin", "--stdin-filename", "/photos/cat.jpg", stdin=b"cat")
    (photo,) = in_repository(database.repository) - ids(*Snapshot.objects.all())

    forgot(database, **KEEP_NOTHING)

    assert in_repository(database.repository) == ids(newest) | {photo}


def test_snapshot_forgotten_behind_our_back_is_marked_and_may_come_back(database: Database) -> None:
    gone, there = made_at(database, NOON - timedelta(hours=1)), made_at(database, NOON)
    file = Path(database.repository.url) / "snapshots" / gone.snapshot_id
    content = file.read_bytes()
    restic(database.repository, "forget", gone.snapshot_id)

    sync(database.repository)

    gone.refresh_from_db()
    there.refresh_from_db()
    assert gone.forgotten_at is not None
    assert there.forgotten_at is None

    file.write_bytes(content)
    sync(database.repository)

    gone.refresh_from_db()
    assert gone.forgotten_at is None


def test_repository_shrinks_and_says_how_large_it_is(database: Database) -> None:
    made_at(database, NOON - timedelta(hours=1), size=3_000_000)
    made_at(database, NOON)
    before = play(Action.STATS, repository=database.repository).result["size_bytes"]
    Repository.objects.update(sized_at=timezone.now() - timedelta(days=3))
    disk_before = on_disk(database.repository)

    forgot(database, **KEEP_NOTHING)

    database.repository.refresh_from_db()
    assert database.repository.size_bytes is not None
    assert database.repository.size_bytes < before
    assert on_disk(database.repository) < disk_before


def test_prune_removes_what_others_forgot(database: Database) -> None:
    gone = made_at(database, NOON - timedelta(hours=1), size=3_000_000)
    made_at(database, NOON)
    restic(database.repository, "forget", gone.snapshot_id)
    before = on_disk(database.repository)

    run = play(Action.PRUNE, repository=database.repository)

    assert run.status == "succeeded", run.error
    assert on_disk(database.repository) < before - 1000
    assert run.result["sentence"].startswith("The repository holds")


def test_two_databases_under_one_row_are_two_series(database: Database) -> None:
    """As a row has them that became another's, under one tag; a changed dump format is no other database."""
    shops = [made_at(database, NOON - timedelta(days=days)) for days in (9, 8)]
    Database.objects.filter(pk=database.pk).update(database="other")
    database.refresh_from_db()
    others = [made_at(database, NOON - timedelta(days=days)) for days in (3, 2)]
    Database.objects.filter(pk=database.pk).update(dump_format="sql.gz")
    database.refresh_from_db()
    others.append(made_at(database, NOON))
    assert [snapshot.path.partition(".")[2] for snapshot in others] == ["sql", "sql", "sql.gz"]

    forgot(database, keep_daily=1, keep_weekly=0, keep_monthly=0)

    assert in_repository(database.repository) == ids(shops[-1], others[-1])
    forgot(database, **KEEP_NOTHING)
    assert in_repository(database.repository) == ids(shops[-1], others[-1])


def test_a_safety_copy_is_no_days_backup(database: Database) -> None:
    """Kept for its month and no longer, also where only its tag tells, and in no backup's place."""
    now = timezone.now()
    backup = made_at(database, now - timedelta(hours=3))
    lately, long_ago = (
        made_at(database, now - timedelta(hours=hours), tags=[SAFETY_TAG]) for hours in (2, 24 * 31)
    )

    run = forgot(database, keep_daily=1, keep_weekly=0, keep_monthly=0)

    assert in_repository(database.repository) == ids(backup, lately)
    assert f"keep   {lately.short_id} {lately.local_time:%Y-%m-%d %H:%M}: {holds.SAVED}" in log_of(run)
    assert f"forget {long_ago.short_id}" in log_of(run)
    backup.refresh_from_db()
    assert backup.kept_because == [holds.NEWEST, "daily snapshot"]


@pytest.mark.parametrize(
    "of_database",
    [pytest.param(True, id="after a backup"), pytest.param(False, id="by hand", marks=pytest.mark.soak)],
)
def test_what_a_restore_or_a_verification_needs_outlives_every_forget(
    database: Database, of_database: bool
) -> None:
    """Waiting, running or just failed; and released once it is over."""
    old = [made_at(database, NOON - timedelta(days=days)) for days in (9, 8, 7, 6, 5)]
    newest = made_at(database, NOON)
    for number, (status, wanted) in enumerate(
        zip(("queued", "running", "failed", "lost"), old, strict=False)
    ):
        queued = enqueue(database, RestoreMode.NEW, snapshot=wanted, target=f"copy_{number}")
        over = timezone.now() if status in ("failed", "lost") else None
        Run.objects.filter(pk=queued.pk).update(status=status, finished_at=over, beat_at=timezone.now())
    lifecycle.run_enqueue(
        Wanted(Action.VERIFY, database=database, snapshot=old[4]), Asker(Trigger.CLI), send=False
    )

    def forgot_all() -> Run:
        whose = {"database": database} if of_database else {"repository": database.repository}
        # A command would be refused while the restore runs, which may have begun after the forget.
        run = play(Action.FORGET, Trigger.ADMIN, **whose)
        assert run.status == "succeeded", run.error
        return run

    Database.objects.update(**KEEP_NOTHING)
    database.refresh_from_db()
    told = log_of(forgot_all())

    assert in_repository(database.repository) == ids(*old, newest)
    for status in ("queued", "running", "failed", "lost"):
        assert f", which is {status}, kept" in told or f", which {status}, kept for 30 days" in told
    assert "wanted snapshot of verification" in told
    Run.objects.exclude(action=Action.FORGET).update(status="succeeded", finished_at=timezone.now())
    forgot_all()
    assert in_repository(database.repository) == ids(newest)


def test_a_restore_asked_for_while_forget_plans_keeps_its_snapshot(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, newest = made_at(database, NOON - timedelta(days=1)), made_at(database, NOON)
    undecided_words = series.undecided_words

    def meanwhile(planned: Database, hosts: Iterable[str]) -> list[str]:
        enqueue(database, RestoreMode.NEW, snapshot=old, target="copy")
        return undecided_words(planned, hosts)

    monkeypatch.setattr("backups.actions.forget.series.undecided_words", meanwhile)
    run = forgot(database, **KEEP_NOTHING)

    assert in_repository(database.repository) == ids(old, newest)
    assert f"keep   {old.short_id} after all: wanted snapshot of restore" in log_of(run)


@pytest.mark.parametrize(
    ("waiting", "all_wait", "told"),
    [
        ([], False, "2 snapshots forgotten, 5 kept."),
        (["shop"], True, "Nothing was forgotten: all 5 snapshots of shop stay until somebody says"),
        (["shop"], False, "2 snapshots forgotten, 5 kept; all those of shop stay until somebody says"),
    ],
)
def test_what_waits_for_a_person_is_said_to_stay(waiting: list[str], all_wait: bool, told: str) -> None:
    gone = 0 if all_wait else 2
    assert forget.forgotten_words(gone, 5, waiting, all_wait=all_wait).startswith(told)
