"""What is asked of the rows that a run keeps: a page of them, which ones fit a condition, a script."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from backups.actions.steps import kept_files
from backups.actions.steps.rows_chosen import numbers_where, refuse_altered
from backups.differences.kept_rows import AGAIN, AGAIN_CHOSEN, KINDS, Change, Values, kept_rows, not_kept
from backups.errors import Problem
from backups.models import Run
from backups.requests import Choice
from backups.requests.rows_back import told_of
from backups.text.sentences import phrase

_MOST_ROWS = 500
# Characters of a value.
_LONGEST_SHOWN = 500


def answer(run_id: int, wanted: Mapping[str, Any]) -> bytes:
    """What is wanted, as bytes. Raises Problem for what is not kept any more, or was never to be had."""
    run = Run.objects.filter(pk=run_id).first()
    if run is None:
        raise not_kept()
    try:
        kind = wanted["ask"]
        if kind == "script":
            return _script(run, is_undo=wanted["undo"] is True)
        if kind == "where":
            return _where(run, wanted)
        if kind == "found":
            ranges = Choice.of_numbers("", _found(run, wanted)).ranges
            return json.dumps({"ranges": ranges}).encode()
        if kind == "page":
            return _page(run, wanted)
    except (KeyError, TypeError, ValueError) as error:
        raise _unknown() from error
    raise _unknown()


def _unknown() -> Problem:
    return Problem(
        phrase("This version of the worker does not know what is asked of the rows."),
        code="rows.unknown_question",
        do=phrase("See that portal and worker are of the same version."),
    )


def _script(run: Run, *, is_undo: bool) -> bytes:
    path = kept_files.script_of(run.pk, undo=is_undo)
    refuse_altered(path, told_of(run).get("undo_sha256" if is_undo else "script_sha256"))
    return path.read_bytes()


def _where(run: Run, wanted: Mapping[str, Any]) -> bytes:
    table = str(wanted["table"])
    numbers = numbers_where(run, table, _kinds(wanted) or KINDS, str(wanted["where"]))
    ranges = Choice.of_numbers(table, numbers).ranges
    return json.dumps({"rows": len(numbers), "ranges": ranges}).encode()


def _page(run: Run, wanted: Mapping[str, Any]) -> bytes:
    table = str(wanted["table"])
    limit = min(max(int(wanted["limit"]), 1), _MOST_ROWS)
    with kept_rows(kept_files.rows_of(run.pk)) as rows:
        kept = next((each for each in rows.tables() if each.name == table), None)
        if kept is None:
            return json.dumps({"total": 0, "beyond": 0, "key": [], "rows": []}).encode()
        offset = max(int(wanted["offset"]), 0)
        if wanted.get("where"):
            numbers = _found(run, wanted)
            total, found = len(numbers), list(rows.numbered(numbers[offset : offset + limit]))
        else:
            total, found = rows.page(table, offset, limit, _kinds(wanted), str(wanted["search"]))
    shown = [_shown(each) for each in found]
    return json.dumps({"total": total, "beyond": kept.beyond, "key": list(kept.key), "rows": shown}).encode()


def _found(run: Run, wanted: Mapping[str, Any]) -> list[int]:
    """The numbers of all rows that are wanted. Raises Problem for a condition that cannot be read."""
    table, kinds, where = str(wanted["table"]), _kinds(wanted), str(wanted["where"])
    with kept_rows(kept_files.rows_of(run.pk)) as rows:
        numbers = rows.numbers(table, kinds, str(wanted["search"]))
    if not where:
        return numbers
    true_of = set(numbers_where(run, table, kinds or KINDS, where))
    return [number for number in numbers if number in true_of]


def _kinds(wanted: Mapping[str, Any]) -> list[str]:
    return [kind for kind in KINDS if kind in wanted["kinds"]]


def _shown(change: Change) -> Mapping[str, Any]:
    is_again = change.state in (AGAIN, AGAIN_CHOSEN)
    sides = (change.then, change.now, change.third if is_again else None)
    return {
        "number": change.number,
        "kind": change.kind,
        "state": change.state,
        "is_there_now": not is_again or change.third is not None,
        "cells": [_cell(name, sides, is_again=is_again) for name in _columns(sides)],
    }


def _columns(sides: Iterable[Values | None]) -> list[bytes]:
    return list(dict.fromkeys(name for values in sides for name in values or ()))


def _cell(name: bytes, sides: Iterable[Values | None], *, is_again: bool) -> Mapping[str, Any]:
    then, now, third = (None if values is None else values.get(name) for values in sides)
    differs = then != now if then is not None and now is not None else False
    return {
        "column": name.decode(errors="replace"),
        "then": _text(then),
        "now": _text(now),
        "third": _text(third) if is_again else None,
        "differs": differs or (is_again and third != then),
    }


def _text(value: bytes | None) -> str | None:
    if value is None:
        return None
    text = value[: 4 * (_LONGEST_SHOWN + 1)].decode(errors="backslashreplace")
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"
