"""Where an installation's key is kept: in the environment, or in the file that the first start makes."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path

from django.conf import settings

from backups.errors import Problem
from backups.keys.installation import NAME, InstallationKey
from backups.text.sentences import phrase

_MOST_BYTES = 1000


def load() -> InstallationKey | None:
    """The key that the environment gives, else the one that was made; None where there is none.

    Raises Problem for what is no key, or cannot be read.
    """
    if settings.VEDETTA_KEY:
        return InstallationKey.from_text(settings.VEDETTA_KEY)
    path = Path(settings.VEDETTA_KEY_MADE)
    try:
        with path.open("rb") as file:
            text = file.read(_MOST_BYTES).decode(errors="replace")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Problem(
            phrase(
                "The key of this installation in {path} cannot be read ({error}).",
                path=path,
                error=error.strerror,
            ),
            code="key.not_readable",
            do=phrase("Let the account that runs the worker read it, or set {name}.", name=NAME),
        ) from error
    return InstallationKey.from_text(text)


def load_or_make() -> InstallationKey:
    """The key; where there is none, a new one, in a file that only this account may read. Raises Problem."""
    return load() or _made(Path(settings.VEDETTA_KEY_MADE))


def line_of_env(key: InstallationKey) -> str:
    """The line of .env that holds a key."""
    return f"{NAME}={key.text}"


def _made(path: Path) -> InstallationKey:
    """Written whole or not at all. Of two who make one at once, the first one's counts."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(descriptor, "w") as file:
                file.write(f"{InstallationKey.made().text}\n")
                file.flush()
                os.fsync(file.fileno())
            with suppress(FileExistsError):
                os.link(draft, path)
        finally:
            Path(draft).unlink()
    except OSError as error:
        raise Problem(
            phrase(
                "The key of this installation could not be written to {path} ({error}).",
                path=path,
                error=error.strerror,
            ),
            code="key.not_writable",
            do=phrase(
                "Let the account that runs the worker write there, or set {name} to 32 random bytes in "
                "base64: `head -c 32 /dev/urandom | base64`.",
                name=NAME,
            ),
        ) from error
    made = load()
    assert made is not None  # noqa: S101  it was just written
    return made
