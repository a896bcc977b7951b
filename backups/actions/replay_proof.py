"""A proof by replay: restore a backup, replay the log up to the next one, dump again, compare with that.

What comes of it says nothing of whole backups, which can be restored as before, whatever the log is like.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from backups import mysql, restic
from backups.actions.steps.findings import Findings, Scratch
from backups.actions.steps.log_replayed import Played, StoredLog, replay_stored
from backups.actions.steps.opening import OpenedSnapshot, opened
from backups.actions.steps.proof import stamp
from backups.actions.steps.replay_pairs import FEWEST_TRANSACTIONS, Pair, newest_pair, too_few
from backups.actions.steps.replay_place import replaying_place
from backups.actions.steps.replay_told import bad_news, good_news, not_all_made, not_covered
from backups.actions.steps.replayed_sections import NextDump, compare_with_next, set_counters
from backups.actions.steps.scratch import scratch_database
from backups.actions.steps.scratch_load import (
    compare_stream,
    load_whole,
    refuse_less_than_all,
    tell_computed_anew,
    tell_left_out,
    tell_unmade,
)
from backups.actions.steps.whole import source_name
from backups.catalog import records, replay_records
from backups.choices import ReplayVerdict
from backups.dumpfile.digesting import Digester
from backups.dumpfile.manifests import ManifestDamaged
from backups.errors import Problem
from backups.loading.progress import Loading
from backups.models import Run
from backups.moments.large_rows import largest
from backups.replaying.way import Route
from backups.requests import ReplayProofRequest, read_as
from backups.runs import notes
from backups.runs.outcome import Outcome
from backups.runs.progress import Progress
from backups.runs.subject import database_of
from backups.shipping import packets
from backups.text.sentences import phrase

# What of a replay's failures says something of the log; all others say something of the place that it ran in.
_GAPS = frozenset(
    {
        "log.piece_damaged",
        "log.unreadable",
        "replay.base_not_in_log",
        "replay.gap",
        "replay.log_ends_early",
    }
)
_BARRIERS = frozenset(
    {"replay.barrier", "replay.xa_before_base", "replay.sequence_incomplete", "replay.within_transaction"}
)
_DIFFERENT = "replay.does_not_fit"


@dataclass
class Story:
    """What a proof is made of, and what it found so far."""

    pair: Pair
    findings: Findings = field(default_factory=Findings)
    played: Played = field(default_factory=Played)
    loading: Loading = field(default_factory=Loading)
    # What ended the replay, where that says something of the log.
    verdict: ReplayVerdict | None = None
    reason: str = ""


def run(run: Run, progress: Progress) -> Outcome:
    """Prove the newest stretch of the database's log. Raises Problem unless it is proved, or too short."""
    progress.phase("preflight")
    read_as(run, ReplayProofRequest).refuse_unfit()
    pair = newest_pair(database_of(run))
    if pair is None:
        reason = phrase("No backup has an exact position in the log yet.")
        replay_records.no_proof(run, reason)
        progress.log(phrase("Nothing to prove: {reason}", reason=reason))
        return Outcome()
    story = Story(pair, verdict=pair.verdict, reason=pair.reason)
    if pair.verdict is None:
        _play(run, story, progress)
    return _conclude(run, story, progress)


# ---------------------------------------------------------------- Play


def _play(run: Run, story: Story, progress: Progress) -> None:
    pair, findings = story.pair, story.findings
    run.repository = pair.base.repository
    notes.run_update(run.pk, snapshot=pair.base, repository=pair.base.repository)
    _refuse_two_repositories(pair)
    access = opened(run, progress)
    with scratch_database(run, pair.base, progress) as scratch:
        findings.scratch_version, findings.scratch_address = str(scratch.info), scratch.server.address
        # Asked before anything is loaded that no log could be replayed on.
        replaying = replaying_place(scratch.row, scratch.server, scratch.info, scratch.database)
        progress.mask_secrets([replaying.password])
        packets.refuse_too_large(replaying, largest(pair.pieces, pair.after, pair.until))
        story.loading = Loading(Digester(source_name(pair.base)))
        load_whole(OpenedSnapshot(pair.base, access), scratch, story.loading, findings, progress)
        if not findings.unreadable:
            _look_at_base(story, scratch)
        if findings.unreadable or findings.differences:
            return
        _replay(story, access, replace(scratch, server=replaying), progress)
        if story.verdict is None:
            _compare(story, scratch, progress)


def _refuse_two_repositories(pair: Pair) -> None:
    if any(piece.repository_id != pair.base.repository_id for piece in pair.pieces):
        raise Problem(
            phrase(
                "Snapshot {snapshot} and the log behind it lie in different repositories.",
                snapshot=pair.base.short_id,
            ),
            code="replay_proof.two_repositories",
            do=phrase("Wait for the next two backups: they lie where the log does."),
        )


def _look_at_base(story: Story, scratch: Scratch) -> None:
    """What loading it showed of the first backup, which has to be right before a log is replayed on it."""
    base, loading, findings = story.pair.base, story.loading, story.findings
    findings.bytes, findings.tables = loading.bytes_read, loading.tables_begun
    try:
        manifest = loading.digester.manifest()
    except ManifestDamaged:
        manifest = None
    if manifest is None:
        findings.differences.append(phrase("the manifest in the snapshot is not what was written"))
        return
    server = manifest["server"]
    findings.source_version = str(mysql.ServerInfo(server["flavour"], server["version"]))
    stream = loading.digester.sections(manifest.get("collations", {}))
    compare_stream(base, stream, manifest, findings)
    refuse_less_than_all(loading.found, scratch)
    own = {scratch.database, source_name(base)}
    tell_unmade(loading.found, own, findings, has_manifest=True)
    if findings.refused:
        raise not_all_made(base, findings)
    tell_computed_anew(loading, manifest, findings)
    tell_left_out(base, loading.found, findings)


def _replay(story: Story, access: restic.Access, scratch: Scratch, progress: Progress) -> None:
    """Replay what lies between; what of its failures says something of the log is the verdict."""
    pair = story.pair
    assert pair.after is not None  # noqa: S101  so it is where no verdict is known before
    log = StoredLog(access, scratch.row.database, pair.pieces)
    route = Route(source_name(pair.base), scratch.database, pair.after, pair.until)
    try:
        replay_stored(log, scratch, route, story.played, progress)
    except Problem as problem:
        verdict = _verdict_of(problem)
        if verdict is None:
            raise
        story.verdict, story.reason = verdict, problem.what
        if verdict == ReplayVerdict.DIFFERENT:
            story.findings.differences.append(problem.what.rstrip("."))


def _compare(story: Story, scratch: Scratch, progress: Progress) -> None:
    """What the replay made, compared with the second backup."""
    assert story.pair.next is not None  # noqa: S101  what was replayed leads to it
    assert story.played.replayed is not None  # noqa: S101
    manifest = dict(story.pair.next.manifest or {})
    with_events = not story.played.replayed.kept_back
    set_counters(scratch, manifest, story.findings, progress)
    compare_with_next(NextDump(manifest, story.loading.found, with_events), scratch, story.findings, progress)


def _verdict_of(problem: Problem) -> ReplayVerdict | None:
    if problem.code in _GAPS or isinstance(problem, restic.SnapshotGone):
        return ReplayVerdict.GAP
    if problem.code == _DIFFERENT:
        return ReplayVerdict.DIFFERENT
    return ReplayVerdict.BARRIER if problem.code in _BARRIERS else None


# ---------------------------------------------------------------- Conclude


def _conclude(run: Run, story: Story, progress: Progress) -> Outcome:
    database, findings, pair = database_of(run), story.findings, story.pair
    verdict = _verdict(story)
    uncovered = not_covered(pair, findings, story.played)
    for thing in uncovered:
        progress.log(phrase("Not covered: {thing}.", thing=thing))
    proof = replay_records.proof_record(
        run,
        database=database,
        base=pair.base,
        next=pair.next,
        verdict=verdict,
        log_bytes=story.played.bytes,
        load_seconds=findings.restore_seconds,
        replay_seconds=story.played.seconds if story.played.replayed else None,
        differences=[findings.unreadable] if findings.unreadable else findings.differences,
        not_covered=uncovered,
        reason=story.reason,
        counted=story.played.counted,
    )
    if verdict in (ReplayVerdict.GAP, ReplayVerdict.BARRIER, ReplayVerdict.DIFFERENT):
        raise bad_news(proof, findings)
    progress.log(good_news(proof))
    if verdict == ReplayVerdict.IDENTICAL:
        _verify_base(run, story)
    return Outcome()


def _verdict(story: Story) -> ReplayVerdict:
    findings = story.findings
    if story.verdict is not None:
        return story.verdict
    if findings.unreadable or findings.differences:
        return ReplayVerdict.DIFFERENT
    replayed = story.played.replayed
    if replayed is None or replayed.transactions < FEWEST_TRANSACTIONS:
        count = replayed.transactions if replayed else 0
        story.reason = too_few(count, story.pair.base, story.pair.next)
        return ReplayVerdict.NOTHING
    if not replayed.row_events:
        story.reason = phrase("No row was changed between the two backups.")
        return ReplayVerdict.NOTHING
    return ReplayVerdict.IDENTICAL


def _verify_base(run: Run, story: Story) -> None:
    """On its way the proof has shown that the first backup restores, as a verification does."""
    findings, base = story.findings, story.pair.base
    records.verification_record(
        run,
        base,
        verdict=findings.verdict,
        compared=[*findings.compared, phrase("by the log that was replayed on it")],
        not_compared=findings.not_compared,
        differences=[],
        restore_seconds=findings.restore_seconds,
        tables=findings.tables,
        rows=None,
        bytes=findings.bytes,
        source_version=findings.source_version,
        scratch_version=findings.scratch_version,
        scratch_address=findings.scratch_address,
    )
    stamp(database_of(run), base)
