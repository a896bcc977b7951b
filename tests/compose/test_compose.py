"""The story of an installation with Docker Compose, from nothing to disaster and back, in order."""

from __future__ import annotations

import http.cookiejar
import json
import re
import time
import urllib.parse
import urllib.request
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from tests.compose.conftest import PASSWORD, Stack
from tests.compose.docker import until
from tools.ports import HOST

pytestmark = pytest.mark.timeout(1200)

CLOSED = "Service unavailable: backup status not OK"
# About 160 MB of rows that do not compress, so that a backup can be interrupted.
ROWS = (
    """
CREATE TABLE orders (id BIGINT AUTO_INCREMENT PRIMARY KEY, body VARBINARY(1024) NOT NULL);
CREATE TABLE notes (id INT PRIMARY KEY, note TEXT);
INSERT INTO notes VALUES (1, 'a; b\n''c'''), (2, NULL), (3, 'è, 日本, 🚨');
CREATE TRIGGER notes_kept BEFORE DELETE ON notes FOR EACH ROW SIGNAL SQLSTATE '45000';
CREATE FUNCTION doubled(a INT) RETURNS INT DETERMINISTIC RETURN a * 2;
INSERT INTO orders (body) VALUES (RANDOM_BYTES(1024)), (RANDOM_BYTES(1024));
"""
    + "INSERT INTO orders (body) SELECT RANDOM_BYTES(1024) FROM orders;\n" * 16
)


def test_it_comes_up_with_nothing_but_env_and_is_closed_before_the_first_backup(stack: Stack) -> None:
    stack.up()
    until("the database is healthy", lambda: stack.healthy("db"), 240)
    until("all are healthy", lambda: stack.healthy("db_backup", "portal", "sentinel", "nginx"), 240)
    assert stack.get("/sentinel/ok", stack.portal) == (503, "missing")
    code, page = stack.get("/")
    assert (code, CLOSED in page) == (503, True)
    assert stack.get("/api/orders")[0] == 503


def test_nginx_asks_the_gate_on_a_socket_that_is_for_its_group_alone(stack: Stack) -> None:
    asking = ["curl", "--silent", "--unix-socket", "/run/vedetta-gate/socket", "http://localhost/sentinel/ok"]
    assert stack.compose("exec", "-T", "--user", "nginx", "nginx", *asking) == "missing"
    assert stack.compose("exec", "-T", "--user", "nobody", "nginx", *asking, check=False) == ""


def test_the_portal_is_reachable_while_the_gate_is_closed_with_its_styles(stack: Stack) -> None:
    code, page = stack.get("/vedetta/admin/login/")
    assert code == 200
    styles = re.findall(r'href="(/[^"]*\.css)"', page)
    assert styles
    for address in styles:
        assert address.startswith("/vedetta/static/")
        assert stack.get(address)[0] == 200


def test_nothing_runs_as_root_and_nothing_is_written_outside_the_volumes(stack: Stack) -> None:
    for service in ("db_backup", "portal", "sentinel"):
        container = stack.compose("ps", "--quiet", service).strip()
        # A health check is root for the blink of an eye.
        until("nothing is root", partial(_nothing_is_root, stack, container), 20)
        assert (
            stack.docker("inspect", "--format", "{{.HostConfig.ReadonlyRootfs}}", container).strip() == "true"
        )
    for folder in ("status", "data", "restored"):
        assert (stack.folder / folder).stat().st_uid == 10001


def test_the_first_scheduled_backup_runs_by_itself_and_the_gate_opens(stack: Stack) -> None:
    stack.sql(ROWS)
    until("the scheduled backup", lambda: (stack.folder / "status" / "last_ok").exists(), 480)
    assert stack.runs(action="backup", trigger="schedule")[0]["status"] == "succeeded"
    until("the gate opens", stack.is_open, 10)
    assert "Orders tracker" in stack.get("/")[1]
    assert stack.get("/api/orders") == (200, '{"orders": []}\n')


def test_a_backup_is_started_in_the_portal(stack: Stack) -> None:
    cookies = http.cookiejar.CookieJar()
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(cookies))
    root = f"http://{HOST}:{stack.http}/vedetta"

    def post(path: str, **fields: str) -> str:
        token = next(cookie.value for cookie in cookies if cookie.name.startswith("vedetta_csrf_"))
        data = urllib.parse.urlencode({**fields, "csrfmiddlewaretoken": str(token)}).encode()
        request = urllib.request.Request(root + path, data, headers={"Referer": root + path})
        return browser.open(request, timeout=30).read().decode()

    browser.open(f"{root}/admin/login/", timeout=30)
    post("/admin/login/?next=/vedetta/admin/", username="admin", password=PASSWORD)
    page = browser.open(f"{root}/admin/backups/database/1/change/", timeout=30).read().decode()
    address = re.search(r"/vedetta(/admin/backups/database/1/[\w-]*back[\w-]*up[\w/-]*)", page)
    assert address, page
    assert "Back up now?" in browser.open(root + address[1], timeout=30).read().decode()
    assert stack.runs(action="backup", trigger="admin") == []
    post(address[1], _form_submitted="on")
    until("it succeeds", lambda: stack.runs(action="backup", trigger="admin", status="succeeded") != [], 120)
    until("its follow-ups are done", lambda: not stack.runs(status="running"), 60)


def test_the_gate_closes_when_the_heartbeat_is_old_and_opens_after_a_backup(stack: Stack) -> None:
    old = datetime.now(UTC) - timedelta(days=2)
    (stack.folder / "status" / "last_ok").write_text(f"{old:%Y-%m-%dT%H:%M:%SZ}\n")
    until("the gate closes", lambda: not stack.is_open(), 5)
    assert CLOSED in stack.get("/")[1]
    stack.shell("docker compose exec -T db_backup /usr/local/bin/backup.sh")
    until("the gate opens", stack.is_open, 5)


def test_a_gate_that_gives_no_answer_is_closed_and_found_again_at_another_address(stack: Stack) -> None:
    stack.compose("stop", "sentinel")
    until("the gate closes", lambda: not stack.is_open(), 10)
    assert CLOSED in stack.get("/")[1]
    stack.compose("up", "--detach", "--no-build", "--force-recreate", "sentinel")
    until("the gate opens", stack.is_open, 30)


OLD_COMMANDS = {
    "docker compose run --rm db_backup restic init": "already",
    "docker compose exec -T db_backup /usr/local/bin/backup.sh": "Backed up orders_tracker",
    "docker compose exec -T db_backup /usr/local/bin/verify.sh": "is identical",
    "docker compose exec -T db_backup cat /status/last_ok": "T",
    "docker compose run --rm db_backup restic snapshots": "/mysql/orders_tracker.sql",
    "docker compose run --rm db_backup restic stats": "Total Size",
    "docker compose run --rm db_backup restic check": "no errors were found",
    "docker compose run --rm db_backup restic check --read-data": "no errors were found",
    "docker compose run --rm db_backup restic prune": "done",
    "docker compose run --rm db_backup restic repair index": "done",
    "docker compose run --rm db_backup restic repair snapshots": "no snapshots were modified",
    'docker compose run --rm db_backup restic ls latest "/mysql/"': "/mysql/orders_tracker.sql",
    'docker compose run --rm -v "$PWD/elsewhere:/restore" db_backup restic restore latest '
    '--include "/mysql/orders_tracker.sql" --target /restore': "Restored",
    "docker compose up -d db": "",
    "docker compose --profile prod up -d": "",
}


@pytest.mark.parametrize("command", OLD_COMMANDS)
def test_a_command_of_the_old_guide_works(stack: Stack, command: str) -> None:
    assert OLD_COMMANDS[command] in stack.shell(command)


def test_what_was_restored_is_the_dump(stack: Stack) -> None:
    dump = (stack.folder / "elsewhere" / "mysql" / "orders_tracker.sql").read_bytes()
    assert b"CREATE TABLE `orders`" in dump


def test_a_dump_is_piped_into_the_database_as_in_the_old_guide(stack: Stack) -> None:
    before = stack.checksums()
    stack.sql("DROP TABLE notes")
    stack.shell(
        'docker compose run --rm -T db_backup restic dump latest "/mysql/orders_tracker.sql" '
        "| docker compose exec -T -e MYSQL_PWD=of-root db mysql -uroot --binary-mode orders_tracker"
    )
    assert stack.checksums() == before


def test_a_container_killed_in_the_middle_of_a_backup_leaves_no_half_snapshot_and_no_lock(
    stack: Stack,
) -> None:
    before = stack.snapshots()
    _begin_backup(stack)
    stack.compose("kill", "db_backup")
    assert stack.locks()
    stack.compose("up", "--detach", "--no-build", "db_backup")
    took = until("the run is given up", lambda: not stack.runs(action="backup", status="running"), 180)
    print(f"the run of the killed container was given up after {took:.0f} s")
    assert stack.runs(action="backup")[-1]["status"] == "lost"
    until("the dead lock is removed", lambda: not stack.locks(), 60)
    assert stack.snapshots() == before
    assert stack.manage("backup")["status"] == "succeeded"
    assert stack.runs(action="forget")[-1]["status"] == "succeeded"


def test_a_database_killed_in_the_middle_of_a_backup_fails_the_run_only(stack: Stack) -> None:
    before = stack.snapshots()
    heartbeat = (stack.folder / "status" / "last_ok").read_bytes()
    _begin_backup(stack)
    stack.compose("kill", "db")
    until("the run ends", lambda: not stack.runs(action="backup", status="running"), 60)
    assert stack.runs(action="backup")[-1]["status"] == "failed"
    assert stack.snapshots() == before
    assert (stack.folder / "status" / "last_ok").read_bytes() == heartbeat
    assert stack.is_open()
    stack.compose("up", "--detach", "--no-build", "db")
    until("the database is healthy", lambda: stack.healthy("db"), 120)


def test_a_stop_cancels_a_running_backup_within_the_grace(stack: Stack) -> None:
    before = stack.snapshots()
    _begin_backup(stack)
    began = time.monotonic()
    stack.compose("stop", "db_backup")
    took = time.monotonic() - began
    print(f"stopped after {took:.0f} s")
    assert took < 60
    assert stack.runs(action="backup")[-1]["status"] == "cancelled"
    assert stack.snapshots() == before
    assert not stack.locks()
    stack.compose("up", "--detach", "--no-build", "db_backup")


def test_test_restores_go_to_the_server_of_the_profile_and_to_no_other(stack: Stack) -> None:
    until("it is healthy", lambda: stack.healthy("db_verify"), 240)
    stack.sql("SET GLOBAL log_output = 'TABLE'; SET GLOBAL general_log = 1")
    told = stack.manage("verify")
    stack.sql("SET GLOBAL general_log = 0")
    assert told["verdict"] == "identical"
    assert told["verified_on"]["address"] == "db_verify:3306"
    assert stack.sql("SELECT COUNT(*) FROM mysql.general_log WHERE argument LIKE '%__verify\\_%'") == "0"
    container = stack.compose("ps", "--quiet", "db_verify").strip()
    assert stack.docker("port", container).strip() == ""


def test_down_with_volumes_loses_neither_history_nor_status_nor_repository(stack: Stack) -> None:
    status = (stack.folder / "status" / "last_ok").read_bytes()
    runs = [run["id"] for run in stack.runs()]
    snapshots = stack.snapshots()
    rows = stack.checksums()
    stack.down()
    stack.up()
    until("all are healthy", lambda: stack.healthy("db", "db_backup", "portal", "sentinel", "nginx"), 240)
    assert (stack.folder / "status" / "last_ok").read_bytes() == status
    assert [run["id"] for run in stack.runs()][: len(runs)] == runs
    assert stack.snapshots() == snapshots
    assert stack.is_open()
    # The database itself was on a volume.
    assert (
        stack.manage("restore", "--snapshot", "latest", "--into", "orders_tracker")["status"] == "succeeded"
    )
    assert stack.checksums() == rows


def _backups(stack: Stack) -> set[str]:
    """The snapshots that the portal knows to have made."""
    runs = stack.runs(action="backup", status="succeeded")
    return {json.loads(run["result"])["snapshot_id"] for run in runs}


def test_from_env_and_repository_alone_everything_comes_back(stack: Stack) -> None:
    rows = stack.checksums()
    backups = _backups(stack)
    stack.down()
    stack.shell("rm -rf status data restored elsewhere")
    # As docs/disaster-recovery.md has it.
    stack.compose("up", "--detach", "--wait", "--no-build", "db")
    told = stack.shell("docker compose run --rm db_backup manage recover")
    assert "orders_tracker is restored" in told
    assert stack.checksums() == rows
    assert stack.sql("SELECT doubled(21)") == "42"
    assert not (stack.folder / "status" / "last_ok").exists()
    assert "The portal's copy" in told
    assert _backups(stack) == backups
    stack.up()
    until("all are healthy", lambda: stack.healthy("db_backup", "portal", "sentinel", "nginx"), 240)
    assert not stack.is_open()
    stack.shell("docker compose exec -T db_backup /usr/local/bin/backup.sh")
    until("the gate opens", stack.is_open, 10)


def test_compressed_dumps_are_restored_as_in_the_old_guide(stack: Stack) -> None:
    rows = stack.checksums()
    # Once there is a portal, what it is set to counts, and the environment no more.
    stack.shell(
        "docker compose exec -T db_backup manage shell --no-imports -c "
        "'from backups.models import Database; Database.objects.update(dump_format=\"sql.gz\")'"
    )
    stack.shell("docker compose exec -T db_backup /usr/local/bin/backup.sh")
    listed = stack.shell('docker compose run --rm db_backup restic ls latest "/mysql/"')
    assert "/mysql/orders_tracker.sql.gz" in listed
    stack.sql("DROP TABLE notes")
    newest = stack.manage("snapshots")["snapshots"][-1]["snapshot_id"]
    stack.shell(
        f'docker compose run --rm -T db_backup restic dump {newest} "/mysql/orders_tracker.sql.gz" | gunzip '
        "| docker compose exec -T -e MYSQL_PWD=of-root db mysql -uroot --binary-mode orders_tracker"
    )
    assert stack.checksums() == rows
    told = stack.shell(
        'docker compose run --rm -v "$PWD/elsewhere:/restore" db_backup restic restore latest '
        '--include "/mysql/orders_tracker.sql.gz" --target /restore'
    )
    assert "Restored" in told
    assert (stack.folder / "elsewhere" / "mysql" / "orders_tracker.sql.gz").read_bytes()[:2] == b"\x1f\x8b"


def test_a_secret_may_come_from_a_file_that_only_root_may_read(stack: Stack) -> None:
    secret = stack.folder / "restic_password"
    secret.touch(mode=0o600)
    secret.write_text("keep-it-elsewhere-too\n")
    stack.write_env(RESTIC_PASSWORD="")
    override = stack.folder / "docker-compose.override.yml"
    override.write_text(FROM_A_FILE)
    assert "/mysql/orders_tracker" in stack.shell("docker compose run --rm db_backup restic snapshots")
    assert "FAILED" not in stack.shell("docker compose run --rm db_backup manage preflight")


FROM_A_FILE = """
services:
  db_backup:
    environment: {RESTIC_PASSWORD_FILE: /run/secrets/restic_password}
    secrets: [restic_password]
secrets:
  restic_password: {file: ./restic_password}
"""


def _nothing_is_root(stack: Stack, container: str) -> bool:
    return "root" not in _users(stack, container)


def _users(stack: Stack, container: str) -> list[str]:
    """Whose the processes of a container are."""
    return [line.split()[1] for line in stack.docker("top", container, "-eo", "pid,user").splitlines()[1:]]


QUEUE_A_BACKUP = """
from backups.requests import Asker, BackupRequest
from backups.choices import Trigger
from backups.models import Database
BackupRequest(Database.objects.get()).submit(Asker(Trigger.ADMIN))
"""


def _begin_backup(stack: Stack) -> None:
    """Have the worker begin a backup and wait until restic takes the dump."""
    assert not stack.locks()
    stack.compose("exec", "-T", "db_backup", "manage", "shell", "-c", QUEUE_A_BACKUP)
    until("the dump begins", lambda: bool(stack.runs(action="backup", status="running", phase="dump")), 60)
    until("restic holds its lock", lambda: bool(stack.locks()), 30)
