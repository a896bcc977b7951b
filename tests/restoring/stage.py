"""A warm process in which restores are played and killed: each command runs in a fork of its own.

Started as `python -m tests.restoring.stage` with a portal's environment. A line of JSON on standard
input names a function of this module and its arguments; the answer is the fork's process id.
A restore can be told to strike at one of its steps: `at` counts the calls of STEPS, in the swap
alone, and `victim` is whom SIGKILL hits there, the process itself or the database server.
"""

from __future__ import annotations

import json
import os
import pkgutil
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import django

STEPS = (
    "backups.runs.restores.restore_note",
    "backups.runs.notes.run_update",
    "backups.runs.restores.restore_finished_swap",
    "backups.mysql.create_database",
    "backups.mysql.drop_database",
    "backups.mysql.drop_definitions",
    "backups.mysql.drop_triggers",
    "backups.mysql.drop_views",
    # As they are called from within.
    "backups.mysql.ddl.drop_definitions",
    "backups.mysql.ddl.drop_triggers",
    "backups.mysql.ddl.drop_views",
    "backups.mysql.rename_tables",
    "backups.mysql.requalify_sequences",
    "backups.mysql.set_database_defaults",
    "backups.restoring.defining.apply",
    "backups.restoring.defining._Maker.make",
    "backups.restoring.swap._finish",
)


def main() -> None:
    """Serve commands until standard input ends."""
    django.setup()
    import backups.worker.executor
    from backups import process

    assert backups.worker.executor
    process.become_subreaper()  # as the worker does
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody asks how a fork ended, but it must not stay
    for line in sys.stdin:
        told = json.loads(line)
        pid = os.fork()
        if pid == 0:
            _play(told)
        print(pid, flush=True)


def _play(told: dict[str, Any]) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setsid()
    log = os.open(os.environ["STAGE_LOG"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    for descriptor in (1, 2):  # the answers' pipe is not for what commands print
        os.dup2(log, descriptor)
    try:
        globals()[told.pop("do")](**told)
    except BaseException:  # noqa: BLE001  a fork must not go on as its parent would
        _note(traceback.format_exc())
        os._exit(1)
    os._exit(0)


def _note(text: str) -> None:
    with Path(os.environ["STAGE_LOG"]).open("a") as file:
        file.write(text)


def restore(snapshot: str, at: int = 0, victim: int = 0, cancel_in: str = "", **wishes: Any) -> None:
    """Replace the database with a snapshot; `cancel_in` is a phase at whose beginning it is cancelled."""
    from backups.choices import RestoreMode
    from backups.models import Database, Snapshot
    from tests.restoring.stories import enqueue

    run = enqueue(
        Database.objects.get(),
        RestoreMode.REPLACE,
        snapshot=Snapshot.objects.get(snapshot_id=snapshot),
        **wishes,
    )
    if cancel_in:
        _at_phase(cancel_in, _cancel)
    _execute(run.pk, at, victim)


def _at_phase(phase: str, do: Callable[[int], object]) -> None:
    """Do something with a run of ours just as it enters the phase."""
    from backups.runs import notes

    enter = notes.run_phase

    def enter_and_do(run_id: int, name: str, **options: Any) -> None:
        enter(run_id, name, **options)
        if name == phase:
            do(run_id)

    notes.run_phase = enter_and_do


def _cancel(run_id: int) -> None:
    from backups.models import Run
    from backups.runs import lifecycle

    lifecycle.run_cancel(Run.objects.get(pk=run_id))


def play(doing: str, snapshot: str, target: str, struck_in: str = "") -> None:
    """Play a run as the queue's worker does: an action, or a restore in the mode `doing`.

    `struck_in` is a phase at whose beginning SIGKILL hits the worker.
    """
    from backups.choices import Action, RestoreMode, Trigger
    from backups.models import Database, Snapshot
    from backups.runs import lifecycle
    from backups.runs.asked import Asker, Wanted
    from tests.restoring.stories import enqueue

    if struck_in:
        _at_phase(struck_in, lambda _run: os.kill(os.getpid(), signal.SIGKILL))
    database = Database.objects.get()
    chosen = Snapshot.objects.get(snapshot_id=snapshot)
    if doing in RestoreMode.values:
        run = enqueue(database, RestoreMode(doing), snapshot=chosen, target=target)
    else:
        run = lifecycle.run_enqueue(
            Wanted(Action(doing), database=database, snapshot=chosen if doing == Action.VERIFY else None),
            Asker(Trigger.CLI),
            send=False,
        )
    _execute(run.pk, 0, 0)


def command(arguments: list[str], struck_in: str = "") -> None:
    """Play a run as an operator's command does; `struck_in` is a phase in which SIGTERM hits it."""
    from django.core.management import call_command

    if struck_in:
        _at_phase(struck_in, lambda _run: os.kill(os.getpid(), signal.SIGTERM))
    call_command(*arguments)


def undo_next(at: int = 0, victim: int = 0) -> None:
    """Undo what `manage.py undo_restore` undoes: once after the other, this goes back to the first state."""
    from backups.choices import RestoreMode
    from backups.models import Database
    from backups.restoring import kept_states
    from tests.restoring.stories import enqueue

    database = Database.objects.get()
    kept = kept_states.next_undo(database, database.database)
    run = enqueue(database, RestoreMode.UNDO, undo_of=kept)
    _execute(run.pk, at, victim)


def undo(at: int = 0, victim: int = 0) -> None:
    """Undo the newest restore or undo that can be undone, which goes to and fro."""
    from backups.choices import RestoreMode
    from backups.models import Database, Restore
    from tests.restoring.stories import enqueue

    kept = Restore.objects.filter(swapped_at__isnull=False, undone_at=None, dropped_at=None)[0]
    run = enqueue(Database.objects.get(), RestoreMode.UNDO, undo_of=kept)
    _execute(run.pk, at, victim)


def _execute(run_id: int, at: int, victim: int) -> None:
    from backups.worker import executor

    if at:
        _strike_at(at, victim)
    executor.execute(run_id, send_follow_ups=False)


def tend(at: int = 0) -> None:
    """What the reaper does every minute."""
    from backups.worker import reaper

    if at:
        _strike_at(at, 0)
    reaper.run()


def _strike_at(at: int, victim: int) -> None:
    """Send SIGKILL to `victim` (0: to this process) before the `at`th step, odd, or after it, even."""
    count = 0

    def wrapped(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def step(*args: Any, **options: Any) -> Any:
            nonlocal count
            count += 1
            strike(name, "before")
            answer = original(*args, **options)
            count += 1
            strike(name, "after")
            return answer

        return step

    def strike(name: str, when: str) -> None:
        if count == at:
            _note(f"struck {when} {name}\n")
            os.kill(victim or os.getpid(), signal.SIGKILL)

    def arm() -> None:
        for path in STEPS:
            module_name, _, name = path.rpartition(".")
            holder = pkgutil.resolve_name(module_name)
            setattr(holder, name, wrapped(path, getattr(holder, name)))

    import backups.actions.steps.swapping
    import backups.restoring.swap
    import backups.worker.reaper

    for module in (backups.actions.steps.swapping, backups.worker.reaper):
        for name in ("swap", "end_broken_off"):
            if hasattr(module, name):
                setattr(module, name, _armed(arm, getattr(module, name)))


def _armed(arm: Callable[[], None], original: Callable[..., Any]) -> Callable[..., Any]:
    def armed(*args: Any, **options: Any) -> Any:
        arm()
        return original(*args, **options)

    return armed


if __name__ == "__main__":
    main()
