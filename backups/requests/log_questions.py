"""Questions about the archive of a database's binary log: whether its server is fit, and to switch it on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from backups.models import Database
from backups.requests.question import Question
from backups.text.sentences import phrase


@dataclass(frozen=True)
class LogCheckQuestion(Question):
    """What keeps the log of a database from being stored, with the statements that mend it."""

    kind = "log_check"
    rights = ("backups.change_database",)
    safe = phrase("Nothing was changed.")

    database: Database

    def asked(self) -> dict[str, Any]:
        """Which database."""
        return {"database": self.database.pk}

    @classmethod
    def from_row(cls, asked: Mapping[str, Any]) -> Self:
        """The question again."""
        return cls(Database.objects.select_related("server", "repository").get(pk=asked["database"]))


@dataclass(frozen=True)
class LogSwitchQuestion(Question):
    """Switch it on, if the server is still fit when the worker gets to it. `by` is who wants it."""

    kind = "log_switch"
    rights = ("backups.change_database",)
    safe = phrase("It is as it was.")

    database: Database
    by: str

    def asked(self) -> dict[str, Any]:
        """Which database, and for whom."""
        return {"database": self.database.pk, "by": self.by}

    @classmethod
    def from_row(cls, asked: Mapping[str, Any]) -> Self:
        """The question again."""
        rows = Database.objects.select_related("server", "repository")
        return cls(rows.get(pk=asked["database"]), str(asked["by"]))
