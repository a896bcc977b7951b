"""A repository's page: how it stands and why, what it holds and for whom, and what was done with it."""

from __future__ import annotations

from typing import Any

from django.db.models import Q
from django.http import HttpRequest
from django.utils import timezone

from backups.admin import row_pages
from backups.admin.base import STATE_COLOURS, STATE_WORDS, page_url
from backups.admin.charts import added_chart, growth_charts
from backups.admin.strips import recent_of, strip_of_repository, strip_words
from backups.choices import Health
from backups.models import Repository
from backups.reports import growth, maintenance, standing
from backups.text import formatting
from backups.text.sentences import phrase, plural
from backups.verdict import State
from backups.verdict.findings import worst

HEALTH_COLOURS = {
    Health.GOOD: "success",
    Health.SUSPECT: "warning",
    Health.DAMAGED: "danger",
    Health.UNKNOWN: "plain",
}


def context(request: HttpRequest, repository: Repository, *, may_edit: bool) -> dict[str, Any]:
    """What the page's template is made of."""
    tabs = row_pages.tabs(request, may_edit=may_edit, without={row_pages.MOMENTS})
    tab = row_pages.here(tabs)
    found = {
        "row": repository, "tabs": tabs, "tab": tab, "title": str(repository), "subtitle": None,
        **head(repository),
    }  # fmt: skip
    if tab == row_pages.SETTINGS:
        return found
    found |= {**row_pages.rights(request), **row_pages.rows_of(repository, tab)}
    if tab == "log":
        found["people"] = row_pages.done_by_people(repository)
    else:
        found |= weeks(repository)
    return found


def state_words(repository: Repository, state: State) -> tuple[str, str]:
    """How it stands, in words and colour; one that no check has looked at is not called good."""
    if state == State.GOOD and repository.health == Health.UNKNOWN:
        return repository.get_health_display(), "plain"
    return STATE_WORDS[state], STATE_COLOURS[state]


def head(repository: Repository) -> dict[str, Any]:
    """State, reason, next step, and the facts beside them."""
    stands = standing.read()
    findings = stands.overall.of_repository(repository.name)
    word, colour = state_words(repository, worst(findings))
    mine = [each for each in stands.databases if each.repository_id == repository.pk]
    in_order = sorted(mine, key=lambda each: stands.overall.state_of(each.name) == State.GOOD)
    return {
        "state": word,
        "colour": colour,
        "notices": row_pages.notices_of(findings, repository),
        "active": row_pages.waiting_or_running(Q(repository=repository)),
        "facts": _facts(repository),
        "databases": [
            (page_url(each), each.name, STATE_WORDS[state], STATE_COLOURS[state])
            for each in in_order[:_DATABASES]
            for state in [stands.overall.state_of(each.name)]
        ],
        "databases_left": max(len(mine) - _DATABASES, 0),
        "has_databases": True,
    }


# Of more the list of databases tells.
_DATABASES = 12


def _facts(repository: Repository) -> list[tuple[str, Any]]:
    (tended,) = maintenance.tended([repository.pk])
    held = repository.snapshots.present().count()
    health = formatting.label(repository.get_health_display(), HEALTH_COLOURS[Health(repository.health)])
    return [
        (phrase("Location"), repository.url),
        (phrase("Health"), health),
        (phrase("Checked"), formatting.time_with_age(repository.checked_at)),
        (phrase("Holds"), plural("{n} snapshot", "{n} snapshots", n=held)),
        (phrase("Size"), formatting.size(repository.size_bytes)),
        (phrase("Measured"), formatting.time_with_age(repository.sized_at)),
        *_room(repository),
        (
            phrase("Last maintenance"),
            formatting.two_lines(formatting.relative_time(tended.at), tended.sentence)
            if tended.at
            else tended.sentence,
        ),
        (phrase("Next maintenance"), formatting.time_with_age(tended.next_at)),
    ]


def _room(repository: Repository) -> list[tuple[str, Any]]:
    """By how much it grows, and what its disk has left, as far as that was measured."""
    a_day = growth.read(repository, timezone.now()).bytes_a_day
    if a_day is None:
        words = phrase("not known yet: the size is measured once a night, and five nights say how it grows")
    else:
        size = formatting.size(round(abs(a_day)))
        words = (
            phrase("{size} a day", size=size) if a_day >= 0 else phrase("shrinks by {size} a day", size=size)
        )
    grows = [(phrase("Growth"), words)]
    if repository.disk_free_bytes is None:
        return grows
    left = phrase(
        "{free} of {whole}",
        free=formatting.size(repository.disk_free_bytes),
        whole=formatting.size(repository.disk_bytes),
    )
    if repository.disk_full_at is None:
        ends = phrase("does not end at the rate of these weeks, as far as that is known")
    else:
        ends = phrase("full on {day} at this rate", day=formatting.calendar_day(repository.disk_full_at))
    return [*grows, (phrase("Left on its disk"), formatting.two_lines(left, ends))]


def weeks(repository: Repository) -> dict[str, Any]:
    """The last thirty days: what was done there by anybody, and what came in."""
    now = timezone.now()
    strip = strip_of_repository(repository, now)
    drawn = [
        *growth_charts(repository, growth.read(repository, now), now),
        added_chart(repository, recent_of(repository, now), now),
    ]
    return {
        "strip": strip,
        "strip_words": strip_words(strip),
        "charts": [each for each in drawn if not each["is_empty"]],
    }
