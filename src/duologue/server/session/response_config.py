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
    audio_format: ga.AudioFormat
    """Format of the audio that the client receives."""
    voice: str
    speed: float
    metadata: dict[str, str] | None | UnsetType = UNSET

    @property
    def modality(self) -> str:
        """`audio` or `text`."""
        return "audio" if self.speaks else "text"

    @property
    def token_limit(self) -> int | None:
        """Most output tokens; `None`: no limit."""
        return self.max_output_tokens if isinstance(self.max_output_tokens, int) else None


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
    modalities = session.output_modalities
    if params.output_modalities is not UNSET:
        modalities = params.output_modalities
    tools = _or(params.tools, _or(session.tools, []))
    output = output_of(session)
    own = params.audio.output if params.audio is not UNSET else UNSET
    own = ga.ResponseAudioOutput() if own is UNSET else own
    check_format(own.format, "response.audio.output.format")
    voice: ga.VoiceChoice = "alloy"
    voice = _or(own.voice, _or(output.voice, voice))
    audio_format: ga.AudioFormat = ga.AudioPcm(rate=24000)
    audio_format = _or(own.format, _or(output.format, audio_format))
    limit = session.max_output_tokens
    if params.max_output_tokens is not UNSET:
        limit = params.max_output_tokens
    out_of_band = params.conversation == ga.ConversationMode.NONE
    return ResponseConfig(
        response_id=new_id("resp"),
        conversation_id=None if out_of_band else conversation_id,
        speaks=modalities == ["audio"],
        instructions=_or(params.instructions, _or(session.instructions, "")),
        items=None
        if params.input is UNSET
        else _input_items(params.input, format_of(input_of(session).format), conversation, new_id),
        tools=tools,
        tool_choice=_choice(params, session, tools),
        parallel_tool_calls=_or(params.parallel_tool_calls, session.parallel_tool_calls)
        is not False,
        max_output_tokens="inf" if limit is UNSET else limit,
        audio_format=audio_format,
        voice=voice if isinstance(voice, str) else voice.id,
        speed=_or(output.speed, 1.0),
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


def _choice(
    params: ga.ResponseCreateParams, session: ga.RealtimeSession, tools: list[ga.Tool]
) -> ga.ToolChoice:
    """Return the tool choice; the session's may name a tool that this response does not have."""
    names = {tool.name for tool in tools if isinstance(tool, ga.FunctionTool)}
    own, usual = params.tool_choice, session.tool_choice
    if isinstance(own, ga.ToolChoiceFunction) and own.name not in names:
        message = f"Tool choice '{own.name}' not found in 'tools'."
        raise InvalidRequest("invalid_value", message, "response.tool_choice")
    if own is not UNSET:
        return own
    if usual is UNSET or (isinstance(usual, ga.ToolChoiceFunction) and usual.name not in names):
        return ga.ToolChoiceMode.AUTO
    return usual


def _or(value: T | UnsetType, otherwise: T) -> T:
    return otherwise if value is UNSET else value
