"""Numbers, sizes, times and plurals on pages, from nothing to what a large shop has, in both languages."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.template import Context, Template
from django.test.utils import override_settings
from django.utils import timezone
from django.utils.html import strip_tags
from django.utils.translation import override

from backups.templatetags.formatting import register
from backups.text import formatting
from backups.text.sentences import number, plural, told_again

NOW = datetime(2026, 1, 2, 9, 0, 7, tzinfo=UTC)
MINUTE, HOUR, DAY, YEAR = 60, 3600, 86400, 365 * 86400
TEN_YEARS = timedelta(days=3653)
KINDS = {"of_kind", "with_commands", "as_in_sidebar", "status_colour"}

# A filter, a value, and what it is in English and in Italian.
FILTERED: list[tuple[str, Any, str, str]] = [
    ("to_the_second", NOW, "10:00:07", "10:00:07"),
    ("to_the_second", NOW - timedelta(days=1), "1 Jan 10:00:07", "1 gen 10:00:07"),
    ("to_the_second", NOW - timedelta(days=2), "31 Dec 2025 10:00:07", "31 dic 2025 10:00:07"),
    ("size", None, formatting.EMPTY, formatting.EMPTY),
    ("size", 0, "0 B", "0 B"),
    ("size", 1, "1 B", "1 B"),
    ("size", 999, "999 B", "999 B"),
    ("size", 1000, "1.0 kB", "1,0 kB"),
    ("size", 999_949, "999.9 kB", "999,9 kB"),
    ("size", 999_950, "1.0 MB", "1,0 MB"),
    ("size", 15_300_000, "15.3 MB", "15,3 MB"),
    ("size", 10**9 - 1, "1.0 GB", "1,0 GB"),
    ("size", 10**9, "1.0 GB", "1,0 GB"),
    ("size", 10**13, "10.0 TB", "10,0 TB"),
    ("size", 10**15, "1.0 PB", "1,0 PB"),
    ("size", -1, "-1 B", "-1 B"),
    ("size", -1_500_000, "-1.5 MB", "-1,5 MB"),
    ("speed", None, formatting.EMPTY, formatting.EMPTY),
    ("speed", 0.4, "0 B/s", "0 B/s"),
    ("speed", 15_300_000.4, "15.3 MB/s", "15,3 MB/s"),
    ("speed", 1e13, "10.0 TB/s", "10,0 TB/s"),
    ("duration", None, formatting.EMPTY, formatting.EMPTY),
    ("duration", 0, "0.0 s", "0,0 s"),
    ("duration", -3, "0.0 s", "0,0 s"),
    ("duration", 1, "1.0 s", "1,0 s"),
    ("duration", 9.94, "9.9 s", "9,9 s"),
    ("duration", 9.96, "10 s", "10 s"),
    ("duration", 59.6, "1 min", "1 min"),
    ("duration", 252, "4 min 12 s", "4 min 12 s"),
    ("duration", HOUR - 0.4, "1 h", "1 h"),
    ("duration", HOUR + 5, "1 h", "1 h"),
    ("duration", DAY + HOUR, "1 d 1 h", "1 g 1 h"),
    ("duration", timedelta(days=2, hours=3), "2 d 3 h", "2 g 3 h"),
    ("duration", TEN_YEARS, "3653 d", "3653 g"),
    ("approximate_duration", None, formatting.EMPTY, formatting.EMPTY),
    ("approximate_duration", -5, "0 seconds", "0 secondi"),
    ("approximate_duration", 0, "0 seconds", "0 secondi"),
    ("approximate_duration", 1, "1 second", "1 secondo"),
    ("approximate_duration", 119, "119 seconds", "119 secondi"),
    ("approximate_duration", 120, "2 minutes", "2 minuti"),
    ("approximate_duration", 2 * HOUR - 1, "119 minutes", "119 minuti"),
    ("approximate_duration", 26 * HOUR, "26 hours", "26 ore"),
    ("approximate_duration", 2 * DAY, "2 days", "2 giorni"),
    ("approximate_duration", 60 * DAY, "2 months", "2 mesi"),
    ("approximate_duration", 2 * YEAR - 1, "24 months", "24 mesi"),
    ("approximate_duration", TEN_YEARS, "10 years", "10 anni"),
    ("exact", NOW, "Fri 2 Jan 2026, 10:00:07 CET", "ven 2 gen 2026, 10:00:07 CET"),
    ("exact", NOW - TEN_YEARS, "Sat 2 Jan 2016, 10:00:07 CET", "sab 2 gen 2016, 10:00:07 CET"),
    ("relative_time", None, formatting.EMPTY, formatting.EMPTY),
    ("relative_time", NOW, "just now", "poco fa"),
    ("relative_time", NOW - timedelta(seconds=1), "just now", "poco fa"),
    ("relative_time", NOW + timedelta(seconds=1), "in a moment", "tra un attimo"),
    ("relative_time", NOW - timedelta(seconds=45), "1 minute ago", "1 minuto fa"),
    ("relative_time", NOW - timedelta(seconds=119), "1 minute ago", "1 minuto fa"),
    ("relative_time", NOW - timedelta(minutes=2), "2 minutes ago", "2 minuti fa"),
    ("relative_time", NOW + timedelta(hours=3), "in 3 hours", "tra 3 ore"),
    ("relative_time", NOW - TEN_YEARS, "10 years ago", "10 anni fa"),
    ("short_time", None, formatting.EMPTY, formatting.EMPTY),
    ("short_time", NOW, "today 10:00", "oggi 10:00"),
    ("short_time", NOW - timedelta(days=1), "yesterday 10:00", "ieri 10:00"),
    ("short_time", NOW + timedelta(hours=14), "tomorrow 00:00", "domani 00:00"),
    ("short_time", NOW - TEN_YEARS, "Sat 2 Jan 2016, 10:00", "sab 2 gen 2016, 10:00"),
    ("time_with_age", None, formatting.EMPTY, formatting.EMPTY),
    ("time_with_age", NOW - timedelta(hours=3), "today 07:00 (3 hours ago)", "oggi 07:00 (3 ore fa)"),
    ("intcomma", 0, "0", "0"),
    ("intcomma", 10**13, "10,000,000,000,000", "10.000.000.000.000"),
]  # fmt: skip


@pytest.fixture(autouse=True)
def in_rome() -> Iterator[None]:
    with override_settings(TIME_ZONE="Europe/Rome"), timezone.override("Europe/Rome"):
        yield


def page_of(name: str, value: object, language: str) -> str:
    """What a page shows of a value."""
    shown = Template("{% load formatting humanize %}{{ value|" + name + " }}")
    with override(language), time_machine.travel(NOW, tick=False):
        return strip_tags(shown.render(Context({"value": value})))


@pytest.mark.parametrize(
    ("name", "value", "english", "italian"), FILTERED, ids=[f"{name} {value}" for name, value, *_ in FILTERED]
)
def test_values_on_pages(name: str, value: object, english: str, italian: str) -> None:
    assert (page_of(name, value, "en"), page_of(name, value, "it")) == (english, italian)


def test_each_filter_of_values_is_tried() -> None:
    assert set(register.filters) - KINDS == {name for name, *_ in FILTERED} - {"intcomma"}


@pytest.mark.parametrize(
    ("n", "english", "italian"),
    [
        (0, "0 tables", "0 tabelle"),
        (1, "1 table", "1 tabella"),
        (2, "2 tables", "2 tabelle"),
        (5, "5 tables", "5 tabelle"),
        (9999, "9999 tables", "9999 tabelle"),
        (10_000, "10,000 tables", "10.000 tabelle"),
        (10**13, "10,000,000,000,000 tables", "10.000.000.000.000 tabelle"),
    ],
)
def test_a_number_of_things(n: int, english: str, italian: str) -> None:
    told = plural("{n} table", "{n} tables", n=n)

    assert told == english
    with override("it"):
        assert (str(told), str(number(n))) == (italian, italian.split()[0])
    # As rows have it: those of before told large numbers in one.
    for stored in (english, english.replace(",", "")):
        with override("it"):
            assert str(told_again(stored, {"parts": told.as_json()})) == italian  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("time", "english", "italian"),
    [(NOW, "Fri 2 Jan 2026", "ven 2 gen 2026"), (NOW - TEN_YEARS, "Sat 2 Jan 2016", "sab 2 gen 2016")],
)
def test_days(time: datetime, english: str, italian: str) -> None:
    with override("it"):
        assert str(formatting.calendar_day(time)) == italian
    assert formatting.calendar_day(time) == english
