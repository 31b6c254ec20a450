"""Requests, cancellations and refusals, as public threads report them. Each test names its threads.

All are on GitHub, written as `owner/repository#number`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.client.replays.service import (
    Service,
    Watch,
    both_dialects,
    call,
    message,
    refusal,
    speech,
)

from duologue import ResponseFailed, ServerError
from duologue.protocol import ga

if TYPE_CHECKING:
    from duologue.protocol.codec import Dialect

pytestmark = pytest.mark.asyncio

BUSY = "conversation_already_has_active_response"
BUSY_TEXTS = [
    refusal("Conversation already has an active response"),
    refusal("Conversation already has an active response in progress: resp_v. Wait ...", BUSY),
]
"""As sent in 2024, and since; both without the id of the request."""

TEXT = ga.Message(role="user", content=[ga.InputText(text="Hello")])


@both_dialects
@pytest.mark.parametrize("error", BUSY_TEXTS, ids=["2024", "code"])
async def test_a_request_that_loses_against_turn_detection_is_sent_again(
    dialect: Dialect, error: dict[str, Any]
) -> None:
    """openai/openai-realtime-agents#3, openai/openai-realtime-console#473,
    openai/openai-agents-python#1466, tleyden/arty#81, livekit/agents#6817, jhakulin/realtime-ai#30:
    the refusal has no `event_id`, in 2024 not even a code.
    """
    server = Service(dialect)
    async with server.client() as client:
        watch = Watch(client)
        server.hear("item_u")
        response = client.create_response()
        await server.got("response.create")
        server.begin("resp_v")
        server.error(error)
        whole = server.speak("To you.", "resp_v", "item_v")
        server.finish("resp_v", output=[whole])
        await server.got("response.create", 2)
        server.answer("To me.", "resp_2")
        await response
        assert (response.id, response.transcript) == ("resp_2", "To me.")
        assert watch.errors == []
        assert [words for _, words in watch.conversation()] == ["", "To you.", "To me."]


@both_dialects
async def test_a_request_after_a_cancellation_waits_for_the_end(dialect: Dialect) -> None:
    """livekit/agents#2064, openai/openai-agents-python#2760, ReviewStage/luke#12: `response.cancel`
    and `response.create` sent together are refused, as the first response still ends.
    """
    server = Service(dialect)
    async with server.client() as client:
        watch = Watch(client)
        first = client.create_response()
        await server.got("response.create")
        server.begin("resp_1")
        server.speak("I was about", ends=False)
        await server.processed(client)
        client.cancel_response()
        second = client.create_response()
        await server.got("response.cancel")
        await server.processed(client)
        assert server.types().count("response.create") == 1
        cut = message("item_a", "I was about", status="incomplete")
        server.send("response.output_item.done", response_id="resp_1", output_index=0, item=cut)
        reason = {"type": "cancelled", "reason": "client_cancelled"}
        server.finish("resp_1", "cancelled", status_details=reason, output=[cut])
        await server.got("response.create", 2)
        server.answer("Hello.", "resp_2", "item_b")
        assert (await first).status == "cancelled"
        await second
        assert second.transcript == "Hello."
        assert watch.conversation() == [("item_a", "I was about"), ("item_b", "Hello.")]
        assert watch.errors == []


@both_dialects
async def test_a_request_cancelled_before_its_response_begins_is_cancelled_when_it_does(
    dialect: Dialect,
) -> None:
    """livekit/agents#6223, #6244: nobody wants the response that the server creates after all, and
    the next request must not find it in the way.
    """
    server = Service(dialect)
    async with server.client() as client:
        watch = Watch(client)
        first = client.create_response()
        first.cancel()
        await server.got("response.create")
        server.begin("resp_1")
        cancel = await server.got("response.cancel")
        assert cancel["response_id"] == "resp_1"
        second = client.create_response()
        server.finish("resp_1", "cancelled", output=[])
        await server.got("response.create", 2)
        server.answer("Hello.", "resp_2")
        assert (await first).status == "cancelled"
        await second
        assert second.transcript == "Hello."
        assert watch.errors == []


NOT_ACTIVE = "Cancellation failed: no active response found"


@both_dialects
@pytest.mark.parametrize("code", ["response_cancel_not_active", None])
@pytest.mark.parametrize("names_it", [True, False])
async def test_a_cancellation_that_comes_too_late_is_no_error(
    dialect: Dialect, code: str | None, names_it: bool
) -> None:
    """block/berd#318, hashintel/hash#9399, openai/openai-agents-js#220,
    mapluisch/OpenAI-Realtime-API-for-Unity#5: the response has ended before the cancellation
    arrives. While it is refused, another request is open.
    """
    server = Service(dialect)
    server.replies("Hello.")
    async with server.client() as client:
        watch = Watch(client)
        await client.create_response()
        del server.answers["response.create"]
        client.cancel_response()
        event = await server.got("response.cancel")
        second = client.create_response()
        await server.got("response.create", 2)
        event_id = event["event_id"] if names_it else None
        server.error(refusal(NOT_ACTIVE, code, event_id=event_id))
        server.answer("Again.", "resp_2", "item_b")
        await second
        assert second.transcript == "Again."
        assert watch.errors == []


RATE_LIMIT = {
    "type": "failed",
    "error": {
        "type": "invalid_request_error",
        "code": "inference_rate_limit_exceeded",
        "message": "We're currently processing too many requests",
    },
}


@both_dialects
@pytest.mark.parametrize("is_begun", [True, False])
async def test_a_failed_response_says_why(dialect: Dialect, is_begun: bool) -> None:
    """openai/openai-python#2502 (Azure), and
    twilio-samples/speech-assistant-openai-realtime-api-node#37: the reason is in `status_details`,
    and `response.done` may be all that the server sends.
    """
    server = Service(dialect)
    async with server.client() as client:
        watch = Watch(client)
        response = client.create_response()
        await server.got("response.create")
        for response_id in ("resp_1", "resp_v"):
            if is_begun:
                server.begin(response_id)
            server.finish(response_id, "failed", status_details=RATE_LIMIT, output=[])
        with pytest.raises(ResponseFailed, match="too many requests") as raised:
            await response
        assert raised.value.code == "inference_rate_limit_exceeded"
        assert len(watch.errors) == 1  # that of turn detection, which nothing awaits
        assert "too many requests" in watch.errors[0]


@both_dialects
@pytest.mark.parametrize("details", ["incomplete", {"type": "incomplete", "reason": None}, None])
async def test_the_details_of_a_status_may_be_anything(dialect: Dialect, details: object) -> None:
    """livekit/agents#5993, #5808 (xAI): `status_details` is a text."""
    server = Service(dialect)
    async with server.client() as client:
        watch = Watch(client)
        response = client.create_response()
        await server.got("response.create")
        server.begin()
        server.speak("It is")
        server.finish(status="incomplete", status_details=details)
        assert (await response).status == "incomplete"
        assert response.transcript == "It is"
        assert watch.errors == []


@both_dialects
async def test_a_response_that_is_never_done_ends_in_time(dialect: Dialect) -> None:
    """nithiink/yapcode#21 (Azure), livekit/agents#2552: `response.done` never comes, and the
    conversation is frozen.
    """
    server = Service(dialect)
    async with server.client(command_timeout=0.1) as client:
        first = client.create_response()
        await server.got("response.create")
        server.begin("resp_1")
        server.speak("Hello.")
        await server.processed(client)
        second = client.create_response()
        with pytest.raises(TimeoutError, match="resp_1"):
            await first
        await server.got("response.create", 2)
        server.answer("Again.", "resp_2", "item_b")
        await second
        assert (first.transcript, second.transcript) == ("Hello.", "Again.")


@both_dialects
@pytest.mark.parametrize(
    "ending",
    [{"response": {"status": "completed"}}, {"response": {"id": None, "output": None}}, {}],
)
async def test_a_response_may_end_without_an_id(dialect: Dialect, ending: dict[str, Any]) -> None:
    """ai-dynamo/dynamo#10166: a server of few events, which ends a response with a status alone."""
    server = Service(dialect)
    async with server.client() as client:
        watch = Watch(client)
        first = client.create_response()
        await server.got("response.create")
        server.begin()
        server.speak("Hello.")
        await server.processed(client)
        second = client.create_response()
        server.send("response.done", **ending)
        await first
        assert first.transcript == "Hello."
        await server.got("response.create", 2)
        server.answer("Again.", "resp_2", "item_b")
        await second
        assert watch.errors == []


@both_dialects
async def test_a_response_that_is_announced_twice_is_one(dialect: Dialect) -> None:
    """dograh-hq/dograh#684 (xAI): events come twice, and the answer is written twice."""
    server = Service(dialect)
    async with server.client() as client:
        watch = Watch(client)
        first = client.create_response()
        await server.got("response.create")
        server.begin()
        server.begin()
        await server.processed(client)
        second = client.create_response()
        whole = server.speak("Hello.")
        server.finish(output=[whole])
        server.finish(output=[whole])
        await first
        await server.got("response.create", 2)
        server.answer("Again.", "resp_2", "item_b")
        await second
        assert (first.transcript, second.transcript) == ("Hello.", "Again.")
        assert watch.conversation() == [("item_a", "Hello."), ("item_b", "Again.")]
        assert watch.appended == watch.completed == ["item_a", "item_b"]
        assert watch.errors == []


@both_dialects
async def test_a_response_with_calls_only_ends_without_audio(dialect: Dialect) -> None:
    """langwatch/scenario#646: whoever waits for the first audio waits for ever."""
    server = Service(dialect)
    async with server.client() as client:
        response = client.create_response()
        await server.got("response.create")
        server.begin()
        item = call("item_c", "call_1", "look")
        server.send("response.output_item.added", response_id="resp_1", output_index=0, item=item)
        server.send("conversation.item.added", previous_item_id=None, item=item)
        server.send("response.output_item.done", response_id="resp_1", output_index=0, item=item)
        server.finish(output=[item])
        deltas = [delta async for delta in response]
        assert [delta.audio for delta in deltas if delta.audio] == []
        await response
        [called] = response.items
        assert called.formatted.tool is not None


TOO_SMALL = (
    "Error committing input audio buffer: buffer too small. Expected at least 100ms of audio"
)


@both_dialects
@pytest.mark.parametrize("code", ["input_audio_buffer_commit_empty", None])
async def test_an_empty_commit_is_an_error_only_where_it_is_awaited(
    dialect: Dialect, code: str | None
) -> None:
    """openai/openai-agents-js#748, betalgo/openai#674: turn detection has committed already."""
    server = Service(dialect)
    server.answers["input_audio_buffer.commit"] = lambda _: server.error(refusal(TOO_SMALL, code))
    async with server.client() as client:
        watch = Watch(client)
        client.append_input_audio(bytes(480))
        with pytest.raises(ServerError, match="too small"):
            await client.commit_input_audio()
        client.commit_input_audio()
        item = client.create_item(TEXT)
        await server.got("input_audio_buffer.commit", 2)
        server.add(message("item_u", "Hello", role="user"))
        assert await item == "item_u"
        assert watch.errors == []


@both_dialects
async def test_a_commit_may_be_answered_by_clearing(dialect: Dialect) -> None:
    """lemonade-sdk/lemonade#1739: after the end of a turn, the rest of the buffer is cleared."""
    server = Service(dialect)
    server.answers["input_audio_buffer.commit"] = lambda _: server.send(
        "input_audio_buffer.cleared"
    )
    async with server.client(command_timeout=0.02) as client:
        client.append_input_audio(bytes(480))
        with pytest.raises(TimeoutError, match=r"input_audio_buffer\.commit"):
            await client.commit_input_audio()
        assert client.is_connected


REFUSALS: list[Any] = [
    pytest.param(
        "session.update",
        refusal("Cannot update a conversation's voice if assistant audio is present.", code),
        id=f"openai/openai-python#2607-{code}",
    )
    for code in ("cannot_update_voice", None)
]
REFUSALS += [
    pytest.param(
        "session.update",
        refusal("Unknown parameter: 'session.tools[2].meta'.", "unknown_parameter", param=param),
        id=f"livekit/agents#3398-{param}",
    )
    for param in ("session.tools[2].meta", None)
]
REFUSALS += [
    pytest.param(
        "conversation.item.create",
        refusal(
            "Missing required parameter: 'item.content[0].text'.",
            "missing_required_parameter",
            param="item.content[0].text",
        ),
        id="openai/openai-agents-js#963",
    ),
    pytest.param(
        "conversation.item.delete",
        refusal("Item with item_id not found: item_a", "item_not_found", param="item_id"),
        id="livekit/agents#7073",
    ),
    pytest.param(
        "conversation.item.truncate",
        refusal("Audio content of 9250ms is already shorter than 57340ms"),
        id="twilio-samples/speech-assistant-openai-realtime-api-python#45",
    ),
    pytest.param(
        "conversation.item.truncate",
        refusal("Only model output audio messages can be truncated", "unsupported_content_type"),
        id="livekit/agents#6157",
    ),
    pytest.param(
        "response.create",
        refusal("Your request was too large", "rate_limit_exceeded"),
        id="livekit/agents#5566",
    ),
]


@both_dialects
@pytest.mark.parametrize("is_awaited", [True, False])
@pytest.mark.parametrize(("kind", "error"), REFUSALS)
async def test_a_refusal_without_an_id_reaches_whoever_asked(
    dialect: Dialect, kind: str, error: dict[str, Any], is_awaited: bool
) -> None:
    """The ids name the threads: what waits for the answer waits for ever, or until a time-out."""
    server = Service(dialect)
    async with server.client() as client:
        watch = Watch(client)
        server.answers[kind] = lambda _: server.error(error)
        pending: Any = {
            "session.update": lambda: client.update_session(instructions="x"),
            "conversation.item.create": lambda: client.create_item(TEXT),
            "conversation.item.delete": lambda: client.delete_item("item_a"),
            "conversation.item.truncate": lambda: client.truncate_item("item_a", 57_340),
            "response.create": client.create_response,
        }[kind]()
        if is_awaited:
            with pytest.raises(ServerError) as raised:
                await pending
            assert raised.value.message == error["message"]
            assert watch.errors == []
        else:
            await server.got(kind)
            await server.processed(client)
            assert pending.is_done
            assert len(watch.errors) == 1
            assert error["message"] in watch.errors[0]
        del server.answers[kind]
        server.hear("item_u")
        server.answer("Hello.", "resp_v")
        await server.processed(client)
        assert watch.conversation() == [("item_u", ""), ("item_a", "Hello.")]


@both_dialects
async def test_a_server_that_answers_the_output_of_a_tool_by_itself_ends_no_session(
    dialect: Dialect,
) -> None:
    """pipecat-ai/pipecat#3960: the server begins the next response before it is requested, and the
    refusal of the request ends the call.
    """
    server = Service(dialect)
    async with server.client() as client:
        watch = Watch(client)

        @client.tool
        def look() -> str:
            """Look out of the window."""
            return "sunny"

        await server.got("session.update")
        client.create_response()
        await server.got("response.create")
        server.begin("resp_1")
        item = call("item_c", "call_1", "look")
        server.send("response.output_item.done", response_id="resp_1", output_index=0, item=item)
        server.finish("resp_1", output=[item])
        output = await server.got("conversation.item.create")
        request = await server.got("response.create", 2)
        server.add({"id": "item_o", **output["item"]}, "item_c")
        server.begin("resp_v")
        server.error(refusal(BUSY_TEXTS[1]["message"], BUSY, event_id=request["event_id"]))
        whole = server.speak("It is sunny.", "resp_v")
        server.finish("resp_v", output=[whole])
        await server.processed(client)
        assert watch.conversation()[-1] == ("item_a", "It is sunny.")
        assert watch.errors == []
        assert client.is_connected


@both_dialects
async def test_an_error_that_concerns_nothing_is_reported_and_nothing_else(
    dialect: Dialect,
) -> None:
    """openai/openai-realtime-console#51, BerriAI/litellm#13471: a fault of the server."""
    server = Service(dialect)
    async with server.client() as client:
        watch = Watch(client)
        fault = {"type": "server_error", "code": None, "message": "The server had an error"}
        server.error(fault)
        server.add(speech("item_u"))
        server.answer("Hello.")
        await server.processed(client)
        assert len(watch.errors) == 1
        assert watch.completed == ["item_u", "item_a"]
