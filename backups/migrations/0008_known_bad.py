"""A snapshot knows its newest verdict, a repository can be suspect, and more can be told."""

from django.db import migrations, models
from django.db.models import OuterRef, Subquery


def take_back(apps, _editor):
    """What a later verification said counts also of those that were made before this."""
    Snapshot = apps.get_model("backups", "Snapshot")  # noqa: N806
    verifications = apps.get_model("backups", "Verification").objects
    newest = verifications.filter(snapshot=OuterRef("pk")).order_by("-finished_at", "-pk")
    known = Snapshot.objects.filter(pk__in=verifications.values("snapshot"))
    known.update(verdict=Subquery(newest.values("verdict")[:1]))
    Snapshot.objects.filter(verdict__in=["different", "unreadable"]).update(verified_at=None)


class Migration(migrations.Migration):
    dependencies = [("backups", "0007_repository_restic_id")]

    operations = [
        migrations.AlterField(
            model_name="alert",
            name="state",
            field=models.CharField(
                choices=[
                    ("good", "Good"),
                    ("failed", "Failed"),
                    ("lost", "Lost"),
                    ("overdue", "Overdue"),
                    ("suspicious", "Suspicious"),
                    ("trouble", "Trouble"),
                ],
                default="good",
                max_length=10,
            ),
        ),
        migrations.AlterField(
            model_name="repository",
            name="health",
            field=models.CharField(
                choices=[
                    ("unknown", "Not checked yet"),
                    ("good", "Good"),
                    ("suspect", "Suspect"),
                    ("damaged", "Damaged"),
                ],
                default="unknown",
                editable=False,
                max_length=10,
            ),
        ),
        migrations.AlterField(
            model_name="run",
            name="trigger",
            field=models.CharField(
                choices=[
                    ("schedule", "Schedule"),
                    ("admin", "Portal"),
                    ("cli", "Command line"),
                    ("backup", "After a backup"),
                    ("verify", "After a verification"),
                    ("restore", "Before a restore"),
                    ("recovered", "Rebuilt from the repository"),
                ],
                max_length=10,
            ),
        ),
        migrations.AddField(
            model_name="snapshot",
            name="verdict",
            field=models.CharField(
                blank=True,
                choices=[
                    ("identical", "Identical"),
                    ("different", "Different"),
                    ("unreadable", "Unreadable"),
                ],
                editable=False,
                help_text="Of its newest verification; empty without any.",
                max_length=12,
            ),
        ),
        migrations.RunPython(take_back, migrations.RunPython.noop),
    ]
