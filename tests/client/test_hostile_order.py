"""Random legal and illegal behaviour of a server against the whole client.

Whatever the server does: every handle settles within its limit, no exception but ours reaches the
application or the event loop, the session goes on, and a server that comes to its senses is
understood. `DUOLOGUE_FUZZ=500` runs more seeds than the default; a failure names its seed.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
from typing import TYPE_CHECKING, Any, Final

import pytest
from tests.client.client_doubles import client_of
from tests.client.hostile_server import HostileServer

from duologue import DuologueError, ErrorUpdate
from duologue.protocol import ga
from duologue.session import tool_calls

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from duologue import RealtimeClient
    from duologue.client.handles import ResponseHandle
    from duologue.protocol.codec import Dialect

pytestmark = pytest.mark.asyncio

SEEDS: Final = range(int(os.environ.get("DUOLOGUE_FUZZ", "8")))

LIMIT: Final = 0.05
"""The client's limit of commands and responses."""

PATIENCE: Final = 5.0
"""Far above every limit: a response goes on as long as events of it come."""

STEPS: Final = 60


class Application:
    """Calls everything that a client has, in random order."""

    def __init__(self, client: RealtimeClient, random: random.Random) -> None:
        self.client = client
        self.tasks: list[asyncio.Task[None]] = []
        self._random = random
        self._calls: list[Callable[[], Any]] = [
            lambda: client.create_item(ga.Message(role="user", content=[ga.InputText(text="a")])),
            lambda: client.create_item(
                ga.FunctionCallOutput(call_id="call_1", output="b", id=f"item_{len(self.tasks)}")
            ),
            lambda: client.delete_item(self._item_id()),
            lambda: client.retrieve_item(self._item_id()),
            lambda: client.truncate_item(self._item_id(), 1),
            lambda: client.update_session(instructions="c"),
            client.commit_input_audio,
            client.clear_input_audio,
            client.create_response,
            client.create_response,
            lambda: client.create_response(conversation="none"),
            lambda: client.ask("d"),
            lambda: client.send_user_message_content("e"),
            lambda: client.append_input_audio(bytes(480)),
            client.cancel_response,
            self._read,
        ]

    def step(self) -> None:
        """Call a random method, and await what it returns in a task."""
        try:
            result = self._random.choice(self._calls)()
        except DuologueError:
            return
        if result is None:
            return
        self.tasks.append(asyncio.create_task(_settled(result)))
        if hasattr(result, "__aiter__"):
            self.tasks.append(asyncio.create_task(_iterated(result)))

    def _item_id(self) -> str:
        ids = [item.id for item in self.client.conversation]
        return self._random.choice([*ids, "item_x"])

    def _read(self) -> None:
        """Read everything that can be read."""
        for item in self.client.conversation:
            repr(item)
        for response in self.client.responses:
            repr(response)
        repr((self.client.session, self.client.statistics(), self.client.input_format))


async def _settled(result: Awaitable[object]) -> None:
    with contextlib.suppress(DuologueError, TimeoutError):
        await result


async def _iterated(handle: ResponseHandle) -> None:
    with contextlib.suppress(DuologueError, TimeoutError):
        async for delta in handle:
            repr(delta)


@pytest.mark.parametrize("dialect", ["ga", "beta"])
@pytest.mark.parametrize("seed", SEEDS)
async def test_a_hostile_server_does_no_harm(
    seed: int, dialect: Dialect, monkeypatch: pytest.MonkeyPatch
) -> None:
    # How long tools wait for the user: `answer` waits for them in turn.
    for name in ("PATIENCE", "SPEECH_TIMEOUT", "UNHEARD_SPEECH_TIMEOUT"):
        monkeypatch.setattr(tool_calls, name, LIMIT)
    faults: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: faults.append(context))
    chance = random.Random(f"{seed} {dialect}")  # noqa: S311  # to repeat it
    server = HostileServer(chance, dialect)
    client = client_of(server, dialect=dialect, command_timeout=LIMIT)

    @client.tool
    def look(it: str) -> str:
        """Look at something."""
        return it

    failed: list[ErrorUpdate] = []
    client.on(ErrorUpdate, lambda update: failed.append(update) if update.event else None)
    async with client:
        updates = asyncio.create_task(_read_updates(client))
        application = Application(client, chance)
        server.chaos = chance.choice([0.2, 0.5, 1.0])
        for _ in range(STEPS):
            application.step()
            if chance.random() < 0.3:
                server.disturb()
            for _ in range(chance.randrange(3)):
                await asyncio.sleep(0)
        _, hanging = await asyncio.wait(application.tasks, timeout=PATIENCE)
        assert not hanging
        for task in application.tasks:
            task.result()
        assert client.is_connected
        assert failed == []
        server.chaos = 0.0
        server.flush()
        await asyncio.sleep(LIMIT)  # what was held back answers nothing of the following
        await _is_understood(client)
    await updates
    assert faults == []


async def _is_understood(client: RealtimeClient) -> None:
    """Check that a client and its server, which now keeps the protocol, get on."""
    # An error without an id that is still on its way refuses the first item, and a response that
    # the server began and never went on with is in the way of the first response.
    for number in range(5):
        item_id = f"item_last_{number}"
        item = ga.Message(id=item_id, role="user", content=[ga.InputText(text="f")])
        with contextlib.suppress(DuologueError, TimeoutError):
            assert await client.create_item(item) == item_id
            break
    else:
        raise AssertionError("no item is added any more")
    for _ in range(5):
        response = client.create_response()
        try:
            await response
        except (DuologueError, TimeoutError):
            continue
        assert response.text == "AAAA"
        return
    raise AssertionError("no response comes any more")


async def _read_updates(client: RealtimeClient) -> None:
    async for update in client:
        repr(update)
