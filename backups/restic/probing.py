"""Whether a repository is there, opens and is the one known: asked for itself, or beside other work."""

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
from backups.restic.arguments import cat_config_args
from backups.restic.cache_marks import CacheMarks
from backups.restic.exit_codes import error_from
from backups.restic.folder import refuse_others_files
from backups.restic.lately import LATELY_SECONDS, forget_opened, note_opened, was_opened
from backups.restic.missing import gone
from backups.restic.parsers import parse_repository_id
from backups.restic.problems import (
    AccessDenied,
    NoBucket,
    NoRepository,
    OtherRepository,
    RepositoryFull,
    RepositoryLocked,
    RepositoryUnreachable,
    ResticError,
    UnreadableSnapshots,
)
from backups.restic.runner import (
    PROBE_DEADLINE_SECONDS,
    QUESTION_MEMORY,
    Command,
    call,
    in_time,
    mend_cache,
)
from backups.restic.stalled import OutageTimer
from backups.restic.storage_errors import no_bucket
from backups.text.sentences import phrase

_BUCKET_SECONDS = 15.0
_SSH_TRIES = 5
# So long a repository that was opened before may keep restic without a word until it is looked at: an
# unreachable one is told of within PROBE_DEADLINE_SECONDS of restic's start all the same.
_SILENT_SECONDS = 5.0
_SHORTEST_PROBE_SECONDS = 10.0
# An expired token is tried for five seconds before restic says a word of it.
_WORDS_SECONDS = 15.0


def probe(access: Access, *, tick: process.Tick | None = None) -> str:
    """Make sure within seconds that the repository is there, is the one known and opens; answers its id."""
    with _probing(access, PROBE_DEADLINE_SECONDS) as begun:
        begun.settle(tick)
        return begun.repository_id


def probed_call(
    access: Access,
    command: Command,
    *,
    on_stdout: Callable[[str], None] | None = None,
    on_stderr: Callable[[str], None] | None = None,
    tick: process.Tick | None = None,
) -> process.Completed:
    """`call`, and a `probe` without a restic of its own as far as that goes.

    restic's cache tells which repository it has opened. A probe begins beside it where the repository does
    not look as it did when it was opened last, where the cache tells of another one, and where restic stays
    silent. What that finds counts until restic says the first word of its work: then it has opened the
    repository itself. Whether it is the one known is made sure of in any case.
    """
    tick = tick or (lambda: None)
    refuse_others_files(access, command.doing)
    mend_cache(access)

    def look() -> None:
        opening.look()
        tick()

    def read(line: str) -> None:
        opening.is_silent = False
        if on_stdout is not None:
            on_stdout(line)

    with ExitStack() as stack:
        opening = _Opening(access, stack, trusts_lately=command.trusts_lately)
        on_line = read if on_stdout is not None else None
        try:
            completed = call(access, command, on_stdout=on_line, on_stderr=on_stderr, tick=look)
        except ResticError as error:
            opening.failed(error, tick)
            raise
        opening.make_sure(tick)
        return completed


class _Opening:
    """A restic that is opening a repository: whether it is the one known, and what is in its way."""

    def __init__(self, access: Access, stack: ExitStack, *, trusts_lately: bool) -> None:
        self.is_silent = True
        self._access = access
        self._stack = stack
        self._began = time.monotonic()
        self._marks = CacheMarks(access)
        self._is_open = False
        self._trusts_lately = trusts_lately
        self._is_known = trusts_lately and was_opened(access, within=LATELY_SECONDS)
        self._probe = None if was_opened(access) else self._begin(PROBE_DEADLINE_SECONDS)

    def _begin(self, seconds: float) -> _Probe:
        return self._stack.enter_context(_probing(self._access, seconds))

    def look(self) -> None:
        """Raise what is known by now to be wrong."""
        if self._probe is None:
            self._look_at_cache()
        if self._probe is None:
            return
        try:
            self._probe.look()
        except OtherRepository:
            raise
        except ResticError:
            if self.is_silent:
                raise

    def _look_at_cache(self) -> None:
        known = self._access.names.known_id
        if not self.is_silent:
            if known and not self._is_known and not self._is_marked():
                self._probe = self._begin(PROBE_DEADLINE_SECONDS)
            return
        if self._is_open:
            return
        # What somebody else's restic may have opened is no proof yet that ours opened the one known. But
        # its storage answers, and what is done there may take its time.
        opened = self._marks.opened() if known else set()
        self._is_open = known in opened
        waited = time.monotonic() - self._began
        if not self._is_open and (opened or waited > _SILENT_SECONDS):
            self._probe = self._begin(max(PROBE_DEADLINE_SECONDS - waited, _SHORTEST_PROBE_SECONDS))

    def _is_marked(self) -> bool:
        """Whether restic, which has opened a repository, has opened the one known."""
        if self._marks.opened() == {self._access.names.known_id}:
            self._is_known = True
            note_opened(self._access)
        return self._is_known

    def failed(self, error: ResticError, tick: process.Tick) -> None:
        """Raise what tells more of why restic failed, where that can be found out."""
        if isinstance(error, UnreadableSnapshots):
            self.make_sure(tick)
        elif isinstance(error, RepositoryLocked):
            # It opens; and whoever tries again need not look once more.
            if self._probe is not None:
                self._probe.settle(tick)
            elif not self._trusts_lately:
                self.make_sure(tick)
        elif isinstance(error, RepositoryUnreachable | RepositoryFull):
            # Of most of these a probe would say the same, and later.
            if isinstance(error, AccessDenied | NoBucket) or self._access.scheme == "sftp":
                self._find_out_more(tick)
        else:
            self._find_out_more(tick)

    def _find_out_more(self, tick: process.Tick) -> None:
        if self.is_silent:
            forget_opened(self._access)
            self._probe = self._probe or self._begin(PROBE_DEADLINE_SECONDS)
            self._probe.settle(tick)

    def make_sure(self, tick: process.Tick) -> None:
        """Raise what is wrong with the repository that restic has opened by now."""
        is_told = self._probe is not None and self._probe.repository_id
        if self._access.names.known_id and not is_told and not self._is_marked():
            # Done before a probe was, or the probe had met with something that is over by now.
            probe(self._access, tick=tick)


@contextmanager
def _probing(access: Access, seconds: float) -> Iterator[_Probe]:
    with ExitStack() as stack:
        with in_time(access):
            begun = process.start_in_background(
                access.calling(cat_config_args(), most_memory=QUESTION_MEMORY)
            )
            running = stack.enter_context(begun)
        yield _Probe(access, running, seconds)


class _Probe:
    """A `probe` that is under way."""

    def __init__(self, access: Access, running: process.BackgroundProcess, seconds: float) -> None:
        self._access = access
        self._running = running
        self._until = time.monotonic() + seconds
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
            forget_opened(self._access)
            raise gone(missing, self._access) from None
        except OtherRepository:
            forget_opened(self._access)
            raise

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
