"""In logs a secret is hidden however it is spelled, unless it is too short to be told from other words."""

from __future__ import annotations

from urllib.parse import quote, quote_plus

import pytest

from backups.text.terminal import spellings

PASSWORD = "p@ss wörd/100%+\\\"'"


@pytest.mark.parametrize(
    "told",
    [
        PASSWORD,
        quote(PASSWORD, safe=""),
        quote(PASSWORD),
        quote_plus(PASSWORD),
        quote(PASSWORD, safe="").lower(),
        PASSWORD.replace("@", "%40"),
        repr(PASSWORD)[1:-1],
        '{"password": "' + PASSWORD.replace("\\", "\\\\").replace('"', '\\"') + '"}',
    ],
)
def test_a_secret_is_found_however_it_is_spelled(told: str) -> None:
    found = spellings(["p@ss", PASSWORD]).sub("•••", f"at https://me:{told}@host/")
    assert "•••" in found
    for part in ("ss w", "rd/100", "rd%2", "100%", "ss%20", "ss+"):
        assert part not in found.lower()


def test_a_short_secret_is_found_where_it_stands_alone() -> None:
    masks = spellings(["ab", "key", "a@b"])
    assert masks.sub("•", "key=key, user:key@host, a%40b; monkey keys key_1 ab") == (
        "•=•, user:•@host, •; monkey keys key_1 ab"
    )
    assert spellings([]).sub("•", "as it is") == "as it is"
