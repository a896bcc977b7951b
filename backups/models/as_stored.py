"""Columns as the database has them: of hundreds of thousands of rows, conversions take seconds."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from django.db.models import Aggregate, ExpressionWrapper, F, TextField


class _AsStored(ExpressionWrapper):
    def as_sqlite(self, compiler: Any, connection: Any, **more: Any) -> tuple[str, Any]:
        """Of what is more than the column, SQLite's driver does not know that it is a time."""
        sql, params = self.as_sql(compiler, connection, **more)
        return f"(+{sql})", params


def as_stored(what: str | Aggregate) -> ExpressionWrapper:
    """A column, or what is reckoned of one, to be asked for among others' values; a time needs `moment`."""
    return _AsStored(F(what) if isinstance(what, str) else what, output_field=TextField())


def moments(stored: Iterable[Any]) -> list[Any]:
    """Times of a column, None where there is none."""
    parse = datetime.fromisoformat
    return [
        # To put the zone in afterwards takes five times as long, a call for each as long again.
        parse(each + "+00:00") if each.__class__ is str else moment(each)
        for each in stored
    ]


def moment(stored: Any) -> Any:
    """A time as SQLite's, MySQL's or PostgreSQL's driver gives it; each is stored in UTC."""
    if stored.__class__ is str:
        return datetime.fromisoformat(stored + "+00:00")
    if stored is None:
        return None
    return stored.replace(tzinfo=UTC) if stored.tzinfo is None else stored.astimezone(UTC)
