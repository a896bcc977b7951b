"""A download is asked for by the portal with a ticket, and streamed by the worker."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
        ("backups", '0013_question'),
    ]

    operations = [
        migrations.CreateModel(
            name="DownloadTicket",
            fields=[
                (
                    "id",
                    models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"),
                ),
                (
                    "digest",
                    models.CharField(
                        help_text="Of the token, which is kept nowhere.", max_length=64, unique=True
                    ),
                ),
                ("tables", models.JSONField(default=list, help_text="Empty is all of them.")),
                ("until", models.DateTimeField(db_index=True)),
                ("used_at", models.DateTimeField(blank=True, null=True)),
                (
                    "person",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "snapshot",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to="backups.snapshot"
                    ),
                ),
            ],
            options={"ordering": ["-pk"], "default_permissions": ()},
        ),
    ]
