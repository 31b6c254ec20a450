"""Prices of the Realtime models, and the cost of tokens by modality.

`PRICES` is a copy of the public price list, made on the day that it names. The service bills by its
own list of the day, so treat a cost as an estimate, and replace the table when prices change.

Source: the models' pages in OpenAI's documentation.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import date
from math import fsum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["PRICES", "ModalityTokens", "PriceTable", "Prices", "TokenUsage"]

MILLION: Final = 1_000_000

_SNAPSHOT: Final = re.compile(r"-\d{4}-\d\d-\d\d$")
"""End of the name of a dated snapshot, which costs what its model costs unless it is listed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModalityTokens:
    """Numbers of tokens by modality."""

    text: int = 0
    audio: int = 0
    image: int = 0
    unspecified: int = 0
    """Tokens that the server counted without their modality."""

    @property
    def total(self) -> int:
        """The sum."""
        return self.text + self.audio + self.image + self.unspecified

    def __add__(self, other: ModalityTokens) -> ModalityTokens:
        return ModalityTokens(
            text=self.text + other.text,
            audio=self.audio + other.audio,
            image=self.image + other.image,
            unspecified=self.unspecified + other.unspecified,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenUsage:
    """Usage of responses, of transcriptions, or of both."""

    count: int = 0
    """Number of responses and transcriptions."""
    input: ModalityTokens = field(default_factory=ModalityTokens)
    """Input tokens, including the cached ones."""
    cached: ModalityTokens = field(default_factory=ModalityTokens)
    """The input tokens that the server had cached: a subset of `input`."""
    output: ModalityTokens = field(default_factory=ModalityTokens)
    audio_seconds: float = 0.0
    """Audio of transcriptions that are billed by duration, not by token."""
    unreported: int = 0
    """Number of responses and transcriptions whose usage the server did not report."""

    @property
    def total_tokens(self) -> int:
        """The sum of input and output."""
        return self.input.total + self.output.total

    def __add__(self, other: TokenUsage) -> TokenUsage:
        return TokenUsage(
            count=self.count + other.count,
            input=self.input + other.input,
            cached=self.cached + other.cached,
            output=self.output + other.output,
            audio_seconds=self.audio_seconds + other.audio_seconds,
            unreported=self.unreported + other.unreported,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """Prices of a model in US dollars, for a million tokens each; `None`: not known."""

    text_in: float | None = None
    cached_text_in: float | None = None
    text_out: float | None = None
    audio_in: float | None = None
    cached_audio_in: float | None = None
    audio_out: float | None = None
    image_in: float | None = None
    cached_image_in: float | None = None
    minute: float | None = None
    """Price of a minute of audio, for transcriptions that are billed by duration."""

    def cost(self, usage: TokenUsage) -> float | None:
        """Return the cost of a usage; `None` if a part of it has no price, or is not reported."""
        parts: list[float] = []
        for amount, price in self._parts(usage):
            if amount and price is None:
                return None
            parts.append(amount * (price or 0))
        return fsum(parts) / MILLION  # summed before it is rounded

    def _parts(self, usage: TokenUsage) -> Iterator[tuple[float, float | None]]:
        whole, cached, output = usage.input, usage.cached, usage.output
        yield whole.text - cached.text, self.text_in
        yield cached.text, self.cached_text_in
        yield whole.audio - cached.audio, self.audio_in
        yield cached.audio, self.cached_audio_in
        yield whole.image - cached.image, self.image_in
        yield cached.image, self.cached_image_in
        yield output.text, self.text_out
        yield output.audio, self.audio_out
        yield whole.unspecified + cached.unspecified + output.unspecified + output.image, None
        yield usage.audio_seconds / 60 * MILLION, self.minute
        yield usage.unreported, None


@dataclass(frozen=True, slots=True)
class PriceTable:
    """Prices by model, as of a day."""

    as_of: date
    """The day on which the prices were in force."""
    models: Mapping[str, Prices]

    def find(self, model: str) -> Prices | None:
        """Return the prices of a model; a dated snapshot that is not listed costs what it costs."""
        return self.models.get(model) or self.models.get(_SNAPSHOT.sub("", model))

    def updated(self, models: Mapping[str, Prices], *, as_of: date | None = None) -> PriceTable:
        """Return a table in which these models have other prices, or are added.

        Args:
            models: Their prices, by name.
            as_of: The day of the new table; `None`: that of this one.
        """
        return PriceTable(self.as_of if as_of is None else as_of, {**self.models, **models})


def _realtime(
    text: tuple[float, float, float],
    audio: tuple[float, float, float],
    image: tuple[float, float] | None = None,
) -> Prices:
    """Return the prices of a model: for input, cached input and output of each modality."""
    return Prices(
        text_in=text[0],
        cached_text_in=text[1],
        text_out=text[2],
        audio_in=audio[0],
        cached_audio_in=audio[1],
        audio_out=audio[2],
        image_in=image[0] if image else None,
        cached_image_in=image[1] if image else None,
    )


_GPT_REALTIME: Final = _realtime((4.0, 0.4, 16.0), (32.0, 0.4, 64.0), (5.0, 0.5))
_GPT_REALTIME_2: Final = _realtime((4.0, 0.4, 24.0), (32.0, 0.4, 64.0), (5.0, 0.5))
_GPT_REALTIME_MINI: Final = _realtime((0.6, 0.06, 2.4), (10.0, 0.3, 20.0), (0.8, 0.08))

PRICES: Final = PriceTable(
    date(2026, 11, 30),
    {
        "gpt-realtime": _GPT_REALTIME,
        "gpt-realtime-1.5": _GPT_REALTIME,
        "gpt-realtime-2": _GPT_REALTIME_2,
        "gpt-realtime-2.1": _GPT_REALTIME_2,
        "gpt-realtime-mini": _GPT_REALTIME_MINI,
        "gpt-realtime-2.1-mini": _GPT_REALTIME_MINI,
        "gpt-4o-realtime-preview": _realtime((5.0, 2.5, 20.0), (40.0, 2.5, 80.0)),
        "gpt-4o-realtime-preview-2024-10-01": _realtime((5.0, 2.5, 20.0), (100.0, 20.0, 200.0)),
        "gpt-4o-mini-realtime-preview": _realtime((0.6, 0.3, 2.4), (10.0, 0.3, 20.0)),
        "gpt-4o-transcribe": Prices(text_in=2.5, audio_in=2.5, text_out=10.0),
        "gpt-4o-mini-transcribe": Prices(text_in=1.25, audio_in=1.25, text_out=5.0),
        "gpt-transcribe": Prices(minute=0.0045),
        "gpt-live-transcribe": Prices(minute=0.017),
        "gpt-realtime-whisper": Prices(minute=0.017),
        "whisper-1": Prices(minute=0.006),
    },
)
"""The public prices of 30 November 2026."""
