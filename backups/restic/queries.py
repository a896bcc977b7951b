"""What is asked of a repository: whether it opens, its snapshots, its locks."""

from __future__ import annotations

import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPSConnection

from backups import process
from backups.restic import ssh
from backups.restic.access import Access
from backups.restic.arguments import cat_config_args, cat_lock_args, list_locks_args, snapshots_args
from backups.restic.exit_codes import error_from
from backups.restic.folder import refuse_others_files
from backups.restic.lately import forget_opened, note_opened, was_opened
from backups.restic.missing import gone
from backups.restic.outage import OutageTimer
from backups.restic.parsers import Lock, SnapshotInfo, parse_lock, parse_repository_id, parse_snapshots
from backups.restic.problems import (
    AccessDenied,
    NoBucket,
    NoRepository,
    OtherRepository,
    RepositoryFull,
    RepositoryUnreachable,
    ResticError,
    UnreadableSnapshots,
)
from backups.restic.runner import (
    PROBE_DEADLINE_SECONDS,
    QUESTION_MEMORY,
    Command,
    call,
    call_of_snapshots,
    in_time,
)
from backups.restic.storage_errors import no_bucket
from backups.text.sentences import phrase

_BUCKET_SECONDS = 15.0
_SSH_TRIES = 5
# So long a repository that was opened lately may keep restic without a word until it is looked at.
_SILENT_SECONDS = 10.0
# An expired token is tried for five seconds before restic says a word of it.
_WORDS_SECONDS = 15.0


def probe(access: Access, *, tick: process.Tick | None = None) -> str:
    """Make sure within seconds that the repository is there, is the one known and opens; answers its id."""
    with _probing(access) as begun:
        begun.settle(tick)
        return begun.repository_id


def probed_call(
    access: Access,
    command: Command,
    *,
    on_stdout: Callable[[str], None],
    on_stderr: Callable[[str], None],
    tick: process.Tick,
) -> process.Completed:
    """`call`, with a `probe` beside it, whose failures count until restic says the first word of its work.

    Then it has opened the repository itself; whether it is the one known is left for the probe to say.
    One after the other, both would take half a second to derive the key from the password. Where the
    command `trusts_lately` and the last probe on this host was good, one begins only if restic stays silent.
    """
    opened = False
    refuse_others_files(access, command.doing)

    def read(line: str) -> None:
        nonlocal opened
        opened = True
        on_stdout(line)

    with ExitStack() as stack:
        beside = _ProbeBeside(access, stack, waits=command.trusts_lately and was_opened(access))

        def look() -> None:
            try:
                beside.look(is_silent=not opened)
            except OtherRepository:
                raise
            except ResticError:
                if not opened:
                    raise
            tick()

        try:
            completed = call(access, command, on_stdout=read, on_stderr=on_stderr, tick=look)
            if access.names.known_id and beside.is_without_answer:
                # Done before the probe was, or the probe had met with something that is over by now.
                probe(access, tick=tick)
            return completed
        except (RepositoryUnreachable, RepositoryFull) as error:
            if not opened and (isinstance(error, AccessDenied | NoBucket) or access.scheme == "sftp"):
                beside.settle(tick)  # which finds out more
            raise  # the probe would say so too, and later
        except ResticError:
            if not opened:
                beside.settle(tick)
            raise


class _ProbeBeside:
    """A `probe` beside other work; one that `waits` begins only where that stays silent, or fails."""

    def __init__(self, access: Access, stack: ExitStack, *, waits: bool) -> None:
        self._access = access
        self._stack = stack
        self._begins_at = time.monotonic() + _SILENT_SECONDS
        self._begun = None if waits else self._begin()

    def _begin(self) -> _Probe:
        return self._stack.enter_context(_probing(self._access))

    def look(self, *, is_silent: bool) -> None:
        """Raise what the probe found so far."""
        if self._begun is None and is_silent and time.monotonic() > self._begins_at:
            self._begun = self._begin()
        if self._begun is not None:
            self._begun.look()

    def settle(self, tick: process.Tick) -> None:
        """Wait for what the probe finds, and raise it."""
        forget_opened(self._access)
        self._begun = self._begun or self._begin()
        self._begun.settle(tick)

    @property
    def is_without_answer(self) -> bool:
        """Whether it has begun and not told yet which repository this is."""
        return self._begun is not None and not self._begun.repository_id


@contextmanager
def _probing(access: Access) -> Iterator[_Probe]:
    with ExitStack() as stack:
        with in_time(access):
            begun = process.start_in_background(
                access.calling(cat_config_args(), most_memory=QUESTION_MEMORY)
            )
            running = stack.enter_context(begun)
        yield _Probe(access, running)


class _Probe:
    """A `probe` that is under way."""

    def __init__(self, access: Access, running: process.BackgroundProcess) -> None:
        self._access = access
        self._running = running
        self._until = time.monotonic() + PROBE_DEADLINE_SECONDS
        self._settled = False
        self.repository_id = ""

    def look(self) -> None:
        """Raise what `probe` would as soon as that is known; does not wait for it."""
        if not self._settled and (self._running.is_over or time.monotonic() > self._until):
            self.settle()

    def settle(self, tick: process.Tick | None = None) -> None:
        """Wait for the answer, and raise what `probe` would unless that was raised before."""
        if self._settled:
            return
        self._settled = True
        try:
            self._judge(tick)
        except (NoRepository, NoBucket) as missing:
            raise gone(missing, self._access) from None

    def _judge(self, tick: process.Tick | None) -> None:
        try:
            with in_time(self._access):
                completed = self._running.completed(
                    tick, self._until - time.monotonic(), on_stderr=OutageTimer(self._access).hear
                )
        except AccessDenied as denied:
            raise _in_its_words(self._access, denied, tick) from None
        if completed.returncode == 0:
            self.repository_id = parse_repository_id(completed.stdout)
            _refuse_another(self._access, self.repository_id)
            note_opened(self._access)
            return
        completed = _with_word_of_ssh(self._access, completed, tick)
        error = error_from(completed, self._access, phrase("opening the repository"))
        if isinstance(error, NoRepository) and _bucket_is_missing(self._access.url):
            error = no_bucket(self._access)
        if isinstance(error, AccessDenied):
            error = _in_its_words(self._access, error, tick)
        raise error


def _refuse_another(access: Access, found_id: str) -> None:
    names = access.names
    if names.known_id not in ("", found_id):
        raise OtherRepository(
            phrase(
                "The repository at {url} is another one (restic's id {found_id}) than the portal knows "
                "there ({known_id}): {known}.",
                url=access.url,
                found_id=found_id[:8] or phrase("is not told"),
                known_id=names.known_id[:8],
                known=names.known,
            ),
            access,
            found_id,
        )


def _with_word_of_ssh(
    access: Access, completed: process.Completed, tick: process.Tick | None
) -> process.Completed:
    """The same end again where restic ended before it had passed on what ssh said, which it may."""
    for _ in range(_SSH_TRIES):
        if not ssh.is_without_word(completed.stderr_tail):
            break
        with in_time(access):
            completed = process.run(
                access.calling(cat_config_args(), most_memory=QUESTION_MEMORY),
                tick=tick,
                deadline=PROBE_DEADLINE_SECONDS,
            )
    return completed


_REGION = ("AWS_DEFAULT_REGION", "AWS_REGION")


def _in_its_words(access: Access, error: AccessDenied, tick: process.Tick | None) -> ResticError:
    """Why an S3 storage refused, which its answer to restic's first request has no room for.

    Not told of a region, restic first asks for it, and that is answered in words.
    """
    if access.scheme != "s3" or not any(name in access.secrets for name in _REGION):
        return error
    secrets = {name: value for name, value in access.secrets.items() if name not in _REGION}
    question = Command(
        cat_config_args(),
        phrase("opening the repository"),
        deadline=_WORDS_SECONDS,
        most_memory=QUESTION_MEMORY,
    )
    try:
        call(replace(access, secrets=secrets), question, tick=tick)
    except NoRepository:
        return error
    except ResticError as answer:
        is_more = type(answer) is not RepositoryUnreachable or "cannot be reached" not in answer.what
        return answer if is_more else error
    return error


def _bucket_is_missing(url: str) -> bool:
    """Ask an S3 storage by name, since restic is told of a missing bucket as of a missing file.

    Without keys: a storage that answers strangers with "denied" leaves the question open.
    """
    found = re.fullmatch(r"s3:(?:(https?)://)?([^/]+)/([^/]+).*", url)
    if found is None:
        return False
    scheme, host, bucket = found.groups()
    try:
        with _connected(host, is_plain=scheme == "http") as connection:
            connection.request("GET", f"/{bucket}?location")
            answer = connection.getresponse()
            return answer.status == HTTPStatus.NOT_FOUND and b"NoSuchBucket" in answer.read(4096)
    except (OSError, HTTPException, ValueError):
        return False


@contextmanager
def _connected(host: str, *, is_plain: bool) -> Iterator[HTTPConnection]:
    """A connection that is cut after a while, however slowly its answer comes. Raises OSError."""
    connection = (HTTPConnection if is_plain else HTTPSConnection)(host)
    until = time.monotonic() + _BUCKET_SECONDS
    with (
        socket.create_connection((connection.host, connection.port), timeout=_BUCKET_SECONDS) as raw,
        raw.dup() as to_cut,
        closing(connection),
    ):
        cutting = threading.Timer(max(until - time.monotonic(), 0), to_cut.shutdown, [socket.SHUT_RDWR])
        cutting.daemon = True
        cutting.start()
        try:
            connection.sock = raw if is_plain else _encrypted(raw, connection.host)
            yield connection
        finally:
            cutting.cancel()
            cutting.join()


def _encrypted(raw: socket.socket, name: str) -> ssl.SSLSocket:
    return ssl.create_default_context().wrap_socket(raw, server_hostname=name)


def snapshots(
    access: Access,
    *ids: str,
    tick: process.Tick | None = None,
    deadline: float | None = None,
    on_unreadable: Callable[[UnreadableSnapshots], object] | None = None,
) -> tuple[SnapshotInfo, ...]:
    """The snapshots in the repository, oldest first; `on_unreadable` is told of those left out.

    Without a `deadline` it takes no longer than a storage is given to mend itself. Raises ResticError
    like `call`.
    """
    try:
        question = Command(
            snapshots_args(*ids),
            phrase("reading the list of snapshots"),
            deadline=deadline or access.patience_seconds,
        )
        completed = call_of_snapshots(access, question, tick=tick)
    except UnreadableSnapshots as error:
        if on_unreadable is None:
            raise
        on_unreadable(error)
        completed = error.completed
    return parse_snapshots(completed.stdout)


def locks(access: Access, *, tick: process.Tick | None = None) -> tuple[Lock, ...]:
    """Who holds locks in the repository. Raises ResticError."""
    question = Command(
        list_locks_args(),
        phrase("listing locks"),
        deadline=PROBE_DEADLINE_SECONDS,
        most_memory=QUESTION_MEMORY,
    )
    listed = call(access, question, tick=tick)
    found: list[Lock] = []
    until = time.monotonic() + access.patience_seconds
    for lock_id in listed.stdout.decode(errors="replace").split():
        if time.monotonic() > until:
            raise ResticError(
                phrase(
                    "The repository at {url} has so many locks, or shows them so slowly, that they "
                    "could not all be read.",
                    url=access.url,
                ),
                code="restic.too_many_locks",
                do=phrase("Unlock it once no restic uses it."),
            )
        try:
            of_one = replace(question, args=cat_lock_args(lock_id), doing=phrase("reading a lock"))
            answer = call(access, of_one, tick=tick)
        except ResticError:
            continue  # gone since it was listed
        found.append(parse_lock(lock_id, answer.stdout))
    return tuple(found)
