"""A log whose pieces lie in S3: stored, read back, searched, replayed to a moment, and proved."""

from __future__ import annotations

import pytest
from pytest_django.fixtures import Settings

from backups.choices import Action, ReplayVerdict, RestoreMode, Status
from backups.models import LogPiece, ReplayProof, Repository, Run
from backups.shipping import reading_back, storing
from tests.actions.tools import play
from tests.backups.conftest import bucket, s3_repository
from tests.moments.conftest import To, restorable
from tests.moments.test_restores import the_mistake
from tests.moments.test_searching import found
from tests.restoring.stories import content, succeeded, with_events_disabled
from tests.servers import DatabaseServer, S3Server
from tests.shipping.conftest import Ship, Shipped

__all__ = ["bucket", "s3_repository"]
pytestmark = pytest.mark.django_db


@pytest.fixture
def in_s3(
    shared_mariadb: DatabaseServer,
    ship: Ship,
    s3_server: S3Server,
    s3_repository: str,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> Shipped:
    """A shop whose backups and log go to S3."""
    settings.REPLAY_ON_LIVE = True
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    there = Repository.objects.create(name="in S3", url=s3_repository, check_interval=0)
    return ship(restorable(shared_mariadb), repository=there)


def test_it_is_stored_read_back_replayed_and_proved(in_s3: Shipped, to_moment: To) -> None:
    shop, then = in_s3.shop, f"{in_s3.shop.name}__then"
    until, before = the_mistake(in_s3)
    assert b"after the mistake" in in_s3.stored()

    assert [each.tables for each in found(in_s3, key="39").transactions] == []
    assert {"customers": {"insert": 40}} in [each.tables for each in found(in_s3, key="139").transactions]
    succeeded(to_moment(in_s3, until, RestoreMode.NEW, then))
    assert content(shop.server, then) == with_events_disabled(before)

    # A proof is one of a hundred transactions at least.
    shop.execute("INSERT INTO journal (what) VALUES ('x');" * 110)
    in_s3.base()
    LogPiece.objects.update(sealed=True, read_back_at=None)
    chain = reading_back.read_back(in_s3.database, storing.access_to(in_s3.database), lambda: None)
    assert (chain.read, chain.wrong) == (len(in_s3.pieces), ())
    run = play(Action.REPLAY, database=in_s3.database)
    assert run.status == Status.SUCCEEDED, run.error
    proof = ReplayProof.objects.get(run=run)
    assert proof.verdict == ReplayVerdict.IDENTICAL, proof.reason


@pytest.mark.soak
def test_a_piece_that_is_gone_from_there_is_told_and_the_log_begins_anew(in_s3: Shipped) -> None:
    """No folder lists what there is: reading one says so."""
    the_mistake(in_s3)
    (piece,) = [each for each in in_s3.pieces if each.transactions]
    LogPiece.objects.filter(pk=piece.pk).update(sealed=True, snapshot_id="f" * 64)

    in_s3.look()

    (gap,) = in_s3.gaps
    assert gap.ends is None
    assert Run.objects.filter(action=Action.BACKUP, status=Status.QUEUED).delete()[0]
    in_s3.base()
    assert in_s3.archive.state == "following"
