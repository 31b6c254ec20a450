"""The local brain: a small language model run by llama.cpp.

Reading the prompt takes most of the time: at 190 tokens a second on two cores, a long conversation
costs many seconds. llama.cpp keeps the state of the prompts it has read, and reuses it for a prompt
with the same beginning. `warm` makes use of that: the model reads the instructions and functions
before the user speaks. What changes the beginning of a prompt makes the model read it again. So old
turns are dropped rarely, many at a time, and the prompt without functions is warmed separately.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import msgspec

from duologue.errors import ServerError
from duologue.protocol.ga import FunctionCall
from duologue.protocol.model import replace as replace_fields
from duologue.server.engine.chat import chat_messages, chat_tools, forget_oldest, functions_of
from duologue.server.engine.local.calls import CallReader, call_grammar, offer
from duologue.server.engine.local.llama import load_llama
from duologue.server.engine.local.sharing import Worker
from duologue.server.engine.stages import TokenCount

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator
    from pathlib import Path

    from duologue.server.engine.chat import ChatObject
    from duologue.server.engine.local.calls import Offer
    from duologue.server.engine.stages import BrainEvent, BrainRequest

__all__ = ["LlamaBrain"]

TEMPERATURE: Final = 0.2
"""Small models become incoherent above 0.3. At 0, none of five demo conversations got through its
second turn; at 0.2, three did, with the same instructions."""

SEED: Final = 1
"""Fixed, so that the same conversation gets the same answer, and a demo repeats its recording."""

MAX_OUTPUT_TOKENS: Final = 1024
"""The limit for a response without one: a small model may never stop. It is 20 s of generation."""

ROOM_TOKENS: Final = 512
"""Part of the context that is reserved for the response."""

STOP_S: Final = 2.0
"""Time for the model to stop. It needs 20 ms, or 0.3 s while it reads a prompt."""


class LlamaBrain:
    """Language model of a GGUF file; generates `slots` responses at a time and queues the others.

    The response to a function's output is always text, because small models would call the function
    again and again. To stop the model, close a response's iterator (`contextlib.aclosing`) or
    cancel the task that reads it.
    """

    def __init__(
        self, path: Path, *, threads: int = 2, slots: int = 2, context_tokens: int = 4096
    ) -> None:
        """Load the model; blocks for 1 to 2 seconds.

        Raises:
            MissingExtra: If xllamacpp is not installed.
            ModelUnavailable: If the file is missing or broken.
        """
        self._server: Final = load_llama(
            path, threads=threads, slots=slots, context_tokens=context_tokens
        )
        self._context_tokens: Final = context_tokens
        self._worker: Final = Worker("duologue-brain", threads=slots)
        self._closed: Final = threading.Event()

    def close(self) -> None:
        """Stop every response and refuse new ones; blocks until they have stopped."""
        self._closed.set()
        self._worker.close()

    async def respond(self, request: BrainRequest) -> AsyncIterator[BrainEvent]:
        """Yield the response as it is generated, and finally its token usage.

        If the conversation exceeds the model's context, its oldest turns are dropped.

        Raises:
            ServerError: If the model rejects the conversation, or a single turn is too long.
        """
        messages = _messages(request)
        while True:
            try:
                async with aclosing(self._answer(request, messages)) as events:
                    async for event in events:
                        yield event
            except _TooLongError as error:
                shorter = forget_oldest(messages, share=error.share)
                if len(shorter) == len(messages):
                    raise ServerError(str(error), type="invalid_request_error") from error
                messages = shorter
            else:
                return

    async def warm(self, request: BrainRequest) -> None:
        """Let the model read the beginning of the prompt, with and without functions.

        The response to a function's output sees no functions (see `calls.offer`), so a session with
        functions has two forms of the prompt.
        """
        without_functions = replace(request, tools=(), tool_choice="auto")
        requests = [without_functions]
        if functions_of(request):
            requests.append(request)
        for each in requests:
            body = _body(offer(each), _messages(each), max_tokens=1)
            async with aclosing(self._chunks(body)) as chunks:
                async for _ in chunks:
                    pass

    async def _answer(
        self, request: BrainRequest, messages: list[ChatObject]
    ) -> AsyncGenerator[BrainEvent, None]:
        offered = offer(request)
        limit = min(request.max_output_tokens or MAX_OUTPUT_TOKENS, MAX_OUTPUT_TOKENS)
        reader = CallReader({tool.name or "" for tool in offered.allowed})
        truncated = False
        async with aclosing(self._chunks(_body(offered, messages, max_tokens=limit))) as chunks:
            async for chunk in chunks:
                self._check(chunk)
                for choice in chunk.get("choices", ()):
                    truncated = choice.get("finish_reason") == "length"
                    for event in reader.feed(choice["delta"].get("content") or ""):
                        yield event
                if usage := chunk.get("usage"):
                    for event in reader.flush():
                        yield event
                    yield _count(usage, truncated=truncated)

    def _check(self, chunk: dict[str, Any]) -> None:
        """Raise the error that a chunk reports."""
        progress: dict[str, int] = chunk.get("prompt_progress") or {}
        error: dict[str, Any] = chunk.get("error") or {}
        prompt_tokens = int(error.get("n_prompt_tokens") or progress.get("total") or 0)
        room = self._context_tokens - ROOM_TOKENS
        # Progress reports the length of the prompt before it is read, so a prompt that is too long
        # fails at once, not after seconds of reading.
        if prompt_tokens > room:
            raise _TooLongError(prompt_tokens, room)
        if error:
            raise ServerError(str(error.get("message")), type="server_error")

    async def _chunks(self, body: ChatObject) -> AsyncGenerator[dict[str, Any], None]:
        """Run a completion in a thread and yield its chunks; closing the iterator stops the model.

        The queue needs no bound of its own: it holds at most a chunk per token, and the body limits
        the tokens.
        """
        loop = asyncio.get_running_loop()
        queue: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        stopped = threading.Event()

        def hand_over(chunk: dict[str, Any] | None) -> bool:
            with contextlib.suppress(RuntimeError):  # the loop is closed, so there is no reader
                loop.call_soon_threadsafe(queue.put_nowait, chunk)
            return stopped.is_set() or self._closed.is_set()

        job = self._worker.start(self._server.handle_chat_completions, body, hand_over)
        job.add_done_callback(lambda _: hand_over(None))
        try:
            while (chunk := await queue.get()) is not None:
                yield chunk
            if failure := job.exception():
                raise ServerError(str(failure), type="invalid_request_error") from failure
        finally:
            stopped.set()
            if not job.cancel() and not job.done():
                await asyncio.wait([asyncio.wrap_future(job)], timeout=STOP_S)


class _TooLongError(Exception):
    """The conversation exceeds the context."""

    def __init__(self, tokens: int, room: int) -> None:
        super().__init__(f"the conversation has {tokens} tokens; {room} fit into the model")
        self.share: Final = 0.8 * room / tokens
        """The part to keep. Less than fits, because dropping turns changes the prompt's beginning:
        the model reads all of it again, so it should not happen at every turn."""


def _body(offered: Offer, messages: list[ChatObject], *, max_tokens: int) -> ChatObject:
    # The chat template in the GGUF file turns messages and functions into the prompt. With the tool
    # choice "none" llama.cpp renders the functions but adds no grammar and no parser of its own: we
    # bring both. Its "required" lets the model chatter after the call, and it accepts no grammar
    # together with functions.
    body: ChatObject = {
        "messages": [*messages],
        "tools": chat_tools(offered.shown),
        "tool_choice": "none",
        "max_tokens": max_tokens,
        "temperature": TEMPERATURE,
        "seed": SEED,
        "cache_prompt": True,
        "stream": True,
        "stream_options": {"include_usage": True},
        "return_progress": True,  # or there is no callback, and no way to stop, during a prompt
    }
    if offered.allowed or any("tool_calls" in message for message in messages):
        body["grammar"] = call_grammar(offered.allowed, may_speak=offered.may_speak)
    return body


def _messages(request: BrainRequest) -> list[ChatObject]:
    """Return the request's messages in the form that chat templates accept.

    Templates fail on an empty conversation, and on a call whose arguments are not a JSON object.
    """
    items = [_with_arguments(i) if isinstance(i, FunctionCall) else i for i in request.items]
    return chat_messages(replace(request, items=items)) or [{"role": "user", "content": ""}]


def _with_arguments(call: FunctionCall) -> FunctionCall:
    try:
        msgspec.json.decode(call.arguments, type=dict[str, object])
    except msgspec.DecodeError:
        return replace_fields(call, arguments="{}")
    return call


def _count(usage: dict[str, Any], *, truncated: bool) -> TokenCount:
    details: dict[str, int] = usage.get("prompt_tokens_details") or {}
    return TokenCount(
        input_tokens=int(usage.get("prompt_tokens") or 0),
        cached_tokens=int(details.get("cached_tokens") or 0),
        output_tokens=int(usage.get("completion_tokens") or 0),
        truncated=truncated,
    )
