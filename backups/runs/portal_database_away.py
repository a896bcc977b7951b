"""The portal's own database is away for a while: a run goes on, and writes when it is back."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from django.db import InterfaceError, OperationalError, connection

from backups.runs.leases import LEASE

logger = logging.getLogger(__name__)
Answer = TypeVar("Answer")

AWAY = (OperationalError, InterfaceError)
# Whoever is silent for longer is taken for dead by other hosts, which would then begin the same.
MOST_SECONDS = LEASE.total_seconds()
_RETRY_SECONDS = 1.0
# Of MySQL and MariaDB: no connection, a lost one, a server that ends or is full, a lock not had.
_MYSQL = frozenset({1040, 1053, 1152, 1203, 1205, 1213, 1927, 2002, 2003, 2005, 2006, 2013, 2055, 4031})
# Of PostgreSQL, beside failures of the connection, which have no code: the first letters of its codes.
_POSTGRESQL = ("08", "57P", "53300", "55P03", "40001", "40P01")


def is_away(error: BaseException) -> bool:
    """Whether an error says that the database may answer again by itself: not that its disk is full."""
    if not isinstance(error, AWAY):
        return False
    if connection.vendor == "sqlite":
        return "locked" in str(error)
    if connection.vendor == "mysql":
        return isinstance(error, InterfaceError) or (bool(error.args) and error.args[0] in _MYSQL)
    code = getattr(error.__cause__, "sqlstate", None)
    return code is None or str(code).startswith(_POSTGRESQL)


def hang_up() -> None:
    """Let go of a connection that is lost, so that the next question opens another one."""
    try:
        connection.close()
    except AWAY as error:
        logger.debug("the lost connection could not be closed (%s)", type(error).__name__)


def outlast(write: Callable[[], Answer]) -> Answer:
    """What `write` answers, which is tried again while the database is away, for MOST_SECONDS.

    It may have been done already when its answer was lost, so it must do no harm twice. Within a transaction
    it is tried once: what came before it would be lost. Raises what it raises in the end.
    """
    since = None
    while True:
        try:
            return write()
        except AWAY as error:
            if connection.in_atomic_block or not is_away(error):
                raise
            since = since or time.monotonic()
            if time.monotonic() - since > MOST_SECONDS:
                raise
            logger.warning("the portal's database is away (%s), trying again", type(error).__name__)
        hang_up()
        time.sleep(_RETRY_SECONDS)
