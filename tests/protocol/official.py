"""The official types of `openai` 3.52, to compare with."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Final

from openai.types import realtime
from openai.types.beta import realtime as beta_realtime
from pydantic import TypeAdapter, ValidationError

if TYPE_CHECKING:
    from tests.protocol.protocol_data import Example

OFFICIAL: Final[dict[tuple[str, str, str], Any]] = {
    ("ga", "client", "realtime"): realtime.RealtimeClientEvent,
    ("ga", "server", "realtime"): realtime.RealtimeServerEvent,
    ("ga", "client", "translation"): realtime.RealtimeTranslationClientEvent,
    ("ga", "server", "translation"): realtime.RealtimeTranslationServerEvent,
    ("beta", "client", "realtime"): beta_realtime.RealtimeClientEvent,
    ("beta", "server", "realtime"): beta_realtime.RealtimeServerEvent,
}


@cache
def adapter(dialect: str, direction: str, surface: str) -> TypeAdapter[Any]:
    return TypeAdapter(OFFICIAL[dialect, direction, surface])


def adapter_of(example: Example) -> TypeAdapter[Any]:
    return adapter(example.dialect, example.direction, example.surface)


def refusal(example: Example) -> str | None:
    """Return why the official types refuse an example."""
    try:
        adapter_of(example).validate_python(example.payload)
    except ValidationError as error:
        return str(error)
    return None


UNKNOWN_TO_THE_SDK: Final[dict[str, set[str]]] = {
    "ga": {"transcription_session.update", "transcription_session.updated"},
    "beta": {
        "conversation.item.input_audio_transcription.segment",
        "mcp_list_tools.completed",
        "mcp_list_tools.failed",
        "mcp_list_tools.in_progress",
        "response.mcp_call.completed",
        "response.mcp_call.failed",
        "response.mcp_call.in_progress",
        "response.mcp_call_arguments.delta",
        "response.mcp_call_arguments.done",
        "transcription_session.created",
    },
}
"""Events that only the reference lists."""


def is_unknown_to_the_sdk(example: Example) -> bool:
    return example.type in UNKNOWN_TO_THE_SDK[example.dialect]
