import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("backups", "0025_people")]

    operations = [
        migrations.AddField(
            model_name="downloadticket",
            name="run",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="+",
                to="backups.run",
            ),
        ),
        migrations.AlterField(
            model_name="downloadticket",
            name="snapshot",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="+",
                to="backups.snapshot",
            ),
        ),
    ]
