"""What a proof report tells of one database."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from backups.choices import Action, RestoreMode, StandDownKind, Status, Trigger, Verdict
from backups.reports import proof_judged, proof_rows, proof_words
from backups.reports.proof_judged import Window
from backups.reports.proof_rows import Attempt, Made, Pace, Proved, Restored, Rows
from backups.scheduling import schedules, staleness
from backups.scheduling.left_out import Span
from backups.scheduling.planned import planned_times
from backups.text.sentences import phrase

# What a report lists of all of its databases together; what more there was is counted.
_MOST_BACKUPS, _MOST_VERIFICATIONS, _MOST_OTHERS = 40_000, 10_000, 10_000
# Of each database at least, and at most of what a verification found.
_LEAST, _MOST_TEXTS, _LONGEST_TEXT = 20, 50, 500
Told = dict[str, Any]
_SCHEDULE, _RECOVERED = Trigger.SCHEDULE.value, Trigger.RECOVERED.value


@dataclass
class Asked:
    """What is the same for all databases of a report."""

    window: Window
    restore_target: int | None
    pace: Pace
    # Of which databases, by their keys, each backup and verification is listed; None of all.
    in_full: Collection[int] | None = None
    _times: dict[str, list[datetime] | None] = field(default_factory=dict)

    def most(self, database: Any, of_all: int, share: int) -> int:
        """How many of so many are listed of a database."""
        is_listed = self.in_full is None or database.pk in self.in_full
        return _most(of_all, share) if is_listed else 0

    def times(self, cron: str) -> list[datetime] | None:
        """When a schedule is due, worked out once for all that have it."""
        if cron not in self._times:
            self._times[cron] = planned_times(cron, self.window.begin, self.window.end)
        return self._times[cron]


def told(database: Any, rows: Rows, asked: Asked) -> Told:
    """All but the texts that `complete` reads."""
    asked.pace.check()
    backups, verifies = _by_action(rows.attempts.get(database.pk, ()))
    made = rows.made.get(database.pk, ())
    proved = rows.proved.get(database.pk, ())
    good = proof_judged.good_of(made)
    share = len(rows.databases)
    known = _known(database, made, asked.window, rows.stood_down.get(database.pk, ()))
    document: Told = {
        "key": database.pk,
        "name": database.name,
        "server": database.server.name,
        "database": database.database,
        "repository": database.repository.name,
        "gates": database.gates_app,
        "plan": _plan(database.backup_cron, backups, known, asked, share),
        "backups": _backups(backups, made, good, asked.most(database, _MOST_BACKUPS, share)),
        "age": _age(database, good, known, share),
        "verifications": _verifications(database, verifies, proved, (known, asked, share)),
        "restores": [
            _restore(each) for each in rows.restored.get(database.pk, ())[-_most(_MOST_OTHERS, share) :]
        ],
        "restore_times": _restore_times(proved, rows.restored.get(database.pk, ()), asked.restore_target),
    }
    state, findings, notes = proof_words.judged(document)
    return {**document, "state": state.value, "findings": findings, "notes": notes}


def complete(documents: Sequence[Told], pace: Pace) -> None:
    """Put in what is long to read: ids and digests, what was compared and what was not."""
    backups = [each for document in documents for each in document["backups"]["listed"]]
    proofs = [each for document in documents for each in document["verifications"]["listed"]]
    details = proof_rows.details([each["key"] for each in backups], pace)
    for each in backups:
        if one := details.get(each["key"]):
            each |= one._asdict()
            each["is_there"] = one.forgotten_at is None
    # What is forgotten cannot be asked for again, unless it was the one that was proved.
    wanted = {each["key"] for each in backups if each["is_there"]} | {each["snapshot_key"] for each in proofs}
    digests = proof_rows.manifest_digests(wanted, pace)
    for each in backups:
        each["manifest_sha256"] = digests.get(each["key"])
    texts = proof_rows.comparisons({each["key"] for each in proofs}, pace)
    for each in proofs:
        each["manifest_sha256"] = digests.get(each["snapshot_key"])
        for name, found in zip(
            ("compared", "not_compared", "differences"), texts.get(each["key"], ()), strict=False
        ):
            each[name] = _texts(found)


def _by_action(attempts: Sequence[Attempt]) -> tuple[list[Attempt], list[Attempt]]:
    """Those of backups and those of verifications."""
    backup = Action.BACKUP.value
    verifies = [each for each in attempts if each.action != backup]
    return [each for each in attempts if each.action == backup] if verifies else [*attempts], verifies


def _most(of_all: int, databases: int) -> int:
    return max(of_all // max(databases, 1), _LEAST)


@dataclass(frozen=True)
class _Known:
    """From when on the portal knows what happened to a database; no window where it knows nothing."""

    window: Window | None
    note: str
    stood_down: Sequence[Span]


def _known(database: Any, made: Sequence[Made], window: Window, stood_down: Sequence[Span]) -> _Known:
    signs = [time for time in (database.first_run, database.first_snapshot) if time is not None]
    if not signs or min(signs) >= window.end:
        return _Known(None, phrase("Nothing was done with this database yet."), stood_down)
    begin, note = window.begin, ""
    if min(signs) > begin:
        begin, note = min(signs), phrase("Nothing is known of this database before.")
    rebuilt = [each.time for each in made if each.trigger == _RECOVERED and each.time > begin]
    if rebuilt:
        begin = max(rebuilt)
        note = phrase("The portal was rebuilt from the repository since. What failed before is not known.")
    return _Known(Window(begin, window.end), note, stood_down)


def _plan(cron: str, attempts: list[Attempt], known: _Known, asked: Asked, share: int) -> Told:
    usable = schedules.usable(cron)
    if not usable or known.window is None:
        note = known.note if usable else phrase("No schedule is set.")
        plan = proof_judged.Plan(None, None, None, (), note)
    else:
        plan = proof_judged.plan_of(attempts, asked.times(usable), known.window, known.stood_down)
    listed = plan.missed[-_most(_MOST_OTHERS, share) :]
    return {
        "cron": usable,
        "known_from": plan.known_from,
        "planned": plan.planned,
        "made": plan.made,
        "missed": [{**vars(each), "error": each.error[:_LONGEST_TEXT]} for each in listed],
        "missed_not_listed": len(plan.missed) - len(listed),
        "note": plan.note or known.note,
        **_left_out(plan, asked.window, share),
    }


def _left_out(plan: proof_judged.Plan, window: Window, share: int) -> Told:
    """What was planned while it was paused, or retired: neither made nor missed, and not in `planned`."""
    counts: Counter[str] = Counter()
    for span, count in plan.left_out.items():
        counts[span.kind] += count
    is_known = plan.planned is not None
    listed = sorted(plan.left_out.items(), key=lambda item: item[0].begin)[-_most(_MOST_OTHERS, share) :]
    return {
        "paused": counts[StandDownKind.PAUSE] if is_known else None,
        "retired": counts[StandDownKind.RETIREMENT] if is_known else None,
        "stood_down": [
            {
                "kind": span.kind,
                "begins_at": span.begin,
                # None: at the end of the range it was not over.
                "ends_at": span.end if span.end is not None and span.end <= window.end else None,
                "by": span.by,
                "reason": span.reason,
                "planned": count,
            }
            for span, count in listed
        ],
        "stood_down_not_listed": len(plan.left_out) - len(listed),
    }


def _backups(attempts: Sequence[Attempt], made: Sequence[Made], good: Sequence[Made], most: int) -> Told:
    ended = Counter([each.status for each in attempts])
    of_others = [each.status for each in attempts if each.trigger != _SCHEDULE]
    others: Sequence[Made] = ()
    if len(good) < len(made):
        is_good = {each.pk for each in good}
        others = [each for each in made if each.pk not in is_good]
    bad = {each.pk for each in others}
    listed = made[-most:] if most else ()
    is_ours = any(each.is_ours for each in made)
    return {
        "good": len(good),
        "suspicious": sum(each.is_suspicious for each in others),
        "known_bad": sum(each.is_known_bad for each in others),
        "saved_before_restores": sum(each.is_safety_copy for each in others),
        "not_made_here": sum(not each.is_ours for each in others) if is_ours else 0,
        "asked_for": of_others.count(Status.SUCCEEDED),
        "failed": ended[Status.FAILED],
        "lost": ended[Status.LOST],
        "cancelled": ended[Status.CANCELLED],
        "listed": [_backup(each, is_good=each.pk not in bad) for each in listed],
        "not_listed": len(made) - len(listed),
    }


def _backup(made: Made, *, is_good: bool) -> Told:
    return {
        "key": made.pk,
        "time": made.time,
        "finished_at": made.finished_at,
        "run": made.run,
        "snapshot_id": "",
        "dump_sha256": "",
        "manifest_sha256": None,
        "bytes": None,
        "is_good": is_good,
        "verdict": made.verdict,
        "is_there": False,
        "forgotten_at": None,
    }


def _age(database: Any, good: Sequence[Made], known: _Known, share: int) -> Told:
    allowed = staleness.backup_allowed(database)
    ages = proof_judged.Ages(None, ())
    if known.window is not None:
        ages = proof_judged.ages_of(good, database.good_before, known.window, allowed)
    listed = ages.gaps[-_most(_MOST_OTHERS, share) :]
    return {
        "allowed_seconds": int(allowed.total_seconds()),
        "longest_seconds": ages.longest_seconds,
        "is_met": None if ages.longest_seconds is None else not ages.gaps,
        "gaps": [dict(vars(each)) for each in listed],
        "gaps_not_listed": len(ages.gaps) - len(listed),
    }


def _verifications(
    database: Any, attempts: list[Attempt], proved: Sequence[Proved], of: tuple[_Known, Asked, int]
) -> Told:
    known, asked, share = of
    verdicts = Counter(each.verdict for each in proved)
    with_verdict = {each.run for each in proved}
    not_done = [
        each
        for each in attempts
        if each.status in {Status.FAILED, Status.LOST, Status.CANCELLED} and each.run not in with_verdict
    ]
    most = asked.most(database, _MOST_VERIFICATIONS, share)
    listed = proved[-most:] if most else ()
    return {
        "plan": _plan(database.verify_cron, attempts, known, asked, share),
        "done": len(proved),
        **{verdict.value: verdicts[verdict.value] for verdict in Verdict},
        "not_done": len(not_done),
        "listed": [_verification(each) for each in listed],
        "not_listed": len(proved) - len(listed),
    }


def _verification(proved: Proved) -> Told:
    return {
        "key": proved.pk,
        "snapshot_key": proved.snapshot,
        "finished_at": proved.finished_at,
        "run": proved.run,
        "verdict": proved.verdict,
        "snapshot_id": proved.snapshot_id,
        "snapshot_time": proved.snapshot_time,
        "manifest_sha256": None,
        "restore_seconds": proved.restore_seconds,
        "tables": proved.tables,
        "rows": proved.rows,
        "bytes": proved.bytes,
        "source_version": proved.source_version,
        "scratch_version": proved.scratch_version,
        "compared": [],
        "not_compared": [],
        "differences": [],
    }


def _restore(restored: Restored) -> Told:
    return {
        "finished_at": restored.finished_at,
        "run": restored.run,
        "status": restored.status,
        "mode": restored.mode,
        "tables": len(restored.tables or ()),
        "snapshot_id": restored.snapshot_id,
        "seconds": restored.seconds,
    }


def _restore_times(proved: Sequence[Proved], restored: Sequence[Restored], target: int | None) -> Told:
    """Of verifications, and of restores of the whole into a database."""
    whole = [
        each.seconds
        for each in restored
        if each.status == Status.SUCCEEDED and not each.tables
        and each.mode not in {RestoreMode.FILE, RestoreMode.UNDO}
    ]  # fmt: skip
    took = proof_judged.took_of([*(each.restore_seconds for each in proved), *whole])
    return {
        "target_seconds": target,
        "measured": took.measured,
        "slowest_seconds": took.slowest,
        "median_seconds": took.median,
        "is_met": None if target is None or took.slowest is None else took.slowest <= target,
    }


def _texts(found: object) -> list[str]:
    """What a row has of texts, not too many and none too long."""
    texts = [str(each)[:_LONGEST_TEXT] for each in found] if isinstance(found, list) else []
    more = len(texts) - _MOST_TEXTS
    return texts if more <= 0 else [*texts[:_MOST_TEXTS], phrase("{more} more", more=more)]


def without_keys(document: Mapping[str, Any]) -> Told:
    """A document as others get it: the keys of rows are for pages."""
    return {
        name: _bare(value) if isinstance(value, list | dict) else value
        for name, value in document.items()
        if name not in {"key", "snapshot_key"}
    }


def _bare(value: Any) -> Any:
    if isinstance(value, dict):
        return without_keys(value)
    if isinstance(value, list):
        return [_bare(each) for each in value]
    return value
