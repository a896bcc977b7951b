"""From the environment to rows: the first repository and database, the roles, the admin user."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from datetime import UTC, datetime
from itertools import chain, count
from typing import TypeVar

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Model, QuerySet

from backups import restic
from backups.configuration import environment
from backups.configuration.environment import FirstRow
from backups.errors import Problem
from backups.gate import heartbeat_files
from backups.models import Database, LogArchive, RefersToSecrets, Repository, Server, Snapshot
from backups.scheduling.schedules import schedules_sync
from backups.text import sealed_text
from backups.text.sentences import phrase
from sentinel import heartbeat

Row = TypeVar("Row", Repository, Server, Database)

PRIMARY_REPOSITORY = "main"

# What `bootstrap --moved` and `--new` can be said of.
DATABASE, REPOSITORY, HOST = "database", "repository", "host"


def from_environment(
    *,
    moved: Collection[str] = (),
    new: Collection[str] = (),
    is_replaced: bool = False,
    tell: Callable[[str], None] = lambda _: None,
) -> Database | None:
    """Make the first repository and database what the environment says; None where it is silent.

    Once there are snapshots, rows stay what they are: of a changed address a person says whether what
    was known has `moved` there or is `new`, DATABASE or REPOSITORY. A new repository may also take the
    place of the one known, at the same address (`is_replaced`). What had another value in the portal is
    told. Raises Problem for a change that is unsaid, and naming what is missing or wrong.
    """
    wanted = {
        "RESTIC_REPOSITORY": settings.RESTIC_REPOSITORY,
        "MYSQL_HOST": settings.MYSQL_HOST,
        "MYSQL_DATABASE": settings.MYSQL_DATABASE,
        "MYSQL_USER": settings.MYSQL_USER,
    }
    missing = [name for name, value in wanted.items() if not value]
    if len(missing) == len(wanted):
        return None
    if missing:
        raise Problem(
            phrase("{missing} must be set as well.", missing=", ".join(missing)),
            code="env.missing",
            do=phrase("Set it in the environment or in .env."),
        )
    with transaction.atomic():
        first = Database.objects.filter(is_primary=True).select_related("repository", "server").first()
        if first is None:
            return _database(Database(is_primary=True), _repository_at_its_url())
        before: list[FirstRow] = [
            *Database.objects.all(), *Server.objects.all(), *Repository.objects.all(),
        ]  # fmt: skip
        if is_replaced:
            first.repository = _repository(_new_repository())
            first.save(update_fields=["repository"])
        followed = _followed(first, moved, new)
    for words in _changes(before, followed):
        tell(words)
    return followed


def decided_words(model: type[FirstRow]) -> str:
    """What a person who is about to change a first row in the portal has to know."""
    names = ", ".join(_decided(model))
    return phrase(
        "The environment decides here ({names}). A change here is set back, or asked about, when the "
        "set-up starts again.",
        names=names,
    )


def _decided(model: type[FirstRow]) -> dict[str, str]:
    """What the environment decides of the first rows, whatever the portal has: fields by variable."""
    return environment.ASKED_ABOUT[model] | environment.TAKEN_OVER[model]


def _changes(before: Collection[FirstRow], followed: Database) -> Iterator[str]:
    """In which the environment's value took the place of the portal's, a sentence each."""
    for now, called in environment.first_rows(followed):
        changed = [
            phrase(
                "The portal had {value} for {called}. {name} decides, so it is {value_2} now.",
                value=getattr(was, field),
                called=called,
                name=name,
                value_2=getattr(now, field),
            )
            for was in before
            if was == now
            for name, field in _decided(type(now)).items()
            if getattr(was, field) != getattr(now, field)
        ]
        yield from changed
        if changed and isinstance(now, Server) and (beside := now.databases.exclude(pk=followed.pk)):
            names = ", ".join(map(str, beside))
            yield phrase(
                "On the same server in the portal, so the same now holds for it: {names}.", names=names
            )


def _followed(first: Database, moved: Collection[str], new: Collection[str]) -> Database:
    """The first database as the environment has it by now, as far as that is safe or was said."""
    differs = environment.other_database(first)
    if differs is not None and (_is_settled(first) or _known_beside(first).exists()):
        if DATABASE in new:
            return _succeeded(first, moved, new)
        is_same = first.database == settings.MYSQL_DATABASE and not _known_beside(first).exists()
        if DATABASE not in moved or not is_same:
            raise _unsaid(differs)
    return _database(first, _followed_repository(first, moved, new))


def _followed_repository(first: Database, moved: Collection[str], new: Collection[str]) -> Repository:
    """Where the first database is backed up to by now, as far as that is safe or was said."""
    repository = first.repository
    elsewhere = environment.other_repository(first)
    if elsewhere is None:
        return _repository(repository)
    known = bool(_at_its_url(Repository.objects.exclude(pk=repository.pk)))
    if REPOSITORY in new or (known and not repository.snapshots.exists()):
        return _repository_at_its_url()
    if known or (REPOSITORY not in moved and repository.snapshots.exists()):
        raise _unsaid(elsewhere)
    if REPOSITORY not in moved:
        # A slip at the first try, of which nothing holds for what is at the other address.
        repository.restic_id = ""
    return _repository(repository)


def _unsaid(differs: Problem) -> Problem:
    differs.safe = phrase("Nothing was changed.")
    return differs


def _has_snapshots(database: Database) -> bool:
    """Whether anything goes by its row yet; before, what was wrong at the first try is just corrected."""
    return database.snapshots.exists()


def _is_settled(first: Database) -> bool:
    """Whether anything goes by its row yet, or by one that would move to another server with it."""
    if environment.is_elsewhere(first):
        return Snapshot.objects.filter(database__server=first.server).exists()
    return _has_snapshots(first)


def _known_beside(first: Database) -> QuerySet[Database]:
    """The environment's database, where it is set up as a further one."""
    return Database.objects.exclude(pk=first.pk).filter(
        server__host=settings.MYSQL_HOST,
        server__port=settings.MYSQL_PORT,
        database=settings.MYSQL_DATABASE,
    )


def _succeeded(first: Database, moved: Collection[str], new: Collection[str]) -> Database:
    """Another database in the first one's place, which stays beside it with all that it has."""
    known = _known_beside(first).order_by("pk").first()
    follower = known or Database()
    follower.is_primary = True
    repository = _followed_repository(known, moved, new) if known else _repository_at_its_url()
    Database.objects.filter(pk=first.pk).update(is_primary=False)
    follower = _database(follower, repository)
    heartbeat_files.make_further(first)
    if known:
        heartbeat_files.make_first(follower)
    return follower


def apply() -> None:
    """Make schedules and the gate's list follow the databases. Raises Problem."""
    schedules_sync()
    heartbeat_files.move_from_our_names()
    heartbeat_files.write_last_logged(LogArchive.objects.wanted().select_related("database"))
    heartbeat_files.write_gates()


def first_boot() -> None:
    """Note when this installation began, from which the gate's grace counts."""
    heartbeat.first_boot_ensure(settings.SENTINEL.heartbeat_path, datetime.now(UTC))


def admin_user(say: Callable[[str], None]) -> None:
    """Make the first superuser from PORTAL_ADMIN_USER and PORTAL_ADMIN_PASSWORD."""
    users = get_user_model()
    name = settings.PORTAL_ADMIN_USER
    if users.objects.filter(username=name).exists():
        return
    if not settings.PORTAL_ADMIN_PASSWORD:
        say(
            phrase(
                "No admin user was made: set PORTAL_ADMIN_PASSWORD and run bootstrap again, or run "
                "`manage.py createsuperuser`."
            )
        )
        return
    users.objects.create_superuser(username=name, password=settings.PORTAL_ADMIN_PASSWORD)
    say(phrase("Admin user {name} made.", name=name))


def _repository_at_its_url() -> Repository:
    """The repository that is set up for RESTIC_REPOSITORY, else a new one."""
    # One whose place another has taken is the older row.
    if known := _at_its_url(Repository.objects.order_by("-pk")):
        return _repository(known[0])
    # One that was set up and never stored to was not meant.
    unused = Repository.objects.filter(name=PRIMARY_REPOSITORY, snapshots=None, databases=None).first()
    if unused is not None:
        unused.restic_id = ""
    return _repository(unused or _new_repository())


def begun_anew(lost: Repository) -> Repository:
    """A further row for what is to begin in the place of a repository that is lost, with its databases."""
    fields: dict[str, object] = {
        name: getattr(lost, name)
        for name in ("url", "password_ref", "access_key_ref", "secret_key_ref", "check_interval")
    }
    with transaction.atomic():
        follower = _saved(Repository(name=_free_name(Repository, lost.name)), fields)
        lost.databases.update(repository=follower)
    return follower


def _at_its_url(rows: QuerySet[Repository]) -> list[Repository]:
    return [each for each in rows if restic.same_place(each.url, settings.RESTIC_REPOSITORY)]


def _new_repository() -> Repository:
    return Repository(name=_free_name(Repository, PRIMARY_REPOSITORY))


def _repository(repository: Repository) -> Repository:
    said = settings.RESTIC_REPOSITORY
    fields = {
        # As it is known already, where that means the same place.
        "url": repository.url if restic.same_address(repository.url, said) else said,
        "check_interval": settings.BACKUP_CHECK_INTERVAL,
    }
    return _saved(repository, fields)


def _database(database: Database, repository: Repository) -> Database:
    fields: dict[str, object] = {
        "server": _server(database),
        "database": settings.MYSQL_DATABASE,
        "repository": repository,
    }
    if database._state.adding:
        # What people change in the admin later is theirs: only a new row takes it from here.
        fields |= {"name": _free_name(Database, settings.MYSQL_DATABASE), **of_a_new_database()}
    elif database.name == database.database != settings.MYSQL_DATABASE and not _has_snapshots(database):
        # A name that was a slip, and under which nothing lies.
        fields["name"] = _free_name(Database, settings.MYSQL_DATABASE)
    return _saved(database, fields)


def _server(database: Database) -> Server:
    """Where the environment has the database: the server that it is on, and whoever else is on that."""
    fields: dict[str, object] = {
        "host": settings.MYSQL_HOST,
        "port": settings.MYSQL_PORT,
        "user": settings.MYSQL_USER,
        "ssl_mode": settings.MYSQL_SSL_MODE,
        "ssl_ca": settings.MYSQL_SSL_CA,
    }
    if not database._state.adding:
        server = database.server
    else:
        # One that is just so may be shared; of any other somebody else's databases would be changed.
        just_so = Server.objects.filter(**fields, password_ref=Server().password_ref)
        server = just_so.first() or Server()
    address = f"{settings.MYSQL_HOST}:{settings.MYSQL_PORT}"
    if server._state.adding or (server.name == server.address != address):
        fields["name"] = _free_name(Server, address, f"{settings.MYSQL_USER}@{address}")
    return _saved(server, fields)


def of_a_new_database() -> dict[str, object]:
    """How the environment has a database backed up, verified and kept, until people say otherwise."""
    return {
        "dump_format": settings.BACKUP_DUMP_FORMAT,
        "backup_cron": settings.BACKUP_CRON,
        "verify_cron": settings.VERIFY_CRON,
        "keep_daily": settings.BACKUP_KEEP_DAILY,
        "keep_weekly": settings.BACKUP_KEEP_WEEKLY,
        "keep_monthly": settings.BACKUP_KEEP_MONTHLY,
    }


def _free_name(model: type[Row], *wanted: str) -> str:
    """The first of the wanted names, the last one with a number where other rows have them all."""
    names = chain(wanted, (f"{wanted[-1]}-{number}" for number in count(2)))
    return next(name for name in names if not model.objects.filter(name=name).exists())


def _uses_of_sealed(row: Model) -> dict[str, tuple[str, str]]:
    """What each secret that was typed is for; empty of a row that is new or refers to none."""
    if row._state.adding or not isinstance(row, RefersToSecrets):
        return {}
    return {name: row.use_of(name) for name in row._REFERENCES if sealed_text.read(getattr(row, name))}


def _saved(row: Row, fields: dict[str, object]) -> Row:
    uses = _uses_of_sealed(row)
    for name, value in fields.items():
        setattr(row, name, value)
    for name, use in _uses_of_sealed(row).items():
        if use != uses[name]:
            # What was typed for one address is not shown to another; the environment says that of its own.
            setattr(row, name, getattr(type(row)(), name))
    try:
        row.full_clean()
    except ValidationError as error:
        name, (message, *_) = next(iter(error.message_dict.items()))
        known = environment.AT_FIRST | _decided(type(row))
        variable = next((variable for variable, field in known.items() if field == name), name)
        raise Problem(
            phrase("{variable} cannot be used: {message}", variable=variable, message=message),
            code="env.not_usable",
        ) from error
    row.save()
    return row
