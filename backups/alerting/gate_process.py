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
from datetime import UTC, datetime
from typing import NamedTuple

from django.conf import settings

from backups import installation
from backups.alerting import gate_alerts
from backups.gate import bounded_http
from backups.installation import Commands
from backups.models import Database
from backups.reports import standing
from backups.text.sentences import phrase
from sentinel import heartbeat
from sentinel.gate import OPEN, Word

# As long as nginx gives it, its name's look-up and a dripping answer included.
ANSWER_SECONDS = 2.0
# Then one that is just begun again answers.
_AGAIN_SECONDS = 10.0
# Whether it reads our files is asked by a drill, which a person's has to wait for: not with each look.
_TRIED_SECONDS = 600.0
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
    """Ask once, where something gates; where nobody ever heard a gate there is none that was meant to run."""
    address = settings.SENTINEL_ADDRESS
    if not address:
        gate_alerts.gate_is_not_asked()
        return
    if not Database.objects.in_service().filter(gates_app=True).exists():
        return
    answer, found = _asked(address)
    # Also at another address: it was moved, or this one is a slip.
    is_known = bool(answer.word) or gate_alerts.is_gate_known()
    if found is not None and is_known:
        time.sleep(_AGAIN_SECONDS)
        answer, found = _asked(address)
    if not is_known:
        return
    if found is None:
        found = _of_another(address, answer)
    if found is None:
        gate_alerts.gate_answers(address)
    elif found is not _UNDECIDED:
        gate_alerts.gate_in_trouble(address, found.word, found.what, found.do)


def _asked(address: str) -> tuple[Answer, Trouble | None]:
    """Its answer, and what is wrong with it; what the files say may change while it is asked."""
    before = standing.gate_by_files().word
    answer = ask(address)
    return answer, trouble(address, answer, {before, standing.gate_by_files().word}, installation.commands())


# By address, when this process last saw that it reads our files.
_reads_ours: dict[str, float] = {}


def _of_another(address: str, answer: Answer) -> Trouble | None:
    """What is wrong with one that says the right word, and by other files: they say so by chance."""
    tried = _reads_ours.get(address)
    in_trouble = gate_alerts.is_gate_in_trouble(address)
    is_due = in_trouble or tried is None or time.monotonic() - tried > _TRIED_SECONDS
    if answer.word not in OPEN or not is_due:
        return None
    ours = _is_ours(address)
    if ours is None:
        return _UNDECIDED if in_trouble else None
    if ours:
        _reads_ours[address] = time.monotonic()
        return None
    return of_other_files(address, installation.commands())


def _is_ours(address: str) -> bool | None:
    """Whether a drill's word closes it, for nobody but us; None where no drill can be held at the moment."""
    path = settings.SENTINEL.heartbeat_path
    stayed = False
    try:
        drill = heartbeat.drill_begin(path, datetime.now(UTC))
        try:
            answer = ask(address, drill.word)
        finally:
            stayed = heartbeat.drill_end(path, drill, datetime.now(UTC))
    except (heartbeat.DrillUnderWayError, OSError):
        return None
    return answer.word == Word.STALE if stayed and answer.word else None


def of_other_files(address: str, commands: Commands) -> Trouble:
    """What is wrong with a gate that a drill in our files does not close."""
    return Trouble(
        phrase("reads other files"),
        phrase(
            "The gate's process at {address} does not read the portal's status files. It says the "
            "same as they do only by chance. Visitors get what it says, whatever our backups are like.",
            address=address,
        ),
        phrase(
            "If it belongs to another installation, say in SENTINEL_ADDRESS where ours is. If not, it "
            "has another SENTINEL_HEARTBEAT_PATH than the portal, its clock differs by a minute or "
            "more, or it is an older Vedetta. {again}",
            again=_again(commands),
        ),
    )


def _again(commands: Commands) -> str:
    return phrase(
        "See what it says ({gate_log}) and start it again ({restart_gate}).",
        gate_log=commands.gate_log,
        restart_gate=commands.restart_gate,
    )


# Neither good nor bad: it stays what it was.
_UNDECIDED = Trouble("", "", "")


def trouble(address: str, answer: Answer, expected: Collection[str], commands: Commands) -> Trouble | None:
    """What is wrong, if anything. Pure."""
    again = _again(commands)
    if not answer.word:
        return Trouble(
            phrase("gives no answer"),
            phrase(
                "The gate's process gives no answer at {address} ({problem}), so visitors are kept out, "
                "whatever the backups are like.",
                address=address,
                problem=answer.problem,
            ),
            phrase("{again} If it was moved, say in SENTINEL_ADDRESS where it listens.", again=again),
        )
    if answer.word in expected:
        return None
    return Trouble(
        phrase("says another word than its files"),
        phrase(
            "The gate's process at {address} says “{word}”, but by the portal's status files it is "
            "“{expected}”. Visitors get what the process says.",
            address=address,
            word=answer.word,
            expected=sorted(expected)[0],
        ),
        phrase(
            "It reads another status folder, or has other settings (SENTINEL_…) than the portal. If "
            "it belongs to another installation, say in SENTINEL_ADDRESS where ours is. {again}",
            again=again,
        ),
    )


def ask(address: str, drill: str = "") -> Answer:
    """The word of the gate at `address:port` or `unix:/path`, within `ANSWER_SECONDS` with all of it.

    With `drill` it is asked with that word, for which it is closed.
    """
    connection = _connection(address)
    answer = bounded_http.within(ANSWER_SECONDS, connection, lambda: _word(connection, drill))
    return answer or Answer(
        problem=phrase(
            "it hangs: nothing came within {answer_seconds} seconds", answer_seconds=f"{ANSWER_SECONDS:g}"
        )
    )


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


def _word(connection: http.client.HTTPConnection, drill: str) -> Answer:
    headers = {"Host": "localhost", "Connection": "close"}
    if drill:
        headers[heartbeat.DRILL_HEADER] = drill
    try:
        with closing(connection):
            connection.request("GET", "/sentinel/ok", headers=headers)
            response = connection.getresponse()
            response.read(_MOST_BYTES)
    except TimeoutError:
        return Answer(
            problem=phrase(
                "it hangs: nothing came within {answer_seconds} seconds", answer_seconds=f"{ANSWER_SECONDS:g}"
            )
        )
    except OSError as error:
        return Answer(problem=error.strerror or type(error).__name__)
    except (http.client.HTTPException, ValueError):
        return Answer(problem=phrase("what answers there is no gate"))
    word = response.headers.get("X-Backup-Status", "")
    if word not in set(Word) or response.status != (200 if word in OPEN else 503):
        return Answer(
            problem=phrase("what answers there is no gate: it said {status}", status=response.status)
        )
    return Answer(word)
