"""Whole commands beside other people's tools: what a person waits for, and what a schedule costs."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from bench.common import Options, find_restic, of_rounds, print_table, say, work_folder
from bench.others import MYDUMPER_ZSTD, NOT_INSTALLED, OTHERS, peer_of, versions
from bench.ours import Ours
from bench.peers import (
    BARE_PIPE,
    OLD_SCRIPTS,
    RESTIC_INIT,
    SAME_KEY,
    Cost,
    Peer,
    Tool,
    run_in_shell,
    scrypt_of,
    with_connection,
)
from bench.spread import figure, ratio
from tests.backups.worlds import Shop, make_shop
from tests.servers import DatabaseServer
from tools import sample

CHANGE_PERCENT = 1.0
BACKUPS_A_NIGHT = 2
"""How many backups share one maintenance: BACKUP_CRON's default is twice a day."""
ASKED_FOR, SCHEDULED = "manage.py backup", "manage.py backup --scheduled"
_TOOLS = (BARE_PIPE, OLD_SCRIPTS, *OTHERS)
_NAMES = (*(tool.name for tool in _TOOLS), ASKED_FOR, SCHEDULED)
_HEAD = (
    "dump", "how", "first", "to the pipe", "1 % changed", "to the pipe", "the night after",
    f"a schedule's: 1 % changed and 1/{BACKUPS_A_NIGHT} night", "to the pipe",
    "processor s: first, 1 % changed, night", "MB added: first, 1 % changed",
)  # fmt: skip


@dataclass
class Costs:
    """What one way cost in each round."""

    first: list[Cost] = field(default_factory=list)
    again: list[Cost] = field(default_factory=list)
    night: list[Cost] = field(default_factory=list)

    def scheduled(self) -> list[float]:
        """The seconds of a backup with its share of the night; nothing more where it brings all along."""
        nights = self.night or [Cost()] * len(self.again)
        return [
            again.seconds + night.seconds / BACKUPS_A_NIGHT
            for again, night in zip(self.again, nights, strict=True)
        ]


def measure(options: Options) -> None:
    """Print the table."""
    rows, notes = [], []
    for megabytes in options.sizes:
        costs: dict[str, Costs] = {name: Costs() for name in _NAMES}
        with DatabaseServer("mariadb", options=["--innodb-buffer-pool-size=512M"]) as server:
            keys = _measure_size(server, megabytes, options.rounds, costs)
        rows += rows_of(f"{megabytes:g} MB", costs)
        notes += [f"{megabytes:g} MB: {note}" for note in _beside_mydumper(costs)]
        notes.append(f"{megabytes:g} MB: scrypt N, r, p of restic's keys: {'; '.join(keys)}.")
    print_table(
        f"Whole commands beside other tools ({of_rounds(options)})",
        _HEAD,
        rows,
        *(f"{tool.name}: `{tool.backup}`, at night `{tool.night}`" for tool in _TOOLS),
        f"{ASKED_FOR} brings along what others leave to the night: forget and prune, and a copy of the "
        "portal. The night of the scheduled one is the worker's maintenance, the same for all databases of "
        "a repository.",
        "Seconds of the processors are those of all programs and of the database server. `restic init` "
        "measures how much scrypt the machine can bear: on a busy one each start of restic costs less.",
        f"Versions: {versions()}.",
        *notes,
    )


def _measure_size(
    server: DatabaseServer, megabytes: float, rounds: int, costs: dict[str, Costs]
) -> list[str]:
    """Measure one size; gives the scrypt parameters of each round's repositories."""
    keys: list[str] = []
    shop = make_shop(server, "", name="orders_tracker", grants=["ALL ON *.*"])
    say(f"filling a private MariaDB with a sample of {megabytes:g} MB …")
    with_connection(shop, lambda c: sample.load(c, megabytes / sample.MEGABYTES_PER_SCALE))
    for number in range(rounds):
        say(f"round {number + 1} of {rounds} …")
        with work_folder() as folder:
            ways = _ways(shop, folder, find_restic())
            keys.append(scrypt_of(folder / "empty"))
            _round(ways, costs, shop, number)
    return keys


def _ways(shop: Shop, folder: Path, restic: Path) -> list[Peer | Ours]:
    """What is installed, each with an empty repository."""
    run_in_shell(RESTIC_INIT, folder, folder / "empty", restic)
    peers = (peer_of(_with_the_same_key(tool), shop, folder, restic) for tool in _TOOLS)
    ours = {ASKED_FOR: ("asked", ()), SCHEDULED: ("scheduled", ("--scheduled",))}
    for place, _ in ours.values():
        shutil.copytree(folder / "empty", folder / place / "repository")
    return [
        *(peer for peer in peers if peer),
        *(Ours(name, shop, folder / place, restic, options) for name, (place, options) in ours.items()),
    ]


def _with_the_same_key(tool: Tool) -> Tool:
    return replace(tool, begin=SAME_KEY) if tool.begin == RESTIC_INIT else tool


def _round(ways: Sequence[Peer | Ours], costs: dict[str, Costs], shop: Shop, turn: int) -> None:
    """A first backup in every way, then one after a change, and the night; who begins changes."""
    turn = turn * 3 % len(ways)
    in_turn = [*ways[turn:], *ways[:turn]]
    for way in in_turn:
        costs[way.name].first.append(_told(way.name, "first", way.backup()))
    with_connection(shop, lambda connection: sample.change(connection, CHANGE_PERCENT))
    for way in in_turn:
        costs[way.name].again.append(_told(way.name, "again", way.backup()))
        if (night := way.night()) is not None:
            costs[way.name].night.append(_told(way.name, "night", night))


def _told(name: str, what: str, cost: Cost) -> Cost:
    say(f"  {name}, {what}: {cost.seconds:.1f} s, {cost.cpu:.1f} of the processors, {cost.grew:.1f} MB")
    return cost


def rows_of(size: str, costs: dict[str, Costs]) -> list[list[str]]:
    """A row for each way, also for one that is not installed."""
    pipe = costs[BARE_PIPE.name]
    return [
        [size, name, *(_cells(kept, pipe) if kept.first else [NOT_INSTALLED] * (len(_HEAD) - 2))]
        for name, kept in costs.items()
    ]


def _cells(kept: Costs, pipe: Costs) -> list[str]:
    first, again, night = ([cost.seconds for cost in each] for each in (kept.first, kept.again, kept.night))
    parts = [each for each in (kept.first, kept.again, kept.night) if each]
    return [
        figure(first, unit=" s"),
        ratio(first, [cost.seconds for cost in pipe.first]),
        figure(again, unit=" s"),
        ratio(again, [cost.seconds for cost in pipe.again]),
        figure(night, unit=" s") if night else "in each backup",
        figure(kept.scheduled(), unit=" s"),
        ratio(kept.scheduled(), pipe.scheduled()),
        ", ".join(figure([cost.cpu for cost in each]) for each in parts),
        ", ".join(figure([cost.grew for cost in each]) for each in (kept.first, kept.again)),
    ]


def _beside_mydumper(costs: dict[str, Costs]) -> list[str]:
    """How we fare beside the fastest dumper."""
    ours, theirs = costs[ASKED_FOR], costs[MYDUMPER_ZSTD.name]
    if not theirs.first:
        return []
    first, again = (
        ratio([cost.seconds for cost in our], [cost.seconds for cost in their])
        for our, their in ((ours.first, theirs.first), (ours.again, theirs.again))
    )
    grew = ratio([cost.grew for cost in ours.again], [cost.grew for cost in theirs.again])
    return [
        f"{ASKED_FOR} / {MYDUMPER_ZSTD.name}: first {first}, 1 % changed {again}, of whose MB it adds {grew}."
    ]
