"""A drill of the gate as a check."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from django.conf import settings

from backups.actions.steps.checks import Check
from backups.errors import Problem
from backups.gate import drill
from backups.reports import standing
from backups.text.sentences import phrase


def gate_checks(
    urls: Sequence[str], drills: list[drill.Drilled], nginx_configuration: str = ""
) -> Iterator[Check]:
    """A drill for each address: does the gate close it? What was found is put into `drills`."""
    for url in urls:
        try:
            held = drill.hold(url, settings.SENTINEL.heartbeat_path, standing.gate_by_files)
        except Problem as problem:
            yield Check(_GATE, ok=False, detail=problem.sentence())
        else:
            found = drill.explained(held, nginx_configuration)
            drills.append(found)
            yield Check(_GATE, ok=found.ok, detail=found.detail)
            if found.warnings:
                yield Check("warning", ok=True, detail=_may_let_in(found), warning=True)


def _may_let_in(found: drill.Drilled) -> str:
    return phrase(
        "{url} closes for the drill. But these lines of nginx's may let others in while the gate is "
        "closed (by address, cookie or browser, or out of a cache): {warnings}.",
        url=found.url,
        warnings=", ".join(map(str, found.warnings)),
    )


_GATE = "gate"
