"""Executes the effects of a conversation: events are sent, the engine transcribes and responds."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import aclosing
from typing import TYPE_CHECKING, Final

from duologue.errors import EngineFailed
from duologue.server.engine.clauses import ClauseSplitter, speakable
from duologue.server.engine.stages import BrainRequest, Call, Say, TokenCount, closing
from duologue.server.session.engine_work import (
    CancelWork,
    ConversationEffect,
    ConversationResult,
    GenerationFailed,
    GenerationFinished,
    LogWarning,
    PrewarmBrain,
    Respond,
    ResponseAudioChunk,
    ResponseFunctionCall,
    ResponseTextChunk,
    TextTokens,
    Transcribe,
    TranscriptDelta,
    TranscriptDone,
    TranscriptFailed,
)
from duologue.server.session_log import SessionLog
from duologue.session.contract import SendEvent

if TYPE_CHECKING:
    from duologue.protocol import ga
    from duologue.server.connection import Connection
    from duologue.server.engine.stages import Brain, BrainEvent, Stages, Synthesizer

__all__ = ["ConversationRunner", "generate_response"]

_PREWARMING: Final = "prewarming"  # the one job that is not named by an item or a response


class ConversationRunner:
    """Executes the effects of a `ServerSession` with the stages of an engine."""

    def __init__(
        self,
        stages: Stages,
        connection: Connection[
            ga.AnyClientEvent, ConversationResult, ga.KnownServerEvent, ConversationEffect
        ],
    ) -> None:
        self._log: Final = SessionLog()
        self._stages: Final = stages
        self._connection: Final = connection

    def execute(self, effect: ConversationEffect) -> None:
        """Execute one effect, without waiting."""
        match effect:
            case SendEvent():
                self._connection.send_event(effect.event)
            case CancelWork():
                self._connection.stop(effect.target_id)
            case Transcribe():
                self._connection.start(effect.item_id, self._transcribe(effect))
            case Respond():
                self._connection.start(effect.response_id, self._respond(effect))
            case PrewarmBrain():
                self._connection.stop(_PREWARMING)
                self._connection.start(_PREWARMING, self._prewarm(effect))
            case LogWarning():
                self._log.warning(effect.text)

    async def _prewarm(self, work: PrewarmBrain) -> None:
        request = BrainRequest(
            instructions=work.instructions,
            items=(),
            tools=work.tools,
            tool_choice=work.tool_choice,
        )
        try:
            await self._stages.brain.warm(request)
        except Exception as error:  # noqa: BLE001  # the first response reports it, or is slower
            self._log.warning(f"the brain could not be warmed: {error}")

    async def _transcribe(self, work: Transcribe) -> None:
        words: list[str] = []
        stream = self._stages.transcriber.transcribe(
            work.pcm, language=work.language, prompt=work.prompt
        )
        try:
            async with closing(stream) as deltas:
                async for delta in deltas:
                    words.append(delta)
                    self._connection.feed(TranscriptDelta(work.item_id, delta))
        except Exception as error:  # noqa: BLE001  # the engine's fault costs one transcript only
            self._log.warning(f"transcription failed: {error}")
            code = error.code if isinstance(error, EngineFailed) else "transcription_failed"
            self._connection.feed(TranscriptFailed(work.item_id, str(error), code))
        else:
            self._connection.feed(TranscriptDone(work.item_id, "".join(words).strip()))

    async def _respond(self, work: Respond) -> None:
        # A brain that is being prewarmed reads the beginning of this very prompt.
        await self._connection.finished(_PREWARMING)
        try:
            results = generate_response(work, self._stages.brain, self._stages.synthesizer)
            async with aclosing(results):
                async for result in results:
                    self._connection.feed(result)
                    await self._connection.room()
        except Exception as error:  # noqa: BLE001  # the engine's fault costs one response only
            self._log.warning(f"response failed: {error}")
            code = error.code if isinstance(error, EngineFailed) else "engine_failed"
            self._connection.feed(GenerationFailed(work.response_id, str(error), code))


async def generate_response(
    work: Respond, brain: Brain, synthesizer: Synthesizer
) -> AsyncGenerator[
    ResponseTextChunk | ResponseAudioChunk | ResponseFunctionCall | GenerationFinished
]:
    """Yield a response as the brain generates it, each clause with its speech.

    A clause is spoken while the brain generates the next one, so the first audio does not wait for
    the end of the text.
    """
    request = BrainRequest(
        instructions=work.instructions,
        items=work.items,
        tools=work.tools,
        tool_choice=work.tool_choice,
        parallel_tool_calls=work.parallel_tool_calls,
        max_output_tokens=work.max_output_tokens,
    )
    finished = GenerationFinished(work.response_id)
    splitter = ClauseSplitter()
    async with closing(brain.respond(request)) as events:
        async for event in events:
            if isinstance(event, Say) and not work.speaks:
                yield ResponseTextChunk(work.response_id, event.text)
                continue
            for clause in _clauses(event, splitter):
                async with closing(_speak(clause, work, synthesizer)) as chunks:
                    async for chunk in chunks:
                        yield chunk
            if isinstance(event, Call):
                yield ResponseFunctionCall(work.response_id, event.name, event.arguments)
            elif isinstance(event, TokenCount):
                tokens = TextTokens(event.input_tokens, event.cached_tokens, event.output_tokens)
                finished = GenerationFinished(work.response_id, tokens, event.truncated)
    for clause in splitter.flush():
        async with closing(_speak(clause, work, synthesizer)) as chunks:
            async for chunk in chunks:
                yield chunk
    yield finished


def _clauses(event: BrainEvent, splitter: ClauseSplitter) -> Iterable[str]:
    """Return the clauses that are complete with an event."""
    if isinstance(event, Say):
        return splitter.feed(event.text)
    # The text before a call is spoken before it, complete or not.
    return splitter.flush() if isinstance(event, Call) else ()


async def _speak(
    clause: str, work: Respond, synthesizer: Synthesizer
) -> AsyncIterator[ResponseTextChunk | ResponseAudioChunk]:
    yield ResponseTextChunk(work.response_id, clause)
    text = speakable(clause)
    if text:
        speech = synthesizer.speak(text, voice=work.voice, speed=work.speed)
        async with closing(speech) as chunks:
            async for pcm in chunks:
                yield ResponseAudioChunk(work.response_id, pcm)
