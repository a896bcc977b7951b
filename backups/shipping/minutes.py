"""Each server once a minute, beside one another: one that does not answer keeps no other waiting.

Nor does a repository that hangs: from then on it is looked after by itself, until it is quick again.
"""

from __future__ import annotations

import logging
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor

from django.db import DatabaseError, connection

from backups.models import LogArchive, Server
from backups.scheduling.staleness import LOG_FETCHED_EVERY
from backups.shipping.following import ServerFollower, Stopped

logger = logging.getLogger(__name__)

MINUTE_SECONDS = LOG_FETCHED_EVERY.total_seconds()
# Servers, and repositories that are followed apart: these only wait, most of the time.
_AT_ONCE, _APART_AT_ONCE = 8, 16
# A server, and a repository that is followed apart or NO_REPOSITORY, by their keys.
Key = tuple[int, int]
NO_REPOSITORY = 0
# How often it is asked which servers there are, and looked whether one is due.
_LIST_SECONDS, _POLL_SECONDS = 10.0, 0.5


class Minutes:
    """Follows the logs of all servers; `stop` may be called by a signal."""

    def __init__(self) -> None:
        self._followers: dict[Key, ServerFollower] = {}
        # Who is being looked at, and when the next look is due (monotonic seconds).
        self._looks: dict[Key, Future[bool]] = {}
        self._due: dict[Key, float] = {}
        self._over = threading.Event()

    def stop(self) -> None:
        """End after what is under way."""
        self._over.set()

    def run(self) -> None:
        """Follow them until `stop`."""
        pools = ThreadPoolExecutor(_AT_ONCE), ThreadPoolExecutor(_APART_AT_ONCE)
        asked = float("-inf")
        wanted: list[Key] = []
        try:
            while not self._over.is_set():
                if time.monotonic() >= asked + _LIST_SECONDS:
                    asked, wanted = time.monotonic(), self._wanted()
                    # The portal's server may be begun anew in between.
                    connection.close()
                for each in wanted:
                    self._look_when_due(each, pools[each[1] != NO_REPOSITORY])
                self._over.wait(_POLL_SECONDS)
        finally:
            for pool in pools:
                pool.shutdown()
            self._close()

    def _look_when_due(self, key: Key, pool: ThreadPoolExecutor) -> None:
        """Begin the next look, unless one is under way; at once where the last one left some."""
        if (look := self._looks.get(key)) is not None:
            if not look.done():
                return
            del self._looks[key]
            if look.result():
                self._due[key] = 0.0
        if time.monotonic() >= self._due.get(key, 0.0):
            self._due[key] = time.monotonic() + MINUTE_SECONDS
            self._looks[key] = pool.submit(_minute_of_a_thread, self._followers[key])

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

    def _wanted(self) -> list[Key]:
        """What to look at, each with its follower; that of before where nobody can tell."""
        try:
            wanted = LogArchive.objects.wanted()
            servers = list(Server.objects.filter(databases__log_archive__in=wanted).distinct())
        except DatabaseError:
            logger.exception("the portal's database cannot be read, which is tried again")
            connection.close()
            return list(self._followers)
        under_way = {key for key, look in self._looks.items() if not look.done()}
        self._take_together(under_way)
        keys = [key for each in servers for key in self._keys_of(each)]
        for gone in self._followers.keys() - set(keys) - under_way:
            self._followers.pop(gone).close()
        return keys

    def _take_together(self, under_way: set[Key]) -> None:
        """A repository that is quick again goes with its server's others."""
        for key in self._followers.keys() - under_way:
            server, repository = key
            whole = self._followers.get((server, NO_REPOSITORY))
            if repository != NO_REPOSITORY and whole is not None and self._followers[key].is_quick:
                # The lease stays ours.
                self._followers.pop(key).drop_all()
                whole.slow = whole.slow - {repository}

    def _keys_of(self, server: Server) -> list[Key]:
        """Of a server, whose followers are begun where they are not there."""
        whole = (server.pk, NO_REPOSITORY)
        self._followers.setdefault(whole, ServerFollower(server, self._tick))
        apart = [(server.pk, repository) for repository in self._followers[whole].slow]
        for key in apart:
            self._followers.setdefault(key, ServerFollower(server, self._tick, key[1]))
        for key in (whole, *apart):
            self._followers[key].server = server
        return [whole, *apart]

    def _look(self) -> bool:
        """One look at all; answers whether more is there already."""
        followers = [self._followers[key] for key in self._wanted()]
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
