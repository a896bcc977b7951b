"""Of which databases' rows a statement writes: those are named, or it is said that nobody knows."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone

from backups import marks, touched
from backups.choices import Action, Status, Trigger
from backups.models import Database, Repository, Run, Snapshot, Verification
from backups.touched import Row
from tests.rows import a_server

RUN = "backups_run"


@pytest.mark.parametrize(
    ("sql", "params", "rows"),
    [
        ('UPDATE "backups_run" SET "error" = %s WHERE "backups_run"."id" = %s', ("x", 7), {Row(RUN, 7)}),
        (
            ("UPDATE `backups_run` SET `error` = %s, `detail` = NULL WHERE (`backups_run`.`id` = %s AND "
            "`backups_run`.`status` IN (%s, %s))"),
            ("x", 7, "queued", "running"),
            {Row(RUN, 7)},
        ),
        (
            'UPDATE "backups_run" SET "error" = %s WHERE ("backups_run"."id" IN (%s, %s) AND "a" = 1)',
            ("x", 7, 8),
            {Row(RUN, 7), Row(RUN, 8)},
        ),
        (
            ('UPDATE "backups_run" SET "error" = CASE WHEN ("backups_run"."id" = %s) THEN %s ELSE NULL END '
            'WHERE "backups_run"."id" IN (%s)'),
            (7, "x", 7),
            {Row(RUN, 7)},
        ),
        (
            ('INSERT INTO "backups_snapshot" ("database_id", "path") VALUES (%s, %s), (%s, %s) '
            'RETURNING "backups_snapshot"."id"'),
            (3, "x", 4, "y"),
            {Row("backups_database", 3), Row("backups_database", 4)},
        ),
        (
            "INSERT INTO `backups_verification` (`run_id`, `snapshot_id`) VALUES (%s, %s)",
            (1, 2),
            {Row("backups_snapshot", 2)},
        ),
        # Another row than that with this key, or more of them.
        ('UPDATE "backups_run" SET "error" = %s WHERE NOT ("backups_run"."id" = %s)', ("x", 7), None),
        (
            'UPDATE "backups_run" SET "error" = %s WHERE ("backups_run"."id" = %s OR "backups_run"."a" = 1)',
            ("x", 7),
            None,
        ),
        ('UPDATE "backups_run" SET "error" = %s WHERE "backups_run"."parent_id" = %s', ("x", 7), None),
        (
            'UPDATE "backups_run" SET "error" = (SELECT 1 WHERE "backups_run"."id" = %s) WHERE 1',
            (7,),
            None,
        ),
        # Of two databases.
        ('UPDATE "backups_run" SET "database_id" = %s WHERE "backups_run"."id" = %s', (1, 7), None),
        ('INSERT INTO "backups_snapshot" ("database_id") VALUES (%s)', (None,), None),
        (
            'INSERT INTO "backups_run" ("database_id") VALUES (%s), (%s)', (None, 3),
            {Row("backups_database", 3)},
        ),
        # Whose key nobody knows yet.
        ('INSERT INTO "backups_database" ("name") VALUES (%s)', ("x",), None),
        ('INSERT INTO "backups_run" ("database_id") SELECT 1', (), None),
        ('INSERT INTO "backups_run" ("database_id") VALUES (%s + 1)', (1,), None),
        ('DELETE FROM "backups_run" WHERE "backups_run"."id" = %s', (7,), None),
        ("UPDATE backups_run SET error = 'x' WHERE id = 7", (), None),
        ('UPDATE "backups_run" SET "error" = %s', ("x",), None),
        ('UPDATE "backups_run" SET "error" = %(a)s WHERE "backups_run"."id" = %(b)s', {"a": 1, "b": 2}, None),
        ('UPDATE "backups_run" SET "error" = %s WHERE "backups_run"."id" = %s', ("x", "7"), None),
    ],
)  # fmt: skip
def test_rows_are_named_or_all_may_be_meant(sql: str, params: Any, rows: set[Row] | None) -> None:
    assert touched.rows(sql, params) == rows


@pytest.fixture
def databases(transactional_db: None) -> list[Database]:
    """Two, whose marks are there."""
    repository = Repository.objects.create(name="main", url="/srv/restic")
    server = a_server()
    return [
        Database.objects.create(name=name, database=name, server=server, repository=repository)
        for name in ("shop", "blog")
    ]


def test_what_a_backup_and_its_proof_write_is_of_their_database_alone(databases: list[Database]) -> None:
    """On the database that the tests are run on; else each write would have all of them read again."""
    shop, _ = databases
    of_shop = {marks.group_of(shop.pk)}
    before = marks.Versions().groups

    def changed() -> set[int]:
        nonlocal before
        was, before = before, marks.Versions().groups
        return marks.changed(was, before)

    run = Run(action=Action.BACKUP, trigger=Trigger.CLI, database=shop, repository=shop.repository)
    run.save()
    assert changed() == of_shop
    Run.objects.filter(pk=run.pk, status=Status.QUEUED).update(status=Status.RUNNING)
    assert changed() == of_shop
    snapshot = Snapshot(
        repository=shop.repository, database=shop, made_by=run, snapshot_id="a" * 64, time=timezone.now(),
        path="/x", manifest={"sections": []},
    )  # fmt: skip
    with transaction.atomic():
        snapshot.save()
        Run.objects.bulk_update([run], ["error"])
    assert changed() == of_shop
    Verification.objects.create(run=run, snapshot=snapshot, verdict="identical")
    assert changed() == of_shop
    snapshot.verified_at = timezone.now()
    snapshot.save(update_fields=["verified_at"])
    assert changed() == of_shop
    Database.objects.filter(pk=shop.pk).update(client_version="11.8")
    assert changed() == of_shop
    # One of no database, such as a check.
    Run.objects.create(action=Action.CHECK, trigger=Trigger.CLI, repository=shop.repository)
    assert changed() == set()
    Run.objects.filter(database=shop).update(error="x")
    assert changed() == set(range(marks.GROUPS))
