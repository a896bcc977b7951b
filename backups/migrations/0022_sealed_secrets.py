"""Secrets that people type: what a row refers to may be the secret itself, sealed, which is longer."""

from django.db import migrations, models

import backups.validators

_WIDE = {"max_length": 2000, "validators": [backups.validators.secret_reference]}


class Widened(migrations.AlterField):
    """SQLite counts no letters, and would make the table anew: without what a worker of before still reads."""

    def database_forwards(self, app_label, schema_editor, from_state, to_state):
        if schema_editor.connection.vendor != "sqlite":
            super().database_forwards(app_label, schema_editor, from_state, to_state)


class Migration(migrations.Migration):
    dependencies = [
        ("backups", "0021_mark"),
    ]

    operations = [
        Widened(
            model_name="database",
            name="verify_password_ref",
            field=models.CharField(
                blank=True,
                help_text="Where that user's password is found: env:NAME or file:/path. Never the password.",
                verbose_name="its password",
                **_WIDE,
            ),
        ),
        Widened(
            model_name="repository",
            name="access_key_ref",
            field=models.CharField(
                blank=True,
                default="env:AWS_ACCESS_KEY_ID",
                help_text="For S3: env:NAME or file:/path.",
                verbose_name="access key id",
                **_WIDE,
            ),
        ),
        Widened(
            model_name="repository",
            name="password_ref",
            field=models.CharField(
                default="env:RESTIC_PASSWORD",
                help_text="Where the repository's password is found: env:NAME or file:/path.",
                verbose_name="password",
                **_WIDE,
            ),
        ),
        Widened(
            model_name="repository",
            name="secret_key_ref",
            field=models.CharField(
                blank=True,
                default="env:AWS_SECRET_ACCESS_KEY",
                help_text="For S3: env:NAME or file:/path.",
                verbose_name="secret access key",
                **_WIDE,
            ),
        ),
        Widened(
            model_name="server",
            name="password_ref",
            field=models.CharField(
                default="env:MYSQL_PASSWORD",
                help_text="Where the user's password is found: env:NAME or file:/path. Never the password.",
                verbose_name="password",
                **_WIDE,
            ),
        ),
    ]
