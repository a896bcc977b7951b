"""How much memory all processes of a command hold at once, for a small and for a large dump."""

from __future__ import annotations

import threading
from contextlib import suppress
from dataclasses import dataclass, field

from bench.common import Options, find_restic, of_rounds, print_table, say, work_folder
from bench.ours import Ours
from bench.peers import with_connection
from bench.rest import memory_mb
from bench.spread import figure, ratio
from tests.backups.worlds import children_of, make_shop
from tests.servers import DatabaseServer
from tools import sample

_EVERY_SECONDS = 0.2
_COMMANDS = {
    "backup, first": ("backup", "--json"),
    "backup, 1 % changed": ("backup", "--json"),
    "restore into a new database": (
        "restore", "--snapshot", "latest", "--yes", "--json", "--into", "orders_tracker_new",
    ),
    "verify": ("verify", "--json"),
}  # fmt: skip
_CHANGED_BEFORE = "backup, 1 % changed"


@dataclass
class Watch:
    """The most that a process and all that it started held at once, in MB, so far."""

    most: float = 0
    _over: threading.Event = field(default_factory=threading.Event)

    def until_over(self, pid: int) -> None:
        """Look again and again, for a thread of its own."""
        while not self._over.wait(_EVERY_SECONDS):
            self.most = max(self.most, sum(map(_memory_mb, [pid, *children_of(pid)])))

    def end(self) -> None:
        """Look no more."""
        self._over.set()


def _memory_mb(pid: int) -> float:
    """Nothing where the process has just gone."""
    with suppress(OSError, StopIteration):
        return memory_mb(pid)
    return 0


def measure(options: Options) -> None:
    """Print the table."""
    sizes = two_sizes(options)
    small, large = (_of_size(size, options.rounds) for size in sizes)
    print_table(
        f"Memory of all processes of a command at once, in MB ({of_rounds(options)})",
        ["command", *(f"{size:g} MB dump" for size in sizes), "ratio"],
        [
            [name, figure(small[name], 0), figure(large[name], 0), ratio(large[name], small[name])]
            for name in _COMMANDS
        ],
        f"Looked at every {_EVERY_SECONDS:g} s. Memory that processes share is divided among them; the "
        "database server's does not count.",
    )


def two_sizes(options: Options) -> tuple[float, float]:
    """The smallest and the largest that were asked for, or half of the one and the whole."""
    largest = max(options.sizes)
    return (min(options.sizes) if len(options.sizes) > 1 else largest / 2, largest)


def _of_size(megabytes: float, rounds: int) -> dict[str, list[float]]:
    """The most of each command, of each round."""
    most: dict[str, list[float]] = {name: [] for name in _COMMANDS}
    with DatabaseServer("mariadb", options=["--innodb-buffer-pool-size=512M"]) as server:
        shop = make_shop(server, "", name="orders_tracker", grants=["ALL ON *.*"])
        say(f"filling a private MariaDB with a sample of {megabytes:g} MB …")
        with_connection(shop, lambda c: sample.load(c, megabytes / sample.MEGABYTES_PER_SCALE))
        for number in range(rounds):
            say(f"round {number + 1} of {rounds} …")
            with work_folder() as folder:
                ours = Ours("memory", shop, folder, find_restic())
                for name, command in _COMMANDS.items():
                    if name == _CHANGED_BEFORE:
                        with_connection(shop, sample.change)
                    most[name].append(_most(ours, command))
                    say(f"  {name} {most[name][-1]:.0f} MB")
            server.execute("DROP DATABASE orders_tracker_new")
    return most


def _most(ours: Ours, command: tuple[str, ...]) -> float:
    watch = Watch()
    process = ours.portal.start(*command)
    watching = threading.Thread(target=watch.until_over, args=(process.pid,))
    watching.start()
    try:
        ran = ours.portal.finish(process, deadline=4 * 3600)
    finally:
        watch.end()
        watching.join()
    if ran.code:
        raise RuntimeError(f"{command[0]} ended with {ran.code}: {ran.err[-2000:]}")
    return watch.most
