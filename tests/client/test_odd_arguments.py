"""Whatever is passed to a public method: what it raises is an error of duologue."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.client.client_doubles import MemoryServer, client_of

from duologue import DuologueError, RealtimeAPI, RealtimeClient
from duologue.protocol import beta, ga
from duologue.protocol.model import UNSET, UnknownEvent

NOT_CALLED = {"close", "connect", "disconnect", "drain", "reset"}
"""Methods without arguments that end or change the session."""

RECEIVER = {"on_dialect", "on_event", "on_end", "on_undecodable"}
"""Methods that the transport calls, not the application."""

TAGS = ["message", "session.update", "response.create", "conversation.item.create", "function"]
NAMES = ["type", "item", "session", "response", "content", "role", "audio", "tools", "name", "id"]
VALUES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.sampled_from([*TAGS, "item_1", "\ud800", ""]),
        st.binary(max_size=3),
        st.sampled_from(
            [
                UNSET,
                object(),
                print,
                int,
                ga.Message,
                Exception(),
                ga.Message(role=3, content="x"),  # type: ignore[arg-type]  # wrong on purpose
                beta.Message(role="user"),
                ga.ConversationItemCreateEvent(item=3),  # type: ignore[arg-type]  # wrong on purpose
                ga.ResponseCreateEvent(response={"input": 4}),  # type: ignore[arg-type]  # wrong
                ga.SessionUpdateEvent(session=None),  # type: ignore[arg-type]  # wrong on purpose
                beta.SessionUpdateEvent(session=[]),  # type: ignore[arg-type]  # wrong on purpose
                ga.InputAudioBufferAppendEvent(audio="AAAA"),  # type: ignore[arg-type]  # no Raw
                ga.RealtimeSession(audio="x", extra=3),  # type: ignore[arg-type]  # wrong on purpose
                UnknownEvent(type=3, raw="x"),  # type: ignore[arg-type]  # wrong on purpose
                UnknownEvent(type="x", raw=b"[]"),
            ]
        ),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.one_of(st.sampled_from(NAMES), st.integers()), inner, max_size=4),
    ),
    max_leaves=8,
)


def public_methods(client: object) -> list[str]:
    return [
        name
        for name, method in inspect.getmembers(type(client), callable)
        if not name.startswith("_") and name not in NOT_CALLED | RECEIVER
    ]


def arguments(method: Any, data: st.DataObject) -> tuple[list[Any], dict[str, Any]]:
    """Draw a value for each parameter that has no default, and for some of the others."""
    values: list[Any] = []
    keywords: dict[str, Any] = {}
    parameters = inspect.signature(method).parameters
    for name, parameter in parameters.items():
        if parameter.kind is parameter.VAR_KEYWORD:
            names = st.sampled_from([name for name in NAMES if name not in parameters])
            keywords |= data.draw(st.dictionaries(names, VALUES, max_size=2))
        elif name == "timeout":
            keywords[name] = data.draw(st.one_of(st.just(0), VALUES))
        elif parameter.kind is parameter.KEYWORD_ONLY:
            if data.draw(st.booleans()):
                keywords[name] = data.draw(VALUES)
        elif parameter.default is parameter.empty or data.draw(st.booleans()):
            values.append(data.draw(VALUES))
        else:
            break
    return values, keywords


async def call(target: RealtimeClient | RealtimeAPI, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(public_methods(target)))
    method = getattr(target, name)
    values, keywords = arguments(method, data)
    with contextlib.suppress(DuologueError, TimeoutError):
        result = method(*values, **keywords)
        if inspect.iscoroutine(result):
            async with asyncio.timeout(0.01):
                await result
    await asyncio.sleep(0)
    assert target.is_connected


@pytest.mark.parametrize("dialect", ["ga", "beta"])
@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(data=st.data())
def test_a_client_raises_nothing_but_its_own_errors(dialect: Any, data: st.DataObject) -> None:
    async def run() -> None:
        async with client_of(MemoryServer(), dialect=dialect) as client:
            for _ in range(3):
                await call(client, data)

    asyncio.run(run())


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(data=st.data())
def test_a_plain_connection_raises_nothing_but_its_own_errors(data: st.DataObject) -> None:
    async def run() -> None:
        async with RealtimeAPI(connector=MemoryServer().connect) as api:
            await call(api, data)

    asyncio.run(run())


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(data=st.data())
def test_a_client_is_made_or_refused_with_an_error_of_its_own(data: st.DataObject) -> None:
    keywords = data.draw(
        st.dictionaries(
            st.sampled_from(["session", "retention", "instructions", "tools", "audio", "voice"]),
            VALUES,
            max_size=3,
        )
    )
    with contextlib.suppress(DuologueError):
        assert not client_of(MemoryServer(), **keywords).is_connected
