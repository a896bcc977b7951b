"""What several measurements say together: their median, and how far they are apart."""

from __future__ import annotations

import statistics
from collections.abc import Sequence


def figure(values: Sequence[float], decimals: int = 1, unit: str = "") -> str:
    """The median, then the least and the most where there are several: `12.3 s (11.9 to 13.0)`."""
    said = f"{statistics.median(values):.{decimals}f}{unit}"
    if len(values) == 1:
        return said
    return f"{said} ({min(values):.{decimals}f} to {max(values):.{decimals}f})"


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    """Ours by theirs, each of one round: what disturbs the machine for a while disturbs both."""
    return [our / their for our, their in zip(ours, theirs, strict=True)]


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> str:
    """The median of the rounds' ratios, with the least and the most."""
    return figure(ratios(ours, theirs), decimals=2)
