"""What a backup costs over the bare pipe `mariadb-dump | restic backup --stdin`, and its memory."""

from __future__ import annotations

import os
import resource
import shutil
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import IO

import MySQLdb

from bench.common import Options, print_table, say, work_folder
from tests.backups.worlds import (
    RESTIC_PASSWORD,
    Portal,
    Shop,
    all_routines,
    children_of,
    command_of,
    make_shop,
)
from tests.servers import DatabaseServer
from tools import sample
from tools.system import find_program

CHANGE_PERCENT = 1.0
MEMORY_LIMIT_MB = 150
OVERHEAD_LIMIT_PERCENT = 5


@dataclass
class Peaks:
    """The most memory that our own processes of a backup held, in MB, restic's not among them."""

    command: float = 0
    dump: float = 0

    def watch(self, pid: int, ended: threading.Event) -> None:
        """Look at the command and the dump program that it leads to, until the event."""
        while not ended.wait(0.2):
            self.command = max(self.command, _peak_mb(pid))
            for child in children_of(pid):
                if _is_dump_program(command_of(child)):
                    self.dump = max(self.dump, _peak_mb(child))


def _is_dump_program(command: str) -> bool:
    words = command.split()
    return bool(words) and "python" in Path(words[0]).name and "backups.dump" in words


@dataclass
class Times:
    """Seconds of one kind of backup: the pipe's, the dump's into restic, the run's, the command's.

    And of the processor's, the server's not among them.
    """

    pipe: list[float] = field(default_factory=list)
    pipe_cpu: list[float] = field(default_factory=list)
    command_cpu: list[float] = field(default_factory=list)
    dump: list[float] = field(default_factory=list)
    run: list[float] = field(default_factory=list)
    command: list[float] = field(default_factory=list)


@dataclass
class Subject:
    """What is backed up, both ways, in one round."""

    shop: Shop
    folder: Path
    restic: Path
    peaks: Peaks

    def __post_init__(self) -> None:
        for name in ("bare", "ours"):
            self._restic(name, "init")
        self.portal = Portal(self.folder / "portal", self.shop, self.restic, str(self.folder / "ours"))
        assert self.portal.manage("bootstrap").code == 0

    def pipe(self, times: Times) -> None:
        """The bare pipe, as an operator would type it."""
        server = self.shop.server
        dump = [
            find_program("mariadb-dump") or "mariadb-dump",
            f"--defaults-file={self._option_file()}",
            f"--host={server.host}",
            f"--port={server.port}",
            "--single-transaction",
            "--quick",
            "--routines",
            "--triggers",
            "--events",
            self.shop.name,
        ]
        began, cpu = time.monotonic(), _children_cpu()
        with subprocess.Popen(dump, stdout=subprocess.PIPE) as dumping:
            self._restic(
                "bare", "backup", "--stdin", "--stdin-filename", f"/mysql/{self.shop.name}.sql",
                "--host", "bench", stdin=dumping.stdout,
            )  # fmt: skip
        times.pipe.append(time.monotonic() - began)
        times.pipe_cpu.append(_children_cpu() - cpu)
        assert dumping.returncode == 0

    def backup(self, times: Times) -> None:
        """`manage.py backup`, from its start to its end, follow-ups included."""
        ended = threading.Event()
        began, cpu = time.monotonic(), _children_cpu()
        process = self.portal.start("backup", "--json")
        watching = threading.Thread(target=self.peaks.watch, args=(process.pid, ended))
        watching.start()
        ran = self.portal.finish(process, deadline=900)
        ended.set()
        watching.join()
        assert ran.code == 0, ran.err
        times.command.append(time.monotonic() - began)
        times.command_cpu.append(_children_cpu() - cpu)
        run = self.portal.run()
        times.run.append(_seconds(run["started_at"], run["finished_at"]))
        dump = self.portal.rows(
            "SELECT json_extract(phases, '$[1].at') AS began, json_extract(phases, '$[2].at') AS ended,"
            " json_extract(phases, '$[1].name') AS name FROM backups_run WHERE id = ?",
            run["id"],
        )[0]
        assert dump["name"] == "dump"
        times.dump.append(_seconds(dump["began"], dump["ended"]))

    def _restic(
        self, repository: str, *args: str, stdin: int | IO[bytes] | None = subprocess.DEVNULL
    ) -> None:
        environment = {
            **os.environ,
            "RESTIC_REPOSITORY": str(self.folder / repository),
            "RESTIC_PASSWORD": RESTIC_PASSWORD,
            "RESTIC_CACHE_DIR": str(self.folder / f"{repository}-cache"),
        }
        subprocess.run(
            [self.restic, "--quiet", *args],
            env=environment,
            stdin=stdin,
            stdout=subprocess.DEVNULL,
            check=True,
        )

    def _option_file(self) -> Path:
        path = self.folder / "client.cnf"
        path.touch(mode=0o600)
        escaped = self.shop.password.replace("\\", "\\\\").replace('"', '\\"')
        path.write_text(f'[client]\nuser="{self.shop.user}"\npassword="{escaped}"\n')
        return path


def measure(options: Options) -> None:
    """Print the table."""
    first, again, peaks = Times(), Times(), Peaks()
    with DatabaseServer("mariadb", options=["--innodb-buffer-pool-size=512M"]) as server:
        # One of the sample's views calls a function, which a dump of the view then needs to do as well.
        grants = [r"ALL ON `orders\_tracker`.*", all_routines(server)]
        shop = make_shop(server, "", name="orders_tracker", grants=grants)
        say(f"filling a private MariaDB with a sample of {options.megabytes:g} MB …")
        _with_connection(shop, lambda c: sample.load(c, options.megabytes / sample.MEGABYTES_PER_SCALE))
        for number in range(options.rounds):
            say(f"round {number + 1} of {options.rounds} …")
            with work_folder() as folder:
                _round(shop, folder, first, again, peaks, ours_first=bool(number % 2))
        size = server.query(
            "SELECT SUM(data_length) / 1e6 FROM information_schema.TABLES WHERE table_schema = %s",
            arguments=[shop.name],
        )[0][0]
    print_table(
        f"Overhead over the bare pipe `mariadb-dump | restic backup --stdin` "
        f"({options.megabytes:g} MB dump, {float(size):.0f} MB on the server, medians of {options.rounds})",
        ["backup", "bare pipe", "our run", "overhead", "of it the dump phase", "command with follow-ups"],
        [_row("first", first), _row(f"again, {CHANGE_PERCENT:g} % changed", again)],
        f"Overhead is the run (preflight, dump, confirm, heartbeat) to the pipe; at most "
        f"{OVERHEAD_LIMIT_PERCENT} % is wanted.",
        f"Whatever the size, a run adds {_fixed(first, again):.1f} s before and after its dump phase. "
        f"Processor time of a first backup: pipe {statistics.median(first.pipe_cpu):.1f} s, command with "
        f"follow-ups {statistics.median(first.command_cpu):.1f} s.",
        f"Peak memory: the dump program {peaks.dump:.0f} MB, the command {peaks.command:.0f} MB; at most "
        f"{MEMORY_LIMIT_MB} MB is wanted.",
    )


def _round(shop: Shop, folder: Path, first: Times, again: Times, peaks: Peaks, *, ours_first: bool) -> None:
    restic = shutil.which("restic", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    assert restic
    subject = Subject(shop, folder, Path(restic), peaks)
    both = [subject.pipe, subject.backup]
    if ours_first:
        both.reverse()
    for one in both:
        one(first)
    _with_connection(shop, lambda connection: sample.change(connection, CHANGE_PERCENT))
    for one in both:
        one(again)
    say(
        f"  first: pipe {first.pipe[-1]:.1f} s, run {first.run[-1]:.1f} s (dump {first.dump[-1]:.1f} s); "
        f"again: pipe {again.pipe[-1]:.1f} s, run {again.run[-1]:.1f} s (dump {again.dump[-1]:.1f} s)"
    )


def _fixed(*kinds: Times) -> float:
    """What a run takes besides its dump phase."""
    return statistics.median(
        run - dump for times in kinds for run, dump in zip(times.run, times.dump, strict=True)
    )


def _row(name: str, times: Times) -> list[str]:
    pipe, dump, run, command = map(statistics.median, (times.pipe, times.dump, times.run, times.command))
    return [
        name,
        f"{pipe:.1f} s",
        f"{run:.1f} s",
        f"{(run / pipe - 1) * 100:+.1f} %",
        f"{dump:.1f} s ({(dump / pipe - 1) * 100:+.1f} %)",
        f"{command:.1f} s",
    ]


def _with_connection(shop: Shop, work: Callable[[object], None]) -> None:
    server = shop.server
    connection = MySQLdb.connect(
        host=server.host,
        port=server.port,
        user=server.user,
        password=server.password,
        database=shop.name,
        charset="utf8mb4",
    )
    try:
        work(connection)
    finally:
        connection.close()


def _children_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _peak_mb(pid: int) -> float:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    peak = next((line for line in status.splitlines() if line.startswith("VmHWM")), "VmHWM: 0 kB")
    return int(peak.split()[1]) / 1000


def _seconds(began: str, ended: str) -> float:
    return (datetime.fromisoformat(ended) - datetime.fromisoformat(began)).total_seconds()
