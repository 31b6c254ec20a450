"""Usage of a response, counted as the API bills it, and the rate limits that usage draws on.

Text is counted by the brain, audio by its length. If the brain does not count, four characters are
a token. An item of the prompt counts as cached if one of the last responses read it in the same
place: the cache holds a prefix of whole items, instructions first. A brain that counts also reports
how much text it had cached.

`max_output_tokens` limits the same sum: text and arguments, and their speech.

Rate limits are reported so that clients can be tested with them. They are not enforced: here the
machine's own speed is the limit.

Source: Realtime API reference, `response.done` and `rate_limits.updated`.
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
    from duologue.server.session.engine_work import TextTokens

__all__ = [
    "TOKENS_PER_MINUTE",
    "GeneratedOutput",
    "PromptCache",
    "RateLimits",
    "ResponsePrompt",
    "TokenCounts",
    "usage_of",
]

USER_MS_PER_TOKEN: Final = 100
ASSISTANT_MS_PER_TOKEN: Final = 50
"""The API bills audio at 10 tokens a second in, 20 out."""

CHARS_PER_TOKEN: Final = 4
"""A rule of thumb, for brains that do not count."""

LOW_DETAIL_TOKENS: Final = 85
IMAGE_TOKENS: Final = 765
"""An image, whatever its size: what the API bills for one of 1024 by 1024 pixels."""

TOKENS_PER_MINUTE: Final = 100_000

PROMPTS_REMEMBERED: Final = 4
"""More than one, so that an out-of-band response in between does not empty the cache."""


@dataclass(frozen=True, slots=True)
class TokenCounts:
    """Tokens by modality."""

    text: int = 0
    audio: int = 0
    image: int = 0

    def __add__(self, other: TokenCounts) -> TokenCounts:
        return TokenCounts(
            self.text + other.text, self.audio + other.audio, self.image + other.image
        )

    @property
    def total(self) -> int:
        """The sum."""
        return self.text + self.audio + self.image


@dataclass(frozen=True, slots=True)
class ResponsePrompt:
    """The input of a response; counted only when the response ends, so that it starts sooner."""

    instructions: str = ""
    tools: Sequence[ga.Tool] = ()
    items: Sequence[ga.Item] = ()
    audio_bytes: Sequence[int] = ()
    """Size of each item's audio, as PCM16 at 24 kHz."""
    cached_entries: int = 0
    """How many of the entries an earlier response has read: the instructions, then the items."""

    def counts(self) -> tuple[TokenCounts, TokenCounts]:
        """Return the tokens of all entries, and of those that are cached."""
        chars = len(self.instructions) + sum(len(encode_model(tool)) for tool in self.tools)
        entries = [TokenCounts(text=_tokens(chars))]
        entries += map(_count, self.items, self.audio_bytes)
        cached = sum(entries[: self.cached_entries], TokenCounts())
        return sum(entries, TokenCounts()), cached


class PromptCache:
    """Remembers the last prompts of a session."""

    def __init__(self) -> None:
        self._prompts: Final[deque[list[object]]] = deque(maxlen=PROMPTS_REMEMBERED)

    def read(
        self, instructions: str, tools: Sequence[ga.Tool], stored: Sequence[StoredItem]
    ) -> ResponsePrompt:
        """Return a prompt, and remember it."""
        items: list[ga.Item] = []
        audio_bytes: list[int] = []
        for entry in stored:
            items.append(entry.current)
            audio_bytes.append(entry.audio_bytes)
        entries: list[object] = [(instructions, tools), *items]
        cached = max((_common(entries, earlier) for earlier in self._prompts), default=0)
        self._prompts.append(entries)
        return ResponsePrompt(instructions, tools, items, audio_bytes, cached)


class GeneratedOutput:
    """Tokens that a response has generated, and how many more it may."""

    def __init__(self, limit: int | None) -> None:
        self._limit: Final = limit
        self._chars = 0
        self._audio_bytes = 0
        self.is_full: bool = False
        """Whether output was dropped because of the limit."""

    @property
    def text_tokens(self) -> int:
        """Tokens of text and arguments."""
        return _tokens(self._chars)

    @property
    def audio_tokens(self) -> int:
        """Tokens of speech."""
        return PCM16.ms(self._audio_bytes) // ASSISTANT_MS_PER_TOKEN

    def add_text(self, text: str) -> str:
        """Count text, and return the part within the limit."""
        if self._limit is not None:
            room = (self._limit - self.audio_tokens) * CHARS_PER_TOKEN - self._chars
            self.is_full |= len(text) > room
            text = text[: max(0, room)]
        self._chars += len(text)
        return text

    def add_audio(self, pcm: bytes) -> bytes:
        """Count speech, PCM16 at 24 kHz, and return the part within the limit."""
        if self._limit is not None:
            room_ms = (self._limit - self.text_tokens) * ASSISTANT_MS_PER_TOKEN
            room = PCM16.bytes(room_ms) - self._audio_bytes
            self.is_full |= len(pcm) > room
            pcm = pcm[: max(0, room)]
        self._audio_bytes += len(pcm)
        return pcm


def usage_of(prompt: ResponsePrompt, generated: GeneratedOutput, tokens: TextTokens) -> ga.Usage:
    """Return the usage of a response; the brain's own count of text takes precedence."""
    read, cached = prompt.counts()
    if tokens.input:
        read = TokenCounts(tokens.input, read.audio, read.image)
        cached = TokenCounts(tokens.cached, cached.audio, cached.image)
    text_out = tokens.output or generated.text_tokens
    output_tokens = text_out + generated.audio_tokens
    return ga.Usage(
        total_tokens=read.total + output_tokens,
        input_tokens=read.total,
        output_tokens=output_tokens,
        input_token_details=ga.InputTokenDetails(
            text_tokens=read.text,
            audio_tokens=read.audio,
            image_tokens=read.image,
            cached_tokens=cached.total,
            cached_tokens_details=ga.CachedTokenDetails(
                text_tokens=cached.text, audio_tokens=cached.audio, image_tokens=cached.image
            ),
        ),
        output_token_details=ga.OutputTokenDetails(
            text_tokens=text_out, audio_tokens=generated.audio_tokens
        ),
    )


def _common(prompt: list[object], earlier: list[object]) -> int:
    """Return the number of entries that two prompts have in common at their beginning."""
    pairs = zip(prompt, earlier, strict=False)
    return next((n for n, (a, b) in enumerate(pairs) if a != b), min(len(prompt), len(earlier)))


def _tokens(chars: int) -> int:
    return -(-chars // CHARS_PER_TOKEN)


def _count(item: ga.Item, audio_bytes: int) -> TokenCounts:
    """Count the text, audio and images of an item."""
    chars = sum(len(text) for text in _texts(item))
    audio = PCM16.ms(audio_bytes) // USER_MS_PER_TOKEN
    return TokenCounts(_tokens(chars), audio, _image_tokens(item))


def _image_tokens(item: ga.Item) -> int:
    if not isinstance(item, ga.Message):
        return 0
    images = [part for part in item.content if isinstance(part, ga.InputImage)]
    return sum(
        LOW_DETAIL_TOKENS if image.detail == ga.ContentDetail.LOW else IMAGE_TOKENS
        for image in images
    )


def _texts(item: ga.Item) -> list[str]:
    """Return the text of an item; a transcript of the user's speech is counted as audio."""
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


class RateLimits:
    """Tokens that a session has left; they refill evenly, in a minute.

    Source: recorded GA traffic, which lists no requests.
    """

    def __init__(self) -> None:
        self._tokens: Final = _Allowance("tokens", TOKENS_PER_MINUTE)

    def spend(self, usage: ga.Usage, now: float) -> list[ga.RateLimit]:
        """Subtract one response, and return what is left."""
        tokens = usage.total_tokens
        return [self._tokens.spend(tokens if isinstance(tokens, int) else 0, now)]


class _Allowance:
    def __init__(self, name: str, per_minute: int) -> None:
        self._name: Final = name
        self._per_minute: Final = per_minute
        self._left = float(per_minute)
        self._at = 0.0

    def spend(self, amount: int, now: float) -> ga.RateLimit:
        refilled = self._left + (now - self._at) / 60 * self._per_minute
        self._left = max(0.0, min(refilled, self._per_minute) - amount)
        self._at = now
        missing = self._per_minute - self._left
        return ga.RateLimit(
            name=self._name,
            limit=self._per_minute,
            remaining=int(self._left),
            reset_seconds=round(missing / self._per_minute * 60, 3),
        )
