"""Marks of tables: each write that is committed raises one, whoever writes and however."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from itertools import count

import pytest
from django.apps import apps
from django.db import connection, transaction
from django.db.models import F
from django.utils import timezone
from django_q.models import Schedule
from pytest_django import Settings

from backups import marks
from backups.choices import Action, Status, Trigger
from backups.models import Database, Mark, Repository, Run
from backups.runs import lifecycle
from backups.scheduling import schedules
from tests.backups.worlds import Portal
from tests.rows import a_server

# Of the moment, or asked for by whoever shows them: see the module.
WITHOUT = {
    "account",
    "downloadticket",
    "label",
    "logmark",
    "logpiece",
    "logtransaction",
    "mark",
    "question",
    "runline",
    "signin",
    "workerpulse",
}


def test_every_table_has_a_mark_but_those_that_say_why_not() -> None:
    ours = {model._meta.db_table for model in apps.get_app_config("backups").get_models()}
    without = {f"backups_{name}" for name in WITHOUT}

    assert {name for name in marks.TABLES if name.startswith("backups_")} == ours - without


@pytest.mark.parametrize(
    ("sql", "table"),
    [
        ('INSERT INTO "backups_run" ("id") SELECT 1', "backups_run"),
        ("INSERT IGNORE INTO `backups_run` VALUES (1)", "backups_run"),
        ("INSERT OR IGNORE INTO backups_run VALUES (1)", "backups_run"),
        ('DELETE FROM "backups_snapshot" WHERE 1', "backups_snapshot"),
        ("DELETE `backups_alert` FROM `backups_alert` INNER JOIN x", "backups_alert"),
        (' update "backups_run" set "error" = %s where "id" = 1', "backups_run"),
        ('UPDATE "backups_run" SET "beat_at" = %s, "status" = %s WHERE "id" = 1', "backups_run"),
        # Nobody should have to understand what a beat would be set to.
        ('UPDATE "backups_run" SET "beat_at" = (SELECT 1 WHERE 1), "status" = %s WHERE 1', "backups_run"),
        ('UPDATE "backups_run" SET "beat_at" = %s', "backups_run"),
        ('UPDATE "backups_run" SET "beat_at" = %s, "phase" = %s WHERE ("id" = %s)', None),
        ('UPDATE "backups_database" SET "lease_run_id" = NULL, "lease_until" = NULL WHERE 1', None),
        ('UPDATE "backups_database" SET "beat_at" = %s WHERE 1', "backups_database"),
        ('TRUNCATE "backups_verification"', "backups_verification"),
        ('WITH x AS (SELECT 1) UPDATE "backups_suspicion" SET a = 1', "backups_suspicion"),
        ('SELECT * FROM "backups_run" FOR UPDATE', None),
        ('(SELECT "value" FROM "backups_mark") UNION (SELECT "id" FROM "backups_run")', None),
        ('INSERT INTO "backups_runline" ("id") VALUES (1)', None),
        ('UPDATE "backups_mark" SET "value" = 1', None),
        ('INSERT INTO "django_session" VALUES (1)', None),
    ],
)
def test_it_is_seen_what_a_statement_writes_to(sql: str, table: str | None) -> None:
    assert marks.written(sql) == ({table} if table else set())


def test_what_schedules_order_has_a_mark_that_times_that_come_due_leave_alone(
    transactional_db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(marks, "BOUND_SECONDS", 10**6)
    orders, every = frozenset({marks.ORDERS}), frozenset({"django_q_schedule"})

    def are_other(work: Callable[[], object]) -> tuple[bool, bool]:
        """Whether the orders are, and whether the rows are."""
        before = marks.version(orders), marks.version(every)
        work()
        return marks.version(orders) != before[0], marks.version(every) != before[1]

    now = timezone.now()
    schedule = Schedule.objects.create(name="vedetta backup 1", func="any", cron="0 3 * * *", next_run=now)
    rows = Schedule.objects.filter(pk=schedule.pk)
    marks.version(orders)
    due = schedules.Due(schedule.pk, schedule.name, "backup", 1, now)

    assert are_other(lambda: schedules.pass_on(due)) == (False, True)
    assert are_other(lambda: schedule.save(update_fields=["next_run"])) == (False, True)
    assert are_other(schedule.save) == (True, True)
    assert are_other(lambda: rows.update(next_run=None)) == (True, True)
    assert are_other(lambda: rows.update(next_run=now, func="os.system")) == (True, True)
    assert are_other(lambda: rows.update(next_run=F("next_run"))) == (True, True)
    assert are_other(rows.delete) == (True, True)
    assert are_other(lambda: Schedule.objects.create(name="theirs", func="os.system")) == (True, True)
    assert are_other(lambda: None) == (False, False)


@pytest.fixture
def run(transactional_db: None) -> Run:
    """A running one, whose table and those that it needs have their marks."""
    repository = Repository.objects.create(name="main", url="/srv/restic")
    database = Database.objects.create(name="shop", database="shop", server=a_server(), repository=repository)
    run = Run.objects.create(
        action=Action.BACKUP, trigger=Trigger.CLI, database=database, repository=repository,
        status=Status.RUNNING,
    )  # fmt: skip
    marks.version()
    return run


def same(work: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether the version is the same after `work`, were no time to pass."""
    monkeypatch.setattr(time, "time", lambda: 1_800_000_000.0)
    before = marks.version()
    assert before == marks.version()
    work()
    return before == marks.version()


def undone(*, at_last: Callable[[], object] = lambda: None) -> None:
    """A transaction in which something is written, and taken back, and then what is done `at_last`."""
    with transaction.atomic():
        try:
            with transaction.atomic():
                Run.objects.update(error="of a savepoint")
                raise LookupError
        except LookupError:
            at_last()


def raw() -> None:
    """What no model knows of."""
    with connection.cursor() as cursor:
        cursor.execute("UPDATE backups_run SET error = 'raw'")


def many_times() -> None:
    """Once for each of several rows."""
    with connection.cursor() as cursor:
        cursor.executemany("UPDATE backups_run SET error = %s", [("a",), ("b",)])


def of_a_transaction() -> None:
    """Written before and after what was inside is over."""
    with transaction.atomic():
        with transaction.atomic():
            Run.objects.update(error="inside")
        Repository.objects.update(check_error="after it")


def test_whatever_is_written_changes_the_version_and_what_is_not_does_not(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def row(**fields: object) -> Run:
        return Run(action=Action.CHECK, trigger=Trigger.CLI, repository=run.repository, **fields)

    for write in (
        lambda: Run.objects.update(error="none"),
        lambda: row().save(),
        lambda: Run.objects.bulk_create([row(), row()]),
        lambda: Run.objects.bulk_update([run], ["error"]),
        lambda: Run.objects.exclude(pk=run.pk).delete(),
        raw,
        many_times,
        of_a_transaction,
        lambda: undone(at_last=lambda: Run.objects.update(error="after it was undone")),
        lambda: undone(at_last=lambda: Repository.objects.update(check_error="of another")),
    ):
        assert not same(write, monkeypatch)

    beat = lifecycle.Beat("dump", 1, None, "a table")
    nobody = Run.objects.filter(pk=0)
    for other in (
        lambda: list(Run.objects.all()),
        lambda: lifecycle.run_beat(run.pk, beat),
        lambda: nobody.update(error="of nobody"),
        nobody.delete,
    ):
        assert same(other, monkeypatch)
    before = set(marks.rows())
    undone()
    assert set(marks.rows()) == before
    # Written in the midst of it, an insert whose key is read afterwards is there.
    assert Run.objects.get(pk=run.pk).phase == "dump"


def test_a_mark_that_was_not_raised_is_late_by_the_bound(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """As of a process that was killed after its commit."""
    monkeypatch.setattr(marks, "_raise", lambda *_: None)
    assert same(lambda: Run.objects.update(error="nobody is told"), monkeypatch)
    version = marks.version()

    monkeypatch.setattr(time, "time", lambda: 1_800_000_000.0 + marks.BOUND_SECONDS)

    assert marks.version() != version


def test_what_was_written_while_a_mark_was_missing_is_seen(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def lose_it() -> None:
        Mark.objects.filter(name="backups_run").delete()
        Run.objects.update(error="that left no mark")

    assert not same(lose_it, monkeypatch)


def test_other_hooks_of_a_commit_see_what_was_committed(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    def write() -> None:
        with transaction.atomic():
            transaction.on_commit(lambda: seen.append(marks.version()))
            Run.objects.update(error="new")

    monkeypatch.setattr(time, "time", lambda: 1_800_000_000.0)
    before = marks.version()
    write()
    assert len({before, *seen, marks.version()}) == 3


@pytest.mark.parametrize("within", [nullcontext, transaction.atomic])
def test_nothing_is_kept_of_what_was_read_in_a_transaction_that_was_taken_back(
    run: Run, monkeypatch: pytest.MonkeyPatch, within: Callable[[], AbstractContextManager[object]]
) -> None:
    """Whether what is read next is read in a transaction or not."""
    monkeypatch.setattr(time, "time", lambda: 1_800_000_000.0)
    of_all, of_table = marks.Kept[str](), marks.Kept[str]()

    def read() -> str:
        return Run.objects.get(pk=run.pk).error

    def told() -> tuple[str, str]:
        version = marks.version()
        return of_all.get(version, read), of_table.get(marks.Versions().of("backups_run"), read)

    with suppress(LookupError), transaction.atomic():
        Run.objects.update(error="never committed")
        assert told() == ("never committed", "never committed")
        raise LookupError

    with within():
        assert told() == ("", "")
        assert marks.version() == marks.version()


def test_what_is_kept_is_made_anew_when_something_was_written_or_set(run: Run, settings: Settings) -> None:
    kept = marks.Kept[int]()
    made = count()

    def get() -> int:
        return kept.get(marks.version(), lambda: next(made))

    settings.PING_URL = "https://example.com/a"
    first = get()
    assert get() in (first, first + 1)  # that is, unless half a minute is just over
    now = get()
    Run.objects.update(error="new")
    assert get() > now
    now = get()
    settings.PING_URL = "https://example.com/b"
    assert get() > now


_TELL = """
import time
from django.utils import timezone
from backups import marks
from backups.models import Repository, Run
time.time = lambda: 1.8e9
repository = Repository.objects.get()
{work}
print(marks.version(["backups_repository"]))
"""
# Numbers of runs are told by their beats, in the query that tells marks.
_BEGIN = """
run = Run.objects.create(action="check", trigger="cli", repository=repository, status="running")
Run.objects.filter(pk=run.pk).update(beat_at=timezone.now())
asked = list(marks.rows().union(marks.beats()))
print(run.pk in [beat // 61 for kind, beat in asked if kind == marks.BEAT])
print(len(marks.TABLES) == sum(kind == marks.MARK for kind, _ in asked))
both = marks.Versions(with_beats=True)
print([beat // 61 for beat in both.beats] == [run.pk], both.version == marks.version())
"""


_FEW = """
from django.utils import timezone
from backups import marks
from backups.models import Channel, Database, PortalStart, PublicKey, StandDown, WorkerPulse
from backups.reports import few_rows
marks.BOUND_SECONDS = 10**6
database, now = Database.objects.get(), timezone.now()
loud = {"events": ["failed", "restore"], "last_ok": False, "parts": {"last_answer": ["no \u2603"]}}
channels = {"on c\u00e4ll": loud, "night": {"last_answer": "none"}, "unused": {"is_enabled": False}}
for name, more in channels.items():
    Channel.objects.create(name=name, kind="webhook", **more)
by = {"database": database, "made_by": "ann"}
StandDown.objects.create(kind="pause", reason="moves", until=now, **by)
StandDown.objects.create(kind="mute", reason="over", ended_at=now, **by)
PortalStart.objects.update_or_create(pk=1, defaults={"started_at": now, "secrets": ["MYSQL_PASSWORD"]})
WorkerPulse.objects.all().delete()
for cluster in ("vedetta", "restores"):
    WorkerPulse.objects.create(cluster=cluster, seen_at=now.replace(microsecond=0))

def same(found, rows, *names):
    told = [[[getattr(row, name) for name in ("pk", *names)] for row in each] for each in (found, rows)]
    print(told[0] == told[1], len(told[0]))

few, pulses = few_rows.read(marks.Versions())
of_channel = ("name", "is_watching", "is_failing", "events", "last_ok", "last_answer", "parts")
same(few.channels, Channel.objects.filter(is_enabled=True), *of_channel)
of_stand_down = ("kind", "reason", "until", "made_at", "made_by")
same(few.stand_downs, StandDown.objects.filter(ended_at=None), *of_stand_down)
same([each.database for each in few.stand_downs], [database], "name")
same([few.public_key], PublicKey.objects.all(), "noted_at", "copied_at")
same(pulses, WorkerPulse.objects.all(), "cluster", "seen_at")
print(few.portal_start.secrets, few.waiting, few_rows.read(marks.Versions())[1])
"""


def test_tables_of_few_rows_are_read_in_one_query_on_each_kind_of_database(portal: Portal) -> None:
    told = portal.shell(_FEW).splitlines()

    counts = (2, 1, 1, 1, 2)
    assert told == [*(f"True {count}" for count in counts), "['MYSQL_PASSWORD'] frozenset() None"]


def test_another_process_sees_it_on_each_kind_of_database(portal: Portal) -> None:
    def told(work: str = "") -> list[str]:
        return portal.shell(_TELL.format(work=work)).splitlines()

    before = told()
    changed = told("Repository.objects.update(check_error='odd')")
    assert changed != before
    assert told(_BEGIN) == ["True", "True", "True True", *changed]
