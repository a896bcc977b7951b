"""What a hostile server may answer to a statement. Each is given the wire and the statement."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence

from tests.hostile.wire import EOF, NULL, OK, TEXT, Wire, column, counted, failure

Answer = Callable[[Wire, bytes], None]


def nothing(wire: Wire, statement: bytes) -> None:
    """As a server that has done as it was told, and has no rows."""
    wire.send(OK)


def silence(wire: Wire, statement: bytes) -> None:
    """Nothing, ever: until the client goes."""
    wire.packet()


def rows(*values: Sequence[str | bytes | None], kind: int = TEXT, columns: int = 0) -> Answer:
    """These rows, None for NULL, their columns said to be of this kind; without any, of so many columns."""

    def answer(wire: Wire, statement: bytes) -> None:
        _columns(wire, columns or len(values[0]), kind)
        for row in values:
            wire.send(b"".join(map(_value, row)))
        wire.send(EOF)

    return answer


def _value(value: str | bytes | None) -> bytes:
    if value is None:
        return NULL
    return counted(value if isinstance(value, bytes) else value.encode())


def error(code: int, text: str) -> Answer:
    """A server's error."""
    return lambda wire, _: wire.send(failure(code, text.encode()))


def ask_for_file(path: str) -> Answer:
    """Asks for a file of the client's machine, which the protocol allows in answer to any statement."""

    def answer(wire: Wire, statement: bytes) -> None:
        wire.send(b"\xfb" + path.encode())
        while wire.packet():
            pass
        wire.send(OK)

    return answer


def endless_rows(width: int = 1000) -> Answer:
    """Rows of so many bytes, as fast as they are read, until the client goes."""

    def answer(wire: Wire, statement: bytes) -> None:
        _columns(wire, 1)
        row = counted(b"x" * width)
        while True:
            wire.send(row)

    return answer


def endless_columns(wire: Wire, statement: bytes) -> None:
    """No row: columns without an end, before any of them could come."""
    wire.send(b"\xfd\xff\xff\xff")
    told = column(b"c" * 60_000)
    while True:
        wire.send(told)


def endless_warnings(wire: Wire, statement: bytes) -> None:
    """Done, with as many warnings as can be said; and more of them than that where they are asked for."""
    if b"WARNINGS" in statement.upper():
        endless_rows()(wire, statement)
    wire.send(OK[:-2] + b"\xff\xff")


def huge_error(wire: Wire, statement: bytes) -> None:
    """An error of the longest packet's length."""
    wire.send(failure(1064, b"x" * 0xFFFF00))


def more_and_more(wire: Wire, statement: bytes) -> None:
    """Done, and each time that another answer follows."""
    while True:
        wire.send(OK[:3] + b"\x0a" + OK[4:])


def endless_field(wire: Wire, statement: bytes) -> None:
    """One value without an end, in packets of the longest kind, which say that more follows."""
    _columns(wire, 1)
    wire.send((b"\xfe" + (1 << 40).to_bytes(8, "little")).ljust(0xFFFFFF, b"x"))
    while True:
        wire.send(b"x" * 0xFFFFFF)


def drip(seconds: float = 1.0, *, bytes_too: bool = False) -> Answer:
    """A row every so many seconds, for ever; `bytes_too` sends each row's bytes as slowly."""

    def answer(wire: Wire, statement: bytes) -> None:
        _columns(wire, 1)
        while True:
            data = counted(b"1")
            packet = len(data).to_bytes(3, "little") + bytes([wire.number % 256]) + data
            for piece in (packet[at : at + 1] for at in range(len(packet))) if bytes_too else [packet]:
                wire.connection.sendall(piece)
                time.sleep(seconds)
            wire.number += 1

    return answer


def where(pattern: str, hostile: Answer, otherwise: Answer = nothing) -> Answer:
    """`hostile` to the statements in which the pattern is found, without regard to case."""
    found = re.compile(pattern.encode(), re.I | re.S)
    return lambda wire, said: (hostile if found.search(said) else otherwise)(wire, said)


def _columns(wire: Wire, count: int, kind: int = TEXT) -> None:
    wire.send(bytes([count]))
    for number in range(count):
        wire.send(column(f"c{number}".encode(), kind))
    wire.send(EOF)
