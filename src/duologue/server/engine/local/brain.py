"""A small language model through llama.cpp: conversation in, words and calls out."""

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
"""Small models lose their thread above 0.3. At 0, none of five demo conversations got through its
second turn; at 0.2, three did, with the same instructions."""

SEED: Final = 1
"""The same conversation gets the same answer, so that a demo and its recording agree."""

MAX_OUTPUT_TOKENS: Final = 1024
"""Twenty seconds of writing: the end of an answer that nobody limited and that does not end."""

ROOM_TOKENS: Final = 512
"""What is kept free for the answer when the conversation fills the context."""

STOP_S: Final = 2.0
"""How long a stopped answer is waited for. It takes 20 ms, or 0.3 s while it reads a prompt."""


class LlamaBrain:
    """Answers with the model of one GGUF file; `slots` answers at a time, others wait in line.

    The functions are offered until one was called: an answer to a function's output is always
    spoken, because small models would call again and again. Mark the end of reading by closing the
    iterator (`contextlib.aclosing`) or cancelling its reader: the model stops then.
    """

    def __init__(
        self, path: Path, *, threads: int = 2, slots: int = 2, context_tokens: int = 4096
    ) -> None:
        """Load the model; blocks for one or two seconds.

        Raises:
            MissingExtra: If xllamacpp is not installed.
            ModelUnavailable: If the file is missing or broken.
        """
        self._server = load_llama(path, threads=threads, slots=slots, context_tokens=context_tokens)
        self._context_tokens = context_tokens
        self._worker = Worker("duologue-brain", threads=slots)
        self._closed = threading.Event()

    def close(self) -> None:
        """Stop every answer and refuse others; blocks until they have stopped."""
        self._closed.set()
        self._worker.close()

    async def respond(self, request: BrainRequest) -> AsyncIterator[BrainEvent]:
        """Yield the answer as it is made, and last what it cost.

        A conversation that is too long for the model is answered without its oldest items.

        Raises:
            ServerError: If the model cannot answer this.
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
        """Read the prompt that answers to this request begin with, with and without functions."""
        silent = replace(request, tools=(), tool_choice="auto")
        for each in [silent, request] if functions_of(request) else [silent]:
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
        """Raise what a chunk says went wrong."""
        progress: dict[str, int] = chunk.get("prompt_progress") or {}
        error: dict[str, Any] = chunk.get("error") or {}
        prompt_tokens = int(error.get("n_prompt_tokens") or progress.get("total") or 0)
        room = self._context_tokens - ROOM_TOKENS
        if prompt_tokens > room:
            raise _TooLongError(prompt_tokens, room)
        if error:
            raise ServerError(str(error.get("message")), type="server_error")

    async def _chunks(self, body: ChatObject) -> AsyncGenerator[dict[str, Any], None]:
        """Run a completion in a thread and yield its chunks; closing it stops the model.

        The queue holds no more than the answer has tokens, which the body limits.
        """
        loop = asyncio.get_running_loop()
        queue: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        stopped = threading.Event()

        def hand_over(chunk: dict[str, Any] | None) -> bool:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody reads
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
    """The conversation does not fit."""

    def __init__(self, tokens: int, room: int) -> None:
        super().__init__(f"the conversation has {tokens} tokens; {room} fit into the model")
        self.share = 0.8 * room / tokens
        """How much of it fits; less, so that the next turns need not forget again."""


def _body(offered: Offer, messages: list[ChatObject], *, max_tokens: int) -> ChatObject:
    # `tool_choice` none: llama.cpp shows the functions and leaves format and reading to us. Its own
    # "required" lets the model chatter after the call, and it takes no grammar beside functions.
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
        "return_progress": True,  # else nothing asks whether to go on while a prompt is read
    }
    if offered.allowed or any("tool_calls" in message for message in messages):
        body["grammar"] = call_grammar(offered.allowed, may_speak=offered.may_speak)
    return body


def _messages(request: BrainRequest) -> list[ChatObject]:
    """Return the request's messages as llama.cpp's templates take them.

    They refuse an empty conversation, and a call whose arguments are no JSON object.
    """
    items = [_with_arguments(i) if isinstance(i, FunctionCall) else i for i in request.items]
    return chat_messages(replace(request, items=items)) or [{"role": "user", "content": ""}]


def _with_arguments(call: FunctionCall) -> FunctionCall:
    try:
        msgspec.json.decode(call.arguments, type=dict)
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
