"""Responses in progress: at most one of the conversation, and any number out-of-band.

A response is announced at once, but the engine is asked for it only when no transcript of the user
is pending: the model reads the user's words.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from duologue.protocol import ga
from duologue.server.session.engine_work import NO_TOKENS, CancelWork, Respond, TextTokens
from duologue.server.session.response_config import resolve_response
from duologue.server.session.response_writer import ResponseWriter
from duologue.server.session.usage import PromptCache, RateLimits
from duologue.server.session.validation import InvalidRequest

if TYPE_CHECKING:
    from duologue.server.session.context import ConversationContext
    from duologue.server.session.conversation import ServerConversation, StoredItem
    from duologue.server.session.idle_timeout import IdleTimer

__all__ = ["ResponseScheduler"]

MAX_RUNNING: Final = 32
"""Responses at a time. At this number no out-of-band response starts; the conversation's may."""


@dataclass(slots=True)
class _Running:
    writer: ResponseWriter
    is_requested: bool = False
    """Whether the engine was asked for it."""


class ResponseScheduler:
    """Starts responses, passes the engine's output to their writers, and ends them."""

    def __init__(
        self, conversation: ServerConversation, context: ConversationContext, idle: IdleTimer
    ) -> None:
        self._conversation: Final = conversation
        self._context: Final = context
        self._idle: Final = idle
        self._conversation_id: Final = context.new_id("conv")
        self._running: Final[dict[str, _Running]] = {}
        self._prompts: Final = PromptCache()
        self._rate_limits: Final = RateLimits()
        self.active_id: str | None = None
        """The conversation's own response in progress."""
        self.has_spoken: bool = False
        """Whether any audio was generated: the voice cannot change after that."""

    def start(
        self, params: ga.ResponseCreateParams, session: ga.RealtimeSession
    ) -> list[StoredItem]:
        """Announce a response; `request_pending` asks the engine for it.

        Returns:
            The items of its own `input`; empty if it reads the conversation.

        Raises:
            InvalidRequest: If the parameters are invalid, or a response is in progress.
        """
        config = resolve_response(
            params,
            session,
            self._conversation,
            new_id=self._context.new_id,
            conversation_id=self._conversation_id,
        )
        is_out_of_band = config.conversation_id is None
        if is_out_of_band and len(self._running) >= MAX_RUNNING:
            message = f"{MAX_RUNNING} responses are in progress already; wait for one to end."
            raise InvalidRequest("too_many_responses", message)
        if not is_out_of_band:
            if self.active_id is not None:
                message = (
                    f"Conversation already has an active response in progress: {self.active_id}."
                    " Wait until the response is finished before creating a new one."
                )
                raise InvalidRequest("conversation_already_has_active_response", message)
            self.active_id = config.response_id
            self._idle.response_started(config.response_id)
        writer = ResponseWriter(config, self._conversation, self._context, self._idle)
        self._running[config.response_id] = _Running(writer)
        writer.begin()
        return config.items or []

    def request_pending(self) -> None:
        """Ask the engine for the responses that waited for transcripts."""
        for running in self._running.values():
            if not running.is_requested:
                running.is_requested = True
                self._context.start(self._request(running.writer))

    def interrupt(self) -> None:
        """Cancel the conversation's response because the user speaks."""
        if self.active_id is not None:
            self._cancel(self.active_id, "turn_detected")

    def cancel(self, response_id: str | None) -> None:
        """Cancel a response on the client's request; `None` means the conversation's own.

        Raises:
            InvalidRequest: If it is not in progress.
        """
        target = response_id or self.active_id
        if target is None or target not in self._running:
            message = "Cancellation failed: no active response found"
            raise InvalidRequest("response_cancel_not_active", message)
        self._cancel(target, "client_cancelled")

    def add_text(self, response_id: str, text: str) -> None:
        """Add text to a response; output of one that has ended is ignored, here and below."""
        if running := self._running.get(response_id):
            running.writer.text(text)
            self._finish_if_full(running.writer)

    def add_audio(self, response_id: str, pcm: bytes) -> None:
        """Add speech to a response."""
        if running := self._running.get(response_id):
            running.writer.audio(pcm)
            self.has_spoken = True
            self._finish_if_full(running.writer)

    def add_call(self, response_id: str, name: str, arguments: str) -> None:
        """Add a function call to a response, unless its `tool_choice` is `none`."""
        running = self._running.get(response_id)
        if running and running.writer.config.tool_choice != ga.ToolChoiceMode.NONE:
            running.writer.call(name, arguments)
            self._finish_if_full(running.writer)

    def is_making_call(self, call_id: str) -> bool:
        """Return whether the conversation's response in progress has made this call."""
        running = self._running.get(self.active_id) if self.active_id is not None else None
        return running is not None and running.writer.has_call(call_id)

    def finish(self, response_id: str, tokens: TextTokens, *, truncated: bool) -> None:
        """End a response that the engine has finished, or stopped at the token limit."""
        if truncated:
            self._finish_incomplete(response_id, tokens)
        else:
            self._finish(response_id, "completed", None, tokens)

    def fail(self, response_id: str, message: str, code: str) -> None:
        """End a response that the engine could not finish."""
        error = ga.ResponseError(type="server_error", code=code, message=message)
        details = ga.ResponseStatusDetails(type="failed", error=error)
        self._finish(response_id, "failed", details, NO_TOKENS)

    def _finish_if_full(self, writer: ResponseWriter) -> None:
        if writer.is_full:
            self._context.start(CancelWork(writer.config.response_id))
            self._finish_incomplete(writer.config.response_id, NO_TOKENS)

    def _finish_incomplete(self, response_id: str, tokens: TextTokens) -> None:
        details = ga.ResponseStatusDetails(type="incomplete", reason="max_output_tokens")
        self._finish(response_id, "incomplete", details, tokens)

    def _cancel(self, response_id: str, reason: str) -> None:
        self._context.start(CancelWork(response_id))
        details = ga.ResponseStatusDetails(type="cancelled", reason=reason)
        self._finish(response_id, "cancelled", details, NO_TOKENS)

    def _finish(
        self,
        response_id: str,
        status: str,
        details: ga.ResponseStatusDetails | None,
        tokens: TextTokens,
    ) -> None:
        running = self._running.pop(response_id, None)
        if running is None:
            return  # it was cancelled just before the engine's last result arrived
        if response_id == self.active_id:
            self.active_id = None
        usage = running.writer.finish(status, details, tokens)
        now = self._context.now
        self._context.statistics.response_ended(status)
        self._idle.response_ended(response_id, is_cancelled=status == "cancelled", now=now)
        limits = self._rate_limits.spend(usage, now)
        event_id = self._context.event_id()
        self._context.emit(ga.RateLimitsUpdatedEvent(event_id=event_id, rate_limits=limits))

    def _request(self, writer: ResponseWriter) -> Respond:
        config = writer.config
        stored = self._conversation.stored() if config.items is None else config.items
        writer.prompt = self._prompts.read(config.instructions, config.tools, stored)
        return Respond(
            response_id=config.response_id,
            instructions=config.instructions,
            items=writer.prompt.items,
            tools=config.tools,
            tool_choice=config.tool_choice,
            parallel_tool_calls=config.parallel_tool_calls,
            max_output_tokens=config.token_limit,
            speaks=config.speaks,
            voice=config.voice,
            speed=config.speed,
        )
