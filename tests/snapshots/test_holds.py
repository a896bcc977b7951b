"""What holds snapshots is asked for in as many words for a thousand as for ten."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.models.lookups import In
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django.fixtures import Settings

from backups.models import Database, Repository, Snapshot
from backups.snapshots import holds, last_copies
from tests.rows import a_server


def _asked(database: Database, count: int) -> tuple[int, int, dict[str, list[str]]]:
    """How many queries, the longest of them, and what is held, with so many snapshots of two databases."""
    now = timezone.now()
    Snapshot.objects.all().delete()
    Snapshot.objects.bulk_create(
        Snapshot(
            repository=database.repository, database=database, snapshot_id=f"{number:064x}",
            time=now - timedelta(hours=number), host="vedetta", made_here=number % 3 != 0,
            path=f"/mysql/{('shop.sql', 'shop.sql.gz', 'blog.sql')[number % 3]}",
        )
        for number in range(count)
    )  # fmt: skip
    with CaptureQueriesContext(connection) as captured:
        held = holds.held(holds.present_of(database.snapshots.all()), now)
    return len(captured), max(len(each["sql"]) for each in captured), held


def test_no_query_grows_with_the_snapshots(db: None) -> None:
    """SQLite takes no more than 250,000 values in one, and each keystroke of the form asks."""
    repository = Repository.objects.create(name="main", url="/nowhere/at/all")
    database = Database.objects.create(name="shop", server=a_server(), database="shop", repository=repository)

    few, many = _asked(database, 9), _asked(database, 900)

    assert many[:2] == few[:2]
    newest = {found for found, why in many[2].items() if holds.NEWEST in why}
    assert newest == {f"{number:064x}" for number in (0, 1, 2)}, "one of each series, and of ours"


def test_databases_whose_names_differ_in_case_alone_are_two(
    db: None, monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    """Also where the portal's database takes them for one, as MySQL and MariaDB do."""
    repository = Repository.objects.create(name="main", url="/nowhere/at/all")
    database = Database.objects.create(name="shop", server=a_server(), database="shop", repository=repository)
    now = timezone.now()
    lower, upper, old = (
        Snapshot.objects.create(
            repository=repository, database=database, snapshot_id=f"{number:064x}", host="vedetta",
            time=now - timedelta(hours=number), made_here=True, path=f"/mysql/{name}.sql",
            manifest={"sections": []},
        )
        for number, name in ((1, "shop"), (2, "Shop"), (3, "Shop"))
    )  # fmt: skip
    # The lookup that such a collation makes of an `IN`.
    monkeypatch.setattr(In, "as_sql", _without_regard_to_case)

    held = holds.held(holds.present_of(database.snapshots.all()), now)

    newest = {found for found, why in held.items() if holds.NEWEST in why}
    assert newest == {lower.snapshot_id, upper.snapshot_id}
    upper.delete()
    days = timedelta(days=settings.RETENTION_OBJECT_DAYS)
    assert last_copies.kept_until(old) == old.time + days


_in = In.as_sql


def _without_regard_to_case(lookup: In, compiler: Any, connection: Any) -> tuple[str, Any]:
    sql, params = _in(lookup, compiler, connection)
    return sql.replace(" IN (", " COLLATE NOCASE IN ("), params
