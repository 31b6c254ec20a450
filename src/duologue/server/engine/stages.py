"""Protocols of an engine's stages: speech detection, transcription, language model and synthesis.

An `Engine` serves a whole server and opens a set of `Stages` for each session. A stage that keeps
state is created for every session; a heavy one, such as a loaded model, is shared.

Audio between the session and every stage is mono PCM16, little-endian, at 24 kHz, whatever the
client's format. Stages that stream are async iterators: a session stops one by cancelling the task
that reads it, and `closing` closes the iterator then. No stage may block the event loop: native
code runs in a thread.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar, runtime_checkable

from duologue.protocol import ga

if TYPE_CHECKING:
    from duologue.protocol.ga import Item, Tool, ToolChoice

__all__ = [
    "VAD_FRAME_BYTES",
    "VAD_FRAME_MS",
    "Brain",
    "BrainEvent",
    "BrainRequest",
    "Call",
    "Engine",
    "Say",
    "Stages",
    "Synthesizer",
    "TokenCount",
    "Transcriber",
    "Translator",
    "TurnDetector",
    "Vad",
    "closing",
]

T = TypeVar("T")

VAD_FRAME_MS: Final = 16
"""Length of the frame that a `Vad` scores: earshot is trained on 256 samples at 16 kHz."""

VAD_FRAME_BYTES: Final = VAD_FRAME_MS * 24 * 2
"""The same frame in bytes of 24 kHz PCM16."""


@runtime_checkable
class Vad(Protocol):
    """Voice activity detector of one session; fast enough to be called on the event loop."""

    def score(self, frame: bytes) -> float:
        """Return the likelihood of speech, 0 to 1, in the next `VAD_FRAME_BYTES` of the stream."""
        ...


@runtime_checkable
class TurnDetector(Protocol):
    """Detector of the end of a turn, from its words; fast enough to be called on the event loop.

    Used only under `semantic_vad`, in each pause, once the words so far are transcribed. The
    likelihood and the client's eagerness determine how long the silence must last.
    """

    def score(self, words: str) -> float:
        """Return the likelihood, 0 to 1, that the speaker has finished.

        Args:
            words: The transcript of the turn so far; never empty.
        """
        ...


@runtime_checkable
class Transcriber(Protocol):
    """Speech to text, one turn at a time."""

    def transcribe(
        self, pcm: bytes, *, language: str | None, prompt: str | None
    ) -> AsyncIterator[str]:
        """Yield the transcript in pieces; joined, they are the final text.

        Audio without words yields nothing, or an empty string.

        Args:
            pcm: The whole turn.
            language: ISO 639-1 code, if the client set one.
            prompt: The client's hint: words to expect.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class BrainRequest:
    """Input of a brain for one response."""

    instructions: str
    """The system prompt; empty when none was set."""
    items: Sequence[Item]
    """The conversation in order, including function calls and their outputs."""
    tools: Sequence[Tool] = ()
    """Functions that the brain may call."""
    tool_choice: ToolChoice = "auto"
    """`none`, `auto`, `required`, or the one tool that the brain must call."""
    parallel_tool_calls: bool = True
    """Whether one response may hold several calls; if not, calls after the first are dropped."""
    max_output_tokens: int | None = None
    """Number of tokens to stop after; `None`: no limit."""

    @property
    def heard(self) -> str:
        """The text of the last user message, spoken or typed; empty without one."""
        for item in reversed(self.items):
            if isinstance(item, ga.Message) and item.role == ga.MessageRole.USER:
                parts = [
                    part.transcript if isinstance(part, ga.InputAudio) else part.text
                    for part in item.content
                    if isinstance(part, ga.InputAudio | ga.InputText)
                ]
                return " ".join(text for text in parts if isinstance(text, str))
        return ""

    @property
    def output(self) -> str | None:
        """The function output that this response follows, if it follows one."""
        last = self.items[-1] if self.items else None
        return last.output if isinstance(last, ga.FunctionCallOutput) else None


@dataclass(frozen=True, slots=True)
class Say:
    """A piece of the response's text."""

    text: str


@dataclass(frozen=True, slots=True)
class Call:
    """One complete function call; `arguments` is a JSON object as text."""

    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class TokenCount:
    """Token usage of the response, if the model counts it.

    `truncated` is set when the token limit ended the response.
    """

    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    truncated: bool = False


BrainEvent = Say | Call | TokenCount


@runtime_checkable
class Brain(Protocol):
    """Language model: decides what to say or which function to call."""

    def respond(self, request: BrainRequest) -> AsyncIterator[BrainEvent]:
        """Yield the response as it is generated. Cancelling the reader stops the model."""
        ...

    async def warm(self, request: BrainRequest) -> None:
        """Prepare for responses whose prompt begins with this one; may do nothing."""
        ...


@runtime_checkable
class Synthesizer(Protocol):
    """Text to speech, one clause at a time."""

    def speak(self, text: str, *, voice: str, speed: float) -> AsyncIterator[bytes]:
        """Yield the audio of one clause in chunks of whole samples."""
        ...


class Translator(Protocol):
    """Text translation, for translation sessions."""

    def translate(self, text: str, *, language: str) -> AsyncIterator[str]:
        """Yield the translation in pieces; joined, they are the whole text.

        Args:
            text: The transcript of the speech between two pauses.
            language: ISO 639-1 code of the target language.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Stages:
    """The stages of one session."""

    vad: Vad
    transcriber: Transcriber
    brain: Brain
    synthesizer: Synthesizer
    turn_detector: TurnDetector | None = None
    """Scores the words in a pause under `semantic_vad`; `None`: only the silence counts."""
    translator: Translator | None = None
    """`None`: translation sessions get an error."""


async def _nothing_to_close() -> None:
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """Opens the stages of each session; every stage may come from another family of engines."""

    vad: Callable[[], Vad]
    """Returns a session's voice activity detector: a new one, or one that all sessions share. The
    other stages work the same way."""
    transcriber: Callable[[], Transcriber]
    brain: Callable[[], Brain]
    synthesizer: Callable[[], Synthesizer]
    turn_detector: Callable[[], TurnDetector] | None = None
    """`None`: only the silence counts, even under `semantic_vad`."""
    translator: Callable[[], Translator] | None = None
    """`None`: the engine does not translate."""
    transcribes_early: bool = False
    """Whether to transcribe in a pause that may end the turn: faster responses, but more work."""
    close: Callable[[], Coroutine[None, None, None]] = _nothing_to_close
    """Release threads, models and connections."""
    labels: dict[str, str] = field(default_factory=dict[str, str])
    """What each stage runs on, for display: `{"brain": "Qwen2.5-Coder-0.5B-Instruct Q4_K_M"}`."""

    def session(self) -> Stages:
        """Return the stages of a new session."""
        return Stages(
            vad=self.vad(),
            transcriber=self.transcriber(),
            brain=self.brain(),
            synthesizer=self.synthesizer(),
            turn_detector=self.turn_detector() if self.turn_detector is not None else None,
            translator=self.translator() if self.translator is not None else None,
        )

    def with_stages(
        self,
        stages: Mapping[str, Callable[[], object]],
        *,
        labels: Mapping[str, str],
        close: Callable[[], Coroutine[None, None, None]] = _nothing_to_close,
    ) -> Engine:
        """Return this engine with some stages replaced.

        Args:
            stages: Returns the stage of a session, by field of `Engine`; the caller has checked
                that each returns a stage of the field's type.
            labels: What the stages run on.
            close: Releases what the stages hold; `Engine.close` calls it first.
        """

        async def close_all() -> None:
            try:
                await close()
            finally:
                await self.close()

        changes: dict[str, Any] = {  # checked by the caller, where the stages are made
            **stages,
            "labels": {**self.labels, **labels},
            "close": close_all,
        }
        return replace(self, **changes)


@asynccontextmanager
async def closing(stream: AsyncIterator[T]) -> AsyncGenerator[AsyncIterator[T]]:
    """Close a stage's stream when its reader stops early, so that the stage stops at once.

    `contextlib.aclosing` demands an `aclose` method; a stage may return any async iterator.
    """
    try:
        yield stream
    finally:
        if isinstance(stream, AsyncGenerator):
            await stream.aclose()
