"""What all requests have in common: what they are about, their check, their run, and how they are stored."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from backups.choices import Action, right_to_start
from backups.errors import Problem
from backups.models import Database, Repository, Run, Snapshot
from backups.runs import lifecycle, refusals
from backups.runs.asked import Asker, Wanted
from backups.text.sentences import phrase


@dataclass(frozen=True)
class About:
    """The rows that a request is about. Without a repository it is its snapshot's, else its database's."""

    database: Database | None = None
    repository: Repository | None = None
    snapshot: Snapshot | None = None


@dataclass(frozen=True)
class Request(ABC):
    """What somebody wants to be done, with all that it needs to know.

    A form that is stored otherwise than before has another `version`, and reads the earlier ones too.
    """

    action: ClassVar[Action]
    # Its name in rows: that of its action, unless the action has another form too.
    form: ClassVar[str]
    version: ClassVar[int] = 1

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "action" in vars(cls) and "form" not in vars(cls):
            cls.form = cls.action.value

    @property
    @abstractmethod
    def about(self) -> About:
        """The rows that it is about, which its run has columns for."""

    @property
    def right(self) -> str:
        """The right that a person needs to submit it."""
        return right_to_start(self.form)

    def parameters(self) -> dict[str, Any]:
        """What it says besides the rows that it is about, as JSON has it."""
        return {}

    def options(self) -> dict[str, Any]:
        """The same as `Run.options` had it before 1.0.

        Written for one more release: during an upgrade a worker of before still runs, and reads them.
        """
        return {}

    def stored(self) -> dict[str, Any]:
        """What `Run.request` holds of it."""
        return {"form": self.form, "version": self.version, **self.parameters()}

    @classmethod
    @abstractmethod
    def from_row(cls, run: Run, payload: Mapping[str, Any]) -> Self:
        """The request again, `payload` being its parameters.

        Raises Problem; KeyError, TypeError or ValueError for what it never stored.
        """

    @classmethod
    def told_before(cls, run: Run) -> Mapping[str, Any]:
        """Its parameters in a row of before 1.0, where they are among the options. Raises Problem."""
        options: dict[str, Any] = run.options
        return options

    def refuse_unfit(self) -> None:  # noqa: B027  of most nothing can be unfit
        """Raise Problem for what cannot be meant, whatever else is under way."""

    def refuse_busy(self) -> None:
        """Raise Refused while something is under way beside which this may not begin."""
        wanted = self._wanted()
        refusals.refuse_twin(self.action, wanted.database, wanted.where)

    def check(self) -> None:
        """Raise Problem, or Refused, for what can be refused now; `submit` looks once more."""
        self.refuse_unfit()
        self.refuse_busy()

    def submit(self, asker: Asker, *, send: bool = True) -> Run:
        """Insert its run, for the queue or, without `send`, for whoever submits it. Raises Problem.

        An asker who waits is not refused for what is under way.
        """
        self.refuse_unfit()
        return lifecycle.run_enqueue(self._wanted(), asker, send=send)

    def _wanted(self) -> Wanted:
        rows = self.about
        return Wanted(
            self.action, rows.database, rows.repository, rows.snapshot, self.options(), self.stored()
        )


@dataclass(frozen=True)
class DatabaseRequest(Request):
    """Something to be done with a database."""

    database: Database

    @property
    def about(self) -> About:
        """The database."""
        return About(database=self.database)

    @classmethod
    def from_row(cls, run: Run, payload: Mapping[str, Any]) -> Self:
        """The request again."""
        return cls(database_of(run))


def database_of(run: Run) -> Database:
    """The database that a run is about. Raises Problem where it is about none."""
    if run.database is None:
        raise Problem(
            phrase("{run} is about no database.", run=run), code="request.no_database", safe=NOTHING_DONE
        )
    return run.database


NOTHING_DONE = phrase("Nothing was done.")
