"""Azure Voice Live's form of beta, for servers: more settings, and other names for some of them.

What the session core has no place for (avatars, noise suppression, phrase lists) has no effect. It
is kept here, and reported in `session.updated` as the client requested it. What can be expressed in
beta is: an Azure voice by its name, Azure's turn detection as `server_vad`, `input_items` as
`input`.

Source: models of the `azure-ai-voicelive` package, 1.3; recorded traffic.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

import msgspec

from duologue.errors import DecodeError
from duologue.protocol import beta, ga
from duologue.protocol._frame_limits import check_frame
from duologue.protocol.dialects.adapter import InvalidClientEvent
from duologue.protocol.dialects.beta import BetaAdapter
from duologue.protocol.model import UNSET

if TYPE_CHECKING:
    from duologue.protocol.model import Json, UnsetType

__all__ = ["VoiceLiveAdapter"]

Object = dict[str, "Json"]

MAX_REQUESTED: Final = 50
"""Settings that are kept; Voice Live has about twenty that the core has not."""

_NO_TEMPERATURE: Final = frozenset({"temperature"})  # Voice Live's range is another: 0 to 1
_SESSION: Final = frozenset(beta.SessionConfig.__struct_encode_fields__) - _NO_TEMPERATURE
_RESPONSE: Final = frozenset(beta.ResponseCreateParams.__struct_encode_fields__) - _NO_TEMPERATURE
_DETECTION: Final = frozenset(beta.TurnDetection.__struct_encode_fields__)
_TRANSCRIPTION: Final = frozenset(beta.InputAudioTranscription.__struct_encode_fields__)


class VoiceLiveAdapter(BetaAdapter):
    """Adapter of a server's connection at Voice Live's path; see `DialectAdapter`."""

    def __init__(self) -> None:
        super().__init__()
        self._requested: Final[Object] = {}
        """Settings that the core does not have as the client requested them."""
        self._instructions = ""

    def decode_client(self, frame: bytes | str) -> Sequence[ga.AnyClientEvent]:
        """Return the GA events of a client's frame."""
        body = _configuring(frame)
        if body is None:
            return super().decode_client(frame)
        if body["type"] == "session.update":
            return self._update_session(body)
        return self._create_response(body)

    def encode_server(self, event: ga.KnownServerEvent) -> Sequence[bytes]:
        """Return the frames of a GA server event."""
        if isinstance(event, ga.RateLimitsUpdatedEvent):
            return ()  # Voice Live has no such event
        frames = super().encode_server(event)
        if isinstance(event, ga.SessionCreatedEvent | ga.SessionUpdatedEvent):
            return [self._with_requested(frame) for frame in frames]
        return frames

    def _update_session(self, body: Object) -> Sequence[ga.AnyClientEvent]:
        wanted = _object(body["session"])
        _check_rates(wanted, _event_id(body))
        known = _in_beta({name: value for name, value in wanted.items() if name in _SESSION})
        events = super().decode_client(msgspec.json.encode(body | {"session": known}))
        for name, value in wanted.items():
            if known.get(name, UNSET) == value:
                self._requested.pop(name, None)
            else:
                self._requested[name] = value
        while len(self._requested) > MAX_REQUESTED:
            del self._requested[next(iter(self._requested))]
        return events

    def _create_response(self, body: Object) -> Sequence[ga.AnyClientEvent]:
        wanted = _object(body.get("response"))
        event_id = _event_id(body)
        if wanted.get("pre_generated_assistant_message") is not None:
            path = "response.pre_generated_assistant_message"
            message = f"Invalid '{path}': this server speaks only what its model answers."
            raise InvalidClientEvent("invalid_value", message, path, event_id=event_id)
        params = _in_beta({name: value for name, value in wanted.items() if name in _RESPONSE})
        if wanted.get("commit") is False:
            params["conversation"] = ga.ConversationMode.NONE.value
        if wanted.get("input_items") is not None:
            params["input"] = wanted["input_items"]
        more = body.pop("additional_instructions", None)
        if isinstance(more, str):
            instructions = params.get("instructions") or self._instructions
            params["instructions"] = f"{instructions}\n{more}"
        events: list[ga.AnyClientEvent] = []
        for item in _list(wanted.get("append_input_items")):
            create = {**_named(event_id), "type": "conversation.item.create", "item": item}
            events += super().decode_client(msgspec.json.encode(create))
        events += super().decode_client(msgspec.json.encode(body | {"response": params}))
        return events

    def _with_requested(self, frame: bytes) -> bytes:
        """Return the frame of a session with its settings as the client requested them."""
        body: Object = msgspec.json.decode(frame)
        session = _object(body["session"])
        self._instructions = str(session.get("instructions", ""))
        for name, value in self._requested.items():
            merge = _MERGES.get(name)
            session[name] = value if merge is None else merge(session.get(name), value)
        return msgspec.json.encode(body)


class _Kind(msgspec.Struct):
    type: str


def _configuring(frame: bytes | str) -> Object | None:
    """Return the body of a frame that configures a session or a response; `None` for others."""
    try:
        kind = msgspec.json.decode(frame, type=_Kind).type
        if kind not in ("session.update", "response.create"):
            return None
        check_frame(frame if isinstance(frame, bytes) else frame.encode())
        body: Object = msgspec.json.decode(frame)
    except (DecodeError, msgspec.DecodeError, UnicodeError, RecursionError):
        return None  # beta's adapter reports it
    config = body.get("session" if kind == "session.update" else "response")
    if isinstance(config, dict) or (config is None and kind == "response.create"):
        return body
    return None


def _event_id(body: Object) -> str | UnsetType:
    event_id = body.get("event_id")
    return event_id if isinstance(event_id, str) else UNSET


def _named(event_id: str | UnsetType) -> Object:
    return {} if event_id is UNSET else {"event_id": event_id}


def _check_rates(session: Object, event_id: str | UnsetType) -> None:
    """Refuse the rates of PCM that this server does not convert."""
    rate = session.get("input_audio_sampling_rate")
    is_pcm = session.get("input_audio_format") in (None, beta.AudioFormat.PCM16)
    if rate is not None and rate != (_PCM_HZ if is_pcm else _G711_HZ):
        path = "session.input_audio_sampling_rate"
        message = f"Invalid '{path}': expected {_PCM_HZ} for PCM, {_G711_HZ} for G.711."
        raise InvalidClientEvent("invalid_value", message, path, event_id=event_id)


_PCM_HZ: Final = 24_000
_G711_HZ: Final = 8_000


def _in_beta(config: Object) -> Object:
    """Return beta's fields of a session or a response with the values that beta has."""
    return config | {
        name: make(config[name]) for name, make in _VALUES.items() if config.get(name) is not None
    }


def _voice(value: Json) -> Json:
    name = value.get("name") if isinstance(value, dict) else None
    return value if name is None else name


def _modalities(value: Json) -> Json:
    """Drop `animation` and `avatar`; audio includes its text."""
    if not isinstance(value, list):
        return value
    return ["text", "audio"] if "audio" in value else ["text"]


def _turn_detection(value: Json) -> Json:
    """Let Azure's semantic detection end a turn by its silence."""
    if not isinstance(value, dict):
        return value
    known = _some(value, _DETECTION)
    if str(value.get("type")).startswith("azure_semantic_vad"):
        known["type"] = beta.TurnDetectionType.SERVER_VAD.value
    return known


def _transcription(value: Json) -> Json:
    if not isinstance(value, dict):
        return value
    known = _some(value, _TRANSCRIPTION)
    if value.get("phrase_list"):
        known["keywords"] = value["phrase_list"]
    return known


def _noise_reduction(value: Json) -> Json:
    if isinstance(value, dict) and str(value.get("type")).startswith("azure_"):
        return None
    return value


def _include(value: Json) -> Json:
    return [name for name in _list(value) if name in list(ga.Include)]


_VALUES: Final[Mapping[str, Callable[[Json], Json]]] = {
    "voice": _voice,
    "modalities": _modalities,
    "turn_detection": _turn_detection,
    "input_audio_transcription": _transcription,
    "input_audio_noise_reduction": _noise_reduction,
    "include": _include,
}


def _some(value: Object, known: frozenset[str]) -> Object:
    """Return the known fields that are not null: Voice Live writes null for its default."""
    return {name: entry for name, entry in value.items() if name in known and entry is not None}


def _merged_voice(actual: Json, requested: Json) -> Json:
    return requested if _voice(requested) == actual else actual


def _merged_detection(actual: Json, requested: Json) -> Json:
    """Return the detection with the defaults that the core completed."""
    if not isinstance(actual, dict) or not isinstance(requested, dict):
        return actual
    return actual | _some(requested, frozenset(requested))


_MERGES: Final[Mapping[str, Callable[[Json, Json], Json]]] = {
    "voice": _merged_voice,
    "turn_detection": _merged_detection,
}


def _object(value: Json) -> Object:
    return value if isinstance(value, dict) else {}


def _list(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []
