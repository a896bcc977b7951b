"""What a check found is told in whole words, and said to be longer where it is."""

from __future__ import annotations

import pytest

from backups.actions import check
from backups.errors import shortened

PACK = "0123456789abcdef" * 4
BROKEN = f"pack {PACK} contains 12 errors: [" + " ".join(
    f"blob {'0' * 64}: ciphertext verification failed" for _ in range(12)
)


@pytest.mark.parametrize(
    ("text", "most", "shown"),
    [
        ("ciphertext verification failed", 30, "ciphertext verification failed"),
        ("ciphertext verification failed", 29, "ciphertext verification …"),
        ("ciphertext verification failed", 24, "ciphertext verification …"),
        ("ciphertext verification failed", 22, "ciphertext …"),
        ("ciphertext", 4, "ciph …"),
        ("one, two", 5, "one …"),
    ],
)
def test_a_long_text_is_cut_between_words(text: str, most: int, shown: str) -> None:
    assert shortened(text, most) == shown


@pytest.mark.parametrize(
    ("complaint", "found"),
    [
        (f"pack {PACK}: ciphertext verification failed.", "pack 01234567: ciphertext verification failed"),
        ("Load(<index/1>) failed", "Load(<index/1>) failed"),
    ],
)
def test_what_was_found_is_whole(complaint: str, found: str) -> None:
    assert check.found_in(complaint) == found


def test_much_of_what_was_found_ends_with_a_whole_word() -> None:
    found = check.found_in(BROKEN)

    assert found.startswith(
        "pack 01234567 contains 12 errors: [blob 00000000: ciphertext verification failed"
    )
    assert found.endswith(" …")
    assert found.split()[-2].strip(":") in {"blob", "0" * 8, "ciphertext", "verification", "failed"}
