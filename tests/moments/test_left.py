"""However a restore to a moment ends, nothing but what was asked for is changed, and nothing is left."""

from __future__ import annotations

from typing import Any

import pytest

from backups.choices import RestoreMode
from backups.errors import Cancelled
from backups.models import Database, Run, Snapshot
from backups.moments.until import Until
from backups.replaying import way
from backups.replaying.result import Replayed
from backups.worker import reaper
from tests.backups.conftest import MakeDatabase
from tests.backups.worlds import Shop
from tests.moments.conftest import To, now
from tests.restoring.stories import content, databases_of
from tests.servers import DatabaseServer
from tests.shipping.conftest import Shipped

pytestmark = pytest.mark.django_db


@pytest.mark.one_flavour("mariadb")
@pytest.mark.parametrize("mode", [pytest.param(RestoreMode.NEW, marks=pytest.mark.soak), RestoreMode.REPLACE])
def test_cancelled_between_two_transactions(
    shipped: Shipped, to_moment: To, monkeypatch: pytest.MonkeyPatch, mode: RestoreMode
) -> None:
    shop = shipped.shop
    for number in range(5):
        shop.execute(f"INSERT INTO journal (what) VALUES ('{number}')")
    shipped.look()
    until = now()
    shipped.look()
    before = content(shop.server, shop.name)
    replay: Any = way.replay
    seen: list[int] = []

    def stopped(*arguments: Any) -> Any:
        *others, tick = arguments

        def tick_until_the_second(replayed: Replayed) -> None:
            tick(replayed)
            seen.append(replayed.seen)
            if replayed.seen == 2:
                raise Cancelled

        return replay(*others, tick_until_the_second)

    monkeypatch.setattr("backups.actions.steps.log_replayed.replay", stopped)
    target = shop.name if mode == RestoreMode.REPLACE else f"{shop.name}__then"

    run = to_moment(shipped, until, mode, target)

    assert run.status == "cancelled", run.error
    assert seen[-1] == 2
    assert content(shop.server, shop.name) == before
    assert databases_of(shop) == [shop.name]


def test_what_a_dead_one_left_where_files_are_made_is_dropped_there(
    mariadb_shop: Shop, mysql_server: DatabaseServer, make_database: MakeDatabase,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """A file of a moment is made on the server for test restores, and not where the database lives."""
    monkeypatch.setenv("VERIFY_PASSWORD", mysql_server.password)
    database = make_database(
        mariadb_shop, verify_host=mysql_server.host, verify_port=mysql_server.port,
        verify_user=mysql_server.user, verify_password_ref="env:VERIFY_PASSWORD",
    )  # fmt: skip
    run = _dead(database)
    scratch = f"{mariadb_shop.name}__verify_{run.pk}"
    mysql_server.create_database(scratch)
    there = f"{mysql_server.host}:{mysql_server.port}"
    Run.objects.filter(pk=run.pk).update(result={"scratch": scratch, "verified_on": {"address": there}})

    reaper.run()

    assert scratch not in [name for (name,) in mysql_server.query("SHOW DATABASES")]
    run.refresh_from_db()
    assert "scratch" not in run.result


def _dead(database: Database) -> Run:
    """A restore to a file whose worker is gone."""
    snapshot = Snapshot.objects.create(
        repository=database.repository, database=database, snapshot_id="a" * 64, path="/mysql/x.sql",
        time="2026-11-28T12:00:00Z",
    )  # fmt: skip
    run = Run.objects.create(
        action="restore", database=database, repository=database.repository, snapshot=snapshot, trigger="cli",
        status="lost",
    )  # fmt: skip
    database.restores.create(
        run=run, snapshot=snapshot, mode=RestoreMode.FILE, target="/nowhere",
        until=Until(before="binlog.000001:4").stored(),
    )  # fmt: skip
    return run
