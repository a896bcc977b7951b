"""What files of a log are called, and what pieces of them are called in a repository."""

from __future__ import annotations

import re
from typing import NamedTuple, Self

from backups.dumpfile.log_positions import numbered

# What a folder has room for, and a server's counter of files.
_LONGEST_NAME, _HIGHEST = 255, (1 << 31) - 1
_FOLDER = "/binlog/"
_PIECE = re.compile(r"/binlog/([^/]{1,400})/([^/]{1,255})\.(0|[1-9]\d*)\.(0|[1-9]\d*)-([1-9]\d*)", re.ASCII)
# A number of more digits is none of a file, nor of a second.
_MOST_DIGITS = 19


class LogFile(NamedTuple):
    """A file's name, so that files are in the order in which the server writes them."""

    base: str
    number: int

    @classmethod
    def parse(cls, name: str) -> Self | None:
        """Read a name as servers tell it; None where it is none."""
        if not 0 < len(name) <= _LONGEST_NAME or "/" in name or "\0" in name:
            return None
        base, number = numbered(name)
        return cls(base, number) if base and 0 <= number <= _HIGHEST else None

    @property
    def next(self) -> Self:
        """The file after it."""
        return self._replace(number=self.number + 1)


class Piece(NamedTuple):
    """A part of a log that is stored in a repository: the bytes of a file from `start` to before `end`."""

    database: str
    file: str
    # When the server began the file, in seconds: of another log a file may have the same name.
    made: int
    start: int
    end: int

    @property
    def path(self) -> str:
        """Where it lies in its snapshot."""
        return f"{_FOLDER}{_escaped(self.database)}/{self.file}.{self.made}.{self.start}-{self.end}"

    @classmethod
    def parse(cls, path: str) -> Self | None:
        """Read a path; None where it is not a piece's."""
        found = _PIECE.fullmatch(path)
        if not found or any(len(digits) > _MOST_DIGITS for digits in found.groups()[2:]):
            return None
        piece = cls(_plain(found[1]), found[2], *(int(digits) for digits in found.groups()[2:]))
        # Each piece has one path, and no other may be taken for it.
        is_piece = piece.path == path and piece.start < piece.end and LogFile.parse(piece.file) is not None
        return piece if is_piece else None


def _escaped(database: str) -> str:
    """A database's name as a folder's: without a slash, and not one that means another folder."""
    name = database.replace("%", "%25").replace("/", "%2F")
    return name.replace(".", "%2E") if name in (".", "..") else name


def _plain(folder: str) -> str:
    name = folder.replace("%2E", ".") if folder in ("%2E", "%2E%2E") else folder
    return name.replace("%2F", "/").replace("%25", "%")
