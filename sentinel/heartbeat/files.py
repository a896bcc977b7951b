"""Small files, written whole or not at all, and read within bounds."""

from __future__ import annotations

import contextlib
import json
import os
import stat
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import IO

JSON_LIMIT_BYTES = 256 * 1024
_MODE = 0o644


class UnreadableError(ValueError):
    """A file is there and its content cannot be had; says why, in words for a person."""


# Files


def bytes_read(path: Path, limit: int) -> bytes | None:
    """A regular file's content, None where there is no file.

    Raises UnreadableError, also when there is more than `limit` bytes; the rest is not read.
    """
    try:
        # Without O_NONBLOCK, opening a FIFO would wait for a writer, and the gate with it.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    except (FileNotFoundError, NotADirectoryError):
        if path.is_symlink():
            raise UnreadableError("a symbolic link that leads nowhere") from None
        return None
    except OSError as error:
        raise UnreadableError(error.strerror or type(error).__name__) from error
    try:
        data = _descriptor_read(descriptor, limit + 1)
    except OSError as error:
        raise UnreadableError(error.strerror or type(error).__name__) from error
    finally:
        os.close(descriptor)
    if len(data) > limit:
        raise UnreadableError(f"larger than {limit} bytes")
    return data


def _descriptor_read(descriptor: int, size: int) -> bytes:
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        raise UnreadableError("not a regular file")
    data = os.read(descriptor, size)
    while len(data) < size and (more := os.read(descriptor, size - len(data))):
        data += more
    return data


def json_read(path: Path, *, absent: object, limit: int = JSON_LIMIT_BYTES) -> object:
    """The JSON value in `path`, or `absent` where there is no file. Raises UnreadableError."""
    data = bytes_read(path, limit)
    if data is None:
        return absent
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise UnreadableError("not JSON") from error


def json_write(path: Path, value: object, *, limit: int = JSON_LIMIT_BYTES) -> None:
    """Write JSON. Raises OSError, and ValueError for more than is read."""
    data = json.dumps(value, ensure_ascii=False, indent=1).encode() + b"\n"
    if len(data) > limit:
        raise ValueError(f"{path.name} would be larger than {limit} bytes.")
    write_atomically(path, data)


def json_write_lines(path: Path, values: Iterable[object], *, limit: int) -> None:
    """Write a JSON list with a line for each value, unless that lies there already. Raises as `json_write`.

    Of thousands of values, most of which are as they were.
    """
    data = ("[\n" + ",\n".join(map(_encode, values)) + "\n]\n").encode()
    if len(data) > limit:
        raise ValueError(f"{path.name} would be larger than {limit} bytes.")
    if not _lies_there(path, data):
        write_atomically(path, data)


_encode = json.JSONEncoder(ensure_ascii=False).encode


def _lies_there(path: Path, data: bytes) -> bool:
    """Whether a file is as `write_atomically` leaves it."""
    try:
        found = path.lstat()
        is_ours = stat.S_ISREG(found.st_mode) and stat.S_IMODE(found.st_mode) == _MODE
        return is_ours and bytes_read(path, len(data)) == data
    except (OSError, UnreadableError):
        return False


def write_atomically(path: Path, data: bytes) -> None:
    """Readers see the old content or the new, also after a power cut. Raises OSError."""
    folder_ensure(path.parent)
    with tempfile.NamedTemporaryFile(prefix=f".{path.name}.", dir=path.parent, delete=False) as file:
        temporary = Path(file.name)
        try:
            fill(file, data)
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    _folder_sync(path.parent)


def fill(file: IO[bytes], data: bytes) -> None:
    """Write a new file that everybody may read. Raises OSError."""
    os.fchmod(file.fileno(), _MODE)  # whatever the umask, or mkstemp, made it
    file.write(data)
    file.flush()
    os.fsync(file.fileno())


def folder_ensure(folder: Path) -> None:
    """Make a folder that everybody may enter, if it is not there. Raises OSError."""
    if folder.is_dir():
        return
    folder_ensure(folder.parent)
    with contextlib.suppress(FileExistsError):
        folder.mkdir()
        folder.chmod(0o755)  # whatever the umask


def _folder_sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
