"""Channels by which people are told, the messages that went them, and what of an alert they choose by."""

import backups.choices.channels
import backups.validators
import django.core.validators
import django.db.models.deletion
import django.utils.timezone
import uuid
from django.db import migrations, models


_EVENTS = {"failed": "failed", "lost": "failed", "overdue": "overdue", "suspicious": "suspicious"}
_OF_SUBJECTS = {"Worker": "worker", "Queue": "worker", "Gate": "gate", "Restore of ": "restore"}


def name_events(apps, schema_editor):
    """What went wrong and lasts is told again as what it is, too."""
    alerts = apps.get_model("backups", "Alert").objects.using(schema_editor.connection.alias)
    for state, event in _EVENTS.items():
        alerts.filter(state=state).update(event=event)
    alerts.filter(state="trouble").update(event="failed")
    for begin, event in _OF_SUBJECTS.items():
        alerts.exclude(state="good").filter(subject__startswith=begin).update(event=event)


class Migration(migrations.Migration):

    dependencies = [
        ('backups', '0022_sealed_secrets'),
    ]

    operations = [
        migrations.AddField(
            model_name='alert',
            name='event',
            field=models.CharField(blank=True, choices=backups.choices.channels.AlertEvent.every, help_text='What went wrong last.', max_length=20),
        ),
        migrations.CreateModel(
            name='Channel',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(help_text='What the portal calls it, as in: on call.', max_length=100, unique=True, validators=[backups.validators.plain_name])),
                ('kind', models.CharField(choices=backups.choices.channels.ChannelKind.every, editable=False, max_length=20, verbose_name='service')),
                ('is_enabled', models.BooleanField(default=True, help_text='Switched off, it tells nothing, and keeps its settings.', verbose_name='in use')),
                ('shown', models.JSONField(blank=True, default=dict, editable=False)),
                ('sealed', models.TextField(blank=True, editable=False)),
                ('sealed_for_portal', models.TextField(blank=True, editable=False)),
                ('events', models.JSONField(blank=True, default=list)),
                ('remind_hours', models.PositiveSmallIntegerField(blank=True, help_text='For as long as it lasts. Empty: each change is told once.', null=True, validators=[django.core.validators.MinValueValidator(1), django.core.validators.MaxValueValidator(168)], verbose_name='tell again every … hours')),
                ('quiet_from', models.TimeField(blank=True, null=True, verbose_name='quiet from')),
                ('quiet_until', models.TimeField(blank=True, null=True, verbose_name='quiet until')),
                ('last_at', models.DateTimeField(blank=True, editable=False, null=True)),
                ('last_ok', models.BooleanField(blank=True, editable=False, null=True)),
                ('last_answer', models.TextField(blank=True, editable=False)),
                ('parts', models.JSONField(blank=True, default=dict, editable=False)),
                ('tended_at', models.DateTimeField(blank=True, editable=False, null=True)),
                ('summed_up_at', models.DateTimeField(blank=True, editable=False, null=True)),
                ('databases', models.ManyToManyField(blank=True, help_text='None chosen: of all. What is about no single database, as the gate, is always told.', related_name='+', to='backups.database')),
            ],
            options={
                'ordering': ['name'],
            },
        ),
        migrations.CreateModel(
            name='Delivery',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('key', models.UUIDField(default=uuid.uuid4, help_text='The same for each try.')),
                ('event', models.CharField(choices=backups.choices.channels.AlertEvent.every, max_length=20)),
                ('subject', models.CharField(blank=True, max_length=200)),
                ('title', models.CharField(max_length=300)),
                ('text', models.TextField(blank=True)),
                ('parts', models.JSONField(blank=True, default=dict)),
                ('state', models.CharField(choices=backups.choices.channels.DeliveryState.every, default='waiting', max_length=10)),
                ('made_at', models.DateTimeField(default=django.utils.timezone.now)),
                ('next_at', models.DateTimeField(default=django.utils.timezone.now, help_text='When it is tried, or tried again.')),
                ('tried_at', models.DateTimeField(blank=True, null=True)),
                ('tries', models.PositiveSmallIntegerField(default=0)),
                ('answer_status', models.PositiveIntegerField(blank=True, help_text="The answer's status.", null=True)),
                ('answer', models.TextField(blank=True)),
                ('alert', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='backups.alert')),
                ('channel', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='deliveries', to='backups.channel')),
            ],
            options={
                'ordering': ['-pk'],
                'verbose_name_plural': 'deliveries',
                'default_permissions': (),
                'indexes': [models.Index(fields=['state', 'next_at'], name='delivery_due')],
            },
        ),
        migrations.RunPython(name_events, migrations.RunPython.noop),
    ]
