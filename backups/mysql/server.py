"""Where a server is, who we are on it, and what answers there."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

MARIADB = "MariaDB"
MYSQL = "MySQL"


@dataclass(frozen=True)
class Server:
    """Where a server is and who we are on it."""

    host: str
    port: int
    user: str
    password: str = field(repr=False)
    ssl_mode: str = "PREFERRED"
    ssl_ca: str = ""
    # Where a person finds what is wrong with the two, for sentences.
    account_set_by: str = "MYSQL_USER and MYSQL_PASSWORD"
    address_set_by: str = "MYSQL_HOST and MYSQL_PORT"

    @property
    def address(self) -> str:
        """host:port, for sentences."""
        return f"{self.host}:{self.port}"


@dataclass(frozen=True)
class ServerInfo:
    """What answers at an address."""

    flavour: str
    version: str

    @property
    def number(self) -> tuple[int, ...]:
        """The version for comparison, as in (10, 11, 19)."""
        return version_number(self.version)

    def __str__(self) -> str:
        return f"{self.flavour} {'.'.join(map(str, self.number))}"


def version_number(text: str) -> tuple[int, ...]:
    """The first three numbers of a version, as in (10, 11, 19) for 10.11.19-MariaDB-log."""
    found = re.search(r"\d+(?:\.\d+){1,2}", text)
    return tuple(map(int, found[0].split("."))) if found else ()
