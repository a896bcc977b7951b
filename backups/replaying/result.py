"""What a replay did."""

from __future__ import annotations

from dataclasses import dataclass, field

from backups.dumpfile.log_positions import Place
from backups.replaying.judging import LetOut
from backups.replaying.steps import Definition


@dataclass(frozen=True)
class KeptBack:
    """A statement that was not run in its turn: of an event, which would run in the copy.

    `let_out.ours` says what it defines, and what state the event would have (`event_state`).
    """

    definition: Definition
    let_out: LetOut
    place: Place


@dataclass
class Replayed:
    """How far a replay is, and what it did so far."""

    # That changed something of the source; how many there were in all.
    transactions: int = 0
    seen: int = 0
    # Rows that were changed and events that change them, definitions that were run, and bytes of both.
    rows: int = 0
    row_events: int = 0
    statements: int = 0
    bytes: int = 0
    # Up to where all was played, and when the last transaction was there, in seconds by the server's clock.
    position: Place | None = None
    moment: int = 0
    # In the order of the log; made in the end, disabled.
    kept_back: list[KeptBack] = field(default_factory=list)
    # Prepared XA transactions of the source that had not ended: they are not in the copy.
    left_prepared: int = 0
