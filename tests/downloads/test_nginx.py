"""A download through nginx: what breaks off looks broken, and where it could not, it is not begun."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.admin.test_download import (
    MB,
    STORE,
    both,
    empty_repository,
    large_repository,
    make_portal,
    migrated,
    portal,
    read_slowly,
    restics,
    signed_in,
)
from tests.backups.worlds import Portal
from tests.nginx.conftest import CONFIGURATION, PROJECT, nginx
from tools.ports import HOST, free_port

__all__ = ["empty_repository", "large_repository", "make_portal", "migrated", "portal"]
pytestmark = pytest.mark.slow

ALL_SERVERS = "    include /etc/nginx/surroundings/*.conf;\n"
# nginx would put a whole download aside, and notice no worker that is killed.
BARE = """
    server {
        listen 127.0.0.1:8080;
        proxy_max_temp_file_size 0;
        proxy_set_header Host $http_host;
        location / { proxy_pass http://127.0.0.1:8000; }
    }
"""
SHIPPED = {
    name: (PROJECT / "deploy" / name).read_text() for name in ("nginx/nginx.conf", "compose/nginx.conf")
}


@contextmanager
def in_front_of(portal_port: int, folder: Path, configuration: str) -> Iterator[int]:
    """An nginx with this configuration, its gate open; gives its port."""
    port = free_port()
    places: dict[str, int | str] = {
        "127.0.0.1:8080": port,
        "listen 80;": f"listen {HOST}:{port};",
        "/dev/std": f"{folder}/std",
        "/run/nginx.pid": f"{folder}/nginx.pid",
        "127.0.0.1:8000": portal_port,
    }
    if "portal:8000" in configuration:
        relays = {"127.0.0.1:8001": free_port(), "127.0.0.1:8000": free_port()}
        places |= {**relays, "portal:8000": portal_port}
    with nginx(folder, configuration, places) as world:
        world.gate_becomes("open")
        yield port


@pytest.mark.parametrize(
    ("configuration", "below"),
    [
        # The next one includes the same fragments, with a relay more.
        pytest.param(SHIPPED["nginx/nginx.conf"], "/vedetta", id="shipped", marks=pytest.mark.soak),
        pytest.param(SHIPPED["compose/nginx.conf"], "/vedetta", id="compose"),
        pytest.param(
            CONFIGURATION.replace(
                ALL_SERVERS, BARE.replace("{ proxy_pass", "{ proxy_http_version 1.1; proxy_pass")
            ),
            "",
            id="as-the-refusal-says",
            marks=pytest.mark.soak,
        ),
    ],
)
def test_what_breaks_off_behind_nginx_is_not_taken_for_whole(
    configuration: str, below: str, portal: Portal, tmp_path: Path
) -> None:
    snapshot = portal.shell(STORE)
    with (
        both(portal, alone=True) as (port, _, worker),
        in_front_of(port, tmp_path / "nginx", configuration) as front,
        closing(signed_in(front, below).ask(snapshot)) as connection,
    ):
        response = connection.getresponse()
        assert (response.status, response.getheader("Content-Type")) == (200, "application/sql")
        response.read(MB)
        assert restics(worker)
        worker.kill()
        with pytest.raises((http.client.IncompleteRead, OSError)):
            read_slowly(response)


# tests/admin/test_restoring.py refuses HTTP/1.0.
@pytest.mark.soak
def test_an_nginx_that_asks_over_http_1_0_gets_no_download(portal: Portal, tmp_path: Path) -> None:
    snapshot = portal.shell(STORE)
    configuration = CONFIGURATION.replace(ALL_SERVERS, BARE)
    with (
        both(portal, alone=True) as (port, _, _),
        in_front_of(port, tmp_path / "nginx", configuration) as front,
    ):
        person = signed_in(front)
        with closing(person.ask(snapshot)) as connection:
            page = person.told(connection, snapshot)
    assert "Nothing was downloaded. Something in front of the portal asks it over HTTP/1.0" in page
