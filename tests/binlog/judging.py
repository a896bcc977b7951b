"""What tests of statements share: two servers to read as, and what a statement is to the database shop."""

from __future__ import annotations

from backups.binlog.barriers import Barrier, Code
from backups.binlog.logged import Logged
from backups.binlog.statements import Judged, Ours, judged
from backups.dumpfile.dialect import Dialect

MARIADB = Dialect.of(is_mariadb=True, number=(10, 11, 19))
MYSQL = Dialect.of(is_mariadb=False, number=(9, 7, 4))
TARGET = "shop__restore_1"


def logged(text: str | bytes, default: str = "shop", dialect: Dialect = MARIADB, mode: str = "") -> Logged:
    """A statement of a client that speaks utf8mb4. `mode` as in sql_mode."""
    return Logged(
        text if isinstance(text, bytes) else text.encode(),
        default,
        "utf8mb4",
        dialect,
        ansi_quotes="ANSI_QUOTES" in mode,
        no_backslash_escapes="NO_BACKSLASH_ESCAPES" in mode,
    )


def judge(statement: Logged | str, *, folds_case: bool = False) -> Judged:
    """What it is to shop."""
    said = logged(statement) if isinstance(statement, str) else statement
    return judged(said, "shop", folds_case=folds_case)


def let_out(statement: Logged | str, *, folds_case: bool = False) -> str:
    """What of a statement of shop's is sent to the copy."""
    ours = judge(statement, folds_case=folds_case)
    assert isinstance(ours, Ours), ours
    return ours.text(TARGET).decode()


def stop(statement: Logged | str, *, folds_case: bool = False) -> Code | None:
    """Why a replay stops there; None where it goes on."""
    found = judge(statement, folds_case=folds_case)
    return found.code if isinstance(found, Barrier) else None
