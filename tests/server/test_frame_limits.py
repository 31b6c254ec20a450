"""One frame must not hold up the others: what is refused, and how fast."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from websockets.asyncio.client import connect

from duologue.server import LocalServer
from duologue.server.frame_limits import MAX_FRAME_BYTES, MAX_TEXT_BYTES, event_id_of, oversize

if TYPE_CHECKING:
    from collections.abc import Callable

    from websockets.asyncio.client import ClientConnection

LARGEST = 19 << 20


def filled(unit: str, size: int) -> str:
    return ",".join([unit] * (size // (len(unit) + 1)))


def keys(size: int, value: str = "0") -> str:
    numbers = map(str, range(size // (12 + len(value))))
    return '"' + f'":{value},"'.join(numbers) + f'":{value}'


def item(content: str) -> str:
    message = '{"type":"message","role":"user","content":[' + content + "]}"
    return '{"event_id":"mine","type":"conversation.item.create","item":' + message + "}"


def session(fields: str) -> str:
    return (
        '{"type":"session.update","session":{"type":"realtime",' + fields + '},"event_id":"mine"}'
    )


def response(fields: str) -> str:
    return '{"event_id":"mine","type":"response.create","response":{' + fields + "}}"


FRAMES: dict[str, Callable[[int], str]] = {
    "parts of an unknown type": lambda size: item(filled('{"type":"zz"}', size)),
    "parts without a type": lambda size: item(filled("{}", size)),
    "parts": lambda size: item(filled('{"type":"input_text","text":"a"}', size)),
    "invalid parts": lambda size: item(filled('{"type":"input_text","x":0}', size)),
    "numbers": lambda size: item(filled("0", size)),
    "text": lambda size: item('{"type":"input_text","text":"' + "a " * (size // 2) + '"}'),
    "escapes": lambda size: item('{"type":"input_text","text":"' + '\\"' * (size // 2) + '"}'),
    "commas": lambda size: item('{"type":"zz","text":"' + "," * size + '"}'),
    "one word": lambda size: item('{"type":"input_text","text":"' + "a" * size + '"}'),
    "keys": lambda size: '{"event_id":"mine","type":"session.update",' + keys(size) + "}",
    "keys of the session": lambda size: session(keys(size)),
    "keys of an append": lambda size: (
        '{"event_id":"mine","type":"input_audio_buffer.append","audio":"AAAA",' + keys(size) + "}"
    ),
    "tools": lambda size: session(
        '"tools":[' + filled('{"type":"function","name":"f"}', size) + "]"
    ),
    "invalid tools": lambda size: session('"tools":[' + filled("{}", size) + "]"),
    "properties": lambda size: session(
        '"tools":[{"type":"function","name":"f","parameters":{' + keys(size, "{}") + "}}]"
    ),
    "include": lambda size: session('"include":[' + filled('"a"', size) + "]"),
    "instructions": lambda size: session('"instructions":"' + "a " * (size // 2) + '"'),
    "metadata": lambda size: response('"metadata":{' + keys(size, '"0"') + "}"),
    "items": lambda size: response(
        '"input":[' + filled('{"type":"message","role":"user","content":[]}', size) + "]"
    ),
    "invalid items": lambda size: response('"input":[' + filled("{}", size) + "]"),
    "blanks": lambda size: " " * size + '{"type":"zz","event_id":"mine"}',
    "brackets": lambda size: "[" * size,
}


async def answer(connection: ClientConnection, frame: str) -> dict[str, Any]:
    await connection.send(frame)
    event: dict[str, Any] = json.loads(await connection.recv())
    return event


@pytest.mark.asyncio
@pytest.mark.parametrize("dialect", ["ga", "beta"])
@pytest.mark.parametrize("kind", FRAMES)
async def test_the_largest_frame_of_every_kind_is_refused(kind: str, dialect: Any) -> None:
    async with LocalServer(dialect=dialect) as server, connect(server.url) as connection:
        await connection.recv()
        event = await answer(connection, FRAMES[kind](LARGEST))
        assert event["type"] == "error"
        assert event["error"]["event_id"] == (None if kind == "brackets" else "mine")
        assert "MiB" in event["error"]["message"]
        await connection.send('{"type":"input_audio_buffer.clear"}')
        assert json.loads(await connection.recv())["type"] == "input_audio_buffer.cleared"


@pytest.mark.asyncio
@pytest.mark.parametrize("dialect", ["ga", "beta"])
@pytest.mark.parametrize("size", [80_000, MAX_TEXT_BYTES - 1000])
@pytest.mark.parametrize("kind", FRAMES)
async def test_a_frame_within_the_limits_is_answered(kind: str, size: int, dialect: Any) -> None:
    async with LocalServer(dialect=dialect) as server, connect(server.url) as connection:
        await connection.recv()
        assert (await answer(connection, FRAMES[kind](size)))["type"]


@pytest.mark.asyncio
@pytest.mark.parametrize("dialect", ["ga", "beta"])
async def test_a_list_that_is_too_long_is_refused_by_its_path(dialect: Any) -> None:
    async with LocalServer(dialect=dialect) as server, connect(server.url) as connection:
        await connection.recv()
        part = '{"type":"input_text","text":"a"}'
        await connection.send(item(",".join([part] * 1001)))
        error = json.loads(await connection.recv())["error"]
        assert (error["code"], error["param"]) == ("array_above_max_length", "item.content")
        assert error["message"] == (
            "Invalid 'item.content': array too long. Expected an array with maximum length 1000,"
            " but got an array with length 1001 instead."
        )
        await connection.send(item(",".join([part] * 1000)))
        assert json.loads(await connection.recv())["type"] != "error"


def test_audio_may_be_large_and_nothing_else() -> None:
    audio = "A" * LARGEST
    append = {"type": "input_audio_buffer.append", "audio": audio}
    assert oversize(json.dumps(append).encode()) is None
    assert (
        oversize(json.dumps({"audio": audio, "event_id": "x", "type": append["type"]}).encode())
        is None
    )
    spoken = item('{"type":"input_audio","audio":"' + "A" * (7 << 20) + '"}')
    assert oversize(spoken.encode()) is None
    assert oversize(json.dumps(append | {"x": 1}).encode()) is not None
    assert oversize(json.dumps(append | {"type": "session.update"}).encode()) is not None
    assert oversize((json.dumps(append) + " " * 5000).encode()) is not None
    assert oversize(b'{"audio":"' + b"\\" * LARGEST) is not None
    assert oversize(item('{"audio":"' + "A" * MAX_FRAME_BYTES + '"}').encode()) is not None


def test_the_id_of_a_frame_is_found_at_its_ends() -> None:
    assert event_id_of(b'{"event_id": "first"' + b" " * 9000) == "first"
    assert event_id_of(b" " * 9000 + b'"event_id":"last"}') == "last"
    assert not event_id_of(b" " * 9000 + b'"event_id":"no"' + b" " * 9000)


async def push_to_talk(connection: ClientConnection) -> None:
    audio = {"input": {"format": {"type": "audio/pcmu"}, "turn_detection": None}}
    update = {"type": "session.update", "session": {"type": "realtime", "audio": audio}}
    await connection.send(json.dumps(update))
    await connection.recv()
    await connection.recv()


@pytest.mark.asyncio
async def test_a_large_append_is_processed_in_pieces_before_what_follows() -> None:
    async with LocalServer() as server, connect(server.url) as connection:
        await push_to_talk(connection)
        audio = "/" * (4 << 20)  # 6.5 minutes of G.711
        await connection.send(json.dumps({"type": "input_audio_buffer.append", "audio": audio}))
        await connection.send('{"type":"input_audio_buffer.commit"}')
        await connection.send('{"type":"input_audio_buffer.clear"}')
        kinds = [json.loads(await connection.recv()) for _ in range(4)]
        assert [event["type"] for event in kinds] == [
            "input_audio_buffer.committed",
            "conversation.item.added",
            "conversation.item.done",
            "input_audio_buffer.cleared",
        ]
        [append] = [e for e in server.sessions[0].received if e.type == "input_audio_buffer.append"]
        assert server.sessions[0].audio_bytes(append) == 3 << 20


@pytest.mark.asyncio
async def test_a_large_append_that_does_not_fit_has_one_error() -> None:
    async with LocalServer() as server, connect(server.url) as connection:
        await push_to_talk(connection)
        append = {"type": "input_audio_buffer.append", "event_id": "mine"}
        for _ in range(2):  # 10 minutes each; the buffer holds 15
            await connection.send(json.dumps(append | {"audio": "/" * (6400 << 10)}))
        await connection.send('{"type":"input_audio_buffer.clear"}')
        error, cleared = [json.loads(await connection.recv()) for _ in range(2)]
        assert (error["error"]["code"], error["error"]["event_id"]) == (
            "input_audio_buffer_full",
            "mine",
        )
        assert cleared["type"] == "input_audio_buffer.cleared"
