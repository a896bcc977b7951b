"""A person's word that a snapshot stays."""

import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("backups", "0015_portal_start"),
    ]

    operations = [
        migrations.CreateModel(
            name="Pin",
            fields=[
                (
                    "id",
                    models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"),
                ),
                (
                    "reason",
                    models.CharField(help_text="Why it is to stay, in their words.", max_length=300),
                ),
                (
                    "until",
                    models.DateField(
                        blank=True, help_text="The last day on which it is kept; empty is for ever.", null=True
                    ),
                ),
                ("made_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("made_by", models.CharField(help_text="Who said so.", max_length=200)),
                ("ended_at", models.DateTimeField(blank=True, null=True)),
                ("ended_by", models.CharField(blank=True, max_length=200)),
                (
                    "end_reason",
                    models.CharField(blank=True, help_text="Why it need not stay.", max_length=300),
                ),
                (
                    "snapshot",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="pins",
                        to="backups.snapshot",
                    ),
                ),
            ],
            options={
                "ordering": ["-pk"],
                "default_permissions": (),
                "permissions": [
                    ("pin_snapshot", "Can pin snapshots, so that they are kept, and unpin them")
                ],
                "indexes": [models.Index(fields=["ended_at", "until"], name="pin_standing")],
            },
        ),
    ]
