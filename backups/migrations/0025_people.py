"""People in the portal's words: how they come by a password, and where they are signed in."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
        ("backups", "0023_channels"),
    ]

    operations = [
        migrations.CreateModel(
            name="Account",
            fields=[
                (
                    "id",
                    models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"),
                ),
                (
                    "must_change_password",
                    models.BooleanField(default=False, help_text="Somebody else set it, and knows it."),
                ),
                (
                    "link_made_at",
                    models.DateTimeField(
                        blank=True,
                        help_text="When the link was made that sets a password; none once it is used.",
                        null=True,
                    ),
                ),
                (
                    "person",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="account",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "default_permissions": (),
                "permissions": [
                    ("manage_people", "Can invite people, give them roles and end their sessions")
                ],
            },
        ),
        migrations.CreateModel(
            name="SignIn",
            fields=[
                (
                    "id",
                    models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"),
                ),
                (
                    "key",
                    models.CharField(
                        help_text="What the session's row is kept by, which opens nothing.",
                        max_length=40,
                        unique=True,
                    ),
                ),
                (
                    "since",
                    models.DateTimeField(
                        blank=True, help_text="None of a session that an earlier version began.", null=True
                    ),
                ),
                ("seen_at", models.DateTimeField()),
                ("address", models.CharField(blank=True, max_length=60)),
                (
                    "browser",
                    models.CharField(blank=True, help_text="As it calls itself.", max_length=300),
                ),
                (
                    "person",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="sign_ins",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "ordering": ["-seen_at"],
                "default_permissions": (),
            },
        ),
    ]
