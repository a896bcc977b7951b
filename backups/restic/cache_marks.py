"""Which repository a restic has opened, as its cache tells.

A repository's folder in the cache is called after restic's own id of it, and restic gives it a new time
whenever it has opened that repository (`cache.New` in its source). So a restic that works with a cache is
its own probe. Where nothing of that is to be seen, it proves nothing, and a probe is needed.
"""

from __future__ import annotations

import os
import re

from backups.restic.access import Access

_IDS = re.compile(r"[0-9a-f]{64}")


class CacheMarks:
    """The folders of a cache as they are now, before a restic is started."""

    def __init__(self, access: Access) -> None:
        self._folder = access.cache_dir
        self._before = self._times()

    def opened(self) -> set[str]:
        """The ids of the repositories that were opened since, by whichever restic on this host."""
        return {name for name, time in self._times().items() if time != self._before.get(name)}

    def _times(self) -> dict[str, int]:
        """Another time, and not a later one: a clock may be set back."""
        if not self._folder:
            return {}
        try:
            with os.scandir(self._folder) as found:
                return {
                    entry.name: entry.stat(follow_symlinks=False).st_mtime_ns
                    for entry in found
                    if _IDS.fullmatch(entry.name)
                }
        except OSError:
            return {}
