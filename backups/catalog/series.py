"""The host names under which snapshots of one database lie, and which of them are one series.

Retention counts by host name, because two installations may share a repository. A BACKUP_HOST that was
changed must not make two series of one.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from django.conf import settings
from django.db.models import CharField, Count, IntegerField, Q, QuerySet, Value

from backups.catalog import learned
from backups.choices import Trigger
from backups.models import Database, Snapshot
from backups.snapshots.naming import has_our_tag
from backups.text.sentences import phrase, plural


def of_this_installation(database: Database) -> frozenset[str]:
    """BACKUP_HOST, those under which this portal's own runs stored, and those that a person said are its."""
    made = _made_here(Snapshot.objects.filter(database=database))
    return said_to_be_ours(database).union(made.values_list("host", flat=True).distinct())


def said_to_be_ours(database: Database) -> frozenset[str]:
    """Of these, those that no snapshot need be looked at for."""
    return frozenset([settings.BACKUP_HOST, *(host for host, is_ours in database.hosts.items() if is_ours)])


def undecided(databases: Iterable[Database]) -> dict[int, Counter[str]]:
    """Of each database, by its key, how many snapshots there are under host names that nobody said whose.

    All are looked up at once: the first page asks for it every few seconds.
    """
    settled = {each.pk: {settings.BACKUP_HOST, *each.hosts} for each in databases}
    found: dict[int, Counter[str]] = {pk: Counter() for pk in settled}
    present = Snapshot.objects.present().filter(database__in=settled)
    others = present.exclude(host=settings.BACKUP_HOST).order_by()
    for pk, host, tags in others.values_list("database_id", "host", "tags"):
        # The old scripts' containers had names by chance, and are one series whatever these were.
        if pk is not None and host not in settled[pk] and has_our_tag(tags):
            found[pk][host] += 1
    if hosts := {host for counted in found.values() for host in counted}:
        made = _made_here(Snapshot.objects.filter(database__in=settled, host__in=hosts))
        for pk, host in made.values_list("database_id", "host").distinct():
            if pk is not None:
                found[pk].pop(host, None)
    return found


def _made_here(snapshots: QuerySet[Snapshot]) -> QuerySet[Snapshot]:
    """Those of them that this portal's own runs stored."""
    made = snapshots.exclude(made_by=None).exclude(made_by__trigger=Trigger.RECOVERED)
    # The model's own order would make each row distinct.
    return made.order_by()


def undecided_words(database: Database, hosts: Iterable[str] | None = None) -> list[str]:
    """A sentence for each host name of its snapshots that nobody said whose it is, with the choice.

    `hosts` are all that its snapshots have, where they were read already.
    """
    if hosts is not None and {settings.BACKUP_HOST, *database.hosts}.issuperset(hosts):
        return []
    return list(_undecided_words(database, undecided([database])[database.pk]))


def _undecided_words(database: Database, found: Counter[str]) -> Iterator[str]:
    for host, count in sorted(found.items()):
        yield (
            plural(
                "{n} snapshot of {database} is of the host {host}, and BACKUP_HOST is {backup_host}. "
                "Retention counts it by itself, so it stays for ever. If it is this installation's, run "
                "`manage.py bootstrap --moved host`: both then become one series. If another installation "
                "backs up there, run `manage.py bootstrap --new host`.",
                "{n} snapshots of {database} are of the host {host}, and BACKUP_HOST is {backup_host}. "
                "Retention counts them by themselves, so their newest stay for ever. If they are this "
                "installation's, run `manage.py bootstrap --moved host`: both then become one series. If "
                "another installation backs up there, run `manage.py bootstrap --new host`.",
                n=count,
                database=database,
                host=host,
                backup_host=settings.BACKUP_HOST,
            )
        )


def words(databases: Sequence[Database], others: Others) -> dict[int, list[str]]:
    """Of each database, by its key, what a person has to say of its snapshots: a sentence each."""
    only = others.under_other_hosts
    hosts = undecided(each for each in databases if only is None or each.pk in only)
    found: dict[int, list[str]] = {each.pk: [] for each in databases}
    for each in databases:
        if counted := hosts.get(each.pk):
            found[each.pk] += _undecided_words(each, counted)
        if others.strays:
            found[each.pk] += _other_case_words(each, others.strays)
    return found


# Of a repository by its key, and of a name in whatever case: names of databases that are not set up here, and
# how many snapshots each has.
Strays = dict[tuple[int, str], Counter[str]]


class Others(NamedTuple):
    """Snapshots of no database here, and the keys of databases that have any under other host names.

    None where that was not asked for, of thousands of databases, for the sake of a few.
    """

    strays: Strays
    under_other_hosts: frozenset[int] | None = None

    @classmethod
    def read(cls) -> Others:
        """Those of no database here, as they are now."""
        return cls(_strays(_of_nobody()))

    @classmethod
    def read_all(cls) -> Others:
        """Both, in one query."""
        # As two ranges of an index, which are empty almost always: an inequality looks at all snapshots.
        elsewhere = Q(host__lt=settings.BACKUP_HOST) | Q(host__gt=settings.BACKUP_HOST)
        here = Snapshot.objects.present().filter(elsewhere, database__gt=0)
        none, no_path = Value(0, output_field=IntegerField()), Value("", output_field=CharField())
        of_databases = here.order_by().values_list("database_id", no_path, none).distinct()
        rows = list(_of_nobody().union(of_databases, all=True))
        strays = _strays(row for row in rows if row[2])
        return cls(strays, frozenset(key for key, _, count in rows if not count))


def _of_nobody() -> QuerySet[Snapshot, tuple[int, str, int]]:
    """Of each repository and path how many there are."""
    # Of all repositories: through an index of theirs, all snapshots would be looked at.
    rows = Snapshot.objects.present().filter(database=None).order_by()
    return rows.values_list("repository_id", "path").annotate(Count("pk"))


def _strays(rows: Iterable[tuple[int, str, int]]) -> Strays:
    found: Strays = defaultdict(Counter)
    for repository, path, count in rows:
        name = Snapshot(path=path).source
        found[repository, name.casefold()][name] += count
    return found


def _other_case_words(database: Database, strays: Strays) -> Iterator[str]:
    """A sentence for snapshots in its repository that would be its own but for the case of the name."""
    own = database.repository_id, database.database.casefold()
    for name, count in sorted(strays.get(own, {}).items()):
        yield (
            plural(
                "{n} snapshot in the repository {repository} is of {name}, which is not set up here. No "
                "list has it, and it is never forgotten. To take it over, add a database of that name in the "
                "portal.",
                "{n} snapshots in the repository {repository} are of {name}, which is not set up here. No "
                "list has them, and they are never forgotten. To take them over, add a database of that name "
                "in the portal.",
                n=count,
                repository=database.repository,
                name=name,
            )
        )


def settle(*, is_ours: bool) -> list[str]:
    """Take a person's word for all host names that are undecided; answers what was done, in sentences."""
    sentences = []
    databases = Database.objects.order_by("pk")
    for database, counted in zip(databases, undecided(databases).values(), strict=True):
        if found := sorted(counted):
            learned.hosts_settled(database, found, is_ours=is_ours)
            which = (
                phrase("this installation's, one series with its own")
                if is_ours
                else phrase("another installation's")
            )
            sentences.append(
                phrase(
                    "Snapshots of {database} of the host {found} count as {which}.",
                    database=database,
                    found=", ".join(found),
                    which=which,
                )
            )
    return sentences
