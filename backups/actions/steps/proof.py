"""What a verification proves or takes back, and what to say of a snapshot that was found bad."""

from __future__ import annotations

from backups import mysql
from backups.actions.steps.findings import Findings
from backups.choices import Health, Trigger
from backups.dumpfile.sections import Kind
from backups.errors import Problem
from backups.gate import heartbeat_files
from backups.models import Database, Repository, Snapshot
from backups.requests import CheckRequest
from backups.runs.outcome import CallsForMore, FollowUp
from backups.snapshots import selection
from backups.text.kinds import kind_word, of_kind
from backups.text.sentences import joined, phrase
from backups.text.terminal import escape_control_characters


def _newest_proved(database: Database) -> Snapshot | None:
    proved = selection.backups_of(Snapshot.objects.trusted().meant().filter(database=database))
    return selection.latest_of(proved.verified())


def take_back_proof(database: Database, snapshot: Snapshot) -> None:
    """What was proved and is found bad now is no proof any more: the gate goes by the one before."""
    database.refresh_from_db(fields=["is_primary"])
    # The file holds whole seconds.
    if heartbeat_files.last_verified(database) == snapshot.time.replace(microsecond=0):
        before = _newest_proved(database)
        heartbeat_files.take_last_verified_back(database, before.time if before else None)


def stamp(database: Database, snapshot: Snapshot) -> None:
    """An older snapshot that is verified by hand does not turn the clock back."""
    if _newest_proved(database) == snapshot:
        # Another may have become the first one meanwhile, whose times are not this one's.
        database.refresh_from_db(fields=["is_primary"])
        heartbeat_files.write_last_verified(database, snapshot.time)


def health_of(snapshot: Snapshot) -> Health:
    """What is known of the snapshot's repository, as of now."""
    return Health(Repository.objects.values_list("health", flat=True).get(pk=snapshot.repository_id))


def bad_news(snapshot: Snapshot, findings: Findings, health_before: Health) -> Problem:
    """What to say of a snapshot that was found bad, in a repository that was like that before."""
    if findings.unreadable:
        return CallsForMore(
            phrase(
                "Snapshot {snapshot} cannot be restored: {unreadable}",
                snapshot=snapshot.short_id,
                unreadable=findings.unreadable,
            ),
            _check(snapshot),
            code="verify.unreadable",
            safe=phrase("The live database was not touched."),
            do=phrase(
                "Back up again now and verify that. {value}",
                value=_OF_THE_REPOSITORY.get(health_before, _SUSPECT_NOW),
            ),
        )
    count = len(findings.differences)
    shown = joined(findings.differences[:5], "; ") + (
        phrase("; and {count} more", count=count - 5) if count > 5 else ""
    )
    what = phrase(
        "Snapshot {snapshot} restores, but not to what was backed up: {shown}.",
        snapshot=snapshot.short_id,
        shown=shown,
    )
    if explained_by_the_server(findings):
        return Problem(
            what,
            code="verify.differs_by_server",
            safe=phrase("The live database was not touched."),
            do=_cures(findings),
        )
    return CallsForMore(
        what,
        _check(snapshot),
        code="verify.different",
        safe=phrase("The live database was not touched."),
        do=f"{_cures(findings)} {_BACK_UP_AGAIN}".strip(),
    )


_CHECK_FOLLOWS = phrase("a check of 5 % of its data follows, and one of all data tells for certain.")
_SUSPECT_NOW = phrase("The repository is suspect from now on: {check_follows}", check_follows=_CHECK_FOLLOWS)
# What a snapshot that cannot be read says of where it lies, where that was not sound before.
_OF_THE_REPOSITORY = {
    Health.SUSPECT: phrase("The repository stays suspect: {check_follows}", check_follows=_CHECK_FOLLOWS),
    Health.DAMAGED: phrase(
        "The repository is known to be damaged. First repair the index, then the snapshots, then "
        "check all data."
    ),
}


_BACK_UP_AGAIN = phrase(
    "Back up again now and verify that; keep this run's log for the cause. A check of 5 % of the "
    "repository's data follows."
)


def _check(snapshot: Snapshot) -> FollowUp:
    """Of the repository alone, whose lease it takes."""
    return FollowUp(CheckRequest(snapshot.repository, read_data_subset="5%"), Trigger.VERIFY)


def proved_in_part(snapshot: Snapshot, findings: Findings) -> mysql.OfTheServer:
    """What to say where nothing differs, and this server would not make all of it: no proof either way."""
    refused = findings.refused
    names = mysql.named([of_kind(each.ready.kind, each.ready.name) for each in refused])
    return mysql.OfTheServer(
        phrase(
            "Snapshot {snapshot} is not proved in full. All that could be compared is the same, but "
            "the server that it was restored to refused {names} ({why}).",
            snapshot=snapshot.short_id,
            names=names,
            why=refused[0].why.rstrip("."),
        ),
        code="verify.proved_in_part",
        do=phrase("{do} Then verify again.", do=refused[0].do),
    )


def _cures(findings: Findings) -> str:
    """What makes the server give back what it made otherwise, by its settings."""
    return mysql.SET_AS_WRITTEN if any(each.differ for each in findings.computed_anew) else ""


def explained_by_the_server(findings: Findings) -> bool:
    """Whether generated columns explain all: no other backup would come out otherwise."""
    differing = [each for each in findings.computed_anew if each.differ]
    explained = {each.words for each in differing}
    explained |= {
        phrase(
            "{rows} {table} differs after the restore",
            rows=kind_word(Kind.ROWS),
            table=escape_control_characters(each.table),
        )
        for each in differing
    }
    return bool(explained) and not findings.unreadable and explained.issuperset(findings.differences)
