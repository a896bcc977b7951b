"""Indexes that have all that is asked of each database's newest snapshots, and those of other host names."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("backups", "0027_snapshot_proof"),
    ]

    operations = [
        # Before the one that it stands for goes: MySQL wants one for the foreign key at any time.
        migrations.AddIndex(
            model_name="snapshot",
            index=models.Index(
                fields=["database", "forgotten_at", "-time", "made_here", "verified_at"],
                name="snapshot_current",
            ),
        ),
        migrations.RemoveIndex(
            model_name="snapshot",
            name="snapshot_newest",
        ),
        migrations.AddIndex(
            model_name="snapshot",
            index=models.Index(fields=["forgotten_at", "host", "database"], name="snapshot_host"),
        ),
    ]
