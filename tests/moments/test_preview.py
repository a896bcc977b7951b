"""What is told before a restore to a moment: its place, what is lost, how long it takes, what is missing."""

from __future__ import annotations

import os
import subprocess
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from backups.actions import answers
from backups.choices import ReplayVerdict, RestoreMode
from backups.models import LogTransaction, ReplayProof, Run, Snapshot
from backups.moments.rows import draft_of
from backups.moments.until import Until, before_transaction
from backups.requests import RestoreRequest
from backups.requests.questions import PreviewQuestion
from backups.restoring.plan import heard
from tests.backups.worlds import RESTIC_PASSWORD
from tests.shipping.conftest import Shipped

pytestmark = pytest.mark.django_db


def asked(shipped: Shipped, until: Until, mode: RestoreMode) -> dict[str, Any]:
    """What the worker answers, as the page hears it."""
    base = Snapshot.objects.get(pk=draft_of(shipped.database, until).base.key)
    target = shipped.shop.name if mode == RestoreMode.REPLACE else f"{shipped.shop.name}__then"
    question = PreviewQuestion(RestoreRequest(shipped.database, base, mode, target, until=until))
    told = dict(answers.answer(PreviewQuestion.from_row(question.asked())))
    plan = heard(base, mode, target, told)
    assert plan.moment == told.get("moment")
    return told


def the_mistake(shipped: Shipped) -> Until:
    """Much is deleted, and work goes on; gives the moment just before it."""
    rows = ", ".join(f"({number}, 'x')" for number in range(100, 140))
    shipped.shop.execute(f"INSERT INTO customers VALUES {rows}")
    shipped.shop.execute("DELETE FROM customers WHERE id >= 100")
    shipped.look()
    shipped.shop.execute("INSERT INTO journal (what) VALUES ('later')")
    shipped.look()
    assert [gap.sentence for gap in shipped.gaps] == []
    listed = LogTransaction.objects.filter(piece__database=shipped.database).order_by("position")
    delete = next(each for each in listed if "delete" in each.tables.get("customers", {}))
    return before_transaction(f"{delete.piece.file}:{delete.position}")


@pytest.mark.one_flavour("mysql")
def test_where_it_is_and_what_is_lost(shipped: Shipped) -> None:
    until = the_mistake(shipped)

    told = asked(shipped, until, RestoreMode.REPLACE)

    assert told["obstacles"] == []
    moment = told["moment"]
    assert f"{moment['file']}:{moment['position']}" == until.before
    assert moment["last"]["position"] < moment["position"] == moment["left_out"]["position"]
    assert (moment["pieces"], moment["lost_transactions"]) == (1, 2)
    assert moment["log_bytes"] > 0
    # Nobody has measured how fast a log is replayed here.
    assert (moment["replay_seconds"], told["seconds"]) == (None, None)


@pytest.mark.one_flavour("mariadb")
def test_how_long_it_takes_by_the_speed_of_proofs_and_what_stands_in_the_way_is_told_before(
    shipped: Shipped, settings: Settings
) -> None:
    until = the_mistake(shipped)
    base = Snapshot.objects.get()
    for verdict, seconds in ((ReplayVerdict.IDENTICAL, 4.0), (ReplayVerdict.DIFFERENT, 4000.0)):
        run = Run.objects.create(
            action="verify", database=shipped.database, repository=shipped.database.repository, trigger="cli"
        )
        ReplayProof.objects.create(
            run=run, database=shipped.database, base=base, verdict=verdict, log_bytes=4000,
            replay_seconds=seconds, load_seconds=1,
        )  # fmt: skip

    moment = asked(shipped, until, RestoreMode.NEW)["moment"]

    assert moment["replay_seconds"] == pytest.approx(moment["log_bytes"] / 1000, abs=0.1)

    settings.REPLAY_ON_LIVE = False
    told = asked(shipped, until, RestoreMode.NEW)
    if shipped.shop.server.flavour == "mariadb":
        assert "REPLAY_ON_LIVE=true" in " ".join(told["obstacles"])
        assert "moment" not in told

    settings.REPLAY_ON_LIVE = True
    piece = next(each for each in shipped.pieces if each.transactions)
    subprocess.run(
        [shipped.restic_path, "-r", shipped.database.repository.url, "forget", piece.snapshot_id],
        env={"RESTIC_PASSWORD": RESTIC_PASSWORD, "RESTIC_CACHE_DIR": os.environ["RESTIC_CACHE_DIR"]},
        check=True, capture_output=True,
    )  # fmt: skip
    told = asked(shipped, until, RestoreMode.NEW)
    assert "A piece of the log is missing in the repository" in " ".join(told["obstacles"])
