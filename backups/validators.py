"""Checks of what people type into forms; each says what is wrong in one sentence."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from django.core.exceptions import ValidationError

from backups.secret_references import how_to_declare, is_declared, is_portals_own, is_reference
from backups.text import checked
from backups.text.sentences import phrase

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
# Both flavours' own schemas; the prefix stands for names as MySQL 5.0 wrote them on disk.
# https://dev.mysql.com/doc/refman/8.4/en/system-schema.html and .../identifier-mapping.html
_SERVERS_OWN = {"mysql", "information_schema", "performance_schema", "sys"}
_OLD_ENCODING = "#mysql50#"
# As `mysql.derived_name` makes them; some servers take capitals for small letters.
_VEDETTAS_OWN = re.compile(r"__(before|restore|verify)_[0-9]+$", re.I)


def secret_reference(value: str) -> None:
    """Raise ValidationError unless `value` is `env:NAME` or `file:/path`."""
    if not is_reference(value):
        raise ValidationError(phrase("Write env:NAME or file:/path, never the secret itself."))
    if is_portals_own(value):
        raise ValidationError(phrase("That is the portal's own secret, which is not for other servers."))


def declared_reference(value: str) -> None:
    """Raise ValidationError for a reference that none is to be made to, unless it has another fault."""
    if is_reference(value) and not is_portals_own(value) and not is_declared(value):
        raise ValidationError(
            phrase(
                "{value} is not declared, so no row may refer to it. {how_to_declare}",
                value=value,
                how_to_declare=how_to_declare([value]),
            )
        )


def fits(kind: Callable[[Any], object], value: object) -> None:
    """Raise ValidationError unless `value` can be used as one of `backups.text.checked`' kinds."""
    try:
        kind(value)
    except checked.Unfit as why:
        raise ValidationError(str(why)) from None


def cron(value: str) -> None:
    """Raise ValidationError unless `value` is a cron expression of five fields that comes due."""
    fits(checked.Cron, value)


def plain_name(value: str) -> None:
    """Raise ValidationError for a name that would confuse tags, paths or logs."""
    if not value.strip() or value != value.strip() or _CONTROL.search(value):
        raise ValidationError(phrase("Use a name without control characters or blanks around it."))


def schema_name(value: str) -> None:
    """Raise ValidationError for what MySQL does not take as a database's name."""
    fits(checked.SchemaName, value)


def target_name(value: str) -> None:
    """Raise ValidationError for what cannot be the name of a database that a restore makes."""
    schema_name(value)
    if not value.strip():
        raise ValidationError(phrase("A name needs something other than blanks, or nobody finds it again."))
    if value.lower() in _SERVERS_OWN:
        raise ValidationError(phrase("{value} is the server's own, and no place for a restore.", value=value))
    if value.lower().startswith(_OLD_ENCODING):
        raise ValidationError(
            phrase(
                "A name that begins with {old_encoding} would be made as another one.",
                old_encoding=_OLD_ENCODING,
            )
        )
    if own := _VEDETTAS_OWN.search(value):
        raise ValidationError(
            phrase(
                "Names that end in {own} are for databases that Vedetta makes and drops itself: choose "
                "another.",
                own=own[0],
            )
        )


def repository_url(value: str) -> None:
    """Raise ValidationError for a location that is empty, holds a password or gives ssh or rclone orders."""
    fits(checked.Location, value)
    if has_password(value):
        raise ValidationError(
            phrase(
                "The location holds a password. Take it out; for a REST server set RESTIC_REST_USERNAME "
                "and RESTIC_REST_PASSWORD."
            )
        )


def has_password(url: str) -> bool:
    """Whether a repository location such as rest:https://user:secret@host/ carries a password."""
    address = re.sub(r"^[a-z0-9]+:(?=[a-z]+://)", "", url)
    try:
        return bool(urlsplit(address).password)
    except ValueError:
        return True
