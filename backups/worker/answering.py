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
    """Answer the question whose turn it is; None where there is none.

    Raises nothing, whatever is in its row: whoever calls this plays runs next.
    """
    try:
        row = questions.take()
        if row is not None:
            _answer(row)
            questions.wake_for_next_like(row)
    except Exception:
        logger.exception("what pages ask could not be answered")
        return None
    return row


def _answer(row: Question) -> None:
    try:
        _refuse_who_may_not(row)
        questions.answer(row, answers.answer(questions.read(row)))
    except Problem as problem:
        questions.answer(row, problem)
    except Exception as error:
        logger.exception("%s (%s) could not be answered", row, row.kind)
        questions.answer(row, _unexpected(error))


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
