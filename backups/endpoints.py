"""From rows and settings to what the tools take, secrets resolved. Used when a run starts."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import replace

from django.conf import settings

from backups import mysql, restic
from backups.choices import SslMode
from backups.errors import Problem
from backups.models import Database, Repository, Server
from backups.secret_references import NOT_HERE, Secret, for_restic, is_set, named_place
from backups.text.kinds import kind_word
from backups.text.sentences import phrase, plural


def repository_access(repository: Repository) -> restic.Access:
    """How restic reaches the repository. Raises Problem when a secret is not to be had."""
    secrets = _storage_secrets(repository)
    secrets |= {
        "RESTIC_COMPRESSION": settings.RESTIC_COMPRESSION,
        "RESTIC_PACK_SIZE": str(settings.RESTIC_PACK_SIZE),
    }
    access = restic.Access(
        program=_restic_program(),
        url=repository.url,
        password=_repository_password(repository),
        secrets=secrets,
        cache_dir=settings.RESTIC_CACHE_DIR,
        patience_seconds=settings.STORAGE_PATIENCE_SECONDS,
        **_set_for(repository),
        names=names_of(repository),
    )
    return replace(access, key_hint=restic.noted_key(access))


def _restic_program() -> str:
    program = restic.find()
    if settings.VEDETTA_RESTIC == "pinned":
        restic.refuse_unpinned(program)
    return program


def _storage_secrets(repository: Repository) -> dict[str, str]:
    secrets = for_restic()
    of = _named(repository)
    uses = (repository.use_of("access_key_ref"), repository.use_of("secret_key_ref"))
    for (name, reference), use in zip(_keys(repository).items(), uses, strict=False):
        key = Secret(reference, of=phrase("{name} of {named}", name=name, named=of), use=use)
        if value := key.resolve_optional():
            secrets[name] = value
    return secrets


def _repository_password(repository: Repository) -> str:
    of = phrase("the password of {named}", named=_named(repository))
    return Secret(repository.password_ref, of=of, use=repository.use_of("password_ref")).resolve()


def refuse_missing_secrets(row: Database | Repository) -> None:
    """Read all that a run would read for this row, and connect nowhere. Raises Problem."""
    if isinstance(row, Repository):
        _storage_secrets(row)
        _repository_password(row)
    else:
        _database_password(row)
        _scratch_password(row)


def not_here(read: Callable[[], object]) -> Problem | None:
    """Why `read` finds a secret not to be had in this process, though another may have it; else None."""
    try:
        read()
    except Problem as problem:
        return problem if problem.code in NOT_HERE else None
    return None


def secrets_subject(row: Database | Repository) -> str:
    """How the worker's alert is called that tells of a secret that it cannot read."""
    return phrase("Secrets of {kind} {row}", kind=kind_word(str(row._meta.model_name)), row=row)


# What the two key fields of a repository are to restic, by the scheme of its location.
_KEY_NAMES = {
    "s3": ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
    "rest": ("RESTIC_REST_USERNAME", "RESTIC_REST_PASSWORD"),
    "b2": ("B2_ACCOUNT_ID", "B2_ACCOUNT_KEY"),
    "azure": ("AZURE_ACCOUNT_NAME", "AZURE_ACCOUNT_KEY"),
}


# What comes to S3 with the two keys, or in their place.
_BESIDE_KEYS = (
    "AWS_SESSION_TOKEN",
    "AWS_PROFILE",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
)


def _keys(repository: Repository) -> dict[str, str]:
    """The references to a repository's own keys, by restic's names for them.

    Those that stand in every new row are S3's, and mean nothing to another storage.
    """
    scheme = repository.url.partition(":")[0]
    references = (repository.access_key_ref, repository.secret_key_ref)
    of_s3 = tuple(f"env:{name}" for name in _KEY_NAMES["s3"])
    if scheme not in _KEY_NAMES or (scheme != "s3" and references == of_s3):
        return {}
    return dict(zip(_KEY_NAMES[scheme], references, strict=True))


def _set_for(repository: Repository) -> dict[str, str]:
    """Where a person finds what the repository is reached with: names in the environment, or its own row."""
    is_the_environments = restic.same_address(repository.url, settings.RESTIC_REPOSITORY)
    return {
        "url_set_by": named_place("env:RESTIC_REPOSITORY")
        if is_the_environments
        else phrase("the location of {repository} in the portal", repository=repository),
        "password_set_by": named_place(repository.password_ref),
        "keys_set_by": ", ".join(map(named_place, _keys_in_use(repository))),
    }


def _keys_in_use(repository: Repository) -> list[str]:
    """The references to what the storage knows us by: a key that is not set counts where nothing else is."""
    keys = [key for key in _keys(repository).values() if key]
    beside = _BESIDE_KEYS if repository.url.startswith("s3:") else ()
    in_use = [each for each in (*keys, *(f"env:{name}" for name in beside)) if is_set(each)]
    return in_use or keys


def _named(repository: Repository) -> str:
    return (
        phrase("repository {repository}", repository=repository.name)
        if repository.name
        else phrase("the repository")
    )


def names_of(repository: Repository) -> restic.Names:
    """What is known to lie at its address."""
    if repository._state.adding:
        return restic.Names()
    names = restic.Names(name=repository.name, known=what_is_known(repository), known_id=repository.restic_id)
    backed_up = repository.databases.values_list("is_primary", flat=True)
    if any(backed_up):
        return names
    return replace(names, another=_begin_anew(repository), is_used=bool(backed_up))


def _begin_anew(repository: Repository) -> str:
    return phrase(
        "run `{names}`",
        names=shlex.join(["manage.py", "repository", "init", "--new", "--repository", repository.name]),
    )


def what_is_known(repository: Repository) -> str:
    """What the portal knows to lie in it, in words; empty where it knows of nothing yet."""
    present = repository.snapshots.present()
    newest = present.only("time").first()
    if newest is not None:
        held = plural("{n} snapshot", "{n} snapshots", n=present.count())
        return phrase(
            "{repository} with {held}, the newest of {local_time}",
            repository=repository,
            held=held,
            local_time=f"{newest.local_time:%Y-%m-%d %H:%M}",
        )
    if repository.restic_id or repository.snapshots.exists():
        return phrase("{repository} without a snapshot", repository=repository)
    return ""


def database_server(database: Database) -> mysql.Server:
    """Where the database lives and who we are there. Raises Problem like `repository_access`."""
    return mysql.Server(
        host=database.server.host,
        port=database.server.port,
        user=database.server.user,
        password=_database_password(database),
        question_seconds=settings.MYSQL_QUESTION_SECONDS,
        skips_binary_log=False,
        **tls_of(database),
        **(_set_in_the_environment(database) if database.is_primary else _set_in_the_portal(database)),
    )


def _database_password(database: Database) -> str:
    of = phrase("the password of database {database}", database=database)
    server = database.server
    return Secret(server.password_ref, of=of, use=server.use_of("password_ref")).resolve()


def server_of_form(server: Server) -> mysql.Server:
    """A server whose form is not saved yet, and which has no database. Raises Problem."""
    return mysql.Server(
        host=server.host,
        port=server.port,
        user=server.user,
        password=Secret(
            server.password_ref, of=phrase("the password of the form"), use=server.use_of("password_ref")
        ).resolve(),
        question_seconds=_OF_FORMS_SECONDS,
        ssl_mode=server.ssl_mode,
        ssl_ca=server.ssl_ca,
        skips_binary_log=False,
        account_set_by=phrase("the user and password of the form"),
        address_set_by=phrase("the host and port of the form"),
        ssl_mode_set_by=phrase("the TLS mode of the form"),
        ssl_ca_set_by=phrase("the authority of the form"),
    )


# Somebody waits for it before a form.
_OF_FORMS_SECONDS = 20.0
# How much is asked for; an environment that says nothing of it has PREFERRED.
_TLS = {mode.value: level for level, mode in enumerate(SslMode)}


def tls_of(database: Database) -> dict[str, str]:
    """How to encrypt. What the environment demands holds at once, though the row may follow later."""
    said, known = settings.MYSQL_SSL_MODE, database.server.ssl_mode
    if database.is_primary and _TLS[said] > max(_TLS.get(known, 0), _TLS["PREFERRED"]):
        return {"ssl_mode": said, "ssl_ca": settings.MYSQL_SSL_CA or database.server.ssl_ca}
    return {"ssl_mode": known, "ssl_ca": database.server.ssl_ca}


def _set_in_the_portal(database: Database) -> dict[str, str]:
    """The environment says nothing of a further server."""
    of_server = phrase("of server {server} in the portal", server=database.server)
    return {
        "account_set_by": phrase("the user and password {of_server}", of_server=of_server),
        "address_set_by": phrase("the host and port {of_server}", of_server=of_server),
        "database_set_by": phrase("the database's name of {database} in the portal", database=database),
        "ssl_mode_set_by": phrase("the TLS mode {of_server}", of_server=of_server),
        "ssl_ca_set_by": phrase("the authority {of_server}", of_server=of_server),
    }


def _set_in_the_environment(database: Database) -> dict[str, str]:
    """By the name that is really set, which may be one of a file."""
    return {
        "account_set_by": phrase(
            "MYSQL_USER and {named_place}", named_place=named_place(database.server.password_ref)
        )
    }


def restores_as_another(database: Database) -> bool:
    """Whether RESTORE_MYSQL_USER restores this database.

    It is of the environment's server, and its password is shown to no other, whatever a row says.
    """
    here, there = (database.server.host, database.server.port), (settings.MYSQL_HOST, settings.MYSQL_PORT)
    return bool(settings.RESTORE_MYSQL_USER) and mysql.same_address(here, there)


def restoring_server(database: Database) -> mysql.Server:
    """Where the database lives, and who restores it there and tidies up after that. Raises Problem."""
    if not restores_as_another(database):
        return database_server(database)
    return mysql.Server(
        host=database.server.host,
        port=database.server.port,
        user=settings.RESTORE_MYSQL_USER,
        password=Secret(
            "env:RESTORE_MYSQL_PASSWORD", of=phrase("the password of RESTORE_MYSQL_USER")
        ).resolve(),
        question_seconds=settings.MYSQL_QUESTION_SECONDS,
        skips_binary_log=False,
        **tls_of(database),
        account_set_by=phrase(
            "RESTORE_MYSQL_USER and {named_place}, and whether that user was made for this restore "
            "(docs/install.md)",
            named_place=named_place("env:RESTORE_MYSQL_PASSWORD"),
        ),
    )


# ---------------------------------------------------------------- Where test restores go


def scratch_server(database: Database) -> mysql.Server:
    """Where test restores go: what the row names, else VERIFY_MYSQL_HOST, else the database's own server."""
    if database.verify_host:
        return _named_in_the_portal(database)
    if settings.VERIFY_MYSQL_HOST:
        return _named_in_the_environment(database)
    return database_server(database)


def _scratch_password(database: Database) -> str:
    if database.verify_host:
        of = phrase("the password for test restores of {database}", database=database)
        use = database.use_of("verify_password_ref")
        return Secret(database.verify_password_ref, of=of, use=use).resolve()
    if settings.VERIFY_MYSQL_HOST:
        of = phrase("the password of VERIFY_MYSQL_USER")
        return Secret("env:VERIFY_MYSQL_PASSWORD", of=of).resolve()
    return _database_password(database)


def verifies_elsewhere(database: Database) -> bool:
    """Whether its test restores have a server of their own."""
    return bool(database.verify_host or settings.VERIFY_MYSQL_HOST)


def to_verify_at(database: Database, what: str) -> str:
    """How its test restores get `what` for a server, as the middle of a sentence.

    What the environment says holds for all databases that name none, so it is changed for the first alone.
    """
    if database.verify_host or not database.is_primary:
        return to_verify_apart(database, what)
    return phrase("set VERIFY_MYSQL_HOST to {what}", what=what)


def to_verify_apart(database: Database, what: str) -> str:
    """The same for this database alone, whatever the others have."""
    return phrase("name {what} for test restores of {database} in the portal", what=what, database=database)


def _named_in_the_portal(database: Database) -> mysql.Server:
    own = tls_of(database)
    of_it = phrase("test restores of {database} in the portal", database=database)
    ssl_mode_set_by, ssl_ca_set_by = _tls_set_by(database)
    return mysql.Server(
        host=database.verify_host,
        port=database.verify_port,
        user=database.verify_user,
        password=_scratch_password(database),
        question_seconds=settings.MYSQL_QUESTION_SECONDS,
        ssl_mode=database.verify_ssl_mode or own["ssl_mode"],
        ssl_ca=database.verify_ssl_ca or own["ssl_ca"],
        account_set_by=phrase("the user and password for {of_it}", of_it=of_it),
        address_set_by=phrase("the host and port for {of_it}", of_it=of_it),
        ssl_mode_set_by=phrase("the TLS mode for {of_it}", of_it=of_it)
        if database.verify_ssl_mode
        else ssl_mode_set_by,
        ssl_ca_set_by=phrase("the authority for {of_it}", of_it=of_it)
        if database.verify_ssl_ca
        else ssl_ca_set_by,
    )


def _named_in_the_environment(database: Database) -> mysql.Server:
    own = tls_of(database)
    ssl_mode_set_by, ssl_ca_set_by = _tls_set_by(database)
    return mysql.Server(
        host=settings.VERIFY_MYSQL_HOST,
        port=settings.VERIFY_MYSQL_PORT,
        user=settings.VERIFY_MYSQL_USER,
        password=_scratch_password(database),
        question_seconds=settings.MYSQL_QUESTION_SECONDS,
        ssl_mode=settings.VERIFY_MYSQL_SSL_MODE or own["ssl_mode"],
        ssl_ca=settings.VERIFY_MYSQL_SSL_CA or own["ssl_ca"],
        account_set_by=phrase(
            "{verifying_user_set_by} and {named_place}",
            verifying_user_set_by=_verifying_user_set_by(),
            named_place=named_place("env:VERIFY_MYSQL_PASSWORD"),
        ),
        address_set_by="VERIFY_MYSQL_HOST and VERIFY_MYSQL_PORT",
        ssl_mode_set_by="VERIFY_MYSQL_SSL_MODE" if settings.VERIFY_MYSQL_SSL_MODE else ssl_mode_set_by,
        ssl_ca_set_by="VERIFY_MYSQL_SSL_CA" if settings.VERIFY_MYSQL_SSL_CA else ssl_ca_set_by,
    )


def _verifying_user_set_by() -> str:
    if settings.VERIFY_MYSQL_USER != settings.MYSQL_USER or is_set("env:VERIFY_MYSQL_USER"):
        return "VERIFY_MYSQL_USER"
    return phrase("MYSQL_USER (as VERIFY_MYSQL_USER is not set)")


def _tls_set_by(database: Database) -> tuple[str, str]:
    """Where a person finds how the database itself is encrypted: its mode and its authority."""
    if database.is_primary:
        return "MYSQL_SSL_MODE", "MYSQL_SSL_CA"
    own = _set_in_the_portal(database)
    return own["ssl_mode_set_by"], own["ssl_ca_set_by"]
