"""What the worker answers to what pages ask. Nothing is changed, and each answer comes within seconds."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from django.core.exceptions import ValidationError

from backups import mysql, secret_references, validators
from backups.alerting import delivery
from backups.endpoints import restoring_server
from backups.errors import Problem
from backups.models import Database
from backups.requests.questions import (
    ANSWER_SECONDS,
    KeptSizeQuestion,
    PreviewQuestion,
    Question,
    SecretQuestion,
    TestMessageQuestion,
)
from backups.restoring.plan import plan
from backups.text.sentences import phrase

_CUT_AGAIN_SECONDS = 0.5
Answer = Mapping[str, Any]


def answer(question: Question) -> Answer:
    """The answer, as JSON has it. Raises Problem."""
    return _ANSWERS[type(question)](question)


def _preview(question: PreviewQuestion) -> Answer:
    """What a restore would do; what stands in its way is in it, a server that is away included."""
    wanted = question.request
    with _within_seconds(wanted.database):
        planned = plan(
            wanted.database, wanted.snapshot, mode=wanted.mode, target=wanted.target, tables=wanted.tables
        )
    return planned.told()


def _kept_size(question: KeptSizeQuestion) -> Answer:
    restore = question.restore
    with (
        _within_seconds(restore.database),
        mysql.connect(restoring_server(restore.database)) as connection,
    ):
        return {"bytes": mysql.space_used(connection, restore.kept_in)}


def _secret(question: SecretQuestion) -> Answer:
    """Whether it is there. Of what may not be referred to nobody learns anything, whatever a row says."""
    try:
        validators.secret_reference(question.reference)
        validators.declared_reference(question.reference)
    except ValidationError as error:
        raise Problem(
            phrase("The worker did not look for it, because rows may not refer to it."),
            code="secret.not_declared",
            do=" ".join(error.messages),
        ) from None
    secret = secret_references.Secret(question.reference)
    return {"is_found": bool(secret.resolve_optional() if question.may_be_unset else secret.resolve())}


def _test_message(_question: TestMessageQuestion) -> Answer:
    sentence = delivery.send_test()
    delivery.tell_again()
    return {"sentence": sentence}


@contextmanager
def _within_seconds(database: Database) -> Iterator[None]:
    """Look at the server that a database is restored to. Raises Problem where it takes too long."""
    try:
        server = restoring_server(database)
    except Problem:
        yield  # whoever looks meets the same
        return
    over, is_cut = threading.Event(), threading.Event()

    def watch() -> None:
        if over.wait(ANSWER_SECONDS):
            return
        is_cut.set()
        # Again, because whoever looks may open another connection.
        while not over.wait(_CUT_AGAIN_SECONDS):
            mysql.hang_up_on(server)

    watching = threading.Thread(target=watch, daemon=True)
    watching.start()
    try:
        yield
    except Problem:
        if not is_cut.is_set():
            raise
    finally:
        over.set()
        watching.join()
    if is_cut.is_set():
        raise Problem(
            phrase(
                "The database server at {address} did not answer within {answer_seconds} s.",
                address=server.address,
                answer_seconds=f"{ANSWER_SECONDS:g}",
            ),
            code="question.too_slow",
            do=phrase("See what it is busy with (SHOW PROCESSLIST), then ask again."),
        )


_ANSWERS: dict[type[Question], Callable[[Any], Answer]] = {
    PreviewQuestion: _preview,
    KeptSizeQuestion: _kept_size,
    SecretQuestion: _secret,
    TestMessageQuestion: _test_message,
}
