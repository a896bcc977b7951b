"""Servers of this process, each in a thread of its own."""

from __future__ import annotations

import threading
from socketserver import BaseServer

# As shutdown() waits until it is looked for again, by default twice a second: that was most of many tests.
LOOK_FOR_END_SECONDS = 0.02


def serve(server: BaseServer) -> None:
    """Have it answer until its shutdown()."""
    threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": LOOK_FOR_END_SECONDS}, daemon=True
    ).start()
