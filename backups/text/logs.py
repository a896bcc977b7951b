"""Log lines, which end up in a terminal, be it by `docker compose logs`."""

from __future__ import annotations

import logging

from backups.text.sentences import in_english
from backups.text.terminal import escape_control_characters


class EscapingFormatter(logging.Formatter):
    """Of a log: nothing in its lines steers a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, written out, in English: whose request it is of does not matter to who reads the log."""
        with in_english():
            return escape_control_characters(super().format(record))
