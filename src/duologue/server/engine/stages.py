"""The stages of an engine, as small protocols: who hears, understands, thinks and speaks.

Audio between the session and every stage is mono PCM16, little-endian, at 24 kHz, whatever the
client's format. Stages that stream are async iterators; a session stops one by cancelling the task
that reads it. An `Engine` opens a set of stages for each session: a stage with memory is made anew,
a heavy one is shared. No stage may block the event loop: native work goes to a thread.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TypedDict, runtime_checkable

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
    "OpenStages",
    "Say",
    "StageParts",
    "Stages",
    "Synthesizer",
    "TokenCount",
    "Transcriber",
    "Translator",
    "TurnDetector",
    "Vad",
]

VAD_FRAME_MS = 16
"""Length of the frame that a `Vad` judges: what earshot was trained on (256 samples at 16 kHz)."""

VAD_FRAME_BYTES = VAD_FRAME_MS * 24 * 2
"""The same frame in bytes of 24 kHz PCM16."""


@runtime_checkable
class Vad(Protocol):
    """Judges whether a frame holds speech. One per session; quick enough to be called inline."""

    def score(self, frame: bytes) -> float:
        """Return the likelihood of speech, 0 to 1, of the next `VAD_FRAME_BYTES` of the stream."""
        ...


@runtime_checkable
class TurnDetector(Protocol):
    """Judges by the words whether a speaker has finished; quick enough to be called inline.

    Asked under `semantic_vad` alone, in each pause, when the words so far are found. How long the
    silence must then be follows from the likelihood and the client's eagerness.
    """

    def score(self, words: str) -> float:
        """Return the likelihood, 0 to 1, that nothing more belongs to what was said.

        Args:
            words: The turn so far, as the transcriber writes it; never empty.
        """
        ...


@runtime_checkable
class Transcriber(Protocol):
    """Turns the audio of one turn into words."""

    def transcribe(
        self, pcm: bytes, *, language: str | None, prompt: str | None
    ) -> AsyncIterator[str]:
        """Yield the transcript in pieces; their concatenation is the final text.

        Nothing is yielded, or an empty string, when the audio holds no words.

        Args:
            pcm: The whole turn.
            language: ISO 639-1 code when the client named one.
            prompt: The client's hint: words to expect.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class BrainRequest:
    """What a brain answers to: one response of one session."""

    instructions: str
    """The system prompt; empty when none was set."""
    items: Sequence[Item]
    """The conversation in order, function calls and their outputs included."""
    tools: Sequence[Tool] = ()
    """Functions that may be called."""
    tool_choice: ToolChoice = "auto"
    """`none`, `auto`, `required`, or the one tool that must be called."""
    parallel_tool_calls: bool = True
    """Whether several may be called; a second call is left out otherwise."""
    max_output_tokens: int | None = None
    """Stop after so many tokens; `None` is no limit."""

    @property
    def heard(self) -> str:
        """The user's last words, spoken or written; empty when there are none."""
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
        """What a function answered, when that is what this answers to."""
        last = self.items[-1] if self.items else None
        return last.output if isinstance(last, ga.FunctionCallOutput) else None


@dataclass(frozen=True, slots=True)
class Say:
    """A piece of the answer's text."""

    text: str


@dataclass(frozen=True, slots=True)
class Call:
    """One whole function call; `arguments` is a JSON object as text."""

    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class TokenCount:
    """What the answer cost, where the model counts; `truncated` when the token limit ended it."""

    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    truncated: bool = False


BrainEvent = Say | Call | TokenCount


@runtime_checkable
class Brain(Protocol):
    """Decides what to say or which function to call."""

    def respond(self, request: BrainRequest) -> AsyncIterator[BrainEvent]:
        """Yield the answer as it is made. Cancelling the reader stops the model."""
        ...

    async def warm(self, request: BrainRequest) -> None:
        """Prepare for answers that begin like this one (the prompt's prefix); may do nothing."""
        ...


@runtime_checkable
class Synthesizer(Protocol):
    """Speaks."""

    def speak(self, text: str, *, voice: str, speed: float) -> AsyncIterator[bytes]:
        """Yield the audio of one clause in chunks of whole samples."""
        ...


class Translator(Protocol):
    """Says in one language what was said in another; for translation sessions."""

    def translate(self, text: str, *, language: str) -> AsyncIterator[str]:
        """Yield the translation in pieces; their concatenation is the whole.

        Args:
            text: What was said between two pauses.
            language: ISO 639-1 code of the language to say it in.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Stages:
    """Who works for one session."""

    vad: Vad
    transcriber: Transcriber
    brain: Brain
    synthesizer: Synthesizer
    turn_detector: TurnDetector | None = None
    """Reads the words in a pause for `semantic_vad`; `None`: only the silence counts there."""
    translator: Translator | None = None
    """`None`: translation sessions are told that there is none."""


async def _close_nothing() -> None:
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """Opens the stages of each session of a server; each stage may come from elsewhere."""

    vad: Callable[[], Vad]
    """Makes a session's voice activity detector, or returns the one that they share; so do all."""
    transcriber: Callable[[], Transcriber]
    brain: Callable[[], Brain]
    synthesizer: Callable[[], Synthesizer]
    turn_detector: Callable[[], TurnDetector] | None = None
    """`None`: only the silence counts, even for `semantic_vad`."""
    translator: Callable[[], Translator] | None = None
    """`None`: the engine does not translate."""
    transcribes_early: bool = False
    """Whether to look for the words in a pause that may end the turn: sooner, but more work."""
    close: Callable[[], Coroutine[None, None, None]] = _close_nothing
    """Frees what the stages hold: threads, models, connections."""
    labels: dict[str, str] = field(default_factory=dict[str, str])
    """What each stage runs on, for people: `{"brain": "Qwen2.5-Coder-0.5B-Instruct Q4_K_M"}`."""

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


class StageParts(TypedDict, total=False):
    """What opens some of the stages, by their names in `Engine`."""

    vad: Callable[[], Vad]
    transcriber: Callable[[], Transcriber]
    brain: Callable[[], Brain]
    synthesizer: Callable[[], Synthesizer]
    turn_detector: Callable[[], TurnDetector]
    translator: Callable[[], Translator]


@dataclass(frozen=True, slots=True)
class OpenStages:
    """The stages that one family of engines opened."""

    parts: StageParts
    labels: dict[str, str]
    """What each runs on, for people."""
    close: Callable[[], Coroutine[None, None, None]] = _close_nothing
    """Frees what they hold."""
