"""A database's page: how it stands and why, its last weeks, and what was done with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.db.models import Q
from django.http import HttpRequest
from django.utils import timezone

from backups.admin import hints, moments_tab, row_pages
from backups.admin.base import STATE_COLOURS, STATE_WORDS, Notice, page_url
from backups.admin.charts import charts
from backups.admin.servers import software
from backups.admin.strips import left_out_days, recent_runs, strip_words, strips_of
from backups.choices import StandDownKind
from backups.keeping import stand_downs
from backups.models import Database, LogArchive, StandDown
from backups.reports import standing, stored_logs
from backups.reports.rows import databases_with_newest
from backups.scheduling import schedules, staleness
from backups.text import formatting
from backups.text.sentences import phrase, plural


def context(request: HttpRequest, database: Database, *, may_edit: bool) -> dict[str, Any]:
    """What the page's template is made of."""
    tabs = row_pages.tabs(request, may_edit=may_edit)
    tab = row_pages.here(tabs)
    base = {"row": database, "tabs": tabs, "tab": tab, "title": str(database), "subtitle": None}
    shown = head(database)
    if tab == row_pages.SETTINGS:
        return base | shown
    found = {**base, **shown, **row_pages.rights(request), **row_pages.rows_of(database, tab)}
    if tab == row_pages.MOMENTS:
        return found | moments_tab.context(request, database)
    if tab == "log":
        found["people"] = row_pages.done_by_people(database)
    else:
        found |= weeks(database)
    return found


def head(database: Database) -> dict[str, Any]:
    """State, reason, next step, and the facts beside them."""
    stands = standing.read()
    stood_down = stand_downs.standing(database, stands.now)
    row = next((each for each in stands.databases if each.pk == database.pk), None)
    if row is None:
        return _retired(database, stood_down)
    state = stands.overall.state_of(row.name)
    return {
        "labels": [
            *(each.get_kind_display() for each in stood_down.values()),
            *database.labels.all(),
        ],
        "state": STATE_WORDS[state],
        "colour": STATE_COLOURS[state],
        "notices": _notices(row, stands),
        "active": row_pages.waiting_or_running(Q(database=database)),
        "facts": _facts(row, stands),
        "set_up": _set_up(row),
    }


def _retired(database: Database, stood_down: Mapping[str, StandDown]) -> dict[str, Any]:
    """Of one that is backed up no more: who said so, and what stays."""
    retirement = stood_down.get(StandDownKind.RETIREMENT)
    held = database.snapshots.present()
    newest = held.newest_first().only("time").first()
    words = phrase(
        "It is backed up no more and does not gate. Its snapshots stay and can be restored. To back it up "
        "again, press Take back into service."
    )
    return {
        "state": StandDownKind.RETIREMENT.label,
        "colour": "plain",
        "notices": [Notice("info", words)],
        "active": row_pages.waiting_or_running(Q(database=database)),
        "facts": [
            (phrase("Retired"), stand_downs.told(retirement) if retirement else formatting.EMPTY),
            (phrase("Newest backup"), formatting.time_with_age(newest.time) if newest else phrase("never")),
            (phrase("Holds"), plural("{n} snapshot", "{n} snapshots", n=held.count())),
        ],
        "set_up": [each for each in _set_up(database) if each[0] not in _OF_ITS_SERVICE],
        "is_retired": True,
    }


# What of it does not hold while it is retired.
_OF_ITS_SERVICE = frozenset({phrase("Backups"), phrase("Verifications"), phrase("Gate"), phrase("Kept")})


def _notices(row: Any, stands: standing.Standing) -> list[Notice]:
    overall = stands.overall
    findings = (*overall.of_database(row.name), *overall.of_repository(row.repository.name))
    notes = [each for each in overall.notes if each.database == row.name]
    return row_pages.notices_of([*findings, *notes], row)


def _facts(row: Any, stands: standing.Standing) -> list[tuple[str, Any]]:
    """When it was saved and proved last, and when that comes next."""
    snapshot, proved, good = stands.newest(row), stands.proved(row), stands.good(row)
    never = phrase("never")
    return [
        (phrase("Newest backup"), formatting.time_with_age(snapshot.time) if snapshot else never),
        (phrase("Took"), formatting.duration(good.duration() if good else None)),
        (phrase("Newest verified"), formatting.time_with_age(proved.verified_at) if proved else never),
        (phrase("Next backup"), _next(row, row.backup_cron, stands)),
        (phrase("Next verification"), _next(row, row.verify_cron, stands)),
        (
            phrase("Size"),
            formatting.size(snapshot.total_bytes_processed) if snapshot else phrase("not known yet"),
        ),
        *((phrase("Its log"), words) for words in [_of_log(row, stands)] if words),
    ]


def _of_log(row: Any, stands: standing.Standing) -> str:
    return stored_logs.short(row.log_state, row.log_stored_until, stands.now)


def _set_up(row: Database) -> list[tuple[str, Any]]:
    """How it is backed up, for those who see no form as well."""
    kept = phrase(
        "{daily} daily, {weekly} weekly, {monthly} monthly",
        daily=row.keep_daily,
        weekly=row.keep_weekly,
        monthly=row.keep_monthly,
    )
    return [
        (
            phrase("Database"),
            phrase("{database} on {host}", database=row.database, host=row.server.address),
        ),
        (phrase("Software"), software(row.server)),
        (phrase("Repository"), formatting.link(page_url(row.repository), row.repository)),
        (phrase("Backups"), hints.cron_words(row.backup_cron)),
        (phrase("Verifications"), hints.cron_words(row.verify_cron)),
        (phrase("Gate"), _closes(row) if row.gates_app else phrase("does not look at this database")),
        (phrase("Kept"), kept),
        (phrase("Notes of preflight"), " ".join(row.preflight_warnings) or phrase("Nothing to note")),
    ]


def _closes(row: Database) -> str:
    """What ages the gate goes by, but for that of the newest verified backup, which is the same for all."""
    allowed = formatting.approximate_duration(staleness.backup_allowed(row))
    of_log = settings.SENTINEL.log_threshold_seconds
    if of_log and LogArchive.objects.wanted().filter(database=row).exists():
        return phrase(
            "closes when the newest backup is older than {allowed}, or the log is stored up to more than "
            "{of_log} ago",
            allowed=allowed,
            of_log=formatting.approximate_duration(of_log),
        )
    return phrase("closes when the newest backup is older than {allowed}", allowed=allowed)


def _next(row: Database, cron: str, stands: standing.Standing) -> Any:
    usable = schedules.usable(cron)
    if not usable:
        return phrase("not scheduled")
    pause = stands.overall.paused.get(row.name)
    if pause is not None and pause.until is None:
        return phrase("once it is resumed")
    after = pause.until if pause and pause.until else stands.now
    return formatting.time_with_age(schedules.next_times(usable, 1, after=after)[0])


def weeks(database: Database) -> dict[str, Any]:
    """The last thirty days: a strip and charts."""
    now = timezone.now()
    of_one = Database.objects.filter(pk=database.pk).select_related("server")
    rows = list(databases_with_newest(now, of_one))
    recent = recent_runs(rows, now)
    strip = strips_of(rows, recent, now, left_out_days(rows, now))[database.pk]
    drawn = [each for each in charts(rows, recent, now) if not each["is_empty"]]
    return {"strip": strip, "strip_words": strip_words(strip), "charts": drawn}
