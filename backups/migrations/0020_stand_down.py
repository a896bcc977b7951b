"""Databases that are paused, muted or retired."""

import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models

from backups import choices


class Migration(migrations.Migration):
    dependencies = [
        ("backups", "0019_alert_parts"),
    ]

    operations = [
        migrations.CreateModel(
            name="StandDown",
            fields=[
                (
                    "id",
                    models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=choices.StandDownKind.every, max_length=12
                    ),
                ),
                ("reason", models.CharField(help_text="Why, in their words.", max_length=300)),
                (
                    "until",
                    models.DateTimeField(
                        blank=True,
                        help_text="When it ends by itself; empty is when somebody ends it.",
                        null=True,
                    ),
                ),
                ("made_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("made_by", models.CharField(help_text="Who said so.", max_length=200)),
                ("ended_at", models.DateTimeField(blank=True, null=True)),
                ("ended_by", models.CharField(blank=True, max_length=200)),
                (
                    "database",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="stand_downs",
                        to="backups.database",
                    ),
                ),
            ],
            options={
                "ordering": ["-pk"],
                "default_permissions": (),
                "indexes": [models.Index(fields=["ended_at", "kind"], name="stand_down_standing")],
            },
        ),
    ]
