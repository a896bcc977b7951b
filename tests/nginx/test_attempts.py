"""What nginx lets through to the sign-in page, and what it says to the portal about a visitor."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.nginx.conftest import CONFIGURATION, PROJECT, World, nginx
from tests.nginx.surrounding import fetch
from tools.ports import HOST, free_port

SIGN_IN = "/vedetta/admin/login/"


def ask(world: World, method: str, path: str, by: str = HOST, **headers: str) -> tuple[int, str]:
    """Status and body of what somebody at the address `by` is answered."""
    given = {field.replace("__", "-"): value for field, value in headers.items()}
    answer = fetch(world.http, method, path, {"Host": "plain.test", "Content-Length": "0", **given}, by)
    return answer.status, answer.body


def answered(
    world: World, times: int, method: str, path: str, by: str = HOST, **headers: str
) -> Counter[int]:
    """How often which status was the answer."""
    return Counter(ask(world, method, path, by, **headers)[0] for _ in range(times))


def test_of_one_visitor_ten_sign_ins_at_once_are_passed_on(world: World) -> None:
    world.gate_becomes("open")
    flood = answered(world, 30, "POST", SIGN_IN, by="127.0.0.3")
    assert flood[429] >= 15
    assert flood[200] >= 10
    # Addresses that mean the same page are no way around, and no other page is slower for it.
    for path in ("/vedetta//admin/login/", "/vedetta/x/../admin/login/", "/vedetta/admin/%6cogin/?next=/"):
        assert answered(world, 3, "POST", path, by="127.0.0.3")[429] >= 2, path
    assert answered(world, 15, "GET", SIGN_IN, by="127.0.0.3") == {200: 15}
    assert answered(world, 15, "POST", "/vedetta/admin/gate/", by="127.0.0.3") == {200: 15}
    assert answered(world, 15, "POST", "/admin/login/", by="127.0.0.3") == {200: 15}, "the application's"
    assert answered(world, 5, "POST", SIGN_IN, by="127.0.0.4") == {200: 5}


REAL_ADDRESSES = """
    server {
        listen 127.0.0.1:8080;
        set_real_ip_from 127.0.0.1;
        real_ip_header X-Visitor;
        include /etc/nginx/vedetta-gate.conf;
        location / { proxy_pass http://127.0.0.1:3000; }
    }
}
"""


def test_of_ipv6_a_network_is_one_visitor(tmp_path: Path) -> None:
    text = CONFIGURATION.replace("    include /etc/nginx/surroundings/*.conf;\n}\n", REAL_ADDRESSES)
    assert text != CONFIGURATION
    with nginx(tmp_path / "nginx", text) as world:
        world.gate_becomes("open")
        of_one = Counter(
            ask(world, "POST", SIGN_IN, X__Visitor=f"2001:db8::a:{number:x}")[0] for number in range(25)
        )
        assert of_one[429] >= 10
        for other in ("2001:db8:0:1::1", "198.51.100.4"):
            assert answered(world, 5, "POST", SIGN_IN, X__Visitor=other) == {200: 5}


# What a visitor says of the path below which the portal is served, or of their own address.
SAID = {
    "SCRIPT_NAME": "//evil.example",
    "Script__Name": "/evil",
    "X__Forwarded__For": "192.0.2.99",
    "X_FORWARDED_FOR": "192.0.2.98",
    "PATH_INFO": "/evil",
}


def is_told_right(world: World, by: str) -> None:
    """The portal is told the path by nginx alone, and as the last of all addresses the visitor's own."""
    _, body = ask(world, "GET", "/vedetta/admin/", by, **SAID)
    told = [line.partition(": ")[::2] for line in body.splitlines()]
    assert [value for name, value in told if name.upper() == "SCRIPT_NAME"] == ["/vedetta"]
    assert [value for name, value in told if name == "X-Forwarded-For"] == [f"192.0.2.99, {by}"]
    assert "192.0.2.98" not in body
    assert "PATH_INFO" not in body


@pytest.mark.parametrize("by", [HOST, "127.0.0.3"])
def test_no_visitor_says_by_which_path_or_address_they_come(world: World, by: str) -> None:
    is_told_right(world, by)


def test_nor_in_the_whole_configurations_that_are_shipped(tmp_path: Path) -> None:
    """That of one's own nginx, and Compose's, whose relay takes names with underscores."""
    for name in ("nginx/nginx.conf", "compose/nginx.conf"):
        port = free_port()
        places: dict[str, int | str] = {
            "127.0.0.1:8080": port,
            "listen 80;": f"listen {HOST}:{port};",
            "/dev/std": f"{tmp_path}/std",
            "/run/nginx.pid": f"{tmp_path}/nginx.pid",
        }
        if name.startswith("compose"):
            places |= {"127.0.0.1:8001": free_port(), "127.0.0.1:8000": free_port()}
        text = (PROJECT / "deploy" / name).read_text()
        with nginx(tmp_path / name.replace("/", "_"), text, places) as world:
            world.gate_becomes("open")
            is_told_right(world, "127.0.0.3")
            assert answered(world, 15, "POST", SIGN_IN, by="127.0.0.3")[429] >= 3
