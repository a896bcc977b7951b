"""Packages from Debian's unstable suite, fetched without touching the machine's own apt state.

The address comes from the machine's apt sources; lists, cache and package status are apt-get's own
in a temporary folder. Nothing is installed: the packages are unpacked into a folder.
"""

from __future__ import annotations

import contextlib
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tools.shell import SetupError, output_of, run, say
from tools.system import is_debian_kind, os_release

SOURCES_FOLDER = Path("/etc/apt/sources.list.d")
SOURCES_LIST = Path("/etc/apt/sources.list")
KNOWN_SUITES = {"oldoldstable", "oldstable", "stable", "testing", "unstable", "sid"}
# Not `trusted`: what comes from here is signed, or is not taken.
KEPT_FIELDS = {"uris", "signed-by"}
_EXPIRED = re.compile(r"Release file for .* is expired")
# Of a one-line source's options, those that say who signs and for what machine.
_KEPT_OPTIONS = re.compile(r"(?:arch|signed-by)=\S+")
ONE_LINE = re.compile(r"^deb\s+(?P<options>\[[^]]*]\s+)?(?P<uri>\S+)\s+(?P<suite>\S+)\s+(?P<components>.+)$")


@contextlib.contextmanager
def unstable(purpose: str) -> Iterator[UnstableSuite]:
    """Debian's unstable suite by the first of the machine's sources that offers it."""
    if not is_debian_kind():
        raise SetupError(f"{purpose} comes from Debian, and this machine is not Debian's kind.")
    release = os_release()
    with tempfile.TemporaryDirectory(prefix="vedetta-apt-") as folder:
        for suffix, text in _unstable_sources(release.get("VERSION_CODENAME", "")):
            suite = UnstableSuite(Path(folder), suffix, text)
            if suite.is_offered():
                yield suite
                return
        raise SetupError(
            f"{purpose} comes from Debian's unstable suite, which no package source here offers."
        )


class UnstableSuite:
    """apt-get bound to one source and to state folders of its own."""

    def __init__(self, folder: Path, suffix: str, text: str) -> None:
        self.folder = folder
        self._source = folder / f"unstable{suffix}"
        self._source.write_text(text)
        # Whether its list of packages was past its date: then a mirror may keep us at an old state.
        self.is_past_its_date = False
        self._status = folder / "status"
        self._status.touch()
        for name in ("state/lists/partial", "cache/archives/partial"):
            (folder / name).mkdir(parents=True, exist_ok=True)

    def is_offered(self) -> bool:
        """Fetch the list of packages, where there is one that its archive has signed."""
        try:
            self._update()
        except SetupError as error:
            if not _EXPIRED.search(str(error)):
                return False
            say("the list of Debian's unstable suite is past its date, as a mirror's of old states is")
            self.is_past_its_date = True
            return self._is_offered_late()
        return True

    def _is_offered_late(self) -> bool:
        try:
            self._update()
        except SetupError:
            return False
        return True

    def _update(self) -> None:
        self._apt_get("update", "-o", "APT::Update::Error-Mode=any")

    def version_of(self, package: str) -> str:
        """The version of a package that was unpacked."""
        (archive,) = self.folder.glob(f"{package}_*.deb")
        return (output_of(["dpkg-deb", "--field", archive, "Version"]) or "").strip()

    def unpack(self, package: str, target: Path) -> None:
        """Unpack one package, without what it depends on."""
        self._apt_get("download", package)
        for archive in self.folder.glob("*.deb"):
            run(["dpkg", "-x", archive, target])

    def unpack_with_dependencies(self, packages: list[str], target: Path) -> None:
        """Unpack packages and all that they need, the C library included."""
        self._apt_get("install", "--yes", "--no-install-recommends", "--download-only", *packages)
        for archive in sorted((self.folder / "cache" / "archives").glob("*.deb")):
            run(["dpkg", "-x", archive, target])

    def _apt_get(self, *arguments: str) -> None:
        options = {
            "Dir::Etc::SourceList": self._source,
            "Dir::Etc::SourceParts": "/dev/null",
            "Dir::State": self.folder / "state",
            "Dir::State::status": self._status,
            "Dir::Cache": self.folder / "cache",
            "Acquire::Check-Valid-Until": "false" if self.is_past_its_date else "true",
            # Whatever the machine's own settings allow.
            "Acquire::AllowInsecureRepositories": "false",
            "APT::Get::AllowUnauthenticated": "false",
            "Acquire::Languages": "none",
            "Acquire::Retries": "2",
            # The folder is private to this user, so apt's own user could not write there.
            "APT::Sandbox::User": "",
        }
        flags = [flag for name, value in options.items() for flag in ("-o", f"{name}={value}")]
        run(["apt-get", *flags, *arguments], cwd=self.folder, env={"LC_ALL": "C"})


def _unstable_sources(codename: str) -> list[tuple[str, str]]:
    """File suffix and text of a source for the unstable suite, for each source of Debian's own."""
    suites = KNOWN_SUITES | {codename}
    found: list[tuple[str, str]] = []
    for path in sorted(SOURCES_FOLDER.glob("*.sources")):
        found += [(".sources", text) for text in stanzas_made_over(path.read_text(), suites)]
    for path in [SOURCES_LIST, *sorted(SOURCES_FOLDER.glob("*.list"))]:
        if path.is_file():
            found += [(".list", text) for text in lines_made_over(path.read_text(), suites)]
    return list(dict.fromkeys(found))


def stanzas_made_over(text: str, suites: set[str]) -> list[str]:
    """Sources in deb822 form, made over for the unstable suite."""
    return [
        made_over for stanza in re.split(r"\n\s*\n", text) if (made_over := _stanza_made_over(stanza, suites))
    ]


def _stanza_made_over(stanza: str, suites: set[str]) -> str | None:
    lines = [line for line in stanza.splitlines() if not line.startswith("#")]
    fields = re.findall(r"^([\w-]+):((?:.*)(?:\n[ \t].*)*)", "\n".join(lines), re.MULTILINE)
    values = {name.lower(): value for name, value in fields}
    enabled = values.get("enabled", "yes").strip().lower() not in {"no", "false", "0"}
    binary = "deb" in values.get("types", "").split()
    ours = suites & set(values.get("suites", "").split())
    if not (enabled and binary and ours and "main" in values.get("components", "").split()):
        return None
    kept = [f"{name}:{value}" for name, value in fields if name.lower() in KEPT_FIELDS]
    return "\n".join(["Types: deb", "Suites: sid", "Components: main", *kept, ""])


def lines_made_over(text: str, suites: set[str]) -> list[str]:
    """Sources in one-line form, made over for the unstable suite."""
    matches = (ONE_LINE.match(line.partition("#")[0].strip()) for line in text.splitlines())
    return [
        f"deb {_options(match['options'])}{match['uri']} sid main\n"
        for match in matches
        if match and match["suite"] in suites and "main" in match["components"].split()
    ]


def _options(text: str | None) -> str:
    kept = " ".join(_KEPT_OPTIONS.findall((text or "").strip("[] ")))
    return f"[{kept}] " if kept else ""
