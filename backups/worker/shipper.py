"""The process that stores binary logs, begun by the worker where a database wants it, and begun again."""

from __future__ import annotations

import logging
import time

from django.db import DatabaseError, connection

from backups.models import LogArchive
from backups.worker.kept_running import KeptRunning

logger = logging.getLogger(__name__)

# One that dies at once would otherwise be begun again several times a second.
_RESTART_SECONDS = 15.0
_LOOK_SECONDS = 10.0


class Shipper(KeptRunning):
    """One `manage.py archive_logs` at a time, while any database wants it."""

    def __init__(self) -> None:
        super().__init__()
        self._look_at = 0.0
        self._is_wanted = False

    def keep_running(self) -> None:
        """Begin it, begin it again where it died, end it where nobody wants it any more."""
        if self._child is not None and (status := self._child.poll()) is not None:
            if self._is_wanted:
                logger.error("what stores binary logs ended by itself (%s) and is begun again", status)
            self.end()
        if time.monotonic() < self._look_at:
            return
        self._look_at = time.monotonic() + _LOOK_SECONDS
        self._is_wanted = self._is_wanted_now()
        if not self._is_wanted:
            self.drain()
        elif self._child is None and time.monotonic() > self._not_before:
            self._begin()

    def _is_wanted_now(self) -> bool:
        try:
            return LogArchive.objects.wanted().exists()
        except DatabaseError:
            logger.exception("whether a log is to be stored could not be looked at, which is tried again")
            return self._is_wanted
        finally:
            connection.close()

    def _begin(self) -> None:
        self._not_before = time.monotonic() + _RESTART_SECONDS
        self._start("archive_logs")
