"""The responses that are being made: at most one of the conversation itself, any number beside it.

A response is announced at once; the engine is asked for it when no words of the user are awaited.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from duologue.protocol import ga
from duologue.server.session.engine_work import CancelWork, Command, Respond
from duologue.server.session.response_config import resolve_response
from duologue.server.session.response_writer import ResponseWriter
from duologue.server.session.usage import NO_TOKENS, PromptMeter, Tokens
from duologue.server.session.validation import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Callable

    from duologue.server.session.conversation import ServerConversation, StoredItem

__all__ = ["ResponseScheduler"]

MAX_RUNNING: Final = 32
"""Responses at a time, beyond which none out-of-band is begun; the conversation's own may be."""


@dataclass(slots=True)
class _Running:
    writer: ResponseWriter
    is_asked: bool = False
    """Whether the engine was asked for it."""


class ResponseScheduler:
    """Starts responses, takes what the engine makes of them, ends them."""

    def __init__(
        self,
        conversation: ServerConversation,
        *,
        emit: Callable[[ga.KnownServerEvent], None],
        command: Callable[[Command], None],
        new_id: Callable[[str], str],
        on_answered: Callable[[], None],
    ) -> None:
        self._conversation = conversation
        self._conversation_id = new_id("conv")
        self._emit = emit
        self._command = command
        self._new_id = new_id
        self._on_answered = on_answered
        self._running: dict[str, _Running] = {}
        self._meter = PromptMeter()
        self.active_id: str | None = None
        """The running response of the conversation itself."""
        self.have_spoken: bool = False
        """Whether any audio was made: the voice is fixed then."""

    def start(
        self, params: ga.ResponseCreateParams, session: ga.RealtimeSession
    ) -> list[StoredItem]:
        """Announce a response; `release` asks the engine for it.

        Returns:
            What it reads, unless that is the conversation.

        Raises:
            InvalidRequest: If the parameters are invalid, or a response is in progress.
        """
        plan = resolve_response(
            params,
            session,
            self._conversation,
            new_id=self._new_id,
            conversation_id=self._conversation_id,
        )
        if plan.conversation_id is None and len(self._running) >= MAX_RUNNING:
            message = f"{MAX_RUNNING} responses are in progress already; wait for one to end."
            raise InvalidRequest("too_many_responses", message)
        if plan.conversation_id is not None:
            if self.active_id is not None:
                message = (
                    f"Conversation already has an active response in progress: {self.active_id}."
                    " Wait until the response is finished before creating a new one."
                )
                raise InvalidRequest("conversation_already_has_active_response", message)
            self.active_id = plan.response_id
        writer = ResponseWriter(plan, self._conversation, emit=self._emit, new_id=self._new_id)
        self._running[plan.response_id] = _Running(writer)
        writer.begin()
        return plan.items or []

    def release(self) -> None:
        """Ask the engine for the responses that waited for words of the user."""
        for running in self._running.values():
            if not running.is_asked:
                running.is_asked = True
                self._command(self._request(running.writer))

    def interrupt(self) -> None:
        """Cancel the conversation's response because the user speaks."""
        if self.active_id is not None:
            self._cancel(self.active_id, "turn_detected")

    def cancel(self, response_id: str | None) -> None:
        """Cancel a response, or the conversation's own, at the client's wish.

        Raises:
            InvalidRequest: If it is not running.
        """
        target = response_id or self.active_id
        if target is None or target not in self._running:
            message = "Cancellation failed: no active response found"
            raise InvalidRequest("response_cancel_not_active", message)
        self._cancel(target, "client_cancelled")

    def text(self, response_id: str, text: str) -> None:
        """Add words to a response; one that has ended takes nothing more."""
        if running := self._running.get(response_id):
            running.writer.text(text)
            self._end_if_full(running.writer)

    def audio(self, response_id: str, pcm: bytes) -> None:
        """Add speech to a response."""
        if running := self._running.get(response_id):
            running.writer.audio(pcm)
            self.have_spoken = True
            self._end_if_full(running.writer)

    def call(self, response_id: str, name: str, arguments: str) -> None:
        """Add a function call to a response; where none may be made, none is."""
        running = self._running.get(response_id)
        if running and running.writer.plan.tool_choice != ga.ToolChoiceMode.NONE:
            running.writer.call(name, arguments)
            self._end_if_full(running.writer)

    def is_making_call(self, call_id: str) -> bool:
        """Say whether the conversation's response, still in progress, has made a call."""
        running = self._running.get(self.active_id) if self.active_id is not None else None
        return running is not None and running.writer.holds_call(call_id)

    def done(self, response_id: str, tokens: Tokens, *, truncated: bool = False) -> None:
        """End a response that the engine has made, or cut at its token limit."""
        if truncated:
            self._finish_short(response_id, tokens)
        else:
            self._finish(response_id, "completed", None, tokens)

    def failed(self, response_id: str, message: str, *, code: str = "engine_failed") -> None:
        """End a response that the engine could not make."""
        error = ga.ResponseError(type="server_error", code=code, message=message)
        details = ga.ResponseStatusDetails(type="failed", error=error)
        self._finish(response_id, "failed", details, NO_TOKENS)

    def _end_if_full(self, writer: ResponseWriter) -> None:
        if writer.is_full:
            self._command(CancelWork(writer.plan.response_id))
            self._finish_short(writer.plan.response_id, NO_TOKENS)

    def _finish_short(self, response_id: str, tokens: Tokens) -> None:
        details = ga.ResponseStatusDetails(type="incomplete", reason="max_output_tokens")
        self._finish(response_id, "incomplete", details, tokens)

    def _cancel(self, response_id: str, reason: str) -> None:
        self._command(CancelWork(response_id))
        details = ga.ResponseStatusDetails(type="cancelled", reason=reason)
        self._finish(response_id, "cancelled", details, NO_TOKENS)

    def _finish(
        self,
        response_id: str,
        status: str,
        details: ga.ResponseStatusDetails | None,
        tokens: Tokens,
    ) -> None:
        running = self._running.pop(response_id, None)
        if running is None:
            return  # cancelled just before the engine's last word came
        was_active = response_id == self.active_id
        if was_active:
            self.active_id = None
        running.writer.finish(status, details, tokens)
        self._emit(ga.RateLimitsUpdatedEvent(event_id=self._new_id("event"), rate_limits=[]))
        if was_active:
            self._on_answered()

    def _request(self, writer: ResponseWriter) -> Respond:
        plan = writer.plan
        stored = self._conversation.stored() if plan.items is None else plan.items
        writer.read = self._meter.read(plan.instructions, plan.tools, stored)
        return Respond(
            response_id=plan.response_id,
            instructions=plan.instructions,
            items=[entry.current for entry in stored],
            tools=plan.tools,
            tool_choice=plan.tool_choice,
            parallel_tool_calls=plan.parallel_tool_calls,
            max_output_tokens=plan.token_limit,
            speaks=plan.speaks,
            voice=plan.voice,
            speed=plan.speed,
        )
