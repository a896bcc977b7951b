"""How long a repository may keep the others of its server waiting, and which one took longer.

A storage that hangs says no word of that: all that is seen is that nothing comes of a piece. Databases of
such a repository are followed apart, with a look at the log of their own, until it is quick again.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

from backups.errors import Problem

# For one piece, in seconds: beside others, and by itself.
BESIDE_SECONDS, APART_SECONDS = 60.0, 600.0
# What is stored for a database, or read back of it, takes no longer where its repository is as it should be;
# and what fails for another reason than a storage that does not answer fails sooner than that.
QUICK_SECONDS, FAILS_WITHIN_SECONDS = 40.0, 10.0


class Patience:
    """Of one look at a server's log. `is_apart` where there is but one repository, which has time."""

    def __init__(self, *, is_apart: bool) -> None:
        self._is_apart = is_apart
        # For one restic, in seconds.
        self.seconds = APART_SECONDS if is_apart else BESIDE_SECONDS
        self._waited: dict[int, float] = defaultdict(float)
        self._longest: dict[int, float] = defaultdict(float)
        self._problems: dict[int, Problem] = {}
        self._has_stored = False

    @contextmanager
    def waiting_for(self, repository: int) -> Iterator[None]:
        """For a block that uses the repository with this key; what it raises goes on."""
        began = time.monotonic()
        try:
            yield
        except Problem as problem:
            if time.monotonic() - began > FAILS_WITHIN_SECONDS:
                self._problems[repository] = problem
            raise
        finally:
            waited = time.monotonic() - began
            self._waited[repository] += waited
            self._longest[repository] = max(self._longest[repository], waited)

    def stored(self) -> None:
        """A piece was."""
        self._has_stored = True

    def is_over(self, repository: int) -> bool:
        """Whether nothing more is to be asked of a repository in this look."""
        if repository in self._problems:
            return True
        return not self._is_apart and self._waited[repository] > BESIDE_SECONDS

    def problem_of(self, repository: int) -> Problem | None:
        """What came of a repository that had its time; None where it is only slow."""
        return self._problems.get(repository)

    @property
    def slow(self) -> set[int]:
        """By their keys, the repositories that kept the others waiting."""
        over = {
            key
            for key, seconds in self._waited.items()
            if seconds > BESIDE_SECONDS or self._longest[key] > QUICK_SECONDS
        }
        return over | self._problems.keys()

    @property
    def is_quick(self) -> bool:
        """Whether something was stored, and nothing took long."""
        return self._has_stored and not self.slow
