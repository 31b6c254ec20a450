"""Work between a session and its engine: the jobs that a session starts, and their results.

A session is pure, so it cannot wait for a model. It lists a job among its effects; a runner at the
edge performs it and passes each piece that the engine makes to the session's `send`. All audio here
is mono PCM16 at 24 kHz.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from duologue.protocol import ga
from duologue.protocol.ga import translation
from duologue.session.contract import SendEvent

__all__ = [
    "NO_TOKENS",
    "CancelWork",
    "CloseConnection",
    "ConversationEffect",
    "ConversationResult",
    "ConversationWork",
    "GenerationFailed",
    "GenerationFinished",
    "LogWarning",
    "PrewarmBrain",
    "Respond",
    "ResponseAudioChunk",
    "ResponseFunctionCall",
    "ResponseTextChunk",
    "SourceTranscriptChunk",
    "TextTokens",
    "Transcribe",
    "TranscriptDelta",
    "TranscriptDone",
    "TranscriptFailed",
    "Translate",
    "TranslationAudioChunk",
    "TranslationEffect",
    "TranslationFailed",
    "TranslationFinished",
    "TranslationResult",
    "TranslationTextChunk",
    "TranslationWork",
]


@dataclass(frozen=True, slots=True)
class TextTokens:
    """Text tokens that the brain counted; zeros if it does not count."""

    input: int = 0
    cached: int = 0
    output: int = 0


NO_TOKENS: Final = TextTokens()


# Jobs of a conversation or transcription session.


@dataclass(frozen=True, slots=True, kw_only=True)
class Transcribe:
    """Transcribe an item's audio.

    The results are `TranscriptDelta`s, then `TranscriptDone` or `TranscriptFailed`.
    """

    item_id: str
    pcm: bytes
    language: str | None
    prompt: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Respond:
    """Generate a response.

    The results are chunks and function calls, then `GenerationFinished` or `GenerationFailed`.
    """

    response_id: str
    instructions: str
    items: Sequence[ga.Item]
    """The model's input; the user's audio has its transcript by now."""
    tools: Sequence[ga.Tool]
    tool_choice: ga.ToolChoice
    parallel_tool_calls: bool
    """Whether the response may call several functions."""
    max_output_tokens: int | None
    speaks: bool
    """Whether the response is spoken; otherwise it is text only."""
    voice: str
    speed: float


@dataclass(frozen=True, slots=True)
class CancelWork:
    """Stop a response or a transcription; it has no result any more."""

    target_id: str
    """The id of the response, or of the item that is transcribed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PrewarmBrain:
    """Prepare the brain for responses that begin with this prompt; it has no result."""

    instructions: str
    tools: Sequence[ga.Tool]
    tool_choice: ga.ToolChoice


@dataclass(frozen=True, slots=True)
class LogWarning:
    """Log a client's mistake that the server tolerates."""

    text: str


ConversationWork = Transcribe | Respond | CancelWork | PrewarmBrain | LogWarning

ConversationEffect = SendEvent[ga.KnownServerEvent] | ConversationWork


# Results of a conversation or transcription session.


@dataclass(frozen=True, slots=True)
class TranscriptDelta:
    """More words of an item's transcript."""

    item_id: str
    text: str


@dataclass(frozen=True, slots=True)
class TranscriptDone:
    """The whole transcript of an item."""

    item_id: str
    transcript: str


@dataclass(frozen=True, slots=True)
class TranscriptFailed:
    """An item's transcription failed."""

    item_id: str
    message: str
    code: str = "transcription_failed"


@dataclass(frozen=True, slots=True)
class ResponseTextChunk:
    """More text of a response; in a spoken one, the transcript of the audio that follows."""

    response_id: str
    text: str


@dataclass(frozen=True, slots=True)
class ResponseAudioChunk:
    """Speech of the text chunk before it."""

    response_id: str
    pcm: bytes


@dataclass(frozen=True, slots=True)
class ResponseFunctionCall:
    """One whole function call of a response; `arguments` is a JSON object as text."""

    response_id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class GenerationFinished:
    """The engine has generated the whole response, or stopped at the token limit (`truncated`)."""

    response_id: str
    tokens: TextTokens = NO_TOKENS
    truncated: bool = False


@dataclass(frozen=True, slots=True)
class GenerationFailed:
    """The engine could not finish the response."""

    response_id: str
    message: str
    code: str = "engine_failed"


ConversationResult = (
    TranscriptDelta
    | TranscriptDone
    | TranscriptFailed
    | ResponseTextChunk
    | ResponseAudioChunk
    | ResponseFunctionCall
    | GenerationFinished
    | GenerationFailed
)


# Translation sessions.


@dataclass(frozen=True, slots=True, kw_only=True)
class Translate:
    """Translate a stretch of speech.

    The results are chunks, then `TranslationFinished` or `TranslationFailed`.
    """

    pcm: bytes
    source_language: str | None
    """ISO 639-1 code, if the client named one."""
    language: str
    end_ms: int
    """Where the stretch ends on the input's clock."""


@dataclass(frozen=True, slots=True)
class CloseConnection:
    """Close the connection once everything is written."""


TranslationWork = Translate | CloseConnection

TranslationEffect = SendEvent[translation.KnownTranslationServerEvent] | TranslationWork


@dataclass(frozen=True, slots=True)
class SourceTranscriptChunk:
    """Words of the speech that is translated."""

    text: str


@dataclass(frozen=True, slots=True)
class TranslationTextChunk:
    """Words of the translation."""

    text: str


@dataclass(frozen=True, slots=True)
class TranslationAudioChunk:
    """Speech of the translation."""

    pcm: bytes


@dataclass(frozen=True, slots=True)
class TranslationFinished:
    """The stretch is translated."""


@dataclass(frozen=True, slots=True)
class TranslationFailed:
    """The stretch could not be translated."""

    message: str
    code: str


TranslationResult = (
    SourceTranscriptChunk
    | TranslationTextChunk
    | TranslationAudioChunk
    | TranslationFinished
    | TranslationFailed
)
