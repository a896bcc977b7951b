"""How many of a machine's cores are there for this process."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

_CONTROL_GROUPS = Path("/sys/fs/cgroup")
_OWN_GROUPS = Path("/proc/self/cgroup")
# Of the second version, where a process is in one group.
_OWN = "0::"
_LIMIT = "cpu.max"


def available_cores() -> int:
    """The cores that this process may run on, or fewer where its control groups allow less; one at least."""
    return cores_within(len(os.sched_getaffinity(0)), _limits(_CONTROL_GROUPS, _OWN_GROUPS))


def cores_within(cores: int, limits: Iterable[str]) -> int:
    """The whole cores that each of `limits` leaves: texts of cpu.max, so many microseconds of so many.

    https://docs.kernel.org/admin-guide/cgroup-v2.html
    """
    for limit in limits:
        quota, _, period = limit.strip().partition(" ")
        if quota.isdecimal() and period.isdecimal() and int(period):
            cores = min(cores, int(quota) // int(period))
    return max(1, cores)


def _limits(root: Path, own_groups: Path) -> Iterator[str]:
    """What is written in the group of this process and in those around it, as far as it may be seen."""
    with suppress(OSError):
        own = next((line for line in own_groups.read_text().splitlines() if line.startswith(_OWN)), _OWN)
        path = Path(own.removeprefix(_OWN).lstrip("/"))
        # What lies outside of a container is not to be seen in it.
        inside = Path() if ".." in path.parts else path
        for group in (inside, *inside.parents):
            with suppress(OSError):
                yield (root / group / _LIMIT).read_text()
