"""What scripts, monitors and repositories of other people rely on: more may come, nothing changes or goes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.contrib.auth.models import Permission
from django.core.management import get_commands, load_command_class
from django.urls import resolve

from backups.actions.steps.log_replayed import Played
from backups.dumpfile import log_positions, manifests
from backups.errors import Failure
from backups.management import base
from backups.models import Database
from backups.replaying.result import Replayed
from backups.reports import metrics
from backups.snapshots import naming
from backups.verdict import Finding, Overall, State
from sentinel.gate import OPEN, Word

PROJECT = Path(__file__).resolve().parent.parent


def test_the_gates_words_and_which_of_them_open() -> None:
    assert {str(word) for word in Word} == {
        "fresh",
        "grace",
        "override",
        "stale",
        "missing",
        "invalid",
        "unverified",
    }
    assert {str(word) for word in OPEN} == {"fresh", "grace", "override"}


@pytest.mark.parametrize(
    "path",
    ["/sentinel/ok", "/ok", "/sentinel/ok/shop", "/sentinel/status", "/metrics", "/healthz", "/admin/"],
)
def test_addresses(path: str) -> None:
    assert resolve(path)


def test_exit_statuses_and_what_a_failed_command_says() -> None:
    assert (base.DONE, base.FAILED, base.WRONG_USAGE, base.REFUSED, base.CANCELLED) == (0, 1, 2, 3, 130)
    assert base.failed(Failure("No.", "some.code")) == {
        "status": "failed",
        "error": "No.",
        "error_code": "some.code",
    }


# Each command with the options that scripts give it.
COMMANDS = {
    "accept": {"--reason"},
    "backup": {"--database", "--pin", "--until"},
    "bootstrap": {"--moved", "--new", "--show-key", "--key-kept", "--new-key"},
    "mute": {"--reason", "--until"},
    "pause": {"--reason", "--until"},
    "pin": {"--reason", "--until"},
    "pins": {"--all"},
    "preflight": {"--database", "--gate", "--nginx", "--grants"},
    "recover": {"--trust-copy", "--history-only"},
    "report": {
        "--from",
        "--to",
        "--database",
        "--format",
        "--output",
        "--verify",
        "--public-key",
    },
    "repository": {"--repository"},
    "restore": {
        "--database",
        "--snapshot",
        "--time",
        "--moment",
        "--before-transaction",
        "--output",
        "--into",
        "--replace",
        "--in-place",
        "--table",
        "--yes",
        "--across",
        "--known-bad",
        "--without-safety-backup",
        "--definers",
        "--reason",
    },
    "diff": {"--database", "--keep", "--rows", "--table"},
    "resume": set(),
    "retention": {"--preview", "--database", "--repository"},
    "retire": {"--reason"},
    "rows_back": {
        "--all",
        "--apply",
        "--database",
        "--knows-triggers",
        "--only",
        "--output",
        "--reason",
        "--table",
        "--undo",
        "--undo-transaction",
        "--where",
        "--with-changed-again",
        "--without-safety-backup",
        "--yes",
    },
    "snapshots": {"--database"},
    "status": set(),
    "take_back": set(),
    "undo_restore": {"--drop", "--list", "--restore", "--try-again", "--yes"},
    "unmute": set(),
    "unpin": {"--reason", "--yes"},
    "verify": {"--database", "--snapshot"},
    "version": set(),
    "worker": set(),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_commands_and_their_options(name: str) -> None:
    parser = load_command_class(get_commands()[name], name).create_parser("manage.py", name)
    options = {option for action in parser._actions for option in action.option_strings}
    assert COMMANDS[name] | ({"--json"} if name != "worker" else set()) <= options


def test_keys_of_the_status() -> None:
    finding = Finding("key", State.BAD, "Why.", "What to do.", "shop", "main")
    overall = Overall((finding,), (), {"shop": "main"}, ("main",), "All is well.").as_json()
    assert set(overall) == {
        "verdict",
        "reason",
        "next_step",
        "findings",
        "notes",
        "databases",
        "retired",
        "repositories",
    }
    assert set(overall["databases"][0]) == {"database", "verdict", "paused", "muted"}
    assert set(finding.as_json()) == {"key", "state", "reason", "next_step", "database", "repository"}


def test_what_a_replay_counts() -> None:
    """Rows, and events of the log: one of these may hold many rows."""
    played = Played(Replayed(transactions=1, rows=9, row_events=3))
    assert played.counted == {"transactions": 1, "row_changes": 9, "row_events": 3}


METRICS = {
    "backup_added_bytes",
    "backup_size_bytes",
    "build_info",
    "database_verdict",
    "finding",
    "gate_open",
    "gate_state",
    "last_backup_age_seconds",
    "last_verified_age_seconds",
    "log_gap_open",
    "log_stored_age_seconds",
    "notifications_failing",
    "queue_length",
    "repository_damaged",
    "repository_size_bytes",
    "repository_suspect",
    "restore_duration_seconds",
    "run_duration_seconds",
    "runs",
    "verdict",
    "worker_pulse_age_seconds",
}


@pytest.mark.django_db
def test_names_of_metrics() -> None:
    told = metrics.exposition().decode()
    assert set(re.findall(r"^# TYPE vedetta_(\w+) gauge$", told, re.MULTILINE)) >= METRICS


@pytest.mark.parametrize(
    ("name", "form", "tag", "path"),
    [
        ("shop", "sql", "database:shop", "/mysql/shop.sql"),
        ("shop", "sql.gz", "database:shop", "/mysql/shop.sql.gz"),
        ("a,b /c", "sql", "database:a%2Cb %2Fc", "/mysql/a,b %2Fc.sql"),
    ],
)
def test_tag_and_path_of_a_snapshot(name: str, form: str, tag: str, path: str) -> None:
    database = Database(name=name, database=name, dump_format=form)
    assert (naming.tag_of(database), naming.path_of(database)) == (tag, path)


def test_a_manifest_of_version_1() -> None:
    """A Vedetta of before passes over what it does not know, and does not see another number."""
    made = manifests.manifest_of([], server={"flavour": "MariaDB", "version": "10.11.9"}, inventory={})
    text = manifests.manifest_text(made)
    reader = manifests.ManifestReader()
    for line in text.splitlines(keepends=True):
        reader.line(line)

    assert made["version"] == 1
    assert reader.result() == made
    assert manifests.has_form({**made, "of tomorrow": 1})
    assert text.startswith(b"\n-- Vedetta manifest 1\n")


def test_position_in_a_manifest() -> None:
    """Who replays a log goes by it: a position that is not exact is none."""
    place = log_positions.Place("binlog.000012", 4711)
    exact = log_positions.exact(place, log_positions.How.LOCK, gtid="0-1-2", server={"id": 1, "uuid": None})
    none = log_positions.not_exact(log_positions.WhyNot.LOG_OFF)
    names = {"file", "position", "gtid", "server", "exact", "how", "why_not"}

    assert exact.keys() == none.keys() == names
    assert (exact["exact"], exact["why_not"], none["exact"]) == (True, None, False)
    assert {name for name in names if none[name] is not None} == {"exact", "why_not"}
    assert {each.value for each in log_positions.How} == {"snapshot", "lock"}
    assert {each.value for each in log_positions.WhyNot} >= {
        "log_off", "no_right", "not_logged", "kind_of_server", "no_snapshot", "versioned_by_transactions",
        "xa", "xa_not_seen", "few_connections", "client", "lock_not_wanted", "no_lock_right", "tables_in_use",
        "no_tables", "too_many_tables", "not_begun", "changed", "sequences_changed", "log_changed",
        "not_asked",
    }  # fmt: skip
    for log in (exact, none):
        made = manifests.manifest_of([], server={"flavour": "MySQL", "version": "9.7"}, inventory={}, log=log)
        assert manifests.is_whole(made)
    assert not manifests.has_form({**made, "log": {**exact, "position": "4711"}})


@pytest.mark.django_db
def test_rights() -> None:
    held = set(
        Permission.objects.filter(content_type__app_label="backups").values_list("codename", flat=True)
    )
    assert held >= {
        "run_backup",
        "run_verify",
        "run_maintenance",
        "run_restore",
        "cancel_run",
        "override_gate",
        "accept_backup",
    }


def test_names_of_the_environment() -> None:
    known = set(re.findall(r"^#? ?([A-Z][A-Z_]+)=", (PROJECT / ".env.example").read_text(), re.MULTILINE))
    assert known >= {
        "RESTIC_REPOSITORY",
        "RESTIC_PASSWORD",
        "RESTIC_CACHE_DIR",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_DEFAULT_REGION",
        "MYSQL_HOST",
        "MYSQL_PORT",
        "MYSQL_DATABASE",
        "MYSQL_USER",
        "MYSQL_PASSWORD",
        "BACKUP_CHECK_INTERVAL",
        "BACKUP_CRON",
        "VERIFY_CRON",
        "BACKUP_KEEP_DAILY",
        "BACKUP_KEEP_WEEKLY",
        "BACKUP_KEEP_MONTHLY",
        "BACKUP_DUMP_FORMAT",
        "BACKUP_HOST",
        "VERIFY_MYSQL_HOST",
        "VERIFY_MYSQL_PORT",
        "VERIFY_MYSQL_USER",
        "VERIFY_MYSQL_PASSWORD",
        "DATABASE_URL",
        "SECRET_KEY",
        "VEDETTA_KEY",
        "ALLOWED_HOSTS",
        "CSRF_TRUSTED_ORIGINS",
        "TIME_ZONE",
        "PORTAL_ADMIN_USER",
        "PORTAL_ADMIN_PASSWORD",
        "NOTIFY_URLS",
        "PING_URL",
        "SENTINEL_THRESHOLD_SECONDS",
        "SENTINEL_BOOT_GRACE_SECONDS",
        "SENTINEL_HEARTBEAT_PATH",
        "SENTINEL_VERIFIED_THRESHOLD_SECONDS",
        "SENTINEL_LOG_THRESHOLD_SECONDS",
    }
