"""`--wait`: a command whose run may not begin waits for its turn, instead of being refused."""

from __future__ import annotations

import time
from argparse import SUPPRESS, ArgumentParser, ArgumentTypeError
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from backups.errors import Refused
from backups.models import Run
from backups.text.sentences import phrase

if TYPE_CHECKING:
    from backups.runs.progress import Observer


def add_wait(parser: ArgumentParser) -> None:
    """`--wait` and `--wait-at-most`, also for a subcommand's parser."""
    parser.add_argument(
        "--wait", action="store_true", default=SUPPRESS,
        help=phrase("if another run is using what this one needs, wait for it to end; Ctrl-C cancels"),
    )  # fmt: skip
    parser.add_argument(
        "--wait-at-most", metavar="SECONDS", type=_seconds, default=SUPPRESS,
        help=phrase("the same, and give up after so long"),
    )  # fmt: skip


def _seconds(text: str) -> float:
    if not text.isascii() or not text.isdecimal() or len(text) > 9:
        raise ArgumentTypeError(phrase("not a whole number of seconds"))
    return float(text)


class Wait:
    """Whether a command waits, for how long at most, and for which runs it has."""

    def __init__(self, say: Callable[[str], None], options: dict[str, Any]) -> None:
        self._say = say
        self._most: float | None = options.get("wait_at_most")
        self.is_wanted = bool(options.get("wait")) or self._most is not None
        self._began: float | None = None
        self._for: list[int] = []

    def told(self) -> dict[str, list[int]]:
        """For the JSON object of a command: the runs that it waited for, where there were any."""
        return {"waited_for": self._for} if self._for else {}

    def executed(self, run: Run, observer: Observer) -> Run:
        """Play a run in this process, once nothing is in its way where that is waited for. Raises Refused."""
        from backups.worker import executor

        if self.is_wanted:
            waits_for = partial(self.goes_on, run)
            played = executor.execute_in_turn(run.pk, observer=observer, waits_for=waits_for)
        else:
            played = executor.execute(run.pk, observer=observer, send_follow_ups=False)
        run.refresh_from_db()  # somebody may have cancelled it while it waited
        return played or run

    def goes_on(self, run: Run, before: Run) -> None:
        """Say for which run the command's own one waits, once. Raises Refused where that took too long."""
        from backups.runs import lifecycle
        from backups.runs.refusals import by, describe

        self._began = self._began or time.monotonic()
        if before.pk not in self._for:
            self._for.append(before.pk)
            self._say(phrase("{run} waits for {describe}.", run=run, describe=describe(before)))
        if self._most is not None and time.monotonic() - self._began >= self._most:
            try:
                lifecycle.run_cancel(run)
            except lifecycle.IllegalTransition:
                return  # somebody else has
            raise by(
                before,
                Refused(
                    phrase(
                        "Not started: {run} waited {seconds} s for {describe}.",
                        run=run,
                        seconds=f"{self._most:.0f}",
                        describe=describe(before),
                    ),
                    code="run.waited_long_enough",
                    safe=phrase("Nothing was done."),
                    do=phrase("Wait for it to end, then start again."),
                ),
            )
