"""What a database's figures come to, in sentences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from backups.text import formatting
from backups.text.sentences import phrase, plural
from backups.verdict import State

Told = Mapping[str, Any]
Found = tuple[State, str]


def judged(document: Told) -> tuple[State, list[str], list[str]]:
    """The state of a database, why it is no better, and what else is to be known."""
    found = [*_of_backups(document), *_of_verifications(document), *_of_restores(document)]
    states = {state for state, _ in found}
    worst = State.BAD if State.BAD in states else State.DOUBTFUL if states else State.GOOD
    return worst, [text for _, text in found], list(_notes(document))


def _of_backups(document: Told) -> Iterator[Found]:
    plan, made, age = document["plan"], document["backups"], document["age"]
    if not made["good"]:
        yield State.BAD, phrase("No good backup was made in this time.")
    gaps = len(age["gaps"]) + age["gaps_not_listed"]
    if gaps:
        yield (
            State.BAD,
            plural(
                "{n} time the newest good backup was older than {allowed}; the longest was {longest}.",
                "{n} times the newest good backup was older than {allowed}; the longest was {longest}.",
                n=gaps,
                allowed=formatting.approximate_duration(age["allowed_seconds"]),
                longest=formatting.duration(age["longest_seconds"] or _longest(age["gaps"])),
            ),
        )
    if plan["planned"] is not None and plan["made"] < plan["planned"]:
        yield (
            State.DOUBTFUL,
            plural(
                "{n} planned backup of {planned} was not made.",
                "{n} planned backups of {planned} were not made.",
                n=plan["planned"] - plan["made"],
                planned=plan["planned"],
            ),
        )
    if n := made["known_bad"]:
        yield (
            State.DOUBTFUL,
            plural(
                "{n} backup is known to be bad, and is not counted as good.",
                "{n} backups are known to be bad, and are not counted as good.",
                n=n,
            ),
        )
    if n := made["suspicious"]:
        yield (
            State.DOUBTFUL,
            plural(
                "{n} backup holds suspiciously little, and is not counted as good.",
                "{n} backups hold suspiciously little, and are not counted as good.",
                n=n,
            ),
        )


def _longest(gaps: list[dict[str, Any]]) -> float:
    return float(max(each["seconds"] for each in gaps))


def _of_verifications(document: Told) -> Iterator[Found]:
    proofs = document["verifications"]
    if not proofs["done"]:
        yield State.DOUBTFUL, phrase("No backup was restored and compared in this time.")
    bad = proofs["different"] + proofs["unreadable"]
    if bad:
        yield (
            State.BAD,
            plural(
                "{n} verification of {done} found a backup that does not bring back what was backed up.",
                "{n} verifications of {done} found a backup that does not bring back what was backed up.",
                n=bad,
                done=proofs["done"],
            ),
        )
    if proofs["not_done"]:
        yield (
            State.DOUBTFUL,
            plural(
                "{n} verification came to no verdict.",
                "{n} verifications came to no verdict.",
                n=proofs["not_done"],
            ),
        )


def _of_restores(document: Told) -> Iterator[Found]:
    took = document["restore_times"]
    if took["is_met"] is False:
        yield (
            State.BAD,
            phrase(
                "The slowest restore took {slowest}, more than the target of {target}.",
                slowest=formatting.duration(took["slowest_seconds"]),
                target=formatting.approximate_duration(took["target_seconds"]),
            ),
        )


def _notes(document: Told) -> Iterator[str]:
    plan, proofs = document["plan"], document["verifications"]["plan"]
    if plan["note"]:
        yield phrase("Planned backups: {note}", note=plan["note"])
    yield from _left_out(plan)
    if proofs["note"]:
        yield phrase("Planned verifications: {note}", note=proofs["note"])
    if proofs["planned"] is not None and proofs["made"] < proofs["planned"]:
        yield plural(
            "{n} planned verification of {planned} was not made.",
            "{n} planned verifications of {planned} were not made.",
            n=proofs["planned"] - proofs["made"],
            planned=proofs["planned"],
        )
    yield from _verifications_left_out(proofs)
    if n := document["backups"]["not_made_here"]:
        yield plural(
            "{n} snapshot was not made by this installation, and is not counted.",
            "{n} snapshots were not made by this installation, and are not counted.",
            n=n,
        )


def _left_out(plan: Told) -> Iterator[str]:
    if n := plan["paused"]:
        yield plural(
            "{n} planned backup passed while the database was paused. It was neither made nor missed.",
            "{n} planned backups passed while the database was paused. They were neither made nor missed.",
            n=n,
        )
    if n := plan["retired"]:
        yield plural(
            "{n} planned backup passed while the database was retired. It was neither made nor missed.",
            "{n} planned backups passed while the database was retired. They were neither made nor missed.",
            n=n,
        )


def _verifications_left_out(plan: Told) -> Iterator[str]:
    if n := (plan["paused"] or 0) + (plan["retired"] or 0):
        yield plural(
            "{n} planned verification passed while the database was paused or retired.",
            "{n} planned verifications passed while the database was paused or retired.",
            n=n,
        )
