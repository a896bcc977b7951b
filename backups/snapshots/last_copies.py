"""Tables of which the newest snapshots have no copy any more, and which snapshot has the last one.

Told by the manifests that lie with the snapshots' rows. A snapshot without one, or one that is known to
be bad, says nothing: it has no copy, and nothing is missing in it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import Case, When

from backups.dumpfile import manifests
from backups.dumpfile.sections import Kind
from backups.models import Snapshot, SnapshotQuerySet
from backups.snapshots.selection import CLOCKS_DIFFER

# Tables that a change of a table makes and drops again: gh-ost, pt-online-schema-change, Facebook's, LHM,
# Vitess, and those that people rename out of the way.
_IN_PASSING = re.compile(
    r"_+.+_(gho|ghc|del|new|old)|.+__old|__osc_(new|old|chg)_.+|lhm[an]_.+|_vt_.+|#sql.+", re.IGNORECASE
)


def is_in_passing(table: str) -> bool:
    """Whether a table's name is one of those that online schema changes give."""
    return _IN_PASSING.fullmatch(table) is not None


def last_copies(present: SnapshotQuerySet, now: datetime) -> dict[int, Sequence[str]]:
    """By the key of a snapshot, the tables with rows of which it has the last copy of these snapshots.

    All are to be of one database. One that a wrong clock put into the future is newer than none. One
    query, and one manifest's list of sections at a time.
    """
    found: dict[int, Sequence[str]] = {}
    newer: set[str] | None = None
    of_future = Case(When(time__gt=now + CLOCKS_DIFFER, then=1), default=0)
    told = _telling(present).order_by(of_future, "-time", "-pk").values_list("pk", "manifest__sections")
    for pk, sections in told.iterator(chunk_size=1):
        if not manifests.has_form({"sections": sections}):
            continue
        there, with_rows = _tables(sections)
        if newer is None:
            newer = there
            continue
        if gone := sorted(name for name in with_rows - newer if not is_in_passing(name)):
            found[pk] = gone
        newer |= there
    return found


def kept_until(snapshot: Snapshot) -> datetime:
    """How long the last copies in it are kept: RETENTION_OBJECT_DAYS from the first backup without them.

    Also where that one was forgotten since: its row still tells when it was made.
    """
    stem = re.sub(r"\.sql(\.gz)?$", "", snapshot.path)
    paths = (f"{stem}.sql", f"{stem}.sql.gz")
    later = Snapshot.objects.filter(
        repository=snapshot.repository_id,
        database=snapshot.database_id,
        made_here=snapshot.made_here,
        path__in=paths,
        time__gt=snapshot.time,
    )
    told = _telling(later).order_by("time").values_list("time", "path")
    # Looked at once more: a server may take paths for one that differ in case alone.
    gone_since = next((time for time, path in told.iterator(chunk_size=10) if path in paths), None)
    return (gone_since or snapshot.time) + timedelta(days=settings.RETENTION_OBJECT_DAYS)


def _telling(snapshots: SnapshotQuerySet) -> SnapshotQuerySet:
    return snapshots.filter(manifest__isnull=False).not_known_bad()


def _tables(sections: Sequence[Mapping[str, Any]]) -> tuple[set[str], set[str]]:
    """The tables that a dump holds, and those of them that have rows."""
    there: set[str] = set()
    with_rows: set[str] = set()
    for section in sections:
        name: str = section["name"]
        if section["kind"] == Kind.TABLE:
            there.add(name)
        elif section["kind"] == Kind.ROWS and section["bytes"] > _bytes_without_rows(name):
            with_rows.add(name)
    return there | with_rows, with_rows


def _bytes_without_rows(table: str) -> int:
    """What the dump programs write around the rows of a table, also where it has none."""
    quoted = table.replace("`", "``").encode()
    around = (b"/*!40000 ALTER TABLE `%s` DISABLE KEYS */;\n", b"/*!40000 ALTER TABLE `%s` ENABLE KEYS */;\n")
    return sum(len(line % quoted) for line in around)
