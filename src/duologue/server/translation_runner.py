"""Executes the effects of a translation session: speech is transcribed, translated and spoken."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from duologue.errors import EngineFailed
from duologue.server.engine.clauses import ClauseSplitter, speakable
from duologue.server.engine.stages import closing
from duologue.server.session.engine_work import (
    CloseConnection,
    SourceTranscriptChunk,
    Translate,
    TranslationAudioChunk,
    TranslationEffect,
    TranslationFailed,
    TranslationFinished,
    TranslationResult,
    TranslationTextChunk,
)
from duologue.server.session_log import SessionLog
from duologue.session.contract import SendEvent

if TYPE_CHECKING:
    from duologue.protocol.ga.translation import (
        AnyTranslationClientEvent,
        KnownTranslationServerEvent,
    )
    from duologue.server.connection import Connection
    from duologue.server.engine.stages import Stages

__all__ = ["TranslationRunner"]

VOICE: Final = "alloy"
"""A translation session does not name a voice."""


class TranslationRunner:
    """Executes the effects of a `TranslationServerSession` with the stages of an engine."""

    def __init__(
        self,
        stages: Stages,
        connection: Connection[
            AnyTranslationClientEvent,
            TranslationResult,
            KnownTranslationServerEvent,
            TranslationEffect,
        ],
    ) -> None:
        self._log: Final = SessionLog()
        self._stages: Final = stages
        self._connection: Final = connection

    def execute(self, effect: TranslationEffect) -> None:
        """Execute one effect, without waiting."""
        match effect:
            case SendEvent():
                self._connection.send_event(effect.event)
            case Translate():
                self._connection.start("translating", self._translate(effect))
            case CloseConnection():
                self._connection.start("closing", self._connection.close(1000, ""))

    async def _translate(self, work: Translate) -> None:
        try:
            await self._translate_stretch(work)
        except Exception as error:  # noqa: BLE001  # the engine's fault costs one stretch only
            self._log.warning(f"translation failed: {error}")
            code = error.code if isinstance(error, EngineFailed) else "translation_failed"
            self._connection.feed(TranslationFailed(str(error), code))
        else:
            self._connection.feed(TranslationFinished())

    async def _translate_stretch(self, work: Translate) -> None:
        """Transcribe a stretch of speech, then speak its translation clause by clause."""
        translator = self._stages.translator
        if translator is None:
            message = (
                "Translation is not supported by this engine. Use `--brain scripted`, or an engine"
                " with a translator."
            )
            raise EngineFailed(message, code="translation_not_supported")
        text = await self._transcribe(work)
        if not text:
            return
        splitter = ClauseSplitter()
        async with closing(translator.translate(text, language=work.language)) as pieces:
            async for piece in pieces:
                for clause in splitter.feed(piece):
                    await self._speak(clause)
        for clause in splitter.flush():
            await self._speak(clause)

    async def _transcribe(self, work: Translate) -> str:
        words: list[str] = []
        stream = self._stages.transcriber.transcribe(
            work.pcm, language=work.source_language, prompt=None
        )
        async with closing(stream) as deltas:
            async for delta in deltas:
                words.append(delta)
                self._connection.feed(SourceTranscriptChunk(delta))
        return "".join(words).strip()

    async def _speak(self, clause: str) -> None:
        self._connection.feed(TranslationTextChunk(clause))
        text = speakable(clause)
        if not text:
            return
        async with closing(self._stages.synthesizer.speak(text, voice=VOICE, speed=1.0)) as chunks:
            async for pcm in chunks:
                self._connection.feed(TranslationAudioChunk(pcm))
                await self._connection.room()
