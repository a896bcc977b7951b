"""What others.py says of each file is true: the servers' own clients load it so, or do not load it."""

from __future__ import annotations

import gzip

import pytest

from tests.loading.others import OTHERS, Other
from tests.servers import FLAVOURS, DatabaseServer

RIGHT = [
    (name, flavour)
    for name, other in OTHERS.items()
    for flavour in FLAVOURS
    if flavour in other.flavours and not other.refused
]
OBJECTS = """
SELECT LOWER(CONCAT(ROUTINE_TYPE, ' ', ROUTINE_NAME)) FROM information_schema.ROUTINES
  WHERE ROUTINE_SCHEMA = 'shop'
UNION SELECT CONCAT('trigger ', TRIGGER_NAME) FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = 'shop'
UNION SELECT CONCAT('view ', TABLE_NAME) FROM information_schema.VIEWS WHERE TABLE_SCHEMA = 'shop'
UNION SELECT CONCAT('event ', EVENT_NAME) FROM information_schema.EVENTS WHERE EVENT_SCHEMA = 'shop'
UNION SELECT CONCAT('sequence ', TABLE_NAME) FROM information_schema.TABLES
  WHERE TABLE_SCHEMA = 'shop' AND TABLE_TYPE = 'SEQUENCE'
"""


def text_of(other: Other) -> bytes:
    """The dump unpacked, as whoever restores by hand would do first."""
    return gzip.decompress(other.dump) if other.dump[:2] == b"\x1f\x8b" else other.dump


@pytest.mark.soak
@pytest.mark.parametrize(("name", "flavour"), RIGHT)
def test_the_ordinary_client_restores_what_is_said(
    request: pytest.FixtureRequest, name: str, flavour: str
) -> None:
    server: DatabaseServer = request.getfixturevalue(f"{flavour}_server")
    other = OTHERS[name]
    server.create_database("shop")
    try:
        server.client("shop", stdin=text_of(other))

        tables = server.query(
            "SELECT TABLE_NAME FROM information_schema.TABLES"
            " WHERE TABLE_SCHEMA = 'shop' AND TABLE_TYPE = 'BASE TABLE'"
        )
        rows = {table: server.query(f"SELECT COUNT(*) FROM `{table}`", "shop")[0][0] for (table,) in tables}
        assert rows == other.rows
        assert {found for (found,) in server.query(OBJECTS)} == other.objects
        if other.rows.get("customers"):
            assert server.query("SELECT name FROM customers WHERE id = 2", "shop") == [
                ("Grace; -- 'quoted'",)
            ]
    finally:
        server.execute("DROP DATABASE IF EXISTS shop")
