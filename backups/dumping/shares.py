"""Which tables each of several dump programs dumps."""

from __future__ import annotations

from collections.abc import Sequence

from backups import mysql


def shares(tables: Sequence[mysql.TableSize], connections: int, room: int) -> list[list[str]]:
    """The tables, in their order, cut into at most so many runs, the largest as small as can be.

    All but the first run have to fit into `room` bytes.
    """
    least, most = 0, sum(table.bytes for table in tables)
    while least < most:
        limit = (least + most) // 2
        if len(_runs(tables, limit, room)) <= connections:
            most = limit
        else:
            least = limit + 1
    return _runs(tables, least, room)


def _runs(tables: Sequence[mysql.TableSize], limit: int, room: int) -> list[list[str]]:
    runs: list[list[str]] = [[]]
    size, ahead = 0, sum(table.most for table in tables)
    for table in tables:
        has_to_stay = len(runs) == 1 and ahead > room
        if runs[-1] and size + table.bytes > limit and not has_to_stay:
            runs.append([])
            size = 0
        runs[-1].append(table.name)
        size += table.bytes
        ahead -= table.most
    return runs
