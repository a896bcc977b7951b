"""A night of many small databases with other people's tools: loops, or what each has for many at once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bench.others import BORGMATIC, MYDUMPER, PHYSICAL, write_borgmatic
from bench.peers import DUMP, KEEP, Peer, Tool
from tests.backups.worlds import Shop

_EACH = "while read -r name; do {} || exit; done < names"
_BACKUP = 'restic backup --quiet --host loop --tag "$name"'
# With the same key as ours and the loop's.
_BEGIN = "cp -r ../repository repository"
_NIGHT = f"restic forget --quiet --host loop --group-by host,tags {KEEP} && restic prune --quiet"
TOOLS = (
    Tool(
        "a loop of old scripts",
        _EACH.format(f'{DUMP} "$name" | gzip > "$name.sql.gz" && {_BACKUP} "$name.sql.gz"'),
        night=_NIGHT,
        begin=_BEGIN,
    ),
    Tool(
        "a loop of mydumper + restic",
        _EACH.format(
            'mydumper --defaults-file client.cnf --database "$name" --outputdir dump --routines --triggers'
            f" --events && {_BACKUP} dump && rm -r dump"
        ),
        night=_NIGHT,
        begin=_BEGIN,
        programs=MYDUMPER.programs,
    ),
    Tool(
        "mariadb-backup of the server + restic",
        PHYSICAL.backup.replace("--host shop", "--host loop --tag server"),
        night=_NIGHT,
        begin=_BEGIN,
        programs=PHYSICAL.programs,
    ),
    Tool("borgmatic of all + borg", BORGMATIC.backup, BORGMATIC.night, BORGMATIC.begin, BORGMATIC.programs),
)


def peers_of(shop: Shop, names: Sequence[str], folder: Path, restic: Path) -> dict[str, Peer | None]:
    """Each way with a folder and a repository of its own; None where it is not installed."""
    return {
        tool.name: _peer(tool, shop, names, folder / f"other-{number}", restic) if tool.installed else None
        for number, tool in enumerate(TOOLS)
    }


def _peer(tool: Tool, shop: Shop, names: Sequence[str], folder: Path, restic: Path) -> Peer:
    """One that begins with a repository."""
    peer = Peer(tool, shop, folder, restic)
    (folder / "names").write_text("\n".join(names) + "\n")
    if tool.programs == BORGMATIC.programs:
        write_borgmatic(shop, folder, names)
    return peer
