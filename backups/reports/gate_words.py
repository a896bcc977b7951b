"""The gate's reason as people read it. The gate itself speaks English alone, as it stands alone."""

from __future__ import annotations

import re

from backups.text import formatting
from backups.text.sentences import phrase, template
from sentinel.environment import GateSettings
from sentinel.gate import Age, DatabaseFiles, DatabaseVerdict, Word


def sentence(one: DatabaseVerdict, files: DatabaseFiles, limits: GateSettings) -> str:
    """The gate's own reason, its seconds in words."""
    of = phrase(" of {name}", name=one.name) if one.name else ""
    if one.decided_by is Age.LOG and one.word is Word.STALE and one.log_age_seconds is not None:
        return phrase(
            "The binary log{of} is stored up to {age} ago; only {allowed} are allowed.",
            of=of,
            age=formatting.beyond(one.log_age_seconds, limits.log_threshold_seconds),
            allowed=formatting.approximate_duration(limits.log_threshold_seconds),
        )
    is_of_backup = one.decided_by is not Age.LOG and one.word in {Word.FRESH, Word.STALE}
    if is_of_backup and one.age_seconds is not None:
        seconds = limits.threshold_seconds if files.threshold_seconds is None else files.threshold_seconds
        age = formatting.beyond(one.age_seconds, seconds)
        allowed = formatting.approximate_duration(seconds)
        if one.word is Word.STALE:
            told = template("The newest backup{of} is {age} old; only {allowed} are allowed.")
        else:
            told = template("The newest backup{of} is {age} old; {allowed} are allowed.")
        return phrase(told, of=of, age=age, allowed=allowed)
    if one.word is Word.UNVERIFIED and one.verified_age_seconds is not None:
        return phrase(
            "The newest verified backup{of} is {age} old; only {allowed} are allowed.",
            of=of,
            age=formatting.beyond(one.verified_age_seconds, limits.verified_threshold_seconds),
            allowed=formatting.approximate_duration(limits.verified_threshold_seconds),
        )
    return reason(one.reason)


_REASONS = (
    template("There is nothing to judge the backups by."),
    template("No database named {name} is backed up here."),
    template("No backup was made yet, and the boot grace still runs."),
    template("No backup of {name} was made yet, and the boot grace still runs."),
    template("No backup was ever made, and no boot grace runs."),
    template("No backup of {name} was ever made, and no boot grace runs."),
    template("No backup was verified yet, and the boot grace still runs."),
    template("No backup of {name} was verified yet, and the boot grace still runs."),
    template("No backup was ever verified."),
    template("No backup of {name} was ever verified."),
    template("The heartbeat lies more than {seconds} s in the future."),
    template("The heartbeat of {name} lies more than {seconds} s in the future."),
    template("The heartbeat cannot be read ({problem})."),
    template("The heartbeat of {name} cannot be read ({problem})."),
    template("The time of the last verification lies more than {seconds} s in the future."),
    template("The time of the last verification of {name} lies more than {seconds} s in the future."),
    template("The gate is not told up to when the binary log is stored."),
    template("The gate is not told up to when the binary log of {name} is stored."),
    template("The time up to which the binary log is stored lies more than {seconds} s in the future."),
    template(
        "The time up to which the binary log of {name} is stored lies more than {seconds} s in the future."
    ),
    template("The time up to which the binary log is stored cannot be read ({problem})."),
    template("The time up to which the binary log of {name} is stored cannot be read ({problem})."),
    template("The time of the last verification cannot be read ({problem})."),
    template("The time of the last verification of {name} cannot be read ({problem})."),
)
_PATTERNS = [
    (each, re.compile(re.sub(r"\\{(\w+)\\}", r"(?P<\1>.*)", re.escape(each)), re.DOTALL)) for each in _REASONS
]


def reason(text: str) -> str:
    """A reason of the gate's that can be told in the reader's language, where it is a known one."""
    for known, pattern in _PATTERNS:
        if found := pattern.fullmatch(text):
            return phrase(known, **found.groupdict())
    return text
