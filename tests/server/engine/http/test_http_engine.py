"""Stages behind OpenAI-compatible endpoints, over real sockets on both sides."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import sys
import wave
from contextlib import asynccontextmanager
from io import BytesIO
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from tests.server import endpoint as fake
from tests.server.endpoint import BREAK, HOLD, chat
from websockets.asyncio.client import connect

from duologue.errors import ConfigurationError, EngineFailed, MissingExtra
from duologue.protocol import ga
from duologue.server import LocalServer, open_engine
from duologue.server.engine.http.brain import HttpBrain
from duologue.server.engine.http.endpoint import HttpEndpoint, Timeouts, parse_address
from duologue.server.engine.http.speech import HttpSynthesizer, HttpTranscriber
from duologue.server.engine.stages import BrainEvent, BrainRequest, Call, Say, TokenCount

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from websockets.asyncio.client import ClientConnection

KEY = "sk-very-secret"
SPEECH = b"\x00\x30" * 12_000 + bytes(24_000)
TOOL: dict[str, Any] = {"type": "function", "name": "look", "parameters": {"type": "object"}}


@pytest_asyncio.fixture
async def there() -> AsyncGenerator[fake.Endpoint]:
    async with fake.endpoint() as made:
        yield made


async def send(connection: ClientConnection, kind: str, **fields: Any) -> None:
    await connection.send(json.dumps({"type": kind, **fields}))


async def receive(connection: ClientConnection, kind: str) -> dict[str, Any]:
    async with asyncio.timeout(10):
        while True:
            event: dict[str, Any] = json.loads(await connection.recv())
            if event["type"] == kind:
                return event


async def turn(connection: ClientConnection, *parts: dict[str, Any], **params: Any) -> Any:
    """Send a user message and return the text response to it."""
    content = parts or ({"type": "input_text", "text": "Hello"},)
    item = {"type": "message", "role": "user", "content": content}
    await send(connection, "conversation.item.create", item=item)
    await send(connection, "response.create", response={"output_modalities": ["text"], **params})
    return (await receive(connection, "response.done"))["response"]


def text_of(response: dict[str, Any]) -> str:
    return str(response["output"][0]["content"][0]["text"])


def asked(*items: ga.Item, **request: Any) -> BrainRequest:
    said = ga.Message(role="user", content=[ga.InputText(text="Hello")])
    return BrainRequest(instructions="", items=items or [said], **request)


@asynccontextmanager
async def direct(
    there: fake.Endpoint, option: str = "brain", timeouts: Timeouts | None = None
) -> AsyncGenerator[HttpEndpoint]:
    """Yield a stage's endpoint without a server around it."""
    address = parse_address(f"{there.url}#model")
    made = HttpEndpoint(address, option=option, key=KEY, timeouts=timeouts)
    try:
        yield made
    finally:
        await made.close()


async def answer(there: fake.Endpoint, request: BrainRequest | None = None) -> list[BrainEvent]:
    async with direct(there) as at:
        brain = HttpBrain(at, model="model")
        return [event async for event in brain.respond(request or asked())]


async def gathered(stream: AsyncIterator[Any]) -> list[Any]:
    return [piece async for piece in stream]


@pytest.mark.asyncio
async def test_words_of_a_model_reach_the_client_with_what_they_cost(
    there: fake.Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DUOLOGUE_BRAIN_KEY", KEY)
    usage = {
        "prompt_tokens": 12,
        "completion_tokens": 5,
        "prompt_tokens_details": {"cached_tokens": 8},
    }
    there.chat(*chat({"role": "assistant"}, {"content": "Good "}, {"content": "day."}, usage=usage))
    async with LocalServer(f"{there.url}#small") as server, connect(server.url) as connection:
        response = await turn(connection, max_output_tokens=50, instructions="Be kind.")
    assert text_of(response) == "Good day."
    assert response["usage"]["input_token_details"]["cached_tokens"] == 8
    assert response["usage"]["output_token_details"]["text_tokens"] == 5
    [request] = there.asked
    assert request.key == KEY
    assert request.body == {
        "model": "small",
        "messages": [
            {"role": "system", "content": "Be kind."},
            {"role": "user", "content": "Hello"},
        ],
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_tokens": 50,
    }


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "places",
    [
        [(0, "a"), (1, "b"), (0, None), (1, None)],  # OpenAI's: an index each, the id once
        [(0, "a"), (0, "a"), (0, "b"), (0, "b")],  # one index for all
    ],
)
async def test_parallel_calls_are_put_together(
    there: fake.Endpoint, places: list[tuple[int, str | None]]
) -> None:
    pieces = {"a": ["look", '{"at":', '"sea"}'], "b": ["go", '{"to":', '"port"}']}
    begun: dict[int, str] = {}
    deltas: list[dict[str, Any]] = []
    for index, call_id in places:
        begun[index] = name = call_id or begun[index]
        function = {"arguments": pieces[name].pop(1)}
        if len(pieces[name]) == 2:
            function["name"] = pieces[name][0]
        deltas.append({"tool_calls": [{"index": index, "id": call_id, "function": function}]})
    there.chat(*chat({"content": "Wait."}, *deltas, finish="tool_calls"))
    async with LocalServer(f"{there.url}#m") as server, connect(server.url) as connection:
        response = await turn(connection, tools=[TOOL], tool_choice="required")
    calls = [(item["name"], item["arguments"]) for item in response["output"][1:]]
    assert calls == [("look", '{"at":"sea"}'), ("go", '{"to":"port"}')]
    assert there.asked[0].body["tool_choice"] == "required"
    assert there.asked[0].body["tools"][0]["function"]["name"] == "look"


@pytest.mark.asyncio
async def test_an_answer_cut_at_its_limit_is_incomplete_and_has_no_half_call(
    there: fake.Endpoint,
) -> None:
    call = {"tool_calls": [{"index": 0, "function": {"name": "look", "arguments": '{"at"'}}]}
    there.chat(*chat({"content": "Let me"}, call, finish="length"))
    assert await answer(there) == [Say("Let me"), TokenCount(truncated=True)]


@pytest.mark.asyncio
async def test_a_call_without_arguments_has_empty_ones(there: fake.Endpoint) -> None:
    there.chat(*chat({"tool_calls": [{"function": {"name": "look"}}]}, finish="tool_calls"))
    assert await answer(there) == [Call("look", "{}"), TokenCount()]


@pytest.mark.asyncio
async def test_a_picture_is_shown_to_the_model(there: fake.Endpoint) -> None:
    there.chat(*chat({"content": "A cat."}))
    picture = "data:image/png;base64,iVBORw0KGgo="
    async with LocalServer(f"{there.url}#m") as server, connect(server.url) as connection:
        await turn(
            connection,
            {"type": "input_text", "text": "What is this?"},
            {"type": "input_image", "image_url": picture, "detail": "low"},
        )
    assert there.asked[0].body["messages"][-1]["content"] == [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": picture, "detail": "low"}},
    ]


@pytest.mark.asyncio
async def test_outputs_are_sent_right_behind_their_calls(there: fake.Endpoint) -> None:
    there.chat(*chat({"content": "Yes."}))
    request = asked(
        ga.FunctionCall(call_id="1", name="a", arguments="{}"),
        ga.FunctionCall(call_id="2", name="b", arguments="{}"),
        ga.Message(role="user", content=[ga.InputText(text="Well?")]),
        ga.FunctionCallOutput(call_id="1", output="one"),
        ga.FunctionCallOutput(call_id="9", output="of a call that was deleted"),
    )
    await answer(there, request)
    told = [(m["role"], m.get("content")) for m in there.asked[0].body["messages"]]
    assert told == [("assistant", None), ("tool", "one"), ("tool", ""), ("user", "Well?")]


@pytest.mark.asyncio
async def test_an_empty_conversation_is_answered(there: fake.Endpoint) -> None:
    there.chat(*chat({"content": "Hello."}))
    await answer(there, BrainRequest(instructions="", items=[]))
    assert there.asked[0].body["messages"] == [{"role": "user", "content": ""}]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("status", "code", "told"),
    [
        (401, "engine_unauthorized", r"refuses the key \(HTTP 401, bad_thing\); set DUOLOGUE_"),
        (404, "engine_not_found", r"no /chat/completions, or no model 'small' .* --brain"),
        (429, "engine_overloaded", r"is rate limited \(HTTP 429, bad_thing\); try later"),
        (400, "engine_refused", r"refuses the request \(HTTP 400, bad_thing\)"),
        (500, "engine_unavailable", r"fails \(HTTP 500, bad_thing\); look at its log"),
        (302, "engine_refused", "refuses the request"),
    ],
)
async def test_a_refusal_fails_the_response_and_the_session_lives(
    there: fake.Endpoint,
    status: int,
    code: str,
    told: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("DUOLOGUE_BRAIN_KEY", KEY)
    caplog.set_level(logging.DEBUG, "duologue")
    body = {"error": {"code": "bad_thing", "message": f"Your key {KEY} is no good."}}
    there.answer("/chat/completions", json.dumps(body).encode(), status=status)
    async with LocalServer(f"{there.url}#small") as server, connect(server.url) as connection:
        failed = await turn(connection)
        there.chat(*chat({"content": "Better."}))
        assert text_of(await turn(connection)) == "Better."
    assert failed["status"] == "failed"
    error = failed["status_details"]["error"]
    assert error["code"] == code
    with pytest.raises(EngineFailed, match=told):
        raise EngineFailed(error["message"])
    assert error["message"].startswith("brain: 127.0.0.1:")
    assert KEY not in str(failed) + caplog.text


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("kind", "pieces", "code", "told"),
    [
        ("application/json", [b"{}"], "engine_malformed", "other than an event stream"),
        ("text/event-stream", [b"data: no json\n\n"], "engine_malformed", "other than chat chunks"),
        ("text/event-stream", [b'data: {"choices": 1}\n\n'], "engine_malformed", "chunks"),
        ("text/event-stream", [b'data: {"error": {"message": "x"}}\n\n'], "engine_unav", "failed"),
        ("text/event-stream", chat({"content": "a"}, finish=None), "engine_broke_off", "early"),
        ("text/event-stream", [b"data: {}\n\n", BREAK], "engine_broke_off", "broke off"),
    ],
)
async def test_an_answer_that_is_none_fails_in_one_sentence(
    there: fake.Endpoint, kind: str, pieces: list[Any], code: str, told: str
) -> None:
    there.answer("/chat/completions", *pieces, kind=kind)
    with pytest.raises(EngineFailed, match=told) as failure:
        await answer(there)
    assert failure.value.code.startswith(code)


@pytest.mark.asyncio
async def test_calls_without_an_end_are_cut(there: fake.Endpoint) -> None:
    call = {"tool_calls": [{"index": 0, "function": {"name": "f", "arguments": "x" * 600_000}}]}
    there.chat(*chat(call, call))
    with pytest.raises(EngineFailed, match="calls that are too long"):
        await answer(there)


@pytest.mark.asyncio
async def test_an_endpoint_that_is_down_is_one_clear_sentence(there: fake.Endpoint) -> None:
    there.url = "http://127.0.0.1:1/v1"
    with pytest.raises(EngineFailed, match="1 cannot be reached; start it, or") as fault:
        await answer(there)
    assert fault.value.code == "engine_unreachable"


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("pieces", "limits"),
    [
        ([HOLD], {"first": 0.3}),  # it also has to be reached
        ([*chat({"content": "a"}, finish=None), HOLD], {"first": 9, "between": 0.3}),
    ],
)
async def test_an_endpoint_that_falls_silent_is_given_up(
    there: fake.Endpoint, pieces: list[Any], limits: dict[str, float]
) -> None:
    there.chat(*pieces)
    async with direct(there, timeouts=Timeouts(**limits)) as at:
        with pytest.raises(EngineFailed, match=r"sent nothing for 0\.3 s") as fault:
            await gathered(HttpBrain(at, model="m").respond(asked()))
        assert fault.value.code == "engine_timeout"
        async with asyncio.timeout(5):
            await there.left.wait()


@pytest.mark.asyncio
async def test_a_kept_connection_that_was_closed_is_opened_again() -> None:
    body = b"".join(chat({"content": "Here."}))
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
    met: list[int] = []

    async def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        met.append(len(met))
        await reader.readuntil(b"\r\n\r\n")
        if len(met) > 1:
            writer.write(head + body)
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(meet, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        found = await answer(fake.Endpoint(f"http://127.0.0.1:{port}/v1"))
    assert found[0] == Say("Here.")
    assert met == [0, 1]


@pytest.mark.asyncio
async def test_cancelling_hangs_up_on_the_model(there: fake.Endpoint) -> None:
    there.chat(*chat({"content": "Once "}, finish=None), HOLD)
    async with LocalServer(f"{there.url}#m") as server, connect(server.url) as connection:
        await send(connection, "response.create", response={"output_modalities": ["text"]})
        await receive(connection, "response.output_text.delta")
        assert not there.left.is_set()
        await send(connection, "response.cancel")
        async with asyncio.timeout(5):
            await there.left.wait()


@pytest.mark.asyncio
@pytest.mark.parametrize("holding", ["/chat/completions", "/audio/speech"])
async def test_a_user_who_barges_in_hangs_up_on_the_model_and_on_the_voice(
    there: fake.Endpoint, holding: str
) -> None:
    words = chat({"content": "A long story, told slowly. "}, {"content": "So. "}, finish=None)
    there.chat(*words, *([HOLD] if holding == "/chat/completions" else chat()))
    hold = [HOLD] if holding == "/audio/speech" else []
    there.answer("/audio/speech", bytes(9600), *hold, kind="audio/pcm")
    server = LocalServer(f"{there.url}#m", stt="scripted:", vad="scripted:")
    async with server, connect(server.url) as connection:
        await send(connection, "response.create")
        await receive(connection, "response.output_audio.delta")
        assert not there.left.is_set()
        audio = base64.b64encode(SPEECH).decode()
        await send(connection, "input_audio_buffer.append", audio=audio)
        done = await receive(connection, "response.done")
        assert done["response"]["status_details"]["reason"] == "turn_detected"
        async with asyncio.timeout(5):
            await there.left.wait()


@pytest.mark.asyncio
async def test_a_turn_is_transcribed_answered_and_spoken_by_endpoints(
    there: fake.Endpoint,
) -> None:
    there.answer("/audio/transcriptions", b'{"text": " What time is it? "}')
    there.chat(*chat({"content": "It is noon."}))
    there.answer("/audio/speech", bytes(4801), bytes(9600), kind="audio/pcm")
    transcription = {"model": "whisper-1", "language": "en", "prompt": "clocks"}
    audio = {"input": {"transcription": transcription}, "output": {"voice": "coral", "speed": 1.2}}
    server = LocalServer(f"{there.url}#m", vad="scripted:", tts=f"{there.url}#voice")
    async with server, connect(server.url) as connection:
        await send(connection, "session.update", session={"type": "realtime", "audio": audio})
        sound = base64.b64encode(SPEECH).decode()
        await send(connection, "input_audio_buffer.append", audio=sound)
        heard = await receive(connection, "conversation.item.input_audio_transcription.completed")
        assert heard["transcript"] == "What time is it?"
        await receive(connection, "response.done")
    sizes = [
        len(base64.b64decode(bytes(e.delta)))
        for e in server.sessions[0].sent
        if isinstance(e, ga.ResponseAudioDeltaEvent)
    ]
    assert sizes == [9600, 4800]
    to_words, to_answer, to_speech = there.asked
    wav = to_words.body.pop("file")
    with wave.open(BytesIO(wav)) as file:
        assert (file.getframerate(), file.getnchannels()) == (24_000, 1)
        assert file.getnframes() > 12_000
    fields = {"model": "whisper-1", "response_format": "json", "language": "en", "prompt": "clocks"}
    assert to_words.body == fields
    assert to_answer.body["messages"][1:] == [{"role": "user", "content": "What time is it?"}]
    assert to_speech.body == {
        "model": "voice",
        "input": "It is noon.",
        "voice": "coral",
        "response_format": "pcm",
        "speed": 1.2,
    }


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("status", "body", "code"),
    [(500, b"oops", "engine_unavailable"), (200, b"oops", "engine_malformed")],
)
async def test_a_turn_whose_words_cannot_be_found_is_told_and_answered(
    there: fake.Endpoint, status: int, body: bytes, code: str
) -> None:
    there.answer("/audio/transcriptions", body, status=status)
    server = LocalServer(stt=there.url)
    async with server, connect(server.url) as connection:
        audio = {"input": {"transcription": {"model": "whisper-1"}}}
        await send(connection, "session.update", session={"type": "realtime", "audio": audio})
        sound = base64.b64encode(SPEECH).decode()
        await send(connection, "input_audio_buffer.append", audio=sound)
        failed = await receive(connection, "conversation.item.input_audio_transcription.failed")
        assert failed["error"]["code"] == code
        assert failed["error"]["message"].startswith("stt: 127.0.0.1:")
        done = await receive(connection, "response.done")
        assert done["response"]["status"] == "completed"


@pytest.mark.asyncio
async def test_the_model_of_the_brain_translates(there: fake.Endpoint) -> None:
    there.chat(*chat({"content": "Guten "}, {"content": "Tag."}))
    engine = await open_engine(brain=f"{there.url}#m", vad="scripted:")
    translator = engine.session().translator
    assert translator is not None
    assert await gathered(translator.translate("Good day.", language="de")) == ["Guten ", "Tag."]
    await engine.close()
    [system, user] = there.asked[0].body["messages"]
    assert "ISO 639-1 code de" in system["content"]
    assert user == {"role": "user", "content": "Good day."}


@pytest.mark.asyncio
async def test_too_little_audio_is_not_sent(there: fake.Endpoint) -> None:
    async with direct(there, "stt") as at:
        stage = HttpTranscriber(at, model="m")
        assert await gathered(stage.transcribe(bytes(4000), language=None, prompt=None)) == []
    assert there.asked == []


@pytest.mark.asyncio
async def test_a_transcript_without_an_end_is_cut(there: fake.Endpoint) -> None:
    there.answer("/audio/transcriptions", *[bytes(500_000)] * 3)
    async with direct(there, "stt") as at:
        stage = HttpTranscriber(at, model="m")
        with pytest.raises(EngineFailed, match="more than 1 MiB"):
            await gathered(stage.transcribe(SPEECH, language=None, prompt=None))


@pytest.mark.asyncio
@pytest.mark.parametrize("kind", ["application/json", "audio/mpeg", "audio/wav"])
async def test_a_voice_that_is_no_pcm_is_refused(there: fake.Endpoint, kind: str) -> None:
    there.answer("/audio/speech", b"RIFF", kind=kind)
    async with direct(there, "tts") as at:
        stage = HttpSynthesizer(at, model="m")
        with pytest.raises(EngineFailed, match=f"tts: .* answered with {kind} instead of PCM"):
            await gathered(stage.speak("Hi", voice="alloy", speed=9))
    assert there.asked[0].body["speed"] == 4


@pytest.mark.asyncio
async def test_other_stages_are_mixed_with_those_of_an_endpoint(there: fake.Endpoint) -> None:
    there.answer("/audio/speech", bytes(480), kind="audio/pcm")
    server = LocalServer(lambda request: f"{request.heard}!", tts=f"{there.url}?api-version=1")
    async with server, connect(server.url) as connection:
        response = await turn(connection, output_modalities=["audio"])
    assert response["output"][0]["content"][0]["transcript"] == "Hello!"
    [request] = there.asked
    assert (request.body["input"], request.query) == ("Hello!", "api-version=1")


@pytest.mark.asyncio
async def test_each_stage_shows_its_own_key_and_the_brains_only_at_the_brains_host(
    there: fake.Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DUOLOGUE_BRAIN_KEY", "for-the-brain")
    monkeypatch.setenv("DUOLOGUE_TTS_KEY", "for-the-voice")
    monkeypatch.setenv("OPENAI_API_KEY", "for-openai")
    engine = await open_engine(brain=f"{there.url}#m", tts=there.url)
    session = engine.session()
    other = await open_engine(stt=there.url)
    for stage in (session, other.session()):
        with pytest.raises(EngineFailed):
            await gathered(stage.transcriber.transcribe(SPEECH, language=None, prompt=None))
    with pytest.raises(EngineFailed):
        await gathered(session.synthesizer.speak("Hi", voice="alloy", speed=1))
    await engine.close()
    await other.close()
    assert [request.key for request in there.asked] == ["for-the-brain", "", "for-the-voice"]


@pytest.mark.asyncio
async def test_what_an_engine_tells_of_itself_holds_no_key(
    there: fake.Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DUOLOGUE_BRAIN_KEY", KEY)
    engine = await open_engine(brain=f"{there.url}?api-version=7#small", vad="scripted:")
    host = there.url.removeprefix("http://").removesuffix("/v1")
    assert engine.labels["brain"] == f"small at {host}"
    assert engine.labels["transcriber"] == f"whisper-1 at {host}"
    assert KEY not in repr(engine) + repr(engine.session())
    await engine.close()


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("stages", "told"),
    [
        ({"brain": "http://host/v1"}, "names no model; add #MODEL: http://host/v1#MODEL"),
        ({"brain": "https://"}, "has no host; write http://host:port/v1#model"),
        ({"brain": "http://host:port/v1#m"}, "is malformed"),
        ({"brain": "https://me:sk-very-secret@host/v1#m"}, "a key in a URL is visible"),
        ({"stt": "https://host/v1?api_key=sk-very-secret"}, "set the environment variable DUOL"),
        ({"vad": "https://host/v1"}, "no endpoint offers a vad; use scripted: or local:"),
    ],
)
async def test_an_address_that_cannot_be_is_one_clear_sentence_without_its_key(
    stages: dict[str, Any], told: str
) -> None:
    with pytest.raises(ConfigurationError, match=told) as refused:
        await open_engine(**stages)
    assert KEY not in str(refused.value)


@pytest.mark.asyncio
async def test_a_missing_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "httpx2", None)
    for module in [name for name in sys.modules if ".engine.http." in name]:
        monkeypatch.delitem(sys.modules, module)
    with pytest.raises(MissingExtra, match=r"duologue\[http\]"):
        await open_engine(brain="https://host/v1#m")
