"""What to say where no repository lies, as none was made or one is gone."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from backups.restic.access import Access
from backups.restic.problems import LEFT, NoBucket, NoRepository
from backups.text.sentences import phrase


def no_repository(access: Access, _lines: Sequence[str]) -> NoRepository:
    """What to say of a place in which restic finds no repository."""
    named = ["--repository", access.names.name] if access.names.name else []
    init = shlex.join(["manage.py", "repository", "init", *named])
    return NoRepository(
        phrase("There is no repository at {url}{folder}.", url=access.url, folder=_folder(access)),
        do=phrase(
            "If it is a new one, run `{init}`; if not, mount its disk, correct {url_set_by} or see why "
            "its files are gone.",
            init=init,
            url_set_by=access.url_set_by,
        ),
    )


def gone(missing: NoRepository | NoBucket, access: Access) -> NoRepository | NoBucket:
    """The same of one that the portal knows to be there: no other one is made in its place unasked."""
    if access.names.known:
        missing.what = phrase(
            "{missing}, where the portal knows {known}.",
            missing=missing.what.removesuffix("."),
            known=access.names.known,
        )
        missing.do = (
            phrase(
                "{put_right} No new repository was made in its place. If it is lost and a new one "
                "should begin there, {another}. The snapshots of the lost one stay listed.",
                put_right=_put_right(access),
                another=access.names.another,
            )
            if access.names.is_used
            else LEFT
        )
    return missing


def _put_right(access: Access) -> str:
    """What it is most likely comes first: an empty folder is a disk away, none at all a wrong address."""
    correct = phrase("correct {url_set_by}", url_set_by=access.url_set_by)
    if not access.folder:
        return phrase(
            "If the address is wrong, {correct}; if not, see why its files are gone.", correct=correct
        )
    if "is empty)" in _folder(access):
        return phrase(
            "If its disk or share is not mounted, mount it; if the address is wrong, {correct}.",
            correct=correct,
        )
    return phrase(
        "If the address is wrong, {correct}; if its disk or share is not mounted, mount it.", correct=correct
    )


def _folder(access: Access) -> str:
    """What there is in its place, of one in a folder: a disk that is not mounted leaves an empty one."""
    if not access.folder:
        return ""
    wanted = Path(access.folder)
    try:
        there = next(folder for folder in (wanted, *wanted.parents) if folder.exists())
        is_empty = there.is_dir() and next(there.iterdir(), None) is None
    except OSError:
        return ""
    if is_empty:
        return phrase(" (the folder {there} is empty)", there=there)
    return phrase(" (there is no folder {wanted})", wanted=wanted) if there != wanted else ""
