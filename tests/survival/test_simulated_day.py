"""A piece of the simulated day; `make soak` plays all of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.survival.simulated_day import Day, simulate

if TYPE_CHECKING:
    from duologue.protocol.codec import Dialect


@pytest.mark.parametrize(("dialect", "seed"), [("ga", 1), ("ga", 2), ("beta", 1)])
def test_a_conversation_outlives_a_network_that_fails_every_nine_seconds(
    dialect: Dialect, seed: int
) -> None:
    day = simulate(Day(seed=seed, hours=0.25, faults=104, dialect=dialect))
    assert day.violations == [], f"seed {seed}"
    assert day.reconnections > 40
    assert day.replacements > 10
