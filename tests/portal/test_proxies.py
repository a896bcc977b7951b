"""Who a request comes from, as trusted proxies say it and nobody else."""

from __future__ import annotations

import re
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.http import HttpRequest
from django.test import Client
from pytest_django import Settings

from portal import proxies

PASSWORD = "a password of the tests 1"
VISITOR, OTHER, CDN, LAN = "198.51.100.4", "198.51.100.5", "203.0.113.7", "10.1.2.3"


def visitor(trusted: proxies.Trusted, peer: str, forwarded: str) -> str:
    """Who asked, in the end; empty where nobody knows."""
    found = trusted.visitor(ip_address(peer) if peer else None, forwarded)
    return "" if found is None else str(found)


@pytest.mark.parametrize(
    ("words", "peer", "forwarded", "expected"),
    [
        # One proxy, on this machine by an address or by the Unix socket, and what a visitor sent before it.
        ("", "127.0.0.1", VISITOR, VISITOR),
        ("", "127.0.0.1", f"{OTHER}, {VISITOR}", VISITOR),
        ("", "::1", VISITOR, VISITOR),
        ("", "", f"{OTHER},{VISITOR}", VISITOR),
        ("", "", "", ""),
        # Two, of which the one in front is listed; and one that is not.
        (CDN, "127.0.0.1", f"{OTHER}, {VISITOR}, {CDN}", VISITOR),
        (f"{CDN} 10.0.0.0/8", LAN, f"{VISITOR}, {CDN}", VISITOR),
        ("", "127.0.0.1", f"{VISITOR}, {CDN}", CDN),
        # Somebody on this machine is a visitor like others when nginx says so.
        ("", "127.0.0.1", f"{VISITOR}, 127.0.0.1", "127.0.0.1"),
        ("127.0.0.1", "127.0.0.1", f"{VISITOR}, 127.0.0.1", VISITOR),
        # As proxies write addresses, and what is none.
        ("", "127.0.0.1", f"{VISITOR}:4711", VISITOR),
        ("", "127.0.0.1", '"[2001:db8::1]:4711"', "2001:db8::1"),
        ("", "127.0.0.1", f"::ffff:{VISITOR}", VISITOR),
        (CDN, "127.0.0.1", f"unknown, {CDN}", CDN),
        ("", "127.0.0.1", f"{VISITOR}, ;drop", "127.0.0.1"),
        ("", "127.0.0.1", f"{VISITOR},", "127.0.0.1"),
    ],
)
def test_the_visitor_is_whom_the_first_of_our_proxies_was_asked_by(
    words: str, peer: str, forwarded: str, expected: str
) -> None:
    assert visitor(proxies.trusted(words.split()), peer, forwarded) == expected


def test_a_stranger_is_no_proxy_whatever_is_said() -> None:
    trusted = proxies.trusted([CDN])
    assert [trusted.knows(ip_address(each)) for each in (VISITOR, LAN, "::2", "127.0.0.2")] == [False] * 4
    assert visitor(trusted, VISITOR, OTHER) == VISITOR


def test_neighbours_are_the_networks_of_this_machine(tmp_path: Path) -> None:
    """As the kernel lists them in a container of Compose: the gateway is one, the route by it is none."""
    (tmp_path / "route").write_text(
        "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
        "eth0\t00000000\t010012AC\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
        "eth0\t000012AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n"
    )
    (tmp_path / "if_inet6").write_text("fd000000000000000000000000000005 02 40 00 80     eth0\n")
    found = list(proxies.neighbours(tmp_path / "route", tmp_path / "if_inet6"))
    assert found == [ip_network("172.18.0.0/16"), ip_network("fd00::/64")]
    assert list(proxies.neighbours(tmp_path / "none", tmp_path / "none")) == []


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        (VISITOR, VISITOR),
        (f"::ffff:{VISITOR}", VISITOR),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::"),
        ("2001:db8:1:3::1", "2001:db8:1:3::"),
        ("", "0.0.0.0"),  # noqa: S104  nothing listens there
    ],
)
def test_of_an_ipv6_address_its_network_counts(address: str, counted: str) -> None:
    request = HttpRequest()
    request.META["REMOTE_ADDR"] = address
    assert proxies.counted_as(request) == counted


@pytest.mark.parametrize(
    ("peer", "path", "said", "kept"),
    [
        (("127.0.0.1", 1), "/vedetta/admin/", "/vedetta", True),
        (("::1", 1, 0, 0), "/vedetta", "/vedetta", True),
        ("", "/a/b/admin/", "/a/b", True),
        ((LAN, 1), "/vedetta/admin/", "/vedetta", False),
        (("127.0.0.1", 1), "//evil.example/admin/", "//evil.example", False),
        (("127.0.0.1", 1), "//vedetta/admin/", "/vedetta", False),
        (("127.0.0.1", 1), "/vedettas/", "/vedetta", False),
        (("127.0.0.1", 1), "/../admin/", "/..", False),
        (("127.0.0.1", 1), "/x%0d/admin/", "/x%0d", False),
        (("127.0.0.1", 1), "/admin/", "", False),
    ],
)
def test_a_path_is_taken_from_our_proxies_where_it_is_asked_for(
    peer: object, path: str, said: str, kept: bool
) -> None:
    headers = [("HOST", "x"), ("SCRIPT_NAME", said)]
    assert proxies.paths_kept(headers, peer, path, proxies.trusted([])) == headers[: 2 if kept else 1]


def test_what_gunicorn_was_told_before_holds_until_there_is_more() -> None:
    """An old Compose file says *; whoever named a proxy's address goes on with it."""
    headers = [("SCRIPT_NAME", "/vedetta")]
    everybody, one = proxies.trusted_before(["*"]), proxies.trusted_before([CDN])
    assert proxies.paths_kept(headers, (LAN, 1), "/vedetta/", everybody) == headers
    assert not everybody.knows(ip_address(VISITOR))
    assert one.knows(ip_address(CDN))
    assert not one.knows(ip_address(LAN))


@pytest.mark.parametrize("word", ["10.0.0.1/8", "nginx", "127.0.0.1:80", "*"])
def test_a_wrong_word_is_refused(word: str) -> None:
    with pytest.raises(ValueError, match=re.escape(word)):
        proxies.trusted(["unix", word])


# ---------------------------------------------------------------- In the portal


def guess(password: str, peer: str, forwarded: str = "") -> int:
    """The status that the sign-in form answers: 200 is the form again, 302 is in, 429 is locked."""
    headers = {"X-Forwarded-For": forwarded} if forwarded else None
    told = {"username": "anna", "password": password}
    return Client(REMOTE_ADDR=peer).post("/admin/login/", told, headers=headers).status_code


@pytest.fixture
def anna(db: None, settings: Settings) -> User:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    return User.objects.create_superuser("anna", password=PASSWORD)


# Where the guesses come from, each another one; where the right password then comes from; what it gets.
GUESSES = {
    "at a unix socket without a proxy": (lambda _: ("", ""), ("", ""), 429),
    "behind nginx at a unix socket": (lambda n: ("", f"192.0.2.{n}, {VISITOR}"), ("", VISITOR), 429),
    "its owner from elsewhere": (lambda _: ("", VISITOR), ("", OTHER), 302),
    "behind one proxy": (lambda n: ("127.0.0.1", f"192.0.2.{n}, {VISITOR}"), ("127.0.0.1", VISITOR), 429),
    "behind two": (
        lambda n: ("127.0.0.1", f"192.0.2.{n}, {VISITOR}, {CDN}"),
        ("127.0.0.1", f"{VISITOR}, {CDN}"),
        429,
    ),
    "behind two, its owner": (
        lambda _: ("127.0.0.1", f"{VISITOR}, {CDN}"),
        ("127.0.0.1", f"{OTHER}, {CDN}"),
        302,
    ),
    "in one network of IPv6": (lambda n: (f"2001:db8::{n:x}", ""), ("2001:db8::ffff", ""), 429),
    "in another network of IPv6": (lambda n: (f"2001:db8::{n:x}", ""), ("2001:db8:0:1::1", ""), 302),
    "behind nobody, saying so": (lambda n: (VISITOR, f"192.0.2.{n}"), (VISITOR, "192.0.2.99"), 429),
}


# Each holds for one proxy as for two.
LIKE_OTHERS = ("behind one proxy", "behind two, its owner", "in another network of IPv6")


@pytest.mark.parametrize(
    "way", [pytest.param(way, marks=pytest.mark.soak if way in LIKE_OTHERS else ()) for way in GUESSES]
)
def test_whoever_guesses_is_locked_out_and_nobody_else(way: str, anna: User, settings: Settings) -> None:
    settings.TRUSTED_PROXIES = proxies.trusted([CDN])
    come_from, right_from, expected = GUESSES[way]
    for number in range(1, 11):
        guess(f"wrong {number}", *come_from(number))
    assert guess(PASSWORD, *right_from) == expected


def test_a_stranger_says_nothing_of_https_and_is_led_in_no_circle(anna: User, settings: Settings) -> None:
    """Behind a proxy that is not listed yet people sign in all the same, and are told what to add."""
    settings.SECURE_SSL_REDIRECT = True
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    by = Client(REMOTE_ADDR=LAN, headers={"X-Forwarded-Proto": "https", "X-Forwarded-For": VISITOR})
    page = by.get("/admin/login/")
    assert page.status_code == 200
    assert not page.wsgi_request.is_secure()
    assert page.wsgi_request.META["REMOTE_ADDR"] == LAN
    assert by.post("/admin/login/", {"username": "anna", "password": PASSWORD}).status_code == 302
    assert f"TRUSTED_PROXIES={LAN}" in by.get("/admin/").content.decode()

    ours = Client(headers={"X-Forwarded-Proto": "https", "X-Forwarded-For": VISITOR})
    assert ours.get("/admin/login/").wsgi_request.is_secure()
    ours.force_login(anna, backend="django.contrib.auth.backends.ModelBackend")
    assert "TRUSTED_PROXIES" not in ours.get("/admin/").content.decode()
    # Who says nothing is sent to HTTPS, and so is who only says that it is forwarded.
    for headers in ({}, {"X-Forwarded-For": VISITOR}, {"X-Forwarded-Proto": "http"}):
        assert Client(REMOTE_ADDR=LAN, headers=headers).get("/admin/login/").status_code == 301


def test_a_second_proxy_that_is_not_listed_is_named_to_who_comes_by_it(anna: User) -> None:
    """The first one is believed, and says that it was asked by one that itself asks for somebody."""
    client = Client()
    client.force_login(anna, backend="django.contrib.auth.backends.ModelBackend")

    def told(forwarded: str) -> bool:
        page = client.get("/admin/", headers={"X-Forwarded-For": forwarded}).content.decode()
        return f"add {CDN} to TRUSTED_PROXIES" in page

    assert told(f"{VISITOR}, {CDN}")
    assert told(f"{OTHER}, {VISITOR}, {CDN}")
    assert not told(CDN)
    # nginx's realip module has it so.
    assert not told(f"{CDN}, {CDN}")
    assert not told(f"nonsense, {CDN}")


def test_who_is_locked_out_is_told_what_to_do_and_the_log_has_the_address_alone(
    anna: User, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    """Not the name: some type their password for it."""
    with caplog.at_level("WARNING", logger="axes"):
        for number in range(10):
            guess(f"wrong {number}", VISITOR)
    answer = Client(REMOTE_ADDR=VISITOR).post("/admin/login/", {"username": "anna", "password": PASSWORD})
    page = answer.content.decode()

    assert answer.status_code == 429
    assert re.search(r"Sign-in is locked for another 1[45] minutes", page)
    assert "manage.py axes_reset_username" in page
    assert VISITOR in caplog.text
    assert "anna" not in caplog.text + page
