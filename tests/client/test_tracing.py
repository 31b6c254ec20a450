"""OpenTelemetry spans of turns, responses and tools."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from tests.client.client_doubles import MemoryServer, client_of

from duologue import RealtimeClient
from duologue.client.tracing import MAX_OPEN
from duologue.server import LocalServer
from duologue.server.engine.stages import BrainRequest, Call
from duologue.server.faults import Close

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

    from duologue.protocol.codec import Dialect

pytestmark = pytest.mark.asyncio

SECRET = "pomegranate"


class Spans:
    """A tracer, and the spans that it has made."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.tracer = provider.get_tracer("test")

    @property
    def ended(self) -> list[ReadableSpan]:
        return list(self._exporter.get_finished_spans())

    def named(self, start: str) -> list[ReadableSpan]:
        return [span for span in self.ended if span.name.startswith(start)]


def looking(request: BrainRequest) -> str | Call:
    """Call a tool with the secret, and tell its result."""
    return Call("look", f'{{"place": "{SECRET}"}}') if request.output is None else request.output


@pytest.fixture
def spans() -> Spans:
    return Spans()


def parent_of(span: ReadableSpan) -> int | None:
    return None if span.parent is None else span.parent.span_id


def id_of(span: ReadableSpan) -> int:
    assert span.context is not None
    return span.context.span_id


def attributes_of(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


@pytest.mark.parametrize("dialect", ["ga", "beta"])
async def test_a_turn_has_its_response_with_model_tokens_and_times(
    spans: Spans, dialect: Dialect
) -> None:
    async with (
        LocalServer() as server,
        RealtimeClient(
            url=server.url, model="gpt-realtime", dialect=dialect, tracer=spans.tracer
        ) as client,
    ):
        response = await client.ask(SECRET)
        usage, handle_id = response.usage, response.id
        [timed] = client.latency.turns
    [answer, turn] = spans.ended
    assert (turn.name, turn.kind, turn.parent) == ("turn", SpanKind.INTERNAL, None)
    assert (answer.name, answer.kind) == ("chat gpt-realtime", SpanKind.CLIENT)
    assert parent_of(answer) == id_of(turn)
    assert usage is not None
    found = attributes_of(answer)
    expected = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-realtime",
        "gen_ai.response.id": handle_id,
        "gen_ai.response.finish_reasons": ("completed",),
        "gen_ai.usage.input_tokens": usage.input_tokens,
        "gen_ai.usage.output_tokens": usage.output_tokens,
        "gen_ai.usage.cache_read.input_tokens": 0,
    }
    assert {name: found[name] for name in expected} == expected
    assert found["duologue.usage.output.audio_tokens"] > 0
    [times] = timed.responses
    assert times.requested is not None
    assert times.first_audio is not None
    since = times.first_audio - times.requested
    assert found["duologue.response.time_to_first_audio"] == since
    assert attributes_of(turn) == {
        f"duologue.turn.{stage}": getattr(timed, stage)
        for stage in ("to_response", "to_first_delta", "to_first_audio", "to_done")
    }
    assert turn.start_time is not None
    assert answer.start_time is not None
    assert turn.start_time <= answer.start_time
    assert turn.end_time == answer.end_time


async def test_a_tool_is_a_span_of_its_turn_and_the_parent_of_its_own(spans: Spans) -> None:
    async with (
        LocalServer(looking) as server,
        RealtimeClient(url=server.url, tracer=spans.tracer) as client,
    ):

        @client.tool
        def look(place: str) -> str:
            with spans.tracer.start_as_current_span("inside"):
                return f"a {place}"

        await client.ask("What do you see?")
    [turn] = spans.named("turn")
    [tool] = spans.named("execute_tool")
    first, second = spans.named("chat")
    [inside] = spans.named("inside")
    assert [parent_of(each) for each in (tool, first, second)] == [id_of(turn)] * 3
    assert parent_of(inside) == id_of(tool)
    assert tool.name == "execute_tool look"
    assert tool.status.status_code is StatusCode.UNSET
    found = attributes_of(tool)
    assert found.pop("gen_ai.tool.call.id").startswith("call_")
    assert found == {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "look",
        "gen_ai.tool.type": "function",
    }


async def test_no_span_has_content(spans: Spans) -> None:
    async with (
        LocalServer(looking) as server,
        RealtimeClient(url=server.url, tracer=spans.tracer, instructions=SECRET) as client,
    ):

        @client.tool
        async def look(place: str) -> str:
            raise LookupError(place)

        await client.ask(f"Where is the {SECRET}?")
    assert len(spans.ended) == 4
    assert [span.to_json() for span in spans.ended if SECRET in span.to_json()] == []
    [tool] = spans.named("execute_tool")
    assert tool.status.status_code is StatusCode.ERROR
    assert attributes_of(tool)["error.type"] == "LookupError"
    assert tool.events == ()


async def test_turns_are_below_the_span_of_the_application(spans: Spans) -> None:
    async with LocalServer() as server:
        client = RealtimeClient(url=server.url, tracer=spans.tracer)
        with spans.tracer.start_as_current_span("call") as call:
            await client.connect()
        await client.ask("Hello")
        await client.ask("Hello again")
        await client.close()
    call_id = call.get_span_context().span_id
    assert [parent_of(turn) for turn in spans.named("turn")] == [call_id] * 2


async def test_a_failed_response_has_the_type_of_its_error(spans: Spans) -> None:
    server = MemoryServer()
    async with client_of(server, tracer=spans.tracer, rate_limits=False) as client:
        handle = client.create_response()
        await server.got("response.create")
        server.begin()
        details = {"type": "failed", "error": {"code": "rate_limit_exceeded", "message": SECRET}}
        server.finish(status="failed", status_details=details)
        with pytest.raises(Exception, match=SECRET):
            await handle
    [answer] = spans.named("chat")
    assert answer.status.status_code is StatusCode.ERROR
    assert answer.status.description is None
    assert attributes_of(answer)["error.type"] == "rate_limit_exceeded"


async def test_a_lost_connection_ends_the_spans(spans: Spans) -> None:
    server = MemoryServer()
    async with client_of(server, tracer=spans.tracer) as client:
        client.create_response()
        await server.got("response.create")
        server.begin()
        await client.wait_for_next("response.created", timeout=5)
    answer, turn = spans.ended
    assert (answer.name, turn.name) == ("chat gpt-realtime", "turn")
    assert attributes_of(answer)["error.type"] == "disconnected"


async def test_a_response_that_was_cut_ends_and_is_requested_again(spans: Spans) -> None:
    async with (
        LocalServer() as server,
        RealtimeClient(url=server.url, tracer=spans.tracer) as client,
    ):
        server.sessions[0].fail(Close(1011, at="response.output_item.added"))
        await client.ask("Hello")
        assert client.usage.responses.count == 1
        assert [turn.to_done is None for turn in client.latency.turns] == [True, False]
    cut, again = spans.named("chat")
    assert attributes_of(cut)["error.type"] == "disconnected"
    assert attributes_of(again)["gen_ai.response.finish_reasons"] == ("completed",)
    assert len(spans.named("turn")) == 2


async def test_a_session_that_is_replaced_ends_its_responses(spans: Spans) -> None:
    async def slowly(_request: BrainRequest) -> str:
        await asyncio.Event().wait()
        return "never"

    async with (
        LocalServer(slowly) as server,
        RealtimeClient(url=server.url, tracer=spans.tracer) as client,
    ):
        client.send_user_message_content("Hello")
        await client.wait_for_next("response.created", timeout=5)
        await client.restart()
    assert attributes_of(spans.named("chat")[0])["error.type"] == "disconnected"


async def test_responses_that_never_end_are_bounded(spans: Spans) -> None:
    server = MemoryServer()
    async with client_of(server, tracer=spans.tracer) as client:
        for number in range(MAX_OPEN + 3):
            server.begin(f"resp_{number}")
        server.finish(f"resp_{MAX_OPEN + 2}")
        await client.wait_for_next("response.done", timeout=5)
        assert len(spans.named("chat")) == 4


async def test_calls_that_no_response_follows_end_with_the_next_turn(spans: Spans) -> None:
    server = MemoryServer()
    async with client_of(server, tracer=spans.tracer) as client:

        @client.tool(responds=False)
        async def look() -> str:
            return "a tree"

        handle = client.create_response()
        await server.got("response.create")
        call = {"type": "function_call", "name": "look", "call_id": "call_1", "arguments": "{}"}
        server.begin()
        server.finish(output=[call | {"id": "item_c", "status": "completed"}])
        await handle
        await server.got("conversation.item.create")
        assert spans.named("turn") == []
        handle = client.create_response()
        await server.got("response.create", times=2)
        server.begin("resp_2")
        server.finish("resp_2")
        await handle
        assert len(spans.named("turn")) == 2


async def test_the_callbacks_of_the_application_may_be_cleared(spans: Spans) -> None:
    async with (
        LocalServer() as server,
        RealtimeClient(url=server.url, tracer=spans.tracer) as client,
    ):
        client.clear_event_handlers()
        await client.ask("Hello")
    assert len(spans.named("turn")) == 1


async def test_the_global_tracer_makes_nothing_without_an_sdk() -> None:
    async with LocalServer() as server, RealtimeClient(url=server.url, tracer=True) as client:
        assert (await client.ask("Hello")).transcript == "You said: Hello"
