"""What a response costs, counted as the API bills: text by the brain, audio by its length."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from duologue.protocol import ga
from duologue.protocol.formats import PCM16

if TYPE_CHECKING:
    from duologue.server.session.conversation import Conversation
    from duologue.server.session.plan import ResponsePlan

__all__ = ["NO_TOKENS", "Made", "Tokens", "usage_of"]

USER_MS_PER_TOKEN: Final = 100
ASSISTANT_MS_PER_TOKEN: Final = 50
"""How the API bills audio: 10 tokens a second in, 20 out."""

CHARS_PER_TOKEN: Final = 4
"""A rule of thumb, for brains that do not count."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """Text tokens that the brain counted; zeros where it does not count."""

    input: int = 0
    cached: int = 0
    output: int = 0


NO_TOKENS: Final = Tokens()


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """How much a response holds."""

    text_chars: int
    """Words and arguments."""
    audio_bytes: int
    """PCM16 at 24 kHz."""


def usage_of(
    plan: ResponsePlan,
    conversation: Conversation,
    own: list[ga.Item],
    made: Made,
    tokens: Tokens,
) -> ga.Usage:
    """Return what a response cost.

    Args:
        plan: What was asked for.
        conversation: What the model read, unless the plan names other items.
        own: The response's own items, which it did not read.
        made: What it holds.
        tokens: What the brain counted; estimated where it did not.
    """
    stored = [] if plan.items is not None else conversation.stored()
    read_items = plan.items if plan.items is not None else [entry.item for entry in stored]
    heard = sum(
        PCM16.ms(entry.audio_bytes) // USER_MS_PER_TOKEN
        for entry in stored
        if entry.item not in own
    )
    read_chars = len(plan.instructions) + sum(
        len(text) for item in read_items if item not in own for text in _texts(item)
    )
    read = tokens.input or read_chars // CHARS_PER_TOKEN
    written = tokens.output or -(-made.text_chars // CHARS_PER_TOKEN)
    spoken = PCM16.ms(made.audio_bytes) // ASSISTANT_MS_PER_TOKEN
    return ga.Usage(
        total_tokens=read + heard + written + spoken,
        input_tokens=read + heard,
        output_tokens=written + spoken,
        input_token_details=ga.InputTokenDetails(
            text_tokens=read,
            audio_tokens=heard,
            image_tokens=0,
            cached_tokens=tokens.cached,
            cached_tokens_details=ga.CachedTokenDetails(
                text_tokens=tokens.cached, audio_tokens=0, image_tokens=0
            ),
        ),
        output_token_details=ga.OutputTokenDetails(text_tokens=written, audio_tokens=spoken),
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
