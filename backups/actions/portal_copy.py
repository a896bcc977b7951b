"""The portal's own database, kept in the repository beside what it backs up.

A run of its own, once a night and after each backup that somebody asked for: what goes wrong here is told as
an alert of its own, and changes neither the backup's outcome nor the gate.
"""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from django.conf import settings
from django.db import DatabaseError
from django.utils import timezone

from backups import keys, process, restic
from backups.actions.steps.opening import opened, wait_for_maintenance
from backups.actions.steps.read_back import take_back
from backups.catalog import made_here, portal_copies, series
from backups.catalog.portal_copies import copied_with
from backups.choices import Level
from backups.errors import Problem
from backups.models import Database, Repository, Run, Snapshot
from backups.portal_copy import archive, strangers
from backups.portal_copy.portal_database import reason
from backups.repositories import identity
from backups.runs import notes, recovered
from backups.runs.outcome import Outcome
from backups.runs.progress import Progress
from backups.snapshots import retention
from backups.snapshots.naming import path_of_portal
from backups.text import formatting
from backups.text.sentences import phrase, plural

TAG = "portal"
_TAGS = ("vedetta", TAG)
# A portal is small; an unreachable storage would have restic try for a quarter of an hour.
_STORE_SECONDS = 1800.0
_READ_BYTES = 1 << 20
_BEFORE = timedelta(seconds=1)
# What retention keeps where the environment asks for nothing to be kept.
_KEEP = (7, 4, 6)


def path() -> str:
    """Where the copy lies in its snapshots, by the database that `recover` is told to look for."""
    return path_of_portal(settings.MYSQL_DATABASE)


def run(run: Run, progress: Progress) -> Outcome:
    """Copy the portal's database into the repository. Raises Problem, Cancelled."""
    progress.phase("copy")
    wait_for_maintenance(run.repository, progress)
    access = opened(run, progress)
    # Whole and unnamed before restic begins: whoever is killed, half a copy is never stored.
    with _spare_file() as file:
        rows = archive.write(
            file, made_by=run.pk, tick=progress.tick, sign=lambda digest: _signature(digest, progress)
        )
        progress.phase("store", expected=file.tell())
        utc = _date(run.repository)
        summary = _store(file.fileno(), utc, run.repository, access, progress)
    size = formatting.size(summary.total_bytes_processed)
    sentence = phrase(
        "Snapshot {snapshot_id} holds the portal itself: {rows}, {size}.",
        snapshot_id=summary.snapshot_id[:8],
        rows=plural("{n} row", "{n} rows", n=rows),
        size=size,
    )
    progress.log(sentence)
    notes.run_update(
        run.pk,
        bytes_done=summary.total_bytes_processed,
        result={
            "sentence": sentence,
            "snapshot_id": summary.snapshot_id,
            "data_added_packed": summary.data_added_packed,
            **portal_copies.as_listed(_info(summary, utc)),
        },
    )
    return Outcome()


def _signature(digest: str, progress: Progress) -> str:
    """By which a new machine takes the copy over without a question; a copy goes on without a key."""
    try:
        return made_here.key_in_use().sign(keys.of_portal_copy(digest))
    except Problem as problem:
        progress.warn(phrase("The copy is not signed. {sentence}", sentence=problem.sentence()))
        return ""


@contextmanager
def _spare_file() -> Iterator[tempfile._TemporaryFileWrapper[bytes]]:
    """A file without a name, gone with this process. Raises Problem for what hinders reading and writing."""
    try:
        with tempfile.TemporaryFile() as file:
            yield file  # type: ignore[misc]  # an unnamed file has no wrapper
    except OSError as error:
        raise Problem(
            phrase(
                "The portal's copy could not be written to {folder} ({error}).",
                folder=tempfile.gettempdir(),
                error=error.strerror,
            ),
            code="portal_copy.not_written",
            do=phrase("Make room there, or set TMPDIR to a folder with more."),
        ) from error
    except DatabaseError as error:
        raise Problem(
            phrase("The portal's own database could not be read ({error}).", error=reason(error)),
            code="portal_copy.not_read",
            do=phrase("Check DATABASE_URL and its server."),
        ) from error


def _store(
    fd: int, utc: datetime, repository: Repository, access: restic.Access, progress: Progress
) -> restic.BackupSummary:
    summaries: list[restic.BackupSummary] = []

    def read_status(line: str) -> None:
        if (done := restic.parse_status(line)) is not None:
            progress.bytes_done(done)
        elif summary := restic.parse_backup_summary(line):
            summaries.append(summary)

    args = restic.backup_args(
        path=path(), host=settings.BACKUP_HOST, tags=_TAGS, command=("cat", f"/dev/fd/{fd}"), utc=utc
    )
    storing = phrase("storing the portal's copy")
    try:
        with identity.another_named(repository):
            restic.probed_call(
                dataclasses.replace(access, zone="UTC"),
                restic.Command(args, storing, deadline=_STORE_SECONDS, pass_fds=[fd]),
                on_stdout=read_status,
                on_stderr=lambda line: progress.log(restic.readable(line), Level.WARNING),
                tick=progress.tick,
            )
    except restic.OtherRepository:
        take_back(access, summaries)
        raise
    if not summaries:
        raise Problem(
            phrase("restic ended without saying what it stored."), code="restic.said_nothing_stored"
        )
    return summaries[-1]


def _info(summary: restic.BackupSummary, utc: datetime) -> restic.SnapshotInfo:
    """What restic's list will say of it."""
    return restic.SnapshotInfo(
        id=summary.snapshot_id,
        time=utc.replace(microsecond=0),
        hostname=settings.BACKUP_HOST,
        paths=(path(),),
        tags=_TAGS,
    )


def _date(repository: Repository) -> datetime:
    """A moment before the newest backup: restic's `latest` has to go on meaning a database's dump."""
    newest = Snapshot.objects.present().filter(repository=repository).first()
    return newest.time.astimezone(UTC) - _BEFORE if newest else timezone.now()


def superfluous(
    repository: Repository, found: Iterable[restic.SnapshotInfo], progress: Progress
) -> list[str]:
    """Of a repository's snapshots the copies that retention no longer keeps; the newest always stays."""
    if not copied_with(repository):
        return []
    hosts = _our_hosts()
    ours = [
        retention.Dated(info.id, info.time, tuple(sorted(info.tags)))
        for info in found
        if TAG in info.tags and path() in info.paths and info.hostname in hosts
    ]
    wanted = (settings.BACKUP_KEEP_DAILY, settings.BACKUP_KEEP_WEEKLY, settings.BACKUP_KEEP_MONTHLY)
    daily, weekly, monthly = wanted if any(wanted) else _KEEP
    policy = retention.Policy(daily, weekly, monthly)
    plan = retention.plan(ours, policy, {}, timezone.get_default_timezone())
    if plan.forget:
        progress.log(
            phrase(
                "forget {copies} of the portal, keep {count}",
                copies=plural("{n} copy", "{n} copies", n=len(plan.forget)),
                count=len(plan.keep),
            )
        )
    return list(plan.forget)


def _our_hosts() -> tuple[str, ...]:
    """Another installation's copies, in the same repository, are its own to forget."""
    first = Database.objects.filter(is_primary=True).first()
    return tuple(sorted(series.of_this_installation(first))) if first else (settings.BACKUP_HOST,)


def copies(access: restic.Access, progress_tick: process.Tick | None = None) -> list[restic.SnapshotInfo]:
    """This portal's copies in the repository, newest first. Raises Problem."""
    # One that cannot be read is told of by `recover` itself, and must not be in the way of the others.
    listed = restic.snapshots(access, tick=progress_tick, deadline=600, on_unreadable=lambda _: None)
    ours = [info for info in listed if TAG in info.tags and path() in info.paths]
    return sorted(ours, key=lambda info: info.backup_start or info.time, reverse=True)


class NotTrusted(Problem):
    """The key of this installation did not sign the copy, and nobody vouched for it."""

    code = "portal_copy.not_trusted"


def read(
    access: restic.Access, copy: restic.SnapshotInfo, trusts: Callable[[archive.Offered], bool]
) -> tuple[archive.Header, list[str]]:
    """Put a copy in the place of what the portal's database holds; answers what of it was switched off.

    `trusts` is asked where this installation's key did not sign it. Raises Problem, then nothing changed:
    NotTrusted, where the answer was no.
    """
    is_ours = False
    switched_off: list[str] = []

    def accept(offered: archive.Offered) -> None:
        nonlocal is_ours
        public = made_here.key_in_use().public_signing
        is_ours = keys.is_signed(public, keys.of_portal_copy(offered.sha256), offered.signature)
        if not is_ours and not trusts(offered):
            raise NotTrusted(
                phrase("The key of this installation did not sign it, and nobody vouched for it."),
                code="portal_copy.not_trusted",
            )

    def then(header: archive.Header) -> None:
        recovered.after_portal_restore(header)
        made_here.look_again()
        switched_off.extend(strangers.switch_off_unfit())
        if not is_ours:
            switched_off.extend(strangers.switch_off_strange())

    with restic.dump(access, copy.id, path()) as running, restic.outage_guard(running, access):
        try:
            lines = archive.lines_in(running.stdout)
            return archive.restore(lines, accept=accept, then=then), switched_off
        except archive.TooLong:
            raise
        except Problem:
            while running.stdout.read(_READ_BYTES):
                continue  # what is left, so that restic comes to its end and tells of it
            restic.finished(running, access, phrase("reading the portal's copy"))
            raise
