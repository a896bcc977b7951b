"""The image's `restic`, as people call it, has the repository and the keys that the portal has."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]


def seen(folder: Path, **environment: str) -> dict[str, str]:
    """The environment in which restic is started by it."""
    restic, number = folder / "real-restic", folder / "id"
    restic.write_text("#!/bin/sh\nenv\n")
    number.write_text("#!/bin/sh\necho 1000\n")
    script = folder / "restic"
    script.write_text(
        (PROJECT / "deploy/docker/restic.sh").read_text().replace("/opt/restic/restic", str(restic))
    )
    for program in (restic, number, script):
        program.chmod(0o755)
    ran = subprocess.run(
        [script, "snapshots"], capture_output=True, text=True, check=True,
        env={"PATH": f"{folder}:/usr/bin:/bin", "RESTIC_CACHE_DIR": str(folder), **environment},
    )  # fmt: skip
    return dict(line.split("=", 1) for line in ran.stdout.splitlines() if "=" in line)


def test_a_file_comes_before_the_location_that_compose_fills_in(tmp_path: Path) -> None:
    (tmp_path / "where").write_text("rest:https://backups.example.com/\n")

    told = seen(tmp_path, RESTIC_REPOSITORY="/repository", RESTIC_REPOSITORY_FILE=str(tmp_path / "where"))

    assert told["RESTIC_REPOSITORY"] == "rest:https://backups.example.com/"
    assert "RESTIC_REPOSITORY_FILE" not in told


def test_no_host_is_taken_for_the_only_one(tmp_path: Path) -> None:
    told = seen(tmp_path, RESTIC_HOST="web01", RESTIC_PASSWORD="p", AWS_DEFAULT_REGION="")

    assert told["RESTIC_PASSWORD"] == "p"
    assert not {"RESTIC_HOST", "AWS_DEFAULT_REGION"} & set(told)


LISTED = "vedetta-1\nanother.container\n"


@pytest.mark.parametrize(
    ("holder", "is_ours"),
    [
        ("vedetta-1", True),
        ("somebody-elses", False),
        (".*", False),
        ("anotherXcontainer", False),
        ("-e.", False),
        ("--file=/data/hosts", False),
        ("", False),
    ],
)
def test_a_locks_host_is_no_pattern_and_no_option(tmp_path: Path, holder: str, is_ours: bool) -> None:
    """Else whoever may write to the repository has every lock taken for one of a container that is gone."""
    (tmp_path / "hosts").write_text(LISTED)
    restic, number, script = tmp_path / "real-restic", tmp_path / "id", tmp_path / "restic"
    restic.write_text(
        "#!/bin/sh\n"
        f"case \"$1 $2\" in 'list locks') echo aabb ;; 'cat lock') echo '{{\"hostname\": \"{holder}\"}}' ;; "
        '*) echo "ran: $*" ;; esac\n'
    )
    number.write_text("#!/bin/sh\necho 1000\n")
    text = (PROJECT / "deploy/docker/restic.sh").read_text()
    text = text.replace("/opt/restic/restic", str(restic)).replace("/data/hosts", str(tmp_path / "hosts"))
    script.write_text(text)
    for program in (restic, number, script):
        program.chmod(0o755)
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "RESTIC_CACHE_DIR": str(tmp_path)}
    ran = subprocess.run(
        [script, "unlock"], capture_output=True, text=True, check=True, env=environment, timeout=30
    )
    assert ran.stdout == ("ran: unlock --remove-all\n" if is_ours else "ran: unlock\n")
