"""`python -m tests.slow ADDRESS [SHAPE …]`: attack a server until the time is up or Ctrl-C."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import resource
import signal
import sys

from tests.slow.clients import SHAPES, Attack


def main() -> int:
    """Attack; say `begun` when all clients are at it, and at the end what became of them."""
    parser = argparse.ArgumentParser(prog="python -m tests.slow", description=__doc__)
    parser.add_argument("address", help="host:port, or unix:/path")
    parser.add_argument("shapes", nargs="*", metavar="SHAPE", help=f"of {', '.join(SHAPES)}; all without")
    parser.add_argument("--path", default="/sentinel/ok", help="what is asked for")
    parser.add_argument("--form-path", default="", help="where `body` sends its form, if elsewhere")
    parser.add_argument("--connections", type=int, default=350)
    parser.add_argument("--seconds", type=float, default=60)
    asked = parser.parse_args()
    if unknown := set(asked.shapes) - set(SHAPES):
        parser.error(f"there is no shape {', '.join(sorted(unknown))}")
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    shapes = asked.shapes or list(SHAPES)
    attack = Attack(asked.address, asked.path, shapes, asked.connections, asked.form_path)
    asyncio.run(_for(asked.seconds, attack))
    print(f"opened {attack.opened}, held at the end {attack.held}, refused {attack.refused}")
    return 0


async def _for(seconds: float, attack: Attack) -> None:
    running = asyncio.create_task(attack.run(lambda: print("begun", flush=True)))
    held: list[int] = []

    def end() -> None:
        held.append(attack.held)
        running.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, end)
    asyncio.get_running_loop().call_later(seconds, end)
    with contextlib.suppress(asyncio.CancelledError):
        await running
    attack.held = held[0]


if __name__ == "__main__":
    sys.exit(main())
