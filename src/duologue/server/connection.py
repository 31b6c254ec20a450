"""One client's connection: frames to the session's core and back, and the engine's work between.

Every task belongs to the connection and ends with it. The core is only called between awaits, so
nothing that it decided is out of date when it is carried out.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine
from contextlib import aclosing
from typing import TYPE_CHECKING

from starlette.websockets import WebSocketDisconnect

from duologue.errors import DecodeError
from duologue.server.answering import Speech, Words, answer
from duologue.server.engine.stages import BrainRequest, Call, TokenCount
from duologue.server.outbox import Outbox
from duologue.server.session.commands import Cancel, Respond, Transcribe, Warm
from duologue.server.session.usage import Tokens
from duologue.server.wire import RefusedEvent

if TYPE_CHECKING:
    from starlette.websockets import WebSocket

    from duologue.protocol import ga
    from duologue.server.engine.stages import Engine
    from duologue.server.session.commands import Command
    from duologue.server.session.session import ServerSession
    from duologue.server.wire import Wire

__all__ = ["Connection", "Observer"]

logger = logging.getLogger("duologue.server")

SLOW_SECONDS = 10.0
"""How long a client may leave more than `ROOM_BYTES` unread."""

CLOSE_SECONDS = 1.0

_WARMING = "warming"  # the job that is not named by an item or a response

Observer = Callable[["ga.AnyClientEvent | ga.KnownServerEvent"], None]
"""Told of every event of a session, in order."""


class Connection:
    """Runs one session over one accepted socket."""

    def __init__(
        self,
        socket: WebSocket,
        session: ServerSession,
        engine: Engine,
        wire: Wire,
        *,
        seconds: float,
        observe: Observer | None = None,
    ) -> None:
        self._socket = socket
        self._session = session
        self._engine = engine
        self._wire = wire
        self._seconds = seconds
        self._observe = observe
        self._outbox = Outbox()
        self._jobs: dict[str, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Serve until either side closes."""
        self._tasks = asyncio.TaskGroup()
        async with self._tasks:
            writer = self._tasks.create_task(self._write())
            expiring = self._tasks.create_task(self._expire(self._seconds))
            try:
                self._flush()
                await self._read()
            finally:
                writer.cancel()
                expiring.cancel()
                for job in self._jobs.values():
                    job.cancel()

    async def _close(self, code: int, reason: str) -> None:
        """Close the socket; a client that does not even read that is left to the server."""
        with contextlib.suppress(TimeoutError, WebSocketDisconnect, RuntimeError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._socket.close(code, reason)

    async def _read(self) -> None:
        while True:
            message = await self._socket.receive()
            if message["type"] == "websocket.disconnect":
                return
            self._receive(message.get("text") or message.get("bytes") or b"")
            self._flush()
            try:
                async with asyncio.timeout(SLOW_SECONDS):
                    await self._outbox.room()
            except TimeoutError:
                await self._close(1008, "the client reads too slowly")
                return

    async def _expire(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        reason = f"Your session hit the maximum duration of {seconds / 60:g} minutes."
        self._session.expire(reason)
        self._flush()
        await self._outbox.emptied()
        await self._close(1001, reason)

    def _receive(self, frame: bytes | str) -> None:
        try:
            events = self._wire.read(frame)
        except DecodeError as error:
            self._session.refuse_frame(error)
            return
        except RefusedEvent as refused:
            self._session.refuse(refused.refusal, refused.event_id)
            return
        for event in events:
            if self._observe is not None:
                self._observe(event)
            self._session.receive(event)

    async def _write(self) -> None:
        try:
            while True:
                await self._socket.send_text(await self._outbox.take())
        except (WebSocketDisconnect, RuntimeError):  # the client is gone; `_read` is told as well
            logger.debug("a client went away before it was told everything")

    def _flush(self) -> None:
        """Send what the core wants sent, start and stop what it wants done."""
        for event in self._session.take_events():
            if self._observe is not None:
                self._observe(event)
            for frame in self._wire.write(event):
                self._outbox.put_nowait(frame)
        for command in self._session.take_commands():
            self._carry_out(command)

    def _carry_out(self, command: Command) -> None:
        match command:
            case Cancel():
                if job := self._jobs.pop(command.target_id, None):
                    job.cancel()
            case Transcribe():
                self._start(command.item_id, self._transcribe(command))
            case Respond():
                self._start(command.response_id, self._respond(command))
            case Warm():
                if job := self._jobs.pop(_WARMING, None):
                    job.cancel()
                self._start(_WARMING, self._warm(command))

    def _start(self, target_id: str, work: Coroutine[None, None, None]) -> None:
        job = self._tasks.create_task(work)
        self._jobs[target_id] = job
        job.add_done_callback(lambda job: self._forget(target_id, job))

    def _forget(self, target_id: str, job: asyncio.Task[None]) -> None:
        if self._jobs.get(target_id) is job:
            del self._jobs[target_id]

    async def _warm(self, asked: Warm) -> None:
        request = BrainRequest(
            instructions=asked.instructions,
            items=(),
            tools=asked.tools,
            tool_choice=asked.tool_choice,
        )
        try:
            await self._engine.brain.warm(request)
        except Exception as error:  # noqa: BLE001  # the first answer will be slower, or tell why
            logger.warning("the brain could not be warmed: %s", error)

    async def _transcribe(self, asked: Transcribe) -> None:
        words: list[str] = []
        stage = self._engine.transcriber
        try:
            async for delta in stage.transcribe(
                asked.pcm, language=asked.language, prompt=asked.prompt
            ):
                words.append(delta)
                self._session.transcripts.delta(asked.item_id, delta)
                self._flush()
        except Exception as error:  # noqa: BLE001  # an engine's fault ends this item's words only
            logger.warning("transcription failed: %s", error)
            self._session.transcripts.failed(asked.item_id, str(error))
        else:
            self._session.transcripts.done(asked.item_id, "".join(words).strip())
        self._flush()

    async def _respond(self, asked: Respond) -> None:
        responses = self._session.responses
        counted = TokenCount()
        if warming := self._jobs.get(_WARMING):
            await asyncio.wait({warming})  # it reads the beginning of this very request
        try:
            pieces = answer(asked, self._engine.brain, self._engine.synthesizer)
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
                    self._flush()
                    await self._outbox.room()
        except Exception as error:  # noqa: BLE001  # an engine's fault ends this response only
            logger.warning("response failed: %s", error)
            responses.failed(asked.response_id, str(error))
        else:
            tokens = Tokens(counted.input_tokens, counted.cached_tokens, counted.output_tokens)
            responses.done(asked.response_id, tokens, truncated=counted.truncated)
        self._flush()
