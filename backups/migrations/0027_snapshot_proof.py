"""An index that has all that a proof report asks of each snapshot."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("backups", "0026_binary_logs"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="snapshot",
            index=models.Index(
                fields=["time", "id", "database", "verdict", "made_here", "made_by"], name="snapshot_proof"
            ),
        ),
    ]
