"""Where a server is, who we are on it, and what answers there."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from backups.errors import Problem
from backups.text import checked
from backups.text.addresses import tcp_host
from backups.text.sentences import phrase

MARIADB = "MariaDB"
MYSQL = "MySQL"
# The newest releases of which backups were made and restored, see docs/compatibility.md.
NEWEST_PROVED = {MARIADB: (11, 8), MYSQL: (9, 7)}
_SHOWN = 60


@dataclass(frozen=True)
class Server:
    """Where a server is and who we are on it: nothing else connects. Raises Problem for what cannot."""

    host: str
    port: int
    user: str
    password: str = field(repr=False)
    ssl_mode: str = "PREFERRED"
    ssl_ca: str = ""
    # How long it may take in all to answer what it is asked in one conversation.
    question_seconds: float = 60.0
    # Nothing that we do there goes into its binary log, or we do nothing: for scratch databases of
    # verifications, and never for what a restore makes.
    skips_binary_log: bool = field(default=False, compare=False)
    # Where a person finds what is wrong with them, for sentences.
    account_set_by: str = phrase("{one} and {other}", one="MYSQL_USER", other="MYSQL_PASSWORD")
    address_set_by: str = phrase("{one} and {other}", one="MYSQL_HOST", other="MYSQL_PORT")
    database_set_by: str = "MYSQL_DATABASE"
    ssl_mode_set_by: str = "MYSQL_SSL_MODE"
    ssl_ca_set_by: str = "MYSQL_SSL_CA"
    question_seconds_set_by: str = "MYSQL_QUESTION_SECONDS"

    def __post_init__(self) -> None:
        self._refuse_unfit("host", checked.Host, self.address_set_by)
        self._refuse_unfit("port", checked.Port, self.address_set_by)
        self._refuse_unfit("user", checked.User, self.account_set_by)
        self._refuse_unfit("ssl_mode", checked.TlsMode, self.ssl_mode_set_by)
        self._refuse_unfit("ssl_ca", checked.Path, self.ssl_ca_set_by)

    def _refuse_unfit(self, name: str, kind: Callable[[Any], object], set_by: str) -> None:
        value = getattr(self, name)
        try:
            kind(value)
        except checked.Unfit as why:
            raise Problem(
                phrase(
                    "No connection was made with {shown}, see {set_by}. {why}",
                    shown=checked.shown(value),
                    set_by=set_by,
                    why=why,
                ),
                code="mysql.malformed_address",
                do=phrase("Correct it there, then try again."),
            ) from None

    @property
    def address(self) -> str:
        """host:port or the socket, for sentences."""
        return self.socket or f"{self.host}:{self.port}"

    @property
    def socket(self) -> str:
        """The path of the server's socket, where that is named in the place of a host."""
        return self.host if self.host.startswith("/") else ""

    @property
    def tcp_host(self) -> str:
        """The host for drivers and client programs."""
        return tcp_host(self.host)

    @property
    def stays_here(self) -> bool:
        """Whether what is said to it goes over no network."""
        return bool(self.socket) or self.tcp_host == "::1" or self.tcp_host.startswith("127.")


class ServerInfo(NamedTuple):
    """What answers at an address.

    `claimed` is what it calls itself, and `greeting` what it says before anyone asks, each None where
    it fits: a server may be started with any text for its version, and a proxy says what it likes.
    """

    flavour: str
    version: str
    claimed: str | None = None
    greeting: str | None = None

    @property
    def number(self) -> tuple[int, ...]:
        """The version for comparison, as in (10, 11, 19)."""
        return version_number(self.version)

    def __str__(self) -> str:
        return f"{self.flavour} {'.'.join(map(str, self.number))}"


def version_number(text: str) -> tuple[int, ...]:
    """The first three numbers of a version, as in (10, 11, 19) for 10.11.19-MariaDB-log."""
    found = _NUMBERS.search(without_prefix(text))
    return tuple(map(int, found[0].split("."))) if found else ()


def without_prefix(text: str) -> str:
    """A version without the 5.5.5 that MariaDB puts before it, lest old replicas take it for too new."""
    return _OF_REPLICATION.sub("", text, count=1)


_NUMBERS = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9}){1,2}")
_OF_REPLICATION = re.compile(r"\A5\.5\.5-(?=[0-9]+\.[0-9])")


def says(text: str, number: tuple[int, ...]) -> bool:
    """Whether a version text is of this version, as client programs read it: by its beginning."""
    return re.match(r"[0-9]", text) is not None and version_number(text) == number


def shown(claimed: str) -> str:
    """A version text for sentences, whatever somebody wrote into it."""
    plain = "".join(letter if letter.isprintable() else "�" for letter in claimed[:_SHOWN])
    return f"{plain}…" if len(claimed) > _SHOWN else plain or "nothing"


def server_warnings(info: ServerInfo) -> list[str]:
    """What is odd about a server's version, a sentence each."""
    warnings = []
    if info.claimed is not None:
        warnings.append(
            phrase(
                "The server calls itself {shown}, but it behaves as {info}. Vedetta treats it as that.",
                shown=shown(info.claimed),
                info=info,
            )
        )
    newest = NEWEST_PROVED[info.flavour]
    newer = str(info) if info.number[:2] > newest else _claims_newer(info, newest)
    if newer:
        warnings.append(
            phrase(
                "{newer} is newer than any {flavour} that Vedetta was tried with (up to {newest}). Do "
                "not rely on its backups until a verification has found one identical.",
                newer=newer,
                flavour=info.flavour,
                newest=".".join(map(str, newest)),
            )
        )
    return warnings


def _claims_newer(info: ServerInfo, newest: tuple[int, ...]) -> str:
    claimed = info.claimed or ""
    is_others = info.flavour == MYSQL and MARIADB.lower() in claimed.lower()
    return shown(claimed) if not is_others and version_number(claimed)[:2] > newest else ""
