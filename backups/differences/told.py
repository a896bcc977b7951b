"""What a comparison found, in words for a person: from what its run's row keeps of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from backups.text.kinds import of_kind
from backups.text.sentences import joined, number, phrase, plural, template

if TYPE_CHECKING:
    from backups.differences.result import Differences
    from backups.differences.shown import ShownRow, Values

_WHY_NOT = {
    "not_read": phrase("its rows are in no dump"),
    "not_cut": phrase("its rows are not written alike on both sides, or not as dump programs write them"),
    "no_column": phrase("no column is the same on both sides"),
}
_CHANGES = {
    "came": phrase("was not there before"),
    "gone": phrase("gone"),
    "changed": phrase("defined otherwise"),
}


def rows_words(table: Mapping[str, Any]) -> str:
    """What became of a table's rows, as in "312 gone, 4 new, 7 changed"."""
    if table["gone"] is None:
        why = _WHY_NOT.get(table["why_not"], table["why_not"])
        return phrase("its rows were not compared: {why}", why=why)
    if table["change"] == "came":
        return plural("the table is new, with {n} row", "the table is new, with {n} rows", n=table["new"])
    if table["change"] == "gone":
        return plural("the table is gone, with {n} row", "the table is gone, with {n} rows", n=table["gone"])
    return phrase(
        "{gone} gone, {new} new, {changed} changed",
        gone=number(table["gone"]),
        new=number(table["new"]),
        changed=number(table["changed"]),
    )


def how_words(table: Mapping[str, Any]) -> str:
    """How a table's rows were told apart, and what of them was not compared; empty where nothing was."""
    if table["gone"] is None or table["change"]:
        return ""
    key = ", ".join(table["key"])
    how = phrase("by the key {key}", key=key) if key else phrase("by whole rows, as it has no key for this")
    # Rows of the version before do not say it.
    if table.get("is_key_new"):
        how = phrase("by the key {key}, which only the later side has", key=key)
    server = [phrase("on a server, in scratch databases")] if table.get("by_server") else []
    return joined([how, *server, *_columns(table)], "; ")


def _columns(table: Mapping[str, Any]) -> Iterator[str]:
    for names, words in (
        (table["columns_came"], template("new columns, not compared: {names}")),
        (table["columns_gone"], template("columns that are gone, not compared: {names}")),
        (table["columns_retyped"], template("columns of another type, not compared: {names}")),
        (table.get("columns_converted"), template("columns of another type, compared by value: {names}")),
        (table.get("columns_computed"), template("columns that the server computes, not compared: {names}")),
        (
            table.get("columns_rounded"),
            template("FLOAT columns, of which only the six digits that dumps have are compared: {names}"),
        ),
    ):
        if names:
            yield phrase(words, names=", ".join(names))


def object_words(thing: Mapping[str, Any]) -> str:
    """What became of an object, as in "view totals: gone"."""
    change = _CHANGES.get(thing["change"], thing["change"])
    return phrase("{what}: {change}", what=of_kind(thing["kind"], thing["name"]), change=change)


def row_words(row: ShownRow, key: Sequence[str]) -> str:
    """A row that differs, with its values as they are written in SQL: - is gone, + is new, ~ is changed."""
    if row.before is None or row.after is None:
        sign, values = ("+", row.after) if row.before is None else ("-", row.before)
        return f"{sign} {_values(values or {})}"
    now = row.after
    told_by = _values({name: now[name] for name in key if name in now})
    changes = ", ".join(f"{name}={row.before[name].text} → {row.after[name].text}" for name in row.differing)
    return f"~ {told_by}: {changes}"


def _values(values: Values) -> str:
    return ", ".join(f"{name}={value.text}" for name, value in values.items())


def side_words(side: Mapping[str, Any]) -> str:
    """Which side it is: a snapshot's id, a moment with the log's position, or now."""
    if moment := side.get("moment"):
        return phrase("by the log, up to {file}:{position}", file=moment["file"], position=moment["position"])
    return str(side["snapshot_id"])[:8] if side["snapshot_id"] else phrase("now")


def in_short(found: Differences) -> str:
    """How much differs, in one sentence for the log, and how that was found."""
    other = sum(any((each.gone, each.new, each.changed)) for each in found.tables)
    not_compared = sum(each.gone is None for each in found.tables)
    tables = plural("{n} table has other rows", "{n} tables have other rows", n=other)
    objects = plural("{n} object differs", "{n} objects differ", n=len(found.objects))
    same = plural("{n} table is the same", "{n} tables are the same", n=found.same_tables)
    what = phrase("{tables} and {objects}; {same}.", tables=tables, objects=objects, same=same)
    if not_compared:
        what = phrase(
            "{tables}, {not_compared} and {objects}; {same}.",
            tables=tables,
            not_compared=plural("{n} was not compared", "{n} were not compared", n=not_compared),
            objects=objects,
            same=same,
        )
    return joined([what, way_words(sum(each.by_server for each in found.tables))])


def way_words(by_server: int, address: str = "") -> str:
    """How rows were compared, of which a server compared so many tables, in a sentence."""
    if not by_server:
        return phrase("The rows were compared by digests, without any server.")
    if address:
        return plural(
            "The rows of {n} table that is defined otherwise were compared in scratch databases at "
            "{address}, all others by digests, without any server.",
            "The rows of {n} tables that are defined otherwise were compared in scratch databases at "
            "{address}, all others by digests, without any server.",
            n=by_server,
            address=address,
        )
    return plural(
        "The rows of {n} table that is defined otherwise were compared in scratch databases, all others by "
        "digests, without any server.",
        "The rows of {n} tables that are defined otherwise were compared in scratch databases, all others by "
        "digests, without any server.",
        n=by_server,
    )


def way_of(difference: Mapping[str, Any]) -> list[str]:
    """How the rows of a comparison were compared, a sentence each; nothing where a version before did it."""
    if "server" not in difference:
        return []
    server = difference["server"] or {}
    if "why_not" in server:
        return [
            way_words(0),
            phrase(
                "For tables that are defined otherwise on both sides no server could be had: {why}",
                why=server["why_not"],
            ),
        ]
    return [way_words(server.get("tables", 0), server.get("address", ""))]


_MOST_NAMED = 5


def doubts(difference: Mapping[str, Any]) -> list[str]:
    """What makes it uncertain whether something differs or is only written otherwise; a sentence each."""
    before, after = difference["before"], difference["after"]
    found = []
    if before["server"] != after["server"]:
        found.append(
            phrase(
                "The server was {before} then and is {after} on the later side. Definitions may only be "
                "written otherwise.",
                before=before["server"],
                after=after["server"],
            )
        )
    if before["client"] and after["client"] and before["client"] != after["client"]:
        found.append(
            phrase(
                "The dump program was of version {before} then and of {after} on the later side. What "
                "differs may only be written otherwise.",
                before=before["client"],
                after=after["client"],
            )
        )
    if difference.get("events_not_compared"):
        found.append(
            phrase("Events were not compared: those of a moment are disabled where it is brought back.")
        )
    # Rows of the version before say nothing of it.
    if difference.get("libraries_unknown"):
        found.append(
            phrase(
                "The earlier backup names no libraries: it has none, or the version of Vedetta that made it "
                "knew none. So libraries and routines were not compared."
            )
        )
    if difference["left_out"]:
        named = difference["left_out"][:_MOST_NAMED]
        more = len(difference["left_out"]) - len(named)
        names = joined(named, ", ") + (phrase(" and {more} more", more=more) if more else "")
        found.append(phrase("Not in both dumps, so not compared: {names}.", names=names))
    return found
