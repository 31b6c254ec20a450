"""The tables of methods and events in docs/coming-from.md."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import duologue
from duologue import RealtimeAPI, RealtimeClient, RealtimeConversation
from duologue.client.callback_keys import resolve

PAGE = (Path(__file__).parents[2] / "docs" / "coming-from.md").read_text()
FACES = {
    "client": RealtimeClient,
    "api": RealtimeAPI,
    "client.conversation": RealtimeConversation,
}


def rows(title: str) -> list[list[str]]:
    section = PAGE.partition(f"## {title}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


METHODS = rows("Methods")
EVENTS = rows("Events")


@pytest.mark.parametrize("row", METHODS, ids=map(str, range(len(METHODS))))
def test_a_method_of_the_table_exists(row: list[str]) -> None:
    names = re.findall(r"`(client|api|client\.conversation)\.(\w+)`", row[2])
    assert names
    for face, name in names:
        assert hasattr(FACES[face], name)


def test_the_table_has_every_method_of_the_reference_client() -> None:
    here = {name for row in METHODS for _, name in re.findall(r"`(client|api)\.(\w+)`", row[2])}
    public = {name for name in vars(RealtimeClient) if not name.startswith("_")}
    beyond = {
        "approve_mcp_call", "drain", "input_format", "is_reconnecting", "latency",
        "rate_limits", "reject_mcp_call", "responses", "restart", "statistics", "usage",
    }  # fmt: skip
    assert public - here <= beyond


@pytest.mark.parametrize("row", EVENTS, ids=map(str, range(len(EVENTS))))
def test_an_event_of_the_table_is_a_key(row: list[str]) -> None:
    keys = {resolve(name) for name in re.findall(r"`([^`]+)`", row[0])}
    update = re.match(r"`duologue\.(\w+)`", row[1])
    if update is not None:
        assert keys == {getattr(duologue, update[1])}
    else:
        assert all(isinstance(key, str) for key in keys)
