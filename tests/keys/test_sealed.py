"""What is typed in secret: who opens it, for what, and what is said where nobody does."""

from __future__ import annotations

import base64
import re
from pathlib import Path

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_django.fixtures import Settings

from backups import endpoints, keys, validators
from backups.actions import preflight
from backups.catalog import made_here
from backups.errors import Problem
from backups.keys import InstallationKey, Use
from backups.models import Database, PublicKey, Repository
from backups.requests import sealing
from backups.secret_references import Secret, named_place
from backups.text import sealed_text
from tests.rows import a_server, change_server

KEY = InstallationKey(bytes(range(32)))
USE = Use("database server", "db:3306")
TYPED = "hunter2 with blanks and ü"
# What this key and libsodium once made of TYPED: rows of today are opened by all later versions.
OF_TODAY = (
    "sealed:1:2e58f60648505d7e:20261130T045504Z:_7R6RndVyH4ASsHVpM1wcgTKa6vPQfMgP0br54MH7nsHCeu"
    "KN8jaPa9yk04Y9MEBltnP36qsrw7A0LZPO4g4Kc0zC720IbBCWGBLC7OVdSyfF1uIXHqhiVP4qROwXeY92tq-aAcoP"
    "oTq1zHhrG2ePbgMKlxRFOnP14AJK7ySAQMkYEJAtZEq0zkQnuW2T-wk4CB54LGMlqhe9XY_0cDHqBaiXOT8U7eEMGH"
    "mwAgwtpXFdfxdIF3DwoNtgwdJpOScYgGcT6O8qWQPQa1KXBZhLnhfUpu306aZUFDgoeibg73IKipYNlCWUTUV5a31d"
    "LRWeyHC-qQTd8jOZhTEMgVagjRrH_jevON2LWo3WmHohHMf56yGoR1iVPd24JXTx_oerI36Izj3Un1RHgSVScOpjQ="
    "="
)
few = hypothesis.settings(max_examples=25, deadline=None)


@pytest.fixture
def kept(settings: Settings, tmp_path: Path, db: None) -> Settings:
    """An installation with a key, whose public half its rows have."""
    settings.VEDETTA_KEY, settings.VEDETTA_KEY_MADE = KEY.text, str(tmp_path / "none")
    made_here.key_in_use()
    return settings


def a_database() -> Database:
    """Whose server and repository have secrets that were typed."""
    repository = Repository(name="r", url="s3:https://storage/bucket")
    for name in ("password_ref", "access_key_ref", "secret_key_ref"):
        setattr(repository, name, sealing.seal(f"{name} {TYPED}", *repository.use_of(name)))
    repository.save()
    server = a_server()
    server.password_ref = sealing.seal(TYPED, *server.use_of("password_ref"))
    server.save()
    return Database.objects.create(name="shop", server=server, database="shop", repository=repository)


def test_what_was_sealed_once_opens_for_ever() -> None:
    assert keys.unseal(OF_TODAY, USE, KEY) == TYPED


@few
@given(secret=st.text(max_size=500), use=st.builds(Use, st.text(max_size=50), st.text(max_size=50)))
def test_what_is_sealed_is_opened_by_its_key_for_its_use_alone(secret: str, use: Use) -> None:
    sealed = keys.seal(secret, use, KEY.public_sealing)

    assert keys.unseal(sealed, use, KEY) == secret
    with pytest.raises(Problem) as another:
        keys.unseal(sealed, Use(use.purpose, f"{use.whose}x"), KEY)
    assert another.value.code == "secret.of_another_use"
    with pytest.raises(Problem) as elsewhere:
        keys.unseal(sealed, use, InstallationKey(bytes(32)))
    assert elsewhere.value.code == "secret.of_another_key"


def test_passwords_of_any_usual_length_look_alike_and_none_is_sealed_twice_in_the_same_way() -> None:
    short, long = (keys.seal(secret, USE, KEY.public_sealing) for secret in ("x", "x" * 100))

    assert len(short) == len(long)
    assert short.rpartition(":")[2] != keys.seal("x", USE, KEY.public_sealing).rpartition(":")[2]


@pytest.mark.parametrize("secret", ["x" * 500, '"' * 500, "\U0001f511" * 125])
def test_the_longest_that_is_typed_fits_its_column(secret: str) -> None:
    use = Use("storage secret_key", "s3:https://" + "h" * 189)

    assert len(keys.seal(secret, use, KEY.public_sealing)) <= 2000


@few
@given(
    text=st.one_of(
        st.text(), st.from_regex(r"sealed:1:[0-9a-f]{16}:[0-9]{8}T[0-9]{6}Z:[A-Za-z0-9_=-]{64,99}")
    )
)
def test_any_text_in_a_row_is_a_sentence_at_most(text: str) -> None:
    with pytest.raises(Problem) as problem:
        keys.unseal(text, USE, KEY)

    assert problem.value.code in {"secret.broken_seal", "secret.of_another_key"}


@pytest.mark.parametrize("at", [0, 40, 200])
def test_a_changed_seal_opens_nothing(at: int) -> None:
    sealed = sealed_text.read(keys.seal(TYPED, USE, KEY.public_sealing))
    assert sealed
    box = bytearray(base64.urlsafe_b64decode(sealed.box))
    box[at] ^= 1
    spoilt = sealed_text.SealedText(sealed.key_id, sealed.typed_at, base64.urlsafe_b64encode(box).decode())

    with pytest.raises(Problem, match="is damaged"):
        keys.unseal(str(spoilt), USE, KEY)


def test_rows_are_read_like_any_other(kept: Settings) -> None:
    database = a_database()

    assert endpoints.database_server(database).password == TYPED
    access = endpoints.repository_access(database.repository)
    assert access.password == f"password_ref {TYPED}"
    assert access.secrets["AWS_SECRET_ACCESS_KEY"] == f"secret_key_ref {TYPED}"
    assert access.secrets["AWS_ACCESS_KEY_ID"] == f"access_key_ref {TYPED}"
    database.server.full_clean()
    database.repository.full_clean()
    assert re.fullmatch(
        r"what was typed on 20\d\d-\d\d-\d\d \d\d:\d\d", named_place(database.server.password_ref)
    )


def test_a_password_is_shown_to_no_other_server_than_that_for_which_it_was_typed(kept: Settings) -> None:
    """Whoever writes rows changes an address, or moves what is sealed to a row with an address of theirs."""
    database = a_database()
    moved = a_server("evil", password_ref=database.server.password_ref)
    change_server(database, host="evil")

    for server in (moved, database.server):
        database.server = server
        with pytest.raises(Problem) as refused:
            endpoints.database_server(database)
        assert refused.value.code == "secret.of_another_use"
        assert "Type it again in the portal" in refused.value.sentence()


def test_keys_are_shown_to_no_other_storage_and_are_no_passwords(kept: Settings) -> None:
    repository = a_database().repository
    repository.url = "s3:https://evil/bucket"
    with pytest.raises(Problem) as refused:
        endpoints.repository_access(repository)
    assert refused.value.code == "secret.of_another_use"

    repository.access_key_ref = repository.secret_key_ref = ""
    assert endpoints.repository_access(repository).password == f"password_ref {TYPED}"
    repository.password_ref = Repository.objects.get().secret_key_ref
    with pytest.raises(Problem, match="another use"):
        endpoints.repository_access(repository)


def test_another_key_and_none_are_sentences_that_say_what_to_type_anew(kept: Settings) -> None:
    database = a_database()
    kept.VEDETTA_KEY = ""
    with pytest.raises(Problem) as gone:
        endpoints.database_server(database)
    assert gone.value.code == "secret.no_key"
    assert "(the password of database shop)" in gone.value.sentence()
    assert endpoints.not_here(lambda: endpoints.refuse_missing_secrets(database))

    kept.VEDETTA_KEY = InstallationKey(bytes(32)).text
    assert not sealing.needs_typing_again(database.server.password_ref)
    made_here.key_in_use()
    assert sealing.needs_typing_again(database.server.password_ref)
    with pytest.raises(Problem) as another:
        endpoints.refuse_missing_secrets(database.repository)
    assert another.value.code == "secret.of_another_key"
    assert "Type it again in the portal" in another.value.sentence()

    assert next(iter(preflight._key())).startswith(
        "Passwords and keys were typed for another VEDETTA_KEY, so nobody can read them: "
        "server u@db:3306, repository r. Type them again in the portal"
    )
    for problem in (gone.value, another.value):
        assert "hunter2" not in problem.sentence()


def test_nothing_is_typed_before_there_is_a_key(kept: Settings) -> None:
    PublicKey.objects.all().delete()

    with pytest.raises(Problem) as refused:
        sealing.seal(TYPED, "p", "w")

    assert refused.value.code == "key.not_made"
    assert "hunter2" not in refused.value.sentence()


def test_a_public_key_that_somebody_put_there_goes(kept: Settings) -> None:
    PublicKey.objects.update(sealing=InstallationKey.made().public_sealing)
    made_here.key_in_use()

    sealed = sealing.seal(TYPED, USE.purpose, USE.whose)

    assert Secret(sealed, use=(USE.purpose, USE.whose)).resolve() == TYPED


def test_what_is_typed_is_one_line(kept: Settings) -> None:
    sealed = sealing.seal("two\nlines", *USE.__dict__.values())

    with pytest.raises(Problem) as refused:
        Secret(sealed, use=(USE.purpose, USE.whose)).resolve()

    assert refused.value.code == "secret.not_one_line"
    assert "sealed:" not in refused.value.sentence()


def test_a_form_takes_what_is_sealed_only_in_its_one_form(kept: Settings) -> None:
    validators.secret_reference(keys.seal("x", USE, KEY.public_sealing))
    for text in ("sealed:", "sealed:1:hunter2", "sealed:1:0123456789abcdef:99999999T999999Z:" + "A" * 64):
        with pytest.raises(Exception, match="Write env:NAME"):
            validators.secret_reference(text)
