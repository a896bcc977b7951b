"""Rights that are more than Vedetta needs, and what each lets somebody do. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from backups import mysql
from backups.mysql.grants import Grant
from backups.text.sentences import phrase

# All that Vedetta asks a server for as a whole, whoever asks.
_HARMLESS = frozenset(
    {
        "USAGE", "SHOW_ROUTINE", "SHOW CREATE ROUTINE", "SHOW DATABASES", "BINLOG MONITOR",
        "REPLICATION CLIENT", "SLAVE MONITOR", "REPLICA MONITOR", "SESSION_VARIABLES_ADMIN",
    }
)  # fmt: skip
_OF_DUMPS = frozenset(
    {"USAGE", "SELECT", "SHOW VIEW", "TRIGGER", "EVENT", "EXECUTE", "LOCK TABLES", "SHOW CREATE ROUTINE"}
)
_OF_RESTORES = frozenset(
    {
        "SET USER", "SET_ANY_DEFINER", "SET_USER_ID", "ALLOW_NONEXISTENT_DEFINER", "SYSTEM_USER",
        # To replay the binary log.
        "BINLOG REPLAY", "REPLICATION_APPLIER",
    }
)  # fmt: skip
# With which whoever verifies leaves scratch databases out of the binary log.
_OF_VERIFICATIONS = frozenset({"BINLOG ADMIN"})
# With which whoever archives the binary log reads it.
_OF_ARCHIVES = frozenset({"REPLICATION SLAVE", "REPLICATION REPLICA"})
_READING = frozenset({"SELECT", "SHOW VIEW", "LOCK TABLES"})
_EVERYTHING = frozenset({"ALL", "ALL PRIVILEGES"})
_AS_OTHERS = phrase("make what runs as any other account, and so become administrator of the whole server")
# What a right on all of a server lets its holder do.
_EVERYWHERE: Mapping[str, str] = {
    "ALL": phrase("do anything on the whole server"),
    "ALL PRIVILEGES": phrase("do anything on the whole server"),
    "SUPER": phrase("change the server's settings, end any session, and become any account"),
    "FILE": phrase("read files of the server's machine, and write new ones there"),
    "PROCESS": phrase("read the statements of all sessions as they run, with the values in them"),
    "RELOAD": phrase("flush logs and caches, and lock all tables against writing"),
    "SHUTDOWN": phrase("stop the server"),
    "CREATE USER": phrase("make, change and drop accounts, an administrator's as well"),
    "CREATE ROLE": phrase("make roles, and give them to others"),
    "DROP ROLE": phrase("take roles away from others"),
    "ROLE_ADMIN": phrase("give any role to anybody"),
    "SET USER": _AS_OTHERS,
    "SET_ANY_DEFINER": _AS_OTHERS,
    "SET_USER_ID": _AS_OTHERS,
    "ALLOW_NONEXISTENT_DEFINER": phrase("make what runs as an account that somebody makes later"),
    "SYSTEM_USER": phrase(
        "do with administrators' accounts and sessions what is allowed with those of others"
    ),
    "REPLICATION SLAVE": phrase("read every change of every database, as a replica does"),
    "REPLICATION REPLICA": phrase("read every change of every database, as a replica does"),
    "BINLOG REPLAY": phrase("write rows into every table of the server, as the replay of a log does"),
    "REPLICATION_APPLIER": phrase("write rows as the replay of a log does"),
    "CREATE TABLESPACE": phrase("make and drop files of the server's storage"),
    "EXECUTE": phrase("run every routine of the server with the rights of whoever defined it"),
    "TRIGGER": phrase("make triggers in every database, which run in others' writing"),
    "EVENT": phrase("make events in every database, and stop those of others"),
    "CONNECTION_ADMIN": phrase("end the sessions of others, and write where the server is read only"),
    "CONNECTION ADMIN": phrase("end the sessions of others"),
    "SYSTEM_VARIABLES_ADMIN": phrase("change the server's settings"),
    "BINLOG ADMIN": phrase("delete binary logs, and leave its own changes out of them"),
}
_READS_ALL = phrase("read every database of the server, password hashes included")
_WRITES_ALL = phrase("change every database of the server, the accounts' own included")
_ADMINISTERS = phrase("administer a part of the server, see its manual")
# What is no administrator's, wherever it is granted; all else that is not listed is.
_OF_DATA = frozenset(
    {
        "INSERT", "UPDATE", "DELETE", "CREATE", "DROP", "ALTER", "INDEX", "REFERENCES", "CREATE VIEW",
        "CREATE ROUTINE", "ALTER ROUTINE", "CREATE TEMPORARY TABLES", "DELETE HISTORY",
    }
)  # fmt: skip


# As docs/install.md has it for a server of test restores, which are of any database.
_ANY_SCRATCH = r"%\_\_verify\_%"


@dataclass(frozen=True)
class Excess:
    """Rights that are more than is needed. `lets` is what they let somebody do who has the user's password.

    `for_restores`: a restore needs them, and nothing before it does. `holds_what_backups_need`: what a backup
    needs there is written as a part of them, and goes with them.
    """

    user: str
    rights: str
    on: str
    lets: str
    for_restores: bool = False
    holds_what_backups_need: bool = False

    @property
    def words(self) -> str:
        """A sentence for a person."""
        more = phrase(" Only a restore needs that: grant it when you restore.") if self.for_restores else ""
        if self.holds_what_backups_need:
            more += phrase(
                " Backups need a part of it. After taking it away, grant SELECT, SHOW VIEW, TRIGGER, "
                "EVENT and EXECUTE at once, or no backup is made."
            )
        return phrase(
            "{user} holds {rights} on {on}, which lets it {lets}.{more}",
            user=self.user,
            rights=self.rights,
            on=self.on,
            lets=self.lets,
            more=more,
        )


@dataclass(frozen=True)
class Needs:
    """What a user is there for: the database that is backed up, none where it only verifies; restoring it.

    `archives`: the server's binary log is stored.
    """

    user: str
    database: str
    dumps: bool = True
    restores: bool = False
    verifies: bool = False
    archives: bool = False

    @property
    def of_server(self) -> frozenset[str]:
        """Rights on the whole server that nobody calls too much."""
        return frozenset().union(
            _OF_VERIFICATIONS if self.verifies else (), _OF_ARCHIVES if self.archives else ()
        )


def excess(grants: Iterable[Grant], needs: Needs) -> list[Excess]:
    """What of a user's grants it could do without, each kind of harm once for each place."""
    found: dict[tuple[str, str, bool], list[str]] = {}
    live: set[str] = set()
    for grant in grants:
        if grant.revoked:
            continue
        if needs.dumps and grant.table is None and grant.database and _is(grant.database, needs.database):
            live.add(_place(grant))
        for right in sorted(grant.privileges):
            finding = _of_right(right, grant, needs)
            if finding is not None and not (finding[1] and needs.restores):
                found.setdefault((_place(grant), *finding), []).append(right)
        if grant.may_grant and grant.privileges != {"USAGE"}:
            key = (_place(grant), phrase("give all that it may do there to others"), False)
            found.setdefault(key, []).append("GRANT OPTION")
    return [
        Excess(
            needs.user,
            ", ".join(dict.fromkeys(rights)),
            on,
            lets,
            for_restores,
            for_restores and on in live and not _EVERYTHING.isdisjoint(rights),
        )
        for (on, lets, for_restores), rights in found.items()
    ]


def asleep(lines: Iterable[str], current: str, needs: Needs) -> list[Excess]:
    """Roles that SHOW GRANTS names and that are not in force, so that nobody sees here what they allow.

    `current` is what CURRENT_ROLE() answers.
    """
    awake = {_role(each) for each in current.split(",")}
    named = (found[1] for line in lines if (found := _ROLES.match(line)))
    roles = [_role(each[0]) for text in named for each in _NAME.finditer(text)]
    lets = phrase("take on what that role may do, which is not shown here")
    return [
        Excess(needs.user, phrase("the role {role}", role=role), "*.*", lets)
        for role in dict.fromkeys(roles)
        if role not in awake
    ]


def stand_ins(lines: Iterable[str], needs: Needs) -> list[Excess]:
    """The accounts as which SHOW GRANTS lets a user act."""
    named = dict.fromkeys(found[1] for line in lines if (found := _STAND_IN.match(line)))
    return [
        Excess(needs.user, "PROXY", each, phrase("act as that account, with all that it may do"))
        for each in named
    ]


def _role(text: str) -> str:
    """A role's name alone, as either flavour writes it."""
    found = _QUOTED_ROLE.match(text.strip())
    return found[1].replace("``", "`") if found else text.strip()


_QUOTED_ROLE = re.compile(r"`((?:[^`]|``)*+)`")
_NAME = re.compile(r"`(?:[^`]|``)*+`(?:@`(?:[^`]|``)*+`)?")
_ROLE = r"`(?:[^`]|``)*+`(?:@`(?:[^`]|``)*+`)?,? ?"
_ROLES = re.compile(rf"GRANT ({_ROLE}(?:{_ROLE}|)*+)TO ")

_PART = r"(?:`(?:[^`]|``)*+`|'(?:[^'\\]|''|\\.)*+')"
_STAND_IN = re.compile(rf"GRANT PROXY ON ({_PART}@{_PART}) TO ")


def _place(grant: Grant) -> str:
    if grant.database is None:
        return "*.*"
    table = "*" if grant.table is None else mysql.quote(grant.table)
    return f"{mysql.quote(grant.database)}.{table}"


def _of_right(right: str, grant: Grant, needs: Needs) -> tuple[str, bool] | None:
    """What a right lets its holder do, and whether restores need it; None for what all need."""
    if grant.database is None:
        return None if right in needs.of_server else _of_server(right)
    if right == "USAGE" or _is_scratch(grant.database, needs.database, "__verify_"):
        return None
    if grant.database == _ANY_SCRATCH and not needs.dumps and not needs.restores:
        return None
    if _is_scratch(grant.database, needs.database, "__"):
        return phrase("make, fill and drop databases beside the live one, those that restores keep"), True
    if grant.table is None and _is(grant.database, needs.database):
        return _of_live(right, needs)
    return _of_another(right, grant)


def _of_server(right: str) -> tuple[str, bool] | None:
    if right in _HARMLESS:
        return None
    if right in _EVERYWHERE:
        return _EVERYWHERE[right], right in _OF_RESTORES
    if right in _READING:
        return _READS_ALL, False
    return (_WRITES_ALL if right in _OF_DATA else _ADMINISTERS), False


def _of_live(right: str, needs: Needs) -> tuple[str, bool] | None:
    if right in _OF_DUMPS:
        return (
            None
            if needs.dumps
            else (phrase("read the live database, and make triggers and events there"), False)
        )
    return phrase("change and delete what {database} holds", database=needs.database), True


def _of_another(right: str, grant: Grant) -> tuple[str, bool] | None:
    if (grant.database, grant.table, right) == ("mysql", "proc", "SELECT"):
        return None
    if grant.database == "mysql":
        return phrase("read the password hashes of accounts, or change who may do what"), False
    if right == "REFERENCES":
        return phrase("make foreign keys to that table, which keep its rows from being deleted"), True
    if right in _READING:
        return phrase("read what is not backed up here"), False
    if right == "EXECUTE":
        return phrase("run routines of another database with the rights of whoever defined them"), False
    return phrase("change what is not backed up here"), False


def _is(pattern: str, database: str) -> bool:
    """Whether a name in a grant means this database; one with wild characters means others as well."""
    return pattern == database or mysql.quote(pattern) == mysql.name_pattern(database)


def _is_scratch(pattern: str, database: str, purpose: str) -> bool:
    """Whether a name in a grant is of such databases alone as are made beside this one."""
    kept = "".join(_literally(pattern))
    longest = database[:_LONGEST_BASE]
    return kept.startswith(f"{longest}{purpose}") or mysql.quote(pattern) == mysql.prefix_pattern(
        f"{longest}{purpose}"
    )


# As the names of scratch databases are cut.
_LONGEST_BASE = 40


def _literally(pattern: str) -> Iterator[str]:
    """The characters of a name in a grant up to the first that stands for others."""
    signs = iter(pattern)
    for sign in signs:
        if sign in "%_":
            return
        yield next(signs, "") if sign == "\\" else sign
