"""Ports that stay free until the server that asked for one listens on it.

Asking the kernel for any free port does not do: between the question and the server's start it
gives the same number to another process that asks, or to a client as the near end of a connection.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path

HOST = "127.0.0.1"

_FIRST, _BLOCK_PORTS = 10_000, 200
_USUAL_FIRST_OF_CLIENTS = 32_768

_blocks: dict[int, Block] = {}


def free_port() -> int:
    """A port that nothing listens on and that no other process of ours is given meanwhile."""
    # A forked process may not go on in the block of its parent, which does so too.
    process = os.getpid()
    if process not in _blocks:
        _blocks[process] = Block()
    return _blocks[process].free()


class Block:
    """A row of ports below those of clients, kept for one process until it ends."""

    def __init__(self) -> None:
        first, self._claim = _first_claimed()
        self._ports: Iterator[int] = cycle(range(first, first + _BLOCK_PORTS))

    def free(self) -> int:
        """The next of the block's ports that can be listened on."""
        for _, port in zip(range(_BLOCK_PORTS), self._ports, strict=False):
            with socket.socket() as probe:
                try:
                    # On all addresses, as nginx and Caddy do.
                    probe.bind(("", port))
                except OSError:
                    continue
            return port
        raise RuntimeError(f"Each of {_BLOCK_PORTS} ports is in use.")


def _first_claimed() -> tuple[int, socket.socket]:
    """The first port of a block that no living process holds, and what holds it from now on."""
    end = _first_of_clients()
    for first in range(_FIRST, end - _BLOCK_PORTS + 1, _BLOCK_PORTS):
        # A name without a file: it is gone with the last process that holds it, however it ends.
        claim = socket.socket(socket.AF_UNIX)
        try:
            claim.bind(f"\0vedetta-ports-{first}")
        except OSError:
            claim.close()
            continue
        return first, claim
    raise RuntimeError(f"Each block of ports from {_FIRST} to {end} is taken by tests or a `make run`.")


def _first_of_clients() -> int:
    """Where the kernel's ports for clients begin; the usual place if it leaves no room below."""
    try:
        first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return _USUAL_FIRST_OF_CLIENTS
    return first if first >= _FIRST + 20 * _BLOCK_PORTS else _USUAL_FIRST_OF_CLIENTS
