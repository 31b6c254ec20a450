"""The engine's work for a translation session: words heard, turned and spoken."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from duologue.errors import EngineFailed
from duologue.server.engine.clauses import ClauseSplitter, speakable
from duologue.server.engine.stages import closing
from duologue.server.session.translation import CloseSocket, Translate

if TYPE_CHECKING:
    from duologue.protocol.ga.translation import (
        AnyTranslationClientEvent,
        KnownTranslationServerEvent,
    )
    from duologue.server.connection import Connection
    from duologue.server.engine.stages import Stages
    from duologue.server.session.translation import TranslationCommand, TranslationServerSession

__all__ = ["Interpreter"]

logger: logging.Logger = logging.getLogger("duologue.server")

VOICE = "alloy"
"""A translation session names no voice."""


class Interpreter:
    """Carries out what a `TranslationServerSession` asks for."""

    def __init__(
        self,
        session: TranslationServerSession,
        stages: Stages,
        connection: Connection[
            AnyTranslationClientEvent, KnownTranslationServerEvent, TranslationCommand
        ],
    ) -> None:
        self._session = session
        self._stages = stages
        self._connection = connection

    def carry_out(self, command: TranslationCommand) -> None:
        """Start the work of a command."""
        match command:
            case Translate():
                self._connection.start("translating", self._translate(command))
            case CloseSocket():
                self._connection.start("closing", self._connection.close(1000, ""))

    async def _translate(self, asked: Translate) -> None:
        try:
            await self._interpret(asked)
        except Exception as error:  # noqa: BLE001  # an engine's fault ends this stretch only
            logger.warning("translation failed: %s", error)
            code = error.code if isinstance(error, EngineFailed) else "translation_failed"
            self._session.failed(str(error), code=code)
        else:
            self._session.done()
        self._connection.flush()

    async def _interpret(self, asked: Translate) -> None:
        """Tell what was said, then say it in the other language, clause by clause."""
        translator = self._stages.translator
        if translator is None:
            message = (
                "Translation is not supported by this engine. Use `--brain scripted`, or an engine"
                " with a translator."
            )
            raise EngineFailed(message, code="translation_not_supported")
        text = await self._hear(asked)
        if not text:
            return
        splitter = ClauseSplitter()
        async with closing(translator.translate(text, language=asked.language)) as pieces:
            async for piece in pieces:
                for clause in splitter.feed(piece):
                    await self._say(clause)
        for clause in splitter.flush():
            await self._say(clause)

    async def _hear(self, asked: Translate) -> str:
        words: list[str] = []
        stream = self._stages.transcriber.transcribe(
            asked.pcm, language=asked.source_language, prompt=None
        )
        async with closing(stream) as deltas:
            async for delta in deltas:
                words.append(delta)
                self._session.heard(delta)
                self._connection.flush()
        return "".join(words).strip()

    async def _say(self, clause: str) -> None:
        self._session.said(clause)
        self._connection.flush()
        text = speakable(clause)
        if not text:
            return
        async with closing(self._stages.synthesizer.speak(text, voice=VOICE, speed=1.0)) as chunks:
            async for pcm in chunks:
                self._session.spoke(pcm)
                self._connection.flush()
                await self._connection.room()
