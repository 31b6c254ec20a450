"""How an engine's stages make an answer: words to clauses, clauses to speech, as they come."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from duologue.server.engine.clauses import ClauseSplitter, speakable
from duologue.server.engine.stages import BrainRequest, Call, Say, TokenCount, closing

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


async def answer(asked: Respond, brain: Brain, synthesizer: Synthesizer) -> AsyncGenerator[Answer]:
    """Yield an answer as it is made: a clause is spoken while the next is still thought of."""
    request = BrainRequest(
        instructions=asked.instructions,
        items=asked.items,
        tools=asked.tools,
        tool_choice=asked.tool_choice,
        parallel_tool_calls=asked.parallel_tool_calls,
        max_output_tokens=asked.max_output_tokens,
    )
    splitter = ClauseSplitter()
    async with closing(brain.respond(request)) as events:
        async for event in events:
            clauses: Iterable[str] = ()
            if isinstance(event, Call):
                clauses = splitter.flush()  # what was said before the call goes before it
            elif isinstance(event, Say) and asked.speaks:
                clauses = splitter.feed(event.text)
            elif isinstance(event, Say):
                yield Words(event.text)
            for clause in clauses:
                async with closing(_spoken(clause, asked, synthesizer)) as pieces:
                    async for piece in pieces:
                        yield piece
            if not isinstance(event, Say):
                yield event
    for clause in splitter.flush():
        async with closing(_spoken(clause, asked, synthesizer)) as pieces:
            async for piece in pieces:
                yield piece


async def _spoken(
    clause: str, asked: Respond, synthesizer: Synthesizer
) -> AsyncIterator[Words | Speech]:
    yield Words(clause)
    text = speakable(clause)
    if text:
        speech = synthesizer.speak(text, voice=asked.voice, speed=asked.speed)
        async with closing(speech) as chunks:
            async for pcm in chunks:
                yield Speech(pcm)
