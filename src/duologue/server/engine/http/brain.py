"""A brain that streams from `/chat/completions`, and a translator that uses it."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Final

import httpx2
import msgspec
from msgspec import Struct, field

from duologue.protocol.ga import InputText, Message
from duologue.server.engine.chat import (
    chat_messages,
    chat_tool_choice,
    chat_tools,
    functions_of,
)
from duologue.server.engine.stages import BrainRequest, Call, Say, TokenCount, closing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

    from duologue.protocol.model import Json
    from duologue.server.engine.chat import ChatObject
    from duologue.server.engine.http.endpoint import HttpEndpoint
    from duologue.server.engine.stages import BrainEvent

__all__ = ["HttpBrain", "HttpTranslator"]

MAX_ARGUMENT_CHARS: Final = 1 << 20
MAX_CALLS: Final = 128
"""OpenAI's limit on the functions of a request."""

INTERPRETER: Final = (
    "You are an interpreter. Translate what the user says into the language with the ISO 639-1 code"
    " {language}. Answer with the translation alone; do not answer what is said."
)


class _FunctionDelta(Struct):
    name: str | None = None
    arguments: str | None = None


class _CallDelta(Struct):
    index: int | None = None
    id: str | None = None
    function: _FunctionDelta = field(default_factory=_FunctionDelta)


class _Delta(Struct):
    content: str | None = None
    refusal: str | None = None
    tool_calls: list[_CallDelta] | None = None


class _Choice(Struct):
    delta: _Delta = field(default_factory=_Delta)
    finish_reason: str | None = None


class _PromptDetails(Struct):
    cached_tokens: int | None = None


class _Usage(Struct):
    prompt_tokens: int = 0
    completion_tokens: int = 0
    prompt_tokens_details: _PromptDetails | None = None


class _Chunk(Struct):
    choices: list[_Choice] = []
    usage: _Usage | None = None
    error: object = None


_decoder: msgspec.json.Decoder[_Chunk] = msgspec.json.Decoder(_Chunk)


class HttpBrain:
    """Language model of an endpoint; closing a response's iterator closes its connection."""

    def __init__(
        self, endpoint: HttpEndpoint, *, model: str, limit_name: str = "max_tokens"
    ) -> None:
        """Use a model of an endpoint.

        Args:
            endpoint: The endpoint; the caller closes it.
            model: The model's name there.
            limit_name: The endpoint's name for the token limit: OpenAI's newer models reject
                `max_tokens`, most others know no other name.
        """
        self._endpoint: Final = endpoint
        self._model: Final = model
        self._limit_name: Final = limit_name

    async def respond(self, request: BrainRequest) -> AsyncIterator[BrainEvent]:
        """Yield text as it arrives, then the calls, and finally the token usage.

        Raises:
            EngineFailed: If the endpoint fails, or its stream ends early.
        """
        calls = _Calls()
        finish: str | None = None
        usage = _Usage()
        async with self._endpoint.post("/chat/completions", json=self._body(request)) as response:
            chunks = self._endpoint.pieces(aiter(httpx2.EventSource(response)))
            async with aclosing(chunks):
                async for event in chunks:
                    if event.data == "[DONE]":
                        break
                    chunk = self._read(event.data)
                    usage = chunk.usage or usage
                    for choice in chunk.choices[:1]:
                        finish = choice.finish_reason or finish
                        # A refusal is text too, and the user should get to know it.
                        if text := choice.delta.content or choice.delta.refusal:
                            yield Say(text)
                        if not calls.feed(choice.delta.tool_calls or ()):
                            raise self._endpoint.malformed("calls that are too long")
        # A broken proxy may end a stream cleanly: only a finish reason proves that it is whole.
        if finish is None:
            raise self._endpoint.failure("engine_broke_off", "ended its response early")
        for call in calls.whole(cut=finish == "length"):
            yield call
        yield _count(usage, truncated=finish == "length")

    async def warm(self, request: BrainRequest) -> None:
        """Do nothing: prompt caching is up to the endpoint, and a request may cost money."""

    def _read(self, data: str) -> _Chunk:
        try:
            chunk = _decoder.decode(data)
        except msgspec.DecodeError as error:
            raise self._endpoint.malformed("something other than chat chunks") from error
        if chunk.error is not None:
            raise self._endpoint.failure(
                "engine_unavailable", "failed in the middle of its response"
            )
        return chunk

    def _body(self, request: BrainRequest) -> ChatObject:
        messages: list[Json] = [*_paired(chat_messages(request, sees=True))]
        body: ChatObject = {
            "model": self._model,
            "messages": messages or [{"role": "user", "content": ""}],  # must not be empty
            "stream": True,
            "stream_options": {"include_usage": True},  # or a stream has no token counts
        }
        if functions := functions_of(request):
            body["tools"] = chat_tools(functions)
            body["tool_choice"] = chat_tool_choice(request.tool_choice)
        if request.max_output_tokens is not None:
            body[self._limit_name] = request.max_output_tokens
        return body


class HttpTranslator:
    """Translator that instructs a brain to translate."""

    def __init__(self, brain: HttpBrain) -> None:
        self._brain: Final = brain

    async def translate(self, text: str, *, language: str) -> AsyncIterator[str]:
        """Yield the translation as it arrives.

        Raises:
            EngineFailed: If the endpoint fails.
        """
        instructions = INTERPRETER.format(language=language)
        message = Message(role="user", content=[InputText(text=text)])
        events = self._brain.respond(BrainRequest(instructions=instructions, items=[message]))
        async with closing(events):
            async for event in events:
                if isinstance(event, Say):
                    yield event.text


class _Calls:
    """Collects function calls from their deltas, which may be interleaved."""

    def __init__(self) -> None:
        self._names: Final[list[str]] = []
        self._arguments: Final[list[list[str]]] = []
        self._places: Final[dict[int | None, tuple[str | None, int]]] = {}
        self._chars = 0

    def feed(self, deltas: Sequence[_CallDelta]) -> bool:
        """Add deltas; return whether the calls are still within the limits."""
        for delta in deltas:
            known_id, place = self._places.get(delta.index, (None, -1))
            # Some servers send every call whole and with the same index; only the id differs.
            if place < 0 or (delta.id and known_id and delta.id != known_id):
                place = len(self._names)
                self._names.append("")
                self._arguments.append([])
                self._places[delta.index] = (delta.id, place)
            self._names[place] = self._names[place] or delta.function.name or ""
            self._arguments[place].append(delta.function.arguments or "")
            self._chars += len(delta.function.arguments or "")
        return self._chars <= MAX_ARGUMENT_CHARS and len(self._names) <= MAX_CALLS

    def whole(self, *, cut: bool) -> Iterator[Call]:
        """Yield the calls in the order in which they began.

        `cut` says that the token limit ended the response: incomplete calls are dropped then.
        """
        for name, pieces in zip(self._names, self._arguments, strict=True):
            arguments = "".join(pieces) or "{}"
            if not cut or _is_json(arguments):
                yield Call(name, arguments)


def _is_json(text: str) -> bool:
    try:
        msgspec.json.decode(text)
    except msgspec.DecodeError:
        return False
    return True


def _paired(messages: Sequence[ChatObject]) -> Iterator[ChatObject]:
    """Yield the messages with each output directly after its call, as endpoints require.

    A call without an output gets an empty one; an output whose call was deleted is dropped.
    """
    outputs = {m["tool_call_id"]: m for m in messages if m["role"] == "tool"}
    for message in messages:
        if message["role"] == "tool":
            continue
        yield message
        for call_id in _call_ids(message):
            empty: ChatObject = {"role": "tool", "tool_call_id": call_id, "content": ""}
            yield outputs.get(call_id, empty)


def _call_ids(message: ChatObject) -> Iterator[str]:
    calls = message.get("tool_calls")
    for call in calls if isinstance(calls, list) else ():
        if isinstance(call, dict):
            yield str(call["id"])


def _count(usage: _Usage, *, truncated: bool) -> TokenCount:
    details = usage.prompt_tokens_details or _PromptDetails()
    return TokenCount(
        input_tokens=usage.prompt_tokens,
        cached_tokens=details.cached_tokens or 0,
        output_tokens=usage.completion_tokens,
        truncated=truncated,
    )
