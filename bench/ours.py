"""Vedetta as a person or a schedule uses it: whole commands, and the night after them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

from bench.peers import Cost, measured
from tests.backups.worlds import Portal, Shop

# As the worker plays it once a night, but in one process of its own, whose start does not count.
_NIGHT = """
import json, os, time
from backups.choices import Trigger
from backups.models import Repository, Run
from backups.requests import Asker, ForgetRequest
from backups.worker import executor
began, cpu = time.monotonic(), sum(os.times()[:4])
run = ForgetRequest(Repository.objects.get()).submit(Asker(Trigger.SCHEDULE), send=False)
executor.execute(run.pk, send_follow_ups=False)
cost = [time.monotonic() - began, sum(os.times()[:4]) - cpu]
print(json.dumps([*cost, list(Run.objects.filter(pk__gte=run.pk).values_list("status", flat=True))]))
"""


@dataclass
class Ours:
    """A portal with a repository of its own, and the options of its backups."""

    name: str
    shop: Shop
    folder: Path
    restic: Path
    options: tuple[str, ...] = ()
    portal: Portal = field(init=False)

    def __post_init__(self) -> None:
        repository = self.folder / "repository"
        self.portal = Portal(self.folder / "portal", self.shop, self.restic, str(repository))
        self.command("bootstrap", "--json")

    def backup(self) -> Cost:
        """`manage.py backup`, from its start to its end: what a person waits for."""
        return self.command("backup", "--json", *self.options)

    def night(self) -> Cost | None:
        """The maintenance of the night with all that follows; None where each backup brings it along."""
        if "--scheduled" not in self.options:
            return None
        seconds, cpu, ended = json.loads(self.portal.shell(_NIGHT).splitlines()[-1])
        if set(ended) != {"succeeded"}:
            raise RuntimeError(f"the maintenance ended as {ended}:\n{self.portal.log()[-2000:]}")
        return Cost(seconds, cpu)

    def command(self, *words: str) -> Cost:
        """Any command that has to end well."""
        with measured(self.shop, Path(self.portal.repository)) as cost:
            ran = self.portal.manage(*words, deadline=4 * 3600)
        if ran.code:
            raise RuntimeError(f"{words[0]} ended with {ran.code}: {ran.err[-2000:]}")
        return cost
