"""How a table's rows are split into chunks, which several connections load at the same time.

`dispatcher` says when one is sent.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from backups.dumpfile.ready import Ready
from backups.loading.connection_pool import Job, JobGroup
from backups.loading.table_plan import Plan

# Statements of rows are of about a megabyte. Larger chunks would keep other connections waiting.
CHUNK_BYTES = 2 << 20
# A program more is started for each table that is looked at.
WORTH_A_LOOK_BYTES = 16 << 20


@dataclass
class TableInChunks:
    """The table whose rows pass by, which the pool makes and fills. What was not sent yet is here."""

    made_by: Ready
    plan: Plan
    drops: list[Ready]
    rows: list[Ready] = field(default_factory=list)
    gathered: int = 0
    sent: int = 0
    is_made: bool = False
    chunks: JobGroup = field(default_factory=JobGroup)

    def step(self, text: bytes) -> Ready:
        """A statement of ours about it."""
        return self.made_by._replace(text=text)

    def gather(self, ready: Ready) -> bool:
        """Take a statement of its rows; whether a chunk is full."""
        self.rows.append(ready)
        self.gathered += len(ready.text)
        return self.gathered >= CHUNK_BYTES

    @property
    def is_worth_a_look(self) -> bool:
        """Whether its rows are many, and as they stay until all is loaded."""
        return self.plan.rows_stay and self.sent >= WORTH_A_LOOK_BYTES

    def chunk(self) -> Job:
        """What was gathered, which any connection may load."""
        job = Job(self.rows, group=self.chunks)
        self.sent += self.gathered
        self.rows, self.gathered = [], 0
        return job
