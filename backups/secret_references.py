"""Secret references: the database holds where a secret is, or the secret sealed, never the secret itself.

What a row may newly refer to is listed: whoever sets up a database chooses the server that is shown its
password. What rows of an earlier version refer to goes on being read, and is told of.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

from backups.errors import Problem
from backups.text import sealed_text
from backups.text.secret_names import PORTALS_OWN, ROOT, may_be_referred_to, without_file
from backups.text.sentences import joined, phrase

_REFERENCE = re.compile(r"(?:env:[A-Za-z_][A-Za-z0-9_]*|file:/[^\0]+)")
_MOST_BYTES = 16_384
# A password is a line of text; an environment, a key or somebody's .env is not.
_NO_PASSWORD = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
# What cannot stand in an entry of SECRET_REFERENCES, or in a line of .env.
_PARTING = re.compile(r"[\s,'\x00-\x1f]")


def is_reference(text: str) -> bool:
    """Whether `text` has the form `env:NAME` or `file:/absolute/path`, or is sealed."""
    return _REFERENCE.fullmatch(text) is not None or sealed_text.read(text) is not None


def is_portals_own(reference: str) -> bool:
    """Whether a reference means what only the portal itself may know, by whichever path."""
    kind, _, place = reference.partition(":")
    if kind == "env":
        return without_file(place) in PORTALS_OWN
    return kind == "file" and (_is_file_of(place, PORTALS_OWN) or _is_settings_file(place))


def is_declared(reference: str) -> bool:
    """Whether a row may newly refer to this: listed by itself, or by SECRET_REFERENCES or SECRETS_DIR.

    What is sealed is bound to its use, so nobody need list it.
    """
    if not is_reference(reference) or is_portals_own(reference):
        return False
    kind, _, place = reference.partition(":")
    if kind == sealed_text.KIND:
        return True
    if kind == "env":
        return may_be_referred_to(place, settings.SECRET_REFERENCES)
    if _is_file_of(place, [ROOT]):
        return False
    return reference in settings.SECRET_REFERENCES or _is_below_secrets_dir(place)


def how_to_declare(references: Iterable[str], beside: Iterable[str] = ()) -> str:
    """What is to be done, so that rows may refer to these: the whole line for `.env` where there is one.

    That line is one for all rows: it has what of `beside` can stand in it as well.
    """
    wanted = sorted({each for each in references if not is_declared(each)})
    roots = [each for each in wanted if _is_roots(each)]
    unwritable = [each for each in wanted if each not in roots and _PARTING.search(each)]
    steps = []
    if unwritable:
        files = ", ".join(each.removeprefix("file:") for each in unwritable)
        steps.append(
            phrase("Put {files} below the folder that SECRETS_DIR names, and refer to it there.", files=files)
        )
    if roots:
        steps.append(
            phrase(
                "{root} is the database server's alone: give backups a user and a password of their "
                "own, as deploy/mysql does.",
                root=ROOT,
            )
        )
    # Last, so that nothing stands behind what is to be copied.
    if _for_line(wanted):
        line = ",".join([*settings.SECRET_REFERENCES, *_for_line([*wanted, *beside])])
        steps.append(
            phrase(
                "Have this line in .env and start portal and worker again: SECRET_REFERENCES='{line}'",
                line=line,
            )
        )
    return joined(steps)


def _for_line(references: Iterable[str]) -> list[str]:
    """What can stand in SECRET_REFERENCES and does not yet."""
    wanted = sorted({each for each in references if not is_declared(each)})
    return [each.removeprefix("env:") for each in wanted if not _is_roots(each) and not _PARTING.search(each)]


def _is_roots(reference: str) -> bool:
    kind, _, place = reference.partition(":")
    if kind == "env":
        return without_file(place) == ROOT
    return kind == "file" and _is_file_of(place, [ROOT])


def _is_below_secrets_dir(place: str) -> bool:
    if not settings.SECRETS_DIR:
        return False
    try:
        return Path(os.path.realpath(settings.SECRETS_DIR)) in Path(os.path.realpath(place)).parents
    except (OSError, ValueError):
        return False


def _is_file_of(place: str, names: Iterable[str]) -> bool:
    """Whether this is the file in which one of these variables is."""
    files = (os.environ.get(f"{name}_FILE") for name in names)
    return any(_is_same_file(place, file) for file in files if file)


def _is_settings_file(place: str) -> bool:
    kept = (settings.BASE_DIR / ".env", settings.BASE_DIR / "var" / "run.env", settings.VEDETTA_KEY_MADE)
    return any(_is_same_file(place, str(file)) for file in kept)


def _is_same_file(place: str, other: str) -> bool:
    """Also by another path, through links of either kind."""
    try:
        return os.path.realpath(place) == os.path.realpath(other) or Path(place).samefile(other)
    except (OSError, ValueError):
        return False


@dataclass(frozen=True)
class Secret:
    """A secret by where it is; what it is, is read anew each time. `of` says whose it is, in sentences.

    One that is sealed is opened for `use` alone: what for, and whose. Shown as text, a secret is its
    reference.
    """

    reference: str
    of: str = ""
    use: tuple[str, str] = ("", "")

    def resolve(self) -> str:
        """What it is, without the newline at its end.

        `env:NAME` is also answered by NAME_FILE. Raises Problem, never showing the value.
        """
        reference = self.reference
        whose = f" ({self.of})" if self.of else ""
        if not is_reference(reference):
            raise Problem(
                phrase("A secret reference has a wrong form."),
                code="secret.malformed",
                do=phrase("Write it as env:NAME or file:/path."),
            )
        if is_portals_own(reference):
            raise _of_the_portal(reference, whose)
        value = self._read(whose)
        reference = named(reference)
        if value in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS):
            raise _of_the_portal(reference, whose)  # wherever it was copied to
        if not value:
            do = how_to_declare([reference]) if _is_roots(reference) else phrase("Fill it in and try again.")
            raise Problem(
                phrase("The secret {reference}{whose} is empty.", reference=reference, whose=whose),
                code="secret.empty",
                do=do,
            )
        if _NO_PASSWORD.search(value):
            raise Problem(
                phrase(
                    "The content of {reference}{whose} is not one line of text, so it is no password.",
                    reference=reference,
                    whose=whose,
                ),
                code="secret.not_one_line",
                do=phrase("Give it a file of its own, with the password alone in it."),
            )
        return value

    def _read(self, whose: str) -> str:
        kind, _, place = self.reference.partition(":")
        if kind == sealed_text.KIND:
            return self._unsealed(whose)
        return _from_environment(place, whose) if kind == "env" else _from_file(Path(place), whose)

    def _unsealed(self, whose: str) -> str:
        from backups import keys  # with all that it needs, which who only checks a row does not

        key = keys.load()
        if key is None:
            raise Problem(
                phrase(
                    "{named}{whose} cannot be opened, because VEDETTA_KEY is not here.",
                    named=named(self.reference),
                    whose=whose,
                ),
                code="secret.no_key",
                do=phrase(
                    "Set the VEDETTA_KEY that was kept where the worker and the commands start. If it is "
                    "lost, type the secret again in the portal."
                ),
            )
        return keys.unseal(self.reference, keys.Use(*self.use), key, self.of)

    def resolve_optional(self) -> str:
        """Like `resolve`, but an unset or empty secret is an empty text: S3 keys may come from elsewhere."""
        if not self.reference:
            return ""
        kind, _, place = self.reference.partition(":")
        if kind == "env" and not (os.environ.get(f"{place}_FILE") or os.environ.get(place)):
            return ""
        return self.resolve()


# Which failures of `resolve` say that a secret is not to be had in this process, and may be in another.
NOT_HERE = frozenset(
    {"secret.not_set", "secret.empty", "secret.no_file", "secret.not_readable", "secret.no_key"}
)


def _of_the_portal(reference: str, whose: str) -> Problem:
    return Problem(
        phrase(
            "{reference}{whose} is the portal's own secret, which is not for other servers.",
            reference=reference,
            whose=whose,
        ),
        code="secret.of_the_portal",
        do=phrase("Refer to the password of this server."),
    )


def named(reference: str) -> str:
    """A reference for sentences; of what is sealed, when it was typed."""
    sealed = sealed_text.read(reference)
    return phrase("what was typed on {date}", date=sealed.typed_on) if sealed else reference


def named_place(reference: str) -> str:
    """Where a secret is to be put right, for sentences: the variable that is really read, or the file."""
    kind, _, place = reference.partition(":")
    if kind == sealed_text.KIND:
        return named(reference)
    if kind == "env":
        return f"{place}_FILE" if os.environ.get(f"{place}_FILE") else place
    return phrase("the content of {place}", place=place)


def is_set(reference: str) -> bool:
    """Whether `reference` is sealed, or names a file, or a variable that is set, itself or as NAME_FILE."""
    kind, _, place = reference.partition(":")
    return kind in ("file", sealed_text.KIND) or bool(
        os.environ.get(place) or os.environ.get(f"{place}_FILE")
    )


def for_restic() -> dict[str, str]:
    """What the environment says of storages and their keys, files read now: tokens change while we run."""
    from backups import restic  # with all that it needs, which who only checks a row does not

    names = restic.passed(name for name, value in os.environ.items() if value)
    found = {name: _from_environment(name).strip() for name in sorted(names)}
    return {name: value for name, value in found.items() if value}


def _from_environment(name: str, whose: str = "") -> str:
    if path := os.environ.get(f"{name}_FILE"):
        try:
            return _read(Path(path))
        except (OSError, ValueError):
            raise Problem(
                phrase("The file that {name}_FILE names{whose} cannot be read.", name=name, whose=whose),
                code="secret.not_readable",
                do=phrase("Check its path and mode."),
            ) from None
    try:
        return os.environ[name].rstrip("\r\n")
    except KeyError:
        raise Problem(
            phrase("The secret env:{name}{whose} is not set.", name=name, whose=whose),
            code="secret.not_set",
            do=phrase("Set {name} or {name}_FILE where the worker and the commands start.", name=name),
        ) from None


def _from_file(path: Path, whose: str) -> str:
    try:
        return _read(path)
    except FileNotFoundError:
        raise Problem(
            phrase("The secret file {path}{whose} is not there.", path=path, whose=whose),
            code="secret.no_file",
            do=phrase("Put it back, or correct the reference to it."),
        ) from None
    except (OSError, ValueError):
        raise Problem(
            phrase("The secret file {path}{whose} cannot be read as a short text.", path=path, whose=whose),
            code="secret.not_readable",
            do=phrase("Check its path and mode."),
        ) from None


def _read(path: Path) -> str:
    """A short text. Raises OSError or ValueError.

    What is no file is not even opened: a pipe would wait for a writer, and a device may do something. What
    takes the file's place meanwhile is seen by the second look.
    """
    _refuse_what_is_no_file(path.stat())
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC), "rb") as file:
        _refuse_what_is_no_file(os.fstat(file.fileno()))
        raw = file.read(_MOST_BYTES + 1)
    if len(raw) > _MOST_BYTES:
        raise ValueError
    return raw.decode().rstrip("\r\n")


def _refuse_what_is_no_file(found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise ValueError
