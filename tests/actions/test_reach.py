"""What the verifying user may not read is compared as it is defined, listed, and no difference."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest
from django.test import Client
from django.urls import reverse

from backups.dumpfile.rewriting import without_definer
from backups.dumpfile.sections import Kind, Section
from backups.dumpfile.views import reads_another
from tests.actions.tools import (
    back_up,
    dumped,
    log_of,
    scratch_databases,
    stored,
    verdict,
    verify,
    with_least,
)
from tests.backups.conftest import MakeDatabase
from tests.backups.worlds import Shop, make_shop
from tests.servers import DatabaseServer

OUTSIDE = """
CREATE TABLE rates (k INT PRIMARY KEY, r INT);
INSERT INTO rates VALUES (1, 7);
DELIMITER ;;
CREATE FUNCTION rate() RETURNS INT DETERMINISTIC READS SQL DATA RETURN (SELECT MAX(r) FROM rates);;
DELIMITER ;
"""
READING = """
CREATE TABLE goods (id INT PRIMARY KEY, k INT);
INSERT INTO goods VALUES (1, 1), (2, 1);
CREATE VIEW rated AS SELECT g.id, r.r FROM goods g JOIN {outside}.rates r ON r.k = g.k;
CREATE SQL SECURITY INVOKER VIEW there AS SELECT id FROM goods WHERE EXISTS (SELECT 1 FROM {outside}.rates);
CREATE VIEW a_on_rated AS SELECT id FROM rated;
{called}
CREATE VIEW plain AS SELECT id FROM goods;
DELIMITER ;;
CREATE FUNCTION from_there() RETURNS INT DETERMINISTIC READS SQL DATA
  RETURN (SELECT MAX(r) FROM {outside}.rates);;
CREATE TRIGGER noted BEFORE DELETE ON goods FOR EACH ROW DELETE FROM {outside}.rates WHERE k = OLD.k;;
DELIMITER ;
CREATE VIEW by_function AS SELECT from_there() AS n;
"""
UNREACHED = {
    # Which names the live database in a view upon another view, and reads that one.
    "mariadb": ["rated", "there"],
    "mysql": ["a_on_rated", "called", "rated", "there"],
}


@pytest.fixture
def reading(db_server: DatabaseServer) -> Iterator[Shop]:
    """A database that reads another one, of which its least user may see nothing."""
    outside = f"rates_{secrets.token_hex(4)}"
    db_server.create_database(outside)
    if db_server.flavour == "mysql":
        db_server.execute("SET GLOBAL log_bin_trust_function_creators = 1")
    db_server.load(OUTSIDE, outside)
    # MariaDB's dump program has the server run such functions, which the least may not.
    called = "" if db_server.flavour == "mariadb" else "CREATE VIEW called AS SELECT {outside}.rate() AS n;"
    script = READING.replace("{called}", called).replace("{outside}", outside)
    shop = make_shop(db_server, script)
    yield shop
    db_server.execute(f"DROP DATABASE `{shop.name}`; DROP DATABASE `{outside}`")


@pytest.mark.one_flavour("mysql")
def test_what_reads_another_database_is_compared_as_it_is_defined(
    reading: Shop, make_database: MakeDatabase, admin_client: Client
) -> None:
    least = with_least(reading, "dump", "verify")
    database = make_database(least)
    snapshot = back_up(database)

    run = verify(database)

    found = verdict(run)
    assert found.verdict == "identical", found.differences
    unreached = UNREACHED[reading.server.flavour]
    assert sorted(each["name"] for each in run.result["not_run"]) == unreached
    assert {each["kind"] for each in run.result["not_run"]} == {"view"}
    whys = {each["name"]: each["why"] for each in run.result["not_run"]}
    assert "denied" in whys["rated"]
    assert "may not run a function" in whys.get("called", "may not run a function")
    assert sorted(each.partition(" runs: ")[0] for each in found.not_compared) == [
        f"whether view {name}" for name in unreached
    ]
    assert "Not compared is whether these run: view " in log_of(run)
    page = admin_client.get(reverse("admin:backups_verification_change", args=[found.pk])).text
    assert "whether view rated runs: " in page
    assert scratch_databases(reading.server) == []

    otherwise = (
        dumped(snapshot).replace(b"`r` on(", b"`r` on(1 = 1 and ").replace(b"`k` = `r`", b"`k` <> `r`")
    )
    assert otherwise != dumped(snapshot)
    told = verdict(verify(database, stored(snapshot, otherwise)))
    assert told.verdict == "different"
    assert "view rated differs in the stream" in told.differences


@pytest.mark.parametrize(
    ("view", "another"),
    [
        (b"select 1 from `goods`", False),
        (b"select 1 from `shop`.`goods`", False),
        (b"select 1 from (`shop__verify_1`.`goods` join `o``ther`.`t`)", True),
        (b"select 1 from `shop`.`goods` where exists(select 1 from `other`.`t`)", True),
    ],
)
def test_reads_another(view: bytes, another: bool) -> None:
    assert reads_another(view, ["shop", "shop__verify_1"]) is another


HEADS = (
    ("CREATE DEFINER=`root`@`localhost` PROCEDURE `p`()", "CREATE DEFINER=CURRENT_USER PROCEDURE `p`()"),
    ('CREATE DEFINER="a""b"@"%" FUNCTION "f"()', 'CREATE DEFINER=CURRENT_USER FUNCTION "f"()'),
    ("CREATE DEFINER=`a``b\n`@`%` EVENT `e`", "CREATE DEFINER=CURRENT_USER EVENT `e`"),
    (
        "DROP VIEW IF EXISTS `CREATE DEFINER=``a``@``b```;\nCREATE DEFINER=`x`@`y` VIEW `v`",
        "DROP VIEW IF EXISTS `CREATE DEFINER=``a``@``b```;\nCREATE DEFINER=CURRENT_USER VIEW `v`",
    ),
    (
        "CREATE DEFINER=`x`@`y` SQL SECURITY INVOKER VIEW `v` AS select 'CREATE DEFINER=`a`@`b`'",
        "CREATE DEFINER=CURRENT_USER SQL SECURITY INVOKER VIEW `v` AS select 'CREATE DEFINER=`a`@`b`'",
    ),
    # As the dump programs wrap an account, and do not wrap a role.
    (
        "/*!50003 CREATE*/ /*!50017 DEFINER=`x`@`y`*/ /*!50003 TRIGGER `t` */",
        "/*!50003 CREATE DEFINER=CURRENT_USER TRIGGER `t` */",
    ),
    ("/*!50003 CREATE DEFINER=`boss` TRIGGER `t` */", "/*!50003 CREATE DEFINER=CURRENT_USER TRIGGER `t` */"),
    (
        "/*!50001 CREATE */\n/*!50013 DEFINER=`x`@`y` SQL SECURITY DEFINER */\n/*!50001 VIEW `v`",
        "/*!50001 CREATE DEFINER=CURRENT_USER SQL SECURITY DEFINER VIEW `v`",
    ),
    (
        "/*!50001 CREATE ALGORITHM=MERGE DEFINER=`boss` SQL SECURITY DEFINER VIEW `v`",
        "/*!50001 CREATE ALGORITHM=MERGE DEFINER=CURRENT_USER SQL SECURITY DEFINER VIEW `v`",
    ),
    # Nobody's, and one that does not end.
    (
        "CREATE LIBRARY `l` AS $$ CREATE DEFINER=`a`@`b` $$",
        "CREATE LIBRARY `l` AS $$ CREATE DEFINER=`a`@`b` $$",
    ),
    ("CREATE DEFINER=`a", "CREATE DEFINER=`a"),
)


@pytest.mark.parametrize(("text", "anybodys"), HEADS)
def test_the_definer_alone_is_taken_out(text: str, anybodys: str) -> None:
    assert without_definer(text.encode()).decode() == anybodys


def routine(*lines: str) -> Section:
    section = Section(Kind.PROCEDURE, "p")
    for line in lines:
        section.add(f"{line}\n".encode(), "shop")
    return section


def test_a_routine_is_the_same_whoever_defines_it_and_no_other() -> None:
    body = ("BEGIN", "CREATE DEFINER=`a`@`b` is text here", "END ;;")
    roots = routine("SET x;", "CREATE DEFINER=`root`@`%` PROCEDURE `p`()", *body)

    def same(other: Section, *, whoever: bool = True) -> bool:
        one, two = (each.as_json({}, whatever_state=True, whoever_defines=whoever) for each in (roots, other))
        return one == two

    mine = routine("SET x;", "CREATE DEFINER=`me", "too`@`%` PROCEDURE `p`()", *body)
    assert same(mine)
    assert not same(mine, whoever=False)
    assert not same(routine("SET x;", "CREATE DEFINER=`root`@`%` PROCEDURE `q`()", *body))
    otherwise = (body[0], body[1].replace("`a`", "`c`"), body[2])
    assert not same(routine("SET x;", "CREATE DEFINER=`root`@`%` PROCEDURE `p`()", *otherwise))
    assert not same(routine("SET x;", "CREATE DEFINER=`root`@`%`"))
