"""An integrity check of the repository. Its outcome decides whether heartbeats are written.

Damage that one found is over only when one that reads all data finds none.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial

from backups import process, restic
from backups.actions.steps import alone
from backups.actions.steps.opening import opened
from backups.catalog import learned
from backups.choices import Health, Level
from backups.errors import Problem, shortened
from backups.models import Run
from backups.repositories import identity
from backups.requests import CheckRequest, read_as
from backups.runs import notes
from backups.runs.outcome import Outcome
from backups.runs.progress import Progress
from backups.text.sentences import phrase

_WITHHELD = phrase("Backups still run, but no heartbeat is written until a check of all data is good.")


def run(run: Run, progress: Progress) -> Outcome:
    """Check structure and, as was asked, data. Raises Problem when something is damaged."""
    asked = read_as(run, CheckRequest)
    progress.phase("check")
    access = opened(run, progress)
    complaints: list[str] = []

    def hear(line: str) -> None:
        text = restic.readable(line)
        complaints.append(text)
        if not restic.tells_of_lock(text):
            progress.log(text, Level.WARNING)

    def call(args: Sequence[str]) -> process.Completed:
        complaints.clear()
        command = restic.Command(args, phrase("checking the repository"), trusts_lately=True)
        with identity.another_named(run.repository):
            return restic.probed_call(access, command, on_stderr=hear, tick=progress.tick)

    try:
        answer = _past_locks(access, asked, call, progress)
    except restic.ResticError as error:
        _judge(run, asked, error, complaints)
        raise
    _all_good(run, asked, answer, progress)
    return Outcome()


def _past_locks(
    access: restic.Access, asked: CheckRequest, call: alone.Calls, progress: Progress
) -> process.Completed:
    """Those of dead processes go first; where none can be taken away, the check's own could not either."""
    check_args = partial(
        restic.check_args, read_data=asked.read_data, read_data_subset=asked.read_data_subset
    )
    try:
        return alone.past_stale_locks(access, check_args(), call, progress)
    except restic.MayNotDelete:
        progress.log(phrase("Locks cannot be removed from this storage, so the check takes none."))
        return call(check_args(may_lock=False))


def _all_good(run: Run, asked: CheckRequest, answer: process.Completed, progress: Progress) -> None:
    summary = restic.parse_check_summary(answer.stdout)
    if summary is None or summary.num_errors:
        raise Problem(
            phrase("restic ended its check without saying that all is good."),
            code="check.no_answer",
            do=phrase("Check again."),
        )
    health = learned.check_recorded(run.repository, error="", all_data=asked.reads_all_data)
    if health == Health.DAMAGED:
        raise _still_damaged(run, asked)
    sentence = phrase(
        "No errors found ({scope}){still_suspect}.",
        scope=_scope(asked),
        still_suspect=(_still_suspect(run) if health == Health.SUSPECT else ""),
    )
    progress.log(sentence)
    notes.run_update(run.pk, result={"sentence": sentence})


def _still_damaged(run: Run, asked: CheckRequest) -> restic.DamagedData:
    """A success would be taken for the end of what another check found."""
    run.repository.refresh_from_db()
    return restic.DamagedData(
        phrase(
            "This check found no damage ({scope}). But an earlier check found {repository} damaged "
            "({check_error}). Only a check of all data can tell that it is mended.",
            scope=_scope(asked),
            repository=run.repository,
            check_error=run.repository.check_error,
        ),
        safe=_WITHHELD,
        do=phrase("Once it is repaired, run `repository check --read-data`, then back up."),
    )


def _still_suspect(run: Run) -> str:
    run.repository.refresh_from_db()
    return phrase(
        ", but {repository} stays suspect, because {check_error}: only a check of all data can tell "
        "that it is sound",
        repository=run.repository,
        check_error=run.repository.check_error,
    )


def _judge(run: Run, asked: CheckRequest, error: restic.ResticError, complaints: list[str]) -> None:
    """Damage is remembered with the repository; a check that could not be made says nothing of it."""
    if not _is_damage(error, complaints):
        return
    found = _first_found(complaints) or str(error)
    packs = restic.broken_packs(complaints)
    notes.run_update(run.pk, result={"broken_packs": packs})
    found = found_in(found)
    learned.check_recorded(run.repository, error=found, all_data=asked.reads_all_data)
    raise restic.DamagedData(
        phrase(
            "The repository {repository} is damaged: {found}{more}",
            repository=run.repository,
            found=found,
            more=("" if found.endswith("…") else "."),
        ),
        safe=_WITHHELD,
        do=phrase(
            "Run `repository repair-index`, then `repository repair-snapshots`, then `repository "
            "check --read-data`. When that check is good, back up: that backup counts for the gate."
        ),
    ) from error


def _first_found(complaints: list[str]) -> str:
    """What was complained of first, with the line that says why where it only says of what."""
    said = [text for text in complaints if text]
    return " ".join(said[: 2 if said and said[0].endswith(":") else 1])


def found_in(complaint: str) -> str:
    """What a check found, without a full stop: ids as short as people read them, and no word cut in two."""
    # All digits are in the log, and those of packs in the result.
    return shortened(_LONG_ID.sub(r"\1", complaint).rstrip("."), _SHOWN)


def _is_damage(error: restic.ResticError, complaints: list[str]) -> bool:
    """Whether it met any, also where it was kept from other files meanwhile."""
    if any(_BROKEN.search(text) and "denied" not in text for text in complaints):
        return True
    return type(error) is restic.ResticError and any(
        "repository contains errors" in text or "is damaged" in text for text in complaints
    )


_LONG_ID = re.compile(r"\b([0-9a-f]{8})[0-9a-f]{56}\b")
_SHOWN = 500
_BROKEN = re.compile(r"ciphertext verification failed")


def _scope(asked: CheckRequest) -> str:
    if asked.reads_all_data:
        return phrase("structure and all data")
    if asked.read_data_subset:
        return phrase("structure and {read_data_subset} of the data", read_data_subset=asked.read_data_subset)
    return "structure"
