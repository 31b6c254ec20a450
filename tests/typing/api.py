"""The public API as it is meant to be used, and as it is not: read by type checkers, never run.

A line that ends in `# wrong: …` must be reported by every checker of `test_api.py`, all others by
none. `# wrong (not ty): …` names a checker that does not see the mistake: ty 0.0.104 takes any
keyword where those of a function are unpacked from a `TypedDict`; it does check the known ones.
"""

from __future__ import annotations

from array import array
from collections.abc import Awaitable, Callable
from typing import assert_never, assert_type

from duologue import (
    Budget,
    BudgetExceeded,
    ConversationUpdated,
    DeadAir,
    Delta,
    Disconnected,
    Endpoint,
    ErrorUpdate,
    FormattedItem,
    FormattedTool,
    Interrupted,
    ItemAppended,
    ItemCompleted,
    LatencyReport,
    PlaybackLedger,
    Prices,
    RealtimeAPI,
    RealtimeClient,
    RealtimeEvent,
    RealtimeRest,
    Reconnected,
    RemoteProtocolError,
    ResponseFailed,
    Retention,
    ServerError,
    SessionRefused,
    ToolContext,
    ToolFailed,
    TurnLatency,
    Update,
    UsageReport,
    local,
    sync,
)
from duologue.devices import (
    Backchannel,
    Microphone,
    Notice,
    Speaker,
    VoiceConversation,
    VoicePolicy,
    WavInput,
    attach,
)
from duologue.protocol import beta, codec, ga
from duologue.protocol.model import UnsetType
from duologue.server import LocalServer
from duologue.server.engine.stages import BrainRequest
from duologue.server.faults import Close
from duologue.session.prices import PRICES
from duologue.testing import ChaosProxy


def name_types(item: ga.Message, part: ga.ContentPart, refused: SessionRefused) -> None:
    assert_type(item.type, str)
    assert_type(part.type, str | None)
    assert_type(refused.error, ServerError | None)
    assert_type(refused.code, int | None)


# Clients are made with keywords, and know them.


def make_clients() -> None:
    RealtimeClient()
    RealtimeClient(url="ws://127.0.0.1:8080/v1/realtime", api_key="key", model="gpt-realtime")
    RealtimeClient(
        instructions="Be brief.",
        output_modalities=["text"],
        turn_detection=ga.ServerVad(silence_duration_ms=300),
        voice="marin",
        retention=Retention(audio_minutes=None),
    )
    RealtimeClient(turn_detection=None, max_output_tokens="inf", dialect="beta")
    RealtimeClient(endpoint=Endpoint.from_env(model="gpt-realtime"))
    RealtimeClient("ws://127.0.0.1:8080/v1/realtime", 3)  # wrong: no such positions
    RealtimeClient(instruction="Be brief.")  # wrong (not ty): misspelled
    RealtimeClient(turn_detection="server_vad")  # wrong: a struct
    RealtimeClient(dialect="alpha")  # wrong: no such dialect
    RealtimeClient(output_modalities=["text"], speed="fast")  # wrong: a number


# An endpoint says where they connect; a client in this process needs none.


def name_endpoints(token: Callable[[], Awaitable[str]]) -> None:
    mine = Endpoint("wss://host/v1/realtime", api_key=token, key_in="subprotocol", proxy=None)
    assert_type(mine, Endpoint)
    assert_type(mine.url, str)
    assert_type(Endpoint.azure("https://mine.example", token_provider=lambda: "token"), Endpoint)
    RealtimeClient(endpoint=mine)
    RealtimeAPI(endpoint=Endpoint(kind="translation"))
    sync.RealtimeClient(endpoint=Endpoint(call_id="rtc_1"))
    Endpoint(key_in="query")  # wrong: no such place
    Endpoint(kind="chat")  # wrong: no such kind
    Endpoint(transport="pycows")  # wrong: no such library
    Endpoint(prox=None)  # wrong (not ty): misspelled
    Endpoint(api_key=b"key")  # wrong: a text, or what gives one
    Endpoint.azure(deployment="gpt-realtime")  # wrong: of which resource
    RealtimeClient(endpoint="wss://host/v1/realtime")  # wrong: an `Endpoint`, or `url=`
    mine.url = ""  # wrong: read only


async def talk_to_oneself() -> None:
    async with local("scripted:", voice="marin", turn_detection=None) as client:
        assert_type(client, RealtimeClient)
    with local() as client:  # wrong: with `async`
        pass
    local(vioce="marin")  # wrong (not ty): misspelled
    local(brain=3)  # wrong: no brain


async def ask_beside_the_socket(session: ga.RealtimeSession) -> None:
    async with RealtimeRest(url="wss://host/v1/realtime", api_key="key") as rest:
        assert_type(rest, RealtimeRest)
        secret = await rest.create_client_secret(session, seconds=60)
        assert_type(secret.value, str)
        call = await rest.create_call("v=0", session)
        assert_type(call.call_id, str)
        assert_type(await rest.accept_call("rtc_1", session), None)
        await rest.reject_call("rtc_1", status_code=486)
        await rest.accept_call("rtc_1")  # wrong: without its configuration
        await rest.create_client_secret(session, 60)  # wrong: by keyword
        await rest.refer_call("rtc_1", 112)  # wrong: a text
        secret.value.decode()  # wrong: a text
    RealtimeRest(endpoint=Endpoint(), model="m")  # wrong: the endpoint's


# What is awaited has the answer's type.


async def send(client: RealtimeClient) -> None:
    async with client as same:
        assert_type(same, RealtimeClient)
    session = await client.update_session(instructions="Be brief.")
    assert_type(session, ga.RealtimeSession | ga.TranscriptionSession | ga.UnknownSession)
    client.update_session(ga.RealtimeSession(), full=True)
    client.update_session({"instructions": "Be brief."}, turn_detection={"type": "server_vad"})
    client.update_session(instructions=None)  # wrong: not to be switched off
    client.update_session(turn_detection=None)

    message = ga.Message(role="user", content=[ga.InputText(text="Hello")])
    assert_type(await client.create_item(message), str)
    client.create_item({"type": "message", "role": "user", "content": []})
    client.create_item(beta.Message(role="user", content=[]))
    client.create_item("Hello")  # wrong: an item
    client.create_item(message, "root")  # wrong: by keyword
    assert_type(await client.delete_item("item_1"), None)
    client.delete_item(item=message)  # wrong: its id
    assert_type(await client.commit_input_audio(), str)
    client.append_input_audio(b"\0\0")
    client.append_input_audio(array("h", [0, 1]))
    client.append_input_audio("AAAA")  # wrong: bytes, not base64
    client.truncate_item("item_1", 1200)
    client.truncate_item("item_1", "1200")  # wrong: a number
    ledger = PlaybackLedger()
    client.on(ConversationUpdated, ledger.receive)
    assert_type(ledger.take(480), bytes)
    client.truncate_items(ledger.interrupt(unheard=240))
    client.truncate_items(ledger)  # wrong: what it returns from `interrupt`
    client.send(ga.ResponseCreateEvent())
    client.send(beta.ResponseCreateEvent())
    client.send({"type": "response.create"})
    client.send(ga.ResponseCreatedEvent)  # wrong: an event of the server, and not even one


async def ask(client: RealtimeClient) -> None:
    handle = client.create_response(conversation="none", metadata={"purpose": "topic"})
    client.create_response(ga.ResponseCreateParams(), output_modalities=["text"])
    client.create_response(temperature=0.8)  # wrong (not ty): no such thing
    async for delta in handle:
        assert_type(delta, Delta)
        assert_type(delta.audio, bytes | None)
        delta.text.upper()  # wrong: may be None
    for delta in handle:  # wrong: with `async`
        pass
    response = await handle
    assert_type(response, ga.Response)
    assert_type(handle.text, str)
    assert_type(handle.audio, bytes)
    assert_type(handle.usage, ga.Usage | None)
    assert_type(handle.items, tuple[FormattedItem, ...])
    handle.cancel()
    handle.text = ""  # wrong: read only
    await handle.cancel()  # wrong: it returns nothing


# Callbacks get what their key says.


def register(client: RealtimeClient) -> None:
    @client.on(ConversationUpdated)
    def show(update: ConversationUpdated) -> None:
        print(update.delta, update.item)

    @client.on(ga.ResponseDoneEvent)
    async def count(event: ga.ResponseDoneEvent) -> None:
        assert_type(event.response, ga.Response)

    client.on(ItemCompleted, lambda update: print(update.item.role))
    client.on("conversation.item.completed", lambda update: print(update))
    client.on_next(Interrupted, lambda update: print(update.audio_start_ms))
    client.off(ConversationUpdated, show)

    def wrong(event: ga.ResponseCreatedEvent) -> None: ...

    client.on(ga.ResponseDoneEvent, wrong)  # wrong: the callback of another event
    client.on(ItemCompleted, lambda update: print(update.delta))  # wrong: has no delta
    client.off_next("close")
    client.clear_event_handlers()
    client.dispatch(ItemCompleted, 3)
    client.on(12, print)  # wrong: neither a class nor a name


async def wait(client: RealtimeClient) -> None:
    assert_type(await client.wait_for_next(ItemAppended, timeout=5), ItemAppended)
    assert_type(await client.wait_for_next(ga.ResponseDoneEvent), ga.ResponseDoneEvent)
    assert_type(await client.wait_for_next_completed_item(), FormattedItem)
    await client.wait_for_next(ItemAppended, 5)  # wrong: by keyword


# Updates and events are closed unions: what is forgotten is found.


async def watch(client: RealtimeClient) -> None:
    async for update in client:
        assert_type(update, Update)
        match update:
            case ConversationUpdated(item=item, delta=delta):
                assert_type(item, FormattedItem)
                assert_type(delta, Delta | None)
            case ItemAppended() | ItemCompleted():
                assert_type(update.item, FormattedItem)
            case Interrupted():
                assert_type(update.audio_start_ms, int)
            case ErrorUpdate(error=error):
                assert_type(
                    error,
                    ServerError
                    | ResponseFailed
                    | RemoteProtocolError
                    | BudgetExceeded
                    | ToolFailed
                    | TimeoutError,
                )
            case Reconnected(restored_items=restored_items):
                assert_type(restored_items, int)
            case DeadAir(seconds=seconds):
                assert_type(seconds, float)
            case Disconnected(will_retry=will_retry):
                assert_type(will_retry, bool)
            case RealtimeEvent(time=time):
                assert_type(time, float)
            case _:
                assert_never(update)


def forget(update: Update) -> str:
    match update:
        case ConversationUpdated() | ItemAppended() | ItemCompleted():
            return update.item.id
        case Interrupted():
            return update.item_id
        case ErrorUpdate() | Disconnected() | Reconnected():
            return str(update.error)
        case DeadAir():
            return update.kind
        case _:
            assert_never(update)  # wrong: RealtimeEvent is forgotten


def detect(turn_detection: ga.TurnDetection) -> str:
    match turn_detection:
        case ga.ServerVad():
            return "silence"
        case ga.SemanticVad():
            return "words"
        case ga.UnknownTurnDetection():
            return "who knows"
        case _:
            assert_never(turn_detection)


async def use_the_bare_connection(api: RealtimeAPI) -> None:
    api.send(ga.SessionUpdateEvent(session=ga.TranscriptionSession()))
    async for event in api:
        match event:
            case ga.ResponseTextDeltaEvent():
                assert_type(event.delta, str)
            case ga.RealtimeErrorEvent():
                assert_type(event.error.message, str)
            case _:
                assert_type(event.type, str)


# Structs are checked when they are made, frozen when they are.


def make_structs() -> None:
    ga.ServerVad(threshold=0.5)
    ga.ServerVad(threshold="half")  # wrong: a number
    ga.ServerVad(treshold=0.5)  # wrong: misspelled
    ga.ServerVad(0.5)  # wrong: by keyword
    ga.Message(role="user")  # wrong: without content
    vad = ga.ServerVad()
    assert_type(vad.threshold, float | UnsetType)
    print(vad.threshold + 0.1)  # wrong: may be unset
    vad.threshold = 0.7  # wrong: frozen
    event = codec.decode(b"{}")
    assert_type(event.type, str)
    codec.decode(b"{}", dialect="alpha")  # wrong: no such dialect


def read_the_mirror(client: RealtimeClient) -> None:
    for item in client.conversation:
        assert_type(item.formatted.transcript, str)
        assert_type(item.formatted.tool, FormattedTool | None)
        item.formatted.tool.name.upper()  # wrong: not every item is a call
    assert_type(client.conversation.item("item_1").status, str | None)
    client.conversation["item_1"]  # wrong: `item(...)`


# Tools stay the functions that they were.


def offer(client: RealtimeClient) -> None:
    @client.tool
    def add(a: int, b: int = 1) -> int:
        return a + b

    @client.tool(timeout=5, on_interrupt="cancel")
    async def search(query: str, context: ToolContext) -> list[str]:
        return [query, context.call_id]

    assert_type(add(1, 2), int)
    add("one")  # wrong: the function's own types hold
    client.tool(retries=3)  # wrong (not ty): no such option
    client.tool(on_interrupt="explode")  # wrong: `finish` or `cancel`
    client.add_tool({"name": "hang_up"}, lambda arguments: arguments.get("reason"))
    client.add_tool("hang_up", print)  # wrong: a definition
    client.remove_tool(add)  # wrong: its name


# The usage is counted, priced and limited.


def count(client: RealtimeClient, blocking: sync.RealtimeClient) -> None:
    assert_type(client.usage, UsageReport)
    assert_type(blocking.usage.cost, float | None)
    assert_type(client.usage.responses.cached.audio, int)
    RealtimeClient(budget=Budget(cost=0.5), prices=PRICES.updated({"m": Prices(text_in=1)}))
    sync.RealtimeClient(budget=Budget(tokens=1000))
    RealtimeClient(tracer=True)
    RealtimeClient(tracer="my.application")  # wrong: a tracer
    RealtimeClient(budget=0.5)  # wrong: dollars or tokens
    Budget(cost="0.5")  # wrong: a number
    client.usage.cost + 1.0  # wrong: it may be unknown


def time(client: RealtimeClient, blocking: sync.RealtimeClient) -> None:
    assert_type(client.latency, LatencyReport)
    assert_type(client.latency.turns[-1].to_first_audio, float | None)
    assert_type(blocking.latency.percentile(95, "to_first_audio"), float | None)
    assert_type(blocking.latency.turns, tuple[TurnLatency, ...])
    client.latency.percentile(95, "to_first_word")  # wrong: no such stage


# The client without `await` has the same names.


def block(client: sync.RealtimeClient) -> None:
    with client as same:
        assert_type(same, sync.RealtimeClient)
    handle = client.send_user_message_content("Hello")
    for delta in handle:
        assert_type(delta, Delta)
    assert_type(handle.result(timeout=5), ga.Response)
    assert_type(client.create_item(ga.ItemReference(id="item_1")).result(), str)
    client.update_session(instruction="Be brief.")  # wrong (not ty): misspelled
    for update in client:
        assert_type(update, Update)


# The embedded server takes brains and faults, and shows what it received.


async def serve() -> None:
    def brain(request: BrainRequest) -> str:
        return request.heard.upper()

    async with LocalServer(brain, faults=[Close(1011, at="response.created")]) as server:
        assert_type(server.url, str)
        received = await server.sessions[0].wait_for("response.create", timeout=5)
        assert_type(received.type, str)
    async with ChaosProxy(server.url, seed=7) as proxy:
        proxy.delay(0.2, jitter=0.1, towards="client")
        proxy.stall(towards="everyone")  # wrong: no direction
        assert_type(proxy.url, str)
        assert_type(proxy.connections[0].bytes_to_client, int)
    LocalServer(brain=3)  # wrong: no brain
    LocalServer(faults=Close(1011))  # wrong: a list of them


async def hold_a_voice_conversation(client: RealtimeClient) -> None:
    def show(notice: Notice) -> None: ...

    policy = VoicePolicy(backchannel=Backchannel(words=frozenset({"uh"})), echo="off")
    VoicePolicy(echo="loud")  # wrong: not one of the four
    async with attach(
        client, Microphone(WavInput("a.wav")), Speaker(), policy=policy, on_notice=show
    ) as voice:
        assert_type(voice, VoiceConversation)
        assert_type(voice.microphone.level, float)
        voice.press(1)  # wrong: no argument
    async for audio in Microphone("USB"):
        assert_type(audio, bytes)
    Speaker(WavInput("a.wav"))  # wrong: no output device
