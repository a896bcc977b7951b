"""A database may name a server for its test restores, and a verification says where it restored."""

import backups.validators
import django.core.validators
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("backups", "0009_made_here"),
    ]

    operations = [
        migrations.AddField(
            model_name="database",
            name="verify_host",
            field=models.CharField(
                blank=True,
                help_text="A server of the same kind and release, best one that holds nothing else.",
                max_length=255,
                verbose_name="host for test restores",
            ),
        ),
        migrations.AddField(
            model_name="database",
            name="verify_password_ref",
            field=models.CharField(
                blank=True,
                help_text="Where that user's password is found: env:NAME or file:/path. Never the password.",
                max_length=300,
                validators=[backups.validators.secret_reference],
                verbose_name="its password",
            ),
        ),
        migrations.AddField(
            model_name="database",
            name="verify_port",
            field=models.PositiveIntegerField(
                default=3306,
                validators=[
                    django.core.validators.MinValueValidator(1),
                    django.core.validators.MaxValueValidator(65535),
                ],
                verbose_name="its port",
            ),
        ),
        migrations.AddField(
            model_name="database",
            name="verify_ssl_ca",
            field=models.CharField(
                blank=True,
                help_text="Path of the certificate authority's file; empty is as for the database.",
                max_length=300,
                verbose_name="its TLS authority",
            ),
        ),
        migrations.AddField(
            model_name="database",
            name="verify_ssl_mode",
            field=models.CharField(
                blank=True,
                choices=[
                    ("DISABLED", "Disabled"),
                    ("PREFERRED", "Preferred"),
                    ("REQUIRED", "Required"),
                    ("VERIFY_CA", "Required, certificate authority checked"),
                    ("VERIFY_IDENTITY", "Required, authority and host name checked"),
                ],
                help_text="Empty is as for the database.",
                max_length=20,
                verbose_name="its TLS",
            ),
        ),
        migrations.AddField(
            model_name="database",
            name="verify_user",
            field=models.CharField(blank=True, max_length=128, verbose_name="its user"),
        ),
        migrations.AddField(
            model_name="verification",
            name="scratch_address",
            field=models.CharField(
                blank=True,
                help_text="Where it was restored: host:port or the path of a socket.",
                max_length=300,
            ),
        ),
    ]
