"""Archives of binary logs: pieces, marks, gaps, transactions that are listed, and proofs by replay."""

import backups.choices.logs
import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("backups", "0025_people"),
    ]

    operations = [
        migrations.AddField(
            model_name="restore",
            name="until",
            field=models.JSONField(
                blank=True,
                help_text="For a moment after the snapshot: file and position in the log, and the moment itself.",
                null=True,
            ),
        ),
        migrations.CreateModel(
            name="LogArchive",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "state",
                    models.CharField(
                        choices=backups.choices.logs.ArchiveState.every, default="off", max_length=12
                    ),
                ),
                (
                    "keep_days",
                    models.PositiveIntegerField(
                        blank=True,
                        help_text="Days for which any moment can be had; empty is LOG_KEEP_DAYS.",
                        null=True,
                    ),
                ),
                ("switched_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("switched_by", models.CharField(blank=True, max_length=200)),
                (
                    "server_uuid",
                    models.CharField(
                        blank=True,
                        help_text="Of the server whose log is followed: its UUID or its id.",
                        max_length=100,
                    ),
                ),
                (
                    "address",
                    models.CharField(blank=True, help_text="Host and port of that server.", max_length=300),
                ),
                (
                    "file",
                    models.CharField(
                        blank=True, help_text="File of the log that is read next.", max_length=255
                    ),
                ),
                (
                    "file_made",
                    models.BigIntegerField(
                        blank=True,
                        help_text="When the server began that file, in seconds, as it says itself.",
                        null=True,
                    ),
                ),
                ("position", models.BigIntegerField(blank=True, null=True)),
                (
                    "gtids",
                    models.JSONField(
                        blank=True, help_text="All that was logged before that position.", null=True
                    ),
                ),
                (
                    "stored_until",
                    models.DateTimeField(
                        blank=True,
                        help_text="By our clock: all that was committed before it is stored.",
                        null=True,
                    ),
                ),
                (
                    "problem",
                    models.CharField(
                        blank=True, help_text="Why the last look at the log came to nothing.", max_length=1000
                    ),
                ),
                ("problem_code", models.CharField(blank=True, max_length=100)),
                ("problem_since", models.DateTimeField(blank=True, null=True)),
                ("lease_by", models.CharField(blank=True, editable=False, max_length=300)),
                ("lease_until", models.DateTimeField(blank=True, editable=False, null=True)),
                (
                    "database",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="log_archive",
                        to="backups.database",
                    ),
                ),
            ],
            options={
                "ordering": ["pk"],
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="LogPiece",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("snapshot_id", models.CharField(max_length=64)),
                ("server_uuid", models.CharField(max_length=100)),
                ("file", models.CharField(max_length=255)),
                ("file_made", models.BigIntegerField()),
                (
                    "start",
                    models.BigIntegerField(
                        help_text="Position in the server's file of the first byte looked at."
                    ),
                ),
                ("end", models.BigIntegerField(help_text="Position after the last one.")),
                ("first_moment", models.DateTimeField(blank=True, null=True)),
                ("last_moment", models.DateTimeField(blank=True, null=True)),
                ("transactions", models.BigIntegerField(default=0)),
                ("bytes", models.BigIntegerField(default=0)),
                ("sha256", models.CharField(blank=True, max_length=64)),
                (
                    "sealed",
                    models.BooleanField(
                        default=False, help_text="Whether the next piece begins where this one ends."
                    ),
                ),
                (
                    "barriers",
                    models.JSONField(
                        blank=True,
                        default=list,
                        help_text="What no replay goes past: position, moment, code, parameters.",
                    ),
                ),
                ("stored_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("read_back_at", models.DateTimeField(blank=True, null=True)),
                ("forgotten_at", models.DateTimeField(blank=True, null=True)),
                (
                    "database",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="log_pieces",
                        to="backups.database",
                    ),
                ),
                (
                    "repository",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="backups.repository"
                    ),
                ),
            ],
            options={
                "ordering": ["database", "file_made", "file", "start"],
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="LogTransaction",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "position",
                    models.BigIntegerField(help_text="Position in the server's file where it begins."),
                ),
                ("end", models.BigIntegerField()),
                ("moment", models.DateTimeField()),
                ("gtid", models.CharField(blank=True, max_length=200)),
                ("connection", models.BigIntegerField(blank=True, null=True)),
                ("tables", models.JSONField(default=dict, help_text="Of each table how many rows by kind.")),
                ("rows", models.BigIntegerField(default=0)),
                ("is_definition", models.BooleanField(default=False)),
                (
                    "piece",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="listed",
                        to="backups.logpiece",
                    ),
                ),
            ],
            options={
                "ordering": ["-moment", "-pk"],
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="ReplayProof",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "verdict",
                    models.CharField(choices=backups.choices.logs.ReplayVerdict.every, max_length=12),
                ),
                ("finished_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("transactions", models.BigIntegerField(default=0)),
                ("row_changes", models.BigIntegerField(default=0)),
                ("log_bytes", models.BigIntegerField(default=0)),
                ("load_seconds", models.FloatField(blank=True, null=True)),
                ("replay_seconds", models.FloatField(blank=True, null=True)),
                ("differences", models.JSONField(blank=True, default=list)),
                ("not_covered", models.JSONField(blank=True, default=list)),
                (
                    "reason",
                    models.CharField(
                        blank=True, help_text="Why it proved nothing, in English.", max_length=1000
                    ),
                ),
                (
                    "base",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="backups.snapshot"
                    ),
                ),
                (
                    "database",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="replay_proofs",
                        to="backups.database",
                    ),
                ),
                (
                    "next",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="backups.snapshot",
                    ),
                ),
                (
                    "run",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="replay_proof",
                        to="backups.run",
                    ),
                ),
            ],
            options={
                "ordering": ["-finished_at", "-pk"],
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="LogGap",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("begins", models.DateTimeField(help_text="Moments up to here can be had.")),
                (
                    "ends",
                    models.DateTimeField(
                        blank=True,
                        help_text="Moments from here on can be had; empty while it is open.",
                        null=True,
                    ),
                ),
                ("code", models.CharField(max_length=100)),
                ("params", models.JSONField(blank=True, default=dict)),
                ("sentence", models.CharField(help_text="What happened, in English.", max_length=1000)),
                ("after_file", models.CharField(blank=True, max_length=255)),
                ("after_position", models.BigIntegerField(blank=True, null=True)),
                ("noticed_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("acknowledged_at", models.DateTimeField(blank=True, null=True)),
                ("acknowledged_by", models.CharField(blank=True, max_length=200)),
                (
                    "database",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="log_gaps",
                        to="backups.database",
                    ),
                ),
            ],
            options={
                "ordering": ["-begins", "-pk"],
                "default_permissions": (),
                "indexes": [models.Index(fields=["database", "ends"], name="log_gap_open")],
            },
        ),
        migrations.CreateModel(
            name="LogMark",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("moment", models.DateTimeField()),
                ("file", models.CharField(max_length=255)),
                ("file_made", models.BigIntegerField(blank=True, null=True)),
                ("position", models.BigIntegerField()),
                (
                    "database",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="log_marks",
                        to="backups.database",
                    ),
                ),
            ],
            options={
                "ordering": ["database", "moment"],
                "default_permissions": (),
                "indexes": [models.Index(fields=["database", "moment"], name="log_mark_moment")],
            },
        ),
        migrations.AddIndex(
            model_name="logpiece",
            index=models.Index(fields=["database", "forgotten_at", "file_made"], name="log_piece_kept"),
        ),
        migrations.AddIndex(
            model_name="logtransaction",
            index=models.Index(fields=["piece", "position"], name="log_transaction_place"),
        ),
        migrations.AddIndex(
            model_name="replayproof",
            index=models.Index(fields=["database", "verdict", "-finished_at"], name="replay_proof_newest"),
        ),
    ]
