"""Rights that are more than is needed are named, with what they let somebody do."""

from __future__ import annotations

import re

import pytest

from backups.actions.steps.rights import held_too_little, held_too_much
from backups.mysql.excess_rights import Excess, Needs, asleep, excess, stand_ins
from backups.mysql.grants import parse
from tests.actions.tools import shipped_grants, with_least, with_user
from tests.backups.conftest import MakeDatabase, MakePortal
from tests.backups.worlds import Shop, make_shop
from tests.servers import DatabaseServer

TO = " TO `v`@`%`"
LIVE, SCRATCH, BESIDE = r"`my\_shop`.*", r"`my\_shop\_\_verify\_%`.*", r"`my\_shop\_\_%`.*"
# A line of SHOW GRANTS, which rights are named for it, and words of what they let somebody do.
TOLD: list[tuple[str, str, str]] = [
    ("GRANT USAGE ON *.*", "", ""),
    (f"GRANT SELECT, SHOW VIEW, EVENT, TRIGGER, EXECUTE, LOCK TABLES ON {LIVE}", "", ""),
    ("GRANT SELECT ON `mysql`.`proc`", "", ""),
    ("GRANT SHOW_ROUTINE ON *.*", "", ""),
    (f"GRANT ALL PRIVILEGES ON {SCRATCH}", "", ""),
    (r"GRANT ALL PRIVILEGES ON `my\_shop\_\_verify\_7`.*", "", ""),
    (f"GRANT ALL PRIVILEGES ON {BESIDE}", "ALL PRIVILEGES", "those that restores keep"),
    (f"GRANT ALL PRIVILEGES ON {LIVE}", "ALL PRIVILEGES", "change and delete what my_shop holds"),
    (f"GRANT SELECT, DELETE, INSERT ON {LIVE}", "DELETE, INSERT", "change and delete what my_shop holds"),
    ("GRANT ALL PRIVILEGES ON *.*", "ALL PRIVILEGES", "do anything on the whole server"),
    ("GRANT SUPER ON *.*", "SUPER", "become any account"),
    ("GRANT FILE ON *.*", "FILE", "read files of the server's machine"),
    ("GRANT PROCESS ON *.*", "PROCESS", "read the statements of all sessions"),
    ("GRANT SET USER ON *.*", "SET USER", "become administrator of the whole server"),
    ("GRANT SET_ANY_DEFINER ON *.*", "SET_ANY_DEFINER", "become administrator of the whole server"),
    ("GRANT SYSTEM_USER ON *.*", "SYSTEM_USER", "administrators' accounts"),
    ("GRANT BINLOG REPLAY ON *.*", "BINLOG REPLAY", "write rows into every table"),
    ("GRANT REPLICATION_APPLIER ON *.*", "REPLICATION_APPLIER", "as the replay of a log does"),
    ("GRANT SELECT ON *.*", "SELECT", "password hashes included"),
    ("GRANT INSERT, UPDATE ON *.*", "INSERT, UPDATE", "the accounts' own included"),
    (
        "GRANT BACKUP_ADMIN, CLONE_ADMIN ON *.*",
        "BACKUP_ADMIN, CLONE_ADMIN",
        "administer a part of the server",
    ),
    ("GRANT EXECUTE ON *.*", "EXECUTE", "with the rights of whoever defined it"),
    ("GRANT EXECUTE ON `payroll`.*", "EXECUTE", "with the rights of whoever defined them"),
    ("GRANT TRIGGER ON `payroll`.*", "TRIGGER", "change what is not backed up here"),
    ("GRANT SELECT ON `mysql`.*", "SELECT", "password hashes"),
    ("GRANT SELECT ON `mysql`.`user`", "SELECT", "password hashes"),
    ("GRANT SELECT ON `payroll`.*", "SELECT", "read what is not backed up here"),
    ("GRANT UPDATE ON `payroll`.`salary`", "UPDATE", "change what is not backed up here"),
    ("GRANT REFERENCES ON `other`.`parent`", "REFERENCES", "make foreign keys"),
    # Names that mean others as well, and one that only looks alike.
    ("GRANT SELECT ON `my%`.*", "SELECT", "read what is not backed up here"),
    ("GRANT ALL PRIVILEGES ON `my%`.*", "ALL PRIVILEGES", "change what is not backed up here"),
    (r"GRANT ALL PRIVILEGES ON `my\_shops\_\_verify\_%`.*", "ALL PRIVILEGES", "change what is not"),
]


@pytest.mark.parametrize(("line", "rights", "lets"), TOLD)
def test_what_a_line_of_show_grants_lets_somebody_do(line: str, rights: str, lets: str) -> None:
    found = excess(parse([line + TO]), Needs("v", "my_shop"))

    assert [each.rights for each in found] == ([rights] if rights else [])
    assert all(lets in each.lets and each.words.startswith("v holds ") for each in found)


def test_who_verifies_may_leave_scratch_databases_out_of_the_binary_log() -> None:
    lines = parse([f"GRANT BINLOG ADMIN ON *.*{TO}"])

    (found,) = excess(lines, Needs("v", "my_shop"))

    assert "delete binary logs" in found.lets
    assert excess(lines, Needs("v", "my_shop", verifies=True)) == []


def test_who_archives_the_binary_log_may_read_it() -> None:
    lines = parse([f"GRANT REPLICATION SLAVE ON *.*{TO}"])

    (found,) = excess(lines, Needs("v", "my_shop"))

    assert "every change of every database" in found.lets
    assert excess(lines, Needs("v", "my_shop", archives=True)) == []


@pytest.mark.parametrize(
    "line",
    [
        f"GRANT SELECT ON {LIVE}{TO} WITH GRANT OPTION",
        f"GRANT SELECT ON {LIVE}{TO} IDENTIFIED BY PASSWORD '*AB' WITH GRANT OPTION MAX_QUERIES_PER_HOUR 5",
    ],
)
def test_what_may_be_given_to_others(line: str) -> None:
    (found,) = excess(parse([line]), Needs("v", "my_shop"))
    assert (found.rights, found.on) == ("GRANT OPTION", LIVE.replace("\\", "\\"))
    assert excess(parse([f"GRANT SELECT ON {LIVE} TO ` WITH GRANT OPTION`@`%`"]), Needs("v", "my_shop")) == []


def test_who_is_there_for_restores_holds_what_a_restore_needs() -> None:
    lines = [f"GRANT ALL PRIVILEGES ON {LIVE}{TO}", f"GRANT ALL PRIVILEGES ON {BESIDE}{TO}"]
    lines += [f"GRANT SET USER ON *.*{TO}", f"GRANT SUPER ON *.*{TO}"]

    restores = excess(parse(lines), Needs("v", "my_shop", restores=True))
    dumps = excess(parse(lines), Needs("v", "my_shop"))

    assert [each.rights for each in restores] == ["SUPER"]
    assert [each.for_restores for each in dumps] == [True, True, True, False]
    assert "Only a restore needs that" in dumps[0].words
    assert [each.holds_what_backups_need for each in dumps] == ["at once" in each.words for each in dumps]
    (live,) = [each.on for each in dumps if each.holds_what_backups_need]
    assert live == LIVE, "ALL on the live database is what its backups are made with"


def test_a_server_for_test_restores_has_those_of_any_database() -> None:
    """As the guide grants it there; beside a live database it would be others' too."""
    lines = [rf"GRANT ALL PRIVILEGES ON `%\_\_verify\_%`.*{TO}"]

    assert excess(parse(lines), Needs("v", "my_shop", dumps=False)) == []
    assert excess(parse(lines), Needs("v", "my_shop"))


@pytest.mark.parametrize(
    ("lines", "current", "roles"),
    [
        (["GRANT `admin`@`%` TO `v`@`%`"], "NONE", ["the role admin"]),
        (["GRANT `a`@`%`,`b`@`%` TO `v`@`%`"], "`a`@`%`", ["the role b"]),
        (["GRANT `admin` TO `v`@`%`"], "admin", []),
        (["GRANT `admin` TO `v`@`%` WITH ADMIN OPTION"], "", ["the role admin"]),
        (["GRANT SELECT ON `a`.* TO `v`@`%`"], "", []),
    ],
)
def test_roles_that_are_not_in_force(lines: list[str], current: str, roles: list[str]) -> None:
    assert [each.rights for each in asleep(lines, current, Needs("v", "my_shop"))] == roles


@pytest.mark.parametrize(
    ("line", "accounts"),
    [
        ("GRANT PROXY ON ``@`` TO `v`@`%` WITH GRANT OPTION", ["``@``"]),
        ("GRANT PROXY ON 'it''s'@'%' TO 'v'@'%'", ["'it''s'@'%'"]),
        ("GRANT PROXY ON `a TO ``b`@`%` TO `v`@`%`", ["`a TO ``b`@`%`"]),
        ("GRANT SELECT ON *.* TO `v`@`%`", []),
    ],
)
def test_accounts_as_which_it_may_act(line: str, accounts: list[str]) -> None:
    assert [each.on for each in stand_ins([line], Needs("v", "my_shop"))] == accounts


def test_shipped_grants_are_no_more_than_needed_and_an_administrators_are_named(
    db_server: DatabaseServer, make_database: MakeDatabase
) -> None:
    shop = make_shop(db_server)

    def told(seen: Shop) -> list[Excess]:
        database = make_database(seen, name=seen.user, is_primary=False)
        return held_too_much(database)

    assert told(with_least(shop, "dump", "verify")) == []
    restoring = told(with_least(shop, "dump", "verify", "restore"))
    assert restoring
    assert all(each.for_restores for each in restoring)
    every = told(with_user(shop, ["ALL ON *.*"]))
    lets = " ".join(each.words for each in every)
    assert "holds ALL PRIVILEGES on *.*" in lets or "become any account" in lets
    assert "the whole server" in lets
    db_server.execute(f"GRANT SELECT ON *.* TO '{shop.user}'@'%' WITH GRANT OPTION")
    # As who may grant it would.
    db_server.execute(
        "INSERT INTO mysql.proxies_priv (Host, User, Proxied_host, Proxied_user, With_grant, Grantor)"
        f" VALUES ('%', '{shop.user}', 'localhost', 'root', 0, '')"
    )
    db_server.execute("FLUSH PRIVILEGES")
    assert {"GRANT OPTION", "SELECT", "PROXY"} <= {each.rights for each in told(shop)}
    assert shipped_grants(db_server.flavour, shop.name, "verify")


def test_who_holds_nothing_is_told_all_that_lacks_and_then_lacks_nothing(
    db_server: DatabaseServer, make_database: MakeDatabase
) -> None:
    shop = make_shop(db_server)
    nobody = with_user(shop, [])
    database = make_database(nobody)

    backup, scratch = held_too_little(database)

    assert (backup.user, scratch.user) == (nobody.user, nobody.user)
    assert "it cannot see all tables, views, triggers, events, procedures and functions" in backup.because
    for each in (backup, scratch):
        assert each.words.startswith(f"{nobody.user} may not make ")
        for grant in re.findall(r"GRANT [^;]+;", each.do):
            db_server.execute(grant)
    assert held_too_little(database) == []
    assert held_too_much(database) == []


def test_preflight_reports_them_and_ends_as_it_would(mariadb_shop: Shop, make_portal: MakePortal) -> None:
    mariadb_shop.server.execute(f"GRANT PROCESS ON *.* TO '{mariadb_shop.user}'@'%'")
    portal = make_portal(mariadb_shop)

    ran = portal.manage("preflight", "--grants", "--json")

    assert ran.code == 0, ran.out
    (one,) = ran.json["grants"]
    assert (one["user"], one["rights"], one["on"], one["for_restores"]) == (
        mariadb_shop.user, "PROCESS", "*.*", False,
    )  # fmt: skip
    assert one["lets"].startswith("read the statements of all sessions")
    assert ran.json["not_looked_at"] == []
    portal.shell(
        "from backups.models import Database as D; d = D.objects.get(); "
        "d.pk, d.name, d.is_primary = None, 'a second one', False; d.save(force_insert=True)"
    )
    assert [each["user"] for each in ran.json["lacking"]] == [mariadb_shop.user], "a test restore's"
    both = portal.manage("preflight", "--json").json
    assert "grants" not in both
    assert both["not_looked_at"] == ["a second one"], "what is well with one says nothing of the others"
