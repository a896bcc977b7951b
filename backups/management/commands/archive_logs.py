"""`manage.py archive_logs`: fetch the binary logs of all databases that want it, each minute."""

from __future__ import annotations

import logging
import signal
from argparse import ArgumentParser
from collections.abc import Mapping
from datetime import UTC, datetime
from types import FrameType
from typing import Any

from backups.errors import Failure
from backups.management.base import FAILED, RunEnded, VedettaCommand, failed
from backups.models import LogArchive, LogGap
from backups.portal_copy.portal_database import database_problem
from backups.reports import stored_logs
from backups.shipping import leases
from backups.shipping.minutes import Minutes
from backups.text.sentences import phrase


class Command(VedettaCommand):
    """Follow the logs until told to stop."""

    help = phrase(
        "Fetch the binary logs of the databases that want it and store what is new of them, once a minute. "
        "The worker starts it by itself."
    )

    def add_own_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--once", action="store_true", help=phrase("do it once, and end"))

    def work(self, **options: Any) -> Mapping[str, Any]:
        if problem := database_problem(thoroughly=True):
            raise RunEnded(FAILED, failed(Failure(problem, "portal.database")))
        logging.getLogger("backups").setLevel(logging.INFO)
        minutes = Minutes()

        def stop(_number: int, _frame: FrameType | None) -> None:
            minutes.stop()

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, stop)
        if options["once"]:
            minutes.once()
            self._tell_what_others_follow()
        else:
            minutes.run()
        return {"servers": _servers()}

    def _tell_what_others_follow(self) -> None:
        for archive in LogArchive.objects.wanted().select_related("database"):
            if other := leases.holder(archive):
                self.say(
                    phrase(
                        "The log of {database} is followed by another process already ({process}), which "
                        "looks at it once a minute. Nothing was fetched here.",
                        database=archive.database,
                        process=other,
                    )
                )


def _servers() -> list[dict[str, Any]]:
    """Of each server whose databases have their log stored: what of these can be restored."""
    servers: dict[str, list[dict[str, Any]]] = {}
    for archive in LogArchive.objects.wanted().select_related("database__server").order_by("database__name"):
        servers.setdefault(archive.database.server.name, []).append(_restorable(archive))
    return [{"server": name, "databases": databases} for name, databases in sorted(servers.items())]


def _restorable(archive: LogArchive) -> dict[str, Any]:
    """From when to when any moment can be had, as far as nothing lies between, and all gaps."""
    windows = stored_logs.look(archive.database).windows
    begins, ends = windows[-1].whole if windows else (None, None)
    return {
        "database": archive.database.name,
        "restorable_from": _time(begins),
        "restorable_to": _time(ends),
        "gaps": [
            {"begins": _time(gap.begins), "ends": _time(gap.ends), "code": gap.code}
            for gap in LogGap.objects.filter(database=archive.database).order_by("pk")
        ],
    }


def _time(moment: datetime | None) -> str | None:
    return moment.astimezone(UTC).isoformat() if moment is not None else None
