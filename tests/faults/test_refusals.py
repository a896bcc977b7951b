"""A storage, an ssh or a file system that says "no" is told by its own answer, at once where it is final."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pytest_django.fixtures import Settings

from backups import restic, secret_references
from backups.choices import Action, Status
from backups.endpoints import repository_access
from backups.models import Repository
from backups.process import Completed
from backups.restic import probing
from backups.restic.exit_codes import error_from
from backups.restic.stalled import OutageTimer
from tests.actions.tools import back_up, log_of, play
from tests.backups.conftest import MakeDatabase, mariadb_portal
from tests.backups.worlds import PROJECT, Portal, Ran, Shop, copy_repository
from tests.servers import S3Server
from tests.servers.faulty_s3 import Fault, FaultyS3, hang, refuse
from tests.servers.rest import RestServer

__all__ = ["mariadb_portal"]

S3 = restic.Access("restic", "s3:https://host/bucket", "the password", {})
REST = replace(S3, url="rest:https://host/")
FOLDER = replace(S3, url="/srv/backups")
SFTP = replace(S3, url="sftp:me@host:/srv")
TRACE = (
    r"\ngithub.com/restic/restic/internal/data.(*SnapshotFilter).findLatest.func1\n\t"
    r"github.com/restic/restic/internal/data/snapshot_find.go:57\nruntime.goexit\n\truntime/asm_amd64.s:1771"
)
# Of S3: status, code, message, and what is said of it.
SAID = [
    (404, "NoSuchBucket", "The specified bucket does not exist", "has no bucket as"),
    pytest.param(
        400, "ExpiredToken", "The provided token has expired.", "refuses our keys, because they have expired",
        marks=pytest.mark.soak,  # tried for five seconds before restic says a word of it
    ),
    (400, "InvalidToken", "The provided token is malformed or otherwise invalid.", "AWS_SESSION_TOKEN"),
    (
        403, "RequestTimeTooSkewed",
        "The difference between the request time and the server's time is too large.", "The clocks of",
    ),
    (403, "AllAccessDisabled", "All access to this object has been disabled", "lets nobody in any more"),
    (403, "QuotaExceeded", "Bucket quota exceeded", "takes no more"),
    (
        507, "XMinioStorageFull",
        "Storage backend has reached its minimum free drive threshold. Please delete a few objects.",
        "takes no more",
    ),
    (
        403, "InvalidObjectState", "The operation is not valid for the object's storage class",
        "lie in an archive",
    ),
    (
        403, "InvalidAccessKeyId", "The Access Key Id you provided does not exist in our records.",
        "Check AWS_ACCESS_KEY_ID",
    ),
    (403, "AccessDenied", "Access Denied.", "refuses our keys (Access Denied)"),
    (
        400, "AuthorizationHeaderMalformed",
        "The authorization header is malformed; the region 'a' is wrong; expecting 'b'", "AWS_DEFAULT_REGION",
    ),
]  # fmt: skip
# What restic prints, and what is said of it.
WORDS = [
    (S3, "Fatal: client.MakeBucket: Bucket name contains invalid characters", "No bucket can be called"),
    (S3, "Save(<data/1>) returned error, retrying after 1s: Bucket quota exceeded", "takes no more"),
    (S3, "Load(<data/1>) failed: The operation is not valid for the object's storage class", "an archive"),
    (S3, "Fatal: unable to open: the region 'us-east-1' is wrong; expecting 'eu-1'", "in another region"),
    (S3, "Stat(<config/>) returned error, retrying after 1s: x509: unknown authority", "RESTIC_CACERT"),
    (S3, "Stat(<config/>) returned error, retrying after 1s: Stat: Request has expired", "The clocks of"),
    (S3, "Stat(<config/>) returned error, retrying after 1s: Stat: The provided token must be refreshed.",
     "because they have expired"),
    (S3, "Stat(<config/>) returned error, retrying after 1s: Stat: User suspended", "lets nobody in any"),
    (S3, "Stat(<config/>) returned error, retrying after 1s: Stat: Payment Required", "or a bill is open"),
    (S3, "Stat(<config/>) returned error, retrying after 1s: Stat: You are not authorized to do that",
     "refuses our keys"),
    (S3, "Stat(<config/>) returned error, retrying after 1s: Stat: arn:aws:kms:eu-1:1:key/2 is disabled.",
     "the key with which it encrypts"),
    (S3, "Stat(<config/>) returned error, retrying after 1s: Stat: The specified method is not allowed",
     "does not do what restic asks"),
    (S3, "Stat(<config/>) returned error, retrying after 1s: Stat: What nobody has heard of yet",
     "answers with an error (What nobody has heard of yet)"),
    (S3, "Stat(<config/>) returned error, retrying after 1s: Get: dial tcp: lookup host: no such host",
     "Check the network and the storage"),
    (S3, "Remove(<snapshot/52>) failed: Access Denied.", "may not delete there. If that is meant"),
    (REST, "Stat(<config/>) failed: unexpected HTTP response (401): 401 Unauthorized", "RESTIC_REST_USER"),
    (REST, "Remove(<lock/52>) failed: unexpected HTTP response (403): 403 Forbidden", "BACKUP_KEEP_ALL"),
    (REST, "Save(<data/1>) failed: unexpected HTTP response (507): 507 Insufficient Storage", "no more"),
    (REST, "Stat(<config/>) returned error, retrying after 1s: unexpected HTTP response (502): 502 Bad",
     "answers with an error (unexpected HTTP response (502): 502 Bad)"),
    (replace(S3, url="b2:bucket:/"), "Fatal: b2: bad_auth_token", "Check B2_ACCOUNT_ID, B2_ACCOUNT_KEY"),
    (replace(S3, url="azure:c:/"), "RESPONSE 403: AuthenticationFailed", "AZURE_ACCOUNT_KEY"),
    (replace(S3, url="gs:b:/"), "oauth2: cannot fetch token: invalid_grant", "because they have expired"),
    (SFTP, "subprocess ssh: Host key verification failed.", "known_hosts"),
    (SFTP, "subprocess ssh: me@host: Permission denied (publickey).", "does not let us in"),
    (SFTP, "subprocess ssh: ssh: Could not resolve hostname host: Name or service not known", "no such host"),
    (SFTP, "subprocess ssh: ssh: connect to host host port 22: Connection refused", "gives no answer (ssh:"),
    (SFTP, "subprocess ssh: something new", "ssh ended (ssh: something new). Try it by hand as"),
    (FOLDER, "Error loading snapshot 52: open /srv/backups/s/52: permission denied" + TRACE, "chown -R"),
    (FOLDER, "open /srv/backups/index/5: operation not permitted", "not read or write /srv/backups/index/5"),
    (SFTP, "open snapshots/52: permission denied", "On the storage itself"),
]  # fmt: skip


@pytest.mark.parametrize(("access", "line", "said"), WORDS)
@pytest.mark.parametrize("as_json", [True, False])
def test_what_restic_prints_is_told_by_its_reason(
    access: restic.Access, line: str, said: str, as_json: bool
) -> None:
    """In the middle of what else it prints, as ssh's reason is."""
    lines = [f'{{"message_type":"exit_error","code":1,"message":"{line}"}}'] if as_json else [line]
    if not as_json and "\\n" in line:
        lines = line.replace("\\t", "\t").split("\\n")
    if "subprocess" in line:
        warning = "subprocess ssh: Warning: Identity file k not accessible: No such file or directory."
        lines = [warning, line, "Fatal: unable to start the sftp session, error: unexpected EOF"]

    sentence = error_from(Completed(1, b"", tuple(lines)), access, "storing the dump").sentence()

    assert said in sentence
    assert "\n" not in sentence
    assert "goexit" not in sentence
    assert "snapshot_find" not in sentence


def test_a_cache_that_is_not_ours_is_not_what_restic_failed_with() -> None:
    lines = ("unable to open cache: mkdir /var/cache/x: permission denied", "Fatal: something odd")

    error = error_from(Completed(1, b"", lines), FOLDER, "storing")

    assert type(error) is restic.ResticError
    assert "something odd" in error.sentence()


# ---------------------------------------------------------------- S3


@pytest.fixture
def s3(s3_server: S3Server) -> Iterator[FaultyS3]:
    with FaultyS3(s3_server) as proxy:
        yield proxy


@pytest.mark.parametrize("region", [pytest.param("", marks=pytest.mark.soak), "eu-1"])
@pytest.mark.parametrize(("status", "code", "message", "said"), SAID)
def test_s3_is_told_by_its_answer_and_at_once(
    s3: FaultyS3,
    restic_path: Path,
    tmp_path: Path,
    region: str,
    status: int,
    code: str,
    message: str,
    said: str,
) -> None:
    """With a region the first answer has no words, and without one an expired token is tried for seconds."""
    keys = {"AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s", "AWS_DEFAULT_REGION": region}
    given = {name: value for name, value in keys.items() if value}
    access = restic.Access(str(restic_path), f"s3:{s3.url}/bucket", "p", given, str(tmp_path))
    began = time.monotonic()

    with s3.failing(Fault(refuse(status, code, message))), pytest.raises(restic.ResticError) as refused:
        restic.probe(access)

    assert said in refused.value.sentence()
    assert "network" not in refused.value.sentence()
    assert time.monotonic() - began < restic.PROBE_DEADLINE_SECONDS


def stored(access: restic.Access) -> None:
    """What a backup does with a repository."""
    args = restic.backup_args(path="/x", host="h", tags=[], command=["echo", "x"])
    restic.probed_call(
        access, restic.Command(args, "storing"), on_stdout=print, on_stderr=print, tick=lambda: None
    )


def test_a_backup_is_told_why_it_was_refused(s3: FaultyS3, restic_path: Path, tmp_path: Path) -> None:
    given = {"AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s", "AWS_DEFAULT_REGION": "eu-1"}
    access = restic.Access(str(restic_path), f"s3:{s3.url}/bucket", "p", given, str(tmp_path))
    skewed = refuse(403, "RequestTimeTooSkewed", "The difference between the request time and the server's")

    with s3.failing(Fault(skewed)), pytest.raises(restic.ResticError, match="The clocks of this machine"):
        stored(access)


@pytest.mark.parametrize("region", [pytest.param("", marks=pytest.mark.soak), "eu-1"])
@pytest.mark.parametrize("ask", [restic.probe, stored])
def test_a_bucket_that_is_gone_is_told_with_what_lay_there(
    s3: FaultyS3, restic_path: Path, tmp_path: Path, ask: Callable[[restic.Access], object], region: str
) -> None:
    given = {"AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s", "AWS_DEFAULT_REGION": region}
    names = restic.Names(name="main", known="main with 2 snapshots", known_id="a" * 64)
    access = restic.Access(
        str(restic_path), f"s3:{s3.url}/bucket", "p", {name: value for name, value in given.items() if value},
        str(tmp_path), names=names,
    )  # fmt: skip
    gone = refuse(404, "NoSuchBucket", "The specified bucket does not exist")

    with s3.failing(Fault(gone)), pytest.raises(restic.NoBucket) as missing:
        ask(access)

    assert "has no bucket" in missing.value.what
    assert missing.value.what.endswith("where the portal knows main with 2 snapshots.")
    assert "No new repository was made in its place" in missing.value.do


@pytest.mark.parametrize(
    ("silent", "deadline"), [(0.5, 3.0), pytest.param(5.0, 25.0, marks=pytest.mark.soak)]
)
@pytest.mark.parametrize("ask", [restic.snapshots_of_known, pytest.param(stored, marks=pytest.mark.soak)])
def test_a_storage_without_an_answer_is_told_in_time_where_no_probe_begins_at_once(
    s3: FaultyS3, restic_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    ask: Callable[[restic.Access], object], silent: float, deadline: float,
) -> None:  # fmt: skip
    assert (probing._SILENT_SECONDS, restic.PROBE_DEADLINE_SECONDS) == (5.0, 25.0)
    for name, seconds in {"_SILENT": silent, "PROBE_DEADLINE": deadline, "_SHORTEST_PROBE": 1.0}.items():
        monkeypatch.setattr(probing, f"{name}_SECONDS", seconds)
    given = {"AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s"}
    names = restic.Names(name="main", known="main with 2 snapshots", known_id="a" * 64)
    access = restic.Access(
        str(restic_path), f"s3:{s3.url}/bucket", "p", given, str(tmp_path / "cache"), names=names
    )
    restic.note_opened(access)
    began = time.monotonic()

    with s3.failing(Fault(hang)), pytest.raises(restic.RepositoryUnreachable, match="cannot be reached"):
        ask(access)

    assert silent < time.monotonic() - began < deadline + 2


# ---------------------------------------------------------------- REST


@pytest.fixture
def rest(empty_repository: Path, tmp_path: Path) -> Iterator[RestServer]:
    folder = tmp_path / "rest"
    copy_repository(empty_repository, folder)
    with RestServer(folder) as server:
        yield server


def test_storage_that_lets_nothing_be_deleted(
    mariadb_shop: Shop,
    make_database: MakeDatabase,
    repository: Repository,
    rest: RestServer,
    settings: Settings,
) -> None:
    Repository.objects.update(url=rest.repository)
    database = make_database(mariadb_shop, keep_daily=0, keep_weekly=0, keep_monthly=0)
    back_up(database)
    rest.append_only = rest.keeps_locks = True
    back_up(database)

    failed = play(Action.FORGET, database=database)
    checks = [
        play(Action.CHECK, repository=Repository.objects.get(), options={"read_data": True}) for _ in range(2)
    ]
    unlocked = play(Action.UNLOCK, repository=Repository.objects.get())
    settings.BACKUP_KEEP_ALL = True
    kept = play(Action.FORGET, database=database)
    back_up(database)

    for run in (failed, unlocked):
        assert run.status == Status.FAILED
        assert "they may add files and may not delete there." in run.error
        assert "set BACKUP_KEEP_ALL=true" in run.error
        assert "AWS_" not in run.error
    for run in (*checks, kept):
        assert run.status == Status.SUCCEEDED, run.error
    assert "so the check takes none" in log_of(checks[1])
    assert kept.result["sentence"] == "Nothing is forgotten, as BACKUP_KEEP_ALL says."
    assert database.snapshots.filter(forgotten_at=None).count() == 3


def test_two_rest_servers_with_a_user_each(
    repository: Repository, rest: RestServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The key fields of a repository are the user and password of its own server."""
    rest.user = "second:of the second"
    monkeypatch.setenv("RESTIC_REST_USERNAME", "first")
    monkeypatch.setenv("SECOND_USER", "second")
    row = Repository(
        name="offsite",
        url=rest.repository,
        access_key_ref="env:SECOND_USER",
        secret_key_ref="env:SECOND_PASSWORD",
    )

    monkeypatch.setenv("SECOND_PASSWORD", "wrong")
    with pytest.raises(restic.AccessDenied) as refused:
        restic.probe(repository_access(row))
    monkeypatch.setenv("SECOND_PASSWORD", "of the second")
    restic.probe(repository_access(row))

    assert "Check SECOND_USER, SECOND_PASSWORD, and what they" in refused.value.sentence()
    assert repository_access(repository).secrets["RESTIC_REST_USERNAME"] == "first"


def test_a_second_repository_is_named_by_its_own_field(
    repository: Repository, rest: RestServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "password").write_text("another")
    row = Repository(name="offsite", url=rest.repository, password_ref=f"file:{tmp_path / 'password'}")

    with pytest.raises(restic.WrongPassword, match=f"Set the content of {tmp_path / 'password'} to the one"):
        restic.probe(repository_access(row))
    (rest.folder / "config").unlink()
    with pytest.raises(restic.NoRepository, match="correct the location of offsite in the portal"):
        restic.probe(repository_access(row))


def test_a_storage_behind_a_proxy_is_reached(
    repository: Repository, rest: RestServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No name server knows the storage, and the proxy does."""
    repository.url = "rest:http://backup.corp.test/"
    with pytest.raises(restic.RepositoryUnreachable, match="no such host"):
        restic.probe(replace(repository_access(repository), patience_seconds=1))

    monkeypatch.setenv("HTTP_PROXY", rest.url)
    restic.probe(repository_access(repository))

    assert "HEAD http://backup.corp.test/config" in rest.requests


# ---------------------------------------------------------------- SFTP and rclone


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            "Host key verification failed.",
            "not known here, or that differs from the known one (ssh: Host key",
        ),
        ("me@nas: Permission denied (publickey).", "does not let us in (ssh: me@nas: Permission denied"),
    ],
)
def test_ssh_is_told_by_its_own_words(restic_path: Path, tmp_path: Path, said: str, told: str,
                                      monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    ssh = tmp_path / "ssh"
    ssh.write_text(f'#!/bin/sh\necho "{said}" >&2\nexit 255\n')
    ssh.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")

    with pytest.raises(restic.RepositoryUnreachable) as failed:
        restic.probe(restic.Access(str(restic_path), "sftp:me@nas:/srv", "p"))

    assert told in failed.value.sentence()


def test_rclone_is_told_by_its_own_words_and_finds_its_settings(
    restic_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rclone = tmp_path / "rclone"
    rclone.write_text(
        "#!/bin/sh\n"
        'echo "CRITICAL: Failed: no section nas in $RCLONE_CONFIG, dry run: [$RCLONE_DRY_RUN]" >&2\nexit 1\n'
    )
    rclone.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("RCLONE_CONFIG", "/etc/vedetta/rclone.conf")
    monkeypatch.setenv("RCLONE_DRY_RUN", "true")

    with pytest.raises(restic.RepositoryUnreachable) as failed:
        restic.probe(
            restic.Access(str(restic_path), "rclone:nas:backups", "p", secret_references.for_restic())
        )

    assert "no section nas in /etc/vedetta/rclone.conf, dry run: []" in failed.value.sentence()


def test_a_final_answer_in_the_middle_ends_the_patience() -> None:
    outage = OutageTimer(S3)
    outage.hear("Save(<data/1>) returned error, retrying after 1s: 503 Slow Down")

    with pytest.raises(restic.AccessDenied, match="because they have expired"):
        outage.hear("Save(<data/1>) returned error, retrying after 1s: The provided token has expired.")


# ---------------------------------------------------------------- Files of another user


def as_other(portal: Portal, *args: str) -> Ran:
    """A command by a user whom modes keep from files, which they keep no administrator from."""
    rights = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
    done = subprocess.run(
        [*rights, sys.executable, "manage.py", *args],
        cwd=PROJECT, env=os.environ | portal.environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return Ran(done.returncode, done.stdout, done.stderr, 0)


LOOKING = ["repository check", "repository repair-index", "verify", "snapshots"]


@pytest.mark.soak
@pytest.mark.parametrize(("commands", "afterwards"), [([], "backup"), (LOOKING, "verify")])
def test_after_a_run_as_root(mariadb_portal: Portal, commands: list[str], afterwards: str) -> None:
    """Its snapshot, index and packs can be read by root alone."""
    portal = mariadb_portal
    assert portal.backup().code == 0
    known = {path for path in Path(portal.repository).rglob("*") if path.is_file()}
    assert portal.backup().code == 0
    of_root = {path for path in Path(portal.repository).rglob("*") if path.is_file()} - known
    for path in of_root:
        path.chmod(0)
    # Which has them as well.
    shutil.rmtree(portal.environment["RESTIC_CACHE_DIR"])

    backup = as_other(portal, "backup", "--json")
    preflight = as_other(portal, "preflight", "--json")
    others = [as_other(portal, *words.split(), "--json") for words in commands]

    (told,) = [each["detail"] for each in preflight.json["checks"] if not each["ok"]]
    assert "opens with the password" not in told
    for sentence in (told, *(ran.json["error"] for ran in (backup, *others))):
        assert f" may not read or write {portal.repository}/" in sentence
        assert "As root, run: chown -R " in sentence
        assert "damaged" not in sentence
        assert ".go" not in sentence
        assert "\n" not in sentence
    assert portal.rows("SELECT health FROM backups_repository") == [{"health": "unknown"}]
    for path in of_root:
        path.chmod(0o400)
    assert portal.restic("list", "index", "--no-lock").split()
    assert as_other(portal, afterwards, "--json").code == 0
