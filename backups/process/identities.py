"""Processes told apart from earlier ones that had their numbers."""

from __future__ import annotations

import os
import re
from pathlib import Path

from backups import at_first_use

_IDENTITY = at_first_use.pattern(r"(.*):([0-9]{1,9}):([^:]*)", re.S)


def identity() -> str:
    """This process, told apart from any earlier one that had its number: host:pid:start."""
    pid = os.getpid()
    return f"{os.uname().nodename}:{pid}:{_started_at(pid)}"


def is_gone(worker: str) -> bool:
    """Whether `worker` (an `identity`) ran on this host and runs no more."""
    host, pid, started = _parts(worker)
    return host == os.uname().nodename and _started_at(pid) != started


def is_elsewhere(worker: str) -> bool:
    """Whether `worker` (an `identity`) is a process of another machine, whose clock may be another."""
    return _parts(worker)[0] != os.uname().nodename


def runs_in_group(worker: str, group: int) -> bool:
    """Whether `worker` (an `identity`) runs on this host in the process group that `group` leads."""
    host, pid, started = _parts(worker)
    if host != os.uname().nodename or _started_at(pid) != started:
        return False
    try:
        return os.getpgid(pid) == group
    except ProcessLookupError:
        return False


def _parts(worker: str) -> tuple[str, int, str]:
    """Host, number and start of an `identity`; what is none is of no host that anybody runs on."""
    found = _IDENTITY.fullmatch(worker)
    return (found[1], int(found[2]), found[3]) if found else ("", 0, "")


def _started_at(pid: int) -> str:
    """The process's start in clock ticks since boot, with the boot's id; empty when it is gone.

    proc(5): field 22 of /proc/PID/stat; the command's name before it may hold blanks.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text()[:8]
    except OSError:
        return ""
    fields = stat.rpartition(")")[2].split()
    return "" if fields[0] in "ZX" else f"{boot}-{fields[19]}"
