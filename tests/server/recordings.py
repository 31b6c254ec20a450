"""Event orders recorded on real servers, and the form in which two orders are compared.

What may differ: how many deltas there are, how the words and the sound of a spoken answer
alternate, when the words of the user come, whether limits are told, and whether one item of a
response is closed before the next is opened. All else is order.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Final

from tests.protocol.protocol_data import DATA

__all__ = ["Recording", "recordings", "the_order_of", "the_words_of"]

OUT_OF_SCOPE: Final = {
    "webrtc": "HTTP requests: a call is offered and answered, no events",
    "sideband": "a socket that joins a WebRTC call: it has no session.created of its own",
}
"""Parts of the names of recordings that are not of a WebSocket session, and what they are."""

_WORDS: Final = "conversation.item.input_audio_transcription."


@dataclass(frozen=True)
class Recording:
    """A session, as the types of its events."""

    name: str
    events: tuple[tuple[str, str], ...]
    """`>` sent or `<` received, and the type."""

    def __str__(self) -> str:
        return self.name

    @property
    def received(self) -> list[str]:
        return [kind for way, kind in self.events if way == "<"]


@cache
def recordings() -> list[Recording]:
    """Return the recorded WebSocket sessions."""
    lines = (DATA / "real_event_orders.txt").read_text().splitlines()
    headed = [
        (line.split()[1], told)
        for line, told in itertools.pairwise(lines)
        if line.startswith("## ")
    ]
    return [
        Recording(name.removesuffix(".yaml"), tuple(_events(told)))
        for name, told in headed
        if not any(part in name for part in OUT_OF_SCOPE)
    ]


def _events(told: str) -> Iterator[tuple[str, str]]:
    for way, kind, times in re.findall(r"([<>]) ([a-z_.]+?)(?:x(\d+))?(?= |$)", told):
        yield from [(way, kind)] * int(times or 1)


def the_words_of(received: Iterable[str]) -> list[str]:
    """Return how the words of the user came."""
    words = [kind.removeprefix(_WORDS) for kind in received if kind.startswith(_WORDS)]
    return [kind for kind, _ in itertools.groupby(words)]


def the_order_of(received: Iterable[str]) -> list[str]:
    """Return the order of everything else, without what may differ."""
    kept = [
        _SPOKEN.get(kind, kind)
        for kind in received
        if not kind.startswith(_WORDS) and kind != "rate_limits.updated"
    ]
    return [kind for kind, _ in itertools.groupby(_one_by_one(kept))]


_SPOKEN: Final[dict[str, str]] = dict.fromkeys(
    ("response.output_audio.delta", "response.output_audio_transcript.delta"), "(speech)"
)


def _one_by_one(kinds: list[str]) -> Iterator[str]:
    """Yield the events of a response's message before those of the calls that it overlaps."""
    later: list[str] = []
    is_open = False
    for kind in kinds:
        opens_a_call = is_open and kind == "response.output_item.added"
        joins = later[-1:] == ["response.output_item.added"] or "arguments" in kind
        if opens_a_call or (later and joins):
            later.append(kind)
            continue
        yield kind
        if kind == "response.content_part.added":
            is_open = True
        elif kind == "response.output_item.done":
            is_open = False
            yield from later
            later = []
