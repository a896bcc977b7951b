"""Who runs a command, why, and for how long, as records keep it."""

from __future__ import annotations

import getpass
from argparse import ArgumentTypeError
from datetime import date, datetime

from django.utils import timezone

from backups.errors import Problem
from backups.keeping.pins import refuse_unfit_reason
from backups.management.base import given
from backups.text.sentences import phrase


def person() -> str:
    """Who runs this, as far as the machine knows, and that it was a command."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # in a container, a number without a name
        name = "somebody"
    return phrase("{person} (command line)", person=name)


def reason(text: str) -> str:
    """A reason that is kept, as argparse is to take it. Raises ArgumentTypeError."""
    try:
        refuse_unfit_reason(given(text))
    except Problem as problem:
        raise ArgumentTypeError(problem.what) from None
    return text.strip()


def day(text: str) -> date:
    """A day as argparse is to take it: 2027-01-31. Raises ArgumentTypeError."""
    try:
        return date.fromisoformat(given(text))
    except ValueError:
        raise ArgumentTypeError(phrase("{text} is no day such as 2027-01-31", text=repr(text))) from None


def moment(text: str) -> datetime:
    """A day and a time as argparse is to take them, in TIME_ZONE unless said. Raises ArgumentTypeError."""
    try:
        if "T" not in (said := given(text).strip().replace(" ", "T", 1)):
            raise ValueError("a day alone")
        found = datetime.fromisoformat(said)
        if not 1970 <= found.year <= 9000:  # zones move what lies at the ends of the calendar beyond it
            raise ValueError("beyond the calendar")
        return found if found.tzinfo is not None else timezone.make_aware(found)
    except (ValueError, OverflowError):
        words = phrase("{text} is no moment such as 2027-01-31T06:00", text=repr(text))
        raise ArgumentTypeError(words) from None
