"""Which snapshot is meant: the latest, one by its id, or the newest not after a time.

`latest` and a time mean backups. A safety copy, which a restore makes of what it is to repair, is
newer than they are and holds what nobody wants back: it is taken by its id alone, and named where it
is passed over.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence, Set
from datetime import datetime, timedelta

from django.db.models import F, Q, QuerySet
from django.utils import timezone

from backups.choices import BAD_VERDICTS, SAFETY_TAG, Action, Trigger, Verdict
from backups.errors import Problem, shortened
from backups.models import Database, Restore, Run, Snapshot, SnapshotQuerySet
from backups.text.sentences import phrase

# As far as two machines' clocks may differ.
CLOCKS_DIFFER = timedelta(minutes=1)
_FIRST_YEAR, _LAST_YEAR = 1970, 9000
# Of several that are meant by one beginning.
_NAMED = 5
_LIST_THEM = phrase("List them with `manage.py snapshots`.")


def newest(database: Database) -> Snapshot | None:
    """The newest backup there is, safety copies passed over; None without any.

    One that is known to be bad, or holds suspiciously little, only where there is no other: who restores
    wants the tables.
    """
    trusted = _meant(database).trusted()
    return latest_of(backups_of(trusted.not_known_bad())) or newest_to_prove(database)


def newest_to_prove(database: Database) -> Snapshot | None:
    """As `newest`, but also one that is known to be bad: another verification may find it good."""
    meant = _meant(database)
    return latest_of(backups_of(meant.trusted())) or latest_of(backups_of(meant))


def newer_of_others(chosen: Snapshot, until: datetime | None = None) -> Snapshot | None:
    """The newest backup of the same database that was not made here, after `chosen` and not after `until`."""
    if chosen.database is None or not chosen.made_here:
        return None
    later = _present(chosen.database).filter(time__gt=chosen.time, made_here=False)
    if until is not None:
        later = later.filter(time__lte=until)
    return backups_of(later).first()


def newer_known_bad(chosen: Snapshot) -> Snapshot | None:
    """The newest backup of the same database that is newer than `chosen`, and known to be bad."""
    if chosen.database is None:
        return None
    later = _present(chosen.database).filter(time__gt=chosen.time, verdict__in=BAD_VERDICTS)
    return backups_of(later).first()


def known_bad_words(snapshot: Snapshot) -> str:
    """Why a snapshot is known to be bad, in a sentence; empty where it is not."""
    if not snapshot.is_known_bad:
        return ""
    last = snapshot.verifications.order_by("-finished_at", "-pk").first()
    if last is None:
        return phrase(
            "Snapshot {snapshot} is known to be bad: a repair made it from a damaged one and left out "
            "what could not be read.",
            snapshot=snapshot.short_id,
        )
    when = phrase(" of {local}", local=_local(last.finished_at))
    why = f" ({shortened('; '.join(last.differences[:2]).rstrip('.'), 300)})" if last.differences else ""
    found = (
        phrase("could not read it")
        if snapshot.verdict == Verdict.UNREADABLE
        else phrase("found that it differs")
    )
    return phrase(
        "Snapshot {snapshot} is known to be bad: its newest verification{when} {found}{why}.",
        snapshot=snapshot.short_id,
        when=when,
        found=found,
        why=why,
    )


def latest_of(snapshots: QuerySet[Snapshot]) -> Snapshot | None:
    """The newest of these; one that a wrong clock put into the future only where there is no other."""
    return snapshots.filter(time__lte=timezone.now() + CLOCKS_DIFFER).first() or snapshots.first()


def latest_among(snapshots: Sequence[Snapshot]) -> Snapshot | None:
    """The same of rows that were read, newest first."""
    past = timezone.now() + CLOCKS_DIFFER
    return next((each for each in snapshots if each.time <= past), next(iter(snapshots), None))


def backups_of(snapshots: SnapshotQuerySet) -> SnapshotQuerySet:
    """These without the safety copies among them."""
    return snapshots.exclude(pk__in=safety_copies(snapshots))


def safety_copies(snapshots: QuerySet[Snapshot], among: Sequence[Snapshot] | None = None) -> set[int]:
    """The keys of those that were saved before a restore, also before one that then failed.

    By this portal's rows, and by restic's tag where the portal was rebuilt from the repository. `among` are
    the same ones where they were read already.
    """
    if among is not None:
        return safety_copies_among(among, saved_by_rows(snapshots))
    by_tag = (key for key, tags in snapshots.values_list("pk", "tags") if SAFETY_TAG in tags)
    return {*saved_by_rows(snapshots), *by_tag}


def saved_by_rows(snapshots: QuerySet[Snapshot]) -> set[int]:
    """The keys of those that this portal's rows say to have been saved before a restore."""
    saved = Restore.objects.exclude(safety_snapshot=None).values("safety_snapshot")
    by_rows = snapshots.filter(Q(made_by__trigger=Trigger.RESTORE) | Q(pk__in=saved))
    return set(by_rows.order_by().values_list("pk", flat=True))


def safety_copies_among(snapshots: Iterable[Snapshot], by_rows: Set[int]) -> set[int]:
    """As `safety_copies`, of rows that were read, by what `saved_by_rows` says of these and of others."""
    return {each.pk for each in snapshots if each.pk in by_rows or SAFETY_TAG in each.tags}


def newer_safety_copy(chosen: Snapshot, until: datetime | None = None) -> Snapshot | None:
    """The newest safety copy of the same database that is newer than `chosen`, not after `until`."""
    if chosen.database is None:
        return None
    later = _present(chosen.database).filter(time__gt=chosen.time)
    if until is not None:
        later = later.filter(time__lte=until)
    return later.filter(pk__in=safety_copies(later)).first()


def is_safety_copy(snapshot: Snapshot) -> bool:
    """Whether it was saved before a restore."""
    return bool(safety_copies(Snapshot.objects.filter(pk=snapshot.pk)))


def instead_of(damaged: Snapshot) -> str:
    """What to take in the place of a snapshot that turned out to be damaged, in a sentence."""
    if damaged.database is None:
        return phrase("Restore another snapshot.")
    proved = _present(damaged.database).exclude(pk=damaged.pk).verified()
    found = latest_of(backups_of(proved))
    if found is None and not _present(damaged.database).exclude(pk=damaged.pk).exists():
        return phrase("There is no other snapshot of {database}.", database=damaged.database)
    if found is None:
        return phrase("No other snapshot of it is verified: verify an older one, then restore that.")
    return phrase(
        "The newest verified one is {snapshot} from {local}.",
        snapshot=found.short_id,
        local=_local(found.time),
    )


def resolve_snapshot(database: Database, text: str) -> Snapshot:
    """The snapshot that `latest`, an id or the beginning of one means. Raises Problem."""
    if text == "latest":
        latest = newest(database)
        if latest is None:
            raise _none(database)
        return latest
    if not re.fullmatch(r"[0-9a-f]{4,64}", text):
        raise Problem(
            phrase("{text} is no snapshot.", text=repr(text)),
            code="snapshot.malformed",
            do=phrase("Give latest, or at least four digits of its id (0-9, a-f)."),
        )
    alike = _present(database).filter(snapshot_id__startswith=text).select_related("repository")
    found = list(alike.order_by("pk")[:_NAMED])
    if not found:
        raise _not_of(database, text)
    if len(found) > 1:
        named = ", ".join(f"{each.short_id} ({each.repository})" for each in found)
        raise Problem(
            phrase("Several snapshots begin with {text}: {named}.", text=text, named=named),
            code="snapshot.ambiguous",
            do=phrase("Give more digits of the id."),
        )
    return found[0]


def snapshot_at(database: Database, time: datetime) -> Snapshot:
    """The newest backup not after `time`. Raises Problem, naming the oldest there is."""
    # Beyond these no time zone can be told, and nothing was backed up.
    if not _FIRST_YEAR <= time.year <= _LAST_YEAR:
        raise Problem(
            phrase("There is no snapshot from the year {year}.", year=time.year),
            code="snapshot.no_such_time",
            do=phrase("Give another time."),
        )
    backups = backups_of(_meant(database))
    found = backups.filter(time__lte=time).first()
    if found is not None:
        return found
    oldest = backups.order_by("time").first()
    if oldest is None:
        raise _none(database)
    raise Problem(
        phrase(
            "There is no snapshot of {database} from {local} or before.",
            database=database,
            local=_local(time),
        ),
        code="snapshot.none_by_then",
        do=phrase(
            "The oldest is {snapshot} from {local}.", snapshot=oldest.short_id, local=_local(oldest.time)
        ),
    )


def _present(database: Database) -> SnapshotQuerySet:
    return Snapshot.objects.present().filter(database=database)


def _meant(database: Database) -> SnapshotQuerySet:
    """Of which `latest` and a time choose: what was made here, where there is such, lest others decide."""
    present = _present(database)
    ours = present.made_here()
    return ours if backups_of(ours).exists() else present


def _none(database: Database) -> Problem:
    saved = _present(database).first()
    if saved is not None:
        return Problem(
            phrase(
                "There is no backup of {database}, only safety backups that were made before restores.",
                database=database,
            ),
            code="snapshot.none_but_saved",
            do=phrase(
                "The newest of these is {snapshot} from {local}. To take it, say its id.",
                snapshot=saved.short_id,
                local=_local(saved.time),
            ),
        )
    return Problem(
        phrase("There is no snapshot of {database} yet.", database=database),
        code="snapshot.none",
        do=phrase("Back it up first, or bring the list from the repository with `manage.py snapshots`."),
    )


def _not_of(database: Database, text: str) -> Problem:
    """What an id is that is none of this database's snapshots."""
    copies = Run.objects.filter(action=Action.PORTAL, result__snapshot_id__startswith=text)
    if copies.exists():
        return Problem(
            phrase("{text} is a copy of the portal, not of {database}.", text=text, database=database),
            code="snapshot.of_the_portal",
            do=phrase("`manage.py recover` brings the portal back from it."),
        )
    other = Snapshot.objects.filter(snapshot_id__startswith=text).select_related("database", "repository")
    # Servers differ in where they sort what has no value.
    named = other.order_by(F("forgotten_at").asc(nulls_first=True)).first()
    if named is None:
        return Problem(
            phrase("{database} has no snapshot {text}.", database=database, text=text),
            code="snapshot.unknown",
            do=_LIST_THEM,
        )
    if named.database == database:
        return Problem(
            phrase("Snapshot {text} of {database} was forgotten.", text=text, database=database),
            code="snapshot.forgotten",
            do=_LIST_THEM,
        )
    if named.database is None:
        return Problem(
            phrase(
                "Snapshot {text} is of {source}, which is not set up here, not of {database}.",
                text=text,
                source=named.source,
                database=database,
            ),
            code="snapshot.of_another_database",
            do=phrase("Add that database in the portal first."),
        )
    return Problem(
        phrase(
            "Snapshot {text} is of {database} (in repository {repository}), not of {wanted}.",
            text=text,
            database=named.database,
            repository=named.repository,
            wanted=database,
        ),
        code="snapshot.of_another_database",
        do=phrase("Say --database {database} to take it.", database=named.database),
    )


def _local(time: datetime) -> str:
    return f"{timezone.localtime(time):%Y-%m-%d %H:%M:%S}"
