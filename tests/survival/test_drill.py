"""The drill: each way to lose a connection, in each state of a conversation, in both dialects."""

from __future__ import annotations

import asyncio
import functools
from typing import TYPE_CHECKING

import pytest
from tests.survival.faults import FAULTS
from tests.survival.scenes import SCENES, Outcome, run_cell

if TYPE_CHECKING:
    from duologue.client.endpoint import DialectChoice


@functools.cache
def outcomes(fault: str, dialect: DialectChoice) -> dict[str, Outcome]:
    """Play all scenes side by side: most of the time they wait."""

    async def play() -> list[Outcome]:
        return await asyncio.gather(*(run_cell(fault, scene, dialect) for scene in SCENES))

    return dict(zip(SCENES, asyncio.run(play()), strict=True))


@pytest.mark.parametrize("scene", SCENES)
@pytest.mark.parametrize("dialect", ["ga", "beta"])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_conversation_survives(fault: str, dialect: DialectChoice, scene: str) -> None:
    assert outcomes(fault, dialect)[scene].complaints == ()
