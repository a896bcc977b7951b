"""Two dumps of the same, compared section by section."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from backups import mysql
from backups.actions.steps.findings import Findings, Scratch
from backups.dumpfile.ready import Found
from backups.dumpfile.sections import ROUTINES, Kind
from backups.text.kinds import of_kind
from backups.text.sentences import phrase
from backups.text.terminal import escape_control_characters


@dataclass(frozen=True)
class DumpedTwice:
    """The sections of the dump in a snapshot, and those of the database that was restored from it.

    `rows_are_same` are tables whose rows are known to be the same, though they may be written otherwise;
    `where` says in a sentence when the second is of.
    """

    first: list[dict[str, Any]]
    again: list[dict[str, Any]]
    rows_are_same: Collection[str]
    where: str = phrase("after the restore")


def compare_sections(
    dumps: DumpedTwice,
    manifest: dict[str, Any],
    scratch: Scratch,
    found: Found,
    findings: Findings,
) -> None:
    """The dump of the restored database with the one in the snapshot, section by section.

    Where other versions were at work, a difference in how they write things is none in the data:
    what cannot be told apart is named as not compared.
    """
    partial = {(each.kind, each.name) for each in found.left_out}
    partial |= {(each.ready.kind, each.ready.name) for each in found.unmade}
    partial |= {(Kind.PLACEHOLDER, each.ready.name) for each in found.unmade if each.ready.kind == Kind.VIEW}
    if not any(kind == Kind.EVENT for kind, _ in found.made):
        partial.add((Kind.EVENTS, ""))  # what stands around them
    reworded = {(each.kind, each.name) for each in found.reworded}

    def compared(sections: list[dict[str, Any]]) -> list[dict[str, Any]]:
        whole = (section for section in sections if not _is_left_out(section, partial, found))
        return [section for section in whole if (section["kind"], section["name"]) not in reworded]

    wanted, again = compared(dumps.first), compared(dumps.again)
    known = {
        phrase("{name} differs {where}", name=of_kind(Kind.ROWS, shown), where=dumps.where)
        for shown in map(escape_control_characters, dumps.rows_are_same)
    }
    differing = [each for each in differing_sections(wanted, again, dumps.where) if each not in known]
    excuse = other_versions(manifest, scratch.info, scratch.programs)
    with_json = _tables_with_json(scratch) if differing else []
    for difference in differing:
        kind_rows = difference.startswith(f"{Kind.ROWS} ")
        if excuse and (not kind_rows or excuse.of_client):
            findings.not_compared.append(
                phrase("{difference} ({reason})", difference=difference, reason=excuse.reason)
            )
        else:
            findings.differences.append(difference + _known_cause(difference, with_json))
    findings.compared.append(
        phrase(
            "{count} of {count_2} sections byte for byte",
            count=len(wanted) - len(differing),
            count_2=len(dumps.first),
        )
    )


def _is_left_out(section: dict[str, Any], partial: Collection[tuple[str, str]], found: Found) -> bool:
    """Whether a section is of what was not made, or the definition of a table that was made in part."""
    kind = section["kind"]
    if kind not in (Kind.TABLE, Kind.ROWS, Kind.TRIGGER) or (kind, section["name"]) in partial:
        return (kind, section["name"]) in partial
    table = section["table"] if kind == Kind.TRIGGER else section["name"]
    is_made = ("table", table) in found.made
    return (Kind.TABLE, table) in partial and (kind == Kind.TABLE or not is_made)


def _tables_with_json(scratch: Scratch) -> list[str]:
    with mysql.connect(scratch.server) as connection:
        return mysql.tables_with_json(connection, scratch.database)


def _known_cause(difference: str, with_json: Collection[str]) -> str:
    """What is known to make rows differ after a restore that went well, for a person."""
    if any(difference.startswith(f"{Kind.ROWS} {table} differs") for table in with_json):
        return phrase(
            " (it has JSON columns: MySQL dumps decimals in them as text and reads them back as doubles)"
        )
    return ""


@dataclass(frozen=True)
class Excuse:
    """Why a difference is none in the data: of the client's, rows may be written otherwise too."""

    reason: str
    of_client: bool


def other_versions(
    manifest: dict[str, Any], info: mysql.ServerInfo, programs: mysql.Clients
) -> Excuse | None:
    """Why this server or client may write the same otherwise than the ones of the backup did."""
    client = f"{manifest['client']['flavour']} {manifest['client']['version']}"
    if client != str(programs):
        return Excuse(
            phrase("dumped by {client}, compared with {programs}", client=client, programs=programs),
            of_client=True,
        )
    server = mysql.ServerInfo(manifest["server"]["flavour"], manifest["server"]["version"])
    if str(server) != str(info):
        return Excuse(phrase("from {server}, compared on {info}", server=server, info=info), of_client=False)
    return None


def as_counted_then(
    sections: list[dict[str, Any]], manifest: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    """The sections of a stream as the version counted them that wrote the manifest.

    Older ones knew no libraries, and cut them and the routines behind them in other places: of these
    together the length alone can be compared.
    """
    if any(section["kind"] == Kind.LIBRARY for section in manifest):
        return sections
    before, now, behind = _cut_out(sections, Kind.LIBRARY)
    _, then, _ = _cut_out(manifest, Kind.ROUTINES)
    is_as_long = sum(each["bytes"] for each in then) == sum(each["bytes"] for each in now)
    return [*before, *then, *behind] if now and is_as_long else sections


def _cut_out(
    sections: Sequence[dict[str, Any]], first: str
) -> tuple[list[dict[str, Any]], list[dict[str, Any]], list[dict[str, Any]]]:
    """What is before the first section of a kind, it with the libraries and routines behind, and the rest."""
    kinds = [section["kind"] for section in sections]
    begin = end = kinds.index(first) if first in kinds else len(kinds)
    while end < len(kinds) and kinds[end] in (first, Kind.LIBRARY, Kind.ROUTINE, *ROUTINES):
        end += 1
    return list(sections[:begin]), list(sections[begin:end]), list(sections[end:])


def differing_sections(wanted: list[dict[str, Any]], found: list[dict[str, Any]], where: str) -> list[str]:
    """The sections that are not the same, each as a short phrase that names it."""
    left = _by_key(wanted)
    right = _by_key(found)
    differences = []
    for key in [*left, *(key for key in right if key not in left)]:
        name = of_kind(key[0], escape_control_characters(key[1]))
        if key not in right:
            differences.append(phrase("{name} is missing {where}", name=name, where=where))
        elif key not in left:
            differences.append(phrase("{name} was added {where}", name=name, where=where))
        elif left[key] != right[key]:
            differences.append(phrase("{name} differs {where}", name=name, where=where))
    return differences


def _by_key(sections: list[dict[str, Any]]) -> dict[tuple[str, str, int], tuple[int, str]]:
    """Sections by kind and name, with a number where two share both."""
    found: dict[tuple[str, str, int], tuple[int, str]] = {}
    seen: Counter[tuple[str, str]] = Counter()
    for section in sections:
        key = (section["kind"], section["name"])
        found[*key, seen[key]] = (section["bytes"], section["sha256"])
        seen[key] += 1
    return found
