"""What a user may do, read from SHOW GRANTS.

information_schema shows a user only what the user may see, and the dump programs leave the rest
out without a word, so what is missing can be told from the grants alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Set
from dataclasses import dataclass
from typing import Any

from backups import at_first_use, mysql
from backups.dumpfile.quoted import NAME, TEXT
from backups.text.sentences import joined, phrase

# https://dev.mysql.com/doc/refman/8.4/en/mysqldump.html, https://mariadb.com/kb/en/mariadb-dump/
_DUMP_PRIVILEGES = ("SELECT", "SHOW VIEW", "TRIGGER", "EVENT")
# For tables to be moved, and for what is no table to be dropped and made again.
_REPLACE_PRIVILEGES = (
    "SELECT", "INSERT", "CREATE", "DROP", "ALTER", "CREATE VIEW", "TRIGGER", "EVENT", "CREATE ROUTINE",
    "ALTER ROUTINE",
)  # fmt: skip
# For all that a dump may hold to be made, filled and read again.
_SCRATCH_PRIVILEGES = (
    "SELECT", "INSERT", "DELETE", "CREATE", "DROP", "ALTER", "INDEX", "REFERENCES", "CREATE VIEW",
    "SHOW VIEW", "TRIGGER", "EVENT", "CREATE ROUTINE", "ALTER ROUTINE", "EXECUTE",
)  # fmt: skip
# Any of these lets MariaDB's users refer to a table with a foreign key.
_MAY_REFER = frozenset({"SELECT", "INSERT", "UPDATE", "DELETE", "REFERENCES"})
_MAY_DEFINE = frozenset({"SUPER", "SET USER", "SET_ANY_DEFINER", "SET_USER_ID"})
_BECAUSE = {
    "SELECT": phrase("tables"),
    "SHOW VIEW": phrase("views"),
    "TRIGGER": phrase("triggers"),
    "EVENT": phrase("events"),
}
_GRANT = at_first_use.pattern(
    r"(GRANT|REVOKE) (.+?) ON (?:(\*\.\*)|`((?:[^`]|``)++)`\.(\*|`(?:[^`]|``)++`)) (?:TO|FROM) "
)

_QUOTED = at_first_use.pattern(f"{NAME}|{TEXT}")


@dataclass(frozen=True)
class Missing:
    """What a user cannot see, and the statements that mend it."""

    because: str
    statement: str
    # The same, where there is more than one.
    statements: tuple[str, ...] = ()


@dataclass(frozen=True)
class Grant:
    """A line of SHOW GRANTS: `database` is None for all, `table` for all of a database."""

    privileges: frozenset[str]
    database: str | None
    table: str | None
    revoked: bool = False
    # To others (WITH GRANT OPTION).
    may_grant: bool = False


def of_user(connection: Any) -> list[Grant]:
    """What the connected user was granted."""
    return parse(mysql.show_grants(connection), literal=mysql.has_partial_revokes(connection))


def parse(lines: Iterable[str], *, literal: bool = False) -> list[Grant]:
    """The lines of SHOW GRANTS that grant or (MySQL's partial revokes) take away privileges.

    With `literal`, the databases' names in them are no patterns.
    """
    grants = []
    for line in lines:
        found = _GRANT.match(line)
        if found is None:
            continue
        verb, privileges, everything, quoted, table = found.groups()
        database = None if everything else quoted.replace("``", "`")
        if literal and database is not None and verb == "GRANT":
            database = re.sub(r"([_%\\])", r"\\\1", database)
        grants.append(
            Grant(
                privileges=frozenset(_split(privileges)),
                database=database,
                table=None if everything or table == "*" else table[1:-1].replace("``", "`"),
                revoked=verb == "REVOKE",
                may_grant=verb == "GRANT" and "WITH GRANT OPTION" in _QUOTED.sub("", line[found.end() :]),
            )
        )
    return grants


def allows(grants: Iterable[Grant], privilege: str, database: str) -> bool:
    """Whether the privilege is granted on the whole of the database."""
    allowed = False
    for grant in grants:
        if grant.table is not None or not (_ALL & grant.privileges or privilege in grant.privileges):
            continue
        if grant.revoked:
            if grant.database == database:
                return False
        elif grant.database is None or _matches(grant.database, database):
            allowed = True
    return allowed


def holds_everywhere(grants: Iterable[Grant], privileges: Set[str]) -> bool:
    """Whether one of these global privileges is held, which ALL on a database never contains."""
    return any(
        grant.database is None
        and not grant.revoked
        and (_ALL & grant.privileges or grant.privileges & privileges)
        for grant in grants
    )


def sees_all(grants: Iterable[Grant]) -> bool:
    """Whether MariaDB shows the triggers, views, events and routines of all databases, with their texts."""
    held = list(grants)
    return all(holds_everywhere(held, {right}) for right in ("TRIGGER", "EVENT", "SHOW VIEW", "SELECT"))


def missing_for_dump(connection: Any, info: mysql.ServerInfo, database: str) -> Missing | None:
    """What the connected user lacks to dump all of the database, None when nothing."""
    grants = of_user(connection)
    account = mysql.account(connection)
    # As grants have it.
    database = mysql.spelling(connection)(database)
    whole = mysql.name_pattern(database, literal=mysql.has_partial_revokes(connection))
    lacking = [p for p in _DUMP_PRIVILEGES if not allows(grants, p, database)]
    statements = []
    if lacking:
        statements.append(f"GRANT {', '.join(lacking)} ON {whole}.* TO {account};")
    unseen = [_BECAUSE[privilege] for privilege in lacking]
    if not allows(grants, "EXECUTE", database) and (
        view := mysql.view_that_calls_denied(connection, database)
    ):
        unseen.append(phrase("columns of the view {view}, which calls a function", view=view))
        statements.append(f"GRANT EXECUTE ON {whole}.* TO {account};")
    if not _sees_routines(connection, grants, info, database):
        unseen.append(phrase("procedures and functions"))
        statements.append(_routine_grant(info, database, account))
    if not statements:
        return None
    return Missing(
        because=phrase("it cannot see all {unseen}", unseen=joined(unseen, ", ")),
        statement=" ".join(statements),
        statements=tuple(statements),
    )


def missing_for_replacing(connection: Any, database: str) -> Missing | None:
    """What the connected user lacks to replace the contents of a database, None when nothing."""
    database = mysql.spelling(connection)(database)
    whole = mysql.name_pattern(database, literal=mysql.has_partial_revokes(connection))
    return _missing_of(connection, _REPLACE_PRIVILEGES, database, whole)


def missing_in_scratch(connection: Any, scratch: str) -> Missing | None:
    """What the connected user lacks to make all that a dump may hold in a verification's database."""
    whole = mysql.prefix_pattern(re.sub(r"\d+\Z", "", scratch))
    return _missing_of(connection, _SCRATCH_PRIVILEGES, mysql.spelling(connection)(scratch), whole)


def _missing_of(connection: Any, wanted: Iterable[str], database: str, whole: str) -> Missing | None:
    grants = of_user(connection)
    lacking = [privilege for privilege in wanted if not allows(grants, privilege, database)]
    if not lacking:
        return None
    return Missing(
        because=phrase("it lacks {lacking}", lacking=", ".join(lacking)),
        statement=f"GRANT ALL ON {whole}.* TO {mysql.account(connection)};",
    )


def missing_for_definers(connection: Any, database: str) -> Missing | None:
    """What a user who may replace a database lacks to make again what others have defined in it.

    Who may not is not meant to restore, and lacks nothing: in a verification all is the user's own.
    """
    grants = of_user(connection)
    others = mysql.other_definers(connection, database)
    if not others or missing_for_replacing(connection, database):
        return None
    may_define = holds_everywhere(grants, _MAY_DEFINE)
    # Whose definers MySQL protects cannot be seen; of administrators this one is the rule.
    protected = [other for other in others if other.startswith("root@")]
    is_mysql = mysql.probe(connection).flavour == mysql.MYSQL
    if may_define and not (protected and is_mysql and not holds_everywhere(grants, {"SYSTEM_USER"})):
        return None
    return Missing(
        because=phrase(
            "views, triggers, routines or events of it run as {protected}, and it may not make such",
            protected=mysql.named(protected if may_define else others),
        ),
        statement=f"{mysql.definer_grant(connection)};",
    )


def missing_for_keys(connection: Any, database: str) -> Missing | None:
    """What a user who may replace a database lacks to make its foreign keys to other databases again."""
    grants = of_user(connection)
    spelled = mysql.spelling(connection)
    is_mariadb = mysql.probe(connection).flavour == mysql.MARIADB
    enough = _MAY_REFER if is_mariadb else frozenset({"REFERENCES"})
    lacking = [
        (table, other, parent)
        for table, other, parent in mysql.foreign_keys_out_of(connection, database)
        if not any(_allows_on_table(grants, each, spelled(other), spelled(parent)) for each in enough)
    ]
    if not lacking or missing_for_replacing(connection, database):
        return None
    parents = sorted({(other, parent) for _, other, parent in lacking})
    account = mysql.account(connection)
    return Missing(
        because=phrase(
            "foreign keys of it refer to {parents}, and it may not make such",
            parents=mysql.named([f"{other}.{parent}" for other, parent in parents]),
        ),
        statement=" ".join(
            f"GRANT REFERENCES ON {mysql.quote(other)}.{mysql.quote(parent)} TO {account};"
            for other, parent in parents
        ),
    )


def _allows_on_table(grants: list[Grant], privilege: str, database: str, table: str) -> bool:
    return allows(grants, privilege, database) or any(
        grant.database == database
        and grant.table == table
        and not grant.revoked
        and (_ALL & grant.privileges or privilege in grant.privileges)
        for grant in grants
    )


def refused_by_binary_log(connection: Any, database: str) -> str:
    """What of this database, as it is, the server would not take from us in a restore; empty is nothing."""
    held = mysql.inventory(connection, database)
    if not ("trigger" in held or "function" in held) or not mysql.refuses_functions(connection):
        return ""
    if not holds_everywhere(of_user(connection), {"SUPER"}):
        return phrase("takes triggers and functions from users with SUPER alone")
    if undeclared := mysql.undeclared_functions(connection, database):
        declared = phrase("declared DETERMINISTIC, NO SQL or READS SQL DATA")
        return phrase(
            "takes no functions that are not {declared}, as {undeclared}",
            declared=declared,
            undeclared=mysql.named(undeclared),
        )
    return ""


def _sees_routines(connection: Any, grants: list[Grant], info: mysql.ServerInfo, database: str) -> bool:
    """Whether the user sees all routines with their bodies.

    Either by a privilege over all of them, or because those that a privilege on the database
    lists are all the user's own.
    """
    if info.flavour == mysql.MARIADB:
        whole = allows(grants, "SELECT", "mysql") or any(
            g.database == "mysql" and g.table == "proc" and "SELECT" in g.privileges for g in grants
        )
        # ALL of an older server does not imply it, so only its own name counts.
        whole = whole or any(
            "SHOW CREATE ROUTINE" in g.privileges
            and g.table is None
            and (g.database is None or _matches(g.database, database))
            for g in grants
        )
    else:
        whole = any(g.database is None and g.privileges & {"SELECT", "SHOW_ROUTINE", *_ALL} for g in grants)
    if whole:
        return True
    listed = any(
        allows(grants, privilege, database) for privilege in ("EXECUTE", "CREATE ROUTINE", "ALTER ROUTINE")
    )
    return listed and not mysql.routines_without_body(connection, database)


def _routine_grant(info: mysql.ServerInfo, database: str, account: str) -> str:
    if info.flavour == mysql.MYSQL:
        return f"GRANT SHOW_ROUTINE ON *.* TO {account};"
    if info.number >= (11, 3):
        return f"GRANT SHOW CREATE ROUTINE ON {mysql.name_pattern(database)}.* TO {account};"
    return f"GRANT SELECT ON mysql.proc TO {account};"


_ALL = frozenset({"ALL PRIVILEGES", "ALL"})


def _split(privileges: str) -> list[str]:
    """The privileges between GRANT and ON; those with a list of columns are not whole."""
    without_columns = re.sub(r"(?<![A-Z ])[A-Z ]++\([^)]*+(?:\)|\Z)", "", privileges)
    return [name.strip() for name in without_columns.split(",") if name.strip()]


def _matches(pattern: str, database: str) -> bool:
    """Whether a database's name fits the pattern of a grant: % and _ are wild unless escaped."""
    parts = [""]
    for sign in re.findall(r"\\.|.", pattern, re.S):
        if sign == "%":
            parts.append("")
        else:
            parts[-1] += "." if sign == "_" else re.escape(sign[-1])
    expression = parts.pop(0)
    if parts:
        # The first place that fits a part does for all that follows, so no other one is tried for it.
        *middle, end = parts
        expression += "".join(f"(?>.*?{part})" for part in middle) + ".*" + end
    return re.fullmatch(expression, database, re.S) is not None
