"""What a program is given: where it lies, its environment, whom it runs as, secrets by a file descriptor."""

from __future__ import annotations

import os
import pwd
import shutil
import sys
from pathlib import Path


def find_program(*names: str, folder: str = "") -> str | None:
    """The path of the first of `names` in `folder`, beside this Python or on the PATH."""
    search = os.pathsep.join(program_folders(folder))
    return next((found for name in names if (found := shutil.which(name, path=search))), None)


def program_folders(folder: str = "") -> list[str]:
    """Where programs are looked for: in `folder`, or beside this Python and on the PATH.

    `folder` may be several, separated as on the PATH.
    """
    places = folder or os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    return [place for place in places.split(os.pathsep) if place]


def base_environment() -> dict[str, str]:
    """What every child gets: where programs and temporary files are, and nothing secret."""
    kept = ("PATH", "HOME", "TMPDIR", "LANG", "LC_ALL", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR")
    return {name: os.environ[name] for name in kept if name in os.environ}


def user_name() -> str:
    """Whom this process and all that it starts run as."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def secret_fd(content: bytes) -> int:
    """A file descriptor from which a child reads `content` once; the caller closes it.

    An anonymous file rather than a pipe, so that content of any length never blocks.
    """
    fd = os.memfd_create("vedetta", 0)
    # MySQL's clients ignore an option file that others may write.
    os.fchmod(fd, 0o600)
    os.write(fd, content)
    os.lseek(fd, 0, os.SEEK_SET)
    return fd
