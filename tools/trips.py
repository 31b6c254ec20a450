"""Reading trips, the calls and files on the way of an event: `python -m tools.trips`.

A trip is what a reader has to follow: the calls of duologue's own functions, comprehensions
included, from the frame's arrival (or the call of the public method) until control returns to the
event loop. Waking tasks, the transport below an arriving frame and code of other packages are left
out. The client has one callback and one task that iterates, over a transport in memory.

`--check` exits with 1 if a trip is longer than its limit; `--trace NAME` lists the calls of one.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

import duologue
from duologue import ConversationUpdated, RealtimeClient
from duologue.server import LocalServer
from duologue.transport import memory_pair

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from types import FrameType
    from typing import Any

    from duologue.errors import ConnectionLost
    from duologue.transport import MemoryTransport, Receiver, Transport

__all__ = ["LIMITS", "Recorder", "Trip", "main", "measured"]

SOURCE: Final = f"{Path(duologue.__file__).parent}/"

LIMITS: Final = {
    "client < conversation.item.added": (25, 8),
    "client > input_audio_buffer.append": (12, 7),
    "server < response.create": (90, 14),
}
"""Highest number of calls and of files on the trips that serve as a measure."""

AUDIO: Final = bytes(960)
"""20 ms of silence, pcm16 at 24 kHz."""


@dataclass(frozen=True)
class Call:
    """A call of one of duologue's functions."""

    file: str
    function: str


@dataclass(frozen=True)
class Trip:
    """The calls that one event took."""

    name: str
    calls: list[Call]

    @property
    def files(self) -> int:
        """The number of different files."""
        return len({call.file for call in self.calls})

    @property
    def changes(self) -> int:
        """The number of changes from one file to another."""
        pairs = zip(self.calls, self.calls[1:], strict=False)
        return sum(one.file != other.file for one, other in pairs)

    @property
    def is_within_limit(self) -> bool:
        """Whether the trip has no limit, or keeps to it."""
        calls, files = LIMITS.get(self.name, (sys.maxsize, sys.maxsize))
        return len(self.calls) <= calls and self.files <= files


@dataclass
class Recorder:
    """Records calls while its context lasts, split where control returns to the event loop."""

    source: str = SOURCE
    steps: list[list[Call]] = field(default_factory=list[list[Call]])
    _depth: int = 0

    def __enter__(self) -> Self:
        sys.setprofile(self._record)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)

    def _record(self, frame: FrameType, event: str, _argument: object) -> None:
        code = frame.f_code
        if event not in {"call", "return"} or not code.co_filename.startswith(self.source):
            return
        if event == "return":  # also where a coroutine waits
            self._depth = max(0, self._depth - 1)
            return
        if not self._depth:
            self.steps.append([])
        self._depth += 1
        file = code.co_filename.removeprefix(self.source)
        self.steps[-1].append(Call(file, code.co_qualname))

    def outward(self) -> list[Call]:
        """Return the calls of the one public method that was called."""
        return self.steps[0]

    def inward(self) -> list[Call]:
        """Return the calls from the frame's decoding on, and what led to it above the transport."""
        for step in self.steps:
            if any(call.file.startswith("protocol/") for call in step):
                first = next(i for i, c in enumerate(step) if not c.file.startswith("transport/"))
                return step[first:]
        raise AssertionError("the frame was not decoded while the recorder looked")


class _Ignorant:
    """A receiver that ignores what it receives."""

    def on_frame(self, frame: bytes) -> None:
        pass

    def on_close(self, error: ConnectionLost | None) -> None:
        pass


class _Peer(_Ignorant):
    """The service in memory: sends events."""

    def __init__(self) -> None:
        self.end: MemoryTransport
        self._sent = 0

    async def connect(self, receiver: Receiver) -> Transport:
        near, self.end = memory_pair(receiver, self)
        self.send("session.created", session={"type": "realtime", "id": "sess_1"})
        return near

    def send(self, kind: str, **fields: object) -> None:
        self._sent += 1
        event = {"type": kind, "event_id": f"event_{self._sent}", **fields}
        self.end.send(json.dumps(event).encode())


async def _settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def _response(status: str, *output: object) -> dict[str, object]:
    """Return a response as the service describes it."""
    head = {"id": "resp_1", "object": "realtime.response", "conversation_id": "conv_1"}
    return {**head, "status": status, "output": list(output)}


async def _iterate(client: RealtimeClient) -> None:
    async for _ in client:
        pass


@contextlib.asynccontextmanager
async def _client() -> AsyncGenerator[tuple[RealtimeClient, _Peer]]:
    peer = _Peer()
    async with RealtimeClient(connector=peer.connect) as client:
        client.on(ConversationUpdated, lambda _: None)
        task = asyncio.create_task(_iterate(client))
        await _settle()
        yield client, peer
        task.cancel()


async def client_inward() -> list[Trip]:
    """Follow the server events of a response with one text to the callback."""
    about = {"response_id": "resp_1", "output_index": 0}
    head = {"id": "item_1", "type": "message", "role": "assistant"}
    item: dict[str, object] = {**head, "status": "in_progress", "content": []}
    place = {**about, "item_id": "item_1", "content_index": 0}
    done = item | {"status": "completed", "content": [{"type": "output_text", "text": "hello"}]}
    events: list[dict[str, Any]] = [
        {"kind": "response.created", "response": _response("in_progress")},
        {"kind": "response.output_item.added", **about, "item": item},
        {"kind": "conversation.item.added", "previous_item_id": None, "item": item},
        {"kind": "response.output_text.delta", **place, "delta": "hel"},
        {"kind": "response.output_text.delta", **place, "delta": "lo"},
        {"kind": "conversation.item.done", "previous_item_id": None, "item": done},
        {"kind": "response.done", "response": _response("completed", done)},
    ]
    trips: dict[str, Trip] = {}
    async with _client() as (client, peer):
        client.create_response()
        await _settle()
        for event in events:
            peer.send(**event)
            with Recorder() as recorder:
                await _settle()
            name = f"client < {event['kind']}"
            trips[name] = Trip(name, recorder.inward())  # of two deltas the second counts
    return list(trips.values())


async def client_outward() -> list[Trip]:
    """Follow the first audio and the first message of a session to the transport."""
    trips: list[Trip] = []
    calls: dict[str, Callable[[RealtimeClient], object]] = {
        "input_audio_buffer.append": lambda client: client.append_input_audio(AUDIO),
        "conversation.item.create": lambda client: client.send_user_message_content("x"),
    }
    for kind, call in calls.items():
        async with _client() as (client, _):
            with Recorder() as recorder:
                call(client)
            trips.append(Trip(f"client > {kind}", recorder.outward()))
    return trips


async def server_inward() -> list[Trip]:
    """Follow client events into the server, until the engine's work is started."""
    data = base64.b64encode(AUDIO).decode()
    audio: dict[str, object] = {"type": "input_audio_buffer.append", "audio": data}
    content = [{"type": "input_text", "text": "x"}]
    item = {"type": "message", "role": "user", "content": content}
    events: list[dict[str, object]] = [
        audio,
        audio,
        {"type": "conversation.item.create", "item": item},
        {"type": "response.create"},
    ]
    trips: dict[str, Trip] = {}
    async with LocalServer(transport="memory") as server:
        client = await server.connector(_Ignorant())
        await _settle()
        for number, event in enumerate(events):
            client.send(json.dumps({"event_id": f"event_{number}", **event}).encode())
            with Recorder() as recorder:
                await _settle()
            name = f"server < {event['type']}"
            trips[name] = Trip(name, recorder.inward())
        await client.close()
    return list(trips.values())


async def measured() -> list[Trip]:
    """Take every trip, in a process in which nothing of the kind happened before."""
    return [*await client_inward(), *await client_outward(), *await server_inward()]


def _table(trips: list[Trip]) -> str:
    lines = [f"{'trip':<40} {'calls':>6} {'files':>6} {'changes':>8}   limit"]
    for trip in trips:
        limit = LIMITS.get(trip.name)
        shown = "" if limit is None else f"{limit[0]} calls, {limit[1]} files"
        verdict = "" if trip.is_within_limit else ": exceeded"
        figures = f"{len(trip.calls):>6} {trip.files:>6} {trip.changes:>8}"
        lines.append(f"{trip.name:<40} {figures}   {shown}{verdict}".rstrip())
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Print the table; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.trips",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--check", action="store_true", help="exit with 1 beyond a limit")
    parser.add_argument("--trace", metavar="NAME", help="list the calls of the trips named so")
    options = parser.parse_args(arguments)
    trips = asyncio.run(measured())
    print(_table(trips))
    for trip in trips:
        if options.trace and options.trace in trip.name:
            print(f"\n{trip.name}", *(f"  {c.file} {c.function}" for c in trip.calls), sep="\n")
    return 1 if options.check and not all(trip.is_within_limit for trip in trips) else 0


if __name__ == "__main__":
    sys.exit(main())
