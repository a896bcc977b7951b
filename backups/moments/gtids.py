"""Whether a transaction is among those that a server says were logged before."""

from __future__ import annotations

from backups.binlog import GtidSet


def contains(logged: str, gtid: str) -> bool | None:
    """Whether `gtid` is in the set `logged`; None where that tells nothing.

    Of MariaDB's the set has each domain's last one alone.
    """
    try:
        before, one = GtidSet.parse(logged), GtidSet.parse(gtid)
    except ValueError:
        return None
    if not logged:
        return None
    for (domain, _), number in one.last.items():
        return any(of == domain and last >= number for (of, _), last in before.last.items())
    return all(
        any(first <= begin and end <= last for first, last in before.intervals.get(source, []))
        for source, intervals in one.intervals.items()
        for begin, end in intervals
    )
