"""Checks of what people type into forms; each says what is wrong in one sentence."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from croniter import CroniterBadDateError, croniter
from django.core.exceptions import ValidationError

from backups.secrets import how_to_declare, is_declared, is_portals_own, is_reference

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
# The server keeps names in three bytes a character.
_LAST_IN_NAMES = 0xFFFF
# Both flavours' own schemas; the prefix stands for names as MySQL 5.0 wrote them on disk.
# https://dev.mysql.com/doc/refman/8.4/en/system-schema.html and .../identifier-mapping.html
_SERVERS_OWN = {"mysql", "information_schema", "performance_schema", "sys"}
_OLD_ENCODING = "#mysql50#"
_LONGEST_NAME = 64
# As `mysql.derived_name` makes them; some servers take capitals for small letters.
_VEDETTAS_OWN = re.compile(r"__(before|restore|verify)_[0-9]+$", re.I)
# croniter's H and R are other times at each look.
_CHANCE = re.compile(r"(?<![a-z])[hr](?![a-z])", re.I)


def secret_reference(value: str) -> None:
    """Raise ValidationError unless `value` is `env:NAME` or `file:/path`."""
    if not is_reference(value):
        raise ValidationError("Write env:NAME or file:/path, never the secret itself.")
    if is_portals_own(value):
        raise ValidationError("That is the portal's own secret, which is not for other servers.")


def declared_reference(value: str) -> None:
    """Raise ValidationError for a reference that none is to be made to, unless it has another fault."""
    if is_reference(value) and not is_portals_own(value) and not is_declared(value):
        raise ValidationError(f"{value} is not among what may be referred to. {how_to_declare([value])}")


def cron(value: str) -> None:
    """Raise ValidationError unless `value` is a cron expression of five fields that comes due."""
    if len(value.split()) != 5 or _CHANCE.search(value) or not croniter.is_valid(value):
        raise ValidationError(
            "Not a cron expression: five fields, minute hour day month weekday, as in 0 3,15 * * *."
        )
    try:
        croniter(value).get_next()
    except CroniterBadDateError:
        raise ValidationError("No date fits this, so it would never come due.") from None


def plain_name(value: str) -> None:
    """Raise ValidationError for a name that would confuse tags, paths or logs."""
    if not value.strip() or value != value.strip() or _CONTROL.search(value):
        raise ValidationError("Use a name without control characters or blanks around it.")


def schema_name(value: str) -> None:
    """Raise ValidationError for what MySQL does not take as a database's name.

    https://dev.mysql.com/doc/refman/8.4/en/identifiers.html
    """
    if not value:
        raise ValidationError("It is empty, and a database's name has at least one character.")
    if len(value) > _LONGEST_NAME:
        raise ValidationError(
            f"It has {len(value)} characters, and a database's name may have {_LONGEST_NAME}."
        )
    if "\0" in value:
        raise ValidationError("It holds a zero character, which MySQL does not take in names.")
    if value.endswith(" "):
        raise ValidationError("It ends in a blank, which MySQL does not take in names.")
    if any(ord(character) > _LAST_IN_NAMES for character in value):
        raise ValidationError("MySQL takes no emoji and nothing else above U+FFFF in names.")


def target_name(value: str) -> None:
    """Raise ValidationError for what cannot be the name of a database that a restore makes."""
    schema_name(value)
    if not value.strip():
        raise ValidationError("A name of blanks alone is none that anybody finds again.")
    if value.lower() in _SERVERS_OWN:
        raise ValidationError(f"{value} is the server's own, and no place for a restore.")
    if value.lower().startswith(_OLD_ENCODING):
        raise ValidationError(f"A name that begins with {_OLD_ENCODING} would be made as another one.")
    if own := _VEDETTAS_OWN.search(value):
        raise ValidationError(
            f"Names that end in {own[0]} are for databases that Vedetta makes and drops itself: "
            "choose another."
        )


def repository_url(value: str) -> None:
    """Raise ValidationError for a location that is empty, holds a password or gives ssh or rclone orders."""
    if not value.strip() or _CONTROL.search(value):
        raise ValidationError("Give the repository's location as restic takes it.")
    if gives_orders(value):
        raise ValidationError(
            "The location gives ssh or rclone an option. Name a host or a remote, and set options in "
            "their own configuration."
        )
    if has_password(value):
        raise ValidationError(
            "The location holds a password. Take it out; for a REST server set "
            "RESTIC_REST_USERNAME and RESTIC_REST_PASSWORD."
        )


def gives_orders(url: str) -> bool:
    """Whether restic would hand a part of the location to ssh or rclone as an option or a setting.

    An option such as -oProxyCommand, or rclone's "remote,ssh=…:", runs any program.
    """
    if url.startswith("rclone:"):
        return not re.match(r"rclone:\w[\w .+@-]*:", url)
    return re.match(r"sftp:(//)?([^/@]*@)?-", url) is not None or url.startswith(("sftp:-", "sftp://-"))


def has_password(url: str) -> bool:
    """Whether a repository location such as rest:https://user:secret@host/ carries a password."""
    address = re.sub(r"^[a-z0-9]+:(?=[a-z]+://)", "", url)
    try:
        return bool(urlsplit(address).password)
    except ValueError:
        return True
