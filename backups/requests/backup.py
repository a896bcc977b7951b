"""Asking for a backup."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Self

from backups.choices import Action, Trigger
from backups.errors import Problem
from backups.keeping import stand_downs
from backups.keeping.pins import Wish
from backups.models import Run
from backups.requests.base import DatabaseRequest, database_of
from backups.runs.asked import Asker
from backups.text.sentences import phrase


@dataclass(frozen=True)
class BackupRequest(DatabaseRequest):
    """Back a database up.

    A `scheduled` one leaves what follows to the night, as a schedule's does. With `pin` the snapshot is
    pinned as soon as it is there.
    """

    action = Action.BACKUP
    version = 2

    scheduled: bool = False
    pin: Wish | None = None

    def parameters(self) -> dict[str, Any]:
        """Whether it is one of a schedule, though a command asks for it, and the pin, where there is one."""
        told: dict[str, Any] = {"scheduled": True} if self.scheduled else {}
        if self.pin is None:
            return told
        until = self.pin.until.isoformat() if self.pin.until else None
        return {**told, "pin": {"reason": self.pin.reason, "by": self.pin.by, "until": until}}

    def stored(self) -> dict[str, Any]:
        """In the form of before where there is no pin: a worker of the version before knows of none."""
        return {**super().stored(), "version": 1 if self.pin is None else self.version}

    @classmethod
    def from_row(cls, run: Run, payload: Mapping[str, Any]) -> Self:
        """The request again."""
        told = payload.get("pin")
        pin = None
        if told is not None:
            until = date.fromisoformat(told["until"]) if told["until"] else None
            pin = Wish(str(told["reason"]), str(told["by"]), until)
        return cls(database_of(run), bool(payload.get("scheduled")), pin)

    def refuse_unfit(self) -> None:
        """Raise Problem for a pin that could not be made."""
        if self.pin is not None:
            self.pin.refuse_unfit()

    def submit(self, asker: Asker, *, send: bool = True) -> Run:
        """As any other, but for a retired database: only a restore saves what it is about to replace."""
        if asker.trigger != Trigger.RESTORE and stand_downs.is_retired(self.database):
            raise Problem(
                phrase("{database} is retired, so it is backed up no more.", database=self.database),
                code="database.retired",
                safe=phrase("Its snapshots are as they were, and can be restored."),
                do=phrase("Press Take back into service on its page, then back it up."),
            )
        return super().submit(asker, send=send)
