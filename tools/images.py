"""`make pin-images`: the images that Compose uses, by the digests of what this machine's Docker has.

Tags move. A digest is the content's own, so whoever is in the way between the registry and here changes
nothing that is named by it. Nothing is fetched, and no digest is made up: what Docker does not have is said.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from sentinel import env_file
from tools.shell import ROOT, SetupError

COMPOSE_FILE = ROOT / "docker-compose.yml"
ENV_FILE = ROOT / ".env"
_NAMED = re.compile(r"\$\{(\w+_IMAGE):-([^}]+)\}")
# Built here, so that no registry has a digest of it.
_OWN = "VEDETTA_IMAGE"
_DOCKER_SECONDS = 60
_DIGEST = re.compile(r"@sha256:[0-9a-f]{64}$")


def defaults() -> dict[str, str]:
    """The variables that name images, with what counts where nobody sets them."""
    found = dict(_NAMED.findall(COMPOSE_FILE.read_text()))
    return {name: image for name, image in found.items() if name != _OWN}


def main() -> None:
    """Print the digests and write them into .env."""
    parser = argparse.ArgumentParser(prog="make pin-images", description=__doc__)
    parser.add_argument("--print", action="store_true", dest="print_only", help="write nothing")
    print_only = parser.parse_args().print_only
    try:
        pinned, missing = _pins()
        for name, image in pinned.items():
            print(f"{name}={image}")
        if pinned and not print_only:
            _write(ENV_FILE, pinned)
            print(
                f"pin-images: written to {ENV_FILE}. Build and start with them: docker compose up -d --build"
            )
    except (SetupError, env_file.EnvFileError) as error:
        sys.exit(f"pin-images: {error}")
    if missing:
        sys.exit("\n".join(f"pin-images: {each}" for each in missing))


def _pins() -> tuple[dict[str, str], list[str]]:
    """What is pinned, and a sentence for each image that cannot be. Raises SetupError without Docker."""
    given = env_file.read(ENV_FILE).values
    pinned: dict[str, str] = {}
    missing: list[str] = []
    for name, default in defaults().items():
        tag = _DIGEST.sub("", os.environ.get(name, "").strip() or given.get(name, "").strip() or default)
        digests = _digests(tag)
        stays = f"{name} stays as it is:"
        if digests is None:
            missing.append(
                f"{name} stays as it is: Docker has no {tag} here. `docker pull {tag}`, then again."
            )
        elif (digest := _of_same_repository(tag, digests)) is None:
            missing.append(
                f"{stays} the {tag} that Docker has here came from no registry, so it has no "
                f"digest. `docker pull {tag}`, then again."
            )
        else:
            pinned[name] = f"{tag}@{digest}"
    return pinned, missing


def _digests(image: str) -> list[str] | None:
    """Under which digests registries have this image, None where Docker has no such image."""
    argv = ["docker", "image", "inspect", "--format", "{{json .RepoDigests}}", image]
    try:
        done = subprocess.run(
            argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=_DOCKER_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        raise SetupError(_WITHOUT_DOCKER.format(why="there is no docker command that answers")) from None
    complaint = done.stderr.decode(errors="replace").strip()
    if done.returncode == 0:
        told = json.loads(done.stdout or b"[]")
        return [str(each) for each in told or []]
    if "no such image" in complaint.lower():
        return None
    raise SetupError(
        _WITHOUT_DOCKER.format(why=complaint.splitlines()[-1] if complaint else "it said nothing")
    )


_WITHOUT_DOCKER = (
    "Docker could not be asked ({why}), and nothing was written. Run this where it answers and has pulled "
    "them; or write the digests into .env by hand, as MYSQL_IMAGE=name:tag@sha256:…, of what `docker image "
    "inspect --format '{{{{.RepoDigests}}}}' name:tag` says there."
)


def _of_same_repository(image: str, digests: list[str]) -> str | None:
    """The digest by which the registry that the name leads to has it."""
    wanted = _repository(image)
    found = (each.partition("@") for each in digests)
    return next((digest for name, _, digest in found if _repository(name) == wanted and digest), None)


def _repository(image: str) -> str:
    """A name without its tag, in the long form that Docker makes of it: mysql is docker.io/library/mysql."""
    path, _, last = image.partition("@")[0].rpartition("/")
    name = f"{path}/{last.partition(':')[0]}".lstrip("/")
    first, slash, _ = name.partition("/")
    if slash and (set(first) & set(".:") or first == "localhost"):
        return name
    return f"docker.io/{name if slash else f'library/{name}'}"


def _write(path: Path, values: Mapping[str, str]) -> None:
    """Put these lines in the place of those of the same names, in one step; all else stays."""
    lines = path.read_text().splitlines() if path.exists() else []
    wanted = dict(values)
    kept = []
    for line in lines:
        name = line.partition("=")[0].strip().removeprefix("export ").strip()
        if name not in values:
            kept.append(line)
        elif name in wanted:
            kept.append(f"{name}={wanted.pop(name)}")
    text = "\n".join([*kept, *(f"{name}={image}" for name, image in wanted.items())]) + "\n"
    handle, draft = tempfile.mkstemp(dir=path.parent, prefix=".env.")
    try:
        with os.fdopen(handle, "w") as file:
            file.write(text)
        if path.exists():
            there = path.stat()
            Path(draft).chmod(there.st_mode & 0o7777)
            os.chown(draft, there.st_uid, there.st_gid)
        Path(draft).replace(path)
    finally:
        Path(draft).unlink(missing_ok=True)


if __name__ == "__main__":
    main()
