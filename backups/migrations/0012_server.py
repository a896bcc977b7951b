"""A database's server is a row of its own: where it is, who backs up there, and what was learned of it.

Databases that named the same server in all of this share its row.

The columns that said so stay in the database for one release, with what they said, unknown to the models: a
worker of the version before reads and writes them to the end of its backup. To remove them, in a migration of
the release after that:

    # Let the models' state have them again, with the fields of KEPT, then remove them as usual.
    SeparateDatabaseAndState(state_operations=[AddField("database", name, field) …]),
    RemoveField("database", name) …,

Until then no migration may let SQLite make this table anew, as AlterField does, and AddField of a field with a
default: SQLite would lose them. `tests/upgrade/test_servers_from_before.py` fails then.
"""

from collections.abc import Iterator
from itertools import count
from typing import Any

import django.core.validators
import django.db.models.deletion
from django.db import migrations, models

import backups.validators
from backups import choices

_OF_A_SERVER = ("host", "port", "user", "password_ref", "ssl_mode", "ssl_ca")
_LONGEST_NAME = 245  # and a number behind it
# With defaults in the database, because whoever adds a row from now on does not name these columns. The version
# before connects to no host whose name is empty.
KEPT: dict[str, models.Field] = {
    "host": models.CharField(max_length=255, db_default=""),
    "port": models.PositiveIntegerField(db_default=3306),
    "user": models.CharField(max_length=128, db_default=""),
    "password_ref": models.CharField(max_length=300, db_default=""),
    "ssl_mode": models.CharField(max_length=20, db_default="PREFERRED"),
    "ssl_ca": models.CharField(max_length=300, db_default=""),
    "server_flavour": models.CharField(max_length=20, db_default=""),
    "server_version": models.CharField(max_length=100, db_default=""),
}


def servers_from_databases(apps: Any, schema_editor: Any) -> None:
    using = schema_editor.connection.alias
    databases = apps.get_model("backups", "Database").objects.using(using)
    servers = apps.get_model("backups", "Server").objects.using(using)
    made: dict[tuple[Any, ...], Any] = {}
    for database in databases.order_by("-is_primary", "pk"):
        told = {name: getattr(database, name) for name in _OF_A_SERVER}
        key = tuple(told.values())
        if key not in made:
            # The server itself says which names it takes for one.
            name = next(each for each in _names(database) if not servers.filter(name=each).exists())
            made[key] = servers.create(name=name, **told)
        server = made[key]
        if database.server_version and not server.version:
            server.flavour, server.version = database.server_flavour, database.server_version
            server.save()
        databases.filter(pk=database.pk).update(server=server)


def _names(database: Any) -> Iterator[str]:
    address = f"{database.host}:{database.port}"[:_LONGEST_NAME]
    yield address
    with_user = f"{database.user}@{address}"[:_LONGEST_NAME]
    yield with_user
    yield from (f"{with_user}-{number}" for number in count(2))


def databases_from_servers(apps: Any, schema_editor: Any) -> None:
    using = schema_editor.connection.alias
    databases = apps.get_model("backups", "Database").objects.using(using)
    for database in databases.select_related("server"):
        server = database.server
        databases.filter(pk=database.pk).update(
            server_flavour=server.flavour,
            server_version=server.version,
            **{name: getattr(server, name) for name in _OF_A_SERVER},
        )


class Migration(migrations.Migration):
    dependencies = [
        ("backups", "0011_what_is_asked_and_what_failed"),
    ]

    operations = [
        migrations.CreateModel(
            name="Server",
            fields=[
                (
                    "id",
                    models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"),
                ),
                (
                    "name",
                    models.CharField(
                        help_text="What the portal calls it.",
                        max_length=255,
                        unique=True,
                        validators=[backups.validators.plain_name],
                    ),
                ),
                ("host", models.CharField(max_length=255)),
                (
                    "port",
                    models.PositiveIntegerField(
                        default=3306,
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(65535),
                        ],
                    ),
                ),
                ("user", models.CharField(max_length=128)),
                (
                    "password_ref",
                    models.CharField(
                        default="env:MYSQL_PASSWORD",
                        help_text="Where the user's password is found: env:NAME or file:/path. Never the password.",
                        max_length=300,
                        validators=[backups.validators.secret_reference],
                        verbose_name="password",
                    ),
                ),
                (
                    "ssl_mode",
                    models.CharField(
                        choices=choices.SslMode.every, default="PREFERRED", max_length=20, verbose_name="TLS"
                    ),
                ),
                (
                    "ssl_ca",
                    models.CharField(
                        blank=True,
                        help_text="Path of the certificate authority's file, for the modes that check it.",
                        max_length=300,
                        verbose_name="TLS authority",
                    ),
                ),
                ("flavour", models.CharField(blank=True, editable=False, max_length=20)),
                ("version", models.CharField(blank=True, editable=False, max_length=100)),
            ],
            options={"ordering": ["name"]},
        ),
        migrations.AddField(
            model_name="database",
            name="server",
            field=models.ForeignKey(
                help_text="Where it lies, and as whom it is backed up there; several databases may be on one.",
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="databases",
                to="backups.server",
            ),
        ),
        *(migrations.AlterField("database", name, field) for name, field in KEPT.items()),
        migrations.RunPython(servers_from_databases, databases_from_servers),
        migrations.AlterField(
            model_name="database",
            name="server",
            field=models.ForeignKey(
                help_text="Where it lies, and as whom it is backed up there; several databases may be on one.",
                on_delete=django.db.models.deletion.PROTECT,
                related_name="databases",
                to="backups.server",
            ),
        ),
        migrations.SeparateDatabaseAndState(
            state_operations=[migrations.RemoveField("database", name) for name in KEPT]
        ),
    ]
