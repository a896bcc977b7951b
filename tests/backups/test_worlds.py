"""A portal that is copied is what one is that was set up."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing

import pytest

from tests.backups.conftest import WITH_A_COPY, MakePortal
from tests.backups.worlds import Portal, Shop, copy_set_up, is_due, make_shop
from tests.servers import FLAVOURS

# Of the run that opened the repository: when, and in which process.
OF_THE_RUN = re.compile(r"20\d\d-\d\d-\d\d[ T][\d:.]+(\+00:00)?|'[^' ]+:\d+:[0-9a-f]+-\d+'")


@pytest.mark.parametrize(
    ("flavour", "environment"), [*((flavour, {}) for flavour in FLAVOURS), ("mariadb", WITH_A_COPY)]
)
def test_a_copied_portal_has_the_rows_and_files_of_one_that_was_set_up(
    flavour: str, environment: dict[str, str], request: pytest.FixtureRequest, make_portal: MakePortal
) -> None:
    shop = make_shop(request.getfixturevalue(f"{flavour}_server"))
    copied = make_portal(shop, **environment)
    set_up = make_portal(shop, set_up=False, **environment)
    ran = set_up.manage("bootstrap")
    assert ran.code == 0, ran.err

    assert rows(copied) ^ rows(set_up) == set()
    assert files(copied) == files(set_up)
    assert copied.manage("bootstrap").out == ran.out.replace(set_up.repository, copied.repository)


def test_what_was_due_meanwhile_is_not_due_in_a_copy(mariadb_shop: Shop, make_portal: MakePortal) -> None:
    template, portal = make_portal(mariadb_shop), make_portal(mariadb_shop)
    assert not is_due(template)

    with closing(sqlite3.connect(template.database_file)) as connection, connection:
        connection.execute("UPDATE django_q_schedule SET next_run = datetime('now')")

    assert is_due(template)
    copy_set_up(template, portal)
    assert is_due(portal), "it is the template that has to be another one"


def rows(portal: Portal) -> set[str]:
    """All rows, what is of a moment left out."""
    with closing(sqlite3.connect(portal.database_file)) as connection:
        lines = [line for line in connection.iterdump() if not line.startswith('INSERT INTO "backups_mark"')]
        return {OF_THE_RUN.sub("…", line.replace(portal.repository, "…")) for line in lines}


def files(portal: Portal) -> dict[str, str]:
    """All folders and files, and what the status files say; since when it is there is of a moment."""
    found = {path.name: "" for path in portal.folder.iterdir()}
    status = {path.name: path.read_text() for path in (portal.folder / "status").iterdir()}
    assert status.pop("first_boot")
    return {**found, **status}
