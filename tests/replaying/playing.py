"""A log of a real server, played into a copy beside the live database."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backups import mysql
from backups.dumpfile.log_positions import Place
from backups.replaying.result import Replayed
from backups.replaying.way import Part, Route, replay
from tests.backups.worlds import Shop
from tests.dumping.test_dump import dumped
from tests.loading.loading import address
from tests.servers import DatabaseServer
from tests.servers.database import Flavour

_ALL: tuple[str, ...] = ("--log-bin-trust-function-creators=1", "--event-scheduler=ON")
OPTIONS: dict[Flavour, tuple[str, ...]] = {
    "mariadb": ("--log-bin=binlog", "--server-id=7", "--binlog-format=ROW", *_ALL),
    "mysql": ("--server-id=7", *_ALL),
}


def end_of_log(server: DatabaseServer) -> Place:
    """Where a server's log ends now."""
    show = "SHOW BINARY LOG STATUS" if server.flavour == "mysql" else "SHOW MASTER STATUS"
    ((file, position, *_),) = server.query(show)
    return Place(str(file), int(position))


def parts_of_log(server: DatabaseServer, beginning: Place) -> Iterator[Part]:
    """The files from the one that a place is in, out of the server's own folder."""
    for path in sorted((server.folder / "data").glob("binlog.[0-9]*[0-9]")):
        if path.name >= beginning.file:
            yield Part(path.name, _chunks(path))


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(1 << 16):
            yield chunk


@dataclass
class Played:
    """A source database, a neighbour who makes noise, and the copy into which the source's log is played."""

    server: DatabaseServer
    suffix: str = field(default_factory=lambda: secrets.token_hex(3))
    charset: str = "CHARACTER SET utf8mb4"

    def __post_init__(self) -> None:
        self.source, self.other = f"shop_{self.suffix}", f"other_{self.suffix}"
        self.target = f"{self.source}__x"
        for name in (self.source, self.other, self.target):
            self.server.execute(f"CREATE DATABASE {mysql.quote(name)} {self.charset}")
        self.after = end_of_log(self.server)

    def remove(self) -> None:
        """Take it all away."""
        for name in (self.source, self.other, self.target):
            self.server.execute(f"DROP DATABASE IF EXISTS {mysql.quote(name)}")

    def execute(self, *statements: str) -> None:
        """Change the source, `{other}` being the neighbour."""
        for statement in statements:
            self.server.execute(self.named(statement), self.source)

    def load(self, script: str) -> None:
        """The same for a script with routines."""
        self.server.load(self.named(script), self.source)

    def named(self, text: str) -> str:
        """A text with the names of the databases for {source}, {other} and {target}."""
        for name in ("source", "other", "target"):
            text = text.replace(f"{{{name}}}", getattr(self, name))
        return text

    def query(self, sql: str, database: str = "") -> list[tuple[Any, ...]]:
        """What a database answers, the copy unless another is named."""
        return self.server.query(sql, database or self.target)

    def replay(
        self,
        until: Place | None = None,
        tick: Callable[[Replayed], None] = lambda _: None,
        user: mysql.Server | None = None,
        parts: Iterable[Part] = (),
    ) -> Replayed:
        """Play the log up to its end, or up to a place, into the copy."""
        place = user or address(self.server)
        with mysql.connect(place) as asking:
            info = mysql.probe(asking)
        route = Route(self.source, self.target, self.after, until or end_of_log(self.server))
        with mysql.loading_connections(place, self.target, 1) as (connection,):
            log = parts or parts_of_log(self.server, self.after)
            return replay(connection, info, route, log, tick)

    def differing(self) -> set[tuple[str, str]]:
        """The sections of dumps by which source and copy differ, once the copy's counters are set."""
        self._set_counters()
        one, other = self.digests(self.source), self.digests(self.target)
        return {name for name in one.keys() | other.keys() if one.get(name) != other.get(name)}

    def digests(self, database: str) -> dict[tuple[str, str], str]:
        """The sections of a database's dump, each with its digest."""
        return {(s["kind"], s["name"]): s["sha256"] for s in self._dumped(database)["sections"]}

    def tables_of(self, database: str) -> dict[str, object]:
        """The tables of a database, each with a sum of its rows."""
        tables = [str(name) for (name,) in self.server.query("SHOW TABLES", database)]
        sums = (self.server.query(f"CHECKSUM TABLE {mysql.quote(name)}", database) for name in tables)
        return {name: rows[0][1] for name, rows in zip(tables, sums, strict=True)}

    def _dumped(self, database: str) -> dict[str, Any]:
        return dumped(Shop(self.server, database, self.server.user, self.server.password))

    def _set_counters(self) -> None:
        """Numbers that were given and never used are in no log."""
        with_counter = (
            "SELECT TABLE_NAME, AUTO_INCREMENT FROM information_schema.TABLES "
            "WHERE TABLE_SCHEMA = DATABASE() AND AUTO_INCREMENT IS NOT NULL AND TABLE_TYPE <> 'SEQUENCE'"
        )
        fresh = (
            "SET SESSION information_schema_stats_expiry = 0" if self.server.flavour == "mysql" else "DO 0"
        )
        with mysql.connect(address(self.server), self.source) as connection:
            mysql.execute(connection, fresh)
            with connection.cursor() as cursor:
                cursor.execute(with_counter)
                counters = cursor.fetchall()
        for table, counter in counters:
            self.server.execute(f"ALTER TABLE {mysql.quote(table)} AUTO_INCREMENT = {counter}", self.target)

    @contextmanager
    def watched(self) -> Iterator[list[str]]:
        """The statements that anybody sends to the server within the block, told in the end."""
        said: list[str] = []
        begin = "SET GLOBAL log_output = 'TABLE'; TRUNCATE mysql.general_log; SET GLOBAL general_log = ON"
        self.server.execute(begin)
        try:
            yield said
        finally:
            self.server.execute("SET GLOBAL general_log = OFF; SET GLOBAL log_output = 'FILE'")
            rows = self.server.query("SELECT argument FROM mysql.general_log WHERE command_type = 'Query'")
            said += [text.decode(errors="replace") if isinstance(text, bytes) else text for (text,) in rows]
