"""OpenTelemetry spans of turns, responses and tools, without their content.

A turn is the parent of its responses and of the tools that they call. What a tool does itself is
below its span. The attributes are those of OpenTelemetry's conventions for generative AI, which are
still in development; those of duologue's own begin with `duologue.`.

Only the API of OpenTelemetry is used: the application chooses the SDK and the exporter.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, get_args

from duologue._version import __version__
from duologue.client.tools import ToolRegistry
from duologue.errors import MissingExtra, ToolFailed
from duologue.protocol import ga
from duologue.session.latency import Stage
from duologue.session.retention import remember
from duologue.session.updates import Disconnected, Reconnected
from duologue.session.usage import response_usage

try:
    from opentelemetry import context, trace
    from opentelemetry.trace import SpanKind, StatusCode
except ModuleNotFoundError as _error:
    raise MissingExtra("otel", "Tracing") from _error

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.context import Context
    from opentelemetry.trace import Span, Tracer
    from opentelemetry.util.types import AttributeValue

    from duologue.client.callbacks import CallbackRegistry
    from duologue.client.tool_schema import CallContext
    from duologue.session.latency import LatencyTracker, ResponseLatency
    from duologue.session.tool_calls import ToolCall

__all__ = ["SpanRecorder", "TracedTools"]

MAX_TURNS: Final = 64
"""Turns whose spans are remembered, as the parents of responses and tools to come."""

MAX_OPEN: Final = 64
"""Responses in progress; usually there is one."""

MAX_RESPONSES: Final = 256
"""Responses whose turns are remembered."""

NANOSECONDS: Final = 1_000_000_000

_MODALITIES: Final = ("text", "audio", "image")


@dataclass(slots=True, eq=False)
class _Turn:
    number: int
    span: Span
    is_ended: bool = False


@dataclass(slots=True, eq=False)
class _Response:
    turn: _Turn
    span: Span


class SpanRecorder:
    """Makes the spans of a client, from its events and their times.

    Args:
        tracer: Makes spans; `True`: a tracer of the global provider.
        callbacks: The client's callbacks.
        latency: The times of the client's turns.
        model: Returns the model that responds.
    """

    def __init__(
        self,
        tracer: Tracer | bool,  # noqa: FBT001  # either
        callbacks: CallbackRegistry,
        latency: LatencyTracker,
        model: Callable[[], str],
    ) -> None:
        self.tracer: Final[Tracer] = (
            trace.get_tracer("duologue", __version__) if isinstance(tracer, bool) else tracer
        )
        self._latency: Final = latency
        self._model: Final = model
        self._parent: Context | None = None
        self._offset = 0
        self._turns: Final[dict[int, _Turn]] = {}
        self._turn_of: Final[dict[str, _Turn]] = {}
        """The turns of responses, which may have ended, by response id."""
        self._open: Final[dict[str, _Response]] = {}
        callbacks.observe(ga.ResponseCreatedEvent, self._on_created)
        callbacks.observe(ga.ResponseDoneEvent, self._on_done)
        callbacks.observe(Disconnected, self._on_disconnected)
        callbacks.observe(Reconnected, self._on_reconnected)

    def open(self) -> None:
        """Begin a session: its turns are children of the span that is current now."""
        self._parent = context.get_current()
        # Events have monotonic times, spans those of the day.
        self._offset = time.time_ns() - _nanoseconds(asyncio.get_running_loop().time())

    def context_of(self, response_id: str) -> Context | None:
        """Return the context of the turn that a response belongs to."""
        turn = self._turn_of.get(response_id)
        return self._parent if turn is None else self._below(turn)

    def _on_created(self, event: ga.ResponseCreatedEvent) -> None:
        response_id = event.response.id or ""
        found = self._latency.turn_of(response_id)
        if found is None or response_id in self._open:
            return
        number, times = found
        turn = self._turns.get(number) or self._begin_turn(number, times.start)
        remember(self._turn_of, response_id, turn, MAX_RESPONSES)
        timing = times.responses[-1]
        began = timing.created if timing.requested is None else timing.requested
        model = self._model()
        span = self.tracer.start_span(
            f"chat {model}".strip(),
            context=self._below(turn),
            kind=SpanKind.CLIENT,
            attributes=_request_attributes(event.response, model),
            start_time=self._at(began),
        )
        if len(self._open) >= MAX_OPEN:  # the server never ends its responses
            self._open.pop(next(iter(self._open))).span.end()
        self._open[response_id] = _Response(turn, span)

    def _on_done(self, event: ga.ResponseDoneEvent) -> None:
        response = event.response
        found = self._open.pop(response.id or "", None)
        if found is None:
            return
        timing = self._timing(found.turn, response.id or "")
        found.span.set_attributes(_result_attributes(response, timing))
        if response.status == "failed":
            found.span.set_status(StatusCode.ERROR)
        found.span.end(self._at(timing.done) if timing and timing.done is not None else None)
        # The response after a tool belongs to the same turn; without one, the next turn ends it.
        if not any(isinstance(item, ga.FunctionCall) for item in response.output or []):
            self._end_turn(found.turn)

    def _on_disconnected(self, update: Disconnected) -> None:
        self._end_responses()
        if not update.will_retry:
            for turn in self._turns.values():
                self._end_turn(turn)
            self._turns.clear()

    def _on_reconnected(self, _update: Reconnected) -> None:
        self._end_responses()  # of a session that worked, and was replaced

    def _end_responses(self) -> None:
        """End the responses that were cut: the next session begins others."""
        for response in self._open.values():
            response.span.set_attribute("error.type", "disconnected")
            response.span.set_status(StatusCode.ERROR)
            response.span.end()
        self._open.clear()

    def _begin_turn(self, number: int, start: float) -> _Turn:
        is_awaited = {response.turn.number for response in self._open.values()}
        for before in self._turns.values():
            if before.number not in is_awaited:
                self._end_turn(before)
        span = self.tracer.start_span("turn", context=self._parent, start_time=self._at(start))
        return remember(self._turns, number, _Turn(number, span), MAX_TURNS)

    def _end_turn(self, turn: _Turn) -> None:
        if turn.is_ended:
            return
        turn.is_ended = True
        times = self._latency.turn(turn.number)
        end: float | None = None
        if times is not None:
            stages = {stage: getattr(times, stage) for stage in get_args(Stage)}
            turn.span.set_attributes(_known({f"duologue.turn.{k}": v for k, v in stages.items()}))
            end = times.responses[-1].done
        turn.span.end(None if end is None else self._at(end))

    def _timing(self, turn: _Turn, response_id: str) -> ResponseLatency | None:
        times = self._latency.turn(turn.number)
        responses = () if times is None else times.responses
        return next((r for r in reversed(responses) if r.response_id == response_id), None)

    def _below(self, turn: _Turn) -> Context:
        return trace.set_span_in_context(turn.span, self._parent)

    def _at(self, seconds: float) -> int:
        return self._offset + _nanoseconds(seconds)


class TracedTools(ToolRegistry):
    """Tools whose calls are spans.

    Args:
        context: Returns the context that is passed to a tool with a call.
        spans: The spans of the client.
    """

    def __init__(self, context: Callable[[ToolCall], CallContext], spans: SpanRecorder) -> None:
        super().__init__(context)
        self._spans: Final = spans

    async def run(self, call: ToolCall) -> str:
        """Run a call and return its output; see `ToolRegistry.run`."""
        with self._spans.tracer.start_as_current_span(
            f"execute_tool {call.name}",
            context=self._spans.context_of(call.response_id),
            attributes={
                "gen_ai.operation.name": "execute_tool",
                "gen_ai.tool.name": call.name,
                "gen_ai.tool.type": "function",
                "gen_ai.tool.call.id": call.call_id,
            },
            record_exception=False,  # its text may be content
            set_status_on_exception=False,
        ) as span:
            try:
                return await super().run(call)
            except BaseException as error:
                cause = (error.__cause__ or error) if isinstance(error, ToolFailed) else error
                span.set_attribute("error.type", type(cause).__qualname__)
                span.set_status(StatusCode.ERROR)
                raise


def _request_attributes(response: ga.Response, model: str) -> dict[str, AttributeValue]:
    modalities = response.output_modalities or []
    kinds = {"audio": "speech", "text": "text"}
    return _known(
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openai",  # whose protocol it is
            "gen_ai.request.model": model or None,
            "gen_ai.conversation.id": response.conversation_id or None,
            "gen_ai.output.type": next((kinds[k] for k in kinds if k in modalities), None),
            "gen_ai.response.id": response.id or None,
        }
    )


def _result_attributes(
    response: ga.Response, timing: ResponseLatency | None
) -> dict[str, AttributeValue]:
    usage = response_usage(response)
    found: dict[str, AttributeValue | None] = {
        "gen_ai.response.finish_reasons": [str(response.status)] if response.status else None,
    }
    if response.usage:
        found["gen_ai.usage.input_tokens"] = usage.input.total
        found["gen_ai.usage.output_tokens"] = usage.output.total
        found["gen_ai.usage.cache_read.input_tokens"] = usage.cached.total
        counts = {"input": usage.input, "cached": usage.cached, "output": usage.output}
        for name, tokens in counts.items():
            for modality in _MODALITIES:
                number = getattr(tokens, modality)
                found[f"duologue.usage.{name}.{modality}_tokens"] = number or None
    if response.status == "failed":
        error = response.status_details.error if response.status_details else None
        found["error.type"] = (error.code or error.type or "failed") if error else "failed"
    if timing is not None:
        since = timing.created if timing.requested is None else timing.requested
        for name, moment in (
            ("gen_ai.response.time_to_first_chunk", timing.first_delta),
            ("duologue.response.time_to_first_audio", timing.first_audio),
        ):
            found[name] = None if moment is None else moment - since
    return _known(found)


def _known(attributes: dict[str, AttributeValue | None]) -> dict[str, AttributeValue]:
    return {name: value for name, value in attributes.items() if value is not None}


def _nanoseconds(seconds: float) -> int:
    return round(seconds * NANOSECONDS)
