"""How many processes of tests run beside one another."""

from __future__ import annotations

# Tests wait for half of their time, much of it for restic's locks: on two cores six took 725 s, five more.
BEYOND_CORES = 4
# The servers, browser and workers that one of them starts, at its worst.
MEMORY_OF_EACH = 2 * 1024**3


def fitting(cores: int, memory: int) -> int:
    """As many as keep that many cores busy and have room in `memory` (bytes), but at least one."""
    return max(1, min(cores + BEYOND_CORES, memory // MEMORY_OF_EACH))
