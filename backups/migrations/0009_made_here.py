"""A snapshot carries the signature of the installation that made it, whose public halves are a row."""

import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("backups", "0008_known_bad")]

    operations = [
        migrations.CreateModel(
            name="PublicKey",
            fields=[
                (
                    "id",
                    models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"),
                ),
                ("signing", models.CharField(help_text="Ed25519, in base64.", max_length=44)),
                ("sealing", models.CharField(help_text="X25519, in base64.", max_length=44)),
                ("noted_at", models.DateTimeField(default=django.utils.timezone.now)),
                (
                    "copied_at",
                    models.DateTimeField(
                        blank=True,
                        help_text="When a person said that the key is kept elsewhere, too.",
                        null=True,
                    ),
                ),
            ],
            options={"default_permissions": ()},
        ),
        migrations.AddField(
            model_name="snapshot",
            name="signature",
            field=models.CharField(
                blank=True,
                editable=False,
                help_text="By which this installation knows that it made the snapshot; of its manifest.",
                max_length=100,
            ),
        ),
        migrations.AddField(
            model_name="snapshot",
            name="made_here",
            field=models.BooleanField(
                default=False, editable=False, help_text="Whether this portal made it, as its rows or the signature say."
            ),
        ),
    ]
