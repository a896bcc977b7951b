"""What of a CREATE TABLE a script needs to know: columns, keys, references to other tables. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum


class Of(Enum):
    """How the values of a column are written and compared."""

    NUMBER = "number"
    FLOAT = "float"
    TEXT = "text"
    BYTES = "bytes"
    BITS = "bits"
    # What is compared by its bytes and cannot be part of a key: GEOMETRY, VECTOR.
    SHAPE = "shape"


@dataclass(frozen=True)
class Column:
    """A column. Its name is UTF-8, without backticks.

    `keeps_time` says that any UPDATE of a row sets it, unless that names it. `is_exact` that its collation
    takes only the same letters for equal.
    """

    name: bytes
    of: Of
    word: bytes
    is_generated: bool = False
    is_null: bool = False
    keeps_time: bool = False
    is_exact: bool = False


@dataclass(frozen=True)
class Unique:
    """A key of which no two rows have the same: columns, each with how much of it counts (0: all)."""

    columns: Sequence[bytes]
    lengths: Sequence[int]


@dataclass(frozen=True)
class Reference:
    """A foreign key. `database` is empty where the parent lies in the same one."""

    columns: Sequence[bytes]
    database: str
    parent: str
    parent_columns: Sequence[bytes]
    on_delete: str = "RESTRICT"
    on_update: str = "RESTRICT"


@dataclass(frozen=True)
class Table:
    """A table as it is now. Names of columns are UTF-8, without backticks.

    `retyped` are columns of which values were written otherwise then, `came` those that were not there yet.
    """

    name: str
    columns: Mapping[bytes, Column]
    key: Sequence[bytes]
    uniques: Sequence[Unique]
    references: Sequence[Reference]
    engine: str
    is_versioned: bool = False
    retyped: frozenset[bytes] = frozenset()
    came: frozenset[bytes] = frozenset()


def table_of(name: str, now: bytes, then: bytes = b"") -> Table | None:
    """A table by its CREATE TABLE as a dump has it, now and then; None where none is to be found."""
    raise NotImplementedError


def why_not(table: Table) -> str:
    """Why no script gives rows of it back, as a sentence; empty where one can."""
    raise NotImplementedError
