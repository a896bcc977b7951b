"""On an empty machine: the portal from its copy, the history from the snapshots, the newest one found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from django.contrib.auth.models import User
from django.db import connection
from django.utils import timezone

from backups import restic
from backups.actions.portal_copy import NotTrusted, copies, read
from backups.actions.steps.opening import opened
from backups.actions.steps.snapshot_list import Owners, is_dump
from backups.catalog import made_here, records
from backups.choices import Action, Trigger
from backups.errors import Problem
from backups.models import Database, Run, Snapshot
from backups.portal_copy import archive
from backups.runs import notes
from backups.runs.outcome import Outcome
from backups.runs.progress import Progress
from backups.shipping import recovered
from backups.snapshots import selection
from backups.text.sentences import phrase, plural

_VOUCH = phrase(
    "Write the VEDETTA_KEY that was kept into .env: the copy is known by it. Or look at what is in "
    "the copy and run `manage.py recover --trust-copy`."
)
# Where so many copies cannot be read, the rest cannot either.
_TRIES = 5
# Behind so many that somebody else stored, nobody looks for one of ours.
_SIGNED_AMONG = 20


def run(run: Run, progress: Progress) -> Outcome:
    """Write down what the repository tells of earlier backups. Raises Problem."""
    progress.phase("history")
    access = opened(run, progress)
    owners = Owners(Database.objects.filter(repository=run.repository).order_by("pk"))
    unreadable: list[restic.UnreadableSnapshots] = []
    listed = restic.snapshots(access, tick=progress.tick, deadline=600, on_unreadable=unreadable.append)
    found = [(info, owners.of(info)) for info in listed if is_dump(info)]
    still_there = unreadable[0].ids if unreadable else ()
    new, _ = records.snapshots_sync(run.repository, found, unreadable=still_there)
    if unreadable:
        progress.warn(unreadable[0].sentence())
    _believe_the_repository(run, [info for info, _ in found])
    pieces = recovered.rebuild(run.repository, listed)
    if pieces:
        progress.log(plural("{n} piece of a log found.", "{n} pieces of logs found.", n=pieces))
    rebuilt = sum(records.backup_rebuilt(run.repository, info, of) for info, of in found)
    sentence = phrase(
        "{snapshots} found, {new} of them new here; {backups} rebuilt.",
        snapshots=plural("{n} snapshot", "{n} snapshots", n=len(found)),
        new=new,
        backups=plural("{n} backup", "{n} backups", n=rebuilt),
    )
    progress.log(sentence)
    notes.run_update(run.pk, result={"sentence": sentence})
    return Outcome()


def _believe_the_repository(run: Run, found: Sequence[restic.SnapshotInfo]) -> None:
    """When a snapshot was made, and of what, the repository says: a row of another time would be the newest.

    The id that it is known by is of all that it says.
    """
    rows = Snapshot.objects.filter(repository=run.repository).defer("manifest")
    in_repository = {info.id: (info.time, list(info.tags)) for info in found}
    for row in rows:
        if row.snapshot_id in in_repository and in_repository[row.snapshot_id] != (row.time, row.tags):
            row.time, row.tags = in_repository[row.snapshot_id]
            row.save(update_fields=["time", "tags"])
    made_here.look_again()


def has_own_history() -> bool:
    """Whether the portal's database holds what no repository could tell, and which is to stay."""
    runs = Run.objects.exclude(trigger=Trigger.RECOVERED)
    return (
        runs.exclude(action__in=[Action.INIT, Action.SNAPSHOTS, Action.RECOVER]).exists()
        or Database.objects.filter(is_primary=False).exists()
    )


def portal(
    access: restic.Access,
    tell: Callable[[str], None],
    trusts: Callable[[str, archive.Offered], bool],
) -> bool:
    """Bring the portal's own database back from its newest copy that fits; answers whether.

    `trusts` is asked, with the copy's name, whether to take one that this installation did not sign.
    Raises Problem where the repository cannot be read at all.
    """
    if has_own_history():
        tell(
            phrase(
                "The portal has a history of its own, which stays as it is. {in_its_place}",
                in_its_place=_in_its_place(),
            )
        )
        return False
    restic.probe(access)
    found = copies(access)
    if not found:
        tell(phrase("The repository holds no copy of the portal's own database."))
        return False
    passed_over: list[str] = []
    if _take_over(access, found[:_SIGNED_AMONG], passed_over.append, lambda _name, _offered: False):
        for words in passed_over:
            tell(words)
        return True
    # None is ours by its signature, so a person may vouch for the newest that can be read.
    if _take_over(access, found[:_TRIES], tell, trusts):
        return True
    tell(phrase("So the history is rebuilt from the snapshots alone."))
    return False


def _in_its_place() -> str:
    """How a copy gets where another history is, as after a recovery without the key that has turned up."""
    place = str(connection.settings_dict["NAME"])
    away = (
        phrase("move {place} away", place=place)
        if connection.vendor == "sqlite"
        else phrase("name an empty database in DATABASE_URL")
    )
    return phrase(
        "If a copy should take its place: stop portal and worker, {away}, then run `manage.py recover "
        "--history-only`, with the VEDETTA_KEY that was kept or with --trust-copy.",
        away=away,
    )


def _take_over(
    access: restic.Access,
    found: Sequence[restic.SnapshotInfo],
    tell: Callable[[str], None],
    trusts: Callable[[str, archive.Offered], bool],
) -> bool:
    unreadable = 0
    for copy in found:
        made_at = timezone.localtime(copy.backup_start or copy.time)
        name = phrase(
            "The portal's copy {copy} of {made_at}", copy=copy.id[:8], made_at=f"{made_at:%Y-%m-%d %H:%M:%S}"
        )
        try:
            header, switched_off = read(access, copy, partial(trusts, name))
        except NotTrusted as refused:
            tell(
                phrase(
                    "{name} was not taken over. {sentence} {vouch}",
                    name=name,
                    sentence=refused.sentence(),
                    vouch=_VOUCH,
                )
            )
        except Problem as problem:
            tell(phrase("{name} cannot be used. {sentence}", name=name, sentence=problem.sentence()))
            unreadable += 1
            if unreadable == _TRIES:
                return False
        else:
            recovered.read_all_again()
            _tell_taken(copy, header, name, switched_off, tell)
            return True
    return False


def _tell_taken(
    copy: restic.SnapshotInfo,
    header: archive.Header,
    name: str,
    switched_off: Sequence[str],
    tell: Callable[[str], None],
) -> None:
    # It could not hold its own id, by which it is told from a database's snapshots.
    for run in Run.objects.filter(pk=header.made_by):
        notes.run_update(run.pk, result={"snapshot_id": copy.id})
    tell(
        phrase(
            "{name} was restored: {runs}, {databases}, {people}. Passwords are those from that time.",
            name=name,
            runs=plural("{n} run", "{n} runs", n=Run.objects.count()),
            databases=plural("{n} database", "{n} databases", n=Database.objects.count()),
            people=plural("{n} person", "{n} people", n=User.objects.count()),
        )
    )
    for words in switched_off:
        tell(words)


def newest(database: Database) -> Snapshot:
    """The snapshot to start again from. Raises Problem."""
    found = selection.newest(database)
    if found is None:
        raise Problem(
            phrase("The repository holds no snapshot of {database}.", database=database),
            code="snapshot.none",
            do=phrase("Check RESTIC_REPOSITORY and MYSQL_DATABASE: the name must be the one backed up."),
        )
    return found
