"""Texts and numbers from outside: a type for each kind, which holds what can be used as one and nothing else.

They are made where a connection or a call is, so that it does not matter whether a form, .env, a row, a
copy of the portal or a command line brought them. What is refused is what would be read as something
else there: an option, a list of options, a second line, a program to run.
"""

from __future__ import annotations

import ipaddress
import re
from typing import ClassVar, Self
from urllib.parse import unquote

from backups import at_first_use
from backups.text.sentences import phrase

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_SHOWN = 60
# What fits into 64 bits for sure.
_MOST_DIGITS = 18


class Unfit(ValueError):
    """Why a text is none of its kind: a whole sentence."""


class Text(str):
    """A text on one line. `kind` is what sentences call it."""

    kind: ClassVar[str] = "text"

    def __new__(cls, value: str) -> Self:
        """The value itself. Raises Unfit."""
        if _CONTROL.search(value):
            raise Unfit(phrase("It holds a line break or another control character."))
        cls._refuse_unfit(value)
        return super().__new__(cls, value)

    @classmethod
    def _refuse_unfit(cls, value: str) -> None:
        """Raise Unfit for what cannot be used, or would be understood as something else."""


def shown(value: object) -> str:
    """A text that was refused, for sentences."""
    text = ascii(str(value)) if _CONTROL.search(str(value)) else repr(str(value))
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


class Host(Text):
    """Where a server is: a name, an address, or the path of a socket.

    MariaDB's client library takes a host with a = for a list of options, one with a comma for a list of
    hosts: https://mariadb.com/kb/en/mysql_real_connect/
    """

    kind = "host"
    _LONGEST = 255
    _NAME = re.compile(r"[\w-]+(?:\.[\w-]+)*\.?")

    @classmethod
    def _refuse_unfit(cls, value: str) -> None:
        is_fit = value.startswith("/") or (
            len(value) <= cls._LONGEST
            and not value.startswith("-")
            and (cls._NAME.fullmatch(value) is not None or _is_address(value))
        )
        if not is_fit:
            raise Unfit(phrase("A host is one name, one address or the path of one socket."))


def _is_address(value: str) -> bool:
    bare = value[1:-1] if value.startswith("[") and value.endswith("]") else value
    try:
        address = ipaddress.ip_address(bare)
    except ValueError:
        return False
    zone = getattr(address, "scope_id", None)
    return zone is None or re.fullmatch(r"[\w.-]+", zone) is not None


class Port(int):
    """A port of TCP."""

    kind: ClassVar[str] = "port"
    _LAST = 65535

    def __new__(cls, value: int) -> Self:
        """The value itself. Raises Unfit."""
        if not 1 <= value <= cls._LAST:
            raise Unfit(phrase("A port is a number from 1 to {last}.", last=cls._LAST))
        return super().__new__(cls, value)


class User(Text):
    """An account of a database server. An empty one would be taken from this machine's."""

    kind = "user"

    @classmethod
    def _refuse_unfit(cls, value: str) -> None:
        if not value:
            raise Unfit(phrase("A user has a name."))


class TlsMode(Text):
    """How much TLS is asked for: what is none of these words would pass for less than was meant."""

    kind = "TLS mode"
    _KNOWN = ("DISABLED", "PREFERRED", "REQUIRED", "VERIFY_CA", "VERIFY_IDENTITY")

    @classmethod
    def _refuse_unfit(cls, value: str) -> None:
        if value not in cls._KNOWN:
            raise Unfit(phrase("It is one of {known}.", known=", ".join(cls._KNOWN)))


class Path(Text):
    """The path of a file of this machine."""

    kind = "path"


class PartialFile(Path):
    """Half of a file that a restore writes, as it names them: what is left of it may be removed."""

    _NAME = at_first_use.pattern(r"/(?:[^/\0]+/)*\.[\w.-]+-\d{8}-\d{6}-[0-9a-f]{8}\.sql\.partial")

    @classmethod
    def _refuse_unfit(cls, value: str) -> None:
        if not cls._NAME.fullmatch(value) or "/../" in value:
            raise Unfit(phrase("It is not named as a restore names half of a file."))


class Location(Text):
    """Where a repository is, as restic takes it, without an option for ssh or rclone.

    Either runs any program that an option names, and ssh puts the host and the user into commands of
    its configuration: so they are what newer releases of OpenSSH take.
    """

    kind = "location"
    _ORDERS = phrase(
        "The location gives ssh or rclone an option. Name a host or a remote, and set options in "
        "their own configuration."
    )
    # As valid_hostname and valid_ruser of https://github.com/openssh/openssh-portable/blob/master/ssh.c
    _HOST = at_first_use.pattern(r"""(?!-)[^\s'`"$\\;&<>|(){}]+""")
    _USER = at_first_use.pattern(r"""(?!-)(?!.*\s-)(?!.*\\$)[^'`";&<>|(){}]*""")
    _REMOTE = at_first_use.pattern(r"rclone:\w[\w .+@-]*:")
    _PORT = at_first_use.pattern(r":[0-9]*$")

    @classmethod
    def _refuse_unfit(cls, value: str) -> None:
        if not value.strip():
            raise Unfit(phrase("Give the repository's location as restic takes it."))
        if value.startswith("rclone:") and not cls._REMOTE.match(value):
            raise Unfit(cls._ORDERS)
        if value.startswith("sftp:") and not cls._names_a_host(value.removeprefix("sftp:")):
            raise Unfit(cls._ORDERS)

    @classmethod
    def _names_a_host(cls, place: str) -> bool:
        """Whether ssh would be given a user and a host. restic takes the last @ for the one between them."""
        if place.startswith("//"):
            user, _, host = re.split(r"[/?#]", place[2:], maxsplit=1)[0].rpartition("@")
            user, host = unquote(user), unquote(cls._PORT.sub("", host))
        else:
            user, _, host = place.partition(":")[0].rpartition("@")
        return cls._HOST.fullmatch(host) is not None and cls._USER.fullmatch(user) is not None


class Cron(Text):
    """When something is due: five fields of a cron expression that comes due at all."""

    kind = "schedule"
    # croniter's H and R are other times at each look.
    _CHANCE = at_first_use.pattern(r"(?<![a-z])[hr](?![a-z])", re.I)
    # Times of each day, or of days of the week: most are such, and every command reads some.
    _PLAIN = at_first_use.pattern(
        r"[1-5]?[0-9](,[1-5]?[0-9])* (\*|(1?[0-9]|2[0-3])(,(1?[0-9]|2[0-3]))*) \* \* (\*|[0-6](,[0-6])*)"
    )

    @classmethod
    def _refuse_unfit(cls, value: str) -> None:
        if cls._PLAIN.fullmatch(value):
            return
        from croniter import CroniterBadDateError, croniter

        if len(value.split()) != 5 or cls._CHANCE.search(value) or not croniter.is_valid(value):
            raise Unfit(
                phrase(
                    "Not a cron expression: five fields, minute hour day month weekday, as in 0 3,15 * * *."
                )
            )
        try:
            croniter(value).get_next()
        except CroniterBadDateError:
            raise Unfit(phrase("No date fits this, so it would never come due.")) from None


def row_number(text: str) -> int | None:
    """The number of a row, as a request or another row names it; None for what is none.

    A longer one is no row's, and one of thousands of digits Python does not even read.
    """
    return int(text) if text.isdecimal() and len(text) <= _MOST_DIGITS else None


class SchemaName(str):
    """The name of a database, as MySQL takes it, which may hold a line break.

    https://dev.mysql.com/doc/refman/8.4/en/identifiers.html
    """

    kind: ClassVar[str] = "database"
    _LONGEST = 64
    # The server keeps names in three bytes a character.
    _LAST = 0xFFFF

    def __new__(cls, value: str) -> Self:
        """The value itself. Raises Unfit."""
        if not value:
            raise Unfit(phrase("It is empty, and a database's name has at least one character."))
        if len(value) > cls._LONGEST:
            raise Unfit(
                phrase(
                    "It has {count} characters, and a database's name may have {longest}.",
                    count=len(value),
                    longest=cls._LONGEST,
                )
            )
        if "\0" in value:
            raise Unfit(phrase("It holds a zero character, which MySQL does not take in names."))
        if value.endswith(" "):
            raise Unfit(phrase("It ends in a blank, which MySQL does not take in names."))
        if any(ord(character) > cls._LAST for character in value):
            raise Unfit(phrase("MySQL takes no emoji and nothing else above U+FFFF in names."))
        return super().__new__(cls, value)
