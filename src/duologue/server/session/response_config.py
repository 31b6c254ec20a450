"""The configuration of one response: its own parameters over those of the session."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from duologue.protocol import ga
from duologue.protocol.model import UNSET, UnsetType, replace
from duologue.server.session.audio_input import check_format, format_of, input_of, output_of
from duologue.server.session.conversation import StoredItem
from duologue.server.session.item_events import prepared
from duologue.server.session.validation import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Callable

    from duologue.protocol.formats import Format
    from duologue.server.session.conversation import ServerConversation

__all__ = ["ResponseConfig", "resolve_response"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseConfig:
    """Configuration of a response, with every choice made."""

    response_id: str
    conversation_id: str | None
    """`None` for an out-of-band response."""
    speaks: bool
    instructions: str
    items: list[StoredItem] | None
    """Items that the model reads instead of the conversation: some of it, some of the client's."""
    tools: list[ga.Tool]
    tool_choice: ga.ToolChoice
    parallel_tool_calls: bool
    max_output_tokens: int | str
    """As the client configured it: a number or `inf`."""
    token_limit: int | None
    """The same number; `None` for no limit."""
    audio_format: ga.AudioFormat
    """Format of the audio that the client receives."""
    voice: str
    speed: float
    metadata: dict[str, str] | None | UnsetType = UNSET


def resolve_response(
    params: ga.ResponseCreateParams,
    session: ga.RealtimeSession,
    conversation: ServerConversation,
    *,
    new_id: Callable[[str], str],
    conversation_id: str,
) -> ResponseConfig:
    """Return the configuration of a new response.

    Raises:
        InvalidRequest: If the parameters are invalid.
    """
    tools = _first(params.tools, session.tools, [])
    output = output_of(session)
    own = params.audio.output if params.audio is not UNSET else UNSET
    own = ga.ResponseAudioOutput() if own is UNSET else own
    if own.format is not UNSET:  # the session's was checked when it was configured
        check_format(own.format, "response.audio.output.format")
    default_voice: ga.VoiceChoice = "alloy"
    default_format: ga.AudioFormat = ga.AudioPcm(rate=24000)
    unlimited: int | str = "inf"
    limit = _first(params.max_output_tokens, session.max_output_tokens, unlimited)
    voice = _first(own.voice, output.voice, default_voice)
    is_out_of_band = params.conversation == ga.ConversationMode.NONE
    items = None
    if params.input is not UNSET:
        source = format_of(input_of(session).format)
        items = _input_items(params.input, source, conversation, new_id)
    return ResponseConfig(
        response_id=new_id("resp"),
        conversation_id=None if is_out_of_band else conversation_id,
        speaks=_first(params.output_modalities, session.output_modalities, ["audio"]) == ["audio"],
        instructions=_first(params.instructions, session.instructions, ""),
        items=items,
        tools=tools,
        tool_choice=_tool_choice(params, session, tools),
        parallel_tool_calls=_first(
            params.parallel_tool_calls, session.parallel_tool_calls, default=True
        ),
        max_output_tokens=limit,
        token_limit=limit if isinstance(limit, int) else None,
        audio_format=_first(own.format, output.format, default_format),
        voice=voice if isinstance(voice, str) else voice.id or "",
        speed=1.0 if output.speed is UNSET else output.speed,
        metadata=params.metadata,
    )


def _input_items(
    requested: list[ga.Item],
    source: Format,
    conversation: ServerConversation,
    new_id: Callable[[str], str],
) -> list[StoredItem]:
    """Return the items of an `input`: those that it references in the conversation, and its own."""
    found: list[StoredItem] = []
    for index, item in enumerate(requested):
        path = f"response.input[{index}]"
        if isinstance(item, ga.ItemReference):
            found.append(conversation.get(item.id, param=f"{path}.id"))
            continue
        own, pcm = prepared(item, source, new_id=new_id, path=path)
        stored = StoredItem(replace(own, id=new_id("item")))  # nothing else has this id
        stored.add_audio(pcm)
        found.append(stored)
    return found


def _tool_choice(
    params: ga.ResponseCreateParams, session: ga.RealtimeSession, tools: list[ga.Tool]
) -> ga.ToolChoice:
    """Return the tool choice; the session's may name a tool that this response does not have."""
    own, usual = params.tool_choice, session.tool_choice
    if own is not UNSET:
        if isinstance(own, ga.ToolChoiceFunction) and not _has_function(tools, own.name):
            message = f"Tool choice '{own.name}' not found in 'tools'."
            raise InvalidRequest("invalid_value", message, "response.tool_choice")
        return own
    if usual is UNSET:
        return ga.ToolChoiceMode.AUTO
    if isinstance(usual, ga.ToolChoiceFunction) and not _has_function(tools, usual.name):
        return ga.ToolChoiceMode.AUTO
    return usual


def _has_function(tools: list[ga.Tool], name: str) -> bool:
    return any(isinstance(tool, ga.FunctionTool) and tool.name == name for tool in tools)


def _first(own: T | UnsetType, usual: T | UnsetType, default: T) -> T:
    """Return the response's own value, else the session's, else the default."""
    if own is not UNSET:
        return own
    return default if usual is UNSET else usual
