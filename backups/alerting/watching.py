"""The portal watches worker and gate: a thread of each web process tells when one falls silent.

Who is dead cannot tell so, and the gate closes hours later; a dead gate keeps visitors out at once. Several
processes look at once; the alert's row is what they agree by, so that one of them sends (see `notify`).
"""

from __future__ import annotations

import logging
import threading

from django.db import connection

from backups.alerting import alerts, gate_process
from backups.requests import questions

logger = logging.getLogger(__name__)

# A worker that starts with the portal is seen within this time.
EVERY_SECONDS = 60.0


def start() -> threading.Thread:
    """Begin to watch, for as long as the process lives."""
    thread = threading.Thread(target=_watch, name="watching", daemon=True)
    thread.start()
    return thread


def _watch() -> None:
    pause = threading.Event()
    while not pause.wait(EVERY_SECONDS):
        look()


def look() -> None:
    """Look once. What goes wrong is logged, and tried again at the next look."""
    try:
        # A silent worker removes nothing of what was typed for it.
        for watch in (gate_process.look, alerts.watch, questions.forget_secrets):
            try:
                watch()
            except Exception:  # whatever it is, nobody else would watch
                logger.exception("worker and gate could not be looked at, which is tried again in a minute")
    finally:
        connection.close()
