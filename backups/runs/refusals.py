"""What keeps a run from being asked for."""

from __future__ import annotations

from django.db.models import Q, QuerySet
from django.utils import timezone

from backups import mysql
from backups.choices import ACTIVE, EXCLUSIVE_ACTIONS, RESTORE_ACTIONS, UNSETTLED, Action, RestoreMode
from backups.errors import Refused
from backups.models import Database, Repository, Restore, Run
from backups.text.sentences import phrase


def refuse_same_target(database: Database, target: str) -> None:
    """Raise Refused while another restore of the same target is queued or running."""
    under_way = Restore.objects.filter(run__status__in=ACTIVE).exclude(mode=RestoreMode.FILE)
    twin = _into(under_way, database, target)
    if twin is not None:
        raise Refused(
            phrase(
                "Not started: {describe} goes to {target} as well.",
                describe=describe(twin.run),
                target=target,
            ),
            code="run.same_target",
            do=phrase("Wait for it to end, or cancel it, then start again."),
        )


def refuse_unsettled(database: Database, target: str, *, but: Restore | None = None) -> None:
    """Raise Refused while a swap of the target is half-way: its tables may be in either place."""
    there = Restore.objects.filter(swap__in=UNSETTLED)
    half = _into(there.exclude(pk=but.pk) if but is not None else there, database, target)
    if half is not None:
        raise Refused(
            phrase(
                "Not started: the swap of {describe} was broken off and is not ended yet.",
                describe=describe(half.run),
            ),
            code="run.swap_not_ended",
            safe=phrase("{target} was not touched.", target=target),
            do=phrase(
                "That is tried every minute; see that the worker runs and the database server answers, "
                "then start again."
            ),
        )


def _into(restores: QuerySet[Restore], database: Database, target: str) -> Restore | None:
    """The first of some restores that goes to a target on a database's server, however it is spelled."""
    wanted = mysql.place(database.server.host, database.server.port)
    found = restores.filter(target=target).select_related(
        "database__server", "run__database", "run__repository"
    )
    there = (
        each for each in found if mysql.place(each.database.server.host, each.database.server.port) == wanted
    )
    return next(there, None)


def refuse_twin(action: Action, database: Database | None, repository: Repository) -> None:
    """Raise Refused while the same is queued or running already."""
    if action in RESTORE_ACTIONS:
        return  # refused by target, where the target is known
    twins = Run.objects.filter(action=action, status__in=ACTIVE)
    if action in EXCLUSIVE_ACTIONS or database is None:
        twins = twins.filter(repository=repository)
        if action == Action.FORGET and database is not None:
            # Each forgets for its own database; one after the other, as the lease has it.
            twins = twins.filter(Q(database=database) | Q(database=None))
    else:
        twins = twins.filter(database=database)
    twin = twins.order_by("pk").first()
    if twin is not None:
        raise Refused(
            phrase(
                "Not started: {describe} is {status} already.",
                describe=describe(twin),
                status=twin.get_status_display().lower(),
            ),
            code="run.twin",
            do=phrase("Wait for it to end, or cancel it, then start again."),
        )


def describe(run: Run) -> str:
    """A run for a sentence: what it does, to what and since when."""
    subject = run.database or run.repository
    since = timezone.localtime(run.started_at or run.queued_at)
    return phrase(
        "{action} {run} of {subject} (since {since})",
        action=run.get_action_display().lower(),
        run=run.pk,
        subject=subject,
        since=f"{since:%H:%M:%S}",
    )
