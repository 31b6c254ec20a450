"""One cell of the drill: a client, a network and a server, and what both ends know afterwards."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self, TypeAlias

import msgspec

from duologue import Disconnected, ErrorUpdate, RealtimeClient, Reconnected, ReconnectPolicy
from duologue.audio.wav import read_wav
from duologue.client.endpoint import Endpoint
from duologue.protocol import ga
from duologue.server import LocalServer
from duologue.server.engine.stages import BrainRequest, Call
from duologue.testing import ChaosProxy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from duologue import FormattedItem
    from duologue.client.endpoint import DialectChoice, EndpointOptions
    from duologue.errors import ConnectionLost
    from duologue.protocol.ga import Item
    from duologue.server.session_record import SessionRecord
    from duologue.transport.base import Receiver, Transport

__all__ = ["REPLY", "SILENCE", "SPEECH", "WORDS", "Line", "Stage", "heard_by"]

Line: TypeAlias = tuple[str, str]
"""An item: role or type, and its words, arguments or output."""

SPEECH: Final = read_wav(Path(__file__).parents[1] / "data/audio/hello.wav")
SILENCE: Final = bytes(48 * 600)
WORDS: Final = ("Hello", "can", "you", "hear", "me")
REPLY: Final = "One two three. Four five six. "

WAIT: Final = 10.0
"""Limit of every wait, in seconds: far more than any of them takes."""

_WIRE: Final = {
    "response.output_text.delta": "response.text.delta",
    "response.output_audio.delta": "response.audio.delta",
    "conversation.item.added": "conversation.item.created",
}
"""Beta's names of events, where they differ."""

_MARK_BYTES: Final = 48 * 40
_MARKS: Final = tuple(
    SPEECH[start : start + _MARK_BYTES] for start in range(48 * 240, 48 * 1240, 48 * 200)
)
"""A piece of the recording for each of its words."""


def heard_by(pcm: bytes) -> str:
    """Return the words whose pieces are in the audio, each as often as it is, in order."""
    found: list[tuple[int, str]] = []
    for mark, word in zip(_MARKS, WORDS, strict=True):
        at = pcm.find(mark)
        while at >= 0:
            found.append((at, word))
            at = pcm.find(mark, at + 1)
    return " ".join(word for _, word in sorted(found))


class Ears:
    """Transcriber that knows the words of one recording, wherever it was cut."""

    async def transcribe(
        self, pcm: bytes, *, language: str | None, prompt: str | None
    ) -> AsyncIterator[str]:
        del language, prompt
        yield heard_by(pcm)


@dataclass(frozen=True)
class Moment:
    """An event of the server's on a connection, after which the fault strikes."""

    connection: int
    kind: str
    nth: int


class Tap:
    """Receiver before the client's own: strikes at a moment, and then lets nothing through."""

    def __init__(self, receiver: Receiver, stage: Stage, number: int) -> None:
        self._receiver = receiver
        self._stage = stage
        self._number = number
        self._seen = 0
        self._is_cut_off = False

    def on_frame(self, frame: bytes) -> None:
        if self._is_cut_off:  # it was on its way when the network failed
            return
        self._receiver.on_frame(frame)
        moment = self._stage.moment
        if moment is None or moment.connection != self._number:
            return
        kind = msgspec.json.decode(frame, type=_Typed).type
        self._seen += kind in {moment.kind, _WIRE.get(moment.kind)}
        if self._seen == moment.nth:
            self._is_cut_off = True
            self._stage.moment, self._stage.next_moment = self._stage.next_moment, None
            self._stage.strike()

    def on_close(self, error: ConnectionLost | None) -> None:
        self._stage.proxy.resume()  # a network that was stalled works again
        self._receiver.on_close(error)


class _Typed(msgspec.Struct):
    type: str


@dataclass
class Stage:
    """A client that talks to a server through a proxy.

    The server answers by a script, and from `hold_after` words on only when the connection was
    lost, so that a response is certainly under way.
    """

    dialect: DialectChoice
    session: dict[str, Any]
    keepalive: float | None = None
    """Seconds of silence after which the client pings, and as many more until it gives up; `None`:
    as by default."""
    hit: Callable[[Stage], None] = lambda _stage: None
    """What the fault does to the network."""
    hold_after: int | None = None
    lost: asyncio.Event = field(default_factory=asyncio.Event)
    back: asyncio.Event = field(default_factory=asyncio.Event)
    updates: list[Disconnected | Reconnected | ErrorUpdate] = field(default_factory=list[Any])
    struck_at: float | None = None
    back_at: float | None = None
    moment: Moment | None = None
    next_moment: Moment | None = None
    connections: int = 0
    tool_runs: list[str] = field(default_factory=list[str])
    tool_may_end: asyncio.Event = field(default_factory=asyncio.Event)
    on_lost: Callable[[], object] = lambda: None
    _exit: AsyncExitStack = field(default_factory=AsyncExitStack)
    server: LocalServer = field(init=False)
    proxy: ChaosProxy = field(init=False)
    client: RealtimeClient = field(init=False)

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            self.server = await stack.enter_async_context(
                LocalServer(self._respond, stt=Ears())  # pyright: ignore[reportArgumentType]
            )
            self.proxy = await stack.enter_async_context(ChaosProxy(self.server.url))
            self.client = RealtimeClient(
                connector=self._connect,
                dialect=self.dialect,
                session=self.session,
                reconnect=ReconnectPolicy(first_delay=0.01),
            )
            for kind in (Disconnected, Reconnected, ErrorUpdate):
                self.client.on(kind, self._on_update)
            self.client.add_tool({"name": "clock"}, self._clock)
            self.client.add_tool({"name": "weather"}, self._weather)
            await stack.enter_async_context(self.client)
            self._exit = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._exit.aclose()

    def strike(self) -> None:
        """Let the fault happen to the network now."""
        self.struck_at = self.struck_at or asyncio.get_running_loop().time()
        self.hit(self)

    async def wait(self, event: asyncio.Event) -> None:
        async with asyncio.timeout(WAIT):
            await event.wait()

    @property
    def record(self) -> SessionRecord:
        """The record of the server's last session."""
        return self.server.sessions[-1]

    def mirrored(self) -> list[Line]:
        """Return the items of the client's conversation."""
        return [_mirrored(item) for item in self.client.conversation]

    def held(self) -> list[Line]:
        """Return the items of the server's last session, as its events describe them."""
        items: dict[str, Line] = {}
        order: list[str] = []
        for event in self.record.sent:
            match event:
                case ga.ConversationItemAdded(item=item):
                    item_id = str(item.id)
                    after = event.previous_item_id
                    order.insert(order.index(after) + 1 if isinstance(after, str) else 0, item_id)
                    items[item_id] = _held(item)
                case ga.ConversationItemDone(item=item):
                    items[str(item.id)] = _held(item)
                case ga.ConversationItemInputAudioTranscriptionCompletedEvent():
                    items[event.item_id] = ("user", event.transcript)
                case ga.ConversationItemDeletedEvent():
                    order.remove(event.item_id)
                case _:
                    pass
        return [items[item_id] for item_id in order]

    async def _connect(self, receiver: Receiver) -> Transport:
        self.connections += 1
        options: EndpointOptions = {}
        if self.keepalive is not None:
            options["keepalive"] = self.keepalive
        endpoint = Endpoint(self.proxy.url, api_key="none", dialect=self.dialect, **options)
        return await endpoint.open(Tap(receiver, self, self.connections))

    def _on_update(self, update: Disconnected | Reconnected | ErrorUpdate) -> None:
        self.updates.append(update)
        now = asyncio.get_running_loop().time()
        if isinstance(update, Disconnected) and update.will_retry:
            self.struck_at = self.struck_at or now
            self.lost.set()
            self.on_lost()
        elif isinstance(update, Reconnected):
            self.back_at = now
            self.back.set()

    async def _respond(self, request: BrainRequest) -> AsyncIterator[str | Call]:
        heard = request.heard.lower()
        if request.output is not None:
            yield f"It is {request.output}."
        elif "time" in heard:
            yield Call("clock", "{}")
        elif "weather" in heard:
            yield Call("weather", "{}")
        elif "greet" in heard:
            yield "Hello to you."
        else:
            for number, word in enumerate(REPLY.split()):
                if number == self.hold_after:
                    await self.lost.wait()
                yield f"{word} "

    async def _clock(self, _arguments: dict[str, Any]) -> str:
        return "noon"

    async def _weather(self, _arguments: dict[str, Any]) -> str:
        self.tool_runs.append("weather")
        await self.wait(self.tool_may_end)
        return "sunny"


def _mirrored(item: FormattedItem) -> Line:
    shown = item.formatted
    if shown.tool is not None:
        return "call", f"{shown.tool.name}{shown.tool.arguments}"
    if shown.output is not None:
        return "output", shown.output
    return item.role or "", (shown.text or shown.transcript).strip()


def _held(item: Item) -> Line:
    match item:
        case ga.FunctionCall():
            return "call", f"{item.name}{item.arguments}"
        case ga.FunctionCallOutput():
            return "output", item.output
        case ga.Message():
            words = [
                getattr(p, "text", None) or getattr(p, "transcript", None) for p in item.content
            ]
            return item.role, "".join(word for word in words if isinstance(word, str)).strip()
        case _:
            return "other", repr(item)
