"""An S3 server on loopback. Its contents live as long as its process."""

from __future__ import annotations

import sys
import urllib.request
from pathlib import Path

from tests.servers.processes import Server, answers_http
from tools.ports import HOST, free_port


class S3Server(Server):
    """A `moto_server` that takes any credentials; stopped and started it is empty, on its port."""

    access_key = "tests"
    secret_key = "tests' secret"
    region = "us-east-1"

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.url = f"http://{HOST}:{self.port}"
        super().__init__(
            [sys.executable, "-m", "moto.server", "--host", HOST, "--port", str(self.port)],
            log=folder / "s3.log",
            ready=lambda: answers_http(f"{self.url}/moto-api/"),
        )

    @property
    def environment(self) -> dict[str, str]:
        """The variables with which restic reaches it."""
        return {
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_DEFAULT_REGION": self.region,
        }

    def create_bucket(self, name: str) -> str:
        """Make a bucket, and give its address as a restic repository."""
        request = urllib.request.Request(f"{self.url}/{name}", method="PUT")
        urllib.request.urlopen(request, timeout=10).close()
        return f"s3:{self.url}/{name}"
