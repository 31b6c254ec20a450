"""Many sessions, few models: who is served when."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING

import pytest

from duologue.protocol import ga
from duologue.server.engine.local.sharing import (
    SharedBrain,
    SharedSynthesizer,
    SharedTranscriber,
    Worker,
)
from duologue.server.engine.stages import BrainEvent, BrainRequest, Say

if TYPE_CHECKING:
    from collections.abc import Iterator


class Model:
    """Every stage in one, on one thread; nothing ends before the gate is open."""

    def __init__(self) -> None:
        self.worker = Worker("model")
        self.gate = threading.Event()
        self.served: list[str] = []
        self.in_line = 0
        self.longest = 0

    async def respond(self, request: BrainRequest) -> AsyncIterator[BrainEvent]:
        yield Say(await self._work(request.heard))

    async def warm(self, request: BrainRequest) -> None:
        await self._work("warm")

    async def transcribe(
        self, pcm: bytes, *, language: str | None, prompt: str | None
    ) -> AsyncIterator[str]:
        yield await self._work(pcm.decode())

    async def speak(self, text: str, *, voice: str, speed: float) -> AsyncIterator[bytes]:
        yield (await self._work(text)).encode()

    async def _work(self, name: str) -> str:
        self.in_line += 1
        self.longest = max(self.longest, self.in_line)
        try:
            return await self.worker.run(self._serve, name)
        finally:
            self.in_line -= 1

    def _serve(self, name: str) -> str:
        self.gate.wait(10)
        self.served.append(name)
        return name


@pytest.fixture
def model() -> Iterator[Model]:
    made = Model()
    yield made
    made.gate.set()
    made.worker.close()


Ask = Callable[[str], AsyncIterator[object]]


def brain(model: Model) -> Ask:
    shared = SharedBrain(model)

    def ask(name: str) -> AsyncIterator[object]:
        said = ga.Message(role="user", content=[ga.InputText(text=name)])
        return shared.respond(BrainRequest(instructions="", items=[said]))

    return ask


def transcriber(model: Model) -> Ask:
    shared = SharedTranscriber(model)
    return lambda name: shared.transcribe(name.encode(), language=None, prompt=None)


def synthesizer(model: Model) -> Ask:
    shared = SharedSynthesizer(model)
    return lambda name: shared.speak(name, voice="alloy", speed=1)


async def read(stream: AsyncIterator[object]) -> None:
    async for _ in stream:
        pass


async def settled() -> None:
    """Let every task come as far as it can without the model."""
    for _ in range(20):
        await asyncio.sleep(0)


@pytest.mark.asyncio
@pytest.mark.parametrize("stage", [brain, transcriber, synthesizer])
async def test_a_session_that_asks_for_much_waits_for_the_others_in_between(
    model: Model, stage: Callable[[Model], Ask]
) -> None:
    greedy, modest, late = stage(model), stage(model), stage(model)
    asked = [(greedy, f"g{n}") for n in range(4)] + [(modest, "m0"), (modest, "m1"), (late, "l0")]
    tasks = [asyncio.create_task(read(ask(name))) for ask, name in asked]
    await settled()
    assert model.in_line == 3
    model.gate.set()
    await asyncio.gather(*tasks)
    assert model.served == ["g0", "m0", "l0", "g1", "m1", "g2", "g3"]
    assert model.longest == 3


@pytest.mark.asyncio
async def test_who_is_cancelled_leaves_the_line(model: Model) -> None:
    first, second, third = brain(model), brain(model), brain(model)
    asked = [(first, "a0"), (first, "a1"), (second, "b0"), (second, "b1"), (third, "c0")]
    tasks = {name: asyncio.create_task(read(ask(name))) for ask, name in asked}
    await settled()
    for name in ("a1", "b0"):  # one waits for its session, one for the model
        tasks[name].cancel()
    await settled()
    assert model.in_line == 3
    model.gate.set()
    await asyncio.gather(*tasks.values(), return_exceptions=True)
    assert model.served == ["a0", "c0", "b1"]


@pytest.mark.asyncio
async def test_a_hundred_sessions_are_served_in_the_order_in_which_they_asked(
    model: Model,
) -> None:
    tasks = [asyncio.create_task(read(brain(model)(str(n)))) for n in range(100)]
    await settled()
    model.gate.set()
    await asyncio.gather(*tasks)
    assert model.served == [str(n) for n in range(100)]


@pytest.mark.asyncio
async def test_warming_waits_for_the_answer_that_is_made(model: Model) -> None:
    shared = SharedBrain(model)
    said = ga.Message(role="user", content=[ga.InputText(text="answer")])
    request = BrainRequest(instructions="", items=[said])
    answering = asyncio.create_task(read(shared.respond(request)))
    warming = asyncio.create_task(shared.warm(request))
    await settled()
    assert model.in_line == 1
    model.gate.set()
    await asyncio.gather(answering, warming)
    assert model.served == ["answer", "warm"]
