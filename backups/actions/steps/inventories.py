"""What a dump holds and what a database holds, compared by their names and object by object."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from backups import mysql
from backups.actions.steps.findings import Findings, Scratch
from backups.dumpfile.manifests import objects_in
from backups.dumpfile.ready import Found
from backups.dumpfile.sections import Kind
from backups.dumpfile.spelling import in_lower_case
from backups.dumpfile.tally import Tally
from backups.dumpfile.tally import differences as tally_differences
from backups.loading.progress import End, Loading
from backups.loading.table_plan import comparable
from backups.text.kinds import kind_word
from backups.text.sentences import phrase, plural


def collations_of(manifest: dict[str, Any] | None, scratch: Scratch) -> dict[str, str]:
    """What the digests of table definitions were normalised with."""
    if manifest is not None:
        return dict(manifest.get("collations", {}))
    with mysql.connect(scratch.server) as connection:
        return mysql.default_collations(connection, scratch.info)


def without_left_out(wanted: dict[str, list[str]], found: Found) -> dict[str, list[str]]:
    """An inventory without what was not made: tables with their triggers, events."""
    unmade = {(each.kind, each.name) for each in found.left_out} - found.made.keys()
    of_kind = {Kind.TRIGGER: Kind.TABLE}
    kept = {
        kind: [name for name in names if (of_kind.get(kind, kind), name) not in unmade]
        for kind, names in wanted.items()
    }
    return {kind: names for kind, names in kept.items() if names}


def made_of(
    sections: Sequence[dict[str, Any]], found: Found, *, folds_names: bool = False
) -> dict[str, list[str]]:
    """What a dump holds by its sections, without what the server did not make; triggers by their table.

    Where the server `folds_names`, all in its spelling.
    """
    held = objects_in(sections)
    if folds_names:
        held = in_lower_case(held)
    for each in found.unmade:
        names = held.get(each.ready.kind, [])
        name = each.ready.table if each.ready.kind == Kind.TRIGGER else each.ready.name
        if name in names:
            names.remove(name)
    return held


def compare_inventory(scratch: Scratch, wanted: dict[str, list[str]], findings: Findings) -> None:
    """Note what of the dump's inventory is not in the scratch database, and the other way round."""
    findings.compared.append(phrase("the inventory of tables, views, triggers, routines and events"))
    with mysql.connect(scratch.server) as connection:
        restored = mysql.inventory(connection, scratch.database)
    for kind in sorted({*wanted, *restored}):
        missing = _without(wanted.get(kind, []), restored.get(kind, []))
        extra = _without(restored.get(kind, []), wanted.get(kind, []))
        of_table = phrase("a trigger of table ") if kind == Kind.TRIGGER else kind_word(kind) + " "
        findings.differences += [
            phrase("{of_table}{name} is missing after the restore", of_table=of_table, name=name)
            for name in missing
        ]
        findings.differences += [
            phrase(
                "{of_table}{name} is there after the restore, but not in the dump",
                of_table=of_table,
                name=name,
            )
            for name in extra
        ]


def _without(names: list[str], others: list[str]) -> list[str]:
    """The names left when each of the others took away one."""
    return list((Counter(names) - Counter(others)).elements())


def compare_objects(
    loading: Loading, wanted: Tally, again: Tally, collations: dict[str, str], findings: Findings
) -> None:
    """A dump by other hands with one of what it became, object by object: there is no digest."""
    definitions = {
        name: (comparable(text, collations), comparable(again.tables.get(name, b""), collations))
        for name, text in wanted.tables.items()
        if name not in wanted.completed_later
    }
    differing = tally_differences(wanted, again, definitions)
    findings.differences += differing
    objects = len(wanted.rows) + len(definitions) + len(wanted.definitions)
    findings.compared.append(
        phrase(
            "{objects} of {objects_2} objects (rows, definitions)",
            objects=objects - len(differing),
            objects_2=objects,
        )
    )
    findings.not_compared += [
        phrase("how {name} is defined: the file adds its keys apart", name=name)
        for name in sorted(wanted.completed_later)
    ]
    if loading.end == End.UNKNOWN:
        findings.differences.append(
            phrase(
                "nobody can tell whether the file is whole: it has no closing line (--compact, "
                "--skip-comments)"
            )
        )
    if wanted.rows and not loading.found.with_rows:
        findings.differences.append(phrase("the file holds no row of any table (--no-data)"))
    findings.not_compared += [
        phrase(
            "{statements} of the database {name}, not loaded",
            statements=plural("{n} statement", "{n} statements", n=count),
            name=name,
        )
        for name, count in loading.found.others.items()
    ]


def same_but_for_numbers(wanted: Tally, again: Tally, findings: Findings) -> set[str]:
    """Tables that a server numbers anew (MariaDB, versioned by transactions), and whose rows are the same."""
    same = {table for table, rows in wanted.rows.items() if again.rows.get(table) == rows}
    findings.not_compared += [
        phrase("the transactions' numbers in {table}: they are given anew", table=table) for table in same
    ]
    return same
