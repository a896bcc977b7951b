"""The tab of a database's page that tells of which moments it can be restored to, and why not of others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.db.models import Count, Max, Sum
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.views.decorators.http import require_POST

from backups.admin.base import may_start, page_url
from backups.admin.restoring import note
from backups.choices import Action, ArchiveState, ReplayVerdict
from backups.keeping import log_archives
from backups.models import Database, LogArchive, LogGap, LogPiece, ReplayProof
from backups.moments.refusals import why
from backups.moments.timeline import Barrier
from backups.moments.windows import Window
from backups.reports import stored_logs
from backups.text import formatting
from backups.text.checked import row_number
from backups.text.sentences import joined, phrase, plural

# What is older stays in the rows, and nobody scrolls to it.
_ROWS = 20
_PROOFS = 5
_STATE_COLOURS = {
    ArchiveState.FOLLOWING: "success",
    ArchiveState.WAITING: "info",
    ArchiveState.BROKEN: "danger",
}
_VERDICT_COLOURS = {
    ReplayVerdict.IDENTICAL: "success",
    ReplayVerdict.DIFFERENT: "danger",
    ReplayVerdict.GAP: "warning",
    ReplayVerdict.BARRIER: "warning",
}
_MAY_ACKNOWLEDGE = "backups.run_backup"


class Line(NamedTuple):
    """Times of which any moment can be had, and why not of later ones."""

    begins: datetime
    ends: datetime
    why: str


@dataclass(frozen=True)
class Proof:
    """A replay that was proved, for a row."""

    row: ReplayProof

    @property
    def colour(self) -> str:
        """Whether it is good."""
        return _VERDICT_COLOURS.get(ReplayVerdict(self.row.verdict), "plain")


def context(request: HttpRequest, database: Database) -> dict[str, Any]:
    """What the tab's template is made of. Of a database without an archive little is asked."""
    archive = LogArchive.objects.filter(database=database).first()
    rights = {
        "may_switch": request.user.has_perm("backups.change_database"),
        "may_acknowledge": request.user.has_perm(_MAY_ACKNOWLEDGE),
        "may_prove": may_start(request, Action.REPLAY),
    }
    if archive is None:
        return {"archive": None, **rights}
    stored = stored_logs.look(database)
    gaps = list(LogGap.objects.filter(database=database).order_by("-begins", "-pk")[:_ROWS])
    return {
        "archive": archive,
        "archive_colour": _STATE_COLOURS.get(ArchiveState(archive.state), "plain"),
        "sentence": stored.sentence(),
        "tone": _tone(archive, stored),
        "archive_facts": _facts(archive),
        "windows": [_line(each) for each in reversed(stored.windows[-_ROWS:])],
        "gaps": gaps,
        "unseen": max((gap.pk for gap in gaps if gap.acknowledged_at is None), default=None),
        "barriers": list(_barriers(stored)),
        "not_known": _not_known(archive),
        "proofs": [
            Proof(row)
            for row in ReplayProof.objects.filter(database=database).select_related("base", "next", "run")[
                :_PROOFS
            ]
        ],
        **rights,
    }


def _tone(archive: LogArchive, stored: stored_logs.StoredLog) -> str:
    if archive.is_on and (archive.problem or archive.state == ArchiveState.BROKEN):
        return "danger"
    return "success" if stored.reaches_the_end and archive.is_on else "info"


def _facts(archive: LogArchive) -> list[tuple[str, Any]]:
    """What is stored of it, and who wanted that."""
    pieces = LogPiece.objects.filter(database=archive.database, forgotten_at=None)
    held = pieces.aggregate(count=Count("pk"), size=Sum("bytes"), transactions=Sum("transactions"))
    who = archive.switched_by or phrase("somebody")
    switched = phrase("{time}, by {who}", time=formatting.to_the_second(archive.switched_at), who=who)
    return [
        (phrase("Switched on") if archive.is_on else phrase("Switched off"), switched),
        (phrase("Server"), archive.address or formatting.EMPTY),
        (
            phrase("Stored up to"),
            formatting.to_the_second(archive.stored_until) if archive.stored_until else phrase("nothing yet"),
        ),
        (
            phrase("Holds"),
            phrase(
                "{pieces} with {transactions}, {size}",
                pieces=plural("{n} piece", "{n} pieces", n=held["count"]),
                transactions=plural("{n} transaction", "{n} transactions", n=held["transactions"] or 0),
                size=formatting.size(held["size"] or 0),
            ),
        ),
        (
            phrase("Kept for"),
            plural("{n} day", "{n} days", n=archive.keep_days)
            if archive.keep_days
            else phrase("as long as LOG_KEEP_DAYS says"),
        ),
    ]


def _not_known(archive: LogArchive) -> str:
    """Of what is in the log, rows may tell from a moment on alone: the portal was lost since."""
    named_alone = LogPiece.objects.filter(database=archive.database, forgotten_at=None, sha256="")
    newest = named_alone.aggregate(newest=Max("stored_at"))["newest"]
    if newest is None:
        return ""
    told = phrase(
        "The portal was lost since {time}. Of what was stored before, it is not known whether a replay goes "
        "past all of it, and its transactions are not listed. A restore says so before it touches anything.",
        time=formatting.to_the_second(newest),
    )
    if not archive.is_on:
        return joined([told, phrase("Store the log again, and it is read once more.")])
    return joined([told, phrase("It is read once more, some of it each minute.")])


def _line(window: Window) -> Line:
    if window.barrier is not None:
        words = why(window.barrier)
    elif window.lacking is not None:
        words = phrase("What follows is not kept any more.")
    elif window.gap is not None:
        words = window.gap.sentence
    else:
        words = phrase("The end of what is stored.")
    return Line(*window.whole, words)


def _barriers(stored: stored_logs.StoredLog) -> Iterable[tuple[Barrier, str]]:
    """What no restore goes past, newest first."""
    found: Iterator[Barrier] = (
        barrier for stretch in reversed(stored.log.stretches()) for barrier in reversed(stretch.barriers)
    )
    for barrier, _ in zip(found, range(_ROWS), strict=False):
        yield barrier, why(barrier)


@permission_required(_MAY_ACKNOWLEDGE, raise_exception=True)
@require_POST
def acknowledge_view(request: HttpRequest, pk: int) -> HttpResponse:
    """Note that this person knows of the gaps that the page showed; of those that came since, they do not."""
    database = get_object_or_404(Database, pk=pk)
    upto = row_number(request.POST.get("upto", ""))
    count = log_archives.acknowledge(database, upto, request.user.get_username()) if upto else 0
    if count:
        note(request, database, f"Acknowledged {count} gaps in the stored log.")
    messages.success(request, plural("{n} gap was acknowledged.", "{n} gaps were acknowledged.", n=count))
    return HttpResponseRedirect(tab_url(database))


def tab_url(database: Database) -> str:
    """Where the tab is."""
    return f"{page_url(database)}?tab=moments"


def transactions_url(database: Database) -> str:
    """Where its transactions are listed."""
    return reverse("database-transactions", args=[database.pk])
