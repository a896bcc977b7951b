"""Alerts in another language: what their texts are made of. Those of before stay in English."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("backups", "0018_pin"),
    ]

    operations = [
        migrations.AddField(
            model_name="alert",
            name="parts",
            field=models.JSONField(
                blank=True,
                default=dict,
                help_text="What its texts are made of, to be told in another language.",
            ),
        ),
    ]
