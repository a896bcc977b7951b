"""`manage.py preflight`: is all there that a backup needs?"""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Mapping
from typing import Any

from backups.actions.preflight import Found, checks
from backups.console import FAILED, RunEnded, VedettaCommand, add_database, database_named


class Command(VedettaCommand):
    """Check programs, versions, privileges, repository and status folder."""

    help = "Check binaries, versions, privileges, repository and status folder."

    def add_own_arguments(self, parser: ArgumentParser) -> None:
        add_database(parser)

    def work(self, **options: Any) -> Mapping[str, Any]:
        found, learned = [], Found()
        # One of the checks says itself that the environment means another database.
        for check in checks(database_named(options["database"], or_ask=False), learned):
            found.append(check)
            mark = "!" if check.warning else ("ok" if check.ok else "FAILED")
            self.say(f"{mark:>6}  {check.name}: {check.detail}")
        told = {
            "checks": [{"name": c.name, "ok": c.ok, "detail": c.detail} for c in found],
            "not_in_backup": [left._asdict() for left in learned.left_out],
        }
        failed = [check for check in found if not check.ok]
        if failed:
            # A person has just read the sentences.
            which = failed[0].detail if self.as_json else f"{', '.join(check.name for check in failed)}."
            error = f"{len(failed)} of {len(found)} checks failed: {which}"
            raise RunEnded(FAILED, {"status": "failed", "error": error, **told})
        return told
