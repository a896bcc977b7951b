"""One password at a time is looked at, in all processes of the portal: it takes a third of a second.

So a flood of sign-ins keeps one core busy at most, and the pages of who is signed in, the gate and the shop
beside it go on. And no two guesses at one name are under way at once, of which neither is counted yet.
"""

from __future__ import annotations

import fcntl
import os
import time
import weakref
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock

from django.conf import settings
from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.template.loader import render_to_string
from django.urls import reverse

from portal.proxies import counted_as

# Where a password is looked at: a visitor's, and once more that of who is signed in and wants another.
SIGN_IN, CHANGE = "/admin/login/", "/admin/password_change/"
_WRONG = "vedetta_wrong_old_passwords"
# A process works at eight requests at the same time.
MOST_AT_ONCE = 4
# Of one address, so that who floods keeps the places of others free.
MOST_OF_ONE_ADDRESS = 2
LONGEST_WAIT_SECONDS = 8.0
_LOOK_AGAIN_SECONDS = 0.02


class Busy(Exception):
    """More sign-ins are under way than are waited for."""


class Turns:
    """Lets one in at a time, of all processes that are forked from this one, and a bounded few wait.

    The lock between processes is of POSIX's kind: it goes with its process, however that ends.
    """

    def __init__(self) -> None:
        # Without a name, so that nobody else can hold it.
        self._between_processes = os.memfd_create("sign-ins")
        weakref.finalize(self, os.close, self._between_processes)
        self._between_threads = Lock()
        self._waiting: Counter[str] = Counter()
        self._counting = Lock()

    @contextmanager
    def turn(self, address: str, longest_wait: float = LONGEST_WAIT_SECONDS) -> Iterator[None]:
        """Wait for one's turn, `longest_wait` seconds at most, and have it for a block. Raises Busy."""
        self._take_place(address)
        try:
            with self._alone(time.monotonic() + longest_wait):
                yield
        finally:
            self._give_place_back(address)

    def _take_place(self, address: str) -> None:
        with self._counting:
            if self._waiting.total() >= MOST_AT_ONCE or self._waiting[address] >= MOST_OF_ONE_ADDRESS:
                raise Busy
            self._waiting[address] += 1

    def _give_place_back(self, address: str) -> None:
        with self._counting:
            self._waiting[address] -= 1
            # Else every address that ever came would be kept.
            self._waiting += Counter()

    @contextmanager
    def _alone(self, until: float) -> Iterator[None]:
        if not self._between_threads.acquire(timeout=max(0.0, until - time.monotonic())):
            raise Busy
        try:
            while not self._locked_for_this_process():
                if time.monotonic() > until:
                    raise Busy
                time.sleep(_LOOK_AGAIN_SECONDS)
            try:
                yield
            finally:
                fcntl.lockf(self._between_processes, fcntl.LOCK_UN)
        finally:
            self._between_threads.release()

    def _locked_for_this_process(self) -> bool:
        try:
            fcntl.lockf(self._between_processes, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True


def one_sign_in_at_a_time(
    get_response: Callable[[HttpRequest], HttpResponseBase],
) -> Callable[[HttpRequest], HttpResponseBase]:
    """Middleware that has sign-ins wait for each other; it is made before gunicorn forks its processes."""
    turns = Turns()

    def respond(request: HttpRequest) -> HttpResponseBase:
        if request.method != "POST" or request.path_info not in (SIGN_IN, CHANGE):
            return get_response(request)
        try:
            with turns.turn(counted_as(request)):
                response = get_response(request)
                # Before the next one's turn: two that count at once would count as one.
                return _counted(request, response) if request.path_info == CHANGE else response
        except Busy:
            return _busy()

    return respond


def _counted(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    """The answer to a change of password; too many wrong old ones end the session that guesses."""
    form = (getattr(response, "context_data", None) or {}).get("form")
    if form is None or "old_password" not in form.errors:
        return response
    wrong = request.session.get(_WRONG, 0) + 1
    if wrong >= settings.AXES_FAILURE_LIMIT:
        logout(request)
        return HttpResponseRedirect(reverse("admin:login"))
    request.session[_WRONG] = wrong
    request.session.save()
    return response


def _busy() -> HttpResponse:
    response = HttpResponse(render_to_string("503_sign_in.html"), status=503)
    response["Retry-After"] = str(int(LONGEST_WAIT_SECONDS))
    response["Cache-Control"] = "no-store"
    return response
