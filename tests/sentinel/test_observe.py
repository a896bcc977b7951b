"""Reading as little as will do must not change the verdict."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from sentinel import heartbeat
from sentinel.environment import GateSettings
from sentinel.gate import decide
from sentinel.observe import observe, verdict

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
AGES = st.none() | st.sampled_from([-3600, -60, 0, 50, 100, 101, 500])


@given(ok=AGES, verified=AGES, boot=AGES, override=AGES, required=st.sampled_from([0, 100]))
def test_the_first_sight_and_the_full_look_agree(
    ok: int | None, verified: int | None, boot: int | None, override: int | None, required: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "last_ok"
        settings = GateSettings(100, 100, required, heartbeat_path=path)
        stamps = {"last_ok": ok, "last_verified": verified, "first_boot": boot}
        for name, age in stamps.items():
            if age is not None:
                heartbeat.stamp_write(path.with_name(name), NOW - timedelta(seconds=age))
        if override is not None:
            until = NOW + timedelta(seconds=override)
            heartbeat.override_write(path, heartbeat.Override(until, "anna", ""))
        quick, full = verdict(settings, NOW), decide(observe(settings, NOW), settings, NOW)
    assert (quick.open, quick.word, quick.age_seconds) == (full.open, full.word, full.age_seconds)
