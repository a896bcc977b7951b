"""Asking for rows back that a comparison kept: first for a proved script, then for its application."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from django.db import transaction
from django.db.models import Q, QuerySet

from backups.choices import APPLY_ROWS, Action, Status
from backups.errors import Problem
from backups.models import Database, Repository, Run
from backups.requests.base import NOTHING_DONE, About, DatabaseRequest, database_of
from backups.runs import refusals
from backups.runs.asked import Asker
from backups.runs.consequences import APPLIES_ROWS
from backups.text.sentences import joined, phrase


@dataclass(frozen=True)
class Choice:
    """Which rows of a table: all of these kinds (gone, changed, new), and those of these numbers.

    Numbers are those of the kept file, as ranges: the first and the last of each. What a condition says may
    be somebody's data, so it is evaluated beside the file, and only numbers are asked for. With `columns`
    changed rows get back the values of these alone.
    """

    table: str
    kinds: tuple[str, ...] = ()
    ranges: tuple[tuple[int, int], ...] = ()
    columns: tuple[str, ...] = ()

    @classmethod
    def of_numbers(cls, table: str, numbers: Iterable[int]) -> Self:
        """The choice of these numbers."""
        ranges: list[list[int]] = []
        for number in sorted(set(numbers)):
            if ranges and ranges[-1][1] == number - 1:
                ranges[-1][1] = number
            else:
                ranges.append([number, number])
        return cls(table, ranges=tuple((first, last) for first, last in ranges))

    def numbers(self) -> Iterable[int]:
        """The numbers that are chosen one by one."""
        return (number for first, last in self.ranges for number in range(first, last + 1))

    def as_json(self) -> dict[str, Any]:
        """As a run's row keeps it."""
        rows = {"kinds": list(self.kinds), "ranges": [list(each) for each in self.ranges]}
        if not self.columns:
            return {"table": self.table, **rows}
        # A worker of before, which still runs during an upgrade, knows no columns and finds nothing chosen.
        return {"table": self.table, "kinds": [], "ranges": [], "of_columns": [*self.columns], "rows": rows}

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> Self:
        """The choice again. Raises KeyError, TypeError or ValueError for what `as_json` never made."""
        rows = told["rows"] if "of_columns" in told else told
        ranges = tuple((int(first), int(last)) for first, last in rows["ranges"])
        if any(not 0 < last - first + 1 <= _MOST_IN_A_RANGE for first, last in ranges):
            raise ValueError(told["table"])
        columns = tuple(map(str, told.get("of_columns", ())))
        return cls(str(told["table"]), tuple(map(str, rows["kinds"])), ranges, columns)


_MOST_IN_A_RANGE = 1_000_000


@dataclass(frozen=True)
class RowsBackRequest(DatabaseRequest):
    """Write the script that gives rows back, and prove it on a copy. Changes nothing in the live database.

    `source` is the comparison that kept the rows, or the application that is to be undone: then all of it,
    whatever `choices` say. The run's `result["rows_back"]` tells what came of it: see `rows_told`.
    """

    action = Action.ROWS_BACK

    source: Run
    choices: tuple[Choice, ...] = ()
    with_changed_again: bool = False
    reason: str = ""

    @property
    def about(self) -> About:
        """The database, and the snapshot that the rows are of."""
        return About(database=self.database, snapshot=self.source.snapshot)

    @property
    def is_undo(self) -> bool:
        """Whether it takes an application back."""
        return self.source.action == Action.ROWS_BACK

    def parameters(self) -> dict[str, Any]:
        """Where the rows are, which of them, and why."""
        return {
            "source": self.source.pk,
            "choices": [each.as_json() for each in self.choices],
            "with_changed_again": self.with_changed_again,
            "reason": self.reason,
        }

    @classmethod
    def from_row(cls, run: Run, payload: Mapping[str, Any]) -> Self:
        """The request again. Raises Problem where its source is not known any more."""
        return cls(
            database_of(run),
            _run_of(payload["source"]),
            tuple(Choice.from_json(each) for each in payload["choices"]),
            bool(payload["with_changed_again"]),
            str(payload["reason"]),
        )

    def _refuse_unheard_of(self) -> None:
        """Raise Problem where the source ended while its script ran."""
        cut_off = self.source.status == Status.LOST or self.source.error_code == "rows.cut_off"
        if self.source.phase == APPLIES_ROWS and cut_off:
            raise Problem(
                phrase("Nobody heard whether {run} changed rows.", run=self.source),
                code="rows.unheard_of",
                safe=NOTHING_DONE,
                do=phrase("Apply its script again: it looks first, and can be undone then."),
            )

    def refuse_unfit(self) -> None:
        """Raise Problem for a source that keeps no rows, or nothing chosen."""
        _refuse_other_database(self.source, self.database)
        if self.is_undo:
            if told_of(self.source).get("state") not in ("applied", "already"):
                self._refuse_unheard_of()
                raise Problem(
                    phrase("{run} changed no rows, so there is nothing to undo.", run=self.source),
                    code="rows.nothing_to_undo",
                    safe=NOTHING_DONE,
                )
            return
        if self.source.action != Action.DIFF or "kept" not in self.source.result:
            raise Problem(
                phrase("{run} kept no rows.", run=self.source),
                code="rows.not_kept",
                safe=NOTHING_DONE,
                do=phrase("Compare again and keep the rows: `manage.py diff A --keep`."),
            )
        if not self.choices:
            raise Problem(phrase("No row was chosen."), code="rows.none_chosen", safe=NOTHING_DONE)


@dataclass(frozen=True)
class ApplyRowsRequest(DatabaseRequest):
    """Apply the script that a run of `RowsBackRequest` proved, in one transaction.

    `knows_triggers` says that a person was told which triggers run too, which no proof covers.
    """

    action = Action.ROWS_BACK
    form = APPLY_ROWS

    proved: Run
    knows_triggers: bool = False
    without_safety: bool = False
    reason: str = ""

    @property
    def about(self) -> About:
        """The database, and the snapshot that the rows are of."""
        return About(database=self.database, snapshot=self.proved.snapshot)

    def parameters(self) -> dict[str, Any]:
        """Which script, and why."""
        return {
            "proved": self.proved.pk,
            "knows_triggers": self.knows_triggers,
            "without_safety": self.without_safety,
            "reason": self.reason,
        }

    @classmethod
    def from_row(cls, run: Run, payload: Mapping[str, Any]) -> Self:
        """The request again. Raises Problem where its script is not known any more."""
        return cls(
            database_of(run),
            _run_of(payload["proved"]),
            bool(payload["knows_triggers"]),
            bool(payload["without_safety"]),
            str(payload["reason"]),
        )

    def refuse_unfit(self) -> None:
        """Raise Problem for a script that is not proved, was applied, or whose triggers nobody knows of."""
        _refuse_other_database(self.proved, self.database)
        told = told_of(self.proved)
        if self.proved.status != Status.SUCCEEDED or told.get("proved") is not True:
            raise Problem(
                phrase("The script of {run} is not proved.", run=self.proved),
                code="rows.not_proved",
                safe=NOTHING_DONE,
                do=phrase("Have it written again."),
            )
        if before := self.applied_by():
            raise Problem(
                phrase("The script of {run} was applied by {before}.", run=self.proved, before=before),
                code="rows.applied_before",
                safe=NOTHING_DONE,
                do=phrase("Compare again to see what differs now."),
            )
        if told.get("triggers") and not self.knows_triggers:
            raise Problem(
                _not_proved(told["triggers"]),
                code="rows.triggers",
                safe=NOTHING_DONE,
                do=phrase("If that is right, say --knows-triggers (on the page: tick it)."),
            )

    def applied_by(self) -> Run | None:
        """The run that has applied its script, if one has."""
        done = Q(status=Status.SUCCEEDED) | Q(result__rows_back__state="applied")
        return attempts(self.proved).filter(done).first()

    def refuse_busy(self) -> None:
        """Raise Refused while a restore goes to the database, or a swap of it is half-way."""
        refusals.refuse_same_target(self.database, self.database.database)
        refusals.refuse_unsettled(self.database, self.database.database)

    def submit(self, asker: Asker, *, send: bool = True) -> Run:
        """Insert its run, where nothing else is to change the database. Raises Problem."""
        with transaction.atomic():
            # As restores do: of two that are asked for at once, the second one sees the first.
            list(Repository.objects.filter(pk=self.database.repository_id).select_for_update())
            if not asker.waits:
                self.refuse_busy()
            return super().submit(asker, send=send)


_MOST_NAMED = 10


def _not_proved(triggers: Sequence[Mapping[str, Any]]) -> str:
    """What the live database does besides the script, in a sentence."""
    names = [str(each["trigger"]) for each in triggers if each.get("event") != UNSEEN_KEYS]
    if names:
        return phrase(
            "Triggers will run too, and what they do is not proved: {names}.",
            names=", ".join(names[:_MOST_NAMED]),
        )
    return joined(map(unseen_words, triggers[:_MOST_NAMED]))


def unseen_words(each: Mapping[str, Any]) -> str:
    """What is not proved of a table to which keys may lead that the user may not see, in a sentence."""
    return phrase(
        "Other databases may have foreign keys to {table}, which the user may not see: what they do for "
        "{rows} rows is not proved. PROCESS lets it see them.",
        table=str(each.get("table")),
        rows=rows if isinstance(rows := each.get("rows"), int) else 0,
    )


# The event of what is told among the triggers and is none: foreign keys of other databases, of which the user
# sees nothing.
UNSEEN_KEYS = "unseen keys"


def attempts(proved: Run) -> QuerySet[Run]:
    """The runs that were to apply a script, the newest first."""
    return Run.objects.filter(
        action=Action.ROWS_BACK, request__form=APPLY_ROWS, request__proved=proved.pk
    ).order_by("-pk")


def told_of(run: Run) -> Mapping[str, Any]:
    """What a run of rows back told of itself; nothing where it told nothing."""
    told = run.result.get("rows_back") if isinstance(run.result, dict) else None
    return told if isinstance(told, dict) else {}


def rounded_words(table: str, columns: Iterable[str]) -> str:
    """That values of these FLOAT columns come back rounded, for beside the proof."""
    return phrase(
        "FLOAT values of {table} ({columns}) come back with the six digits that a dump has of them, not to "
        "the last bit. So they do by the undo.",
        table=table,
        columns=", ".join(columns),
    )


def columns_words(table: str, columns: Iterable[str]) -> str:
    """That changed rows get back these columns alone."""
    return phrase(
        "Changed rows of {table} get back these columns alone: {columns}.",
        table=table,
        columns=", ".join(columns),
    )


def script_run(applied: Run) -> Run:
    """The run whose script an application ran. Raises Problem."""
    request = applied.request if isinstance(applied.request, dict) else {}
    return _run_of(request.get("proved"))


def _run_of(number: object) -> Run:
    runs = Run.objects.select_related("database", "snapshot__repository")
    found = runs.filter(pk=number).first() if isinstance(number, int) else None
    if found is None:
        raise Problem(
            phrase("The run that this one is about is not known any more."),
            code="rows.unknown_run",
            safe=NOTHING_DONE,
            do=phrase("Compare again."),
        )
    return found


def _refuse_other_database(run: Run, database: Database) -> None:
    if run.database_id != database.pk or run.snapshot is None:
        raise Problem(
            phrase("{run} is of another database.", run=run), code="rows.other_database", safe=NOTHING_DONE
        )
