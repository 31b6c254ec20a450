"""From what was asked for (`scripted:`, `local:`, a stage of your own) to an engine."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from duologue.errors import ConfigurationError
from duologue.server.engine.scripted import scripted_engine
from duologue.server.engine.stages import Brain, Synthesizer, Transcriber

if TYPE_CHECKING:
    from collections.abc import Callable

    from duologue.server.engine.stages import Engine, Vad

__all__ = ["open_engine"]

_FAMILIES: Final = ("scripted", "local")


async def open_engine(
    *,
    brain: str | Brain | Callable[[], Brain] = "scripted:",
    stt: str | Transcriber | Callable[[], Transcriber] | None = None,
    tts: str | Synthesizer | Callable[[], Synthesizer] | None = None,
    vad: str | Callable[[], Vad] | None = None,
) -> Engine:
    """Return an engine with the stages asked for; what is left open goes with the brain.

    Args:
        brain: `scripted:`, `local:`, `local:NAME` of a model, a brain of your own for all sessions,
            or a class or function that makes one for each.
        stt: The same for speech to text.
        tts: The same for text to speech.
        vad: The same for voice activity detection.

    Raises:
        ConfigurationError: If a stage is unknown, or its packages or model files are missing.
    """
    family = f"{_family(brain)}:" if isinstance(brain, str) else "scripted:"
    asked: dict[str, Any] = {
        "brain": brain,
        "transcriber": family if stt is None else stt,
        "synthesizer": family if tts is None else tts,
        "vad": family if vad is None else vad,
    }
    own = {stage: _opener(value) for stage, value in asked.items() if not isinstance(value, str)}
    engine = replace(scripted_engine(), **own)
    local = {
        stage: uri.partition(":")[2] or None
        for stage, uri in asked.items()
        if isinstance(uri, str) and _family(uri) == "local"
    }
    if not local:
        return engine
    from duologue.server.engine.local.engine import load_stages  # noqa: PLC0415  # an extra

    loaded = await load_stages(local)
    return replace(
        engine,
        **loaded.parts,
        labels=engine.labels | loaded.labels,
        close=loaded.close,
        transcribes_early="transcriber" in local,
    )


def _opener(own: Any) -> Any:  # noqa: ANN401  # one of six types, by the stage's name
    """Return what opens a stage that the caller gave: itself if it is one for all sessions."""
    is_stage = isinstance(own, Brain | Transcriber | Synthesizer) and not isinstance(own, type)
    return (lambda: own) if is_stage else own


def _family(uri: str) -> str:
    family = uri.partition(":")[0]
    if family not in _FAMILIES:
        known = " or ".join(f"{name}:" for name in _FAMILIES)
        raise ConfigurationError(f"no engine answers to {uri!r}; use {known}")
    return family
