"""What a person means by a moment: a time, or the transaction just before which it is."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

from django.utils import timezone

from backups.dumpfile.log_positions import Place
from backups.errors import Problem
from backups.text.sentences import phrase

_UUID = r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
# https://dev.mysql.com/doc/refman/8.4/en/replication-gtids-concepts.html (tags have 32 characters)
_OF_MYSQL = re.compile(rf"{_UUID}:(?:[a-zA-Z_][a-zA-Z0-9_]{{0,31}}:)?[1-9]\d{{0,18}}")
# https://mariadb.com/kb/en/gtid/ (domain, server, sequence)
_OF_MARIADB = re.compile(r"\d{1,10}-\d{1,10}-\d{1,20}")
_PLACE = re.compile(r"([^\s/\\:]{1,250}\.\d{6,10}):(\d{1,19})")
_VERSION = 1
_AROUND = timedelta(days=1)


@dataclass(frozen=True)
class Until:
    """One of both: a moment, or a transaction by its place in the log or by its GTID."""

    moment: datetime | None = None
    before: str = ""

    @property
    def place(self) -> Place | None:
        """Where the transaction begins, if it was named by that."""
        found = _PLACE.fullmatch(self.before)
        return Place(found[1], int(found[2])) if found else None

    @property
    def told(self) -> str:
        """For people, as in “to 2026-11-28 14:31:59”."""
        if self.moment is not None:
            return local(self.moment)
        return phrase("just before transaction {transaction}", transaction=self.before)

    def stored(self) -> dict[str, Any]:
        """As a row holds it."""
        moment = self.moment.astimezone(UTC).isoformat() if self.moment else None
        return {"version": _VERSION, "moment": moment, "before": self.before}

    @classmethod
    def from_row(cls, stored: Mapping[str, Any] | None) -> Until | None:
        """The same again; None where no moment was asked for. Raises ValueError for what was never stored."""
        if stored is None:
            return None
        if stored["version"] != _VERSION:
            raise ValueError(stored["version"])
        if stored["before"]:
            return before_transaction(str(stored["before"]))
        moment = datetime.fromisoformat(str(stored["moment"]))
        if moment.tzinfo is None:
            raise ValueError(stored["moment"])
        return cls(moment=moment)


def before_transaction(text: str) -> Until:
    """Just before the transaction that begins at FILE:POSITION, or that has this GTID. Raises Problem."""
    text = text.strip()
    if _OF_MYSQL.fullmatch(text):
        return Until(before=text.lower() if text.count(":") == 1 else text)
    if _OF_MARIADB.fullmatch(text) or _PLACE.fullmatch(text):
        return Until(before=text)
    raise Problem(
        phrase("{text} is no transaction.", text=repr(text[:100])),
        code="moment.no_transaction",
        safe=_NOTHING,
        do=phrase("Give the file and the position where it begins (binlog.000042:1337), or its GTID."),
    )


def at_moment(text: str) -> Until:
    """A time in TIME_ZONE unless it says otherwise.

    Raises Problem for what is no time, and for an hour that a change of the clocks repeats or leaves out.
    """
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise Problem(
            phrase("{text} is no time.", text=repr(text[:100])),
            code="moment.no_time",
            safe=_NOTHING,
            do=phrase('Write it as in "2026-11-28 14:31:59", or with its offset: 2026-11-28T14:31:59+01:00.'),
        ) from None
    if moment.tzinfo is None:
        moment = _in_zone(moment, timezone.get_current_timezone())
    try:
        moment = moment.astimezone(UTC)
        # What is told in TIME_ZONE, and may be rounded before.
        for near in (moment - _AROUND, moment + _AROUND):
            timezone.localtime(near)
        return Until(moment=moment)
    except OverflowError:
        raise Problem(
            phrase("{text} is no time that any log has.", text=repr(text[:100])),
            code="moment.no_time",
            safe=_NOTHING,
        ) from None


def _in_zone(moment: datetime, zone: tzinfo) -> datetime:
    first, second = (moment.replace(tzinfo=zone, fold=fold) for fold in (0, 1))
    if first.utcoffset() == second.utcoffset():
        return first
    if first.astimezone(UTC).astimezone(zone).replace(tzinfo=None) != moment:
        raise Problem(
            phrase("In TIME_ZONE there was no {moment}: the clocks were put forward.", moment=f"{moment}"),
            code="moment.left_out_hour",
            safe=_NOTHING,
            do=phrase("Give another time, or one with its offset."),
        )
    raise Problem(
        phrase("In TIME_ZONE there were two times {moment}: the clocks were put back.", moment=f"{moment}"),
        code="moment.repeated_hour",
        safe=_NOTHING,
        do=phrase(
            "Say which: {first} was the first, {second} the second.",
            first=first.isoformat(),
            second=second.isoformat(),
        ),
    )


def rounded_up(moment: datetime) -> datetime:
    """The first whole second that is not before it: who types that is not refused."""
    return rounded_down(moment + timedelta(seconds=1, microseconds=-1))


def rounded_down(moment: datetime) -> datetime:
    """The last whole second that is not after it."""
    return moment.replace(microsecond=0)


def local(moment: datetime) -> str:
    """A moment in TIME_ZONE, with parts of a second where it has such."""
    time = timezone.localtime(moment)
    return f"{time:%Y-%m-%d %H:%M:%S}" + (f".{time:%f}".rstrip("0") if time.microsecond else "")


_NOTHING = phrase("Nothing was started and nothing was touched.")
