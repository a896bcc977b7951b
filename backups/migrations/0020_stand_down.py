"""Databases that are paused, muted or retired, and labels for them; how much is left on a disk."""

import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models

from backups import choices, validators


class Migration(migrations.Migration):
    dependencies = [
        ("backups", "0019_alert_parts"),
    ]

    operations = [
        migrations.CreateModel(
            name="Label",
            fields=[
                (
                    "id",
                    models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"),
                ),
                (
                    "name",
                    models.CharField(
                        help_text="A word that groups databases, as in: production.",
                        max_length=60,
                        unique=True,
                        validators=[validators.plain_name],
                    ),
                ),
            ],
            options={"ordering": ["name"]},
        ),
        migrations.AddField(
            model_name="database",
            name="labels",
            field=models.ManyToManyField(
                blank=True,
                help_text="Words that group databases.",
                related_name="databases",
                to="backups.label",
                verbose_name="labels",
            ),
        ),
        migrations.AddField(
            model_name="repository",
            name="disk_bytes",
            field=models.BigIntegerField(
                blank=True,
                editable=False,
                help_text="The whole disk, where it is a folder.",
                null=True,
            ),
        ),
        migrations.AddField(
            model_name="repository",
            name="disk_free_bytes",
            field=models.BigIntegerField(blank=True, editable=False, null=True),
        ),
        migrations.AddField(
            model_name="repository",
            name="disk_seen_at",
            field=models.DateTimeField(blank=True, editable=False, null=True),
        ),
        migrations.AddField(
            model_name="repository",
            name="disk_full_at",
            field=models.DateTimeField(
                blank=True,
                editable=False,
                help_text="When nothing is free any more at this rate.",
                null=True,
            ),
        ),
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
