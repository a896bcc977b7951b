"""`manage.py version`: what runs here, and where the restic is from that it uses."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from typing import Any

import django
from django.conf import settings

import backups
from backups import installation, restic
from backups.errors import Failure
from backups.management.base import FAILED, RunEnded, VedettaCommand, failed
from backups.restic import ResticError
from backups.text.sentences import phrase


class Command(VedettaCommand):
    """Say which versions run. Asks no database and no repository."""

    help = phrase(
        "Say which versions of Vedetta, Python, Django and restic run here, and where restic is from."
    )

    def work(self, **_: Any) -> Mapping[str, Any]:
        result: dict[str, Any] = {
            "vedetta": backups.__version__,
            "commit": installation.commit() or None,
            "python": platform.python_version(),
            "django": django.get_version(),
        }
        of = phrase(" (commit {commit})", commit=result["commit"][:12]) if result["commit"] else ""
        self.say(f"Vedetta {result['vedetta']}{of}, Python {result['python']}, Django {result['django']}")
        try:
            found = restic.origin(restic.find())
            version = restic.version_of(found.program)
        except ResticError as error:
            raise RunEnded(FAILED, {**result, **failed(Failure.of(error), restic=None)}) from None
        self.say(
            phrase(
                "restic {version}, {words}: {program}, SHA-256 {sha256}",
                version=version,
                words=found.words,
                program=found.program,
                sha256=found.sha256,
            )
        )
        if is_refused := settings.VEDETTA_RESTIC == "pinned" and not found.is_pinned:
            self.say(
                phrase(
                    "VEDETTA_RESTIC=pinned refuses it: backups fail until `make setup` got the pinned one."
                )
            )
        result["restic"] = {
            "version": version,
            "origin": found.words,
            "pinned": found.is_pinned,
            "refused": is_refused,
            "program": found.program,
            "sha256": found.sha256,
        }
        return result
