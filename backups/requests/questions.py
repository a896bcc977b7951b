"""What a page may ask the worker, which alone opens servers and reads secrets; and how its answer comes back.

A question starts nothing, so it is no run: it is in no list, wakes nobody, and is gone after a day.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Self

from django.contrib.auth.models import User
from django.core.exceptions import ObjectDoesNotExist
from django.db import transaction
from django.db.models import Exists, F, OuterRef, QuerySet, Subquery
from django.utils import timezone

from backups.choices import Action, right_to_start
from backups.errors import Problem
from backups.models import Database, Restore, Run, Snapshot
from backups.models import Question as Row
from backups.requests.channel_test import ChannelTestQuestion
from backups.requests.log_questions import LogCheckQuestion, LogSwitchQuestion
from backups.requests.question import Question as Question
from backups.requests.restore import RestoreRequest
from backups.requests.set_up_questions import RepositoryQuestion, ServerQuestion
from backups.runs import queue
from backups.text.checked import row_number
from backups.text.sentences import parts_of, parts_within, phrase, told_again, told_again_within

logger = logging.getLogger(__name__)

# So long a worker that is there may take to begin with one, and then to answer it.
PATIENCE = timedelta(seconds=10)
ANSWER_SECONDS = 20.0
# Whoever asked has gone, or was told that nobody answers.
IN_VAIN = timedelta(seconds=60)
KEPT = timedelta(days=1)
# An answer so old is as good as one of now, where nothing is decided by it.
_JUST_NOW = timedelta(seconds=30)
# Of one person at a time; of more, the oldest are given up.
_MOST_OPEN = 20
_LOOK_SECONDS = 0.1
# So long one that was taken is being answered. Then whoever took it has died.
_ANSWERING = PATIENCE + timedelta(seconds=2 * ANSWER_SECONDS)


@dataclass(frozen=True)
class PreviewQuestion(Question):
    """What a restore would do, as the server is now."""

    kind = "preview"
    rights = (right_to_start(Action.RESTORE),)
    safe = phrase("Nothing was touched.")

    request: RestoreRequest

    def asked(self) -> dict[str, Any]:
        """The request as its run's row would have it, with the rows that it is about."""
        about = {"database": self.request.database.pk, "snapshot": self.request.snapshot.pk}
        return {**self.request.stored(), **about}

    @classmethod
    def from_row(cls, asked: Mapping[str, Any]) -> Self:
        """The question again."""
        if asked["version"] not in range(1, RestoreRequest.version + 1):
            raise ValueError(asked["version"])
        snapshot = Snapshot.objects.select_related("repository").get(pk=asked["snapshot"])
        database = Database.objects.select_related("repository").get(pk=asked["database"])
        return cls(RestoreRequest.from_row(Run(database=database, snapshot=snapshot), asked))


@dataclass(frozen=True)
class KeptSizeQuestion(Question):
    """How much space the tables take that a restore kept."""

    kind = "kept_size"
    rights = (right_to_start(Action.DROP_KEPT),)
    safe = phrase("Nothing was touched.")

    restore: Restore

    def asked(self) -> dict[str, Any]:
        """Which restore."""
        return {"restore": self.restore.pk}

    @classmethod
    def from_row(cls, asked: Mapping[str, Any]) -> Self:
        """The question again."""
        return cls(Restore.objects.select_related("database").get(pk=asked["restore"]))


@dataclass(frozen=True)
class SecretQuestion(Question):
    """Whether the worker finds a secret where a reference leads; never the secret."""

    kind = "secret"
    rights = tuple(
        f"backups.{verb}_{model}"
        for verb in ("add", "change")
        for model in ("database", "server", "repository")
    )

    reference: str
    may_be_unset: bool = False

    def asked(self) -> dict[str, Any]:
        """The reference, and whether nothing fails where it leads to none."""
        return {"reference": self.reference, "may_be_unset": self.may_be_unset}

    @classmethod
    def from_row(cls, asked: Mapping[str, Any]) -> Self:
        """The question again."""
        return cls(str(asked["reference"]), bool(asked["may_be_unset"]))


@dataclass(frozen=True)
class TestMessageQuestion(Question):
    """Whether a message from the worker reaches people."""

    __test__ = False  # to pytest, its name looks like a test's

    kind = "test_message"
    rights = ("backups.run_maintenance",)

    def asked(self) -> dict[str, Any]:
        """Nothing but that."""
        return {}

    @classmethod
    def from_row(cls, asked: Mapping[str, Any]) -> Self:
        """The question again."""
        return cls()


@dataclass(frozen=True)
class ReportQuestion(Question):
    """The signature of a proof report, which the worker makes itself from the rows, for that."""

    kind = "report"
    rights = ("backups.view_verification",)

    first: date
    last: date
    database: Database | None
    made_at: datetime
    # As `reports.proof_files` has it, and the language that a page is in.
    form: str
    language: str

    def asked(self) -> dict[str, Any]:
        """What the report is to tell of."""
        return {
            "first": self.first.isoformat(),
            "last": self.last.isoformat(),
            "database": self.database.pk if self.database else None,
            "made_at": self.made_at.isoformat(),
            "form": self.form,
            "language": self.language,
        }

    @classmethod
    def from_row(cls, asked: Mapping[str, Any]) -> Self:
        """The question again."""
        rows = Database.objects.select_related("server", "repository")
        return cls(
            date.fromisoformat(asked["first"]),
            date.fromisoformat(asked["last"]),
            None if asked["database"] is None else rows.get(pk=asked["database"]),
            datetime.fromisoformat(asked["made_at"]),
            str(asked["form"]),
            str(asked["language"]),
        )


KINDS: dict[str, type[Question]] = {
    each.kind: each
    for each in (
        PreviewQuestion,
        KeptSizeQuestion,
        SecretQuestion,
        TestMessageQuestion,
        ReportQuestion,
        ServerQuestion,
        RepositoryQuestion,
        ChannelTestQuestion,
        LogCheckQuestion,
        LogSwitchQuestion,
    )
}


# ---------------------------------------------------------------- Asking


def ask(question: Question, person: User) -> Row:
    """Put a question to the worker, which is told of it at once."""
    now = timezone.now()
    Row.objects.filter(taken_at=None, asked_at__lt=now - IN_VAIN).delete()
    forget_secrets(now)
    waiting = Row.objects.filter(taken_at=None, asked_by=person).values_list("pk", flat=True)
    Row.objects.filter(pk__in=list(waiting[_MOST_OPEN - 1 :])).delete()
    row = Row.objects.create(kind=question.kind, asked=question.asked(), asked_by=person, asked_at=now)
    queue.wake_for_question(row.pk)
    row.refresh_from_db()
    return row


def ask_unless_just_asked(question: Question, person: User) -> Row:
    """The same, or the row of a moment ago in which this person asked it."""
    since = timezone.now() - _JUST_NOW
    before = Row.objects.filter(kind=question.kind, asked_by=person, asked_at__gt=since)
    rows = (_readable(pk) for pk in list(before.values_list("pk", flat=True)[:_MOST_OPEN]))
    asked = question.asked()
    return next((row for row in rows if row and row.asked == asked), None) or ask(question, person)


def asked_by(person: User, pk: int | str) -> Row | None:
    """A question by its number, if it is this person's and they may still ask it."""
    number = row_number(str(pk))
    if number is None or not Row.objects.filter(pk=number, asked_by=person).exists():
        return None
    row = _readable(number)
    kind = KINDS.get(row.kind) if row else None
    return row if kind and kind.may_be_asked_by(person) else None


def read(row: Row) -> Question:
    """What was asked. Raises Problem for what this version cannot read, and for what is gone."""
    kind = KINDS.get(row.kind)
    try:
        if kind is not None:
            return kind.from_row(row.asked)
    except ObjectDoesNotExist as gone:
        raise Problem(
            phrase("The row that this question is about is not there any more."), code="question.gone"
        ) from gone
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError):
        pass
    raise Problem(
        phrase("This version of the worker does not know the question that it was asked."),
        code="question.unknown",
        do=phrase("See that portal and worker are of the same version, then ask again."),
    )


def answer_to(row: Row) -> Mapping[str, Any] | None:
    """What the worker answered, None where it has not yet. Raises Problem where it could not."""
    if row.answer is None:
        return None
    answered = row.answer if isinstance(row.answer, dict) else {}
    told, problem = answered.get("told"), answered.get("problem")
    if isinstance(told, dict):
        found: Mapping[str, Any] = told_again_within(told, answered.get("parts"))
        return found
    if problem and isinstance(problem, str):
        raise Problem(told_again(problem, answered), code=str(answered.get("code", "")))
    raise unknown_answer()


def unknown_answer() -> Problem:
    """That this version cannot read what was answered."""
    return Problem(
        phrase("This version of the portal does not know the worker's answer."),
        code="question.answer_unknown",
        do=phrase("See that portal and worker are of the same version, then ask again."),
    )


def is_unheard(row: Row, now: datetime | None = None) -> bool:
    """Whether a worker that is there would have begun with it, or have answered it, by now."""
    now = now or timezone.now()
    since = now - row.asked_at
    if row.answer is not None or since <= PATIENCE:
        return False
    begins_later = _being_answered(now).filter(asked_by=row.asked_by_id, kind=row.kind)
    return since > _ANSWERING or (row.taken_at is None and not begins_later.exists())


def is_in_vain(row: Row, now: datetime | None = None) -> bool:
    """Whether nobody need look for its answer any more."""
    return row.answer is None and (now or timezone.now()) - row.asked_at > IN_VAIN


def wait_for(row: Row, seconds: float) -> Row:
    """The row as soon as it has its answer, or as it is after so long."""
    until = time.monotonic() + seconds
    while row.answer is None and time.monotonic() < until:
        time.sleep(_LOOK_SECONDS)
        row = _readable(row.pk) or row
    return row


def _readable(pk: int) -> Row | None:
    """A row; None where it is gone, or goes because nobody can read it.

    SQLite keeps a date that is none, if whoever writes in the portal's database puts it there.
    """
    why = "no date"
    try:
        row = Row.objects.select_related("asked_by").filter(pk=pk).first()
        if row is None or row.asked_at:  # what looks like no date at all comes back as None
            return row
    except (AttributeError, OverflowError, RecursionError, TypeError, ValueError) as error:
        why = type(error).__name__
    logger.error("question %s cannot be read (%s) and is removed", pk, why)
    Row.objects.filter(pk=pk).delete()
    return None


# ---------------------------------------------------------------- Answering


def take(now: datetime | None = None) -> Row | None:
    """Take the question whose turn it is; None where there is none.

    People take turns, so that nobody waits for all that another asks. Of one person's questions the newest
    comes first: they still wait for it. One of each kind is answered at a time, so that a server that says
    nothing keeps one process busy, however often it is asked.
    """
    now = now or timezone.now()
    while True:
        # By its number only: what else is in it may be unreadable.
        with transaction.atomic():
            pk = _in_turn(now).values_list("pk", flat=True).first()
            if pk is None:
                return None
            is_taken = Row.objects.filter(pk=pk, taken_at=None).update(taken_at=now)
        if is_taken and (row := _readable(pk)):
            return row


def wake_for_next_like(row: Row) -> None:
    """Tell the worker of what waited for this one: its own message may have come before."""
    waiting = _in_turn(timezone.now()).filter(asked_by=row.asked_by_id, kind=row.kind)
    pk = waiting.values_list("pk", flat=True).first()
    if pk is not None:
        queue.wake_for_question(pk)


def _in_turn(now: datetime) -> QuerySet[Row]:
    """Those that may be taken, first of whoever was served longest ago.

    The clock of who asked may be another.
    """
    theirs = Row.objects.filter(asked_by=OuterRef("asked_by"))
    like_it = _being_answered(now).filter(asked_by=OuterRef("asked_by"), kind=OuterRef("kind"))
    lately = theirs.filter(taken_at__range=(now - 10 * IN_VAIN, now + PATIENCE)).order_by("-taken_at")
    waiting = Row.objects.filter(~Exists(like_it), taken_at=None, asked_at__gt=now - 10 * IN_VAIN)
    return waiting.annotate(served=Subquery(lately.values("taken_at")[:1])).order_by(
        F("served").asc(nulls_first=True), "-pk"
    )


def _being_answered(now: datetime) -> QuerySet[Row]:
    return Row.objects.filter(answer__isnull=True, taken_at__range=(now - _ANSWERING, now + PATIENCE))


def answer(row: Row, told: Mapping[str, Any] | Problem) -> None:
    """Give a question its answer, or why there is none; a secret in it goes."""
    content: dict[str, Any] = {"told": told, **({"parts": parts} if (parts := parts_within(told)) else {})}
    kind = KINDS.get(row.kind)
    if isinstance(told, Problem):
        sentence = told.sentence(safe=kind.safe if kind else "")
        content = {"problem": sentence, "code": told.code, **parts_of(sentence)}
    without: dict[str, Any] = {"asked": {}} if kind and kind.holds_secret else {}
    Row.objects.filter(pk=row.pk).update(answer=content, **without)


def forget_secrets(now: datetime | None = None) -> None:
    """Remove what may hold a secret and was asked a minute ago, whether or not anybody answers it.

    The portal does so by its own clock; a worker whose clock is wrong answers such questions all the same.
    """
    now = now or timezone.now()
    kinds = [name for name, kind in KINDS.items() if kind.holds_secret]
    Row.objects.filter(kind__in=kinds).exclude(asked_at__range=(now - IN_VAIN, now + IN_VAIN)).delete()


def forget_old(now: datetime | None = None) -> None:
    """Remove what was asked a day ago, and what says that it was asked later than any clock can be wrong."""
    now = now or timezone.now()
    forget_secrets(now)
    Row.objects.exclude(asked_at__range=(now - KEPT, now + KEPT)).delete()
