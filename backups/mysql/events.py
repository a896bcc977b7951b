"""Events: those that a dump program hangs on, and those whose time is over."""

from __future__ import annotations

from typing import Any

from backups.mysql.answers import as_number
from backups.mysql.problems import MySQLProblem
from backups.mysql.schemas import Question, rows_of
from backups.text.sentences import phrase


def refuse_what_hangs(connection: Any, database: str) -> None:
    """Raise MySQLProblem for events on which both flavours' dump programs loop for ever.

    Their search for a delimiter never ends where an event's text holds `;;` (seen in MariaDB
    10.11 and MySQL 9.7).
    """
    shown_text = "CONCAT_WS(' ', DEFINER, EVENT_NAME, EVENT_DEFINITION, EVENT_COMMENT)"
    events = _events(connection, database, f"AND INSTR({shown_text}, ';;')")
    if events:
        raise MySQLProblem(
            phrase(
                "The event {events} holds two semicolons in a row. The dump program hangs on them.",
                events=events[0],
            ),
            code="dump.event_with_two_semicolons",
            do=phrase("Alter the event so that `;;` does not occur in its name, body or comment."),
        )


def events_of_the_past(connection: Any, database: str) -> set[str]:
    """Events that would run at once were they enabled, though their last time is over.

    A server that makes such an event as enabled disables it at once; one that alters it does not.
    """
    # Told in the event's own time zone.
    over = "AND COALESCE(EXECUTE_AT, ENDS) < CONVERT_TZ(UTC_TIMESTAMP(), '+00:00', TIME_ZONE)"
    return set(_events(connection, database, over))


def events_that_end(connection: Any, database: str) -> dict[str, int | None]:
    """Events that the server itself drops when they are over, with the seconds until then.

    None where nobody knows: they run more than once, or in a time zone that the server does not know.
    """
    left = "TIMESTAMPDIFF(SECOND, UTC_TIMESTAMP(), CONVERT_TZ(EXECUTE_AT, TIME_ZONE, '+00:00'))"
    condition = "AND ON_COMPLETION = 'NOT PRESERVE' AND COALESCE(EXECUTE_AT, ENDS) IS NOT NULL"
    rows = rows_of(
        connection,
        database,
        Question("EVENTS", f"EVENT_NAME, {left}", by="EVENT_SCHEMA", condition=condition),
    )
    return {str(name): None if seconds is None else as_number(seconds) for name, seconds in rows}


def _events(connection: Any, database: str, condition: str) -> list[str]:
    rows = rows_of(
        connection, database, Question("EVENTS", "EVENT_NAME", by="EVENT_SCHEMA", condition=condition)
    )
    return [str(name) for (name,) in rows]
