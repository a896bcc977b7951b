"""A restore has a worker of its own: it does not wait behind a backup."""

from __future__ import annotations

from tests.backups.worlds import Portal, wait_until


def test_restore_starts_while_a_backup_runs(mariadb_portal: Portal) -> None:
    portal = mariadb_portal
    assert portal.backup().code == 0
    portal.shop.server.execute("DROP DATABASE IF EXISTS beside_a_backup")
    with portal.worker():
        with portal.shop.held("orders"):
            backup = int(portal.shell(QUEUE_A_BACKUP))
            portal.shop.wait_for_a_waiting_dump()
            restore = int(portal.shell(QUEUE_A_RESTORE))
            wait_until(lambda: portal.run(restore)["started_at"] is not None, "the restore to start", 20)
            assert portal.run(backup)["status"] == "running"
        wait_until(lambda: portal.run(backup)["status"] == "succeeded", "the backup", 60)


QUEUE_A_BACKUP = (
    "from backups.models import Database; from backups.requests import Asker, BackupRequest;"
    "from backups.choices import Trigger;"
    "print(BackupRequest(Database.objects.get()).submit(Asker(Trigger.ADMIN)).pk)"
)
QUEUE_A_RESTORE = (
    "from backups.models import Database; from backups.requests import Asker, RestoreRequest;"
    "from backups.choices import RestoreMode, Trigger;"
    "d = Database.objects.get();"
    "wanted = RestoreRequest(d, d.snapshots.first(), RestoreMode.NEW, 'beside_a_backup');"
    "print(wanted.submit(Asker(Trigger.ADMIN)).pk)"
)
