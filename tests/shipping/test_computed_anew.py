"""Stored columns that a replay computes anew: it is known which, and what they depend on.

Only MariaDB from 11 on does so; what it would be asked is asked of any.
"""

from __future__ import annotations

import pytest

from backups import mysql
from backups.shipping import computed_anew
from tests.dumping.test_dump import server_of
from tests.servers import DatabaseServer
from tests.shipping.conftest import ship_shop

SHARES = "CREATE TABLE shares (a INT, b INT, share DECIMAL(9, 6) AS (a / b) STORED, s INT AS (a + b) STORED)"


def test_columns_that_depend_on_what_no_log_tells_are_named_with_that(shared_mariadb: DatabaseServer) -> None:
    shop = ship_shop(shared_mariadb)
    shop.execute(SHARES)
    with mysql.connect(server_of(shop)) as connection:
        info = mysql.ServerInfo("MariaDB", "11.8.9-MariaDB")
        found = computed_anew.tables(connection, info, shop.name)
        assert list(computed_anew.problems(connection, found)) == []
        shared_mariadb.execute("SET GLOBAL div_precision_increment = 9")
        try:
            (problem,) = computed_anew.problems(connection, found)
        finally:
            shared_mariadb.execute("SET GLOBAL div_precision_increment = 4")

    assert found == {"div_precision_increment": ["shares"]}
    (warning,) = computed_anew.warnings(found)
    assert "shares depend on div_precision_increment" in warning
    assert "is '9' on the server, and '4' in a replay" in problem.what
    assert "SET GLOBAL div_precision_increment = 4;" in problem.do


@pytest.mark.parametrize("told", [("MariaDB", "10.11.19-MariaDB"), ("MySQL", "9.7.4")])
def test_other_servers_take_the_values_that_are_logged(
    shared_mariadb: DatabaseServer, told: tuple[str, str]
) -> None:
    shop = ship_shop(shared_mariadb)
    shop.execute(SHARES)
    with mysql.connect(server_of(shop)) as connection:
        assert computed_anew.tables(connection, mysql.ServerInfo(*told), shop.name) == {}
