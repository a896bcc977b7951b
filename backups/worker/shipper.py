"""The process that stores binary logs, begun by the worker where a database wants it, and begun again."""

from __future__ import annotations

import logging
import os
import time

from django.conf import settings
from django.db import DatabaseError, connection

from backups import process
from backups.shipping.following import wanted

logger = logging.getLogger(__name__)

# One that dies at once would otherwise be begun again several times a second.
_RESTART_SECONDS = 15.0
_LOOK_SECONDS = 10.0


class Shipper:
    """One `manage.py archive_logs` at a time, while any database wants it."""

    def __init__(self) -> None:
        self._child: process.Child | None = None
        self._not_before = 0.0
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
            return wanted().exists()
        except DatabaseError:
            logger.exception("whether a log is to be stored could not be looked at, which is tried again")
            return self._is_wanted
        finally:
            connection.close()

    def _begin(self) -> None:
        self._not_before = time.monotonic() + _RESTART_SECONDS
        self._child = process.Child(
            process.Program([*settings.COMMAND_LINE, "archive_logs"], dict(os.environ)),
            stdout=process.OUR_STDOUT,
            stderr=process.OUR_STDERR,
        )

    def drain(self) -> None:
        """Have it end after what is under way."""
        if self._child is not None and self._child.poll() is None:
            self._child.terminate()

    @property
    def runs(self) -> bool:
        """Whether it lives."""
        return self._child is not None and self._child.poll() is None

    def end(self) -> None:
        """Kill what is left of it: what was not stored is fetched again."""
        if self._child is not None:
            self._child.stop(grace=0)
            self._child.close()
            self._child = None
