from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

import pytest

from duologue.errors import ConfigurationError, MissingExtra, ModelUnavailable
from duologue.server.engine.uris import open_engine

if TYPE_CHECKING:
    from pathlib import Path

    from tests.server.engine.local.conftest import Speech

    from duologue.server.engine.stages import Engine


def test_missing_weights_are_named_with_the_fix(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DUOLOGUE_CACHE", str(tmp_path))
    with pytest.raises(ModelUnavailable, match="duologue models fetch"):
        asyncio.run(open_engine(brain="local:"))
    with pytest.raises(ConfigurationError):
        asyncio.run(open_engine(stt="local:whisper-huge"))


@pytest.mark.models
@pytest.mark.timeout(120)
@pytest.mark.parametrize("package", ["earshot", "faster_whisper", "hibari", "xllamacpp"])
def test_a_missing_package_names_the_extra(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtra, match=r"duologue\[local\]"):
        asyncio.run(open_engine(brain="local:"))


@pytest.mark.models
@pytest.mark.timeout(120)
def test_a_missing_brain_leaves_nothing_open(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match="nothing"):
        asyncio.run(open_engine(brain=f"local:{tmp_path / 'nothing.gguf'}"))


@pytest.mark.models
@pytest.mark.timeout(120)
def test_every_stage_has_a_label(engine: Engine) -> None:
    stages = {"vad", "transcriber", "brain", "synthesizer", "turn_detector"}
    assert set(engine.labels) == stages


@pytest.mark.models
@pytest.mark.timeout(120)
def test_no_local_model_translates(engine: Engine) -> None:
    assert engine.translator is None


@pytest.mark.models
@pytest.mark.timeout(120)
@pytest.mark.asyncio
async def test_models_at_work_do_not_hold_up_the_event_loop(engine: Engine, speech: Speech) -> None:
    """Counted in turns of the loop, not in seconds: other people's load must not fail it."""
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count())
    pcm = speech.pcm("human_amiable")
    async for _ in engine.transcriber().transcribe(pcm, language="en", prompt=None):
        pass
    counting.cancel()
    assert turns > 100
