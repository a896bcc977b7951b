"""Asks the gate's own process whether it answers, and whether it says what its files say.

The files tell what it has to say, not that anybody says it: with a gate that is dead or hangs nginx keeps
every visitor out while backups are fresh. Asked by the web processes' watching thread, never by a page;
what was found is kept in an alert's row, from which the verdict has it (see `standing.gate_process`).
"""

from __future__ import annotations

import http.client
import socket
import time
from collections.abc import Collection
from contextlib import closing
from typing import NamedTuple

from django.conf import settings

from backups import asked_by_http, installation, notify, standing
from backups.installation import Commands
from backups.models import Database
from sentinel.gate import OPEN, Word

# As long as nginx gives it, its name's look-up and a dripping answer included.
ANSWER_SECONDS = 2.0
# Then one that is just begun again answers.
_AGAIN_SECONDS = 10.0
_MOST_BYTES = 1024
_UNIX = "unix:"


class Answer(NamedTuple):
    """The gate's word; or why none came."""

    word: str = ""
    problem: str = ""


class Trouble(NamedTuple):
    """What is wrong with the process in a few words, as a sentence, and what to do."""

    word: str
    what: str
    do: str


def look() -> None:
    """Ask once, where something gates; one whom nobody ever heard there is no gate that was meant to run."""
    address = settings.SENTINEL_ADDRESS
    if not address or not Database.objects.filter(gates_app=True).exists():
        return
    answer, found = _asked(address)
    is_known = bool(answer.word) or notify.is_gate_known(address)
    if found is not None and is_known:
        time.sleep(_AGAIN_SECONDS)
        _, found = _asked(address)
    if not is_known:
        return
    if found is None:
        notify.gate_answers(address)
    else:
        notify.gate_in_trouble(address, found.word, found.what, found.do)


def _asked(address: str) -> tuple[Answer, Trouble | None]:
    """Its answer, and what is wrong with it; what the files say may change while it is asked."""
    before = standing.gate_by_files().word
    answer = ask(address)
    return answer, trouble(address, answer, {before, standing.gate_by_files().word}, installation.commands())


def trouble(address: str, answer: Answer, expected: Collection[str], commands: Commands) -> Trouble | None:
    """What is wrong, if anything. Pure."""
    again = f"See what it says ({commands.gate_log}) and start it again ({commands.restart_gate})."
    if not answer.word:
        return Trouble(
            "gives no answer",
            f"The gate's process gives no answer at {address} ({answer.problem}), so visitors are kept out, "
            "whatever the backups are like.",
            f"{again} If it was moved, say in SENTINEL_ADDRESS where it listens.",
        )
    if answer.word in expected:
        return None
    return Trouble(
        "says another word than its files",
        f"The gate's process at {address} says “{answer.word}”, and by the portal's status files it is "
        f"“{sorted(expected)[0]}”: visitors get what the process says.",
        "It reads another status folder, or has other settings (SENTINEL_…) than the portal, or is that of "
        f"another installation, and SENTINEL_ADDRESS says where ours is. {again}",
    )


def ask(address: str) -> Answer:
    """The word of the gate at `address:port` or `unix:/path`, within `ANSWER_SECONDS` with all of it."""
    connection = _connection(address)
    answer = asked_by_http.within(ANSWER_SECONDS, connection, lambda: _word(connection))
    return answer or Answer(problem=f"it hangs: nothing came within {ANSWER_SECONDS:g} seconds")


class _UnixConnection(http.client.HTTPConnection):
    """HTTP by a socket's path."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=ANSWER_SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def _connection(address: str) -> http.client.HTTPConnection:
    if address.startswith(_UNIX):
        return _UnixConnection(address.removeprefix(_UNIX))
    host, _, port = address.rpartition(":")
    return http.client.HTTPConnection(host.strip("[]"), int(port), timeout=ANSWER_SECONDS)


def _word(connection: http.client.HTTPConnection) -> Answer:
    try:
        with closing(connection):
            connection.request("GET", "/sentinel/ok", headers={"Host": "localhost", "Connection": "close"})
            response = connection.getresponse()
            response.read(_MOST_BYTES)
    except TimeoutError:
        return Answer(problem=f"it hangs: nothing came within {ANSWER_SECONDS:g} seconds")
    except OSError as error:
        return Answer(problem=error.strerror or type(error).__name__)
    except (http.client.HTTPException, ValueError):
        return Answer(problem="what answers there is no gate")
    word = response.headers.get("X-Backup-Status", "")
    if word not in set(Word) or response.status != (200 if word in OPEN else 503):
        return Answer(problem=f"what answers there is no gate: it said {response.status}")
    return Answer(word)
