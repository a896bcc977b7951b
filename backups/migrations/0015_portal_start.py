from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('backups', '0014_download_ticket'),
    ]

    operations = [
        migrations.CreateModel(
            name='PortalStart',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('started_at', models.DateTimeField()),
                (
                    'secrets',
                    models.JSONField(
                        blank=True,
                        default=list,
                        help_text='Names of variables with secrets that it does not need.',
                    ),
                ),
            ],
        ),
    ]
