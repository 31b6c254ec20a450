"""`client.usage` and the budget, against a server, in both dialects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.client.client_doubles import MemoryServer, client_of

from duologue import Budget, BudgetExceeded, ErrorUpdate, RealtimeClient
from duologue.server import LocalServer

if TYPE_CHECKING:
    from duologue.protocol.codec import Dialect

pytestmark = pytest.mark.asyncio

USAGE = {
    "total_tokens": 30,
    "input_tokens": 20,
    "output_tokens": 10,
    "input_token_details": {"text_tokens": 20, "cached_tokens": 8},
    "output_token_details": {"text_tokens": 10},
}


def replying() -> MemoryServer:
    """Return a server whose responses have the usage above."""
    server = MemoryServer()

    def reply(_event: dict[str, Any]) -> None:
        server.begin()
        server.finish(usage=USAGE)

    server.answers["response.create"] = reply
    return server


@pytest.mark.parametrize("dialect", ["ga", "beta"])
async def test_the_usage_is_that_of_the_responses(dialect: Dialect) -> None:
    async with (
        LocalServer() as server,
        RealtimeClient(url=server.url, model="gpt-realtime", dialect=dialect) as client,
    ):
        reported = [(await client.ask(text)).usage for text in ("Hello", "Hello again")]
        usage = client.usage
    expected = sum(each.total_tokens or 0 for each in reported if each)
    assert usage.total.total_tokens == usage.responses.total_tokens == expected
    assert usage.responses.count == 2
    assert usage.responses.cached.total > 0  # the second prompt begins with the first
    assert usage.responses.output.audio > 0
    assert set(usage.models) == {"gpt-realtime"}
    assert usage.cost == usage.cost_of("gpt-realtime")
    assert usage.cost is not None
    assert usage.cost > 0


async def test_the_usage_goes_on_over_connections_and_survives_a_reset() -> None:
    server = replying()
    client = client_of(server)
    assert client.usage.cost == 0.0
    for _ in range(2):
        async with client:
            await client.create_response()
    await client.reset()
    assert client.usage.responses.count == 2
    assert client.usage.responses.cached.text == 16
    assert client.usage.cost == pytest.approx(2 * (12 * 4 + 8 * 0.4 + 10 * 16) / 1_000_000)


async def test_a_used_up_budget_sends_nothing() -> None:
    server = replying()
    async with client_of(server, budget=Budget(tokens=30)) as client:
        await client.ask("Hello")
        sent = server.types()
        with pytest.raises(BudgetExceeded, match="30 tokens of 30 tokens"):
            await client.ask("Hello again")
        with pytest.raises(BudgetExceeded):
            client.create_response()
        with pytest.raises(BudgetExceeded):
            client.send({"type": "response.create"})
        assert server.types() == sent
        client.create_item({"type": "message", "role": "user", "content": []})
        await server.got("conversation.item.create", times=2)
        assert server.types() == [*sent, "conversation.item.create"]


async def test_the_answer_after_a_tool_raises_the_error() -> None:
    server = MemoryServer()

    def reply(_event: dict[str, Any]) -> None:
        server.begin()
        server.call("look")
        server.finish(usage=USAGE)

    server.answers["response.create"] = reply
    async with client_of(server, budget=Budget(cost=0.0001)) as client:
        errors: list[object] = []
        client.on(ErrorUpdate, lambda update: errors.append(update.error))

        @client.tool
        async def look() -> str:
            return "a tree"

        with pytest.raises(BudgetExceeded, match=r"\$0\.0002112 of \$0\.0001"):
            await client.create_response().answer()
        assert [type(error) for error in errors] == [BudgetExceeded]
        assert server.types().count("response.create") == 1


async def test_a_response_of_turn_detection_is_reported() -> None:
    server = replying()
    async with client_of(server, budget=Budget(tokens=1)) as client:
        await client.create_response()
        server.begin("resp_2")
        server.finish("resp_2", usage=USAGE)
        update = await client.wait_for_next(ErrorUpdate, timeout=5)
    assert isinstance(update.error, BudgetExceeded)
