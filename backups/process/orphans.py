"""What this process's descendants leave behind."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Collection
from contextlib import suppress

_PR_SET_CHILD_SUBREAPER = 36


def become_subreaper() -> None:
    """Become the parent of what this process's descendants leave behind, as PID 1 would.

    An orphan that has ended stays in the process table until its parent asks for its status, and
    restic takes the lock of such a process for a living one's.
    """
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def reap_orphans(own: Collection[int]) -> None:
    """Take the status of adopted processes that have ended; `own` children have others who wait."""
    with suppress(ChildProcessError):
        while ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            if ended.si_pid in own:
                return
            os.waitpid(ended.si_pid, os.WNOHANG)
