"""How to reach a repository."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from backups import process
from backups.errors import Problem
from backups.restic.variables import secrets_in
from backups.text import checked
from backups.text.sentences import phrase

# restic itself tries each request for a quarter of an hour, and a check makes thousands of them.
PATIENCE_SECONDS = 900.0
# By the scheme of the location, where the keys of a storage are.
_KEYS = {
    "": phrase("owner and mode of the folder"),
    "s3": "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY",
    "rest": "RESTIC_REST_USERNAME, RESTIC_REST_PASSWORD",
    "b2": "B2_ACCOUNT_ID, B2_ACCOUNT_KEY",
    "azure": phrase("AZURE_ACCOUNT_NAME and AZURE_ACCOUNT_KEY or AZURE_ACCOUNT_SAS"),
    "gs": phrase("GOOGLE_APPLICATION_CREDENTIALS or GOOGLE_ACCESS_TOKEN"),
    "swift": phrase("the variables OS_… or ST_…"),
    "sftp": phrase("the key and the settings of ssh"),
    "rclone": phrase("rclone's own settings (RCLONE_CONFIG)"),
}


@dataclass(frozen=True)
class Names:
    """What sentences call a repository, and what the portal knows to lie at its address."""

    name: str = ""
    # In words, and restic's id of it; both are empty where nothing is known yet.
    known: str = ""
    known_id: str = ""
    # How a person says that another one is to be used from now on.
    another: str = phrase("run `manage.py bootstrap --new repository`")
    # Whether anything is backed up to it still.
    is_used: bool = True


@dataclass(frozen=True)
class Access:
    """How to reach a repository: restic is called with nothing else. Raises Problem for what cannot be used.

    The secrets are shown to restic alone, in its environment.
    """

    program: str
    url: str
    password: str = field(repr=False)
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    cache_dir: str = ""
    # The id of the key that the password opens; restic goes on to the others where it does not.
    key_hint: str = ""
    # In which times among the arguments are read; empty is that of this process.
    zone: str = ""
    patience_seconds: float = PATIENCE_SECONDS
    # Where a person finds what may be wrong, for sentences.
    url_set_by: str = "RESTIC_REPOSITORY"
    password_set_by: str = "RESTIC_PASSWORD"  # noqa: S105  a name
    keys_set_by: str = ""
    names: Names = Names()

    def __post_init__(self) -> None:
        try:
            checked.Location(self.url)
        except checked.Unfit as why:
            raise Problem(
                phrase(
                    "restic was not started: {url_set_by} is not a usable location. {why}",
                    url_set_by=self.url_set_by,
                    why=why,
                ),
                code="restic.malformed_location",
                do=phrase("Correct it, then try again."),
            ) from None
        for name, value in {self.password_set_by: self.password, **self.secrets}.items():
            if "\0" in value:
                raise Problem(
                    phrase("{name} holds a zero character, so restic was not started with it.", name=name),
                    code="restic.zero_character",
                    do=phrase("Give it as a line of text."),
                )

    @property
    def scheme(self) -> str:
        """The kind of storage, as in s3; empty for a folder."""
        return _scheme(self.url)

    @property
    def folder(self) -> str:
        """Where it lies on this machine; empty where a storage of its own keeps it."""
        return folder_of(self.url)

    @property
    def keys_named(self) -> str:
        """The variables or fields with the storage's keys."""
        return self.keys_set_by or _KEYS[self.scheme]

    def argv(self, args: Sequence[str]) -> tuple[str, ...]:
        """restic with `args`; a request without an answer is given up after a third of the patience."""
        if self.patience_seconds >= PATIENCE_SECONDS:
            return (self.program, *args)  # its own five minutes
        return (self.program, "--stuck-request-timeout", f"{self.patience_seconds / 3:.1f}s", *args)

    def calling(
        self,
        args: Sequence[str],
        *,
        pass_fds: Sequence[int] = (),
        folder: str | None = None,
        most_memory: int | None = None,
    ) -> process.Program:
        """restic with `args`, as it is to be started."""
        return process.Program(
            self.argv(args), self.environment(), pass_fds=pass_fds, folder=folder, most_memory=most_memory
        )

    def environment(self) -> dict[str, str]:
        """All that restic gets to see."""
        own = {
            "RESTIC_REPOSITORY": self.url,
            "RESTIC_PASSWORD": self.password,
            # Two progress messages a second are read, and at most one is stored.
            "RESTIC_PROGRESS_FPS": "2",
        }
        if self.key_hint and "RESTIC_KEY_HINT" not in self.secrets:
            own["RESTIC_KEY_HINT"] = self.key_hint
        if self.cache_dir:
            own["RESTIC_CACHE_DIR"] = self.cache_dir
        if self.zone:
            own["TZ"] = self.zone
        return {**process.base_environment(), **self.secrets, **own}

    def environment_secrets(self) -> tuple[str, ...]:
        """The names in the environment that restic's own children must not see."""
        return ("RESTIC_REPOSITORY", "RESTIC_PASSWORD", *self.secrets)

    def secret_values(self) -> tuple[str, ...]:
        """What must never appear in a log."""
        found = [secret for name, value in self.secrets.items() for secret in secrets_in(name, value)]
        return (self.password, *found)


def folder_of(url: str) -> str:
    """The folder that an address names; empty where a storage of its own keeps the repository."""
    return "" if _scheme(url) else url.removeprefix("local:")


def _scheme(url: str) -> str:
    kind, colon, _ = url.partition(":")
    return kind if colon and kind in _KEYS else ""
