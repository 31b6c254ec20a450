"""Calls: a phone of each provider, the bridge on uvicorn, and the embedded server as the model."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.routing import Mount, WebSocketRoute
from tests.telephony.fake_phones import (
    PHONES,
    AlawPhone,
    FakePhone,
    LinearPhone,
    TelnyxPhone,
    TwilioPhone,
    loud,
    serving,
)
from websockets import ConnectionClosed, InvalidStatus
from websockets.asyncio.client import connect

from duologue import Closed, ConfigurationError, RealtimeClient
from duologue.protocol.formats import G711_ALAW, G711_ULAW, PCM16
from duologue.protocol.ga import ConversationItemTruncateEvent, InputAudioBufferAppendEvent
from duologue.server import LocalServer
from duologue.server.engine.stages import BrainRequest, Call
from duologue.server.faults import Close, Delay, RefuseHandshake
from duologue.telephony import (
    PhoneBridge,
    PhoneCall,
    PhoneProvider,
    Telnyx,
    Twilio,
    bridge,
    call_runner,
    twilio_signature,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator

    from duologue.server.faults import Fault
    from duologue.server.session_record import SessionRecord

pytestmark = pytest.mark.asyncio

APPEND = "input_audio_buffer.append"
STORY = "Once upon a time there was a story. " * 4
VAD = {"type": "server_vad", "silence_duration_ms": 300, "prefix_padding_ms": 100}
NONSENSE = [
    "",
    "{",
    "null",
    "[" * 10_000,
    '{"event": 1}',
    '{"event": "media"}',
    '{"event": "media", "media": {"payload": "!secret!"}}',
    '{"event": "media", "media": {"payload": "secret", "track": "outbound"}}',
    '{"event": "mark", "mark": {"name": "999999999999999999999999"}}',
    '{"event": "mark", "mark": {"name": "99999999"}}',
    '{"event": "mark", "mark": {"name": "-1"}}',
    '{"event": "mark", "mark": {"name": "secret"}}',
    '{"event": "dtmf", "dtmf": {"digit": 5}}',
    '{"event": "dtmf", "dtmf": {"digit": "secret"}}',
    '{"event": "of tomorrow", "secret": 1}',
    '{"event": "of tomorrow", "much": "' + "secret" * 20_000 + '"}',
]


def provider_of(phone: type[FakePhone]) -> PhoneProvider:
    if phone is TwilioPhone:
        return Twilio()
    return Telnyx(codec="PCMA" if phone is AlawPhone else "PCMU")


def greet(_call: PhoneCall, client: RealtimeClient) -> None:
    client.create_response()


def no_preparation(_call: PhoneCall, _client: RealtimeClient) -> None:
    pass


@dataclass
class Office:
    """A bridge, its model, and the calls that it had."""

    server: LocalServer
    prepare: Callable[[PhoneCall, RealtimeClient], None]
    turn_detection: dict[str, Any]
    hook: Callable[[PhoneCall, RealtimeClient], Any] | None
    url: str = ""
    calls: list[tuple[PhoneCall, RealtimeClient]] = field(default_factory=list)
    made: asyncio.Event = field(default_factory=asyncio.Event)
    began: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    bridge: PhoneBridge = field(init=False)

    async def new_client(self, call: PhoneCall) -> RealtimeClient:
        client = RealtimeClient(url=self.server.url, turn_detection=self.turn_detection)
        self.calls.append((call, client))
        self.prepare(call, client)
        self.made.set()
        return client

    async def on_call(self, call: PhoneCall, client: RealtimeClient) -> None:
        self.began.set()
        result = None if self.hook is None else self.hook(call, client)
        if result is not None:
            await result

    def on_end(self, _call: PhoneCall, _client: RealtimeClient) -> None:
        self.ended.set()

    @property
    def call(self) -> PhoneCall:
        return self.calls[-1][0]

    @property
    def client(self) -> RealtimeClient:
        return self.calls[-1][1]

    @property
    def session(self) -> SessionRecord:
        return self.server.sessions[-1]

    @property
    def appended(self) -> list[InputAudioBufferAppendEvent]:
        events = self.session.received
        return [each for each in events if isinstance(each, InputAudioBufferAppendEvent)]


@contextlib.asynccontextmanager
async def office(
    provider: PhoneProvider,
    brain: Any = STORY,
    *,
    faults: tuple[Fault, ...] | list[Fault] = (),
    on_call: Callable[[PhoneCall, RealtimeClient], Any] | None = None,
    prepare: Callable[[PhoneCall, RealtimeClient], None] = no_preparation,
    turn_detection: dict[str, Any] = VAD,
    **options: Any,
) -> AsyncGenerator[Office]:
    """Serve a bridge; `options` are those of `PhoneBridge`."""
    answer = (lambda _request: brain) if isinstance(brain, str) else brain
    async with LocalServer(answer, record_audio=True, faults=faults) as server:
        desk = Office(server, prepare, turn_detection, on_call)
        hooks = {"on_call": desk.on_call, "on_end": desk.on_end, **options}
        desk.bridge = PhoneBridge(provider, desk.new_client, **hooks)
        async with serving(desk.bridge) as desk.url:
            yield desk


@contextlib.contextmanager
def reported() -> Iterator[list[BaseException]]:
    """Collect what is reported to the event loop."""
    errors: list[BaseException] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _loop, context: errors.append(context["exception"]))
    try:
        yield errors
    finally:
        loop.set_exception_handler(None)


async def within(work: Awaitable[Any]) -> Any:
    return await asyncio.wait_for(work, 10)


@pytest.mark.parametrize("phone_class", PHONES)
async def test_an_interrupted_answer_is_cut_to_what_the_phone_played(
    phone_class: type[FakePhone],
) -> None:
    async with (
        office(provider_of(phone_class), on_call=greet) as desk,
        phone_class(desk.url) as phone,
    ):
        # The marks that were cleared with the first answer do not count for the second.
        for number, (played_ms, marked_ms) in enumerate([(600, 600), (350, 340)], start=1):
            await phone.wait_for(lambda: phone.queued > 2000)
            heard = len(phone.heard)
            await phone.play(played_ms)
            await phone.speak()
            cut = await desk.session.wait_for("conversation.item.truncate", nth=number)
            await desk.session.wait_for("conversation.item.truncated", nth=number)
            assert isinstance(cut, ConversationItemTruncateEvent)
            assert cut.audio_end_ms == marked_ms
            await phone.wait_for(lambda number=number: phone.clears == number)
            item = desk.client.conversation.item(cut.item_id)
            assert item.formatted.audio == phone.heard[heard : heard + marked_ms * 8]


async def test_an_answer_that_was_heard_is_not_cut() -> None:
    async with office(Twilio(), "Hello.", on_call=greet) as desk, TwilioPhone(desk.url) as phone:
        await phone.wait_for(lambda: phone.queued >= 360)
        await phone.play(360)
        assert await within(desk.call.wait_until_heard())
        await phone.speak()
        await desk.session.wait_for("response.created", nth=2)
        assert phone.clears == 0
        assert "conversation.item.truncate" not in {each.type for each in desk.session.received}


async def test_the_caller_is_heard_from_the_first_message_on() -> None:
    async with office(Twilio()) as desk, TwilioPhone(desk.url) as phone:
        spoken = loud(100)
        await phone.say(spoken)  # while the session begins
        await phone.say(loud(300))
        await within(desk.began.wait())
        while sum(map(desk.session.audio_bytes, desk.appended)) < 3200:
            await desk.session.wait_for(APPEND, nth=len(desk.appended) + 1)
        assert b"".join(event.audio_data for event in desk.appended)[:800] == spoken


async def test_both_sides_use_the_format_of_the_phone() -> None:
    async with office(Telnyx(codec="PCMU")) as desk, AlawPhone(desk.url):
        await within(desk.began.wait())
        assert desk.client.input_format is G711_ALAW
        assert desk.client.conversation.output_format is G711_ULAW


async def test_the_application_learns_who_calls() -> None:
    parameters = {"customer": "4711"}
    async with office(Telnyx()) as desk, TelnyxPhone(desk.url, **parameters):
        await within(desk.began.wait())
        call = desk.call
        assert (call.id, call.provider, call.parameters) == ("call-1", "Telnyx", parameters)
        assert (call.started.caller, call.started.callee) == ("+13122010094", "+13122123456")
        assert call.started.stream_id == "32DE0DEA"


@pytest.mark.parametrize("phone_class", [TwilioPhone, TelnyxPhone])
@pytest.mark.parametrize("says_so", [True, False])
async def test_a_caller_who_hangs_up_ends_the_session(
    phone_class: type[FakePhone],
    says_so: bool,
) -> None:
    async with office(provider_of(phone_class)) as desk, phone_class(desk.url) as phone:
        await within(desk.began.wait())
        if says_so:
            await phone.hang_up()
        else:
            await phone.socket.close()
        assert await within(desk.call.wait_until_ended()) == "caller"
        await within(desk.session.wait_closed())
        await within(desk.ended.wait())
        assert not desk.client.is_connected
        assert desk.bridge.calls == ()


async def test_a_caller_may_hang_up_while_the_session_begins() -> None:
    delay = Delay(60, at="session.created")
    async with office(Twilio(), faults=[delay]) as desk, TwilioPhone(desk.url) as phone:
        await within(desk.made.wait())
        await phone.hang_up()
        await phone.wait_for(lambda: phone.close_code == 1000)
        assert desk.call.ending == "caller"
        assert not desk.ended.is_set()  # there was no session to keep


def farewell(request: BrainRequest) -> Iterator[str | Call]:
    if request.output is None:
        yield "Goodbye."
        yield Call("hang_up", "{}")


async def test_a_tool_hangs_up_when_its_farewell_was_heard() -> None:
    def prepare(call: PhoneCall, client: RealtimeClient) -> None:
        @client.tool
        async def hang_up() -> None:
            """End the call."""
            assert await call.wait_until_heard()
            call.hang_up()

    async with (
        office(Twilio(), farewell, on_call=greet, prepare=prepare) as desk,
        TwilioPhone(desk.url) as phone,
    ):
        await phone.wait_for(lambda: phone.queued >= 480)
        await desk.session.wait_for("response.done")
        await phone.play(460)
        assert phone.close_code is None
        await phone.play(20)
        await phone.wait_for(lambda: phone.close_code == 1000)
        assert desk.call.ending == "application"
        await within(desk.ended.wait())


async def test_waiting_for_the_phone_has_an_end() -> None:
    async with office(Twilio(), on_call=greet) as desk, TwilioPhone(desk.url) as phone:
        await phone.wait_for(lambda: phone.queued > 2000)
        assert not await desk.call.wait_until_heard(timeout=0.01)
        waiting = asyncio.create_task(desk.call.wait_until_heard())
        await phone.hang_up()
        assert not await within(waiting)


async def test_a_session_that_ends_ends_the_call() -> None:
    async with office(Twilio()) as desk, TwilioPhone(desk.url) as phone:
        await within(desk.began.wait())
        desk.session.close(1008, "policy")
        await phone.wait_for(lambda: phone.close_code == 1011)
        assert desk.call.ending == "session"
        await within(desk.ended.wait())


async def test_a_session_that_cannot_begin_ends_the_call(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with (
        office(Twilio(), faults=[RefuseHandshake(401)]) as desk,
        TwilioPhone(desk.url) as phone,
    ):
        await phone.wait_for(lambda: phone.close_code == 1011)
        assert desk.call.ending == "failure"
        assert not desk.ended.is_set()
    assert "call call-1: the server refused the connection with HTTP 401" in caplog.text


async def test_a_lost_connection_keeps_the_call() -> None:
    lost = Close(1011, at="response.output_audio.delta", nth=3, connection=1)
    async with (
        office(Twilio(), faults=[lost], on_call=greet) as desk,
        TwilioPhone(desk.url) as phone,
    ):
        await phone.wait_for(lambda: phone.clears == 1)  # the answer begins anew
        await phone.wait_for(lambda: phone.queued > 2000)
        await phone.play(400)
        answer = next(item for item in desk.client.conversation if item.role == "assistant")
        assert answer.formatted.audio.startswith(phone.heard[-3200:])
        assert len(desk.server.sessions) == 2
        assert desk.call.ending is None


async def test_keys_call_back_in_order() -> None:
    pressed: list[str] = []
    is_hash = asyncio.Event()

    async def on_digit(call: PhoneCall, _client: RealtimeClient, digit: str) -> None:
        pressed.append(digit)
        await asyncio.sleep(0)
        if digit == "#":
            is_hash.set()
        if digit == "*":
            raise ValueError("no such key")

    with reported() as errors:
        async with office(Twilio(), on_digit=on_digit) as desk, TwilioPhone(desk.url) as phone:
            await phone.press("1*2#")
            await within(is_hash.wait())
            assert desk.call.ending is None
    assert pressed == [*"1*2#"]
    assert [type(error) for error in errors] == [ValueError]


async def test_keys_that_come_too_fast_are_dropped(caplog: pytest.LogCaptureFixture) -> None:
    pressed: list[str] = []

    async def on_digit(call: PhoneCall, _client: RealtimeClient, digit: str) -> None:
        pressed.append(digit)
        await call.wait_until_ended()

    async with office(Telnyx(), on_digit=on_digit) as desk, TelnyxPhone(desk.url) as phone:
        await phone.press("1" * 40)
        await phone.hang_up()
        await phone.wait_for(lambda: phone.close_code == 1000)
    assert len(pressed) <= 1
    assert "too many digits wait" in caplog.text


async def test_an_error_of_the_provider_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async with office(Telnyx()) as desk, TelnyxPhone(desk.url) as phone:
        await phone.send({"event": "error", "payload": {"code": 100002, "title": "bad frame"}})
        await phone.hang_up()
        await phone.wait_for(lambda: phone.close_code == 1000)
    assert "call call-1: error of the provider: 100002: bad frame" in caplog.text


async def test_keys_become_a_message_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(call_runner, "DIGIT_PAUSE_SECONDS", 0.05)
    async with office(Telnyx(), digits_as_text=True) as desk, TelnyxPhone(desk.url) as phone:
        await phone.press("12#7")
        await within(desk.began.wait())
        await desk.session.wait_for("response.created", nth=2)
        users = [item for item in desk.client.conversation if item.role == "user"]
        said = [item.formatted.text for item in users]
        assert said == ["I pressed 12# on the keypad.", "I pressed 7 on the keypad."]


async def test_messages_that_make_no_sense_do_no_harm(caplog: pytest.LogCaptureFixture) -> None:
    async with office(Twilio(), on_call=greet) as desk, TwilioPhone(desk.url) as phone:
        for nonsense in NONSENSE:
            await phone.send(nonsense)
        await phone.socket.send(b"\xff\xfe")
        await phone.send(phone.start())
        await phone.wait_for(lambda: phone.queued > 2000)
        await phone.play(200)
        await phone.speak()
        cut = await desk.session.wait_for("conversation.item.truncate")
        assert isinstance(cut, ConversationItemTruncateEvent)
        assert cut.audio_end_ms == 200
    assert "message ignored" in caplog.text
    assert "secret" not in caplog.text


async def test_two_calls_at_once_do_not_meet() -> None:
    def brain(request: BrainRequest) -> str:
        return "Hello, Ada." if request.heard == "I am Ada" else "Hello, Grace."

    def introduce(call: PhoneCall, client: RealtimeClient) -> None:
        client.send_user_message_content(f"I am {call.parameters['name']}")

    async with (
        office(Twilio(), brain, on_call=introduce) as desk,
        TwilioPhone(desk.url, call_id="a", name="Ada") as ada,
        TwilioPhone(desk.url, call_id="b", name="Grace") as grace,
    ):
        await ada.wait_for(lambda: ada.queued >= 11 * 60)
        await grace.wait_for(lambda: grace.queued >= 13 * 60)
        assert {call.id for call in desk.bridge.calls} == {"a", "b"}
        await ada.play(60_000)
        await grace.play(60_000)
        for phone, name in ((ada, "Ada"), (grace, "Grace")):
            [client] = [client for call, client in desk.calls if call.parameters["name"] == name]
            answer = client.conversation.items[-1].formatted
            assert answer.transcript == f"Hello, {name}."
            assert phone.heard.startswith(answer.audio)


async def test_a_call_has_a_time_limit() -> None:
    async with office(Twilio(), max_call_seconds=0.2) as desk, TwilioPhone(desk.url) as phone:
        await phone.wait_for(lambda: phone.close_code == 1000)
        assert desk.call.ending == "time_limit"


async def test_the_number_of_calls_is_limited() -> None:
    async with office(Twilio(), max_calls=1) as desk, TwilioPhone(desk.url) as phone:
        with pytest.raises(InvalidStatus, match="403"):
            await connect(desk.url)
        await within(desk.began.wait())
        await phone.hang_up()
        await phone.wait_for(lambda: phone.close_code == 1000)
        await within(desk.ended.wait())


async def test_a_stranger_is_refused() -> None:
    url = "wss://example.com/phone"
    signature = twilio_signature("secret", url)
    async with office(Twilio(auth_token="secret", url=url)) as desk:
        for headers in ({}, {"X-Twilio-Signature": signature[:-2]}):
            with pytest.raises(InvalidStatus, match="403"):
                await connect(desk.url, additional_headers=headers)
        phone = TwilioPhone(desk.url)
        phone.headers = {"X-Twilio-Signature": signature}
        async with phone:
            await within(desk.began.wait())
    async with office(Telnyx(auth_token="secret")) as desk:
        with pytest.raises(InvalidStatus, match="403"):
            await connect(desk.url)
        other = TelnyxPhone(desk.url)
        other.headers = {"x-telnyx-streaming-auth-token": "secret"}
        async with other:
            await within(desk.began.wait())


async def test_a_stream_that_is_none_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bridge, "START_SECONDS", 0.05)
    async with office(Twilio()) as desk:
        for first in ("hello", json.dumps({"event": "stop"}), None):
            async with connect(desk.url) as socket:
                if first is not None:
                    await socket.send(first)
                with pytest.raises(ConnectionClosed):
                    await within(socket.recv())
                assert socket.close_code == 1002
        assert desk.calls == []


async def test_a_codec_that_is_not_supported_is_named(caplog: pytest.LogCaptureFixture) -> None:
    phone = TelnyxPhone("")
    phone.codec = "OPUS"
    async with office(Telnyx()) as desk:
        phone.url = desk.url
        async with phone:
            await phone.wait_for(lambda: phone.close_code == 1003)
    assert "OPUS at 8000 Hz, is not supported" in caplog.text


async def test_an_application_may_interrupt_by_its_own_policy() -> None:
    vad = {**VAD, "interrupt_response": False, "create_response": False}

    def on_digit(call: PhoneCall, _client: RealtimeClient, _digit: str) -> None:
        call.interrupt()

    async with (
        office(Twilio(), on_call=greet, on_digit=on_digit, turn_detection=vad) as desk,
        TwilioPhone(desk.url) as phone,
    ):
        await phone.wait_for(lambda: phone.queued > 2000)
        await phone.play(200)
        await phone.speak()
        await desk.session.wait_for("input_audio_buffer.speech_stopped")
        assert phone.clears == 0
        await phone.press("*")
        cut = await desk.session.wait_for("conversation.item.truncate")
        assert isinstance(cut, ConversationItemTruncateEvent)
        assert cut.audio_end_ms == 200
        await phone.wait_for(lambda: phone.clears == 1)


async def test_nothing_can_be_interrupted_before_the_session() -> None:
    refused: list[Closed] = []

    def prepare(call: PhoneCall, _client: RealtimeClient) -> None:
        try:
            call.interrupt()
        except Closed as error:
            refused.append(error)

    async with office(Twilio(), prepare=prepare) as desk, TwilioPhone(desk.url):
        await within(desk.began.wait())
    assert len(refused) == 1


async def test_hooks_may_be_coroutine_functions_and_fail() -> None:
    def prepare(_call: PhoneCall, _client: RealtimeClient) -> None:
        raise ValueError("no client")

    async def on_call(_call: PhoneCall, _client: RealtimeClient) -> None:
        raise ValueError("no greeting")

    async def on_end(_call: PhoneCall, _client: RealtimeClient) -> None:
        ended.set()
        raise ValueError("no end")

    ended = asyncio.Event()
    with reported() as errors:
        async with office(Twilio(), prepare=prepare) as desk, TwilioPhone(desk.url) as phone:
            await phone.wait_for(lambda: phone.close_code == 1011)
        async with (
            office(Twilio(), on_call=on_call, on_end=on_end) as desk,
            TwilioPhone(desk.url) as phone,
        ):
            await phone.wait_for(lambda: phone.close_code == 1011)
            await within(ended.wait())
    assert [str(error) for error in errors] == ["no client", "no greeting", "no end"]


async def test_on_call_may_last_as_long_as_the_call() -> None:
    lines: list[str] = []

    async def on_call(_call: PhoneCall, client: RealtimeClient) -> None:
        try:
            async for item in client.items():
                lines.append(str(item.role))  # noqa: PERF401  # it has no end of its own
        finally:
            lines.append("over")

    async with office(Twilio(), on_call=on_call) as desk, TwilioPhone(desk.url) as phone:
        await phone.speak()
        await phone.wait_for(lambda: phone.queued > 2000)
        await phone.hang_up()
        await within(desk.ended.wait())
    assert lines == ["user", "assistant", "over"]


async def test_a_model_that_wants_pcm_gets_it() -> None:
    def prepare(_call: PhoneCall, client: RealtimeClient) -> None:
        client.update_session(input_audio_format="pcm16", output_audio_format="pcm16")

    async with (
        office(Twilio(), "Hello.", on_call=greet, prepare=prepare) as desk,
        TwilioPhone(desk.url) as phone,
    ):
        await phone.wait_for(lambda: phone.queued >= 360)
        assert desk.client.conversation.output_format is PCM16
        await phone.play(1000)
        assert await within(desk.call.wait_until_heard())
        await phone.speak()
        await desk.session.wait_for("input_audio_buffer.committed")


async def test_a_phone_with_linear_audio_is_cut_as_exactly() -> None:
    async with (
        office(Telnyx(codec="L16", rate_hz=16_000), on_call=greet) as desk,
        LinearPhone(desk.url) as phone,
    ):
        await phone.wait_for(lambda: phone.queued > 2000)
        await phone.play(600)
        await phone.speak()
        cut = await desk.session.wait_for("conversation.item.truncate")
        assert isinstance(cut, ConversationItemTruncateEvent)
        assert 560 <= cut.audio_end_ms <= 600  # the filter delays by some milliseconds


async def test_a_bridge_is_mounted_in_an_application() -> None:
    async with LocalServer(lambda _request: STORY) as server:
        phones = PhoneBridge(Twilio(), lambda _call: RealtimeClient(url=server.url), on_call=greet)
        app = Starlette(routes=[WebSocketRoute("/phone", phones), Mount("/mounted", phones)])
        listener = socket.create_server(("127.0.0.1", 0))
        config = uvicorn.Config(app, log_config=None, lifespan="off")
        uvicorn_server = uvicorn.Server(config)
        running = asyncio.create_task(uvicorn_server.serve([listener]))
        for path in ("/phone", "/mounted/"):
            url = f"ws://127.0.0.1:{listener.getsockname()[1]}{path}"
            async with TwilioPhone(url) as phone:
                await phone.wait_for(lambda phone=phone: phone.queued > 2000)
                assert [call.id for call in phones.calls] == ["call-1"]
        uvicorn_server.should_exit = True
        await running


async def test_a_bridge_served_by_itself_answers_the_rest_of_asgi() -> None:
    phones = PhoneBridge(Twilio(), lambda _call: RealtimeClient(url="ws://127.0.0.1:1/"))
    sent: list[Any] = []
    events = iter(["lifespan.startup", "lifespan.shutdown"])

    async def receive() -> dict[str, str]:
        return {"type": next(events)}

    async def send(message: Any) -> None:
        sent.append(message)

    await phones({"type": "lifespan"}, receive, send)
    await phones({"type": "http"}, receive, send)
    assert [each["type"] for each in sent[:2]] == [
        "lifespan.startup.complete",
        "lifespan.shutdown.complete",
    ]
    assert sent[2]["status"] == 426


async def test_a_limit_must_be_positive() -> None:
    with pytest.raises(ConfigurationError):
        PhoneBridge(Twilio(), lambda _call: RealtimeClient(), max_calls=0)
