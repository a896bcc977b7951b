"""From a suspicious backup, and from a failed verification, straight to what changed."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from backups.admin.base import page_url, run_url
from backups.choices import SuspicionState, Verdict
from backups.models import Database, Run, Snapshot, Suspicion, Verification
from tests.admin.conftest import Login
from tests.admin.test_actions import action_url
from tests.requests.conftest import WHOLE


@pytest.fixture
def good_then_doubtful(database: Database) -> list[Snapshot]:
    """Two good ones, a bad one, a suspicious one and the newest."""
    made = []
    for letter, days in (("a", 5), ("b", 4), ("c", 3), ("d", 2), ("e", 1)):
        at = timezone.now() - timedelta(days=days)
        run = Run.objects.create(
            action="backup", database=database, repository=database.repository, trigger="schedule",
            status="succeeded", finished_at=at,
        )  # fmt: skip
        made.append(
            Snapshot.objects.create(
                repository=database.repository, database=database, snapshot_id=letter * 64, made_here=True,
                time=at, path="/mysql/shop.sql", manifest=WHOLE, made_by=run,
            )
        )  # fmt: skip
    Snapshot.objects.filter(pk=made[2].pk).update(verdict=Verdict.DIFFERENT)
    Suspicion.objects.create(snapshot=made[3], database=database, reasons=["It holds no table."])
    return made


def test_a_suspicious_backup_leads_to_what_changed_since_the_last_good_one(
    good_then_doubtful: list[Snapshot], login: Login
) -> None:
    good, suspicious = good_then_doubtful[1], good_then_doubtful[3]
    assert suspicious.made_by is not None
    client = login("Restorer")
    live = f"{run_url(suspicious.made_by)}".removesuffix("change/") + "live/"

    shown = [
        client.get(page_url(suspicious)).content.decode(),
        client.get(run_url(suspicious.made_by)).content.decode(),
        client.get(live).json()["html"],
    ]

    for html in shown:
        assert f"What changed from {good.short_id} to {suspicious.short_id}" in html
        assert f'href="{action_url(good, "what_changed")}?until={suspicious.pk}"' in html
        assert f"What changed since {good.short_id}" in html
    assert client.get(f"{action_url(good, 'what_changed')}?until={suspicious.pk}").status_code == 200
    operator = login("Operator")
    assert "What changed from" not in operator.get(page_url(suspicious)).content.decode()
    Suspicion.objects.update(state=SuspicionState.ACCEPTED)
    assert "What changed from" not in client.get(page_url(suspicious)).content.decode()


@pytest.mark.parametrize("verdict", [Verdict.DIFFERENT, Verdict.UNREADABLE, Verdict.IDENTICAL])
def test_a_failed_verification_leads_there_and_reads_nothing_that_cannot_be_read(
    good_then_doubtful: list[Snapshot], login: Login, verdict: Verdict
) -> None:
    good, bad = good_then_doubtful[1], good_then_doubtful[2]
    run = Run.objects.create(
        action="verify", database=bad.database, repository=bad.repository, trigger="schedule",
        status="succeeded", finished_at=timezone.now(),
    )  # fmt: skip
    found = Verification.objects.create(run=run, snapshot=bad, verdict=verdict, finished_at=timezone.now())

    html = login("Restorer").get(page_url(found)).content.decode()

    assert (f"What changed since {good.short_id}" in html) is (verdict != Verdict.IDENTICAL)
    assert (f"to {bad.short_id}" in html) is (verdict == Verdict.DIFFERENT)


def test_without_a_good_one_before_it_the_doubtful_one_is_compared_with_now(
    good_then_doubtful: list[Snapshot], login: Login
) -> None:
    suspicious = good_then_doubtful[3]
    Snapshot.objects.filter(time__lt=suspicious.time).update(forgotten_at=timezone.now())
    client = login("Restorer")

    assert f"What changed since {suspicious.short_id}" in client.get(page_url(suspicious)).content.decode()

    Snapshot.objects.filter(pk=suspicious.pk).update(forgotten_at=timezone.now())
    assert "What changed since" not in client.get(page_url(suspicious)).content.decode()
