"""What keeps a run from being asked for."""

from __future__ import annotations

from django.db.models import Q, QuerySet
from django.utils import timezone

from backups.choices import (
    ACTIVE,
    APPLY_ROWS,
    EXCLUSIVE_ACTIONS,
    RESTORE_ACTIONS,
    UNSETTLED,
    Action,
    RestoreMode,
)
from backups.errors import Refused
from backups.models import Database, Repository, Restore, Run
from backups.text.sentences import phrase

# Of a planned time that has a run already, which is no failure.
SLOT_TAKEN = "run.slot_taken"


def refuse_same_target(database: Database, target: str) -> None:
    """Raise Refused while another restore of the same target is queued or running."""
    twin = same_target(database, target)
    if twin is None:
        twin = applying_rows(database, target).first()
    if twin is not None:
        raise by(
            twin,
            Refused(
                phrase(
                    "Not started: {describe} goes to {target} as well.",
                    describe=describe(twin),
                    target=target,
                ),
                code="run.same_target",
                do=phrase("Wait for it to end, or cancel it, then start again."),
            ),
        )


def applying_rows(database: Database, target: str) -> QuerySet[Run]:
    """The runs that are to give rows back to a database of a server, or do, the first one first."""
    wanted = Run.objects.filter(
        action=Action.ROWS_BACK, request__form=APPLY_ROWS, database__database=target, status__in=ACTIVE
    )
    related = ("database__server", "repository")
    here = [each.pk for each in wanted.select_related(*related) if _is_at(each.database, database)]
    return wanted.filter(pk__in=here).select_related(*related).order_by("pk")


def same_target(
    database: Database, target: str, *, than: Restore | None = None, among: Q | None = None
) -> Run | None:
    """Another restore of the same target that is queued or running; `than` only looks for earlier ones.

    `among` says of which runs it may be.
    """
    under_way = Restore.objects.filter(run__status__in=ACTIVE).exclude(mode=RestoreMode.FILE)
    if than is not None:
        under_way = under_way.filter(run__lt=than.run_id)
    if among is not None:
        under_way = under_way.filter(run__in=Run.objects.filter(among))
    twin = _into(under_way, database, target)
    return twin.run if twin is not None else None


def refuse_unsettled(database: Database, target: str, *, but: Restore | None = None) -> None:
    """Raise Refused while a swap of the target is half-way: its tables may be in either place."""
    half = unsettled(database, target, but=but)
    if half is not None:
        raise Refused(
            phrase(
                "Not started: the swap of {describe} was broken off and is not ended yet.",
                describe=describe(half),
            ),
            code="run.swap_not_ended",
            safe=phrase("{target} was not touched.", target=target),
            do=phrase(
                "That is tried every minute; see that the worker runs and the database server answers, "
                "then start again."
            ),
        )


def unsettled(database: Database, target: str, *, but: Restore | None = None) -> Run | None:
    """The run whose swap of the target is half-way."""
    there = Restore.objects.filter(swap__in=UNSETTLED)
    half = _into(there.exclude(pk=but.pk) if but is not None else there, database, target)
    return half.run if half is not None else None


def _into(restores: QuerySet[Restore], database: Database, target: str) -> Restore | None:
    """The first of some restores that goes to a target on a database's server, however it is spelled."""
    found = restores.filter(target=target).select_related(
        "database__server", "run__database", "run__repository"
    )
    return next((each for each in found if _is_at(each.database, database)), None)


def _is_at(one: Database | None, other: Database) -> bool:
    """Whether two databases lie on one server, however its address is spelled."""
    from backups import mysql  # which few runs are refused by, and takes long to load

    places = [mysql.place(each.server.host, each.server.port) for each in (one, other) if each is not None]
    return len(places) > 1 and places[0] == places[1]


def refuse_twin(action: Action, database: Database | None, repository: Repository) -> None:
    """Raise Refused while the same is queued or running already."""
    twin = twins(action, database, repository).first()
    if twin is not None:
        raise by(
            twin,
            Refused(
                phrase(
                    "Not started: {describe} is {status} already.",
                    describe=describe(twin),
                    status=twin.get_status_display().lower(),
                ),
                code="run.twin",
                do=phrase("Wait for it to end, or cancel it, then start again."),
            ),
        )


def twins(action: Action, database: Database | None, repository: Repository) -> QuerySet[Run]:
    """The runs that do the same, queued or running, the oldest first."""
    if action in RESTORE_ACTIONS:
        return Run.objects.none()  # told apart by target, where the target is known
    found = Run.objects.filter(action=action, status__in=ACTIVE)
    if action in EXCLUSIVE_ACTIONS or database is None:
        found = found.filter(repository=repository)
        if action == Action.FORGET and database is not None:
            # Each forgets for its own database; one after the other, as the lease has it.
            found = found.filter(Q(database=database) | Q(database=None))
    else:
        found = found.filter(database=database)
    return found.order_by("pk").select_related("database", "repository")


def held(run: Run, holder: Run) -> Refused:
    """That a run may not begin, because another one uses what it needs."""
    is_of_repository = run.action in EXCLUSIVE_ACTIONS
    return by(
        holder,
        Refused(
            phrase(
                "Not started: {holder} is using the same {held}.",
                holder=describe(holder),
                held=phrase("repository") if is_of_repository else phrase("database"),
            ),
            code="run.lease_held",
            do=phrase("Wait for it to end, then start again."),
        ),
    )


def by(holder: Run, refused: Refused) -> Refused:
    """The refusal, with who holds what is needed, for programs."""
    refused.held_by = {
        "run_id": holder.pk,
        "action": holder.action,
        "since": (holder.started_at or holder.queued_at).isoformat(),
        "host": host_of(holder),
    }
    return refused


def describe(run: Run) -> str:
    """A run for a sentence: what it does, to what, since when and on which machine."""
    since = timezone.localtime(run.started_at or run.queued_at)
    named = {
        "action": run.get_action_display().lower(),
        "run": run.pk,
        "subject": run.database or run.repository,
        "since": f"{since:%H:%M:%S}",
    }
    if host := host_of(run):
        return phrase("{action} {run} of {subject} (since {since} on {host})", host=host, **named)
    return phrase("{action} {run} of {subject} (since {since})", **named)


def host_of(run: Run) -> str:
    """The machine whose process plays a run or waits with it, empty where none does yet."""
    host, *rest = run.worker.rsplit(":", 2)
    return host if len(rest) == 2 else ""
