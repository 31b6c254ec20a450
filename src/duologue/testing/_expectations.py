"""Expectations of a behaviour vector, in either dialect, compared with the results."""

from __future__ import annotations

import json
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, Final, cast

from duologue.protocol import codec
from duologue.protocol.translate import to_ga
from duologue.testing._player import CLIENT_TYPES, json_of

if TYPE_CHECKING:
    from duologue.testing._player import Player

__all__ = ["differences", "in_ga"]

Json = dict[str, Any]

_EVENTS: Final = {
    "response.text.": "response.output_text.",
    "response.audio.": "response.output_audio.",
    "response.audio_transcript.": "response.output_audio_transcript.",
}
_PARTS: Final = {"text": "output_text", "audio": "output_audio"}


def in_ga(vector: Json) -> Json:
    """Return a vector in GA, renamed by the rules of the authors of the vectors."""
    events: list[Json] = []
    moved: list[int] = []  # the new index of each event
    ended: set[str] = set()
    for event in vector["events"]:
        before, after = _event_in_ga(event, ended)
        events += [*before, after[0]]
        moved.append(len(events) - 1)
        events += after[1:]
    expect = dict(vector["expect"])
    expect["items"] = [_item_in_ga(item) for item in expect["items"]]
    if "emitted" in expect:
        expect["emitted"] = _completed_once(expect["emitted"])
    expect["raised"] = [moved[index] for index in expect.get("raised", [])]
    expect.pop("log", None)
    if any(event.get("name") == "connect" for event in events):
        expect["sent"] = expect["sent"][1:]  # the first frame differs between the dialects
    tools = [
        tool | {"after_event": moved[tool["after_event"]]} if "after_event" in tool else tool
        for tool in vector.get("tools", [])
    ]
    return vector | {"dialect": "ga", "events": events, "expect": expect, "tools": tools}


def differences(player: Player, vector: Json) -> list[str]:
    """Return the differences between expectations and results, one line each."""
    expect = vector["expect"]
    is_beta = player.dialect == "beta"
    found = _compare(
        "item", expect["items"], [_in_dialect(item, is_beta) for item in player.items()]
    )
    found += _compare("response", expect["responses"], player.responses())
    if "emitted" in expect:
        found += _compare("emitted", expect["emitted"], player.emitted)
    if "log" in expect:
        found += _compare("log", expect["log"], player.log)
    found += _compare("raised", expect.get("raised", []), player.raised)
    return found + _compare_sent(expect["sent"], player.sent(), player)


def _event_in_ga(event: Json, ended: set[str]) -> tuple[list[Json], list[Json]]:
    """Return the GA events to insert before an event, and those that replace it."""
    kind: str = event["type"]
    event = dict(event)
    for old, new in _EVENTS.items():
        if kind.startswith(old):
            event["type"] = new + kind.removeprefix(old)
    if kind in CLIENT_TYPES:
        frame = codec.decode(json.dumps(event), dialect="beta", direction="client")
        return [], [json_of(to_ga(frame).events[0])]
    if not isinstance(event.get("item"), dict):
        return [], [event]
    item: Json = event["item"]
    event["item"] = _item_in_ga(item)
    done = event | {"type": "conversation.item.done", "event_id": "event_done"}
    if kind == "conversation.item.created":
        event["type"] = "conversation.item.added"
        is_whole = item.get("status") != "in_progress" or item.get("role") == "user"
        return [], [event, done] if is_whole else [event]
    if kind == "response.output_item.done" and item["id"] not in ended:
        ended.add(item["id"])
        return [{n: v for n, v in done.items() if n in {"type", "event_id", "item"}}], [event]
    return [], [event]


def _item_in_ga(item: Json) -> Json:
    if item.get("role") != "assistant" or "content" not in item:
        return item
    parts = [part | {"type": _PARTS.get(part["type"], part["type"])} for part in item["content"]]
    return item | {"content": parts}


def _completed_once(emitted: list[Json]) -> list[Json]:
    """Remove the second completion of an item, and the update before it."""
    kept: list[Json] = []
    completed: set[str] = set()
    for entry in emitted:
        if entry["event"] == "conversation.item.completed":
            if entry["item_id"] in completed:
                kept.pop()
                continue
            completed.add(entry["item_id"])
        elif entry["event"] == "conversation.item.appended":
            completed.discard(entry["item_id"])
        kept.append(entry)
    return kept


def _in_dialect(item: Json, is_beta: bool) -> Json:  # noqa: FBT001  # a fact, not an option
    """Return an item of the mirror, which uses GA names, in the dialect of the vector."""
    if not is_beta or item.get("role") != "assistant":
        return item
    old = {new: old for old, new in _PARTS.items()}
    parts = [part | {"type": old.get(part["type"], part["type"])} for part in item["content"]]
    return item | {"content": parts}


def _compare(what: str, expected: list[Any], seen: list[Any]) -> list[str]:
    return [
        f"{what} {index}: expected {_short(wanted)}, got {_short(got)}"
        for index, (wanted, got) in enumerate(zip_longest(expected, seen))
        if not _matches(wanted, got)
    ]


def _matches(wanted: Any, got: Any) -> bool:  # noqa: ANN401  # any JSON
    """Return whether a result has the expected fields; its other fields are not compared."""
    if not isinstance(wanted, dict) or not isinstance(got, dict):
        return bool(wanted == got)
    expected, seen = cast("Json", wanted), cast("Json", got)
    return all(name in seen and _matches(expected[name], seen[name]) for name in expected)


def _compare_sent(expected: list[Json], seen: list[Json], player: Player) -> list[str]:
    found: list[str] = []
    for index, (wanted, got) in enumerate(zip_longest(expected, seen)):
        if wanted is None or got is None or not _is_same_frame(wanted, got, player):
            found.append(f"sent {index}: expected {_short(wanted)}, got {_short(got)}")
    return found


def _is_same_frame(wanted: Json, got: Json, player: Player) -> bool:
    if wanted["type"] == "session.update" and player.dialect == "ga":
        event = codec.decode(json.dumps(wanted), dialect="beta", direction="client")
        whole = json_of(to_ga(event).events[0])
        return bool(got["session"]) and _matches(got, whole)  # GA sends the changes alone
    if wanted["type"] == "conversation.item.create" and "output" in wanted["item"]:
        return _is_same_output(wanted["item"], got.get("item", {}))
    return wanted == got


def _is_same_output(wanted: Json, got: Json) -> bool:
    output: Any = json.loads(got.get("output", "null"))
    rest = {name: value for name, value in wanted.items() if name != "output"}
    if not _matches(rest, got):
        return False
    expected: Any = wanted["output"]
    if isinstance(expected, str):
        return bool(json.loads(expected) == output)
    keys: list[str] = expected["$json_has_keys"]
    return all(key in output for key in keys)


def _short(value: Any) -> str:  # noqa: ANN401  # any JSON
    text = json.dumps(value, ensure_ascii=True)
    return text if len(text) <= 400 else f"{text[:400]}…"
