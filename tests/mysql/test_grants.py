"""What SHOW GRANTS allows, told from its lines."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backups.mysql.grants import allows, holds_everywhere, parse

TO = " TO `dump`@`%`"
FROM = " FROM `dump`@`%`"
ALLOWED: list[tuple[str, list[str], str, bool]] = [
    ("everything", [f"GRANT ALL PRIVILEGES ON *.*{TO} WITH GRANT OPTION"], "shop", True),
    ("one privilege everywhere", [f"GRANT SELECT, EVENT ON *.*{TO}"], "shop", True),
    ("another privilege", [f"GRANT EVENT, TRIGGER ON *.*{TO}"], "shop", False),
    ("a name that holds another", [f"GRANT SELECTIVE ON *.*{TO}"], "shop", False),
    ("nothing but being there", [f"GRANT USAGE ON *.*{TO}"], "shop", False),
    ("the database", [f"GRANT SELECT ON `shop`.*{TO}"], "shop", True),
    ("another database", [f"GRANT SELECT ON `shops`.*{TO}"], "shop", False),
    ("the database by a pattern", [f"GRANT SELECT ON `sh%`.*{TO}"], "shop", True),
    ("one wild character", [f"GRANT SELECT ON `sho_`.*{TO}"], "shop", True),
    ("a wild character that is not there", [f"GRANT SELECT ON `shop_`.*{TO}"], "shop", False),
    ("an escaped underscore", [rf"GRANT SELECT ON `my\_shop`.*{TO}"], "my_shop", True),
    ("an escaped underscore is not wild", [rf"GRANT SELECT ON `my\_shop`.*{TO}"], "myxshop", False),
    ("an escaped percent", [rf"GRANT SELECT ON `100\%`.*{TO}"], "100%", True),
    ("an escaped percent is not wild", [rf"GRANT SELECT ON `100\%`.*{TO}"], "100x", False),
    ("a backtick in the name", [f"GRANT SELECT ON `a``b`.*{TO}"], "a`b", True),
    (
        "characters that mean something to a regular expression",
        [f"GRANT SELECT ON `a.b+`.*{TO}"],
        "aXbb",
        False,
    ),
    ("a newline in the name", [f"GRANT SELECT ON `a%`.*{TO}"], "a\nb", True),
    ("one table", [f"GRANT SELECT ON `shop`.`orders`{TO}"], "shop", False),
    ("some columns", [f"GRANT SELECT (`id`, `name`), INSERT ON `shop`.`orders`{TO}"], "shop", False),
    ("a routine", [f"GRANT EXECUTE ON PROCEDURE `shop`.`p`{TO}"], "shop", False),
    ("a role alone", ["GRANT `reader`@`%`" + TO], "shop", False),
    ("MariaDB's role alone", ["GRANT `reader` TO `dump`@`%`"], "shop", False),
    (
        "a role's own lines",
        ["GRANT `reader` TO `dump`@`%`", f"GRANT USAGE ON *.*{TO}", "GRANT SELECT ON `shop`.* TO `reader`"],
        "shop",
        True,
    ),
    (
        "taken away again for the database",
        [f"GRANT SELECT ON *.*{TO}", f"REVOKE SELECT ON `shop`.*{FROM}"],
        "shop",
        False,
    ),
    (
        "taken away for another database",
        [f"GRANT SELECT ON *.*{TO}", f"REVOKE SELECT ON `hr`.*{FROM}"],
        "shop",
        True,
    ),
    (
        "another privilege taken away",
        [f"GRANT SELECT, EVENT ON *.*{TO}", f"REVOKE EVENT ON `shop`.*{FROM}"],
        "shop",
        True,
    ),
    ("with a password's hash", [f"GRANT SELECT ON `shop`.*{TO} IDENTIFIED BY PASSWORD '*AB'"], "shop", True),
    ("no lines at all", [], "shop", False),
]


@pytest.mark.parametrize(("told", "lines", "database", "allowed"), ALLOWED, ids=[row[0] for row in ALLOWED])
def test_select_on_the_whole_database(told: str, lines: list[str], database: str, allowed: bool) -> None:
    assert allows(parse(lines), "SELECT", database) is allowed


@pytest.mark.parametrize(
    ("line", "held"),
    [
        (f"GRANT ALL PRIVILEGES ON *.*{TO}", True),
        (f"GRANT SELECT, SUPER ON *.*{TO}", True),
        (f"GRANT SELECT, EVENT ON *.*{TO}", False),
        (f"GRANT ALL PRIVILEGES ON `shop`.*{TO}", False),
        (f"GRANT ALL PRIVILEGES ON `%`.*{TO}", False),
        (f"REVOKE SUPER ON `shop`.*{FROM}", False),
    ],
)
def test_all_on_a_database_holds_no_global_privilege(line: str, held: bool) -> None:
    assert holds_everywhere(parse([line]), {"SUPER"}) is held


@given(st.lists(st.text() | st.text().map(lambda text: f"GRANT SELECT ON {text}"), max_size=5), st.text())
def test_any_lines_are_read(lines: list[str], database: str) -> None:
    allows(parse(lines), "SELECT", database)


@given(st.text(min_size=1, max_size=64))
def test_an_escaped_name_allows_that_database(name: str) -> None:
    escaped = "".join(f"\\{character}" if character in "_%\\" else character for character in name)
    quoted = escaped.replace("`", "``")

    assert allows(parse([f"GRANT SELECT ON `{quoted}`.*{TO}"]), "SELECT", name)
