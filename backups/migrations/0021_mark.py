"""Marks of tables, by which a page that asks again learns that nothing changed."""

import secrets

from django.db import migrations, models

# As of this migration; `marks` makes those that come later.
_TABLES = (
    "backups_alert", "backups_channel", "backups_database", "backups_delivery", "backups_pin",
    "backups_portalstart", "backups_publickey", "backups_repository", "backups_restore", "backups_run",
    "backups_server", "backups_snapshot", "backups_standdown", "backups_suspicion", "backups_verification",
    "django_admin_log", "django_q_schedule",
)  # fmt: skip


def make_marks(apps, schema_editor):
    mark = apps.get_model("backups", "Mark")
    rows = [mark(name=name, value=secrets.randbits(62)) for name in _TABLES]
    mark.objects.using(schema_editor.connection.alias).bulk_create(rows, ignore_conflicts=True)


class Migration(migrations.Migration):
    dependencies = [
        ("backups", "0020_stand_down"),
    ]

    operations = [
        migrations.CreateModel(
            name="Mark",
            fields=[
                (
                    "id",
                    models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"),
                ),
                ("name", models.CharField(max_length=64, unique=True)),
                ("value", models.BigIntegerField()),
            ],
            options={
                "ordering": ["pk"],
                "default_permissions": (),
            },
        ),
        migrations.RunPython(make_marks, migrations.RunPython.noop),
    ]
