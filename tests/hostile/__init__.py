"""Servers that mean harm, see README.md."""

from tests.hostile.answers import (
    Answer,
    ask_for_file,
    drip,
    endless_columns,
    endless_field,
    endless_rows,
    endless_warnings,
    error,
    huge_error,
    more_and_more,
    nothing,
    rows,
    silence,
    where,
)
from tests.hostile.relay import HostileRelay
from tests.hostile.server import HostileServer

__all__ = [
    "Answer",
    "HostileRelay",
    "HostileServer",
    "ask_for_file",
    "drip",
    "endless_columns",
    "endless_field",
    "endless_rows",
    "endless_warnings",
    "error",
    "huge_error",
    "more_and_more",
    "nothing",
    "rows",
    "silence",
    "where",
]
