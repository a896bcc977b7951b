"""Marks of tables, by which a page that asks again learns that nothing changed."""

from django.db import migrations, models


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
    ]
