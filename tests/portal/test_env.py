"""The environment's readers: what they take, and the one sentence with which they refuse."""

from __future__ import annotations

import os
import sys
import traceback
import zoneinfo
from collections.abc import Callable
from pathlib import Path
from typing import Any

import MySQLdb
import psycopg
import pytest
from django.core.exceptions import ImproperlyConfigured

from portal import database_options
from portal.env import Environment, forget_what_drivers_read, read_env_files

Read = Callable[[Environment], Any]
PROJECT = Path(__file__).resolve().parents[2]

TAKEN: list[tuple[str, Read, Any]] = [
    ("  shop ", lambda e: e.text("X"), "shop"),
    ("", lambda e: e.text("X", "orders"), "orders"),
    ("0", lambda e: e.integer("X", 6), 0),
    ("", lambda e: e.integer("X", 6), 6),
    ("65535", lambda e: e.integer("X", 3306, least=1, most=65535), 65535),
    ("Yes", lambda e: e.boolean("X", default=False), True),
    ("off", lambda e: e.boolean("X", default=True), False),
    ("", lambda e: e.boolean("X", default=True), True),
    ("sql.gz", lambda e: e.choice("X", "sql", ["sql", "sql.gz"]), "sql.gz"),
    ("", lambda e: e.choice("X", "sql", ["sql", "sql.gz"]), "sql"),
    ("a, b  c,", lambda e: e.words("X"), ["a", "b", "c"]),
    ("", lambda e: e.words("X", ["localhost"]), ["localhost"]),
    ("*/5 1-3 * JAN mon", lambda e: e.cron("X", "0 3 * * *"), "*/5 1-3 * JAN mon"),
    ("", lambda e: e.cron("X", "0 3,15 * * *"), "0 3,15 * * *"),
    ("Europe/Rome", lambda e: e.time_zone("X", "UTC"), "Europe/Rome"),
    ("https://b.example.com", lambda e: e.origins("X"), ["https://b.example.com"]),
    ("s3cret", lambda e: e.secret("X"), "s3cret"),
    ("", lambda e: e.database("X", "sqlite:////tmp/p.sqlite3")["NAME"], "/tmp/p.sqlite3"),
    ("mysql://u:p@h:3307/n", lambda e: e.database("X", "sqlite:////x")["PORT"], 3307),
    (
        "mariadb://u:p@h:3307/n",
        lambda e: e.database("X", "sqlite:////x")["ENGINE"],
        "django.db.backends.mysql",
    ),
    ("MariaDB://u:p@h:3307/n", lambda e: e.database("X", "sqlite:////x")["PORT"], 3307),
    ("mysql://u:p%40ss%23%25%2F@h/n", lambda e: e.database("X", "sqlite:////x")["PASSWORD"], "p@ss#%/"),
    (
        "mysql://u:p@h/n?local_infile=1&ssl_mode=REQUIRED",
        lambda e: e.database("X", "sqlite:////x")["OPTIONS"],
        {"local_infile": 0, "ssl_mode": "REQUIRED"},
    ),
    ("mysql://u:p:ss@h/n", lambda e: e.database("X", "sqlite:////x")["PASSWORD"], "p:ss"),
    ("sqlite:///here/p.db", lambda e: e.database("X", "sqlite:////x")["NAME"], str(PROJECT / "here/p.db")),
    (
        "mysql://u:p@h/n?charset=utf8mb4&unix_socket=/run/m.sock&connect_timeout=5&ssl_mode=required&sql_mode=",
        lambda e: e.database("X", "sqlite:////x")["OPTIONS"],
        {
            "charset": "utf8mb4",
            "unix_socket": "/run/m.sock",
            "connect_timeout": 5,
            "ssl_mode": "REQUIRED",
            "local_infile": 0,
        },
    ),
    (
        "mysql://u:p@h/n?ssl_ca=/ca.pem&ssl_key=/k%201.pem&compress=true&isolation_level=serializable",
        lambda e: e.database("X", "sqlite:////x")["OPTIONS"],
        {
            "ssl": {"ca": "/ca.pem", "key": "/k 1.pem"},
            "ssl_mode": "VERIFY_CA",
            "compress": 1,
            "isolation_level": "serializable",
            "local_infile": 0,
        },
    ),
    (
        "postgresql://u:p%40ss@h:5433/n?conn_max_age=60",
        lambda e: {k: v for k, v in e.database("X", "sqlite:////x").items() if k != "OPTIONS"},
        {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": "n",
            "USER": "u",
            "PASSWORD": "p@ss",
            "HOST": "h",
            "PORT": 5433,
            "CONN_MAX_AGE": 60,
        },
    ),
    (
        "postgres://u:p@h/n?sslmode=VERIFY-FULL&sslrootcert=/ca.pem&connect_timeout=3",
        lambda e: e.database("X", "sqlite:////x")["OPTIONS"],
        {
            "application_name": "vedetta",
            "connect_timeout": 3,
            "keepalives_idle": 15,
            "keepalives_interval": 5,
            "keepalives_count": 3,
            "tcp_user_timeout": 30_000,
            "sslmode": "verify-full",
            "sslrootcert": "/ca.pem",
        },
    ),
    ("mysql://u:p@h/n?conn_max_age=60", lambda e: e.database("X", "sqlite:////x")["CONN_MAX_AGE"], 60),
    ("sqlite:////p.db?timeout=20", lambda e: e.database("X", "sqlite:////x")["NAME"], "/p.db"),
    ("http://u:p@h:8000/a?b=c", lambda e: e.web_address("X"), "http://u:p@h:8000/a?b=c"),
    ("", lambda e: e.web_address("X"), ""),
    ("A, B_* file:/a/b", lambda e: e.references("X"), ["A", "B_*", "file:/a/b"]),
    ("", lambda e: e.references("X"), []),
    ("", lambda e: e.folder("X", "/run/secrets"), "/run/secrets"),
    ("/a/b", lambda e: e.folder("X", ""), "/a/b"),
    ("", lambda e: e.secrets("X", least_characters=3), []),
    ("old,older, x", lambda e: e.secrets("X", least_characters=3), ["old,older, x", "old", "older"]),
]
REFUSED: list[tuple[str, Read]] = [
    ("", lambda e: e.text("X")),
    ("many", lambda e: e.integer("X", 6)),
    ("-1", lambda e: e.integer("X", 6)),
    ("1.5", lambda e: e.integer("X", 6)),
    ("0", lambda e: e.integer("X", 3306, least=1)),
    ("65536", lambda e: e.integer("X", 3306, least=1, most=65535)),
    ("9" * 5000, lambda e: e.integer("X", 6)),
    ("²", lambda e: e.integer("X", 6)),
    ("perhaps", lambda e: e.boolean("X", default=False)),
    ("sql.zst", lambda e: e.choice("X", "sql", ["sql", "sql.gz"])),
    ("0 25 * * *", lambda e: e.cron("X", "0 3 * * *")),
    ("@daily", lambda e: e.cron("X", "0 3 * * *")),
    ("0 0 3 * * *", lambda e: e.cron("X", "0 3 * * *")),
    ("Mars/Olympus", lambda e: e.time_zone("X", "UTC")),
    ("../etc/passwd", lambda e: e.time_zone("X", "UTC")),
    ("/", lambda e: e.time_zone("X", "UTC")),
    ("b.example.com", lambda e: e.origins("X")),
    ("https://a.example.com ftp://b", lambda e: e.origins("X")),
    ("https://[b", lambda e: e.origins("X")),
    ("", lambda e: e.secret("X")),
    ("short", lambda e: e.secret("X", least_characters=32)),
    ("nonsense", lambda e: e.database("X", "sqlite:////x")),
    ("oracle-of-delphi://h/n", lambda e: e.database("X", "sqlite:////x")),
    ("mysql://u:p@host=127.0.0.1;local-infile=1/n", lambda e: e.database("X", "sqlite:////x")),
    ("mysql://u:p@db1,db2/n", lambda e: e.database("X", "sqlite:////x")),
    ("mysql://h:port/n", lambda e: e.database("X", "sqlite:////x")),
    ("sqlite://", lambda e: e.database("X", "sqlite:////x")),
    ("sqlite://:memory:", lambda e: e.database("X", "sqlite:////x")),
    ("sqlite:////data/a#b", lambda e: e.database("X", "sqlite:////x")),
    ("mariadb://u:p@h/", lambda e: e.database("X", "sqlite:////x")),
    ("mysql://u:p@h/", lambda e: e.database("X", "sqlite:////x")),
    ("postgres://u:p@h/", lambda e: e.database("X", "sqlite:////x")),
    ("postgres://u:p@h:port/n", lambda e: e.database("X", "sqlite:////x")),
    ("postgres://u:p@db1,db2/n", lambda e: e.database("X", "sqlite:////x")),
    ("postgresql://u:a%00b@h/n", lambda e: e.database("X", "sqlite:////x")),
    ("postgis://u:p@h/n", lambda e: e.database("X", "sqlite:////x")),
    ("sqlite:///%00", lambda e: e.database("X", "sqlite:////x")),
    ("mysql://u:a%00b@h/n", lambda e: e.database("X", "sqlite:////x")),
    ("hc.example.com/ping", lambda e: e.web_address("X")),
    ("ftp://hc.example.com/ping", lambda e: e.web_address("X")),
    ("https://", lambda e: e.web_address("X")),
    ("https://u:p/ss@hc.example.com/ping", lambda e: e.web_address("X")),
    ("https://hc.example.com/a b", lambda e: e.web_address("X")),
    ("A *", lambda e: e.references("X")),
    ("A B=hunter2", lambda e: e.references("X")),
    ("env:A", lambda e: e.references("X")),
    ("file:a", lambda e: e.references("X")),
    ("run/secrets", lambda e: e.folder("X", "")),
    ("ab", lambda e: e.secrets("X", least_characters=3)),
]


@pytest.mark.parametrize(("value", "read", "meant"), TAKEN)
def test_value_is_read_as_what_it_means(
    value: str, read: Read, meant: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("X", value)

    assert read(Environment()) == meant


@pytest.mark.parametrize(("value", "read"), REFUSED)
def test_wrong_value_is_refused_in_one_sentence_that_names_it(
    value: str, read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("X", value)

    with pytest.raises(ImproperlyConfigured) as refused:
        read(Environment())

    sentence = str(refused.value)
    assert sentence.startswith("X ")
    assert sentence.endswith(".")
    assert "\n" not in sentence
    assert len(sentence) < 400


def test_a_machine_without_time_zones_is_told_what_it_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("X", "Europe/Rome")
    known = zoneinfo.TZPATH
    zoneinfo.ZoneInfo.clear_cache()
    zoneinfo.reset_tzpath([])
    for name in ("tzdata", *(each for each in sys.modules if each.startswith("tzdata."))):
        monkeypatch.setitem(sys.modules, name, None)
    try:
        with pytest.raises(ImproperlyConfigured, match=r"^X cannot be .* Install tzdata"):
            Environment().time_zone("X", "UTC")
    finally:
        zoneinfo.reset_tzpath(known)


def test_secret_is_never_in_the_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("X", "hunter2")

    with pytest.raises(ImproperlyConfigured) as refused:
        Environment().secret("X", least_characters=32)

    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    "url",
    [
        "mysql://u:hunter2@h:port/n",
        "hunter2",
        "postgres://u:hunter2@h:port/n",
        "postgres://u:hunter@2@h/n",
        "postgres://u:hunter2@h/n?sslmode=hunter2",
        "redshift://u:hunter2@h/n",
        "mysql://u:hunter@2@h/n",
        "mysql://u:hunter2#@h/n",
        "mysql://u:hunter2%rd@h/n",
        "mysql://u:hunter2/@h/n",
        "mysql://u:1/hunter2@h/n",
        "mysql://u:hunter2?@h/n",
        "mariadb://u:hunter2?@h/n",
    ],
)
def test_password_of_a_database_address_is_never_in_the_sentence(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("X", url)

    with pytest.raises(ImproperlyConfigured) as refused:
        Environment().database("X", "sqlite:////x")

    assert "hunter" not in str(refused.value)
    assert "hunter" not in "".join(traceback.format_exception(refused.value))


@pytest.mark.parametrize(
    ("option", "named"),
    [
        ("foo=bar", "the option foo, which the portal's database does not take: of "),
        ("sslmode=require", "the option sslmode, which the portal's database does not take: of "),
        ("DB=hunter2", "the option DB, which"),
        ("hunter2=x", "an option, which"),
        ("ssl_mode=1&init_command=hunter2", "the option ssl_mode, which must be one of DISABLED, PREF"),
        ("connect_timeout=hunter2", "the option connect_timeout, which must be a whole number of seconds"),
        ("use_unicode=0", "the option use_unicode, which must be true"),
        ("compress=hunter2", "the option compress, which must be true or false"),
        ("isolation_level=hunter2", "the option isolation_level, which must be one of read uncommitted"),
        ("charset=hunter2%00", "the option charset, which must be a text"),
        ("CONN_MAX_AGE=hunter2", "the option CONN_MAX_AGE, which must be a whole number of seconds"),
        ("AUTOCOMMIT=0", "the option AUTOCOMMIT, which must be true"),
    ],
)
def test_an_option_that_is_not_taken_is_named_without_its_value(
    option: str, named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("X", f"mysql://u:hunter2@h/n?{option}")

    with pytest.raises(ImproperlyConfigured) as refused:
        Environment().database("X", "sqlite:////x")

    assert str(refused.value).startswith(f"X has {named}")
    assert "hunter2" not in "".join(traceback.format_exception(refused.value))


@pytest.mark.parametrize(
    ("options", "said", "stops", "goes_by"),
    [
        ("", "", None, {}),
        ("user=u&passwd=hunter2&db=n&host=h&port=3307", "(host, port, user, passwd, db)", False, {}),
        ("client_flag=128&multi_statements=1", "does not take, or that belong", False, {}),
        ("password=other", "another one behind it (password).", True, {"PASSWORD": "other"}),
        ("db=n&host=elsewhere", "another one behind it (host).", True, {"HOST": "elsewhere"}),
    ],
)
def test_what_stands_twice_in_an_address_of_before_goes_on_and_is_told(
    options: str, said: str, stops: bool | None, goes_by: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("X", f"mysql://u:hunter2@h:3307/n?{options}")
    env = Environment()

    config = env.database("X", "sqlite:////x")

    meant = {"HOST": "h", "PORT": "3307", "USER": "u", "PASSWORD": "hunter2", "NAME": "n"} | goes_by
    assert {name: str(config[name]) for name in meant} == meant
    assert config["OPTIONS"] == {"local_infile": 0}
    assert [each.stops for each in env.doubts] == ([] if stops is None else [stops])
    for doubt in env.doubts:
        assert said in doubt.what
        assert "hunter2" not in doubt.sentence + doubt.place
        assert "other" not in doubt.sentence.replace("another", "")


def test_what_stands_behind_the_address_alone_is_gone_by(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("X", "mysql:///n?host=h&user=u&passwd=hunter2")
    env = Environment()

    config = env.database("X", "sqlite:////x")

    assert (config["HOST"], config["USER"], config["PASSWORD"]) == ("h", "u", "hunter2")
    assert not env.doubts[0].stops


def test_the_driver_takes_each_option_that_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Up to a server that is not there: what it did not take would be another error."""
    values = {"ssl_mode": "PREFERRED", "isolation_level": "serializable", "collation": "utf8mb4_bin"}
    taken = [*database_options._READ, *database_options._OF_TLS]
    query = "&".join(f"{name}={values.get(name, '1')}" for name in taken if name != "unix_socket")
    monkeypatch.setenv("X", f"mysql://u:p@127.0.0.1:1/n?{query}")
    options = Environment().database("X", "sqlite:////x")["OPTIONS"]
    del options["isolation_level"]  # Django's

    with pytest.raises(MySQLdb.OperationalError, match="2002"):
        MySQLdb.connect(host="127.0.0.1", port=1, user="u", **options)


def test_libpq_takes_each_option_that_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Up to a server that is not there: what it did not take would be another error."""
    query = "&".join(f"{name}=1" for name in database_options._READ_BY_LIBPQ if name != "sslmode")
    monkeypatch.setenv("X", f"postgres://u:p@127.0.0.1:1/n?sslmode=prefer&{query}")
    options = Environment().database("X", "sqlite:////x")["OPTIONS"]

    with pytest.raises(psycopg.OperationalError, match="refused"):
        psycopg.connect(host="127.0.0.1", port=1, user="u", **options)


@pytest.mark.parametrize("option", ["options=-csearch_path%3Dhunter2", "service=hunter2", "hunter2=1"])
def test_an_option_that_libpq_would_take_and_the_portal_does_not_is_refused(
    option: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("X", f"postgres://u:p@h/n?{option}")

    with pytest.raises(
        ImproperlyConfigured, match=r"^X has .*does not take: of application_name, "
    ) as refused:
        Environment().database("X", "sqlite:////x")

    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    ("address", "module", "told"),
    [
        (
            "postgres://u:p@h/n",
            "psycopg",
            "a PostgreSQL server, .* psycopg .* install vedetta.postgresql. into",
        ),
        ("mysql://u:p@h/n", "MySQLdb", "a MySQL or MariaDB server, .* MySQLdb .* install mysqlclient into"),
    ],
)
def test_a_driver_that_is_missing_is_told_in_one_sentence(
    address: str, module: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("X", address)
    monkeypatch.setitem(sys.modules, module, None)

    with pytest.raises(ImproperlyConfigured, match=rf"^X names {told}"):
        Environment().database("X", "sqlite:////x")


def test_what_libpq_reads_by_itself_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """All that it knows, as it says itself."""
    known = {option.envvar.decode() for option in psycopg.pq.Conninfo.get_defaults() if option.envvar}
    for name in known:
        monkeypatch.setenv(name, "1")

    forget_what_drivers_read()

    assert known & set(os.environ) == set()


def test_password_of_a_web_address_is_never_in_the_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("X", "https://u:hunter2/@hc.example.com/ping")

    with pytest.raises(ImproperlyConfigured) as refused:
        Environment().web_address("X")

    assert "hunter2" not in str(refused.value)


def test_value_may_lie_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "secret").write_text("from the file\n")
    monkeypatch.setenv("ZZ_LIES_FILE", str(tmp_path / "secret"))

    assert Environment().text("ZZ_LIES") == "from the file"


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00"])
def test_file_that_cannot_be_read_is_named_by_its_variable(
    content: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if content is not None:
        (tmp_path / "secret").write_bytes(content)
    monkeypatch.setenv("ZZ_UNREADABLE_FILE", str(tmp_path / "secret"))

    with pytest.raises(ImproperlyConfigured, match=r"^ZZ_UNREADABLE_FILE names a file that cannot be read"):
        Environment().text("ZZ_UNREADABLE")


def test_what_is_empty_in_the_environment_is_filled_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "first").write_text("ZZ_A=first\nZZ_B=\n")
    (tmp_path / "second").write_text("ZZ_A=second\nZZ_B=second\n")
    monkeypatch.setenv("ZZ_A", " ")
    monkeypatch.setenv("ZZ_B", "")

    read_env_files(tmp_path / "first", tmp_path / "second")

    assert [Environment().text(name) for name in ("ZZ_A", "ZZ_B")] == ["first", "second"]


def test_environment_wins_over_files_and_earlier_files_over_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "first").write_text("ZZ_A=first\nZZ_B=first\n")
    (tmp_path / "second").write_text("ZZ_A=second\nZZ_B=second\nZZ_C=second\n")
    monkeypatch.setenv("ZZ_A", "environment")
    for name in ("ZZ_B", "ZZ_C"):
        monkeypatch.setenv(name, "to be removed again")
        monkeypatch.delenv(name)

    read_env_files(tmp_path / "absent", tmp_path / "first", tmp_path / "second")

    env = Environment()
    assert [env.text(name) for name in ("ZZ_A", "ZZ_B", "ZZ_C")] == ["environment", "first", "second"]


@pytest.mark.parametrize(
    ("database", "of_systemd", "shared"),
    [
        ("sqlite:////srv/data/portal.sqlite3", "/var/lib/vedetta", "/srv/data"),
        ("mysql://u:p@db/portal", "/var/lib/vedetta", "/var/lib/vedetta"),
        ("mysql://u:p@db/portal", "/var/lib/vedetta:/var/lib/vedetta-worker", "/var/lib/vedetta"),
        ("mysql://u:p@db/portal", "", "/opt/vedetta/var"),
    ],
)
def test_what_portal_and_worker_share_is_found_by_both(
    database: str, of_systemd: str, shared: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """systemd tells the worker of a second folder, which the portal may not open."""
    monkeypatch.setenv("X", database)
    monkeypatch.setenv("STATE_DIRECTORY", of_systemd)
    env = Environment()

    assert env.shared_folder(env.database("X", ""), Path("/opt/vedetta/var")) == Path(shared)
