"""Cost of the conversation mirror on top of decoding, with a short and a long history."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import msgspec

from bench.corpus import PLACE, mixed
from bench.timing import interleaved
from duologue.protocol import codec
from duologue.session.client_session import ClientSession

HISTORY = 5000
COUNT = 2000


def server(kind: str, **fields: Any) -> bytes:
    return msgspec.json.encode({"type": kind, "event_id": "event_b", **fields})


def session(history: int = 0) -> ClientSession:
    """Return a core with `history` items, in the middle of a response."""
    numbers = itertools.count()
    core = ClientSession(new_id=lambda kind: f"{kind}_{next(numbers)}")
    content = [{"type": "input_text", "text": "What is the weather like in Paris?"}]
    for number in range(history):
        item = {"id": f"item_{number}", "type": "message", "role": "user", "content": content}
        core.receive(codec.decode(server("conversation.item.added", item=item)), 0.0)
    message = {"id": PLACE["item_id"], "type": "message", "role": "assistant", "content": []}
    about = {"response_id": PLACE["response_id"], "output_index": 0}
    for frame in (
        server("response.created", response={"id": PLACE["response_id"]}),
        server("response.output_item.added", **about, item=message | {"status": "in_progress"}),
        server("conversation.item.added", item=message | {"status": "in_progress"}),
    ):
        core.receive(codec.decode(frame), 0.0)
    return core


def deltas(kind: str) -> list[bytes]:
    return [frame for frame in mixed(COUNT) if f'"response.{kind}.delta"'.encode() in frame]


def decoding(frames: list[bytes]) -> Callable[[], None]:
    def path() -> None:
        for frame in frames:
            codec.decode(frame)

    return path


def mirroring(frames: list[bytes], history: int = 0) -> Callable[[], None]:
    core = session(history)

    def path() -> None:
        for frame in frames:
            core.receive(codec.decode(frame), 1.0)

    return path


def run() -> dict[str, object]:
    everything, audio = mixed(COUNT), deltas("output_audio")
    words = deltas("output_audio_transcript")
    took = interleaved(
        {
            "decode": decoding(everything),
            "mirror": mirroring(everything),
            "decode audio": decoding(audio),
            "mirror audio": mirroring(audio),
            "decode words": decoding(words),
            "mirror words": mirroring(words),
        },
        rounds=15,
    )
    long = interleaved(
        {"short": mirroring(words), "long": mirroring(words, HISTORY)}, rounds=31, per_round=4
    )
    added = lambda what, count: round(  # noqa: E731
        (took[f"mirror{what}"] - took[f"decode{what}"]) / count * 1e6, 2
    )
    return {
        "the mirror adds per event, us (<= 2)": added("", len(everything)),
        "the mirror adds per audio delta, us (<= 2)": added(" audio", len(audio)),
        "the mirror adds per transcript delta, us (<= 2)": added(" words", len(words)),
        f"a delta after {HISTORY} items over one after none (< 1.05)": round(
            long["long"] / long["short"], 3
        ),
    }
