"""The Python home of the OpenAI Realtime protocol.

The names exported here are imported on first use. Everything else is imported from its module:
`duologue.protocol.ga` has the types of all events, items and configurations.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

from duologue._version import __version__

if TYPE_CHECKING:
    from duologue._local import local
    from duologue.client.api import RealtimeAPI
    from duologue.client.callbacks import RealtimeEventHandler
    from duologue.client.client import RealtimeClient, ToolContext
    from duologue.client.endpoint import Endpoint
    from duologue.client.handles import Pending, ResponseHandle
    from duologue.client.rest import RealtimeRest
    from duologue.errors import (
        BudgetExceeded,
        Closed,
        ConfigurationError,
        ConnectionLost,
        DecodeError,
        DialectRefused,
        DuologueError,
        HandshakeRefused,
        ItemNotFound,
        LocalProtocolError,
        MissingExtra,
        ModelUnavailable,
        RemoteProtocolError,
        RequestRefused,
        ResponseFailed,
        ServerError,
        SessionRefused,
        ToolFailed,
    )
    from duologue.session.conversation import RealtimeConversation
    from duologue.session.dead_air import DeadAirPolicy
    from duologue.session.formatted import (
        FormattedItem,
        FormattedProperty,
        FormattedTool,
        ItemSpeech,
    )
    from duologue.session.latency import LatencyReport, TurnLatency
    from duologue.session.playback import PlaybackCut, PlaybackLedger
    from duologue.session.prices import Prices, PriceTable
    from duologue.session.rate_limits import RateLimitPolicy
    from duologue.session.reconnect import ReconnectPolicy
    from duologue.session.retention import Retention
    from duologue.session.transcript import Transcript
    from duologue.session.transcript_entry import TranscriptEntry, TranscriptWord
    from duologue.session.updates import (
        ConversationUpdated,
        DeadAir,
        Delta,
        Disconnected,
        ErrorUpdate,
        InputAudioDropped,
        Interrupted,
        ItemAppended,
        ItemCompleted,
        RateLimited,
        RealtimeEvent,
        Reconnected,
        Update,
    )
    from duologue.session.usage import Budget, UsageReport

__all__ = [
    "Budget",
    "BudgetExceeded",
    "Closed",
    "ConfigurationError",
    "ConnectionLost",
    "ConversationUpdated",
    "DeadAir",
    "DeadAirPolicy",
    "DecodeError",
    "Delta",
    "DialectRefused",
    "Disconnected",
    "DuologueError",
    "Endpoint",
    "ErrorUpdate",
    "FormattedItem",
    "FormattedProperty",
    "FormattedTool",
    "HandshakeRefused",
    "InputAudioDropped",
    "Interrupted",
    "ItemAppended",
    "ItemCompleted",
    "ItemNotFound",
    "ItemSpeech",
    "LatencyReport",
    "LocalProtocolError",
    "MissingExtra",
    "ModelUnavailable",
    "Pending",
    "PlaybackCut",
    "PlaybackLedger",
    "PriceTable",
    "Prices",
    "RateLimitPolicy",
    "RateLimited",
    "RealtimeAPI",
    "RealtimeClient",
    "RealtimeConversation",
    "RealtimeEvent",
    "RealtimeEventHandler",
    "RealtimeRest",
    "ReconnectPolicy",
    "Reconnected",
    "RemoteProtocolError",
    "RequestRefused",
    "ResponseFailed",
    "ResponseHandle",
    "Retention",
    "ServerError",
    "SessionRefused",
    "ToolContext",
    "ToolFailed",
    "Transcript",
    "TranscriptEntry",
    "TranscriptWord",
    "TurnLatency",
    "Update",
    "UsageReport",
    "__version__",
    "local",
]

_MODULES: Final = {
    "duologue.client.api": ("RealtimeAPI",),
    "duologue.client.callbacks": ("RealtimeEventHandler",),
    "duologue.client.client": ("RealtimeClient", "ToolContext"),
    "duologue.client.endpoint": ("Endpoint",),
    "duologue.client.handles": ("Pending", "ResponseHandle"),
    "duologue.client.rest": ("RealtimeRest",),
    "duologue._local": ("local",),
    "duologue.session.conversation": ("RealtimeConversation",),
    "duologue.session.dead_air": ("DeadAirPolicy",),
    "duologue.session.formatted": (
        "FormattedItem",
        "FormattedProperty",
        "FormattedTool",
        "ItemSpeech",
    ),
    "duologue.session.latency": ("LatencyReport", "TurnLatency"),
    "duologue.session.playback": ("PlaybackCut", "PlaybackLedger"),
    "duologue.session.prices": ("PriceTable", "Prices"),
    "duologue.session.rate_limits": ("RateLimitPolicy",),
    "duologue.session.reconnect": ("ReconnectPolicy",),
    "duologue.session.retention": ("Retention",),
    "duologue.session.transcript": ("Transcript",),
    "duologue.session.transcript_entry": ("TranscriptEntry", "TranscriptWord"),
    "duologue.session.updates": (
        "ConversationUpdated",
        "DeadAir",
        "Delta",
        "Disconnected",
        "ErrorUpdate",
        "InputAudioDropped",
        "Interrupted",
        "ItemAppended",
        "ItemCompleted",
        "RateLimited",
        "RealtimeEvent",
        "Reconnected",
        "Update",
    ),
    "duologue.session.usage": ("Budget", "UsageReport"),
}
_HOME: Final = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> object:
    if name in __all__:
        module = _HOME.get(name, "duologue.errors")
        place = name
    else:
        from duologue.protocol.aliases import CLIENT  # noqa: PLC0415  # names of other packages, rarely used

        if name not in CLIENT:
            raise AttributeError(f"module 'duologue' has no attribute {name!r}")
        module, _, place = CLIENT[name].rpartition(".")
    value: object = getattr(import_module(module), place)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
