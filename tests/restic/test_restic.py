"""restic's argument lists, answers and errors, without restic."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backups import restic
from backups.process import Completed

SECRETS = {"AWS_ACCESS_KEY_ID": "an id", "AWS_SECRET_ACCESS_KEY": "a key", "AWS_DEFAULT_REGION": "eu-1"}
ACCESS = restic.Access("restic", "s3:https://host/bucket", "the password", SECRETS, "/cache")

BACKUP = (
    "backup --json --force --retry-lock 20s --host vedetta --tag a --tag b"
    " --stdin-filename /mysql/x.sql --stdin-from-command -- dump 3"
)
DRY_RUN = "forget --dry-run --json --no-lock"
TAGGED = restic.Selection(group_by="host,tags", tag="t")
BY_PATH = restic.Selection(group_by="host", path="/x.sql")

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=8,
)
fields = st.sampled_from(
    ["message_type", "message", "error", "snapshot_id", "bytes_done", "data_added", "data_added_packed",
     "total_bytes_processed", "num_errors", "broken_packs", "id", "time", "paths", "tags", "summary",
     "version", "keep", "remove", "reasons", "snapshot", "matches", "hostname", "pid", "exclusive"]
)  # fmt: skip
kinds = st.sampled_from(["status", "summary", "exit_error", "error", "verbose_status"])
messages = st.builds(
    lambda kind, rest: json.dumps({**rest, "message_type": kind}),
    kinds,
    st.dictionaries(fields, json_values, max_size=6),
)
lines = messages | json_values.map(json.dumps) | st.text() | st.just("{" * 5000)


@pytest.mark.parametrize(
    ("args", "wanted"),
    [
        (restic.version_args(), "version --json"),
        (restic.cat_config_args(), "cat config --no-lock --no-cache --json"),
        (restic.init_args(), "init --json"),
        (
            restic.backup_args(path="/mysql/x.sql", host="vedetta", tags=["a", "b"], command=["dump", "3"]),
            BACKUP,
        ),
        (restic.snapshots_args(), "snapshots --json --no-lock --"),
        (restic.snapshots_args("abc"), "snapshots --json --no-lock -- abc"),
        (restic.dump_args("abc", "/mysql/shop.sql"), "dump --quiet --retry-lock 20s -- abc /mysql/shop.sql"),
        (
            restic.forget_dry_run_args(selection=TAGGED, keep_daily=7, keep_weekly=0, keep_monthly=6),
            f"{DRY_RUN} --group-by host,tags --tag t --keep-daily 7 --keep-monthly 6",
        ),
        (
            restic.forget_dry_run_args(selection=BY_PATH, keep_daily=0, keep_weekly=4, keep_monthly=0),
            f"{DRY_RUN} --group-by host --path /x.sql --keep-weekly 4",
        ),
        (restic.forget_args(["a", "b"], prune=True), "forget --json --retry-lock 20s --prune -- a b"),
        (restic.forget_args(["a"], prune=False), "forget --json --retry-lock 20s -- a"),
        (restic.prune_args(), "prune --json --retry-lock 20s"),
        (restic.check_args(), "check --json --retry-lock 20s"),
        (restic.check_args(read_data=True), "check --json --retry-lock 20s --read-data"),
        (
            restic.check_args(read_data_subset="5%"),
            "check --json --retry-lock 20s --read-data-subset 5%",
        ),
        (restic.stats_args(), "stats --json --no-lock --mode raw-data"),
        (restic.unlock_args(), "unlock --json"),
        (restic.list_locks_args(), "list locks --no-lock"),
        (restic.cat_lock_args("abc"), "cat lock --no-lock -- abc"),
    ],
)
def test_argument_list_is_this_and_nothing_else(args: tuple[str, ...], wanted: str) -> None:
    assert args == tuple(wanted.split(" "))


def test_secrets_are_in_the_environment_only_and_never_shown() -> None:
    environment = ACCESS.environment()

    assert environment["RESTIC_PASSWORD"] == "the password"
    assert environment["AWS_SECRET_ACCESS_KEY"] == "a key"
    assert environment["RESTIC_CACHE_DIR"] == "/cache"
    assert "the password" not in repr(ACCESS)
    assert "a key" not in repr(ACCESS)


def test_environment_holds_nothing_of_this_process_but_what_every_program_needs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MYSQL_PASSWORD", "not for restic")
    monkeypatch.setenv("SECRET_KEY", "not for restic")

    assert "not for restic" not in ACCESS.environment().values()


def test_restics_children_are_kept_from_its_secrets() -> None:
    assert {"RESTIC_PASSWORD", "RESTIC_REPOSITORY", *SECRETS} == set(ACCESS.environment_secrets())


def test_what_is_masked_in_logs_are_the_secrets_and_not_the_region() -> None:
    assert set(ACCESS.secret_values()) == {"the password", "an id", "a key"}


def test_snapshots_are_read_oldest_first_with_their_sizes() -> None:
    sizes = {"total_bytes_processed": 7, "data_added": 6, "data_added_packed": 5}
    listed = [
        {"id": "b", "time": "2026-01-02T03:04:05.123456789+01:00", "hostname": "h", "summary": sizes,
         "paths": ["/mysql/x.sql"], "tags": ["vedetta"]},
        {"id": "a", "time": "2026-01-01T00:00:00Z", "paths": None},
    ]  # fmt: skip

    first, second = restic.parse_snapshots(json.dumps(listed).encode())

    assert (first.id, first.time, first.paths, first.tags) == ("a", datetime(2026, 1, 1, tzinfo=UTC), (), ())
    assert second.time.astimezone(UTC) == datetime(2026, 1, 2, 2, 4, 5, 123456, tzinfo=UTC)
    assert (second.total_bytes_processed, second.data_added, second.data_added_packed) == (7, 6, 5)


@pytest.mark.parametrize("answer", [b"null", b"[]"])
def test_no_snapshots_are_an_empty_list(answer: bytes) -> None:
    assert restic.parse_snapshots(answer) == ()


def test_status_and_summary_are_told_from_other_lines() -> None:
    summary = {"message_type": "summary", "snapshot_id": "abc", "total_bytes_processed": 3, "data_added": 2}

    assert restic.parse_status('{"message_type":"status","bytes_done":12}') == 12
    assert restic.parse_status('{"message_type":"status"}') == 0
    assert restic.parse_status("created new cache") is None
    assert restic.parse_status(json.dumps(summary)) is None
    assert restic.parse_backup_summary(json.dumps(summary)) == restic.BackupSummary("abc", 3, 2, 0)
    assert restic.parse_backup_summary('{"message_type":"summary","snapshot_id":""}') is None


def test_plan_of_what_to_forget_names_what_stays_and_why() -> None:
    groups = [
        {
            "keep": [],
            "remove": [{"id": "old"}],
            "reasons": [{"snapshot": {"id": "new"}, "matches": ["daily"]}],
        },
        {"keep": None, "remove": None, "reasons": None},
    ]

    plan = restic.parse_forget_plan(json.dumps(groups).encode())

    assert plan == restic.ForgetPlan((restic.Kept("new", ("daily",)),), ("old",))


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ('{"message_type":"exit_error","code":12,"message":"Fatal: wrong password"}', "wrong password"),
        ('{"message_type":"error","error":{"message":"disk"},"during":"archival"}', "disk"),
        ("Fatal: unable to open", "unable to open"),
        ("{not json", "{not json"),
        ('{"message_type":"error","error":null}', '{"message_type":"error","error":null}'),
    ],
)
def test_line_of_standard_error_is_made_readable(line: str, shown: str) -> None:
    assert restic.readable(line) == shown


@pytest.mark.parametrize(
    ("line", "is_one"),
    [
        ("failed to save /mysql/shop.sql: Fatal: command failed: exit status 1", True),
        ("no result", True),
        ("unable to save snapshot: context canceled", True),
        ("unable to save snapshot: failed to save /mysql/a.sql: Fatal: command failed: exit status 1", True),
        ("unable to save snapshot: no space left on device", False),
        ("failed to save /mysql/shop.sql: input/output error", False),
    ],
)
def test_consequence_of_a_failed_dump_is_told_from_other_lines(line: str, is_one: bool) -> None:
    assert restic.tells_of_failed_command(line) is is_one


@given(line=lines)
def test_any_line_is_read_without_an_exception(line: str) -> None:
    restic.parse_status(line)
    restic.parse_backup_summary(line)
    restic.readable(line)
    restic.parse_check_summary(line.encode(errors="surrogatepass"))


@given(answer=st.binary() | lines.map(lambda line: line.encode(errors="surrogatepass")))
def test_any_answer_is_understood_or_refused(answer: bytes) -> None:
    for read in (
        restic.parse_version,
        restic.parse_snapshots,
        restic.parse_forget_plan,
        lambda raw: restic.parse_lock("abc", raw),
    ):
        with suppress(restic.ResticError):
            read(answer)


ERRORS: list[tuple[int, str, type[restic.ResticError], str]] = [
    (1, "Fatal: something odd", restic.ResticError, "something odd"),
    (2, "panic: runtime error", restic.ResticError, "exit status 2"),
    (3, "Warning: at least one source file could not be read", restic.IncompleteSource, "source"),
    (10, "Fatal: repository does not exist", restic.NoRepository, "repository init"),
    (11, "repository is already locked by PID 7 on h", restic.RepositoryLocked, "PID 7 on h"),
    (12, "Fatal: wrong password or no key found", restic.WrongPassword, "RESTIC_PASSWORD"),
    (130, "signal interrupt received", restic.Interrupted, "interrupted"),
    (1, "Fatal: command failed: signal: killed", restic.CommandFailed, "signal: killed"),
    (77, "", restic.ResticError, "it gave no reason"),
    (-9, "", restic.Killed, "signal 9"),
    (-15, "Load(<data/1>) returned error, retrying", restic.Killed, "signal 15"),
    (1, "write /r/data/tmp: no space left on device", restic.RepositoryFull, "Free some space"),
    (1, "mkdir: disk quota exceeded", restic.RepositoryFull, "Free some space"),
    (1, "Fatal: create repository failed: config file already exists", restic.AlreadyInitialised, "already"),
    (1, "Fatal: unable to open: The specified bucket does not exist", restic.NoBucket, "Make the bucket"),
    (1, "Stat(<config/>) failed: Access Denied.", restic.AccessDenied, "AWS_ACCESS_KEY_ID"),
    (1, "client.GetObject: AccessDenied: User is not authorized", restic.AccessDenied, "(AccessDenied: User"),
    (1, "Remove(<lock/12>) failed: Access Denied.", restic.MayNotDelete, "(Access Denied): they may"),
    (1, "Fatal: dial tcp 127.0.0.1:9: connect: connection refused", restic.RepositoryUnreachable, "refused"),
    (1, "List(lock) returned error, retrying: no such host", restic.RepositoryUnreachable, "network"),
]  # fmt: skip


@pytest.mark.parametrize(("code", "stderr", "kind", "said"), ERRORS)
@pytest.mark.parametrize("as_json", [False, True])
def test_end_without_success_is_named(
    code: int, stderr: str, kind: type[restic.ResticError], said: str, as_json: bool
) -> None:
    tail = stderr
    if as_json and stderr:
        tail = json.dumps({"message_type": "exit_error", "code": code, "message": stderr})

    error = restic.error_from(Completed(code, b"", (tail,)), ACCESS, "backing up")

    assert type(error) is kind
    assert said in error.sentence()
    assert "the password" not in error.sentence()


@given(code=st.integers(1, 255), stderr=st.lists(lines, max_size=4))
def test_any_end_without_success_is_an_error_with_a_sentence(code: int, stderr: list[str]) -> None:
    error = restic.error_from(Completed(code, b"", tuple(stderr)), ACCESS, "backing up")

    assert error.what


@pytest.mark.parametrize(
    ("text", "number"),
    [("0.19.1", (0, 19, 1)), ("0.18.1-dev (compiled manually)", (0, 18, 1)), ("1.0", (1, 0))],
)
def test_version_is_compared_by_its_numbers(text: str, number: tuple[int, ...]) -> None:
    assert restic.version_tuple(text) == number


# ---------------------------------------------------------------- A call with a probe beside it


def stored(folder: Path, *, probe: str, backup: str, known_id: str = "") -> Completed:
    """What comes of a backup by a restic that does this when probed and that when backing up."""
    program = folder / "restic"
    program.write_text(f"#!/bin/sh\ncase $1 in cat) {probe};; backup) {backup};; esac\n")
    program.chmod(0o755)
    names = restic.Names(name="main", known="main with 3 snapshots", known_id=known_id)
    access = restic.Access(str(program), "/srv/repository", "the password", names=names)
    return restic.probed_call(
        access,
        restic.Command(["backup"], "storing"),
        on_stdout=lambda _: None,
        on_stderr=lambda _: None,
        tick=lambda: None,
    )


SAYS_STATUS = """echo '{"message_type":"status"}'"""


def test_backup_that_gets_no_answer_is_ended_by_its_probe(tmp_path: Path) -> None:
    with pytest.raises(restic.NoRepository):
        stored(tmp_path, probe="sleep 0.5; exit 10", backup="exec sleep 600")


def test_probe_that_is_slow_is_still_asked_why_the_backup_failed(tmp_path: Path) -> None:
    with pytest.raises(restic.WrongPassword):
        stored(tmp_path, probe="sleep 0.5; exit 12", backup="exit 1")


def test_backup_that_failed_by_itself_says_so(tmp_path: Path) -> None:
    with pytest.raises(restic.Interrupted):
        stored(tmp_path, probe="exit 0", backup="exit 130")


def test_probe_does_not_end_a_backup_that_has_opened_the_repository(tmp_path: Path) -> None:
    done = stored(tmp_path, probe="sleep 1; exit 1", backup=f"{SAYS_STATUS}; sleep 2; {SAYS_STATUS}")

    assert done.returncode == 0


KNOWN, OTHER = "a" * 64, "b" * 64


def config_of(repository_id: str) -> str:
    return f"""echo '{{"version":2,"id":"{repository_id}"}}'"""


@pytest.mark.parametrize(
    ("probe", "backup"),
    [
        (config_of(OTHER), "exec sleep 600"),
        (f"sleep 0.5; {config_of(OTHER)}", f"{SAYS_STATUS}; exec sleep 600"),
        (f"sleep 0.5; {config_of(OTHER)}", SAYS_STATUS),
        ("echo '{}'", SAYS_STATUS),
    ],
    ids=["at once", "while it stores", "after it has stored", "without an id"],
)
def test_backup_into_another_repository_than_the_known_one_is_no_success(
    tmp_path: Path, probe: str, backup: str
) -> None:
    with pytest.raises(
        restic.OtherRepository, match=r"than the portal knows there \(aaaaaaaa\): main with 3"
    ):
        stored(tmp_path, probe=probe, backup=backup, known_id=KNOWN)


def test_backup_into_the_known_repository_is_whatever_it_says_first(tmp_path: Path) -> None:
    slowly = f"sleep 0.5; {config_of(KNOWN)}"
    assert stored(tmp_path, probe=slowly, backup=SAYS_STATUS, known_id=KNOWN).returncode == 0


def test_backup_whose_repository_could_not_be_told_is_no_success(tmp_path: Path) -> None:
    with pytest.raises(restic.ResticError):
        stored(tmp_path, probe="exit 1", backup=f"{SAYS_STATUS}; sleep 1", known_id=KNOWN)


def test_the_words_of_a_storage_are_told_without_what_is_secret() -> None:
    access = replace(ACCESS, secrets={"AWS_SECRET_ACCESS_KEY": "hunter2hunter2"})

    error = restic.error_from(
        Completed(1, b"", ("Fatal: client.StatObject: Access Denied for hunter2hunter2 " + "x " * 400,)),
        access, "backing up",
    )  # fmt: skip

    assert isinstance(error, restic.AccessDenied)
    assert "refuses our keys (Access Denied for … x x" in error.what
    assert "hunter2" not in error.what
    assert len(error.what) < 500
