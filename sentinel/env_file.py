"""`.env`, read so that each line means the same here, to Docker Compose and to systemd, or is refused.

Three readers, three sets of quotes and escapes: a RESTIC_PASSWORD that one of them takes otherwise would
not open the repository on the machine of the disaster. No line is ever shown: it may hold a secret.
"""

from __future__ import annotations

import os
import pwd
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

# Read by nobody but us, and written by `make run` as it is to be read.
OF_MAKE_RUN = "run.env"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ASSIGNMENT = re.compile(r"[ \t]*([A-Za-z_][A-Za-z0-9_]*)=(.*)")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_HOW = "Put the value in single quotes, as it is meant, or in a file, and set {name}_FILE to that."


class EnvFileError(ValueError):
    """A file of settings that cannot be read as one; the text is a sentence for a person."""


class Unreadable(EnvFileError):
    """This user may not read the file."""


class Line(NamedTuple):
    """What one line says. `otherwise` is why another reader takes it for another value; empty where none."""

    number: int
    name: str
    value: str
    otherwise: str


def read(path: Path, *, concerns: Callable[[str], bool] = lambda _name: True) -> dict[str, str]:
    """What a file of NAME=value lines says, the last line of a name; nothing where there is no such file.

    Raises EnvFileError, for a value that readers differ about where its name `concerns` the caller.
    """
    found = {}
    for line in lines(path):
        if line.otherwise and path.name != OF_MAKE_RUN and concerns(line.name):
            raise EnvFileError(
                f"Line {line.number} of {path} ({line.name}) means one value here and another one to Docker "
                f"Compose or systemd: {line.otherwise}. {_HOW.format(name=line.name)}"
            )
        found[line.name] = line.value
    return found


def lines(path: Path) -> Iterator[Line]:
    """The assignments in a file. Raises EnvFileError for what is none, before any is told."""
    text = _text(path).removesuffix("\r")
    numbered = enumerate(re.split(r"\r?\n", text), 1)
    yield from [
        _line(path, number, line)
        for number, line in numbered
        if line.strip(" \t") and not line.lstrip(" \t").startswith("#")
    ]


def _text(path: Path) -> str:
    try:
        raw = path.read_bytes() if path.exists() else b""
    except OSError as error:
        raise Unreadable(
            f"{path} cannot be read by {_user()} ({error.strerror}): check its owner and mode, or run this "
            "as the user that it belongs to."
        ) from None
    if raw.startswith(_BYTE_ORDER_MARK):
        raise EnvFileError(
            f"{path} begins with a byte order mark, which spoils its first line for systemd: save it as "
            "UTF-8 without one."
        )
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        number = raw.count(b"\n", 0, error.start) + 1
        raise EnvFileError(f"Line {number} of {path} is not UTF-8: save the file as UTF-8.") from None


def _user() -> str:
    try:
        return f"user {pwd.getpwuid(os.geteuid()).pw_name}"
    except KeyError:
        return f"user {os.geteuid()}"


def _line(path: Path, number: int, line: str) -> Line:
    assignment = _ASSIGNMENT.fullmatch(line)
    if assignment is None or _CONTROL.search(line):
        raise EnvFileError(f"Line {number} of {path} {_why_none(line)}.")
    name, written = assignment[1], assignment[2].strip(" \t")
    value, otherwise = _value(written)
    return Line(number, name, value, otherwise)


def _why_none(line: str) -> str:
    if _CONTROL.search(line):
        return "holds a control character: write it anew"
    if re.match(r"[ \t]*export[ \t]", line):
        return "begins with export, which systemd does not take: write NAME=value"
    if (before := line.partition("=")[0].strip(" \t")) != line and _NAME.fullmatch(before):
        return "has blanks before its =: write NAME=value without any"
    return "is not NAME=value: write it so, or begin it with # where it is a remark"


def _value(written: str) -> tuple[str, str]:
    """A value as written, and why another reader takes it for another one."""
    if written[:1] in ("'", '"'):
        return _quoted(written)
    if written.strip() != written:
        return written, "it begins or ends with a blank of another kind"
    for pattern, why in _BARE_DIFFERS:
        if re.search(pattern, written):
            return written, why
    return written, ""


_BARE_DIFFERS = (
    (r"\\", r"it holds a \ outside of single quotes"),
    (r"\$", "it holds a $ outside of single quotes"),
    (r"^#|\s#", "it holds a #, with which a remark may begin, outside of quotes"),
)


def _quoted(written: str) -> tuple[str, str]:
    quote = written[0]
    inner = written[1:-1]
    if len(written) < 2 or written[-1] != quote:
        return written, "it begins with a quote and does not end with it"
    if quote in inner:
        return inner, "it holds a quote of the kind that stands around it"
    if quote == "'":
        return inner, "a \\ stands before its last quote" if inner.endswith("\\") else ""
    differs = re.search(r"[\\$]", inner)
    return inner, f"it holds a {differs[0]} outside of single quotes" if differs else ""
