"""Steps of a conversation or transcription session: configuration, items and responses.

A step is a function of the session's parts and of what has occurred: a client event, a result of
the engine, or a change in the user's speech. The table in `session.py` lists which steps an
occurrence takes, and in which order. `input_steps.py` has the steps about the user's speech.

A step that refuses a client event raises `InvalidRequest`; the steps after it are skipped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from duologue.protocol import ga
from duologue.protocol.model import UNSET
from duologue.server.session.audio_input import input_of
from duologue.server.session.config import (
    SessionType,
    requested_change,
    shown_session,
    updated_session,
)
from duologue.server.session.conversation import id_is_taken
from duologue.server.session.engine_work import LogWarning, PrewarmBrain
from duologue.server.session.validation import InvalidRequest

if TYPE_CHECKING:
    from duologue.server.session.engine_work import (
        GenerationFailed,
        GenerationFinished,
        ResponseAudioChunk,
        ResponseFunctionCall,
        ResponseTextChunk,
    )
    from duologue.server.session.parts import SessionParts


# Configuration.


def configure_parts(parts: SessionParts, _event: object) -> None:
    """Apply the configuration to the parts that follow it."""
    parts.input_audio.configure(parts.config)
    parts.transcription.config = parts.input_audio.transcription
    parts.idle.configure(input_of(parts.config), parts.context.now)


def update_session(parts: SessionParts, event: ga.SessionUpdateEvent) -> None:
    """Change the configuration, wholly or not at all."""
    change = requested_change(event.session, parts.session_type)
    parts.config = updated_session(parts.config, change, spoken=parts.responses.has_spoken)


def prewarm_brain(parts: SessionParts, _event: object) -> None:
    """Have the brain read the beginning of every prompt while the user has yet to speak."""
    if parts.session_type is not SessionType.CONVERSATION:
        return
    config = parts.config
    parts.context.start(
        PrewarmBrain(
            instructions="" if config.instructions is UNSET else config.instructions,
            tools=[] if config.tools is UNSET else config.tools,
            tool_choice="auto" if config.tool_choice is UNSET else config.tool_choice,
        )
    )


def confirm_update(parts: SessionParts, _event: object) -> None:
    """Send `session.updated`."""
    session = shown_session(parts.config, parts.session_type)
    event_id = parts.context.event_id()
    parts.context.emit(ga.SessionUpdatedEvent(event_id=event_id, session=session))


def report_mcp_failures(parts: SessionParts, event: ga.SessionUpdateEvent) -> None:
    """Report that the tools of each MCP server cannot be listed: this server calls none.

    OpenAI's server asks every MCP server for its tools, so applications must handle one that cannot
    be reached. Functions in the same list are not affected.
    """
    tools = event.session.tools if isinstance(event.session, ga.RealtimeSession) else UNSET
    context = parts.context
    for tool in [] if tools is UNSET else tools:
        if isinstance(tool, ga.McpTool):
            label = tool.server_label
            context.start(
                LogWarning(f"the tools of MCP server {label!r} fail: this server calls none")
            )
            item_id = context.new_id("mcpl")
            for kind in (ga.McpListToolsInProgress, ga.McpListToolsFailed):
                context.emit(kind(event_id=context.event_id(), item_id=item_id))


def refuse_beta_update(_parts: SessionParts, _event: object) -> None:
    """Refuse `transcription_session.update`, which exists in beta only."""
    message = (
        "Invalid value: 'transcription_session.update'. It is beta: use session.update with"
        " session.type 'transcription'."
    )
    raise InvalidRequest("invalid_value", message, "type")


# Items.


def create_item(parts: SessionParts, event: ga.ConversationItemCreateEvent) -> None:
    """Add a client's item.

    Raises:
        InvalidRequest: If the item is invalid, or its id is that of the turn under way.
    """
    if parts.open_turn_id is not None and event.item.id == parts.open_turn_id:
        raise id_is_taken(parts.open_turn_id)
    parts.items.create(event, parts.config)


def retrieve_item(parts: SessionParts, event: ga.ConversationItemRetrieveEvent) -> None:
    """Send an item."""
    parts.items.retrieve(event, parts.config)


def truncate_item(parts: SessionParts, event: ga.ConversationItemTruncateEvent) -> None:
    """Cut an assistant message to what the user has heard."""
    parts.items.truncate(event)


def delete_item(parts: SessionParts, event: ga.ConversationItemDeleteEvent) -> None:
    """Delete an item."""
    parts.items.delete(event)


# Responses.


def require_conversation(parts: SessionParts, event: ga.KnownClientEvent) -> None:
    """Refuse a transcription session's client that asks for a response, or to cancel one."""
    if parts.session_type is not SessionType.CONVERSATION:
        message = (
            f"Invalid value: '{event.type}'. A transcription session has no responses; connect"
            " with ?model= for a conversation."
        )
        raise InvalidRequest("invalid_value", message, "type")


def create_response(parts: SessionParts, event: ga.ResponseCreateEvent) -> None:
    """Start a response on the client's request."""
    params = event.response
    if not isinstance(params, ga.ResponseCreateParams):
        params = ga.ResponseCreateParams()
    _start_response(parts, params)
    parts.context.statistics.response_requested(parts.context.now)


def respond_to_turn(parts: SessionParts, _speech: object) -> None:
    """Start a response to the user's turn, unless the client creates its responses itself."""
    if parts.input_audio.responds:
        respond_to_silence(parts, _speech)


def respond_to_silence(parts: SessionParts, _occurrence: object) -> None:
    """Start a response, at once or after the one that is in progress."""
    if parts.responses.active_id is None:
        _start_response(parts, ga.ResponseCreateParams())
    else:
        parts.owes_response = True  # the user spoke over a response that cannot be interrupted


def cancel_response(parts: SessionParts, event: ga.ResponseCancelEvent) -> None:
    """Cancel a response on the client's request."""
    parts.responses.cancel(None if event.response_id is UNSET else event.response_id)


def add_response_text(parts: SessionParts, result: ResponseTextChunk) -> None:
    """Send more text of a response."""
    parts.responses.add_text(result.response_id, result.text)


def add_response_audio(parts: SessionParts, result: ResponseAudioChunk) -> None:
    """Send more speech of a response."""
    parts.responses.add_audio(result.response_id, result.pcm)


def add_function_call(parts: SessionParts, result: ResponseFunctionCall) -> None:
    """Send a function call of a response."""
    parts.responses.add_call(result.response_id, result.name, result.arguments)


def finish_response(parts: SessionParts, result: GenerationFinished) -> None:
    """End a response that is complete."""
    parts.responses.finish(result.response_id, result.tokens, truncated=result.truncated)


def fail_response(parts: SessionParts, result: GenerationFailed) -> None:
    """End a response that the engine could not finish."""
    parts.responses.fail(result.response_id, result.message, result.code)


def process_deferred_events(parts: SessionParts, _occurrence: object) -> None:
    """Process the client events that waited for the end of the conversation's response."""
    if parts.responses.active_id is None:
        for event in parts.deferred.release():
            parts.receive(event)


def start_owed_response(parts: SessionParts, _occurrence: object) -> None:
    """Answer the turn that ended during a response, now that this one has ended."""
    if parts.owes_response and parts.responses.active_id is None:
        parts.owes_response = False
        _start_response(parts, ga.ResponseCreateParams())


def request_responses(parts: SessionParts, _occurrence: object) -> None:
    """Ask the engine for the announced responses, unless a transcript is pending."""
    if not parts.transcription.pending:
        parts.responses.request_pending()


def refuse_output_clear(_parts: SessionParts, _event: object) -> None:
    """Refuse `output_audio_buffer.clear`, which needs a server that plays the audio itself."""
    message = "output_audio_buffer.clear is for WebRTC and SIP; over a WebSocket use truncate."
    raise InvalidRequest("invalid_event", message, "type")


def _start_response(parts: SessionParts, params: ga.ResponseCreateParams) -> None:
    if parts.session_type is not SessionType.CONVERSATION:
        return
    for stored in parts.responses.start(params, parts.config):
        item_id = str(stored.item.id)
        if stored.audio and item_id not in parts.conversation:
            parts.transcription.transcribe(item_id, stored)
