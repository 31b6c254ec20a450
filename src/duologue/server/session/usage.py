"""What a response costs, counted as the API bills: text by the brain, audio by its length.

Where the brain does not count, four characters are a token. Of what a response reads, those items
count as cached that one of the last responses read in the same place, from the instructions on: a
prefix of whole items. A brain that counts says itself how much text it had cached.

`max_output_tokens` is a limit of the same sum: words and arguments, and the speech that says them.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from duologue.protocol import ga
from duologue.protocol.codec import encode_model
from duologue.protocol.formats import PCM16

if TYPE_CHECKING:
    from collections.abc import Sequence

    from duologue.server.session.conversation import StoredItem

__all__ = [
    "NOTHING_READ",
    "NO_TOKENS",
    "Count",
    "Output",
    "PromptMeter",
    "Read",
    "Tokens",
    "usage_of",
]

USER_MS_PER_TOKEN: Final = 100
ASSISTANT_MS_PER_TOKEN: Final = 50
"""How the API bills audio: 10 tokens a second in, 20 out."""

CHARS_PER_TOKEN: Final = 4
"""A rule of thumb, for brains that do not count."""

LOW_DETAIL_TOKENS: Final = 85
IMAGE_TOKENS: Final = 765
"""An image, whatever its size: what the API bills for one of 1024 by 1024 pixels."""

PROMPTS_REMEMBERED: Final = 4
"""So that an out-of-band response in between does not empty the cache."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """Text tokens that the brain counted; zeros where it does not count."""

    input: int = 0
    cached: int = 0
    output: int = 0


NO_TOKENS: Final = Tokens()


@dataclass(frozen=True, slots=True)
class Count:
    """Tokens by modality."""

    text: int = 0
    audio: int = 0
    image: int = 0

    def __add__(self, other: Count) -> Count:
        return Count(self.text + other.text, self.audio + other.audio, self.image + other.image)

    @property
    def total(self) -> int:
        """The sum."""
        return self.text + self.audio + self.image


@dataclass(frozen=True, slots=True)
class Read:
    """What a response read."""

    all: Count = Count()
    cached: Count = Count()
    """The part of it that an earlier response had read."""


NOTHING_READ: Final = Read()


class PromptMeter:
    """Counts what each response of a session reads, and remembers it for the next."""

    def __init__(self) -> None:
        self._prompts: deque[list[object]] = deque(maxlen=PROMPTS_REMEMBERED)

    def read(
        self, instructions: str, tools: Sequence[ga.Tool], stored: Sequence[StoredItem]
    ) -> Read:
        """Count a prompt."""
        chars = len(instructions) + sum(len(encode_model(tool)) for tool in tools)
        counts = [Count(text=_tokens(chars)), *(_count(entry) for entry in stored)]
        prompt: list[object] = [(instructions, tools), *(entry.current for entry in stored)]
        known = max((_common(prompt, earlier) for earlier in self._prompts), default=0)
        self._prompts.append(prompt)
        return Read(sum(counts, Count()), sum(counts[:known], Count()))


class Output:
    """How much a response has made, and how much more it may."""

    def __init__(self, limit: int | None) -> None:
        self._limit = limit
        self._chars = 0
        self._audio_bytes = 0
        self.is_full: bool = False
        """Whether anything had to be left out."""

    @property
    def text_tokens(self) -> int:
        """Tokens of words and arguments."""
        return _tokens(self._chars)

    @property
    def audio_tokens(self) -> int:
        """Tokens of speech."""
        return PCM16.ms(self._audio_bytes) // ASSISTANT_MS_PER_TOKEN

    def take_text(self, text: str) -> str:
        """Count words, and return those that fit."""
        if self._limit is not None:
            room = (self._limit - self.audio_tokens) * CHARS_PER_TOKEN - self._chars
            self.is_full |= len(text) > room
            text = text[: max(0, room)]
        self._chars += len(text)
        return text

    def take_audio(self, pcm: bytes) -> bytes:
        """Count speech, PCM16 at 24 kHz, and return what fits."""
        if self._limit is not None:
            room_ms = (self._limit - self.text_tokens) * ASSISTANT_MS_PER_TOKEN
            room = PCM16.bytes(room_ms) - self._audio_bytes
            self.is_full |= len(pcm) > room
            pcm = pcm[: max(0, room)]
        self._audio_bytes += len(pcm)
        return pcm


def usage_of(read: Read, made: Output, tokens: Tokens) -> ga.Usage:
    """Return what a response cost; the brain's own count of text goes first."""
    text_in = tokens.input or read.all.text
    cached = Count(
        tokens.cached if tokens.input else read.cached.text, read.cached.audio, read.cached.image
    )
    text_out = tokens.output or made.text_tokens
    input_tokens = text_in + read.all.audio + read.all.image
    output_tokens = text_out + made.audio_tokens
    return ga.Usage(
        total_tokens=input_tokens + output_tokens,
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        input_token_details=ga.InputTokenDetails(
            text_tokens=text_in,
            audio_tokens=read.all.audio,
            image_tokens=read.all.image,
            cached_tokens=cached.total,
            cached_tokens_details=ga.CachedTokenDetails(
                text_tokens=cached.text, audio_tokens=cached.audio, image_tokens=cached.image
            ),
        ),
        output_token_details=ga.OutputTokenDetails(
            text_tokens=text_out, audio_tokens=made.audio_tokens
        ),
    )


def _common(prompt: list[object], earlier: list[object]) -> int:
    """Return how many entries two prompts begin with alike."""
    pairs = zip(prompt, earlier, strict=False)
    return next((n for n, (a, b) in enumerate(pairs) if a != b), min(len(prompt), len(earlier)))


def _tokens(chars: int) -> int:
    return -(-chars // CHARS_PER_TOKEN)


def _count(stored: StoredItem) -> Count:
    """Count an item: what is written in it, heard in it and seen in it."""
    chars = sum(len(text) for text in _texts(stored.current))
    heard = PCM16.ms(stored.audio_bytes) // USER_MS_PER_TOKEN
    return Count(_tokens(chars), heard, _seen(stored.item))


def _seen(item: ga.Item) -> int:
    if not isinstance(item, ga.Message):
        return 0
    images = [part for part in item.content if isinstance(part, ga.InputImage)]
    return sum(
        LOW_DETAIL_TOKENS if image.detail == ga.ContentDetail.LOW else IMAGE_TOKENS
        for image in images
    )


def _texts(item: ga.Item) -> list[str]:
    """Return what is written in an item; the user's speech is counted as audio."""
    match item:
        case ga.Message():
            found = [
                part.transcript if isinstance(part, ga.OutputAudio) else part.text
                for part in item.content
                if isinstance(part, ga.InputText | ga.OutputText | ga.OutputAudio)
            ]
            return [text for text in found if isinstance(text, str)]
        case ga.FunctionCall():
            return [item.name, item.arguments]
        case ga.FunctionCallOutput():
            return [item.output]
        case _:
            return []
