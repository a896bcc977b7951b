"""Answers what pages ask, beside the runs: none of them waits for the other."""

from __future__ import annotations

import logging

from backups.actions import answers
from backups.errors import UNEXPECTED, Problem
from backups.models import Question
from backups.requests import questions
from backups.text.sentences import phrase

logger = logging.getLogger(__name__)


def answer_next() -> Question | None:
    """Answer the newest question that nobody took; None where there is none. Raises nothing of its own."""
    row = questions.take()
    if row is None:
        return None
    try:
        _refuse_who_may_not(row)
        questions.answer(row, answers.answer(questions.read(row)))
    except Problem as problem:
        questions.answer(row, problem)
    except Exception as error:
        logger.exception("%s (%s) could not be answered", row, row.kind)
        questions.answer(row, _unexpected(error))
    return row


def _refuse_who_may_not(row: Question) -> None:
    kind = questions.KINDS.get(row.kind)
    if kind is not None and not kind.may_be_asked_by(row.asked_by):
        raise Problem(
            phrase("The person who asked this may not ask it any more."), code="question.asker_may_not"
        )


def _unexpected(error: Exception) -> Problem:
    return Problem(
        phrase("The worker met an unexpected {kind}.", kind=type(error).__name__),
        code=UNEXPECTED,
        do=phrase("Its own log has the details; please report them."),
    )
