"""`manage.py archive_logs`: fetch the binary logs of all databases that want it, each minute."""

from __future__ import annotations

import logging
import signal
from argparse import ArgumentParser
from types import FrameType
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from backups.portal_copy.portal_database import database_problem
from backups.shipping.minutes import Minutes
from backups.text.sentences import phrase


class Command(BaseCommand):
    """Follow the logs until told to stop."""

    help = phrase(
        "Fetch the binary logs of the databases that want it and store what is new of them, once a minute. "
        "The worker starts it by itself."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Once, or for ever."""
        parser.add_argument("--once", action="store_true", help=phrase("do it once, and end"))

    def handle(self, *, once: bool, **_: Any) -> None:
        """Do it each minute until a signal comes. Raises CommandError."""
        if problem := database_problem(thoroughly=True):
            raise CommandError(problem)
        logging.getLogger("backups").setLevel(logging.INFO)
        minutes = Minutes()

        def stop(_number: int, _frame: FrameType | None) -> None:
            minutes.stop()

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, stop)
        if once:
            minutes.once()
        else:
            minutes.run()
