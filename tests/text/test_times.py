"""A time on a page is never of a year or a zone that its reader has to guess, and a command can be typed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from backups import installation
from backups.templatetags.formatting import with_commands
from backups.text import formatting

NOW = datetime(2026, 1, 2, 9, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("before", "told"),
    [
        (timedelta(hours=1), "today 08:00"),
        (timedelta(days=1), "yesterday 09:00"),
        (timedelta(days=2), "Wed 31 Dec 2025, 09:00"),
        (timedelta(days=3650), "Tue 5 Jan 2016, 09:00"),
        (-timedelta(days=1), "tomorrow 09:00"),
        (-timedelta(days=400), "Sat 6 Feb 2027, 09:00"),
    ],
)
def test_a_day_further_away_has_its_year(before: timedelta, told: str) -> None:
    assert formatting.clock(NOW - before, NOW) == told


def test_the_zone_is_one_look_away() -> None:
    with timezone.override("Europe/Rome"):
        shown = str(formatting.short_time(datetime(2025, 7, 1, 10, 0, tzinfo=UTC)))
    assert 'title="Tue 1 Jul 2025, 12:00:00 CEST"' in shown
    assert 'datetime="2025-07-01T10:00:00+00:00"' in shown


@pytest.mark.parametrize(
    ("image", "units", "typed"),
    [
        (True, False, "docker compose exec db_backup manage verify"),
        (False, True, "sudo vedetta verify"),
        (False, False, "manage.py verify"),
    ],
)
def test_a_command_is_the_one_of_this_installation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, image: bool, units: bool, typed: str
) -> None:
    (tmp_path / "vedetta-worker.service").touch()
    monkeypatch.setattr(installation, "_IMAGE", (tmp_path if image else tmp_path / "none",))
    monkeypatch.setattr(installation, "_UNITS", (tmp_path if units else tmp_path / "none",))
    installation.commands.cache_clear()
    try:
        shown = with_commands("Press Verify newest, or run `manage.py verify`. See `TIME_ZONE` <b>.")
    finally:
        installation.commands.cache_clear()
    assert f"{typed}</code>" in shown
    assert '<code class="v-mono v-command">' in shown
    assert '<code class="v-mono">TIME_ZONE</code> &lt;b&gt;.' in shown


@pytest.mark.parametrize(
    ("took", "allowed", "told"),
    [
        (26 * 3600 + 300, 26 * 3600, "more than 26 hours"),
        (26 * 3600, 26 * 3600, "26 hours"),
        (27 * 3600, 26 * 3600, "27 hours"),
        (90.5, timedelta(seconds=90), "more than 90 seconds"),
        (3600, None, "60 minutes"),
    ],
)
def test_an_age_is_never_told_as_what_is_allowed_where_it_is_more(
    took: float, allowed: timedelta | float | None, told: str
) -> None:
    assert formatting.beyond(took, allowed) == told
