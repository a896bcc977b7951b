"""Other proxies around: TLS that ends before this nginx, Compose's two relays behind it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.nginx.conftest import CONFIGURATION, PROJECT, World, nginx
from tests.nginx.gates import APPLICATION
from tests.nginx.surrounding import Answer, fetch
from tools.ports import HOST, free_port


def get(world: World, path: str, *, name: str = "plain", by: str = HOST, **headers: str) -> Answer:
    """An answer to somebody at the address `by`."""
    given = {field.replace("_", "-"): value for field, value in headers.items()}
    return fetch(world.http, "GET", path, {"Host": f"{name}.test", **given}, by)


@pytest.mark.parametrize(
    ("by", "said", "told"),
    [
        (HOST, "https", "https"),
        (HOST, "http", "http"),
        (HOST, "", "http"),
        (HOST, "javascript", "http"),
        (HOST, "https, http", "http"),
        ("127.0.0.2", "https", "http"),
    ],
)
def test_a_trusted_proxy_alone_says_that_a_visitor_came_by_https(
    world: World, by: str, said: str, told: str
) -> None:
    answer = get(world, "/vedetta/admin/", by=by, X_Forwarded_Proto=said)
    assert f"X-Forwarded-Proto: {told}\n" in answer.body


def test_composes_nginx_opens_closes_and_reaches_the_portal(tmp_path: Path) -> None:
    port = free_port()
    places: dict[str, int | str] = {
        "127.0.0.1:8080": port,
        "listen 80;": f"listen {HOST}:{port};",
        # Where it listens for itself; the containers that it asks there are elsewhere.
        "127.0.0.1:8001": free_port(),
        "127.0.0.1:8000": free_port(),
        "/dev/std": f"{tmp_path}/std",
    }
    text = (PROJECT / "deploy" / "compose" / "nginx.conf").read_text()
    with nginx(tmp_path / "nginx", text, places) as compose:
        for state in ("open", "closed", "dead"):
            compose.gate_becomes(state)
            for path in ("/", "/api/orders"):
                expected = "200 application" if state == "open" else "503 closed"
                assert get(compose, path).words() == expected
            portal = get(compose, "/vedetta/admin/", X_Forwarded_Proto="https").body
            assert portal.startswith(f"{APPLICATION}\n/vedetta/admin/\n")
            assert "X-Forwarded-Proto: https\n" in portal
            assert "SCRIPT_NAME: /vedetta\n" in portal


def test_what_is_said_to_all_servers_does_not_reach_the_relay(tmp_path: Path) -> None:
    hostile = """
    auth_basic "who are you?";
    auth_basic_user_file /etc/nginx/passwords;
    deny all;
    limit_req_zone all zone=all:32k rate=1r/m;
    limit_req zone=all;
    limit_conn_zone all zone=one:32k;
    limit_conn one 1;
    proxy_cache_use_stale error timeout updating http_503;
    proxy_cache_min_uses 5;
    proxy_intercept_errors on;
    error_page 502 503 504 =200 /never;
    server {
        listen 127.0.0.1:8080;
        allow all;
        auth_basic off;
        limit_req zone=vedetta_drill;
        limit_conn vedetta_drills 100;
        include /etc/nginx/vedetta-gate.conf;
        location / { proxy_pass http://127.0.0.1:3000; }
    }
}
"""
    text = CONFIGURATION.replace("    include /etc/nginx/surroundings/*.conf;\n}\n", hostile)
    with nginx(tmp_path, text) as all_servers:
        for state in ("open", "closed", "dead"):
            all_servers.gate_becomes(state)
            for _ in range(4):
                expected = "200 application" if state == "open" else "503 closed"
                assert get(all_servers, "/").words() == expected
