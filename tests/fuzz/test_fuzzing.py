"""The fuzzers, as long as every run of the tests can afford; `make soak` runs them for hours."""

from __future__ import annotations

import gc
import itertools
import sys
from random import Random
from types import BuiltinFunctionType, CodeType, FunctionType, ModuleType
from typing import TYPE_CHECKING, Any, Final

import msgspec
import pytest
from tests.fuzz.mutation import Mutator, places
from tests.fuzz.run import fuzz
from tests.server.session.conftest import loud

from duologue.errors import DecodeError
from duologue.protocol.dialects import dialect_adapter
from duologue.server.session import conversation as server_conversation
from duologue.server.session.session import ServerSession
from duologue.session import conversation, latency, responses, tool_calls
from duologue.session.client_session import ClientSession
from duologue.session.dead_air import DeadAirPolicy
from duologue.session.reconnect import ReconnectPolicy
from duologue.session.retention import Retention

if TYPE_CHECKING:
    from duologue.protocol.codec import Dialect


@pytest.mark.parametrize("part", range(4))
def test_any_bytes_are_an_event_or_raise_our_error(part: int) -> None:
    assert fuzz("codec", 5000, first=part * 5000) >= 0


@pytest.mark.parametrize("part", range(4))
def test_any_server_does_a_clients_core_no_harm(part: int) -> None:
    assert fuzz("client", 500, first=part * 500) >= 0


@pytest.mark.parametrize("part", range(4))
def test_any_client_does_a_servers_core_no_harm(part: int) -> None:
    assert fuzz("server", 300, first=part * 300) >= 0


def test_a_server_answers_whatever_was_sent_before() -> None:
    assert fuzz("connection", 60) >= 0


ROUNDS: Final = 3000
"""Events after which everything that has a limit has reached it."""

MAX_GROWTH: Final = 2 * ROUNDS * 15
"""Bytes by which what is kept may differ later: a list that grows with each event takes more."""


@pytest.mark.parametrize("dialect", ["ga", "beta"])
def test_a_long_session_grows_no_client(dialect: Dialect, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every event is about things that are new, and no command is ever answered."""
    monkeypatch.setattr(responses, "MAX_RESPONSES", 20)
    for module, limit in (
        (conversation, "MAX_APART"),
        (latency, "MAX_TURNS"),
        (tool_calls, "MAX_CALLS"),
        (tool_calls, "MAX_ROUNDS"),
    ):
        monkeypatch.setattr(module, limit, 20)
    numbers = itertools.count()
    core = ClientSession(
        new_id=lambda kind: f"{kind}_{next(numbers)}",
        dialect=dialect_adapter(dialect),
        retention=Retention(audio_minutes=0.01, items=50),
        reconnect=ReconnectPolicy(resend_seconds=1),
        dead_air=DeadAirPolicy(),
        timeout=10.0,
        has_tool=lambda _name: True,
    )
    frames = _fresh_frames(dialect, "server")

    def step(number: int) -> None:
        now = number * 0.05
        core.append_audio(bytes(960), now)
        try:
            core.receive(core.dialect.decode_server(next(frames)), now)
        except DecodeError:
            return
        deadline = core.next_deadline()
        if deadline is not None and deadline <= now:
            core.handle_deadline(now)
        core.effects()

    settled, later = _sizes(core, step)
    assert later - settled < MAX_GROWTH


@pytest.mark.parametrize("dialect", ["ga", "beta"])
def test_a_long_session_grows_no_server(dialect: Dialect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_conversation, "MAX_ITEMS", 50)
    numbers = itertools.count()
    session = ServerSession(
        model="gpt-realtime", score=loud, new_id=lambda kind: f"{kind}_{next(numbers)}"
    )
    adapter = dialect_adapter(dialect)
    frames = _fresh_frames(dialect, "client")

    def step(number: int) -> None:
        try:
            events = adapter.decode_client(next(frames))
        except Exception as error:  # noqa: BLE001  # `Connection` answers it
            assert type(error).__name__ in {"DecodeError", "InvalidClientEvent"}
            return
        for event in events:
            session.receive(event, number * 0.05)
        session.effects()

    settled, later = _sizes(session, step)
    assert later - settled < MAX_GROWTH


def _fresh_frames(dialect: Dialect, direction: Any) -> Any:
    """Yield examples in which every id is new."""
    mutator = Mutator(Random("grow"), dialect, direction, chance=0.0)
    for number in itertools.count():
        body = msgspec.json.decode(mutator.frame())
        fresh: dict[str, str] = {}
        for container, key in places(body):
            value = container[key]
            if str(key).endswith("id") and isinstance(value, str):
                container[key] = fresh.setdefault(value, f"{number}_{len(fresh)}")
        yield msgspec.json.encode(body)


def _sizes(root: object, step: Any) -> tuple[int, int]:
    """Return the memory of an object after many steps, and after three times as many."""
    for number in range(ROUNDS):
        step(number)
    settled = _size(root)
    for number in range(ROUNDS, 3 * ROUNDS):
        step(number)
    return settled, _size(root)


_CODE: Final = (type, ModuleType, CodeType, BuiltinFunctionType)


def _size(root: object) -> int:
    """Return the bytes of everything that can be reached from an object."""
    seen, todo, total = {id(root)}, [root], 0
    while todo:
        value = todo.pop()
        total += sys.getsizeof(value)
        if isinstance(value, FunctionType):  # what it closes over, and not its module
            found = [cell.cell_contents for cell in value.__closure__ or ()]
        else:
            found = gc.get_referents(value)
        for each in found:
            if id(each) not in seen and not isinstance(each, _CODE):
                seen.add(id(each))
                todo.append(each)
    return total
