"""A snapshot loaded into a scratch database, and what that alone shows of it."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from backups import mysql, restic
from backups.actions.steps import reach
from backups.actions.steps.findings import Findings, Scratch, Unreadable
from backups.actions.steps.load_connections import load_connections
from backups.actions.steps.loading import load_snapshot
from backups.actions.steps.opening import OpenedSnapshot
from backups.actions.steps.refusing import (
    proves_nothing,
    refuse_other_engine,
    refuse_other_spelling,
    refuse_unlike,
)
from backups.actions.steps.sections import as_counted_then, differing_sections
from backups.actions.steps.whole import refuse_unless_complete, source_name, whole_load_options
from backups.catalog import made_here
from backups.dumpfile.ready import Found
from backups.loading.loader import Destination
from backups.loading.problems import BrokenDump, LoadProblem
from backups.loading.progress import Loading
from backups.models import Snapshot
from backups.runs.progress import Progress
from backups.text import formatting
from backups.text.sentences import phrase

ANOTHER_MANIFEST = phrase("the manifest is not the one that the backup recorded")


def load_whole(
    stored: OpenedSnapshot, scratch: Scratch, loading: Loading, findings: Findings, progress: Progress
) -> None:
    """Load all of a snapshot, and note what shows it to be unreadable. Raises Problem where nothing does."""
    snapshot = stored.snapshot
    try:
        _load(stored, scratch, loading, findings, progress)
    except mysql.OfTheServer as problem:
        refuse_unlike(snapshot, scratch, problem)
        raise
    except (restic.ResticError, LoadProblem, Unreadable) as problem:
        if proves_nothing(problem):
            raise
        refuse_other_spelling(snapshot, scratch, loading.found.clashing)
        refuse_unlike(snapshot, scratch, problem)
        if isinstance(problem, LoadProblem) and not isinstance(problem, BrokenDump):
            reach.refuse_less_than_all(scratch.server, scratch.database)
        findings.unreadable = problem.sentence()
    else:
        refuse_other_spelling(snapshot, scratch, sorted(loading.found.respelled.values()))
        refuse_other_engine(scratch, loading)


def _load(
    stored: OpenedSnapshot, scratch: Scratch, loading: Loading, findings: Findings, progress: Progress
) -> None:
    snapshot = stored.snapshot
    progress.phase("restore", expected=snapshot.total_bytes_processed)
    options = whole_load_options(scratch.database, source_name(snapshot))
    connections = load_connections(snapshot, scratch.server, progress)
    seconds = load_snapshot(
        stored,
        Destination(scratch.server, scratch.info, options, connections),
        loading,
        progress,
        refuse=lambda loading: refuse_unless_complete(snapshot, loading),
    )
    findings.restore_seconds = seconds
    progress.log(phrase("Restored in {duration}.", duration=formatting.duration(seconds)))


def compare_stream(
    snapshot: Snapshot, stream: list[dict[str, Any]], manifest: dict[str, Any], findings: Findings
) -> None:
    """Compare the sections that came out of the repository with the manifest that came behind them."""
    findings.compared.append(phrase("the stream's digest with the manifest"))
    as_then = as_counted_then(stream, manifest["sections"])
    findings.differences += differing_sections(manifest["sections"], as_then, phrase("in the stream"))
    is_another = snapshot.dump_sha256 and snapshot.dump_sha256 != manifest["sha256"]
    if is_another or made_here.is_of_another(snapshot, manifest):
        findings.differences.append(ANOTHER_MANIFEST)


def refuse_less_than_all(found: Found, scratch: Scratch) -> None:
    """Raise MissingPrivilege where what was denied may be in the scratch database itself."""
    if any(mysql.is_denied(each.code) for each in found.unmade):
        reach.refuse_less_than_all(scratch.server, scratch.database)


def tell_unmade(found: Found, own: Collection[str], findings: Findings, *, has_manifest: bool) -> None:
    """What could not be made is a difference, but where it needs what lies beyond the database.

    Nor is it where the server refuses it as such, or what it calls. The dump's own text of it was compared
    with the manifest, where there is one.
    """
    findings.refused = [each for each in found.unmade if each.is_sound]
    findings.not_compared += [f"{each.words} {each.do}".rstrip(".") for each in findings.refused]
    unmade = [each for each in found.unmade if not each.is_sound]
    beyond = reach.beyond(unmade, own, [each.ready.name for each in findings.refused])
    findings.differences += [each.words.rstrip(".") for each in unmade if each not in beyond]
    if has_manifest:
        findings.not_run += [reach.NotRun(each.ready.kind, each.ready.name, each.why) for each in beyond]
    else:
        findings.not_compared += [
            phrase("{words} It needs what is not in this database", words=each.words) for each in beyond
        ]
    findings.not_compared += [each.words for each in findings.not_run]


def tell_computed_anew(loading: Loading, manifest: dict[str, Any] | None, findings: Findings) -> None:
    """Generated columns that came out otherwise; what MariaDB's dumps have is compared as rows are."""
    is_in_rows = manifest is not None and manifest["server"]["flavour"] == mysql.MARIADB
    for each in loading.computed_anew:
        if each.differ:
            findings.differences.append(each.words)
        elif not is_in_rows:
            findings.not_compared.append(each.words)
        else:
            continue
        findings.computed_anew.append(each)


def tell_left_out(snapshot: Snapshot, found: Found, findings: Findings) -> None:
    """What was not loaded, or in other words. What no backup has is told by the snapshot, and once is
    enough."""
    known = {left["table"] for left in snapshot.not_in_backup}
    findings.not_compared += [
        f"{each.kind} {each.name}: {each.why}"
        for each in found.left_out
        if each.kind != "table" or each.name not in known
    ]
    findings.not_compared += [f"{each.kind} {each.name}: {each.why}" for each in found.reworded]
