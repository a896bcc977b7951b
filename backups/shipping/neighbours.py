"""Whether sessions of other databases may change one without naming it, on servers that do not log that.

A session that logs statements (its binlog_format is not ROW) tells MariaDB's log what it said, and not what
its triggers, functions and views changed. Where something of another database names this one, no such
statement is passed over.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from backups import mysql
from backups.errors import Problem
from backups.mysql import grants
from backups.text.sentences import phrase

# What comes meanwhile is in the log.
_AGAIN = timedelta(days=1)
# Where it could not be asked, and each time twice as long. It keeps the log waiting.
_SOON = timedelta(minutes=5)
# Of a server with very many tables; it is asked once a day.
_SECONDS = 300
_SHOWN = 5

logger = logging.getLogger(__name__)


class Reach:
    """Looks once a day whether something of another database names this one. `was` is what a process before
    this one knew, None where it knew nothing."""

    def __init__(self, database: str, flavour: str, *, was: bool | None) -> None:
        self._database, self._is_asked_for = database, flavour == mysql.MARIADB
        self._is_known, self._is_looked_at = was is not None, False
        # What is gone since may have run in what is still to be read, so that it counts for another day.
        self._before, self._found, self._heard = bool(was), False, False
        self._next: datetime | None = None
        self._wait = _SOON

    @property
    def is_there(self) -> bool:
        """Whether something does, or may for all that anybody knows."""
        return self._is_asked_for and (self._before or self._found or self._heard or not self._is_known)

    @property
    def known(self) -> bool | None:
        """Whether something does; None where nobody could tell yet."""
        is_open = self._is_asked_for and not (self._is_known or self._heard)
        return None if is_open else self.is_there

    def hear(self) -> None:
        """The log has told of it."""
        self._heard = True

    def look(self, server: mysql.Server) -> None:
        """Ask the server, if it is time. What it does not answer stays as known, and is asked again."""
        if not self._is_asked_for or (self._next is not None and timezone.now() < self._next):
            return
        found = self._asked(server)
        if found is None:
            self._next = timezone.now() + self._wait
            self._wait = min(2 * self._wait, _AGAIN)
            return
        if self._is_looked_at:
            self._before, self._heard = self._found or self._heard, False
        self._is_known = self._is_looked_at = True
        self._found, self._next, self._wait = found, timezone.now() + _AGAIN, _SOON

    def _asked(self, server: mysql.Server) -> bool | None:
        try:
            with mysql.connect(server, read_seconds=_SECONDS) as connection:
                found = mysql.neighbours_naming(connection, self._database)
        except Problem as problem:
            logger.warning("what names %s elsewhere could not be read: %s", self._database, problem.code)
            return None
        if found.unanswered and not found.naming:
            kinds = ", ".join(found.unanswered)
            logger.warning("what names %s elsewhere could not be read: %s", self._database, kinds)
            return None
        return bool(found.naming)


def warnings(connection: Any, database: str) -> Iterator[str]:
    """What is worth knowing of it before a log is stored, on MariaDB."""
    found = mysql.neighbours_naming(connection, database)
    if found.naming:
        yield phrase(
            "These triggers, routines, events or views of other databases name {database}: {names}. While "
            "they do, each change that another database's session logs as a statement (its binlog_format is "
            "not ROW) ends the moments that can be restored, and a backup is made at once.",
            database=database,
            names=", ".join(found.naming[:_SHOWN]) + (" …" if len(found.naming) > _SHOWN else ""),
        )
    elif found.hidden or found.unanswered or not grants.sees_all(grants.of_user(connection)):
        yield phrase(
            "The user does not see all triggers, routines, events and views of other databases. If one of "
            "them changes {database} for a session that logs statements (its binlog_format is not ROW), only "
            "a proof by replay notices it. Let all sessions of the server log rows.",
            database=database,
        )
