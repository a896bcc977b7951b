"""What proves nothing of a snapshot: a server that is unlike its own, or what may not be read."""

from __future__ import annotations

from collections.abc import Sequence

from backups import mysql, restic
from backups.actions.steps import verify_place
from backups.actions.steps.findings import Scratch
from backups.endpoints import to_verify_at
from backups.errors import Problem
from backups.loading.problems import BrokenDump, LoadProblem
from backups.loading.progress import Loading
from backups.models import Snapshot
from backups.text.sentences import phrase


def refuse_unlike(snapshot: Snapshot, scratch: Scratch, problem: Problem) -> None:
    """A server of another kind or release that does not take a dump proves nothing against it."""
    is_of_the_load = isinstance(problem, LoadProblem | mysql.OfTheServer)
    server = (snapshot.manifest or {}).get("server")
    if not is_of_the_load or isinstance(problem, BrokenDump) or server is None:
        return
    source = mysql.ServerInfo(server["flavour"], server["version"])
    if (source.flavour, source.number[:2]) == (scratch.info.flavour, scratch.info.number[:2]):
        return
    raise Problem(
        phrase(
            "Nothing was proved: snapshot {snapshot} was dumped from {source}, and {info} at {address} "
            "does not take it ({problem}).",
            snapshot=snapshot.short_id,
            source=source,
            info=scratch.info,
            address=scratch.server.address,
            problem=problem.what.rstrip("."),
        ),
        code="verify.other_server",
        do=phrase(
            "For a proof, {place}.",
            place=to_verify_at(scratch.row, phrase("a server of the same kind and release")),
        ),
    ) from problem


def refuse_other_spelling(snapshot: Snapshot, scratch: Scratch, names: Sequence[str]) -> None:
    """Raise Problem for a snapshot that a server cannot hold byte for byte, because it spells names anew."""
    if not names:
        return
    with mysql.connect(scratch.server) as connection:
        if not mysql.folds_names(connection):
            return
    raise Problem(
        phrase(
            "Nothing was proved: the server at {address} gives tables and views names in lower case "
            "(lower_case_table_names=1), and snapshot {snapshot} has {names}.",
            address=scratch.server.address,
            snapshot=snapshot.short_id,
            names=mysql.named(names),
        ),
        code="verify.names_in_lower_case",
        do=phrase("For a proof, {place}.", place=to_verify_at(scratch.row, verify_place.SAME_NAMES)),
    )


def refuse_other_engine(scratch: Scratch, loading: Loading) -> None:
    """Raise OfTheServer where tables lie in other storage engines than those of the snapshot."""
    if other_engine := loading.of_other_engine():
        raise mysql.OfTheServer(
            phrase(
                "Nothing was proved: {info} at {address} made tables with another storage engine than "
                "the snapshot's ({other_engine}).",
                info=scratch.info,
                address=scratch.server.address,
                other_engine=other_engine,
            ),
            code="verify.other_engine",
            do=mysql.SEE_ENGINES,
        )


NOT_THE_SNAPSHOTS_FAULT = (
    restic.RepositoryUnreachable,
    restic.RepositoryLocked,
    restic.RepositoryFull,
    restic.WrongPassword,
    restic.NoRepository,
    restic.OtherRepository,
    # What was forgotten, here or by somebody else, is no bad backup.
    restic.SnapshotGone,
    restic.Killed,
    restic.Interrupted,
)


def proves_nothing(problem: Problem) -> bool:
    """Whether what went wrong says nothing of the snapshot: what may not be read may be as good as ever."""
    if isinstance(problem, NOT_THE_SNAPSHOTS_FAULT):
        return True
    return isinstance(problem, restic.ResticError) and "permission denied" in problem.what.lower()
