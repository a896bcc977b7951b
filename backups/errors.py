"""Failures that a person can act on."""

from __future__ import annotations


class Problem(Exception):
    """An expected failure, told in sentences for a tired person.

    `what` says what failed, `do` what to do about it, `safe` what is untouched; the runner
    fills in `safe` for the action where the one who raises does not know it.
    """

    def __init__(self, what: str, *, do: str = "", safe: str = "") -> None:
        self.what = what
        self.do = do
        self.safe = safe
        super().__init__(what)

    def __str__(self) -> str:
        return self.sentence()

    def sentence(self, *, safe: str = "") -> str:
        """What failed, what is safe (`safe` where the problem does not say), what to do."""
        return " ".join(part for part in (self.what, self.safe or safe, self.do) if part)


class Refused(Problem):
    """Not started, because another run holds what this one needs (exit status 3)."""


class Cancelled(Exception):
    """A person asked for the run to stop."""


class LostClaim(Exception):
    """The run is no longer ours: the reaper gave it up for lost while this process slept."""


def shortened(text: str, most: int) -> str:
    """A text of no more than `most` characters; of a longer one whole words, and an … for the rest."""
    if len(text) <= most:
        return text
    cut = text[:most]
    whole = cut if text[most].isspace() else cut.rpartition(" ")[0]
    return f"{(whole or cut).rstrip(' ,;:')} …"
