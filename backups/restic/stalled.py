"""How long a storage may go on failing, or say nothing, before restic is ended: what ends a stalled upload.

A request that makes no progress restic gives up itself, after five minutes or what `Access.argv` says, and
tells of it; that line, and those of each further try, are what `OutageTimer` hears.
"""

from __future__ import annotations

import re
import time
from collections import deque

from backups.restic.access import Access
from backups.restic.output import readable
from backups.restic.problems import ResticError
from backups.restic.storage_errors import refused, unreachable
from backups.text.sentences import phrase

# A storage that fails says so about once a minute; what went wrong before a longer silence is over.
_OVER_SECONDS = 300.0
# The last words of a program in Go.
_NO_MEMORY = re.compile(r"^(?:fatal error|runtime): .*(?:out of memory|cannot allocate memory)")


class OutageTimer:
    """How long a storage has been failing, by what restic says of its own attempts.

    Each request that fails is tried again for a quarter of an hour, and then comes the next one.
    """

    def __init__(self, access: Access) -> None:
        self._access = access
        self._failing_since: float | None = None
        self._last = 0.0
        self._lines: deque[str] = deque(maxlen=2)

    def hear(self, line: str) -> None:
        """Take a line of restic's standard error. Raises ResticError when it is enough, or final."""
        text, now = readable(line), time.monotonic()
        if _NO_MEMORY.search(text):
            raise ResticError(
                phrase(
                    "The repository at {url} answered with more than restic has memory for.",
                    url=self._access.url,
                ),
                code="restic.out_of_memory",
                do=phrase(
                    "See whether it is the right repository, and check {url_set_by}.",
                    url_set_by=self._access.url_set_by,
                ),
            )
        if "operation successful after" in text:
            self._failing_since = None
        if "returned error, retrying after" not in text:
            return
        was_over = now - self._last > _OVER_SECONDS + self._access.patience_seconds / 3
        if self._failing_since is None or was_over:
            self._failing_since = now
        self._last = now
        self._lines.append(text)
        if no := refused([text], self._access, final_only=True):
            raise no
        if now - self._failing_since > self._access.patience_seconds:
            raise unreachable(self._access, self._lines)
