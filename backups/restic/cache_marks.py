"""Which repository a restic has opened, as its cache tells.

A repository's folder in the cache is called after restic's own id of it, and restic gives it a new time
whenever it has opened that repository (`cache.New` in its source). So a restic that works with a cache is
its own probe. A check makes a cache of its own in there, which it takes away at its end. Where nothing of
that is to be seen, it proves nothing, and a probe is needed.
"""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

from backups.restic.access import Access

_IDS = re.compile(r"[0-9a-f]{64}")
_OF_A_CHECK = re.compile(r"restic-check-cache-\d+")


class CacheMarks:
    """The folders of a cache as they are now, before a restic is started."""

    def __init__(self, access: Access) -> None:
        self._folder = Path(access.cache_dir) if access.cache_dir else None
        self._before = self._times()

    def opened(self) -> set[str]:
        """The ids of the repositories that were opened since, by whichever restic on this host."""
        now = self._times()
        if self._before is None or now is None:
            return set()
        return {path.name for path, time in now.items() if time != self._before.get(path)}

    def _times(self) -> dict[Path, int] | None:
        """By folder when it was opened; None where that cannot be seen.

        Another time counts, and not only a later one: a clock may be set back.
        """
        if self._folder is None:
            return None
        times: dict[Path, int] = {}
        try:
            for path in self._folder.iterdir():
                if _IDS.fullmatch(path.name):
                    times[path] = path.stat().st_mtime_ns
                elif _OF_A_CHECK.fullmatch(path.name):
                    with suppress(FileNotFoundError):  # the check has just ended
                        times |= {inner: 0 for inner in path.iterdir() if _IDS.fullmatch(inner.name)}
        except FileNotFoundError:
            return times if not self._folder.exists() else None
        except OSError:
            return None
        return times
