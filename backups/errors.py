"""Failures that a person can act on."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from backups.text.sentences import Sentence, english, joined, parts_of


class Problem(Exception):
    """An expected failure, told in sentences for a tired person.

    `what` says what failed, `do` what to do about it, `safe` what is untouched; the runner
    fills in `safe` for the action where the one who raises does not know it. `code` says which
    failure it is whatever its words are, as in `mysql.access_denied`, and never changes; `params`
    are what the words name: where they are a `phrase`, what that names, unless it is said here.
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
        self.params = {**(what.params if isinstance(what, Sentence) else {}), **(params or {})}
        super().__init__(what)

    def __str__(self) -> str:
        return str(self.told)

    @property
    def told(self) -> str:
        """The whole of it, to be put into other texts."""
        return self.sentence()

    def sentence(self, *, safe: str = "") -> str:
        """What failed, what is safe (`safe` where the problem does not say), what to do."""
        return joined(part for part in (self.what, self.safe or safe, self.do) if part)


class Refused(Problem):
    """Not started, because another run holds what this one needs (exit status 3)."""

    code = "refused"
    # Which one, as commands print it; empty where it is no run.
    held_by: Mapping[str, object] = MappingProxyType({})


class Cancelled(Exception):
    """A person asked for the run to stop."""


# More than any sentence of ours takes: what is longer is kept in English alone.
_LONGEST_PARTS = 20_000


class Failure(NamedTuple):
    """Why something failed as it is kept: the sentence, which failure it is, and what the sentence names."""

    sentence: str
    code: str
    params: Mapping[str, object] | None = None

    @classmethod
    def of(cls, problem: Problem, *, safe: str = "") -> Failure:
        """A problem, `safe` being what is safe where it does not say."""
        return cls(problem.sentence(safe=safe), problem.code, problem.params or None)

    @property
    def stored(self) -> dict[str, Any] | None:
        """What a row keeps beside the sentence in English: what that names, and what it is made of."""
        kept = {**(self.params or {}), **parts_of(self.sentence)}
        text = json.dumps(kept, default=str)
        return json.loads(text) or None if len(text) <= _LONGEST_PARTS else None

    def masked(self, mask: Callable[[str], str]) -> Failure:
        """The same without its secrets, wherever they stand: `mask` hides them in a text."""
        params = {name: mask(english(value)) for name, value in (self.params or {}).items()} or None
        hidden = mask(english(self.sentence))
        if isinstance(self.sentence, Sentence):
            again = Sentence.from_json(_masked_parts(self.sentence.as_json(), mask))
            # A secret that is a word of ours, or reaches into one, is hidden in the whole alone.
            if again.english == hidden:
                return Failure(again, self.code, params)
        return Failure(hidden, self.code, params)


def _masked_parts(value: Any, mask: Callable[[str], str]) -> Any:
    """What `Sentence.as_json` gave, masked but for the templates, which are ours."""
    if isinstance(value, int):
        return value if mask(str(value)) == str(value) else mask(str(value))
    if isinstance(value, str):
        return mask(value)
    return [
        [part[0], {name: _masked_parts(each, mask) for name, each in part[1].items()}, *part[2:]]
        if isinstance(part, list)
        else mask(part)
        for part in value
    ]


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
