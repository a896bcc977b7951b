"""A drill: does the gate close an address, asked as visitors ask, and without closing it for them?

The file `drill` beside the heartbeat holds a random word for less than a minute. Whoever asks with it
is told by the gate that backups are stale, so that a drill with the word must get Vedetta's page with
503, while everybody else gets what they got before.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple
from urllib.parse import SplitResult

from backups import installation
from backups.errors import Problem, Refused
from backups.gate import asking
from backups.gate.nginx_lines import Line, suspects, ways_round
from backups.text.sentences import joined, phrase, template
from backups.verdict import GateFacts
from sentinel import heartbeat

# With the word, so that of several web servers in turn each is met. All is over before the drill is.
_TIMES = 5
_MOST_ADDRESSES = 4
_DRILL_SECONDS = 35.0
# nginx keeps the gate's answer for a second.
_KEPT_SECONDS = 1.2


class Found(StrEnum):
    """What a drill found (stable: it stands in JSON)."""

    CLOSES = "closes"
    CLOSED_ALREADY = "closed already"
    KEPT_OUT = "closed though open"
    LET_IN = "open though closed"
    OPEN = "open"
    PARTLY = "partly"
    REDIRECT = "redirect"
    PASSWORD = "password"  # noqa: S105
    CACHED = "cached"
    ANOTHER_PAGE = "another page"
    KEPT = "kept"
    UNCLEAR = "unclear"
    NO_ANSWER = "no answer"


GOOD = frozenset({Found.CLOSES, Found.CLOSED_ALREADY})
# What a line of nginx's configuration may be the reason of.
_OF_NGINX = frozenset({Found.OPEN, Found.CACHED, Found.REDIRECT, Found.PASSWORD, Found.ANOTHER_PAGE})
_LINES_SHOWN = 8


@dataclass(frozen=True)
class Drilled:
    """What a drill found out about an address, as a sentence and with the statuses it saw."""

    url: str
    found: Found
    detail: str
    before: int | None = None
    drilled: int | None = None
    after: int | None = None
    lines: tuple[Line, ...] = ()
    # Of nginx's: they may let others in.
    warnings: tuple[Line, ...] = ()
    # The gate's word by its own files, whatever nginx was told.
    verdict: str = ""

    @property
    def ok(self) -> bool:
        """Whether the gate was seen to close it."""
        return self.found in GOOD

    def told(self) -> dict[str, object]:
        """For JSON; the keys are stable."""
        return {
            "url": self.url,
            "ok": self.ok,
            "found": self.found.value,
            "detail": self.detail,
            "before": self.before,
            "drilled": self.drilled,
            "after": self.after,
            "verdict": self.verdict,
            "lines": [asdict(line) for line in self.lines],
            "warnings": [asdict(line) for line in self.warnings],
        }


def explained(drilled: Drilled, configuration: str) -> Drilled:
    """With the lines of nginx's configuration, as `nginx -T` prints it, that probably did it.

    Where it closes, with those that may let in others; without a configuration, that nobody looked for them.
    """
    if drilled.ok and configuration:
        return replace(drilled, warnings=tuple(ways_round(configuration, drilled.url)[:_LINES_SHOWN]))
    if drilled.found == Found.CLOSES:
        return replace(drilled, detail=joined([drilled.detail, _AS_ONE_VISITOR]))
    if drilled.found not in _OF_NGINX or not configuration:
        return drilled
    look = ways_round if drilled.found == Found.CACHED else suspects
    lines = tuple(look(configuration, drilled.url)[:_LINES_SHOWN])
    hint = (
        phrase("Look at {lines}.", lines=", ".join(map(str, lines)))
        if lines
        else phrase("No line of nginx's stands out.")
    )
    return replace(drilled, lines=lines, detail=joined([drilled.detail, hint]))


_AS_ONE_VISITOR = phrase(
    "Only this address was asked, by a visitor from here without a cookie. nginx's configuration "
    "tells whether others get in: `nginx -T | manage.py preflight --gate … --nginx -`."
)


def hold(url: str, heartbeat_path: Path, gate: Callable[[], GateFacts]) -> Drilled:
    """Ask for `url` as a visitor, with a drill's word a few times, and as a visitor again.

    Twice before it, so that a cache has the page which keeps none that was asked for but once.

    `gate` judges by the status files, not by what its process says. Raises Problem for an address that is
    none, and where no drill can be held.
    """
    asking.checked(url)
    judged = [gate()]
    before = asking.ask(url)
    if before.status is not None:
        before = asking.ask(url)
    if before.status is None:
        return judge(url, before, [before], before, judged[0])
    with _under_way(heartbeat_path) as word:
        drilled = _drilled(url, word)
    after = asking.ask(url)
    judged.append(gate())
    if all(one.is_open == after.closed for one in judged):
        time.sleep(_KEPT_SECONDS)
        after = asking.ask(url)
    # One that changed meanwhile is taken as visitors found it.
    agrees = (one for one in judged if one.is_open != before.closed)
    return judge(url, before, drilled, after, next(agrees, judged[0]))


def _drilled(url: str, word: str) -> list[asking.Answer]:
    """The answers to a drill's word, at each address that the name has; where none came only the first's."""
    until = time.monotonic() + _DRILL_SECONDS
    others = [at for at in _addresses(asking.checked(url))[1:] for _ in range(2)]
    answers = [asking.ask(url, word)]
    for at in [*[""] * (_TIMES - 1), *others]:
        if time.monotonic() < until:
            answer = replace(asking.ask(url, word, at), at=at)
            answers += [answer] if answer.status is not None else []
    return answers


def _addresses(parts: SplitResult) -> list[str]:
    """What the name stands for, as it is tried from here; nothing where it cannot be looked up."""
    try:
        found = socket.getaddrinfo(parts.hostname, parts.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []
    return list(dict.fromkeys(str(address[0]) for *_, address in found))[:_MOST_ADDRESSES]


@contextmanager
def _under_way(heartbeat_path: Path) -> Iterator[str]:
    """Raises Problem, also at the end where the word was not the drill's all the time."""
    try:
        drill = heartbeat.drill_begin(heartbeat_path, datetime.now(UTC))
    except heartbeat.DrillUnderWayError:
        raise Refused(
            phrase("Not started: another drill is under way."),
            code="gate.drill_under_way",
            do=phrase("Try again in a minute."),
        ) from None
    except OSError as error:
        raise _unwritable(error) from error
    is_ours = True
    try:
        yield drill.word
    finally:
        with suppress(OSError):  # it ends by itself
            is_ours = heartbeat.drill_end(heartbeat_path, drill, datetime.now(UTC))
    if not is_ours:
        raise Problem(
            phrase("The drill has no result: it took too long, or another one came in between."),
            code="gate.drill_tells_nothing",
            do=phrase("Try again in a minute."),
        )


def _unwritable(error: OSError) -> Problem:
    return Problem(
        phrase(
            "The drill's file cannot be written to the status folder ({error}).",
            error=error.strerror or error,
        ),
        code="gate.drill_file",
        safe=phrase("The gate is as it was."),
        do=phrase("Check the folder's owner, mode and free space (SENTINEL_HEARTBEAT_PATH)."),
    )


# ---------------------------------------------------------------- What the answers mean


def judge(
    url: str, before: asking.Answer, answers: Sequence[asking.Answer], after: asking.Answer, gate: GateFacts
) -> Drilled:
    """What they say together, `answers` being those to the drill's word, and what the gate's files say."""
    # One that lets in counts for more than all that close.
    drilled = next((each for each in answers if not each.closed), answers[0])
    is_closed_at_times = not drilled.closed and any(each.closed for each in answers)
    three = _Answers(before, drilled, after)
    found = Found.PARTLY if is_closed_at_times else _found(three, gate)
    return Drilled(
        url, found, _sentence(url, found, three, gate.word),
        before.status, drilled.status, after.status, verdict=gate.word,
    )  # fmt: skip


class _Answers(NamedTuple):
    """What a visitor got before the drill, whoever had its word, and a visitor after it."""

    before: asking.Answer
    drilled: asking.Answer
    after: asking.Answer


def _found(answers: _Answers, gate: GateFacts) -> Found:
    before, drilled, after = answers
    if None in (before.status, drilled.status, after.status):
        return Found.NO_ANSWER
    if before.closed:
        return _of_closed(drilled, after, gate)
    if drilled.closed:
        if after.closed or after.status != before.status:
            return Found.KEPT
        return Found.CLOSES if gate.is_open else Found.LET_IN
    if drilled.status != before.status or (drilled.is_ours and not before.is_ours):
        return _of_a_change(drilled)
    found = _of_no_change(before.status or 0)
    return Found.CACHED if found is Found.OPEN and drilled.is_cached else found


def _of_closed(drilled: asking.Answer, after: asking.Answer, gate: GateFacts) -> Found:
    """Good only where the backups are what closes it."""
    if not drilled.closed:
        return Found.UNCLEAR
    if not gate.is_open:
        return Found.CLOSED_ALREADY
    return Found.KEPT_OUT if after.closed else Found.UNCLEAR


def _of_a_change(drilled: asking.Answer) -> Found:
    return Found.ANOTHER_PAGE if drilled.is_ours or (drilled.status or 0) >= 400 else Found.UNCLEAR


def _of_no_change(status: int) -> Found:
    if status in {301, 302, 303, 307, 308}:
        return Found.REDIRECT
    if status in {401, 403, 407}:
        return Found.PASSWORD
    return Found.UNCLEAR if status >= 500 else Found.OPEN


def _sentence(url: str, found: Found, answers: _Answers, word: str) -> str:
    problem = next((one.problem for one in answers if one.status is None), "")
    before, drilled, after = answers
    commands = installation.commands()
    return phrase(
        _SENTENCES[found], url=url,
        before=before.status, drilled=drilled.status, after=after.status, problem=problem,
        word=word, restart=commands.restart_gate, log=commands.gate_log,
        at=phrase(" by the address {at}", at=drilled.at) if drilled.at else "",
    )  # fmt: skip


_SENTENCES = {
    Found.CLOSES: template(
        "{url} closes: the drill got 503 with Vedetta's page, everybody else {before} as before."
    ),
    Found.CLOSED_ALREADY: template("{url} is closed for everybody at this moment: 503 with Vedetta's page."),
    Found.KEPT_OUT: template(
        "{url} keeps everybody out (503 with Vedetta's page). By the status files it is open (“{word}”), so "
        "the backups are not the reason. The gate's process does not run, hangs, or reads another status "
        "folder, or nginx asks for it at another address. See what it says ({log}) and start it again "
        "({restart}). If it runs and answers, compare its address with the one in vedetta-http.conf."
    ),
    Found.LET_IN: template(
        "{url} closes for a drill, but lets everybody in ({before}) at this moment. By the status files the "
        "gate is closed (“{word}”). Its process has other settings than the portal "
        "(SENTINEL_THRESHOLD_SECONDS and the like), or a cache goes on serving. Compare what "
        "/sentinel/status of the gate's process says with the portal's page Gate."
    ),
    Found.OPEN: template(
        "{url} stays open while the gate is closed: the drill got {drilled}, as everybody does. One of "
        "these opens it, the likeliest first. The server does not include vedetta-gate.conf, or that of an "
        "older Vedetta. `auth_request off`, an auth_request of its own, `satisfy any` or `return` stands in "
        "its location. A `rewrite` or `return` of the server stands before the include. A cache before the "
        "gate (proxy_cache, a CDN) has the page. The gate reads another status folder than this one. "
        "docs/gate.md says what to do about each."
    ),
    Found.PARTLY: template(
        "{url} stays open at times while the gate is closed. Of several requests with the drill's word some "
        "got 503 with Vedetta's page, and others{at} {drilled}. Several web servers answer there (behind a "
        "balancer, or each by an address of its own), and not all of them ask this gate. Include "
        "vedetta-gate.conf in each, and see that all ask the same gate."
    ),
    Found.REDIRECT: template(
        "{url} leads elsewhere ({drilled}), with the drill's word as without. A `return` or `rewrite` "
        "answers before the gate is asked, or the application leads on and stays open. A drill follows no "
        "redirect. Give the address to which it leads."
    ),
    Found.CACHED: template(
        "{url} stays open while the gate is closed: the drill got {drilled} out of a cache that does not "
        "ask the gate. Everybody gets that for as long as the cache keeps the page. Put the gate before the "
        "cache (docs/gate.md, “A server before the server”), or have it keep nothing of this address. If "
        "that cache stands behind the gate, see there what else opens it."
    ),
    Found.PASSWORD: template(
        "{url} refuses everybody ({drilled}) before the gate is asked (auth_basic, `deny`), or the "
        "application refuses and stays open. Give an address that visitors may see."
    ),
    Found.ANOTHER_PAGE: template(
        "{url} closes, but the drill got another page ({drilled}) in the place of Vedetta's with 503. An "
        "error_page of its location's own, or one to a named location before the include, takes the place "
        "of ours. Write `error_page 500 =503 @vedetta_closed;` as that location's first line, and the "
        "include as the server's. docs/gate.md says more."
    ),
    Found.KEPT: template(
        "{url} closed for the drill, but everybody else got {before} before it and {after} after it. The "
        "gate or the application changed in between, or nginx keeps the drill's answer for others. Try "
        "again. If it stays so, replace the files of deploy/nginx by those of this Vedetta."
    ),
    Found.NO_ANSWER: template("{url} gives no answer, so the drill has no result: {problem}."),
    Found.UNCLEAR: template(
        "{url} answered {before}, then {drilled} to the drill and {after} at last. That says nothing "
        "about the gate. The application is down, or changed in between. Try again when it answers."
    ),
}
