"""What a proof by replay says to people: what it covers, and what is to be done where it is not good."""

from __future__ import annotations

from backups import mysql
from backups.actions.steps.findings import Findings
from backups.actions.steps.log_replayed import Played
from backups.actions.steps.replay_pairs import Pair
from backups.choices import ReplayVerdict
from backups.dumpfile.sections import Kind
from backups.errors import Problem
from backups.models import ReplayProof, Snapshot
from backups.text import formatting
from backups.text.kinds import of_kind
from backups.text.sentences import joined, phrase, plural

_SHOWN = 5


def not_covered(pair: Pair, findings: Findings, played: Played) -> list[str]:
    """What the proof says nothing of, in short phrases; none where nothing was replayed."""
    if played.replayed is None or pair.next is None:
        return []
    told = [
        *findings.not_compared,
        *(
            phrase("{left_out}: it is in no backup", left_out=mysql.LeftOut(**left).words)
            for left in pair.next.not_in_backup
        ),
        phrase("the moments between the two backups: the end alone was compared"),
    ]
    if events := len(played.replayed.kept_back):
        told.append(
            plural(
                "events: {n} statement of the log makes or changes one",
                "events: {n} statements of the log make or change some",
                n=events,
            )
        )
    if left := played.replayed.left_prepared:
        told.append(
            plural(
                "{n} XA transaction that was prepared and not ended",
                "{n} XA transactions that were prepared and not ended",
                n=left,
            )
        )
    return told


def good_news(proof: ReplayProof) -> str:
    """How a proof ended that is no failure."""
    if proof.verdict == ReplayVerdict.NOTHING:
        return phrase("Nothing to prove: {reason}", reason=proof.reason)
    return phrase(
        "Snapshot {base} and the log behind it give snapshot {next}, byte for byte: {transactions}, {size} "
        "of log. Loading took {load}, the replay {replay}: so long a recovery takes.",
        base=proof.base.short_id,
        next=proof.next.short_id if proof.next else "",
        transactions=plural("{n} transaction", "{n} transactions", n=proof.transactions),
        size=formatting.size(proof.log_bytes),
        load=formatting.duration(proof.load_seconds),
        replay=formatting.duration(proof.replay_seconds),
    )


def bad_news(proof: ReplayProof, findings: Findings) -> Problem:
    """What to say where the log does not lead from one backup to the next."""
    if findings.unreadable or proof.verdict != ReplayVerdict.DIFFERENT:
        return _cannot(proof, findings)
    count = len(proof.differences)
    shown = joined(proof.differences[:_SHOWN], "; ") + (
        phrase("; and {count} more", count=count - _SHOWN) if count > _SHOWN else ""
    )
    assert proof.next is not None  # noqa: S101  else nothing was compared
    return Problem(
        phrase(
            "Snapshot {base} and the log behind it do not give snapshot {next}: {shown}.",
            base=proof.base.short_id,
            next=proof.next.short_id,
            shown=shown,
        ),
        code="replay_proof.different",
        safe=_SAFE,
        do=phrase(
            "{cause} Do not rely on moments between {since} and {until}.",
            cause=_cause(proof),
            since=formatting.exact(proof.base.time),
            until=formatting.exact(proof.next.time),
        ),
    )


def not_all_made(base: Snapshot, findings: Findings) -> mysql.OfTheServer:
    """What to say where the server would not make all of the first backup: nothing is proved either way."""
    refused = findings.refused
    names = mysql.named([of_kind(each.ready.kind, each.ready.name) for each in refused])
    return mysql.OfTheServer(
        phrase(
            "Nothing was proved of the log: the server that snapshot {base} was restored to refused {names} "
            "({why}).",
            base=base.short_id,
            names=names,
            why=refused[0].why.rstrip("."),
        ),
        code="replay_proof.not_all_made",
        do=refused[0].do,
    )


_SAFE = phrase("The live database was not touched, and whole backups can be restored as before.")


def _cause(proof: ReplayProof) -> str:
    if all(each.startswith(f"{Kind.ROWS} ") for each in proof.differences):
        return phrase(
            "{database} was changed without being logged (sql_log_bin=0?) or our replay is wrong.",
            database=proof.database,
        )
    return phrase(
        "{database} was changed without being logged, or our replay is wrong: keep this run's log.",
        database=proof.database,
    )


def _cannot(proof: ReplayProof, findings: Findings) -> Problem:
    if findings.unreadable:
        return Problem(
            phrase(
                "Snapshot {base}, on which the log was to be replayed, cannot be restored: {unreadable}",
                base=proof.base.short_id,
                unreadable=findings.unreadable,
            ),
            code="replay_proof.unreadable",
            safe=phrase("The live database was not touched."),
            do=phrase("Verify that snapshot, and back up again now."),
        )
    if proof.verdict == ReplayVerdict.BARRIER:
        return Problem(
            phrase(
                "The log behind snapshot {base} cannot be replayed, so it is not proved. {reason}",
                base=proof.base.short_id,
                reason=proof.reason,
            ),
            code="replay_proof.barrier",
            safe=_SAFE,
            do=phrase("Choose moments before it or after the next backup. The next proof begins behind it."),
        )
    return Problem(
        phrase(
            "The log behind snapshot {base} is not whole, so it is not proved. {reason}",
            base=proof.base.short_id,
            reason=proof.reason,
        ),
        code="replay_proof.gap",
        safe=_SAFE,
        do=phrase(
            "Moments after the gap can be restored from the next backup on. Find out why the log is missing."
        ),
    )
