"""What restic runs for a piece of a log: `python -m backups.shipping.program ORDER_FD PIECE_FD`.

It reads the piece once more with nothing of what made it, passes it on, and exits with 0 only where it is a
log file that holds one database's rows alone; any other end makes restic store nothing. It needs neither
Django nor any secret.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from backups import binlog
from backups.binlog import Kind, Piece, Reading
from backups.binlog.held_events import HeldEvents
from backups.errors import Problem
from backups.mysql.schemas import spelling_for
from backups.text.sentences import phrase

if TYPE_CHECKING:
    from backups.binlog.transactions import Marker, Transaction

    Item: TypeAlias = Transaction | Marker

_PROJECT = Path(__file__).resolve().parents[2]
_PART = 1 << 20
WRONG = 1


def command(order_fd: int, piece_fd: int, secret_names: Iterator[str]) -> tuple[str, ...]:
    """The command for restic to run, without `secret_names` in its environment."""
    without = [argument for name in secret_names for argument in ("-u", name)]
    python = (f"PYTHONPATH={_PROJECT}", sys.executable, "-P", "-m", "backups.shipping.program")
    return ("env", *without, *python, str(order_fd), str(piece_fd))


def order(piece: Piece, cases: int, sha256: str, folder: str) -> bytes:
    """What the program is told: which piece, how names are compared, its digest, where long ones wait."""
    told = {"path": piece.path, "cases": cases, "sha256": sha256, "folder": folder}
    return json.dumps(told).encode()


def main(arguments: list[str]) -> int:
    """Pass the piece on to standard output; the exit status is 0 where it is whole."""
    order_fd, piece_fd = map(int, arguments)
    with open(order_fd, "rb") as file:  # noqa: PTH123  a descriptor, not a path
        told = json.loads(file.read())
    try:
        pass_on(piece_fd, sys.stdout.fileno(), told)
    except Problem as problem:
        print(f"{problem.code}: {problem.what}", file=sys.stderr)
        return WRONG
    except BrokenPipeError:
        return WRONG  # restic is gone and has said why
    return 0


class NotAPiece(Problem):
    """What was to be stored, or was read back, is not the piece that it is said to be."""

    code = "log.not_a_piece"


def pass_on(piece_fd: int, out_fd: int, told: Mapping[str, Any]) -> None:
    """Read a piece from its beginning, check it, write it. Raises NotAPiece, Unreadable, NoRoom."""
    digest = hashlib.sha256()

    def parts() -> Iterator[bytes]:
        at = 0
        while part := os.pread(piece_fd, _PART, at):
            at += len(part)
            digest.update(part)
            yield part
            _write(out_fd, part)

    piece = Piece.parse(told["path"])
    if piece is None:
        raise NotAPiece(phrase("The piece of the log has no name of one."))
    refuse_unlike(parts(), piece, told["cases"], folder=told["folder"])
    if digest.hexdigest() != told["sha256"]:
        raise NotAPiece(phrase("The piece of the log is not the one that was put together."))


def refuse_unlike(
    parts: Iterable[bytes],
    piece: Piece,
    cases: int,
    learn: Callable[[Item], object] | None = None,
    folder: str = "",
) -> int:
    """Read all of a piece; answers how many transactions it holds. Whoever is to `learn` is shown each item.

    `cases` is the server's lower_case_table_names; what is long waits in `folder`. Raises NotAPiece,
    Unreadable, NoRoom.
    """
    same = spelling_for(cases)
    ours = same(piece.database)
    reading = Reading(piece=piece)
    count = 0
    for item in binlog.read(parts, reading, lambda: HeldEvents(folder)):
        if learn is not None:
            learn(item)
        if not isinstance(item, binlog.Transaction):
            continue
        count += 1
        for event in item.events:
            if event.kind == Kind.TABLE_MAP and same(_database_in(event)) != ours:
                raise NotAPiece(phrase("The piece of the log holds rows of another database."))
    if reading.is_open:
        raise NotAPiece(phrase("The piece of the log ends within a transaction."))
    if reading.format is None or reading.format.made != piece.made:
        raise NotAPiece(phrase("The piece of the log is of another file than its name says."))
    return count


def _database_in(event: binlog.Event) -> str:
    return binlog.table_of(event)[0].decode("utf-8", "replace")


def _write(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


if __name__ == "__main__":
    os._exit(main(sys.argv[1:]))
