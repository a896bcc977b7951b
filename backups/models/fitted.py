"""Columns for what others say: servers, restic and storages, whose texts may be of any length.

SQLite keeps whatever it is given. PostgreSQL and MySQL refuse the row for one character too many, or in JSON
for half of one, and PostgreSQL for a NUL in it: a run would end because of what was to be said of it. To
migrations these columns are Django's own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import models

if TYPE_CHECKING:
    _Char = models.CharField[str, str]
    _Text = models.TextField[str, str]
    _Json = models.JSONField[Any, Any]
else:
    _Char, _Text, _Json = models.CharField, models.TextField, models.JSONField


class FittedCharField(_Char):
    """A text that is cut to the column's width, and has no NUL."""

    def get_prep_value(self, value: Any) -> Any:
        """As the column can hold it."""
        value = super().get_prep_value(value)
        return _without_nul(value)[: self.max_length] if isinstance(value, str) else value

    def deconstruct(self) -> Any:
        """As Django's own."""
        return _as_djangos(super().deconstruct())


class FittedTextField(_Text):
    """A text of any length that has no NUL."""

    def get_prep_value(self, value: Any) -> Any:
        """As the column can hold it."""
        value = super().get_prep_value(value)
        return _without_nul(value) if isinstance(value, str) else value

    def deconstruct(self) -> Any:
        """As Django's own."""
        return _as_djangos(super().deconstruct())


class FittedJSONField(_Json):
    """JSON that servers take too: without halves of characters, and for PostgreSQL without NUL."""

    def get_db_prep_value(self, value: Any, connection: Any, prepared: bool = False) -> Any:
        """As the column can hold it."""
        if connection.vendor != "sqlite":
            value = _each_storable(value)
        return super().get_db_prep_value(value, connection, prepared)

    def deconstruct(self) -> Any:
        """As Django's own."""
        return _as_djangos(super().deconstruct())


def _without_nul(text: str) -> str:
    return text.replace("\0", "") if "\0" in text else text


def _each_storable(value: Any) -> Any:
    if isinstance(value, str):
        return _without_nul(value).encode(errors="replace").decode()
    if isinstance(value, dict):
        return {_each_storable(name): _each_storable(held) for name, held in value.items()}
    if isinstance(value, list | tuple):
        return [_each_storable(held) for held in value]
    return value


def _as_djangos(parts: tuple[str | None, str, Any, Any]) -> tuple[str | None, str, Any, Any]:
    name, path, args, options = parts
    return name, path.replace("backups.models.fitted.Fitted", "django.db.models."), args, options
