"""Schedulers of several machines that look at once, on each kind of database that a portal may have."""

from __future__ import annotations

import json

import pytest

from tests.backups.conftest import MakePortal
from tests.backups.worlds import Shop
from tests.portal_copy.conftest import NewDatabase

DATABASES = 5
SLOT = "2026-01-01 03:00:00+00:00"
MAKE = f"""
from backups.models import Database
from backups.scheduling.schedules import schedules_sync
from django_q.models import Schedule
first = Database.objects.get()
for number in range({DATABASES} - 1):
    first.pk, first.name, first.is_primary = None, f'copy{{number}}', False
    first.save()
schedules_sync()
Schedule.objects.filter(func='backups.tasks.backup_due').update(next_run='{SLOT}')
"""
# All of them at the same moment, which each waits for by itself.
LOOK = """
import time
from datetime import datetime
from backups.models import Database
from backups.requests import Asker, BackupRequest
from backups.worker.due import runs_due, submit
list(Database.objects.all())
time.sleep(max({at} - time.time(), 0))
print(len(runs_due()))
"""
# As if each had found the time in the schedule's row: the slot alone keeps the second one out.
INSERT = """
import time
from datetime import datetime
from backups.models import Database
from backups.requests import BackupRequest
from backups.worker.due import submit
keys = list(Database.objects.values_list('pk', flat=True))
slot = datetime.fromisoformat('2026-01-01 15:00:00+00:00')
time.sleep(max({at} - time.time(), 0))
print(sum(submit(BackupRequest, pk, slot) is not None for pk in keys))
"""
FINISH = "from backups.models import Run; Run.objects.update(**{'status': 'succeeded'})"
TELL = """
import json
from backups.models import Alert, Run, RunLine
print(json.dumps([
    sorted(f'{pk} {slot:%H}' for pk, slot in Run.objects.exclude(slot=None).values_list('database', 'slot')),
    RunLine.objects.exclude(run__slot=None).count(),
    Alert.objects.filter(state='failed').count(),
]))
"""


@pytest.mark.parametrize(
    "new_database",
    ["sqlite", *(pytest.param(kind, marks=pytest.mark.soak) for kind in ("mariadb", "postgresql"))],
    indirect=True,
)
def test_two_schedulers_that_insert_at_once_make_one_run_of_each_slot(
    mariadb_shop: Shop, make_portal: MakePortal, new_database: NewDatabase
) -> None:
    portal = make_portal(mariadb_shop, **new_database())
    portal.shell(MAKE)

    def at_once(code: str) -> list[int]:
        at = float(portal.shell("import time; print(time.time())")) + 4
        both = [portal.start("shell", "--no-imports", "-c", code.format(at=at)) for _ in range(2)]
        ended = [portal.finish(each) for each in both]
        assert all(each.code == 0 for each in ended), [each.err for each in ended]
        return [int(each.out) for each in ended]

    assert sum(at_once(LOOK)) == DATABASES
    portal.shell(FINISH)
    assert sum(at_once(INSERT)) == DATABASES

    slots, lines, failures = json.loads(portal.shell(TELL))
    assert len(slots) == len(set(slots)) == 2 * DATABASES
    assert (lines, failures) == (0, 0)
