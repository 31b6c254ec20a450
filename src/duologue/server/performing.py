"""The engine's work for a conversation: words found, answers made, the brain warmed."""

from __future__ import annotations

import logging
from contextlib import aclosing
from typing import TYPE_CHECKING

from duologue.errors import EngineFailed
from duologue.server.answering import Speech, Words, answer
from duologue.server.engine.stages import BrainRequest, Call, TokenCount, closing
from duologue.server.session.commands import Cancel, Respond, Transcribe, Warm, Warn
from duologue.server.session.usage import Tokens

if TYPE_CHECKING:
    from duologue.protocol import ga
    from duologue.server.connection import Connection
    from duologue.server.engine.stages import Stages
    from duologue.server.session.commands import Command
    from duologue.server.session.session import ServerSession

__all__ = ["ConversationPerformer"]

logger: logging.Logger = logging.getLogger("duologue.server")

_WARMING = "warming"  # the job that is not named by an item or a response


class ConversationPerformer:
    """Carries out what a `ServerSession` asks for."""

    def __init__(
        self,
        session: ServerSession,
        stages: Stages,
        connection: Connection[ga.AnyClientEvent, ga.KnownServerEvent, Command],
    ) -> None:
        self._session = session
        self._stages = stages
        self._connection = connection

    def carry_out(self, command: Command) -> None:
        """Start or stop the work of a command."""
        match command:
            case Cancel():
                self._connection.stop(command.target_id)
            case Transcribe():
                self._connection.start(command.item_id, self._transcribe(command))
            case Respond():
                self._connection.start(command.response_id, self._respond(command))
            case Warm():
                self._connection.stop(_WARMING)
                self._connection.start(_WARMING, self._warm(command))
            case Warn():
                logger.warning("%s", command.text)

    async def _warm(self, asked: Warm) -> None:
        request = BrainRequest(
            instructions=asked.instructions,
            items=(),
            tools=asked.tools,
            tool_choice=asked.tool_choice,
        )
        try:
            await self._stages.brain.warm(request)
        except Exception as error:  # noqa: BLE001  # the first answer will be slower, or tell why
            logger.warning("the brain could not be warmed: %s", error)

    async def _transcribe(self, asked: Transcribe) -> None:
        words: list[str] = []
        stream = self._stages.transcriber.transcribe(
            asked.pcm, language=asked.language, prompt=asked.prompt
        )
        try:
            async with closing(stream) as deltas:
                async for delta in deltas:
                    words.append(delta)
                    self._session.transcripts.delta(asked.item_id, delta)
                    self._connection.flush()
        except Exception as error:  # noqa: BLE001  # an engine's fault ends this item's words only
            logger.warning("transcription failed: %s", error)
            code = error.code if isinstance(error, EngineFailed) else "transcription_failed"
            self._session.transcripts.failed(asked.item_id, str(error), code=code)
        else:
            self._session.transcripts.done(asked.item_id, "".join(words).strip())
        self._connection.flush()

    async def _respond(self, asked: Respond) -> None:
        responses = self._session.responses
        counted = TokenCount()
        await self._connection.finished(_WARMING)  # it reads the beginning of this very request
        try:
            pieces = answer(asked, self._stages.brain, self._stages.synthesizer)
            async with aclosing(pieces):
                async for piece in pieces:
                    match piece:
                        case Words():
                            responses.text(asked.response_id, piece.text)
                        case Speech():
                            responses.audio(asked.response_id, piece.pcm)
                        case Call():
                            responses.call(asked.response_id, piece.name, piece.arguments)
                        case TokenCount():
                            counted = piece
                    self._connection.flush()
                    await self._connection.room()
        except Exception as error:  # noqa: BLE001  # an engine's fault ends this response only
            logger.warning("response failed: %s", error)
            code = error.code if isinstance(error, EngineFailed) else "engine_failed"
            responses.failed(asked.response_id, str(error), code=code)
        else:
            tokens = Tokens(counted.input_tokens, counted.cached_tokens, counted.output_tokens)
            responses.done(asked.response_id, tokens, truncated=counted.truncated)
        self._connection.flush()
