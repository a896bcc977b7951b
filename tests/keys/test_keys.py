"""The installation's key: where it comes from, what it signs, and what it never shows."""

from __future__ import annotations

import base64
import re
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_django.fixtures import Settings

from backups import keys
from backups.errors import Problem
from backups.keys import InstallationKey

SECRET = bytes(range(32))
few = hypothesis.settings(max_examples=25, deadline=None)


@pytest.fixture
def made_at(tmp_path: Path, settings: Settings) -> Path:
    """Where a key would be made, as nobody gave one."""
    settings.VEDETTA_KEY = ""
    settings.VEDETTA_KEY_MADE = str(tmp_path / "keys" / "vedetta_key")
    return Path(settings.VEDETTA_KEY_MADE)


def test_the_same_secret_has_the_same_keys_for_ever() -> None:
    """They are written in databases and repositories: another derivation would disown all of them."""
    key = InstallationKey(SECRET)

    assert key.public_signing == "SEELS7m9sX5/YXqTmLTRQBjYNo7GFotlxba+dwC5TLA="
    assert key.public_sealing == "q3sh8u9lFFjladw+BaWlpQGw8KIiEvZnThbudOKSLgo="
    assert key.text == base64.b64encode(SECRET).decode()
    assert InstallationKey.from_text(f" {key.text}\n").public_signing == key.public_signing


@few
@given(message=st.binary(), other=st.binary())
def test_a_signature_is_of_one_message_by_one_key(message: bytes, other: bytes) -> None:
    key, stranger = InstallationKey(SECRET), InstallationKey.made()
    signature = key.sign(message)

    assert keys.is_signed(key.public_signing, message, signature)
    assert not keys.is_signed(stranger.public_signing, message, signature)
    assert keys.is_signed(key.public_signing, other, signature) == (other == message)


@few
@given(signature=st.text(max_size=200), public=st.text(max_size=100))
def test_texts_that_are_no_signature_prove_nothing(signature: str, public: str) -> None:
    assert not keys.is_signed(InstallationKey(SECRET).public_signing, b"", signature)
    assert not keys.is_signed(public, b"", InstallationKey(SECRET).sign(b""))


@pytest.mark.parametrize(
    "text", ["short", base64.b64encode(SECRET[:31]).decode(), base64.b64encode(SECRET * 2).decode(), "é" * 44]
)
def test_what_is_no_key_is_refused_without_showing_it(text: str) -> None:
    with pytest.raises(Problem, match="VEDETTA_KEY is no key") as refused:
        InstallationKey.from_text(text)

    assert text not in refused.value.sentence()


def test_a_manifest_is_signed_whatever_way_its_text_was_written_in() -> None:
    one, other = (
        {"sha256": "ab", "sections": [1, {"name": "é"}]},
        {"sections": [1, {"name": "é"}], "sha256": "ab"},
    )

    assert keys.of_snapshot("shop", one) == keys.of_snapshot("shop", other)
    assert keys.of_snapshot("shop", one) != keys.of_snapshot("shop2", one)
    assert keys.of_snapshot("shop", one) != keys.of_snapshot("shop", {**one, "sha256": "ac"})


def test_the_first_start_makes_a_key_that_only_this_account_may_read(made_at: Path) -> None:
    assert keys.load() is None
    key = keys.load_or_make()

    assert stat.S_IMODE(made_at.stat().st_mode) == 0o600
    assert list(made_at.parent.iterdir()) == [made_at]
    assert keys.load_or_make().public_signing == key.public_signing


def test_of_two_that_make_one_at_once_the_first_counts(made_at: Path) -> None:
    with ThreadPoolExecutor(8) as several:
        made = {key.text for key in several.map(lambda _: keys.load_or_make(), range(32))}

    assert made == {made_at.read_text().strip()}


def test_the_environment_comes_before_what_was_made(made_at: Path, settings: Settings) -> None:
    keys.load_or_make()
    settings.VEDETTA_KEY = InstallationKey(SECRET).text

    assert keys.load_or_make().text == InstallationKey(SECRET).text


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("/dev/null/vedetta_key", "in /dev/null/vedetta_key cannot be read"),
        ("/proc/nowhere/vedetta_key", "could not be written to /proc/nowhere/vedetta_key"),
    ],
)
def test_a_place_that_cannot_be_used_is_named(settings: Settings, place: str, said: str) -> None:
    settings.VEDETTA_KEY, settings.VEDETTA_KEY_MADE = "", place

    with pytest.raises(Problem, match=re.escape(said)):
        keys.load_or_make()


def test_it_never_shows_itself() -> None:
    key = InstallationKey(SECRET)

    assert key.text not in repr(key)
    assert key.text not in str(vars(key))
