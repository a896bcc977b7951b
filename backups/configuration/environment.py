"""What the environment says of the first database and its repository, held against the portal's rows.

Rows go on for years, and snapshots, heartbeats and retention go by them: a changed line in `.env` is a
slip, a move or another database, and only a person knows which.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from django.conf import settings

from backups import endpoints, mysql, restic
from backups.catalog import series
from backups.errors import Problem
from backups.models import Database, Repository, Server
from backups.repositories import places
from backups.text.sentences import phrase

FirstRow = Database | Server | Repository
# Of the first rows: what bootstrap asks about where it changed, and what it takes over each time.
ASKED_ABOUT: dict[type[FirstRow], dict[str, str]] = {
    Database: {"MYSQL_DATABASE": "database"},
    Server: {"MYSQL_HOST": "host", "MYSQL_PORT": "port"},
    Repository: {"RESTIC_REPOSITORY": "url"},
}
TAKEN_OVER: dict[type[FirstRow], dict[str, str]] = {
    Database: {},
    Server: {"MYSQL_USER": "user", "MYSQL_SSL_MODE": "ssl_mode", "MYSQL_SSL_CA": "ssl_ca"},
    Repository: {"BACKUP_CHECK_INTERVAL": "check_interval"},
}
# What it takes into a new row alone: later it is changed in the portal.
AT_FIRST = {
    "BACKUP_CRON": "backup_cron",
    "VERIFY_CRON": "verify_cron",
    "BACKUP_KEEP_DAILY": "keep_daily",
    "BACKUP_KEEP_WEEKLY": "keep_weekly",
    "BACKUP_KEEP_MONTHLY": "keep_monthly",
    "BACKUP_DUMP_FORMAT": "dump_format",
}


@dataclass(frozen=True)
class Differences:
    """In what the environment and the portal's rows differ for a database, by how much it matters.

    `serious`: another database or repository is meant; `warnings`: nothing stops, and a decision is wanted;
    `overruled`: the row counts.
    """

    serious: Problem | None
    warnings: list[str]
    overruled: list[str]


class Shared(NamedTuple):
    """What is told of several databases: others' snapshots, and repositories that have two rows, by key."""

    others: series.Others
    doubles: Mapping[int, str]

    @classmethod
    def of(cls, repositories: Iterable[Repository]) -> Shared:
        """As it is now."""
        return cls(series.Others.read(), places.doubles(repositories))

    @classmethod
    def of_all(cls, repositories: Sequence[Repository], others: series.Others | None = None) -> Shared:
        """The same where these are all that there are: a single one has no second row."""
        doubles = places.doubles(repositories) if len(repositories) > 1 else {}
        return cls(others or series.Others.read(), doubles)

    def of_some(self) -> Shared:
        """The same for those to whose rows something was written since: of each it may tell what was."""
        return self._replace(others=self.others._replace(under_other_hosts=None))

    def told_of(self, databases: Iterable[Database]) -> set[int]:
        """The keys of those of them of which it may tell something."""
        under_other_hosts, strays = self.others.under_other_hosts, self.others.strays
        if under_other_hosts is None:
            return {each.pk for each in databases}
        if not strays and not self.doubles:
            return {*under_other_hosts}
        names = ((each, (each.repository_id, each.database.casefold())) for each in databases)
        of_rows = {each.pk for each, name in names if name in strays or each.repository_id in self.doubles}
        return of_rows.union(under_other_hosts)


def differences(databases: Sequence[Database], shared: Shared | None = None) -> dict[int, Differences]:
    """Of each database by its key, in a few queries for all of them."""
    shared = shared or Shared.of({each.repository for each in databases})
    undecided = series.words(databases, shared.others)
    return {
        each.pk: _differences(each, [*undecided[each.pk], *_of(shared.doubles, each.repository_id)])
        for each in databases
    }


def _of(sentences: Mapping[int, str], key: int) -> list[str]:
    return [sentences[key]] if key in sentences else []


def _differences(database: Database, undecided: Sequence[str]) -> Differences:
    # Of further ones it says nothing.
    if not database.is_primary:
        return Differences(None, [*undecided], [])
    serious = disagreement(database)
    # Which of the two databases a value would be taken over for is not known then.
    not_taken_over = [] if serious else _not_taken_over(database)
    return Differences(serious, [*not_taken_over, *undecided], overruled(database))


def notices(database: Database) -> list[str]:
    """All in which the environment and the portal's rows differ for a database, a sentence each."""
    found = differences([database])[database.pk]
    return [*([found.serious.sentence()] if found.serious else []), *found.warnings, *found.overruled]


def warnings(database: Database) -> list[str]:
    """What stops nothing and wants a decision: values not taken over yet, snapshots of other host names."""
    return differences([database])[database.pk].warnings


def first_rows(database: Database) -> tuple[tuple[FirstRow, Database | Repository], ...]:
    """What the environment decides of, each with what sentences call it: a server goes by its database."""
    return (database, database), (database.server, database), (database.repository, database.repository)


def _differing(database: Database) -> Iterator[tuple[str, Database | Repository, object, object]]:
    """What of the environment bootstrap takes over and has not yet: its name, of what, what each says."""
    # With no user the environment is silent.
    if not database.is_primary or not settings.MYSQL_USER:
        return
    for row, called in first_rows(database):
        for name, field in TAKEN_OVER[type(row)].items():
            said, known = getattr(settings, name), getattr(row, field)
            if said != known:
                yield name, called, said, known


def _not_taken_over(database: Database) -> Iterator[str]:
    for name, called, said, known in _differing(database):
        both = phrase(
            "{name} says {shown}, and the portal has {shown_2} for {called}",
            name=name,
            shown=_shown(said),
            shown_2=_shown(known),
            called=called,
        )
        if name == "MYSQL_SSL_MODE" and endpoints.tls_of(database)["ssl_mode"] == said:
            yield phrase(
                "{both}; what the former demands holds already, `manage.py bootstrap` notes it.", both=both
            )
            continue
        yield (
            phrase(
                "{both} until `manage.py bootstrap` takes the former over, as each start of the set-up does.",
                both=both,
            )
        )


def user_not_taken_over(database: Database) -> str:
    """What to do where MYSQL_USER names another user than the portal goes by; empty where it does not."""
    return next(
        (
            phrase(
                "MYSQL_USER says {said}, and the portal still goes by {known}. Run `manage.py "
                "bootstrap`, which takes over what MYSQL_USER says.",
                said=said,
                known=known,
            )
            for name, _, said, known in _differing(database)
            if name == "MYSQL_USER"
        ),
        "",
    )


def overruled(database: Database) -> list[str]:
    """What the environment says of the first database and the portal has otherwise, which counts.

    A default that nobody changed is no saying.
    """
    if not database.is_primary:
        return []
    found = []
    unchanged = Database()
    for name, field in AT_FIRST.items():
        said, known = getattr(settings, name), getattr(database, field)
        if said not in (known, getattr(unchanged, field)):
            found.append(
                phrase(
                    "{name} says {said}, and the portal has {shown} for {database}. The portal's "
                    "value counts: {name} is read only when a database is first set up. Change it in "
                    "the portal, or set {name} back.",
                    name=name,
                    said=said,
                    shown=_shown(known),
                    database=database,
                )
            )
    return found


def _shown(value: object) -> object:
    return "nothing" if value == "" else value


def disagreement(database: Database) -> Problem | None:
    """How the environment's database or repository differs from the first one's row, None where neither does.

    None as well for a further database, or where the environment is silent.
    """
    found = [each for each in (other_database(database), other_repository(database)) if each is not None]
    if not found:
        return None
    if len(found) == 1:
        return found[0]
    of_database, of_repository = found
    return Problem(
        phrase(
            "{of_database} And {of_repository}",
            of_database=of_database.what,
            of_repository=of_repository.what,
        ),
        code="env.other_database_and_repository",
        do=phrase(
            "Of the database: {do} Of the repository: {do_2}", do=of_database.do, do_2=of_repository.do
        ),
    )


def other_database(database: Database) -> Problem | None:
    """How the environment's database is another one than the first one's row, or lies elsewhere."""
    if not database.is_primary or not settings.MYSQL_HOST or not settings.MYSQL_DATABASE:
        return None
    there = f"{settings.MYSQL_HOST}:{settings.MYSQL_PORT}"
    known = database.server.address if is_elsewhere(database) else there
    if database.database != settings.MYSQL_DATABASE:
        if known == there and database.database.casefold() == settings.MYSQL_DATABASE.casefold():
            return _other_case(database)
        both = _to_back_up_both(database)
        return Problem(
            phrase(
                "MYSQL_DATABASE says {mysql_database} at {there}, and the portal's first database, "
                "{database}, is {database_there} at {known}.",
                mysql_database=settings.MYSQL_DATABASE,
                there=there,
                database=database,
                database_there=database.database,
                known=known,
            ),
            code="env.other_database",
            do=phrase(
                "If that is a slip, set MYSQL_DATABASE back to {database}. To back up both, {both} If "
                "{mysql_database} should come first from now on, beside {database_2}, run `manage.py "
                "bootstrap --new database`.",
                database=database.database,
                both=both,
                mysql_database=settings.MYSQL_DATABASE,
                database_2=database,
            ),
        )
    return _other_server(database, there, known) if there != known else None


def _other_server(database: Database, there: str, known: str) -> Problem:
    return Problem(
        phrase(
            "MYSQL_HOST and MYSQL_PORT say {there}, and the portal knows {database} at {known}.",
            there=there,
            database=database,
            known=known,
        ),
        code="env.other_server",
        do=phrase(
            "{slip} If the same data lies at {there} now, run `manage.py bootstrap --moved "
            "database`. If that is another database called {database}, run `manage.py bootstrap "
            "--new database`.",
            slip=_slip(
                "MYSQL_HOST or MYSQL_PORT",
                known,
                phrase("the host or port of {database}", database=database),
            ),
            there=there,
            database=database.database,
        ),
    )


def is_elsewhere(database: Database) -> bool:
    """Whether the environment has the first database at another address than the portal."""
    known = (database.server.host, database.server.port)
    return not mysql.same_address(known, (settings.MYSQL_HOST, settings.MYSQL_PORT))


def _other_case(database: Database) -> Problem:
    """Most servers on Linux take two cases for two databases, others for one."""
    said, known = settings.MYSQL_DATABASE, database.database
    return Problem(
        phrase(
            "MYSQL_DATABASE says {said}, and the portal's first database, {database}, is {known}.",
            said=said,
            database=database,
            known=known,
        ),
        code="env.other_database",
        do=phrase(
            "If the server takes both for one database, set it back to {known}: its snapshots stay "
            "one series. If {said} is another database, which should come first from now on beside "
            "{database}, run `manage.py bootstrap --new database`.",
            known=known,
            said=said,
            database=database,
        ),
    )


def _to_back_up_both(database: Database) -> str:
    """What is left to do, since the other one may have been added in the portal already."""
    there = Database.objects.filter(
        server__host=settings.MYSQL_HOST,
        server__port=settings.MYSQL_PORT,
        database=settings.MYSQL_DATABASE,
    )
    known = there.exclude(pk=database.pk).first()
    if known is None:
        return phrase(
            "set it back and add {mysql_database} in the portal.", mysql_database=settings.MYSQL_DATABASE
        )
    return phrase(
        "set it back: the portal has {mysql_database} already, as {known}.",
        mysql_database=settings.MYSQL_DATABASE,
        known=known,
    )


def other_repository(database: Database) -> Problem | None:
    """How the environment's repository is another one than where the first database is backed up to."""
    known = database.repository.url
    said = settings.RESTIC_REPOSITORY
    if not database.is_primary or not said or restic.same_address(said, known):
        return None
    return Problem(
        phrase(
            "RESTIC_REPOSITORY says {said}, and the portal backs up {database} to {known}.",
            said=said,
            database=database,
            known=known,
        ),
        code="env.other_repository",
        do=phrase(
            "{slip} If the repository of {known} lies at {said} now, run `manage.py bootstrap --moved "
            "repository`. If backups should go to another one from now on, run `manage.py bootstrap "
            "--new repository`: those in {known} stay listed.",
            slip=_slip(
                "RESTIC_REPOSITORY",
                known,
                phrase("the location of {repository}", repository=database.repository),
            ),
            known=known,
            said=said,
        ),
    )


def _slip(names: str, known: str, field: str) -> str:
    """Either side may be the one that is wrong: .env, or what somebody typed into a form."""
    return phrase(
        "If {names} is a slip, set it back to {known}. If {field} in the portal is a slip, correct it there.",
        names=names,
        known=known,
        field=field,
    )
