"""What a question to the worker is: the kinds are in `questions` and `set_up_questions`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from django.contrib.auth.models import User

from backups.choices import may_still


@dataclass(frozen=True)
class Question(ABC):
    """What somebody wants to know. A question that is stored otherwise than before is of another kind."""

    kind: ClassVar[str]
    # Who has one of these may ask it.
    rights: ClassVar[tuple[str, ...]]
    # What is safe where it cannot be answered, if anybody would think that it is not.
    safe: ClassVar[str] = ""
    # Whether what it asks may hold a sealed secret. That goes with the answer, or a minute later.
    holds_secret: ClassVar[bool] = False

    @abstractmethod
    def asked(self) -> dict[str, Any]:
        """What its row holds of it, as JSON has it."""

    @classmethod
    @abstractmethod
    def from_row(cls, asked: Mapping[str, Any]) -> Self:
        """The question again.

        Raises Problem; ObjectDoesNotExist for rows that are gone; KeyError, TypeError or ValueError for what
        it never stored.
        """

    @classmethod
    def may_be_asked_by(cls, person: User) -> bool:
        """Whether this person may ask it, and so learn its answer."""
        return may_still(person, *cls.rights)
