"""The stages of the `local:` engine, loaded side by side and run once, so that they are warm."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from duologue import weights
from duologue.errors import MissingExtra, ModelUnavailable
from duologue.server.engine.local.sharing import SharedBrain, SharedSynthesizer, SharedTranscriber
from duologue.server.engine.local.turns import WordTurnDetector
from duologue.server.engine.stages import VAD_FRAME_BYTES, BrainRequest, StageParts

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["LocalStages", "load_stages"]

MOST_THREADS: Final = 4
"""More cores than this make a small model wait for itself."""

SLOTS: Final = 2
"""How many sessions are answered at a time; the others wait in line (`engine/sharing.py`)."""


@dataclass(frozen=True, slots=True)
class LocalStages:
    """Loaded stages."""

    parts: StageParts
    labels: dict[str, str]
    """What each runs on, for people."""
    closers: tuple[Callable[[], None], ...] = ()

    async def close(self) -> None:
        """Stop the stages; a sentence or a transcription is let end first."""
        for close in self.closers:
            await asyncio.to_thread(close)


async def load_stages(names: Mapping[str, str | None]) -> LocalStages:
    """Load the stages named, each in a thread; all of them take two to three seconds.

    Args:
        names: For each stage of `Engine` the model to use, or `None` for the default. A brain may
            also be the path of a `.gguf` file.

    Raises:
        MissingExtra: If a package of `duologue[local]` is not installed.
        ModelUnavailable: If a model is not there or broken; the message says how to get it.
        ConfigurationError: If no model has this name.
    """
    loads = [asyncio.to_thread(_LOADERS[stage], name) for stage, name in names.items()]
    found = await asyncio.gather(*loads, return_exceptions=True)
    loaded = [part for part in found if isinstance(part, LocalStages)]
    failures = [part for part in found if isinstance(part, BaseException)]
    if failures:
        for part in loaded:
            await part.close()
        for failure in failures:  # first of all, lest a model is fetched in vain
            if isinstance(failure, ModuleNotFoundError):
                raise MissingExtra("local", "The local engine") from failure
        raise failures[0]
    parts: StageParts = {}
    labels: dict[str, str] = {}
    for part in loaded:
        parts |= part.parts
        labels |= part.labels
    if "brain" in parts:
        await parts["brain"]().warm(BrainRequest(instructions="", items=()))
    closers = tuple(close for part in loaded for close in part.closers)
    return LocalStages(parts, labels, closers)


def _load_vad(_name: str | None) -> LocalStages:
    from duologue.server.engine.local.vad import EarshotVad  # noqa: PLC0415  # may be missing

    EarshotVad().score(bytes(VAD_FRAME_BYTES))
    return LocalStages({"vad": EarshotVad}, {"vad": "earshot"})


def _load_transcriber(name: str | None) -> LocalStages:
    from duologue.server.engine.local.transcriber import (  # noqa: PLC0415  # may be missing
        WhisperTranscriber,
    )

    name = name or weights.DEFAULT_TRANSCRIBER
    transcriber = WhisperTranscriber(weights.require(name), threads=_threads())
    transcriber.warm()
    label = {"transcriber": _title(name)}
    return LocalStages(
        {"transcriber": lambda: SharedTranscriber(transcriber)}, label, (transcriber.close,)
    )


def _load_brain(name: str | None) -> LocalStages:
    from duologue.server.engine.local.brain import LlamaBrain  # noqa: PLC0415  # may be missing

    file = _brain_file(name)
    brain = LlamaBrain(file, threads=_threads(), slots=SLOTS)
    return LocalStages(
        {"brain": lambda: SharedBrain(brain)}, {"brain": _title(file.stem)}, (brain.close,)
    )


def _load_synthesizer(_name: str | None) -> LocalStages:
    from duologue.server.engine.local.synthesizer import (  # noqa: PLC0415  # may be missing
        HibariSynthesizer,
    )

    synthesizer = HibariSynthesizer()
    synthesizer.warm()
    label = {"synthesizer": "hibari, voice heart"}
    return LocalStages(
        {"synthesizer": lambda: SharedSynthesizer(synthesizer)}, label, (synthesizer.close,)
    )


def _load_turn_detector(_name: str | None) -> LocalStages:
    return LocalStages({"turn_detector": WordTurnDetector}, {"turn_detector": "last words"})


_LOADERS: Final[dict[str, Callable[[str | None], LocalStages]]] = {
    "vad": _load_vad,
    "transcriber": _load_transcriber,
    "brain": _load_brain,
    "synthesizer": _load_synthesizer,
    "turn_detector": _load_turn_detector,
}


def _threads() -> int:
    affinity = getattr(os, "sched_getaffinity", None)  # Linux only: honours containers' CPU sets
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    return min(cores, MOST_THREADS)


def _brain_file(name: str | None) -> Path:
    """Return the GGUF file that a name or path means, or of the best model that is there."""
    if name and name.endswith(".gguf"):
        return Path(name).expanduser()
    name = name or weights.default_brain()
    if name is None:
        raise ModelUnavailable("no language model is here; get it with: duologue models fetch")
    return next(weights.require(name).glob("*.gguf"))


def _title(name: str) -> str:
    model = weights.MODELS.get(name)
    return model.title if model else name
