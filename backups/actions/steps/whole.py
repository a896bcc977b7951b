"""Whether what was read is a whole dump of what it is to be of."""

from __future__ import annotations

from backups.actions.steps.findings import Unreadable
from backups.dumpfile.manifests import ManifestDamaged
from backups.dumpfile.ready import LoadOptions
from backups.loading.progress import End, Loading
from backups.models import Snapshot
from backups.text.sentences import phrase


def whole_load_options(database: str, source: str) -> LoadOptions:
    """How a dump is loaded to be verified: all of it in the name of the user that verifies, and no other's.

    Whoever may make what runs as an administrator is one.
    """
    return LoadOptions(database, source=source, current_user_defines=True, without_what_is_denied=True)


def source_name(snapshot: Snapshot) -> str:
    """The name that the database had when it was dumped."""
    return snapshot.source


def refuse_unless_complete(snapshot: Snapshot, loading: Loading) -> None:
    """Raise Unreadable for half a dump and for a file that holds nothing of the database."""
    if loading.end == End.CUT or (is_by_vedetta(snapshot) and not loading.digester.is_complete):
        raise Unreadable(
            phrase("The dump in the snapshot stops before its closing line."), code="dump.no_closing_line"
        )
    if is_by_vedetta(snapshot) and not _has_manifest(loading):
        raise Unreadable(
            phrase("The dump in the snapshot has no manifest. Each dump of Vedetta ends with one."),
            code="dump.no_manifest",
        )
    if why := holds_nothing(loading, source_name(snapshot)):
        raise Unreadable(why, code="dump.unreadable")


def is_by_vedetta(snapshot: Snapshot) -> bool:
    """Whether the snapshot says that Vedetta made it, so that its dump must end as ours do."""
    return "vedetta" in snapshot.tags


def holds_nothing(loading: Loading, database: str) -> str:
    """Why there is nothing of `database` in what was read, empty where there is.

    A dump by Vedetta may be of an empty database: its manifest says so.
    """
    found = loading.found
    if found.own_statements or _has_manifest(loading):
        return ""
    if found.others:
        names = ", ".join(sorted(found.others))
        return phrase("The file holds {names}, and nothing of {database}.", names=names, database=database)
    return phrase("The file holds no table, no row and no definition.")


def _has_manifest(loading: Loading) -> bool:
    try:
        return loading.digester.manifest() is not None
    except ManifestDamaged:
        return True
