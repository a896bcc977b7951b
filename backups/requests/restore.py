"""Asking for a restore, and for what comes after one."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from django.db import transaction

from backups import aim
from backups.choices import OVERWRITING_MODES, Action, DefinerPolicy, RestoreMode
from backups.errors import Problem
from backups.models import Database, Repository, Restore, Run, Snapshot
from backups.moments.rows import draft_of
from backups.moments.until import Until
from backups.requests.base import NOTHING_DONE, About, Request, database_of
from backups.requests.beside_live import refuse_beside_live
from backups.restoring import kept_states
from backups.runs import lifecycle, refusals
from backups.runs.asked import Asker
from backups.text.sentences import phrase


class _Aimed(Request):
    """What goes to a target, and has a row that says how far it is."""

    @abstractmethod
    def row(self) -> Restore:
        """That row, of no run yet."""

    @property
    def about(self) -> About:
        """Database and snapshot."""
        row = self.row()
        return About(database=row.database, snapshot=row.snapshot)

    def refuse_busy(self) -> None:
        """Raise Refused while another restore goes to the same target, or a swap of it is half-way."""
        row = self.row()
        if row.mode != RestoreMode.FILE:
            refusals.refuse_same_target(row.database, row.target)
            refusals.refuse_unsettled(row.database, row.target)

    def submit(self, asker: Asker, *, send: bool = True) -> Run:
        """Insert its run and the row beside it. Raises Problem."""
        row = self.row()
        with transaction.atomic():
            # In one order, for whoever locks both.
            both = Repository.objects.filter(pk__in=[row.database.repository_id, row.snapshot.repository_id])
            list(both.select_for_update().order_by("pk"))
            self.refuse_unfit()
            if not asker.waits:
                self.refuse_busy()
            row.run = lifecycle.run_enqueue(self._wanted(), asker, send=send)
            row.save()
        return row.run


@dataclass(frozen=True)
class RestoreRequest(_Aimed):
    """Bring a snapshot, or some tables of it, to a target.

    `across` are the names that a person gave of the snapshot's database and of the one that is to hold it,
    where they differ; `known_bad` says that they want one that is known to be bad. With `until` the log is
    replayed on it up to that moment (since version 2).
    """

    action = Action.RESTORE
    version = 2

    database: Database
    snapshot: Snapshot
    mode: RestoreMode
    target: str
    tables: tuple[str, ...] = ()
    definers: DefinerPolicy = DefinerPolicy.KEEP
    without_safety: bool = False
    known_bad: bool = False
    reason: str = ""
    across: tuple[str, str] | None = None
    until: Until | None = None

    def __post_init__(self) -> None:
        # In whichever order they were named, the wish is the same.
        object.__setattr__(self, "tables", tuple(sorted(self.tables)))

    def row(self) -> Restore:
        """What says how far it is."""
        return Restore(
            database=self.database,
            snapshot=self.snapshot,
            mode=self.mode,
            target=self.target,
            tables=list(self.tables),
            definers=self.definers,
            without_safety=self.without_safety,
            reason=self.reason,
            until=self.until.stored() if self.until else None,
        )

    def refuse_unfit(self) -> None:
        """Raise Problem for a target unfit for the mode, or a snapshot unfit for the target."""
        if self.until is not None:
            _refuse_unfit_moment(self)
        aim.refuse_unfit_target(self.database, self.mode, self.target, None)
        aim.refuse_unfit_snapshot(self.database, self.snapshot, self.mode, self.across)
        aim.refuse_known_bad(self.snapshot, insisted=self.known_bad)

    def parameters(self) -> dict[str, Any]:
        """Where to, what of it, how, and why."""
        return {
            "mode": str(self.mode),
            "target": self.target,
            "tables": list(self.tables),
            "definers": str(self.definers),
            "without_safety": self.without_safety,
            "known_bad": self.known_bad,
            "reason": self.reason,
            "across": list(self.across) if self.across else None,
            **({"until": self.until.stored()} if self.until else {}),
        }

    def stored(self) -> dict[str, Any]:
        """What `Run.request` holds of it: what a worker of before can play, it can read as well."""
        return {**super().stored(), "version": self.version if self.until else 1}

    def options(self) -> dict[str, Any]:
        """All but one thing had columns of their own."""
        return {"known_bad": True} if self.known_bad else {}

    @classmethod
    def from_row(cls, run: Run, payload: Mapping[str, Any]) -> Self:
        """The request again."""
        if run.snapshot is None:
            raise Problem(
                phrase("The snapshot to restore is not known any more."),
                code="request.no_snapshot",
                safe=phrase("Nothing was touched."),
            )
        across = payload["across"]
        return cls(
            database_of(run),
            run.snapshot,
            mode=RestoreMode(payload["mode"]),
            target=str(payload["target"]),
            tables=tuple(str(name) for name in payload["tables"]),
            definers=DefinerPolicy(payload["definers"]),
            without_safety=bool(payload["without_safety"]),
            known_bad=bool(payload["known_bad"]),
            reason=str(payload["reason"]),
            across=(str(across[0]), str(across[1])) if across else None,
            until=Until.from_row(payload.get("until")),
        )

    @classmethod
    def told_before(cls, run: Run) -> Mapping[str, Any]:
        """What the row beside the run's tells. Raises Problem."""
        row = _row_beside(run)
        return {
            "mode": row.mode,
            "target": row.target,
            "tables": row.tables,
            "definers": row.definers,
            "without_safety": row.without_safety,
            "known_bad": run.options.get("known_bad"),
            "reason": row.reason,
            # Whoever asked for it had named both, else it had been refused.
            "across": _both_names(row.database, row.snapshot, RestoreMode(row.mode)),
        }


@dataclass(frozen=True)
class UndoRequest(_Aimed):
    """Swap the tables back that a restore kept."""

    action = Action.UNDO

    restore: Restore
    reason: str = ""

    def row(self) -> Restore:
        """What says how far it is."""
        return Restore(
            database=self.restore.database,
            snapshot=self.restore.snapshot,
            mode=RestoreMode.UNDO,
            target=self.restore.target,
            reason=self.reason,
            undo_of=self.restore,
        )

    def refuse_unfit(self) -> None:
        """Raise Problem where single tables would come back from under a newer restore of them."""
        kept_states.refuse_out_of_order(self.restore)

    def parameters(self) -> dict[str, Any]:
        """Which restore, and why."""
        return {"restore": self.restore.pk, "reason": self.reason}

    @classmethod
    def from_row(cls, run: Run, payload: Mapping[str, Any]) -> Self:
        """The request again. Raises Problem where the restore is not known any more."""
        return cls(_restore_of(payload), str(payload["reason"]))

    @classmethod
    def told_before(cls, run: Run) -> Mapping[str, Any]:
        """What the row beside the run's tells. Raises Problem."""
        row = _row_beside(run)
        return {"restore": row.undo_of_id, "reason": row.reason}


@dataclass(frozen=True)
class _AfterRestore(Request):
    """What is done with a restore that is over."""

    restore: Restore

    @property
    def about(self) -> About:
        """The restore's database."""
        return About(database=self.restore.database)

    def parameters(self) -> dict[str, Any]:
        """Which restore."""
        return {"restore": self.restore.pk}

    def options(self) -> dict[str, Any]:
        """The same."""
        return self.parameters()

    @classmethod
    def from_row(cls, run: Run, payload: Mapping[str, Any]) -> Self:
        """The request again. Raises Problem where the restore is not known any more."""
        return cls(_restore_of(payload))


@dataclass(frozen=True)
class DropKeptRequest(_AfterRestore):
    """Drop the tables that a restore kept."""

    action = Action.DROP_KEPT

    def refuse_unfit(self) -> None:
        """Raise Problem where a state would be dropped to which undos still lead."""
        kept_states.refuse_early_drop(self.restore)


@dataclass(frozen=True)
class DefineRequest(_AfterRestore):
    """Make the views, triggers, routines and events that a restore left out."""

    action = Action.DEFINE


def _refuse_unfit_moment(wanted: RestoreRequest) -> None:
    """Raise Problem where it cannot be had, or not in this way."""
    if wanted.mode == RestoreMode.IN_PLACE:
        raise Problem(
            phrase("A moment cannot be restored straight into the live database."),
            code="moment.in_place",
            safe=NOTHING_DONE,
            do=phrase("Restore it in the place of the live database, into a new one, or to a file."),
        )
    if wanted.mode == RestoreMode.FILE:
        refuse_beside_live(wanted.database)
    assert wanted.until is not None  # noqa: S101  only then is it asked
    draft_of(wanted.database, wanted.until).from_base(wanted.snapshot.pk)


def _both_names(database: Database, snapshot: Snapshot, mode: RestoreMode) -> tuple[str, str] | None:
    both = (snapshot.source, database.database)
    return both if mode in OVERWRITING_MODES and both[0] != both[1] else None


def _row_beside(run: Run) -> Restore:
    row = Restore.objects.select_related("database__server", "snapshot").filter(run=run).first()
    if row is None:
        raise Problem(
            phrase("The state that {run} should bring back is not known any more.", run=run),
            code="restore.unknown",
            safe=NOTHING_DONE,
        )
    return row


def _restore_of(payload: Mapping[str, Any]) -> Restore:
    related = Restore.objects.select_related("database__repository", "database__server", "run", "snapshot")
    restore = related.filter(pk=payload["restore"]).first()
    if restore is None:
        raise Problem(
            phrase("The restore that this run is about is not known any more."),
            code="restore.unknown",
            safe=phrase("Nothing was touched."),
        )
    return restore
