"""Any bytes through everything that is between a socket and a session's core."""

from __future__ import annotations

import contextlib
import math
import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec
from tests.fuzz.mutation import Mutator

from duologue.errors import DecodeError
from duologue.protocol import codec
from duologue.protocol.dialects import InvalidClientEvent, dialect_adapter, voice_live_adapter
from duologue.protocol.model import Event, Raw, UnknownEvent
from duologue.protocol.translate import detect_dialect, to_beta, to_ga
from duologue.protocol.validate import first_problem

if TYPE_CHECKING:
    from random import Random

    from duologue.protocol.codec import Dialect, Direction, Surface

__all__ = ["CONNECTIONS", "Side", "check_frame", "codec_input"]


class Side(NamedTuple):
    """One direction of a kind of connection."""

    dialect: Dialect
    direction: Direction
    surface: Surface


CONNECTIONS: Final = [
    Side("ga", "server", "realtime"),
    Side("beta", "server", "realtime"),
    Side("ga", "client", "realtime"),
    Side("beta", "client", "realtime"),
    Side("ga", "server", "translation"),
    Side("ga", "client", "translation"),
]


def codec_input(random: Random) -> None:
    """Check one frame of any kind of connection."""
    side = random.choice(CONNECTIONS)
    frame = Mutator(random, *side, chance=0.98).frame()
    try:
        check_frame(frame, side)
    except BaseException as error:
        error.add_note(f"{side}: {frame!r}")
        raise


def check_frame(frame: bytes, side: Side) -> None:
    """Decode, write, repair, translate and validate a frame; only our errors may be raised."""
    event = _decoded(frame, side)
    if event is not None:
        assert codec.encode(event) is event.raw
        assert event.raw == frame
        if isinstance(event, Event):
            _check_lossless(event, frame)
            _check_translation(event, side)
    if side.direction == "server":
        _check_client_end(frame, side)
    else:
        _check_server_end(frame, side)


def _decoded(frame: bytes, side: Side) -> Event | UnknownEvent | None:
    try:
        return codec.decode(
            frame, dialect=side.dialect, direction=side.direction, surface=side.surface
        )
    except DecodeError as error:
        assert str(error).isprintable()
        return None


def _check_lossless(event: Event, frame: bytes) -> None:
    """An event that is written anew says what its frame said."""
    written = codec.encode_model(event)
    try:
        body = msgspec.json.decode(frame)
    except ValueError:  # in base64 that nobody has read
        assert any(isinstance(value, Raw) for value in msgspec.structs.astuple(event))
        return
    assert _same(msgspec.json.decode(written), body), written


def _check_translation(event: Any, side: Side) -> None:
    if side.surface == "translation":
        return
    there = to_beta(event) if side.dialect == "ga" else to_ga(event)
    other: Dialect = "beta" if side.dialect == "ga" else "ga"
    for one in there.events:
        written = codec.encode_model(one)
        again = codec.decode(written, dialect=other, direction=side.direction)
        # An item without a field that GA requires stays what it was, and does not fit GA's types.
        is_misfit = isinstance(again, UnknownEvent) and again.reason is not None
        assert is_misfit or type(again) is type(one), written


def _check_client_end(frame: bytes, side: Side) -> None:
    """What a client does with a frame of its server."""
    adapter = dialect_adapter(side.dialect, side.surface)
    try:
        event = adapter.decode_server(frame)
    except DecodeError as error:
        assert str(error).isprintable()
    else:
        assert event.raw == frame
        _written(event)
        for meaning in adapter.server_event_to_ga(event):
            _written(meaning)
    if side.surface == "realtime":
        with contextlib.suppress(DecodeError):
            assert detect_dialect(frame) in {"ga", "beta", None}


def _written(event: Event | UnknownEvent) -> None:
    """A repaired event can be written, unless its delta ends in the middle of a character."""
    delta = getattr(event, "delta", None)
    if not (isinstance(delta, str) and _HALF.search(delta)):
        codec.encode_model(event)


_HALF: Final = re.compile("[\ud800-\udfff]")
_voice_live: Final = voice_live_adapter()


def _check_server_end(frame: bytes, side: Side) -> None:
    """What a server does with a frame of its client."""
    adapters: list[Any] = [dialect_adapter(side.dialect, side.surface)]
    if side.dialect == "beta":
        adapters.append(_voice_live)
    for adapter in adapters:
        try:
            events = adapter.decode_client(frame)
        except DecodeError as error:
            assert str(error).isprintable()
            continue
        except InvalidClientEvent as error:
            assert error.message
            continue
        for event in events:
            codec.encode(event)
            if side.surface == "realtime":
                first_problem(event, "ga")


def _same(one: Any, other: Any) -> bool:
    """Compare decoded JSON: true is not 1, and an integer may have become a float."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, float) or isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-15)
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return bool(one == other)
