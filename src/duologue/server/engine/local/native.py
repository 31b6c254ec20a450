"""What we use of the native packages, typed here because they publish no types.

Imports are inside: a model's package takes up to 250 ms to import, and may be missing.
"""

from __future__ import annotations

import importlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from duologue.errors import MissingExtra, ModelUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

__all__ = [
    "Detector",
    "Segment",
    "Voice",
    "Whisper",
    "WhisperNet",
    "WhisperResult",
    "WhisperTokenizer",
    "load_voice",
    "load_whisper",
    "new_detector",
    "package",
]


def package(name: str) -> Any:  # noqa: ANN401  # untyped: the functions below give it types
    """Import a package of the extra `local`.

    Raises:
        MissingExtra: If it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise MissingExtra("local", "the local engine") from error


class Detector(Protocol):
    """`earshot.Detector`: one stream's voice activity."""

    def predict_f32(self, frame: Floats, /) -> float:
        """Judge 256 samples at 16 kHz."""
        ...


def new_detector() -> Detector:
    """Return a detector that has heard nothing.

    Raises:
        MissingExtra: If earshot is not installed.
    """
    detector: Detector = package("earshot").Detector()
    return detector


class Voice(Protocol):
    """`hibari.Hibari`: text to 24 kHz floats."""

    def stream(self, text: str, speed: float, seed: int) -> Iterator[Floats]:
        """Yield the sound of each sentence as soon as it is made."""
        ...


def load_voice() -> Voice:
    """Load the voice that is inside hibari's package, and its dictionaries.

    Raises:
        MissingExtra: If hibari is not installed.
    """
    voice: Any = package("hibari").Hibari(threads=1)
    _ = voice.g2p  # loads the dictionaries now, half a second, not at the first word
    loaded: Voice = voice
    return loaded


class WhisperResult(Protocol):
    """What CTranslate2 heard in one window."""

    @property
    def no_speech_prob(self) -> float:
        """The likelihood that nobody spoke."""
        ...

    @property
    def sequences_ids(self) -> list[list[int]]:
        """The tokens of each hypothesis, the best first."""
        ...


class WhisperNet(Protocol):
    """`ctranslate2.models.Whisper`. What `encode` returns is opaque."""

    @property
    def is_multilingual(self) -> bool:
        """Whether the model knows more than English."""
        ...

    def encode(self, features: object) -> object:
        """Run the encoder over a batch of spectrograms."""
        ...

    def detect_language(self, features: object) -> list[list[tuple[str, float]]]:
        """Return the languages of each window as `<|en|>`, the likeliest first."""
        ...

    def generate(
        self,
        features: object,
        prompts: list[list[int]],
        *,
        beam_size: int,
        max_length: int,
        return_no_speech_prob: bool,
    ) -> list[WhisperResult]:
        """Run the decoder."""
        ...


class WhisperTokenizer(Protocol):
    """`faster_whisper.tokenizer.Tokenizer` for one language."""

    @property
    def sot_sequence(self) -> list[int]:
        """What a transcript starts with: the language and the task."""
        ...

    @property
    def sot_prev(self) -> int:
        """What the text before the window starts with."""
        ...

    @property
    def no_timestamps(self) -> int:
        """Asks for words only."""
        ...

    def encode(self, text: str) -> list[int]:
        """Return the tokens of a text."""
        ...

    def decode(self, tokens: list[int]) -> str:
        """Return the text of tokens."""
        ...


class Segment(Protocol):
    """A stretch of a long transcription."""

    text: str
    no_speech_prob: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Whisper:
    """A loaded Whisper model."""

    net: WhisperNet
    languages: frozenset[str]
    """ISO 639-1 codes that it knows."""
    log_mel: Callable[[Floats], Floats]
    """Samples at 16 kHz to a spectrogram: (80, n / 160)."""
    view: Callable[[Floats], object]
    """An array as CTranslate2 takes it."""
    tokenizer: Callable[[str], WhisperTokenizer]
    """The tokenizer for a language."""
    transcribe: Callable[..., tuple[Iterable[Segment], object]]
    """`faster_whisper.WhisperModel.transcribe`: any length, in windows of 30 s."""


def load_whisper(path: Path, *, threads: int) -> Whisper:
    """Load the Whisper model in a folder, on the CPU, in 8-bit arithmetic.

    Raises:
        MissingExtra: If faster-whisper is not installed.
        ModelUnavailable: If a file is missing or broken.
    """
    os.environ.setdefault("HF_HUB_OFFLINE", "1")  # it must never look for files in the hub
    faster_whisper = package("faster_whisper")
    if not (path / "tokenizer.json").is_file():
        raise ModelUnavailable(f"{path} has no tokenizer.json: it holds no whole Whisper model")
    options = {"device": "cpu", "compute_type": "int8", "local_files_only": True}
    try:
        model = faster_whisper.WhisperModel(str(path), cpu_threads=threads, **options)
    except (RuntimeError, ValueError) as error:  # CTranslate2 has no error type of its own
        raise ModelUnavailable(f"the Whisper model in {path} does not load: {error}") from error
    new_tokenizer: Any = package("faster_whisper.tokenizer").Tokenizer
    multilingual = bool(model.model.is_multilingual)
    return Whisper(
        net=model.model,
        languages=frozenset(model.supported_languages),
        log_mel=model.feature_extractor,
        view=package("ctranslate2").StorageView.from_array,
        tokenizer=lambda language: new_tokenizer(
            model.hf_tokenizer, multilingual, task="transcribe", language=language
        ),
        transcribe=model.transcribe,
    )
