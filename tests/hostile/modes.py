"""Every way of a hostile server, by name: what asks a server is tried against each of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tests.hostile import answers, greetings
from tests.hostile.answers import Answer, where
from tests.hostile.server import HostileServer

# The driver has words of its own when it connects, to which these do not answer otherwise than others do.
_QUESTIONS = r"^\s*(select|show|xa )"


def _answering(answer: Answer) -> Callable[[], HostileServer]:
    return lambda: HostileServer(where(_QUESTIONS, answer))


def _greeting(greets: greetings.Greeting) -> Callable[[], HostileServer]:
    return lambda: HostileServer(greets=greets)


MODES: Mapping[str, Callable[[], HostileServer]] = {
    "silent": _answering(answers.silence),
    "a row now and then": _answering(answers.drip(0.1)),
    "a byte now and then": _answering(answers.drip(0.1, bytes_too=True)),
    "rows without an end": _answering(answers.endless_rows()),
    "tiny rows without an end": _answering(answers.endless_rows(1)),
    "a value without an end": _answering(answers.endless_field),
    "columns without an end": _answering(answers.endless_columns),
    "answers without an end": _answering(answers.more_and_more),
    "warnings without an end": _answering(answers.endless_warnings),
    "an error of megabytes": _answering(answers.huge_error),
    "no greeting": _greeting(greetings.no_word),
    "a greeting by the byte": _greeting(greetings.dripping(0.1)),
    "a greeting without an end": _greeting(greetings.endless),
    "never satisfied with a password": _greeting(greetings.never_satisfied()),
}
