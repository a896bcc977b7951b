"""What the dump program is told, and what it tells while it runs."""

from __future__ import annotations

import json
import os
import threading
from dataclasses import asdict
from typing import Any, NamedTuple

from backups import mysql
from backups.dumping import parallel


class Order(NamedTuple):
    """What is to be dumped, and how."""

    server: mysql.Server
    database: str
    client_dir: str = ""
    # Where it is kept what those programs said of themselves.
    notes: str = ""
    gzip: bool = False
    # What is saved before a restore; any other backup that leaves something out is a failed one.
    without_broken_views: bool = False
    # What is read once to be compared has nothing that only a restore has use for.
    to_compare: bool = False
    # Rows that no key orders are summed up, which takes ten times as long as to digest them: for the proof of
    # a log that is replayed, and of no other use.
    sums_rows: bool = False
    # Tables that are dumped with their triggers, and nothing else; all of the database without any.
    only: tuple[str, ...] = ()
    at_once: parallel.ParallelOptions = parallel.ParallelOptions()

    def as_json(self) -> bytes:
        """The order as it goes through the file descriptor, password included."""
        nested = {"server": asdict(self.server), "at_once": self.at_once._asdict()}
        return json.dumps({**self._asdict(), **nested}).encode()

    @classmethod
    def from_json(cls, text: bytes) -> Order:
        """The order that `as_json` wrote."""
        fields = json.loads(text)
        server, at_once = mysql.Server(**fields["server"]), parallel.ParallelOptions(**fields["at_once"])
        only = tuple(fields.get("only", ()))
        return cls(**{**fields, "server": server, "at_once": at_once, "only": only})


class Report:
    """What the dump program tells its caller, in a file that both have open.

    One JSON object: `progress` while it runs, then `manifest` or `problem`; with it `notes` for the log,
    and over how many `connections` it dumps, and why.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._lock = threading.Lock()
        self._notes: list[str] = []
        self._connections: dict[str, Any] = {}

    def note(self, sentence: str) -> None:
        """Have it told with all that is told from now on."""
        self._notes.append(sentence)

    def connections(self, number: int, because: str = "") -> None:
        """Tell at once over how many connections the dump goes; why stays as it was where it is left out."""
        because = because or self._connections.get("because", "")
        self._connections = {"number": number, "because": because}
        self.write()

    def write(self, **facts: Any) -> None:
        """Put `facts` in the place of what was reported before."""
        text = json.dumps({**facts, "notes": self._notes, "connections": self._connections}).encode()
        with self._lock:
            os.ftruncate(self._fd, 0)
            os.pwrite(self._fd, text, 0)

    def read(self) -> dict[str, Any]:
        """What was told last; nothing where it is just being written."""
        size = os.fstat(self._fd).st_size
        try:
            parsed = json.loads(os.pread(self._fd, size, 0))
        except ValueError:
            return {}
        return parsed if isinstance(parsed, dict) else {}
