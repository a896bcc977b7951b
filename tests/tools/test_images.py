"""Images are named in one place, and pinned by what Docker has and by nothing else.

Where these tests run there is no Docker with images of a registry: a stand-in gives the answers of one,
those that it gives when something is missing above all.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from sentinel import env_file
from tools import images
from tools.shell import ROOT

DIGEST = f"sha256:{'0f' * 32}"
OTHER = f"sha256:{'a1' * 32}"
MYSQL, RESTIC = "mysql:8.4", "restic/restic:0.18.1"
AWAY = "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?"
Pin = Callable[..., "subprocess.CompletedProcess[str]"]


_STARTED = ("MYSQL_IMAGE", "NGINX_IMAGE", "POSTGRES_IMAGE")


def test_each_image_is_named_in_one_place() -> None:
    tracked = subprocess.run(
        ["git", "ls-files", "-z", "--", ".", ":!tests", ":!CHANGELOG.md"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.split("\0")  # fmt: skip
    texts = {name: (ROOT / name).read_bytes().decode(errors="replace") for name in filter(None, tracked)}
    named = images.defaults()

    assert set(named) == {"DEBIAN_IMAGE", "MYSQL_IMAGE", "RESTIC_IMAGE", "NGINX_IMAGE", "POSTGRES_IMAGE"}
    for image in named.values():
        places = [
            name for name, text in texts.items() for _ in re.findall(re.escape(image) + r"(?!\d)", text)
        ]
        assert places == ["docker-compose.yml"], image


def test_what_is_built_and_what_is_started_are_of_the_named_images() -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    used = {each["image"] for each in services.values()} - {"${VEDETTA_IMAGE:-vedetta:latest}"}
    built = services["db_backup"]["build"]["args"]
    bases = re.findall(r"^(?:ARG|FROM) (?:\$\{)?(\w+_IMAGE)", (ROOT / "Dockerfile").read_text(), re.MULTILINE)

    assert used == {f"${{{name}:-{images.defaults()[name]}}}" for name in _STARTED}
    assert built == {name: f"${{{name}:-{images.defaults()[name]}}}" for name in built}
    assert set(bases) == set(built)


@pytest.fixture
def pin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Pin:
    """`make pin-images` where Docker gives these answers, a standard output or a complaint for each image."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.setattr(images, "ENV_FILE", tmp_path / ".env")
    for name in images.defaults():
        monkeypatch.delenv(name, raising=False)

    def run(answers: dict[str, list[str] | str], *arguments: str) -> subprocess.CompletedProcess[str]:
        cases = "".join(f"{image}) {said(answer)} ;;\n" for image, answer in answers.items())
        (folder / "docker").write_text(f'#!/bin/sh\ncase "$5" in\n{cases}esac\n')
        (folder / "docker").chmod(0o755)
        monkeypatch.setattr("sys.argv", ["make pin-images", *arguments])
        code: object = 0
        try:
            images.main()
        except SystemExit as ended:
            code = ended.code
        return subprocess.CompletedProcess([], bool(code), capsys.readouterr().out, str(code or ""))

    def said(answer: list[str] | str) -> str:
        if isinstance(answer, list):
            return f"echo '{json.dumps(answer)}'"
        return f"echo '[]'; echo '{answer}' >&2; exit 1"

    return run


ALL = {
    "debian:trixie-slim": [f"debian@{DIGEST}"],
    MYSQL: [f"mirror.example/mysql@{OTHER}", f"mysql@{DIGEST}"],
    RESTIC: [f"docker.io/restic/restic@{DIGEST}"],
    "nginx:1.28": [f"nginx@{DIGEST}"],
    "postgres:17": [f"postgres@{DIGEST}"],
}


def test_what_docker_has_is_written_into_env_and_all_else_stays(pin: Pin, tmp_path: Path) -> None:
    env = tmp_path / ".env"
    env.write_text("# ours\nRESTIC_PASSWORD='a # b'\nexport MYSQL_IMAGE=\n\nMYSQL_USER=vedetta\n")
    env.chmod(0o640)

    ran = pin(ALL)

    assert ran.returncode == 0, ran.stderr
    before, _, after = env.read_text().partition(f"MYSQL_IMAGE={MYSQL}@{DIGEST}\n")
    assert before == "# ours\nRESTIC_PASSWORD='a # b'\n"
    assert after.startswith("\nMYSQL_USER=vedetta\n")
    assert env.stat().st_mode & 0o777 == 0o640
    read = env_file.read(env)
    assert read.doubts == ()
    assert {name: read.values[name] for name in images.defaults()} == {
        name: f"{image}@{DIGEST}" for name, image in images.defaults().items()
    }
    assert f"RESTIC_IMAGE={RESTIC}@{DIGEST}\n" in ran.stdout


def test_an_image_moves_with_its_tag(pin: Pin, tmp_path: Path) -> None:
    """The line of .env is asked of by its tag, whatever digest stood there."""
    pin(ALL)
    env = tmp_path / ".env"
    env.write_text(env.read_text().replace(f"{MYSQL}@{DIGEST}", f"mysql:9.7@{DIGEST}"))
    first = env.read_text()

    moved = pin({**ALL, "mysql:9.7": [f"mysql@{OTHER}"]}, "--print")
    assert (moved.returncode, env.read_text()) == (0, first)
    pin({**ALL, "mysql:9.7": [f"mysql@{OTHER}"]})

    assert env.read_text() == first.replace(f"mysql:9.7@{DIGEST}", f"mysql:9.7@{OTHER}")


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ([], "came from no registry"),
        ([f"mirror.example/restic/restic@{DIGEST}"], "came from no registry"),
        (f"Error: No such image: {RESTIC}", f"Docker has no {RESTIC} here"),
    ],
)
def test_what_docker_has_no_digest_of_is_named_and_stays(
    pin: Pin, tmp_path: Path, answer: list[str] | str, why: str
) -> None:
    ran = pin({**ALL, RESTIC: answer})

    assert ran.returncode == 1
    assert ran.stderr.startswith("pin-images: RESTIC_IMAGE stays as it is: ")
    assert why in ran.stderr
    assert f"`docker pull {RESTIC}`, then again." in ran.stderr
    assert "RESTIC_IMAGE" not in (tmp_path / ".env").read_text()
    assert f"MYSQL_IMAGE={MYSQL}@{DIGEST}" in (tmp_path / ".env").read_text()


def test_without_docker_nothing_is_written_and_it_is_said_what_to_do(pin: Pin, tmp_path: Path) -> None:
    ran = pin(dict.fromkeys(ALL, AWAY))

    assert ran.returncode == 1
    assert ran.stdout == ""
    assert f"Docker could not be asked ({AWAY}), and nothing was written." in ran.stderr
    assert "`docker image inspect --format '{{.RepoDigests}}' name:tag`" in ran.stderr
    assert not (tmp_path / ".env").exists()
