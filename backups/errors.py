"""Failures that a person can act on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


class Problem(Exception):
    """An expected failure, told in sentences for a tired person.

    `what` says what failed, `do` what to do about it, `safe` what is untouched; the runner
    fills in `safe` for the action where the one who raises does not know it. `code` says which
    failure it is whatever its words are, as in `mysql.access_denied`, and never changes; `params`
    are what the words name, for whoever tells them in another language.
    """

    # Of those raised without one of their own.
    code = "problem"

    def __init__(
        self,
        what: str,
        *,
        code: str = "",
        do: str = "",
        safe: str = "",
        params: Mapping[str, object] | None = None,
    ) -> None:
        self.what = what
        self.code = code or self.code
        self.do = do
        self.safe = safe
        self.params = dict(params or {})
        super().__init__(what)

    def __str__(self) -> str:
        return self.sentence()

    def sentence(self, *, safe: str = "") -> str:
        """What failed, what is safe (`safe` where the problem does not say), what to do."""
        return " ".join(part for part in (self.what, self.safe or safe, self.do) if part)


class Refused(Problem):
    """Not started, because another run holds what this one needs (exit status 3)."""

    code = "refused"


class Cancelled(Exception):
    """A person asked for the run to stop."""


@dataclass(frozen=True)
class Failure:
    """Why something failed as it is kept: the sentence, which failure it is, and what the sentence names."""

    sentence: str
    code: str
    params: Mapping[str, object] | None = None

    @classmethod
    def of(cls, problem: Problem, *, safe: str = "") -> Failure:
        """A problem, `safe` being what is safe where it does not say."""
        return cls(problem.sentence(safe=safe), problem.code, problem.params or None)


# Of whatever a person stopped, and of what nobody expected.
CANCELLED = "cancelled"
UNEXPECTED = "unexpected"


class LeaseLost(Exception):
    """The run is no longer ours: the reaper gave it up for lost while this process slept."""


def shortened(text: str, most: int) -> str:
    """A text of no more than `most` characters; of a longer one whole words, and an … for the rest."""
    if len(text) <= most:
        return text
    cut = text[:most]
    whole = cut if text[most].isspace() else cut.rpartition(" ")[0]
    return f"{(whole or cut).rstrip(' ,;:')} …"
