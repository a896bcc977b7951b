"""`.env`, read so that it is known of each line whether Docker Compose and systemd take it for the same.

Three readers, three sets of quotes and escapes: a RESTIC_PASSWORD that one of them takes otherwise would
not open the repository on the machine of the disaster. Nothing is set up with such a line, and what is set
up goes on with what the versions read that had no such rule. No line is ever shown: it may hold a secret.
"""

from __future__ import annotations

import os
import pwd
import re
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from pathlib import Path
from typing import NamedTuple

# Read by nobody but us, and written by `make run` as it is to be read.
OF_MAKE_RUN = "run.env"
_BYTE_ORDER_MARK = "\ufeff"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ASSIGNMENT = re.compile(r"[ \t]*([A-Za-z_][A-Za-z0-9_]*)=(.*)", re.DOTALL)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_AS_BEFORE = (
    "Until that is put right, it is read as earlier versions read it (docs/configuration.md says how)."
)
# Of what else is read, the blanks around it do not count.
_WITH_BLANKS = "PASS"
_SHOWN = 5


class EnvFileError(ValueError):
    """A file of settings that cannot be read as one; the text is a sentence for a person."""


class Unreadable(EnvFileError):
    """This user may not read the file. `why` and `do` are the parts of the sentence."""

    def __init__(self, why: str, do: str) -> None:
        self.why = why
        self.do = do
        super().__init__(f"{why} {do}")


class Doubt(NamedTuple):
    """What does not mean the same to all readers, or is not read by them all, and what to do about it.

    `until` says what is gone by as long as nobody does. `place` is the line for whoever lists them. With one
    that `stops`, nothing new is set up. One that `is_agreed` means the same to all readers, and not what
    somebody may think.
    """

    what: str
    do: str
    until: str = _AS_BEFORE
    place: str = ""
    stops: bool = True
    is_agreed: bool = False

    @property
    def sentence(self) -> str:
        """All of it, for who is not kept from going on."""
        return f"{self.what} {self.until} {self.do}"


class Line(NamedTuple):
    """One line: the name that it is about, what is read from it, and why others read another thing.

    `otherwise` is empty where all readers agree, and `is_none` where it is no NAME=value to all of them.
    """

    number: int
    name: str
    values: dict[str, str]
    otherwise: str
    do: str
    is_none: bool = False

    @property
    def place(self) -> str:
        """Which line, with the name that it is about."""
        return f"line {self.number}{f' ({self.name})' if self.name else ''}"


class Reading(NamedTuple):
    """What a file says, the last line of a name, and what of it is in doubt."""

    values: dict[str, str]
    doubts: tuple[Doubt, ...]


def read(path: Path, *, concerns: Callable[[str], bool] = lambda _name: True) -> Reading:
    """What a file of NAME=value lines says; nothing where there is no such file.

    Doubts are told of lines whose name `concerns` the caller, or that have none. Raises EnvFileError.
    """
    text = _text(path)
    if path.name == OF_MAKE_RUN:
        return Reading(_read_plainly(text), ())
    found = Reading({}, ())
    has_mark = text.startswith(_BYTE_ORDER_MARK)
    doubts = [_of_byte_order_mark(path)] if has_mark else []
    places: dict[str, list[int]] = {}
    for line in _lines(text):
        if any("\0" in value for value in line.values.values()):
            raise EnvFileError(f"Line {line.number} of {path} holds a control character: write it anew.")
        found.values.update(line.values)
        for name in line.values:
            places.setdefault(name, []).append(line.number)
        is_told = has_mark and line.number == 1
        if line.otherwise and not is_told and (not line.name or concerns(line.name)):
            doubts.append(_doubt(path, line))
    doubts += [_of_several(path, name, at) for name, at in places.items() if len(at) > 1 and concerns(name)]
    return found._replace(doubts=tuple(doubts))


def fill_in(environment: MutableMapping[str, str], values: Mapping[str, str]) -> None:
    """Give an environment what it leaves open; to all who read it, an empty value counts as not set."""
    for name, value in values.items():
        if value.strip() and not environment.get(name, "").strip():
            environment[name] = value


def lines(path: Path) -> list[Line]:
    """The lines of a file that are no remarks. Raises EnvFileError."""
    return list(_lines(_text(path)))


def summed_up(doubts: Sequence[Doubt]) -> Doubt | None:
    """One for all of them: the first, which names the lines of the others. None where there is none.

    One that stops comes before those that do not, and what readers differ about before what they agree on.
    """
    if not doubts:
        return None
    first, *others = sorted(doubts, key=lambda each: (not each.stops, each.is_agreed))
    if not others:
        return first
    named = [each.place for each in others[:_SHOWN]]
    if len(others) > _SHOWN:
        named.append(f"{len(others) - _SHOWN} more")
    return first._replace(do=f"{first.do} See to these as well: {', '.join(named)}.")


def _doubt(path: Path, line: Line) -> Doubt:
    where = f"Line {line.number} of {path}"
    if line.is_none:
        return Doubt(f"{where} {line.otherwise}.", line.do, place=line.place)
    differs = "means one value here and another one to Docker Compose or systemd"
    return Doubt(f"{where} ({line.name}) {differs}: {line.otherwise}.", line.do, place=line.place)


def _of_byte_order_mark(path: Path) -> Doubt:
    return Doubt(
        f"{path} begins with a byte order mark, which spoils its first line for systemd.",
        "Save it as UTF-8 without one.",
        place="the byte order mark",
    )


def _of_several(path: Path, name: str, numbers: Sequence[int]) -> Doubt:
    *before, last = numbers
    lines = f"line{'' if len(before) == 1 else 's'} {', '.join(map(str, before))}"
    return Doubt(
        f"{name} stands {len(numbers)} times in {path}: line {last} counts, and {lines} "
        f"{'does' if len(before) == 1 else 'do'} not.",
        "Leave the one that is meant, and take out the rest.",
        "Docker Compose and systemd take the last one as well.",
        f"line {last} ({name}, which stands {len(numbers)} times)",
        stops=False,
        is_agreed=True,
    )


def _text(path: Path) -> str:
    try:
        raw = path.read_bytes() if path.exists() else b""
    except OSError as error:
        raise Unreadable(
            f"{path} cannot be read by {_user()} ({error.strerror}).",
            "Check its owner and mode, or run this as the user that it belongs to.",
        ) from None
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


def _split(text: str) -> list[str]:
    return re.split(r"\r?\n", text.removesuffix("\r"))


def _read_plainly(text: str) -> dict[str, str]:
    assignments = (_ASSIGNMENT.fullmatch(line) for line in _split(text))
    return {found[1]: found[2].strip(" \t") for found in assignments if found}


# ---------------------------------------------------------------- Line by line


def _lines(text: str) -> Iterator[Line]:
    written = _split(text)
    goes_on_to = 0
    for number, line in enumerate(written, 1):
        before = read_before(line)
        if _is_remark(line) and not before:
            if number > goes_on_to and (swallowed := _swallowed(written, number)):
                yield swallowed
            continue
        found = _line(number, line, before)
        if number <= goes_on_to and found.is_none:
            # Of a value over several lines, the first is what is named.
            yield found._replace(otherwise="")
            continue
        if end := _closed_on(written, number):
            goes_on_to = end
            found = found._replace(
                otherwise=f"its quotes end on line {end} only, and a value is one line",
                do=f"Write it on one line, in single quotes{_or_in_a_file(found.name)}.",
            )
        yield found


def _is_remark(line: str) -> bool:
    return not line.strip(" \t") or line.lstrip(" \t").startswith("#")


def _swallowed(written: Sequence[str], number: int) -> Line | None:
    """A remark that takes the next line with it for the systemd of Debian 12, as its last \\ does."""
    remark = written[number - 1]
    following = written[number] if number < len(written) else ""
    backslashes = len(remark) - len(remark.rstrip("\\"))
    if backslashes % 2 == 0 or _is_remark(following):
        return None
    assignment = _ASSIGNMENT.fullmatch(following)
    named = f" ({assignment[1]})" if assignment else ""
    otherwise = (
        f"is a remark that ends in a \\, and systemd before 254 takes the next line{named} for more of it"
    )
    return Line(number, "", {}, otherwise, "End the remark with anything else.", is_none=True)


def _line(number: int, line: str, before: dict[str, str]) -> Line:
    assignment = _ASSIGNMENT.fullmatch(line)
    if assignment is None or _CONTROL.search(line):
        otherwise, do = _why_none(line)
        return Line(number, next(iter(before), ""), before, otherwise, do, is_none=True)
    name = assignment[1]
    value, otherwise = _value(assignment[2].strip(" \t"))
    otherwise = otherwise or _why_not_as_before(line, name, value, before)
    how = f"Put the value in single quotes, as it is meant{_or_in_a_file(name)}."
    return Line(number, name, before if otherwise else {name: value}, otherwise, how)


def is_of_gate(name: str) -> bool:
    """Whether the gate reads it, which takes values alone and opens no file that another variable names."""
    return name == "MYSQL_DATABASE" or name.startswith("SENTINEL_")


def _or_in_a_file(name: str) -> str:
    return "" if is_of_gate(name) else f", or in a file that {name}_FILE names"


def _why_not_as_before(line: str, name: str, value: str, before: dict[str, str]) -> str:
    """Why versions that left it to django-environ read another thing than all do now; empty where not."""
    if before == {name: value}:
        return ""
    if line[:1] in " \t":
        return "it begins with blanks, with which earlier versions did not read it"
    if list(before) != [name] or line.splitlines() != [line]:
        return "it holds a character that ends a line to some"
    known = before[name]
    if known.strip() != value.strip():
        return "it has quotes within quotes, or blanks around its quotes"
    if _WITH_BLANKS in name and known != value:
        return "it begins or ends with a blank"
    return ""


def _closed_on(written: Sequence[str], number: int) -> int:
    """On which later line the quotes are closed that this one leaves open; 0 where there is none."""
    assignment = _ASSIGNMENT.fullmatch(written[number - 1])
    value = assignment[2].strip(" \t") if assignment else ""
    if value[:1] not in ("'", '"') or value[:1] in value[1:]:
        return 0
    for later, line in enumerate(written[number:], number + 1):
        if _ASSIGNMENT.fullmatch(line) or read_before(line):
            return 0
        if value[0] in line:
            return later
    return 0


def _why_none(line: str) -> tuple[str, str]:
    """Why a line is no NAME=value, and what to do about it."""
    if _CONTROL.search(line):
        return "holds a control character", "Write it anew."
    if re.match(r"[ \t]*export[ \t]", line):
        return "begins with export, which systemd does not take", "Write NAME=value."
    if (before := line.partition("=")[0].strip(" \t")) != line and _NAME.fullmatch(before):
        return "has blanks before its =", "Write NAME=value without any."
    return "is not NAME=value", "Write it so, or begin it with # where it is a remark."


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


# ---------------------------------------------------------------- As versions read it that had no rule


_BEFORE = re.compile(r"(?:export )?([A-Za-z_0-9]+)=(.*)")


def read_before(text: str) -> dict[str, str]:
    """What the versions read that left it to django-environ: no line of theirs is another one now."""
    found = {}
    for line in text.splitlines():
        if assignment := _BEFORE.fullmatch(line):
            found[assignment[1]] = _value_before(assignment[2])
    return found


def _value_before(written: str) -> str:
    if single := re.fullmatch(r"'(.*)'", written):
        written = single[1]
    if double := re.fullmatch(r'"(.*)"', written):
        return re.sub(r"\\(.)", lambda each: each[0] if each[1] in "rnt" else each[1], double[1])
    return written
