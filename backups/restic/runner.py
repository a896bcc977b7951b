"""Running restic to its end."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from backups import process
from backups.restic.access import Access
from backups.restic.arguments import unlock_args, version_args
from backups.restic.cache_marks import CacheMarks
from backups.restic.exit_codes import error_from
from backups.restic.lately import note_opened
from backups.restic.output import readable, reasons
from backups.restic.parsers import parse_version
from backups.restic.problems import OLDEST_VERSION, ResticError, UnreadableSnapshots, get_restic
from backups.restic.stalled import OutageTimer
from backups.restic.storage_errors import not_permitted, unreachable
from backups.text.sentences import phrase

# restic itself retries an unreachable backend for a quarter of an hour.
PROBE_DEADLINE_SECONDS = 25.0
# It keeps whole what a storage answers to a question; of 60,000 snapshots it needs half of this.
QUESTION_MEMORY = 1 << 30
# With these it says on standard error, and with success, that its answer is not whole.
_NO_LIST = "could not load snapshots"
_LEFT_OUT = re.compile(r'Ignoring "?([0-9a-f]{8,64})"?: failed to load')


def find(program: str = "") -> str:
    """The path of restic. Raises ResticError when there is none."""
    found = program or process.find_program("restic")
    if not found:
        raise ResticError(phrase("restic is not installed."), code="restic.not_installed", do=get_restic())
    return found


def mend_cache(access: Access) -> None:
    """Take away what a full disk left of a cache begun, over which restic would stumble for ever."""
    if access.cache_dir:
        with suppress(OSError):
            for version in Path(access.cache_dir).glob("*/version"):
                if not version.stat().st_size:
                    version.unlink()


@dataclass(frozen=True)
class Command:
    """One of restic's commands, to be run in a repository.

    `doing` is for sentences ("reading the list of snapshots"), `deadline` in seconds. For one that
    `trusts_lately`, `probed_call` does without a probe where there was a good one within the hour; the
    others are as in `process.Program`.
    """

    args: Sequence[str]
    doing: str
    deadline: float | None = None
    pass_fds: Sequence[int] = ()
    folder: str | None = None
    most_memory: int | None = None
    trusts_lately: bool = False


# `call`, or what takes its place.
Calls = Callable[..., process.Completed]


def call(
    access: Access,
    command: Command,
    *,
    on_stdout: Callable[[str], None] | None = None,
    on_stderr: Callable[[str], None] | None = None,
    tick: process.Tick | None = None,
) -> process.Completed:
    """Run a command to success.

    Raises ResticError, by what the exit status and the last lines say, and when the storage goes
    on failing; UnreadableSnapshots for snapshots that restic left out; whatever `tick` raises.
    """
    outage = OutageTimer(access)
    left_out: list[str] = []

    def hear(line: str) -> None:
        if on_stderr:
            on_stderr(line)
        if found := _LEFT_OUT.match(readable(line)):
            left_out.append(found[1])
        outage.hear(line)

    mend_cache(access)
    with in_time(access):
        completed = process.run(
            access.calling(
                command.args,
                pass_fds=command.pass_fds,
                folder=command.folder,
                most_memory=command.most_memory,
            ),
            on_stdout=on_stdout,
            on_stderr=hear,
            tick=tick,
            deadline=command.deadline,
        )
    if completed.returncode != 0 or any(_NO_LIST in line for line in completed.stderr_tail):
        unlock_after(completed.returncode, access, command.args)
        raise error_from(completed, access, command.doing)
    if left_out:
        if denied := not_permitted(reasons(completed.stderr_tail), access, command.doing):
            raise denied
        raise UnreadableSnapshots(left_out, completed)
    return completed


@contextmanager
def in_time(access: Access) -> Iterator[None]:
    """Turn the ends of which restic itself says nothing into sentences."""
    try:
        yield
    except process.DeadlineExceeded as late:
        raise unreachable(access, late.stderr_tail) from None
    except process.SaidTooMuch:
        raise ResticError(
            phrase(
                "restic wrote more than {most_kept} MB about the repository at {url}, so it was ended.",
                url=access.url,
                most_kept=process.MOST_KEPT >> 20,
            ),
            code="restic.said_too_much",
            do=phrase(
                "See whether it is the right repository, and check {url_set_by}.",
                url_set_by=access.url_set_by,
            ),
        ) from None
    except process.NotInstalled:
        raise ResticError(
            phrase("restic is not installed."), code="restic.not_installed", do=get_restic()
        ) from None


# By program and the state of its file.
_VERSIONS: dict[tuple[str, int, int, int], str] = {}


def version(access: Access) -> str:
    """The version of restic, which must be new enough; asked once of each file. Raises ResticError."""
    program = _state_of(access.program)
    found = (_VERSIONS.get(program) if program else None) or _version_kept(access)
    if found is None:
        question = Command(version_args(), phrase("asking its version"), deadline=10)
        found = parse_version(call(access, question).stdout)
        process.keep_said(access.cache_dir, _VERSION, found, access.program)
    if program and found:
        _VERSIONS[program] = found
    if version_tuple(found) < OLDEST_VERSION:
        wanted = ".".join(map(str, OLDEST_VERSION))
        raise ResticError(
            phrase("restic {found} is too old, {wanted} is needed.", found=found, wanted=wanted),
            code="restic.too_old",
            do=get_restic(),
        )
    return found


_VERSION = "restic version"


def _version_kept(access: Access) -> str | None:
    kept = process.said_before(access.cache_dir, _VERSION, access.program)
    return kept if isinstance(kept, str) and version_tuple(kept) else None


def _state_of(program: str) -> tuple[str, int, int, int] | None:
    """What tells that a program was not exchanged; None where its file is not to be seen."""
    try:
        file = Path(program).stat()
    except OSError:
        return None
    return program, file.st_ino, file.st_size, file.st_mtime_ns


def version_of(program: str) -> str:
    """The version of a restic, with no repository and no secret, new enough or not. Raises ResticError."""
    try:
        completed = process.run(
            process.Program([program, *version_args()], process.base_environment()), deadline=10
        )
    except (process.NotInstalled, process.DeadlineExceeded, process.SaidTooMuch):
        raise ResticError(
            phrase("{program} did not say its version.", program=program),
            code="restic.without_version",
            do=get_restic(),
        ) from None
    return parse_version(completed.stdout)


def version_tuple(text: str) -> tuple[int, ...]:
    """The numbers in a version text, for comparison."""
    return tuple(int(number) for number in re.findall(r"\d+", text.split("-")[0])[:3])


def unlock_after(code: int, access: Access, args: Sequence[str]) -> None:
    """A restic that was killed could not take its lock away; nobody waits for it where we cannot."""
    if code < 0 and tuple(args) != unlock_args():
        with suppress(ResticError):
            remove_stale_locks(access)


def remove_stale_locks(access: Access, *, tick: process.Tick | None = None) -> None:
    """Remove the locks of processes that are gone, and no others. Raises ResticError."""
    marks = CacheMarks(access)
    call(
        access,
        Command(unlock_args(), phrase("removing stale locks"), deadline=PROBE_DEADLINE_SECONDS),
        tick=tick,
    )
    if marks.opened() == {access.names.known_id}:
        note_opened(access)  # so that whoever tries again need not look
