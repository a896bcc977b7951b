"""Times, sizes and durations as people say them; the exact value is one hover away."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta

from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from backups.text.sentences import joined, phrase, plural, template

EMPTY = "–"  # noqa: RUF001

# A unit and how many of it are told. Two at least: 26 hours is clearer than 1 day.
_UNITS: tuple[tuple[int, Callable[[int], str]], ...] = (
    (86400 * 365, lambda n: plural("{n} year", "{n} years", n=n)),
    (86400 * 30, lambda n: plural("{n} month", "{n} months", n=n)),
    (86400, lambda n: plural("{n} day", "{n} days", n=n)),
    (3600, lambda n: plural("{n} hour", "{n} hours", n=n)),
    (60, lambda n: plural("{n} minute", "{n} minutes", n=n)),
)


# A number stands with its unit, so that a language can write its decimals as it does.
_SIZES = {
    "kB": template("{whole}.{tenth} kB"), "MB": template("{whole}.{tenth} MB"),
    "GB": template("{whole}.{tenth} GB"), "TB": template("{whole}.{tenth} TB"),
    "PB": template("{whole}.{tenth} PB"), "EB": template("{whole}.{tenth} EB"),
}  # fmt: skip
_WEEKDAYS = (
    template("Mon"), template("Tue"), template("Wed"), template("Thu"), template("Fri"), template("Sat"),
    template("Sun"),
)  # fmt: skip
_MONTHS = (
    template("Jan"), template("Feb"), template("Mar"), template("Apr"), template("May"), template("Jun"),
    template("Jul"), template("Aug"), template("Sep"), template("Oct"), template("Nov"), template("Dec"),
)  # fmt: skip


def size(count: int | None) -> str:
    """Bytes as in 15.3 MB."""
    if count is None:
        return EMPTY
    import humanize  # only then: few commands tell a size before they have done what takes longer

    number, unit = humanize.naturalsize(count, format="%.1f").split()
    told = _SIZES.get(unit)
    if told is None:
        return f"{number} {'B' if unit.startswith('Byte') else unit}"
    return _with_tenth(told, number)


def _with_tenth(told: str, number: str) -> str:
    whole, _, tenth = number.partition(".")
    return phrase(told, whole=whole, tenth=tenth)


def speed(bytes_per_second: float | None) -> str:
    """As in 15.3 MB/s."""
    return EMPTY if bytes_per_second is None else size(round(bytes_per_second)) + "/s"


def duration(took: timedelta | float | None) -> str:
    """As in 4 min 12 s; below ten seconds with a tenth."""
    if took is None:
        return EMPTY
    seconds = max(took.total_seconds() if isinstance(took, timedelta) else took, 0)
    if seconds < 9.95:
        return _with_tenth(template("{whole}.{tenth} s"), f"{seconds:.1f}")
    whole = round(seconds)
    parts = [
        (whole // 86400, template("{n} d")),
        (whole // 3600 % 24, template("{n} h")),
        (whole // 60 % 60, template("{n} min")),
        (whole % 60, template("{n} s")),
    ]
    first = next(index for index, (count, _) in enumerate(parts) if count)
    return joined(phrase(told, n=count) for count, told in parts[first : first + 2] if count)


def approximate_duration(took: timedelta | float | None) -> str:
    """How long something lasts in one unit, as in 26 hours: for limits and ages."""
    if took is None:
        return EMPTY
    # Clocks differ: what seems to come from later is of now.
    seconds = max(round(took.total_seconds() if isinstance(took, timedelta) else took), 0)
    for unit_seconds, told in _UNITS:
        if seconds >= 2 * unit_seconds:
            return told(seconds // unit_seconds)
    return plural("{n} second", "{n} seconds", n=seconds)


def beyond(took: timedelta | float, allowed: timedelta | float | None) -> str:
    """An age beside the one that is allowed, as in "more than 26 hours" where both read alike."""
    words = approximate_duration(took)
    seconds, most = (
        each.total_seconds() if isinstance(each, timedelta) else each for each in (took, allowed or 0)
    )
    if seconds > most and words == approximate_duration(allowed):
        return phrase("more than {duration}", duration=words)
    return words


def age(time: datetime, now: datetime | None = None) -> str:
    """As in "3 hours ago", "in 20 minutes", "just now"."""
    seconds = round(((now or timezone.now()) - time).total_seconds())
    if abs(seconds) < 45:
        return phrase("just now") if seconds >= 0 else phrase("in a moment")
    is_a_minute = abs(seconds) < 120
    distance = plural("{n} minute", "{n} minutes", n=1) if is_a_minute else approximate_duration(abs(seconds))
    if seconds > 0:
        return phrase("{distance} ago", distance=distance)
    return phrase("in {distance}", distance=distance)


def day(of: date) -> str:
    """As in "Wed 26 Nov"."""
    return joined([phrase(_WEEKDAYS[of.weekday()]), of.day, month(of)])


def calendar_day(time: datetime) -> str:
    """As in "Wed 26 Nov 2025", in TIME_ZONE."""
    local = timezone.localtime(time)
    return joined([day(local), local.year])


def month(of: date) -> str:
    """As in "Nov"."""
    return phrase(_MONTHS[of.month - 1])


def exact(time: datetime) -> str:
    """As in "Sun 23 Nov 2025, 03:00:12 CET", in TIME_ZONE."""
    local = timezone.localtime(time)
    return joined([day(local), f"{local:%Y, %H:%M:%S %Z}"])


def clock(time: datetime, now: datetime | None = None) -> str:
    """As in "today 15:00", "tomorrow 03:00", "Wed 26 Nov 2025, 03:00"."""
    local, today = timezone.localtime(time), timezone.localtime(now or timezone.now()).date()
    days = (local.date() - today).days
    at = f"{local:%H:%M}"
    match days:
        case -1:
            return phrase("yesterday {time}", time=at)
        case 0:
            return phrase("today {time}", time=at)
        case 1:
            return phrase("tomorrow {time}", time=at)
    return joined([day(local), f"{local:%Y, %H:%M}"])


def to_the_second(time: datetime, now: datetime | None = None) -> str:
    """As in "14:31:42" of today, "27 Nov 03:00:00" of this year, "27 Nov 2025 03:00:00"; in TIME_ZONE."""
    local, today = timezone.localtime(time), timezone.localtime(now or timezone.now()).date()
    at = f"{local:%H:%M:%S}"
    if local.date() == today:
        return at
    return joined([local.day, month(local), *([local.year] if local.year != today.year else []), at])


def relative_time(time: datetime | None) -> SafeString | str:
    """The age, the exact time as its title."""
    return EMPTY if time is None else _time(time, age(time))


def short_time(time: datetime | None) -> SafeString | str:
    """The clock time, the exact time as its title."""
    return EMPTY if time is None else _time(time, clock(time))


def time_with_age(time: datetime | None) -> SafeString | str:
    """The clock time with the age behind it."""
    if time is None:
        return EMPTY
    return _time(time, phrase("{time} ({age})", time=clock(time), age=age(time)))


def link(href: str, text: object) -> SafeString:
    """A link in a list or on a page."""
    return format_html('<a class="v-link" href="{}">{}</a>', href, text)


def label(text: object, colour: str = "") -> SafeString:
    """A coloured label; `colour` is one of unfold's variants."""
    return format_html('<span class="v-label v-{}">{}</span>', colour or "plain", text)


def two_lines(first: object, second: object) -> SafeString:
    """A cell of a list as unfold lays out its headers, which takes a template for each."""
    if second:
        return format_html(_LINE + '<span class="block v-subtle">{}</span></span>', first, second)
    return format_html(_LINE + "</span>", first)


_LINE = '<span class="flex flex-col text-right lg:text-left"><strong class="block font-normal">{}</strong>'


def with_commands(text: object, manage: str = "manage.py") -> SafeString:
    """A sentence whose `commands` stand out, to be copied; `manage` is what is typed for manage.py."""
    parts = str(text).split("`")
    if len(parts) % 2 == 0:
        return format_html("{}", text)
    made = (
        _command(part, manage) if number % 2 else format_html("{}", part) for number, part in enumerate(parts)
    )
    return format_html_join("", "{}", ((part,) for part in made))


def _command(text: str, manage: str) -> SafeString:
    """A name alone is nothing to copy: vedetta.js puts its button beside commands."""
    typed = manage + text.removeprefix("manage.py") if text.startswith("manage.py ") else text
    return format_html('<code class="v-mono{}">{}</code>', " v-command" if " " in typed else "", typed)


def _time(time: datetime, text: str) -> SafeString:
    """vedetta.js adds to the title what the reader's own clock showed."""
    return format_html(
        '<time datetime="{}" title="{}">{}</time>', time.isoformat(timespec="seconds"), exact(time), text
    )
