"""What the worker answers to what pages ask, within seconds. Nothing but rows of the portal is changed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.utils import timezone

from backups import mysql, secret_references
from backups.actions.steps import log_checked, tried
from backups.actions.steps.moment_preview import with_moment
from backups.alerting import channel_delivery, delivery
from backups.catalog import made_here
from backups.endpoints import restoring_server
from backups.errors import Problem
from backups.models import Channel, Database
from backups.reports import proof, proof_files, proof_rows
from backups.requests.channel_test import ChannelTestQuestion
from backups.requests.log_questions import LogCheckQuestion, LogSwitchQuestion
from backups.requests.questions import (
    ANSWER_SECONDS,
    KeptSizeQuestion,
    PreviewQuestion,
    Question,
    ReportQuestion,
    SecretQuestion,
    TestMessageQuestion,
)
from backups.requests.set_up_questions import RepositoryQuestion, ServerQuestion
from backups.restoring.plan import plan
from backups.text.sentences import joined, phrase

_CUT_AGAIN_SECONDS = 0.5
_CLOCKS_APART = timedelta(minutes=5)
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
    if wanted.until is not None:
        planned = with_moment(planned, wanted.until, ANSWER_SECONDS)
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
    tried.refuse_undeclared(question.reference)
    secret = secret_references.Secret(question.reference)
    return {"is_found": bool(secret.resolve_optional() if question.may_be_unset else secret.resolve())}


def _test_message(_question: TestMessageQuestion) -> Answer:
    in_portal = list(Channel.objects.filter(is_enabled=True).order_by("name"))
    sentences = []
    if settings.NOTIFY_URLS or not in_portal:
        sentences.append(delivery.send_test())
        delivery.tell_again()
    if in_portal:
        sentences.append(channel_delivery.send_tests(in_portal))
    return {"sentence": joined(sentences)}


def _channel_test(question: ChannelTestQuestion) -> Answer:
    if question.channel is not None:
        return {"sentence": channel_delivery.send_tests([question.channel])}
    return {"sentence": channel_delivery.send_test_unsaved(question.service, question.sealed)}


def _report(question: ReportQuestion) -> Answer:
    """The signature of the report as this process makes it; whoever asked makes the same one."""
    if question.form not in proof_files.FORMS or abs(timezone.now() - question.made_at) > _CLOCKS_APART:
        # What is signed was made now: nobody has one made that looks as if it were of another day.
        raise Problem(
            phrase("The worker signs no such report, or its clock differs from the portal's."),
            code="report.not_signed_here",
            do=phrase("See that both have the right time and the same version, then ask again."),
        )
    key = made_here.key_to_sign_with()
    wanted = proof.Wanted(
        proof.Days(question.first, question.last),
        question.made_at,
        question.database,
        signed_by=key.public_signing,
    )
    document = proof.report(wanted, proof_rows.Pace(ANSWER_SECONDS))
    sha256 = proof_files.digest(proof_files.body(document, question.form, question.language))
    signed = proof_files.sign(key, question.form, sha256)
    return {"sha256": sha256, "public_key": signed.public_key, "signature": signed.signature}


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
    ChannelTestQuestion: _channel_test,
    ReportQuestion: _report,
    ServerQuestion: tried.server,
    RepositoryQuestion: tried.repository,
    LogCheckQuestion: log_checked.check,
    LogSwitchQuestion: log_checked.switch_on,
}
