"""What the worker answers about the rows that a run keeps: pages of them, their numbers, and scripts."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from backups import process
from backups.actions.steps import kept_files
from backups.actions.steps.rows_chosen import refuse_altered
from backups.differences.kept_rows import AGAIN, AGAIN_CHOSEN, Change, KeptRows, KeptTable, Values, kept_rows
from backups.errors import Problem
from backups.models import Run
from backups.requests import Choice
from backups.requests.rows_back import told_of
from backups.rows_back.choosing import condition
from backups.rows_back.tables import table_of
from backups.text.sentences import phrase

# Characters of a value. One has four bytes at most.
_LONGEST_SHOWN = 200
_LONGEST_READ = 4 * (_LONGEST_SHOWN + 1)
_MOST_ON_A_PAGE, _AT_ONCE = 200, 500
_BLOCK = 1 << 20


@dataclass(frozen=True)
class _Wanted:
    """Which rows of a table are asked for, as the portal's question says."""

    table: str
    offset: int
    limit: int
    kinds: tuple[str, ...]
    search: str
    where: str

    @classmethod
    def of(cls, asked: Mapping[str, Any]) -> _Wanted:
        """Raises KeyError, TypeError or ValueError for what is none."""
        return cls(
            str(asked["table"]),
            max(0, int(asked["offset"])),
            min(_MOST_ON_A_PAGE, max(1, int(asked["limit"]))),
            tuple(map(str, asked["kinds"])),
            str(asked["search"]),
            str(asked["where"]),
        )


def answer(
    run: Run, asked: Mapping[str, Any], tick: process.Tick = lambda: None
) -> tuple[str, Generator[bytes | memoryview, None, None]]:
    """A name and the bytes of the answer to a question. `tick` is called now and then. Raises Problem."""
    try:
        if asked["asks"] == "script":
            return _script(run, is_undo=asked["undo"] is True)
        make = {"rows": _page, "numbers": _numbers}[asked["asks"]]
        told = make(run, _Wanted.of(asked), tick)
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
        raise Problem(
            phrase("The worker does not know what it is asked about rows."),
            code="rows.unknown_question",
            do=phrase("See that portal and worker are of the same version, then try again."),
        ) from error
    return "rows.json", _pieces(json.dumps(told).encode())


def _pieces(data: bytes) -> Generator[bytes | memoryview, None, None]:
    yield data


# ---------------------------------------------------------------- Scripts


def _script(run: Run, *, is_undo: bool) -> tuple[str, Generator[bytes | memoryview, None, None]]:
    told = told_of(run)
    path = kept_files.script_of(run.pk, undo=is_undo)
    if told.get("proved") is not True:
        raise Problem(
            phrase("{run} has proved no script, so there is none to show.", run=run), code="rows.not_proved"
        )
    refuse_altered(path, told.get("undo_sha256" if is_undo else "script_sha256"))

    def content() -> Generator[bytes | memoryview, None, None]:
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                yield block

    return path.name, content()


# ---------------------------------------------------------------- Rows


def _page(run: Run, wanted: _Wanted, tick: process.Tick) -> Mapping[str, Any]:
    with kept_rows(kept_files.rows_of(run.pk)) as rows:
        table = _table(rows, wanted.table)
        if wanted.where:
            total, found = _found(_fitting(rows, table, wanted, tick), wanted)
        else:
            total, found = rows.page(table.name, wanted.offset, wanted.limit, wanted.kinds, wanted.search)
        return {
            "total": total,
            "beyond": table.beyond,
            "key": list(table.key),
            "rows": [_shown(each) for each in found],
        }


def _found(fitting: Iterable[Change], wanted: _Wanted) -> tuple[int, list[Change]]:
    """How many fit, and those of the page."""
    total, found = 0, []
    for total, each in enumerate(fitting, 1):
        if wanted.offset < total <= wanted.offset + wanted.limit:
            found.append(each)
    return total, found


def _numbers(run: Run, wanted: _Wanted, tick: process.Tick) -> Mapping[str, Any]:
    with kept_rows(kept_files.rows_of(run.pk)) as rows:
        table = _table(rows, wanted.table)
        numbers = [each.number for each in _fitting(rows, table, wanted, tick)]
    return {"ranges": [list(each) for each in Choice.of_numbers(table.name, numbers).ranges]}


def _table(rows: KeptRows, name: str) -> KeptTable:
    found = next((each for each in rows.tables() if each.name == name), None)
    if found is None:
        raise Problem(phrase("No rows of {table} are kept.", table=name), code="rows.no_such_table")
    return found


def _fitting(rows: KeptRows, table: KeptTable, wanted: _Wanted, tick: process.Tick) -> Iterator[Change]:
    fits = _condition(table, wanted.where)
    offset = 0
    while True:
        tick()
        _, some = rows.page(table.name, offset, _AT_ONCE, wanted.kinds, wanted.search)
        yield from filter(fits, some)
        offset += len(some)
        if len(some) < _AT_ONCE:
            return


def _condition(table: KeptTable, where: str) -> Callable[[Change], bool]:
    if not where:
        return lambda _: True
    known = table_of(table.name, table.definition_now, table.definition_then)
    if known is None:
        raise Problem(
            phrase("No condition can be tried on {table}: its definition cannot be read.", table=table.name),
            code="rows.no_condition",
            do=phrase("Tick its rows by hand, or all of a kind."),
        )
    return condition(where, known)


def _shown(change: Change) -> Mapping[str, Any]:
    is_again = change.state in (AGAIN, AGAIN_CHOSEN)
    third = change.third if is_again else None
    columns = dict.fromkeys([*(change.then or {}), *(change.now or {}), *(third or {})])
    return {
        "number": change.number,
        "kind": change.kind,
        "changed_again": is_again,
        "cells": [
            (
                name.decode(errors="backslashreplace"),
                *(_cut(side, name) for side in (change.then, change.now, third)),
                _differs(change, name),
            )
            for name in columns
        ],
    }


def _differs(change: Change, name: bytes) -> bool:
    if change.then is None or change.now is None or name not in change.then or name not in change.now:
        return False
    return change.then[name] != change.now[name]


def _cut(values: Values | None, name: bytes) -> str | None:
    value = None if values is None else values.get(name)
    if value is None:
        return None
    text = value[:_LONGEST_READ].decode(errors="backslashreplace")
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"
