"""Ports that stay free until the server that asked for one listens on it.

Asking the kernel for any free port does not do: between the question and the server's start it
gives the same number to another process that asks, or to a client as the near end of a connection.
"""

from __future__ import annotations

import os
import random
import socket
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path

HOST = "127.0.0.1"

_FIRST, _BLOCK_PORTS = 10_000, 200
_USUAL_FIRST_OF_CLIENTS = 32_768
# Below those of clients, and above the blocks.
_LASTING_PORTS = 2_000

_blocks: dict[int, Block] = {}


def free_port() -> int:
    """A port that nothing listens on and that no other process of ours is given meanwhile."""
    # A forked process may not go on in the block of its parent, which does so too.
    process = os.getpid()
    if process not in _blocks:
        _blocks[process] = Block()
    return _blocks[process].free()


def lasting_port() -> int:
    """A free port for a server that wants the same one again at its next start: in no process's block."""
    end = _first_of_clients()
    for port in random.sample(range(end - _LASTING_PORTS, end), _LASTING_PORTS):
        if _can_be_listened_on(port):
            return port
    raise RuntimeError(f"Each of {_LASTING_PORTS} ports below {end} is in use.")


class Block:
    """A row of ports below those of clients, kept for one process until it ends."""

    def __init__(self) -> None:
        first, self._claim = _first_claimed()
        self._ports: Iterator[int] = cycle(range(first, first + _BLOCK_PORTS))

    def free(self) -> int:
        """The next of the block's ports that can be listened on."""
        for _, port in zip(range(_BLOCK_PORTS), self._ports, strict=False):
            if _can_be_listened_on(port):
                return port
        raise RuntimeError(f"Each of {_BLOCK_PORTS} ports is in use.")


def _can_be_listened_on(port: int) -> bool:
    """On all addresses, as nginx and Caddy do."""
    with socket.socket() as probe:
        try:
            probe.bind(("", port))
        except OSError:
            return False
    return True


def _first_claimed() -> tuple[int, socket.socket]:
    """The first port of a block that no living process holds, and what holds it from now on.

    Any of them, for what a process left behind that has just ended may still listen on its ports.
    """
    end = _first_of_clients() - _LASTING_PORTS
    blocks = range(_FIRST, end - _BLOCK_PORTS + 1, _BLOCK_PORTS)
    for first in random.sample(blocks, len(blocks)):
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
    return first if first >= _FIRST + _LASTING_PORTS + 20 * _BLOCK_PORTS else _USUAL_FIRST_OF_CLIENTS
