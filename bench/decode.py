"""Decoding to typed events, against OpenAI's SDK and against what JSON costs at all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import orjson
from openai.resources.realtime.realtime import RealtimeConnection
from pybase64 import b64decode

from bench.corpus import mixed
from bench.timing import interleaved
from duologue.protocol import codec, ga
from duologue.protocol.model import Raw

PARSE = RealtimeConnection.parse_event


def bare_union() -> Callable[[bytes], object]:
    """Return the decoder of the fields that we know and nothing else: the floor."""
    copies: dict[type, Any] = {}

    def copy(kind: Any) -> Any:
        """Return a type with each struct replaced by a plain twin without our base's fields."""
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            if kind not in copies:
                copies[kind] = twin(kind)
            return copies[kind]
        arguments = getattr(kind, "__args__", None)
        if not arguments:
            return kind
        made = tuple(copy(argument) for argument in arguments)
        origin = getattr(kind, "__origin__", None)
        if origin is None:
            union: Any = made[0]
            for member in made[1:]:
                union = union | member
            return union
        return kind if origin is not list and origin is not dict else origin[made]

    def twin(kind: type[msgspec.Struct]) -> Any:
        config = kind.__struct_config__
        fields = [
            (field.name, copy(field.type))
            if field.required
            else (field.name, copy(field.type), msgspec.UNSET)
            for field in msgspec.structs.fields(kind)
            if field.name != "extra"
        ]
        return msgspec.defstruct(
            kind.__name__,
            fields,
            kw_only=True,
            frozen=True,
            tag_field=config.tag_field,
            tag=config.tag,
        )

    return msgspec.json.Decoder(copy(ga.KnownServerEvent)).decode


def eager(frame: bytes) -> object:
    event = codec.decode(frame)
    return event.audio_data if isinstance(event, ga.ResponseAudioDeltaEvent) else event


def openai_eager(frame: bytes) -> object:
    event = PARSE(None, frame)  # type: ignore[arg-type]  # the method uses nothing of its object
    return b64decode(event.delta) if event.type == "response.output_audio.delta" else event


def over(frames: list[bytes], decode: Callable[[bytes], object]) -> Callable[[], None]:
    def path() -> None:
        for frame in frames:
            decode(frame)

    return path


def run() -> dict[str, object]:
    frames, id_first = mixed(), mixed(id_first=True)
    unknown = [b'{"type":"response.invented","event_id":"event_1","value":[1,2,3]}'] * len(frames)
    took = interleaved(
        {
            "ours": over(frames, codec.decode),
            "ours, audio bytes": over(frames, eager),
            "openai": over(frames, lambda frame: PARSE(None, frame)),  # type: ignore[arg-type]
            "openai, audio bytes": over(frames, openai_eager),
            "bare union": over(frames, bare_union()),
            "orjson": over(frames, orjson.loads),
            "unknown": over(unknown, codec.decode),
        }
    )
    order = interleaved({"type": over(frames, codec.decode), "id": over(id_first, codec.decode)})
    assert isinstance(codec.decode(frames[0]), ga.ResponseAudioDeltaEvent)
    assert Raw is msgspec.Raw
    ratio = lambda name, base: round(took[name] / took[base], 2)  # noqa: E731
    return {
        "openai over ours, audio left encoded (>= 22)": ratio("openai", "ours"),
        "openai over ours, audio bytes (>= 17)": ratio("openai, audio bytes", "ours, audio bytes"),
        "ours over a bare msgspec union (<= 1.3)": ratio("ours", "bare union"),
        "ours over untyped orjson.loads (< 1)": ratio("ours", "orjson"),
        "event_id before type over after (<= 1.1)": round(order["id"] / order["type"], 2),
        "unknown event, us (<= 8)": round(took["unknown"] / len(frames) * 1e6, 2),
    }
