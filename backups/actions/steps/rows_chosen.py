"""The rows that a request chooses, out of the file that a comparison or an application keeps."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from django.conf import settings

from backups import mysql
from backups.actions.steps import kept_files
from backups.actions.steps.rows_found import inverted
from backups.differences.comparison import MOST_PICKED
from backups.differences.keeping import MOST_BYTES, digest_of
from backups.differences.kept_rows import (
    AGAIN,
    AGAIN_CHOSEN,
    ALREADY,
    CHANGED,
    Change,
    KeptRows,
    KeptTable,
    kept_rows,
    not_kept,
)
from backups.errors import Problem
from backups.models import Run
from backups.requests import Choice, RowsBackRequest
from backups.requests.rows_back import script_run, told_of
from backups.rows_back.choosing import condition
from backups.rows_back.tables import table_of
from backups.text.sentences import phrase


class Chosen(NamedTuple):
    """Tables with what is kept of them, and the rows of them that are meant."""

    tables: Mapping[str, KeptTable]
    rows: Sequence[Change]


def chosen(request: RowsBackRequest) -> Chosen:
    """What a request chooses. Raises Problem where the file is gone, altered or has not all of it."""
    run = request.source
    if request.is_undo and "rows_sha256" not in told_of(run):
        run = script_run(run)  # its rows could not be looked at after it
    path = kept_files.rows_of(run.pk)
    refuse_altered(path, _digest_in(run))
    with kept_rows(path) as rows:
        tables = {table.name: table for table in rows.tables()}
        if request.is_undo:
            changes = [each for name in tables for each in rows.changes(name)]
            # Both states of a row are of the table as it was defined then.
            tables = {
                name: replace(table, definition_then=table.definition_now) for name, table in tables.items()
            }
            return _of_use(tables, inverted(changes))
        found: dict[int, Change] = {}
        for choice in request.choices:
            found |= {each.number: each for each in of_choice(rows, tables, choice)}
            _refuse_too_many(found)
    return _of_use(tables, list(found.values()))


def of_choice(rows: KeptRows, tables: Mapping[str, KeptTable], choice: Choice) -> list[Change]:
    """The rows of one choice. Raises Problem."""
    table = tables.get(choice.table)
    if table is None:
        raise Problem(
            phrase(
                "No row of table {name} is kept: none differs, or it came or is gone as a whole.",
                name=choice.table,
            ),
            code="rows.no_such_table",
            safe=_UNTOUCHED,
            do=phrase("See how its name is written: letters count. A table that is gone is restored."),
        )
    found = [each for each in rows.numbered(choice.numbers()) if each.table == table.name]
    if choice.kinds:
        refuse_incomplete(table)
        found += rows.changes(table.name, choice.kinds)
    return _of_columns(found, table, choice.columns) if choice.columns else found


def _of_columns(found: Sequence[Change], table: KeptTable, names: Collection[str]) -> list[Change]:
    """Rows of which the changed ones know these columns alone, and what tells them apart. Raises Problem."""
    shapes = [table_of(table.name, each) for each in (table.definition_now, table.definition_then)]
    there = [set(shape.columns) if shape else set() for shape in shapes]
    columns, key = {name.encode() for name in names}, {name.encode() for name in table.key}
    if unknown := sorted(name.decode() for name in columns - (there[0] & there[1]) | columns & key):
        raise Problem(
            phrase(
                "{table} has no column {names} that a row can get back alone.",
                table=table.name,
                names=mysql.named(unknown),
            ),
            code="rows.no_such_column",
            safe=_UNTOUCHED,
            do=phrase("Name columns that it had then and has now, and none of its key."),
        )
    known = columns | key

    def seen(each: Change) -> Change:
        then, now = (
            {n: v for n, v in side.items() if n in known} for side in (each.then or {}, each.now or {})
        )
        return replace(each, then=then, now=now)

    narrowed = [seen(each) if each.kind == CHANGED else each for each in found]
    return [each for each in narrowed if each.kind != CHANGED or each.then != each.now]


def made_whole(judged: Iterable[Change]) -> list[Change]:
    """The rows with all of their columns again: those that were not chosen have the value that was found."""
    return [_whole(each) if each.kind == CHANGED else each for each in judged]


def _whole(change: Change) -> Change:
    there = change.third if change.state in (AGAIN, AGAIN_CHOSEN, ALREADY) else change.now
    if change.then is None or change.now is None or there is None:
        return change
    return replace(change, then={**there, **change.then}, now={**there, **change.now})


def numbers_where(run: Run, table: str, kinds: Collection[str], where: str) -> list[int]:
    """The numbers of the kept rows of these kinds of which a condition is true. Raises Problem."""
    path = kept_files.rows_of(run.pk)
    refuse_altered(path, _digest_in(run))
    with kept_rows(path) as rows:
        kept = next((each for each in rows.tables() if each.name == table), None)
        if kept is None:
            return []
        refuse_incomplete(kept)
        shape = table_of(table, kept.definition_now, kept.definition_then)
        if shape is None:
            raise Problem(
                phrase("The definition of {table} cannot be read.", table=table),
                code="rows.unfit_table",
                safe=_UNTOUCHED,
                do=phrase("Choose its rows without a condition."),
            )
        is_meant = condition(where, shape)
        return [each.number for each in rows.changes(table, kinds) if is_meant(each)]


def refuse_incomplete(table: KeptTable) -> None:
    """Raise Problem for a table of which more rows differ than are kept."""
    refuse_beyond(table.name, table.gone + table.new + table.changed, table.beyond)


def refuse_beyond(table: str, kept: int, beyond: int) -> None:
    """The same by the numbers of its rows: those that are kept, and those that differ beyond them."""
    if not beyond:
        return
    if kept + beyond <= settings.ROWS_BACK_LIMIT:
        raise Problem(
            phrase(
                "Of {table} {kept} of {all} rows that differ are kept: there is room for {megabytes} MB of "
                "rows, and for {most} rows of all tables.",
                table=table,
                kept=f"{kept:,}",
                all=f"{kept + beyond:,}",
                megabytes=MOST_BYTES // 1_000_000,
                most=f"{MOST_PICKED:,}",
            ),
            code="rows.too_many",
            safe=_UNTOUCHED,
            do=phrase(
                "Restore the table ({command}), or name only the other tables.",
                command=_RESTORED,
            ),
        )
    raise Problem(
        phrase(
            "{all} rows of {table} differ, and {kept} are kept: ROWS_BACK_LIMIT is {limit}.",
            all=f"{kept + beyond:,}",
            table=table,
            kept=f"{kept:,}",
            limit=f"{settings.ROWS_BACK_LIMIT:,}",
        ),
        code="rows.too_many",
        safe=_UNTOUCHED,
        do=phrase(
            "Restore the table ({command}), or raise ROWS_BACK_LIMIT and compare again.",
            command=_RESTORED,
        ),
    )


def _refuse_too_many(rows: Collection[int]) -> None:
    """Raise Problem for more rows than one script gives back, of whatever tables."""
    if len(rows) > settings.ROWS_BACK_LIMIT:
        raise Problem(
            phrase(
                "More rows were chosen, of all tables together, than one script gives back: "
                "ROWS_BACK_LIMIT is {limit}.",
                limit=f"{settings.ROWS_BACK_LIMIT:,}",
            ),
            code="rows.too_many",
            safe=_UNTOUCHED,
            do=phrase(
                "Restore the tables ({command}), or choose fewer rows.",
                command=_RESTORED,
            ),
        )


def refuse_altered(path: Path, digest: object) -> None:
    """Raise Problem for a file that is not there any more, or is not what was written."""
    if not path.is_file():
        raise not_kept()
    if digest_of(path) != digest:
        raise Problem(
            phrase("The file {path} is not what was written there.", path=path.name),
            code="rows.altered",
            safe=_UNTOUCHED,
            do=phrase("Compare again, and have a new script written. Find out who changed it."),
        )


def _digest_in(run: Run) -> object:
    told = told_of(run)
    return told.get("rows_sha256") if told else run.result.get("kept", {}).get("sha256")


def _of_use(tables: Mapping[str, KeptTable], rows: Sequence[Change]) -> Chosen:
    """Only the tables of which rows are meant."""
    if not rows:
        raise Problem(
            phrase("No row was chosen, so there is nothing to give back."),
            code="rows.none_chosen",
            safe=_UNTOUCHED,
        )
    named = {each.table for each in rows}
    return Chosen({name: table for name, table in tables.items() if name in named}, rows)


_UNTOUCHED = phrase("The live database was not touched.")
_RESTORED = "manage.py restore --snapshot ID --replace --table T"
