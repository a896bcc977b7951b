"""Rows that came out of a repository: what of them is switched off until a person has looked at it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db.models import Model, Q

from backups import mysql, restic, secret_references
from backups.choices import UNSETTLED, Swap
from backups.configuration import bootstrap
from backups.models import Channel, Database, Repository, Restore, Server, Snapshot
from backups.runs import notes
from backups.text.sentences import phrase

_NO_SCHEDULE = {"backup_cron": "", "verify_cron": ""}
_WHAT_THE_GATE_GOES_BY = ("gates_app", "heartbeat_threshold")
_NO_TEST_RESTORES_ELSEWHERE = {"verify_host": "", "verify_user": "", "verify_password_ref": ""}


def switch_off_unfit() -> Iterator[str]:
    """Take the schedules of databases whose rows no form would take; answers a sentence each."""
    refused = {each.pk: why for each in Repository.objects.all() if (why := _unfit(each))}
    for pk, why in refused.items():
        yield phrase(
            "Repository {value} is not used: {why}", value=Repository.objects.get(pk=pk).name, why=why
        )
    for database in Database.objects.select_related("server").order_by("pk"):
        why = " ".join(filter(None, (_unfit(database), _unfit(database.server))))
        if why or database.repository_id in refused:
            Database.objects.filter(pk=database.pk).update(**_NO_SCHEDULE)
        if why:
            yield phrase("Database {database} is not backed up: {why}", database=database.name, why=why)
    for person in get_user_model().objects.order_by("pk"):
        if why := _unfit(person):
            get_user_model().objects.filter(pk=person.pk).update(is_active=False)
            yield phrase("{person} cannot sign in: {why}", person=person.get_username(), why=why)


def switch_off_strange() -> Iterator[str]:
    """Of a copy that is not ours: nobody signs in, only the database of .env is backed up, and as .env says.

    Nothing that was under way is ended, no other repository gets a secret, and nothing counts as proved.
    """
    people = get_user_model().objects.filter(is_active=True)
    names = sorted(people.values_list("username", flat=True))
    people.update(is_active=False)
    _let_in_the_admin()
    if left := [name for name in names if not people.filter(username=name).exists()]:
        yield phrase(
            "These people of the copy cannot sign in until an administrator lets them: {left}.",
            left=", ".join(left),
        )
    # What dead runs left is on machines of then, and this says where somebody wants things deleted.
    for name in (*notes.SCRATCH_PURPOSES, notes.PARTIAL):
        for run in notes.runs_with_leftover(name):
            notes.leftover_cleared(run.pk, name)
    yield from _leave_swaps()
    yield from _switch_off_channels()
    Snapshot.objects.verified().update(verified_at=None, verdict="")
    yield from _without_strange_secrets()
    yield from _as_the_environment_says()


def _leave_swaps() -> Iterator[str]:
    """A swap that was broken off is ended by the worker: with names, and definitions, that a row holds."""
    if Restore.objects.filter(Q(swap__in=UNSETTLED) | ~Q(kept_in="")).exists():
        yield (
            phrase(
                "No restore of the copy is ended, undone or dropped from here: what it kept, if it is "
                "still there, is in databases whose names end in __before_ or __restore_ and a number."
            )
        )
    Restore.objects.filter(swap__in=UNSETTLED).update(swap=Swap.NONE)
    Restore.objects.update(
        incoming="", kept_in="", definitions_before=None, definitions_after=None, tables_after=None,
        definitions_left=[],
    )  # fmt: skip


def _switch_off_channels() -> Iterator[str]:
    """What goes wrong here is told to nobody whom a stranger chose."""
    enabled = Channel.objects.filter(is_enabled=True)
    names = list(enabled.order_by("name").values_list("name", flat=True))
    enabled.update(is_enabled=False)
    if names:
        yield phrase(
            "These channels of the copy tell nobody until an administrator switches them on: {names}.",
            names=", ".join(names),
        )


def _without_strange_secrets() -> Iterator[str]:
    """A repository may be anybody's, and is asked for its list every night with what its row refers to."""
    first = Database.objects.filter(is_primary=True).first()
    for repository in Repository.objects.order_by("pk"):
        if first is not None and repository.pk == first.repository_id:
            # As `recover` has it anyway.
            repository.url = settings.RESTIC_REPOSITORY
        if is_ours := _is_of_env(repository):
            _as_new(repository, repository._REFERENCES)
        else:
            for name in repository._REFERENCES:
                setattr(repository, name, "")
        repository.save()
        if not is_ours:
            yield (
                phrase(
                    "Repository {repository} ({url}) is not used until somebody says again where its "
                    "password and keys are found.",
                    repository=repository.name,
                    url=repository.url,
                )
            )
    rows: list[Server | Database] = [*Server.objects.order_by("pk"), *Database.objects.order_by("pk")]
    for row in rows:
        strange = [
            name for name in row._REFERENCES
            if getattr(row, name) and not secret_references.is_declared(getattr(row, name))
        ]  # fmt: skip
        if strange:
            type(row)._default_manager.filter(pk=row.pk).update(**dict.fromkeys(strange, ""))
            kind = type(row).__name__
            yield phrase(
                "{kind} {row} referred to secrets that rows may not refer to. Say again where its "
                "secrets are.",
                kind=kind,
                row=row.name,
            )


def _as_the_environment_says() -> Iterator[str]:
    """Schedules, for one database alone; where that is verified, how long it is kept and what it gates."""
    for database in Database.objects.exclude(verify_host="").order_by("pk"):
        # All that a database holds would be loaded there.
        Database.objects.filter(pk=database.pk).update(**_NO_TEST_RESTORES_ELSEWHERE)
        yield (
            phrase(
                "Test restores of {database} do not go to {verify_host}:{verify_port} until somebody "
                "names that server again.",
                database=database.name,
                verify_host=database.verify_host,
                verify_port=database.verify_port,
            )
        )
    ours = None
    for database in Database.objects.select_related("repository", "server").order_by("-is_primary", "pk"):
        server = database.server
        address, there = (server.host, server.port), (settings.MYSQL_HOST, settings.MYSQL_PORT)
        is_there = mysql.same_address(address, there) and database.database == settings.MYSQL_DATABASE
        if ours is None and is_there and _is_of_env(database.repository):
            ours = database
            continue
        Database.objects.filter(pk=database.pk).update(**_NO_SCHEDULE)
        yield phrase(
            "Database {database} has no schedules until somebody gives it some.", database=database.name
        )
    if ours is None:
        return
    wanted = bootstrap.of_a_new_database()
    before = {name: getattr(ours, name) for name in (*_WHAT_THE_GATE_GOES_BY, *wanted)}
    shown_before = ours.server.password_ref
    for name, value in wanted.items():
        setattr(ours, name, value)
    _as_new(ours, [*_WHAT_THE_GATE_GOES_BY, "hosts", "verify_ssl_mode", "verify_ssl_ca"])
    ours.save()
    _as_new(ours.server, ["password_ref"])
    ours.server.save()
    changed = [name for name, value in before.items() if getattr(ours, name) != value]
    if ours.server.password_ref != shown_before:
        changed.append("password_ref")
    if changed:
        yield phrase(
            "Database {ours} follows .env, not the copy, in these: {changed}.",
            ours=ours.name,
            changed=", ".join(changed),
        )


def _is_of_env(repository: Repository) -> bool:
    return restic.same_address(repository.url, settings.RESTIC_REPOSITORY)


def _as_new(row: Database | Server | Repository, names: Iterable[str]) -> None:
    for name in names:
        setattr(row, name, getattr(type(row)(), name))


def _let_in_the_admin() -> None:
    """The administrator whom .env names signs in as .env says, whatever a copy says of them."""
    users = get_user_model()
    for admin in users.objects.filter(username=settings.PORTAL_ADMIN_USER):
        if settings.PORTAL_ADMIN_PASSWORD:
            admin.set_password(settings.PORTAL_ADMIN_PASSWORD)
            admin.is_active = admin.is_staff = admin.is_superuser = True
            admin.save()


def _unfit(row: Model) -> str:
    """Why a row would not be taken from a form; empty where it would."""
    try:
        row.full_clean()
    except ValidationError as error:
        return " ".join(f"{name}: {' '.join(texts)}" for name, texts in error.message_dict.items())
    return ""
