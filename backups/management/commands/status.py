"""`manage.py status`: the worst of all that is known, with its reason and the next step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from backups.errors import Failure
from backups.management.base import FAILED, RunEnded, VedettaCommand, failed
from backups.reports import standing, stored_logs
from backups.text.sentences import phrase
from backups.verdict import Finding, Overall, State

_MARKS = {State.BAD: "BAD", State.DOUBTFUL: "!"}


def _counted(findings: Sequence[Finding]) -> str:
    """How many of each, with the mark that stands before them."""
    bad = sum(each.state == State.BAD for each in findings)
    doubtful = len(findings) - bad
    marks = [
        phrase("{bad} bad (BAD)", bad=bad) if bad else phrase("Nothing bad"),
        phrase("{doubtful} doubtful (!)", doubtful=doubtful) if doubtful else "",
    ]
    return phrase("{names}; the worst first:", names=", ".join(filter(None, marks)))


def _of_which(finding: Finding, overall: Overall) -> str:
    """A database of several, where the sentence does not name it: a run's own error stands on its page."""
    name = finding.database
    return f"{name}: " if name and len(overall.databases) > 1 and name not in finding.sentence else ""


class Command(VedettaCommand):
    """Say whether everything is well."""

    tells_of_env_file = True
    help = phrase(
        "Say whether everything is well, and if not, what is wrong and what to do, the worst first. "
        "Exit status 1 where something is bad; what is only doubtful is told and is status 0."
    )

    def work(self, **_: Any) -> Mapping[str, Any]:
        overall = standing.read().overall
        if overall.findings:
            self.say(_counted(overall.findings))
        for finding in overall.findings:
            self.say(f"{_MARKS[finding.state]:>4}  {_of_which(finding, overall)}{finding.sentence}")
        if not overall.findings:
            self.say(overall.all_well)
        for note in overall.notes:
            self.say(phrase("note  {sentence}", sentence=note.sentence))
        result = overall.as_json()
        if self.as_json:
            stored = stored_logs.told()
            for each in result["databases"]:
                each.update(stored.get(each["database"], {}))
        if overall.state == State.BAD:
            # A person has just read the sentences.
            error = overall.findings[0].sentence if self.as_json else phrase("Not well.")
            raise RunEnded(FAILED, {**failed(Failure(error, "status.not_well")), **result})
        return result
