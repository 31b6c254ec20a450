"""How an engine's stages make an answer: words to clauses, clauses to speech, as they come."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from duologue.server.engine.clauses import ClauseSplitter, speakable
from duologue.server.engine.stages import BrainRequest, Call, Say, TokenCount

if TYPE_CHECKING:
    from duologue.server.engine.stages import Brain, Synthesizer
    from duologue.server.session.commands import Respond

__all__ = ["Answer", "Speech", "Words", "answer"]


@dataclass(frozen=True, slots=True)
class Words:
    """Words of the answer; when it is spoken, their speech follows."""

    text: str


@dataclass(frozen=True, slots=True)
class Speech:
    """PCM16 at 24 kHz of the words before it."""

    pcm: bytes


Answer = Words | Speech | Call | TokenCount


async def answer(asked: Respond, brain: Brain, synthesizer: Synthesizer) -> AsyncIterator[Answer]:
    """Yield an answer as it is made: a clause is spoken while the next is still thought of."""
    request = BrainRequest(
        instructions=asked.instructions,
        items=asked.items,
        tools=asked.tools,
        tool_choice=asked.tool_choice,
        max_output_tokens=asked.max_output_tokens,
    )
    splitter = ClauseSplitter()
    async for event in brain.respond(request):
        if not isinstance(event, Say):
            yield event
        elif not asked.speaks:
            yield Words(event.text)
        else:
            for clause in splitter.feed(event.text):
                async for piece in _spoken(clause, asked, synthesizer):
                    yield piece
    for clause in splitter.flush():
        async for piece in _spoken(clause, asked, synthesizer):
            yield piece


async def _spoken(
    clause: str, asked: Respond, synthesizer: Synthesizer
) -> AsyncIterator[Words | Speech]:
    yield Words(clause)
    text = speakable(clause)
    if text:
        async for pcm in synthesizer.speak(text, voice=asked.voice, speed=asked.speed):
            yield Speech(pcm)
