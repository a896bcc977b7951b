"""Each minute all servers, beside one another: one that does not answer keeps no other waiting."""

from __future__ import annotations

import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from django.db import DatabaseError, connection

from backups.models import Server
from backups.shipping.following import ServerFollower, Stopped, wanted

logger = logging.getLogger(__name__)

MINUTE_SECONDS = 60.0
_AT_ONCE = 8


class Minutes:
    """Follows the logs of all servers; `stop` may be called by a signal."""

    def __init__(self) -> None:
        self._followers: dict[int, ServerFollower] = {}
        self._over = threading.Event()

    def stop(self) -> None:
        """End after what is under way."""
        self._over.set()

    def run(self) -> None:
        """Follow them until `stop`."""
        try:
            while not self._over.is_set():
                began = time.monotonic()
                is_more_there = self._look()
                # The portal's server may be begun anew in a minute.
                connection.close()
                if is_more_there:
                    continue
                self._over.wait(max(0.0, MINUTE_SECONDS - (time.monotonic() - began)))
        finally:
            self._close()

    def once(self) -> None:
        """Fetch and store all that is there now."""
        try:
            while self._look() and not self._over.is_set():
                pass
        finally:
            self._close()

    def _tick(self) -> None:
        if self._over.is_set():
            raise Stopped

    def _look(self) -> bool:
        """One minute; answers whether more is there already."""
        try:
            servers = list(Server.objects.filter(databases__log_archive__in=wanted()).distinct())
        except DatabaseError:
            logger.exception("the portal's database cannot be read, which is tried again in a minute")
            connection.close()
            return False
        for gone in self._followers.keys() - {each.pk for each in servers}:
            self._followers.pop(gone).close()
        for each in servers:
            self._followers.setdefault(each.pk, ServerFollower(each, self._tick)).server = each
        followers = [self._followers[each.pk] for each in servers]
        if len(followers) < 2:
            return any(_minute(each) for each in followers)
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            return any(list(pool.map(_minute_of_a_thread, followers)))

    def _close(self) -> None:
        for each in self._followers.values():
            try:
                each.close()
            except DatabaseError:
                logger.exception("a log could not be given back, and is free again within minutes")


def _minute(follower: ServerFollower) -> bool:
    try:
        return follower.minute()
    except DatabaseError:
        logger.exception("the portal's database cannot be used, which is tried again in a minute")
        follower.drop_all()
        connection.close()
        return False


def _minute_of_a_thread(follower: ServerFollower) -> bool:
    try:
        return _minute(follower)
    finally:
        connection.close()
