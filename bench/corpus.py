"""Frames as a spoken session brings them: 70 % audio, 15 % transcript, 15 % the rest."""

from __future__ import annotations

import json
import random
from typing import Any

from pybase64 import b64encode

__all__ = ["append_pcm", "mixed"]

PLACE = {
    "response_id": "resp_CG5nMGxQ0ubV6o9vN4NqM",
    "item_id": "item_CG5nMbLlBNBXB7cB2Mz1x",
    "output_index": 0,
    "content_index": 0,
}


def append_pcm() -> bytes:
    """Return 20 ms of audio."""
    return random.Random(2).randbytes(960)


def mixed(count: int = 400, *, id_first: bool = False) -> list[bytes]:
    """Return frames with the sizes of recorded GA traffic: audio of 4 to 16 KB in base64.

    Args:
        count: How many.
        id_first: Put `event_id` before `type`.
    """
    chance = random.Random(1)
    frames: list[bytes] = []
    for number in range(count):
        kind = chance.random()
        if kind < 0.7:
            audio = b64encode(chance.randbytes(chance.randrange(3072, 12_288))).decode()
            body = {"type": "response.output_audio.delta", **PLACE, "delta": audio}
        elif kind < 0.85:
            body = {"type": "response.output_audio_transcript.delta", **PLACE, "delta": " weather"}
        else:
            body = chance.choice(REST)
        event_id = {"event_id": f"event_{number:021d}"}
        event = event_id | body if id_first else {"type": body["type"]} | event_id | body
        frames.append(json.dumps(event, separators=(",", ":")).encode())
    return frames


MESSAGE: dict[str, Any] = {
    "id": PLACE["item_id"],
    "object": "realtime.item",
    "type": "message",
    "status": "completed",
    "role": "assistant",
    "content": [{"type": "output_audio", "transcript": "It is sunny in Paris. " * 8}],
}
SESSION: dict[str, Any] = {
    "type": "realtime",
    "object": "realtime.session",
    "id": "sess_CG5nLmTnqSoWQ0ZJnYdUo",
    "model": "gpt-realtime",
    "output_modalities": ["audio"],
    "instructions": "You are a helpful assistant. " * 20,
    "tools": [
        {
            "type": "function",
            "name": "get_weather",
            "description": "Get the weather.",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
        }
    ],
    "tool_choice": "auto",
    "max_output_tokens": "inf",
    "tracing": None,
    "prompt": None,
    "expires_at": 1_790_000_000,
    "audio": {
        "input": {
            "format": {"type": "audio/pcm", "rate": 24000},
            "transcription": None,
            "noise_reduction": None,
            "turn_detection": {
                "type": "server_vad",
                "threshold": 0.5,
                "prefix_padding_ms": 300,
                "silence_duration_ms": 200,
                "idle_timeout_ms": None,
                "create_response": True,
                "interrupt_response": True,
            },
        },
        "output": {
            "format": {"type": "audio/pcm", "rate": 24000},
            "voice": "marin",
            "speed": 1.0,
        },
    },
    "include": None,
}
RESPONSE: dict[str, Any] = {
    "object": "realtime.response",
    "id": PLACE["response_id"],
    "status": "completed",
    "status_details": None,
    "output": [MESSAGE],
    "conversation_id": "conv_CG5nLsYw4A1qDXwHgJjvT",
    "output_modalities": ["audio"],
    "max_output_tokens": "inf",
    "audio": {"output": {"format": {"type": "audio/pcm", "rate": 24000}, "voice": "marin"}},
    "usage": {
        "total_tokens": 253,
        "input_tokens": 132,
        "output_tokens": 121,
        "input_token_details": {
            "text_tokens": 119,
            "audio_tokens": 13,
            "image_tokens": 0,
            "cached_tokens": 64,
            "cached_tokens_details": {"text_tokens": 64, "audio_tokens": 0, "image_tokens": 0},
        },
        "output_token_details": {"text_tokens": 30, "audio_tokens": 91},
    },
    "metadata": None,
}
LIMITS = [
    {"name": "tokens", "limit": 40_000, "remaining": 39_500, "reset_seconds": 0.75},
    {"name": "requests", "limit": 5000, "remaining": 4999, "reset_seconds": 0.02},
]
REST: list[dict[str, Any]] = [
    {"type": "session.updated", "session": SESSION},
    {"type": "conversation.item.added", "previous_item_id": None, "item": MESSAGE},
    {"type": "response.done", "response": RESPONSE},
    {"type": "rate_limits.updated", "rate_limits": LIMITS},
]
