"""A run has its request, its slot and its failure's code; and a further choice is no migration from here on.

What has a default has it in the database too: a worker of before, which ends its run, inserts rows without it.
"""

import django.db.models.deletion
from django.db import migrations, models

from backups import choices


class Migration(migrations.Migration):
    dependencies = [
        ("backups", "0010_where_test_restores_go"),
    ]

    operations = [
        migrations.AddField(
            model_name="run",
            name="error_code",
            field=models.CharField(
                blank=True,
                db_default="",
                default="",
                help_text="Which failure it was, whatever words tell it.",
                max_length=80,
            ),
        ),
        migrations.AddField(
            model_name="run",
            name="error_params",
            field=models.JSONField(blank=True, help_text="What the words name.", null=True),
        ),
        migrations.AddField(
            model_name="run",
            name="host",
            field=models.CharField(
                blank=True,
                db_default="",
                default="",
                help_text="Whose worker plays it; empty is any.",
                max_length=255,
            ),
        ),
        migrations.AddField(
            model_name="run",
            name="priority",
            field=models.SmallIntegerField(db_default=0, default=0, help_text="Higher ones begin first."),
        ),
        migrations.AddField(
            model_name="run",
            name="request",
            field=models.JSONField(
                blank=True,
                help_text="What was asked for, with the version of its form; none before 1.0.",
                null=True,
            ),
        ),
        migrations.AddField(
            model_name="run",
            name="slot",
            field=models.DateTimeField(
                blank=True,
                help_text="The planned time that it stands for; none of what somebody asked for.",
                null=True,
            ),
        ),
        migrations.AddField(
            model_name="run",
            name="waits_for",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="waiting",
                to="backups.run",
            ),
        ),
        migrations.AlterField(
            model_name="alert",
            name="state",
            field=models.CharField(choices=choices.AlertState.every, default="good", max_length=10),
        ),
        migrations.AlterField(
            model_name="database",
            name="dump_format",
            field=models.CharField(choices=choices.DumpFormat.every, default="sql", max_length=10),
        ),
        migrations.AlterField(
            model_name="database",
            name="ssl_mode",
            field=models.CharField(
                choices=choices.SslMode.every, default="PREFERRED", max_length=20, verbose_name="TLS"
            ),
        ),
        migrations.AlterField(
            model_name="database",
            name="verify_ssl_mode",
            field=models.CharField(
                blank=True,
                choices=choices.SslMode.every,
                help_text="Empty is as for the database.",
                max_length=20,
                verbose_name="its TLS",
            ),
        ),
        migrations.AlterField(
            model_name="repository",
            name="health",
            field=models.CharField(
                choices=choices.Health.every, default="unknown", editable=False, max_length=10
            ),
        ),
        migrations.AlterField(
            model_name="restore",
            name="definers",
            field=models.CharField(choices=choices.DefinerPolicy.every, default="keep", max_length=20),
        ),
        migrations.AlterField(
            model_name="restore",
            name="mode",
            field=models.CharField(choices=choices.RestoreMode.every, max_length=10),
        ),
        migrations.AlterField(
            model_name="restore",
            name="swap",
            field=models.CharField(blank=True, choices=choices.Swap.every, default="", max_length=12),
        ),
        migrations.AlterField(
            model_name="run",
            name="action",
            field=models.CharField(choices=choices.Action.every, max_length=20),
        ),
        migrations.AlterField(
            model_name="run",
            name="status",
            field=models.CharField(choices=choices.Status.every, default="queued", max_length=10),
        ),
        migrations.AlterField(
            model_name="run",
            name="trigger",
            field=models.CharField(choices=choices.Trigger.every, max_length=10),
        ),
        migrations.AlterField(
            model_name="runline",
            name="level",
            field=models.CharField(choices=choices.Level.every, default="info", max_length=10),
        ),
        migrations.AlterField(
            model_name="snapshot",
            name="verdict",
            field=models.CharField(
                blank=True,
                choices=choices.Verdict.every,
                editable=False,
                help_text="Of its newest verification; empty without any.",
                max_length=12,
            ),
        ),
        migrations.AlterField(
            model_name="suspicion",
            name="state",
            field=models.CharField(
                choices=choices.SuspicionState.every, db_index=True, default="waiting", max_length=10
            ),
        ),
        migrations.AlterField(
            model_name="verification",
            name="verdict",
            field=models.CharField(choices=choices.Verdict.every, max_length=12),
        ),
        migrations.AddConstraint(
            model_name="run",
            constraint=models.UniqueConstraint(fields=("database", "action", "slot"), name="run_slot"),
        ),
    ]
