"""A client that talks in text, turn by turn."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from websockets.asyncio.client import connect

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["outcomes"]


async def outcomes(url: str, *turns: str | dict[str, Any]) -> list[Any]:
    """Return what answers to each user text, or function output: words, calls, or an error."""
    found: list[Any] = []
    call_id = ""
    async with asyncio.timeout(10), connect(url) as connection:
        for turn in turns:
            item: dict[str, Any] = {"type": "function_call_output", "call_id": call_id}
            if isinstance(turn, str):
                part = {"type": "input_text", "text": turn}
                item = {"type": "message", "role": "user", "content": [part]}
            else:
                item |= turn
            await connection.send(json.dumps({"type": "conversation.item.create", "item": item}))
            params = {"output_modalities": ["text"]}
            await connection.send(json.dumps({"type": "response.create", "response": params}))
            while (event := json.loads(await connection.recv()))["type"] != "response.done":
                pass
            found.append(_outcome(event["response"]))
            calls = [item["call_id"] for item in event["response"]["output"] if "call_id" in item]
            call_id = calls[-1] if calls else call_id
    return found


def _outcome(response: dict[str, Any]) -> Any:
    if response["status"] == "failed":
        error = response["status_details"]["error"]
        return error["code"], error["message"]
    parts: Sequence[Any] = [
        item["content"][0]["text"] if item["type"] == "message" else json.loads(item["arguments"])
        for item in response["output"]
    ]
    return parts[0] if len(parts) == 1 else list(parts)
