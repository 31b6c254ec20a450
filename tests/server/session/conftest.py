"""A server session without a server: frames in, events out, the engine played by the test."""

from __future__ import annotations

import itertools
import json
from array import array
from collections.abc import Callable

import pytest

from duologue.protocol import codec, ga
from duologue.protocol.formats import PCM16
from duologue.server.session.audio_input import JudgeWords, Score
from duologue.server.session.config import SessionType
from duologue.server.session.conversation import AudioStore
from duologue.server.session.engine_work import (
    NO_TOKENS,
    ConversationResult,
    ConversationWork,
    GenerationFailed,
    GenerationFinished,
    ResponseAudioChunk,
    ResponseFunctionCall,
    ResponseTextChunk,
    TextTokens,
    TranscriptDelta,
    TranscriptDone,
    TranscriptFailed,
)
from duologue.server.session.session import ServerSession
from duologue.session.contract import SendEvent


def loud(frame: bytes) -> float:
    """Take any sound for speech."""
    return 1.0 if any(frame) else 0.0


class Engine:
    """The engine as the test plays it: each method hands a result to the session."""

    def __init__(self, send: Callable[[ConversationResult], None]) -> None:
        self.send = send

    def transcript_delta(self, item_id: str, text: str) -> None:
        self.send(TranscriptDelta(item_id, text))

    def transcript(self, item_id: str, words: str) -> None:
        self.send(TranscriptDone(item_id, words))

    def transcription_failed(self, item_id: str, message: str) -> None:
        self.send(TranscriptFailed(item_id, message))

    def text(self, response_id: str, text: str) -> None:
        self.send(ResponseTextChunk(response_id, text))

    def audio(self, response_id: str, pcm: bytes) -> None:
        self.send(ResponseAudioChunk(response_id, pcm))

    def call(self, response_id: str, name: str, arguments: str) -> None:
        self.send(ResponseFunctionCall(response_id, name, arguments))

    def finish(
        self, response_id: str, tokens: TextTokens = NO_TOKENS, *, truncated: bool = False
    ) -> None:
        self.send(GenerationFinished(response_id, tokens, truncated))

    def fail(self, response_id: str, message: str, *, code: str = "engine_failed") -> None:
        self.send(GenerationFailed(response_id, message, code))


class Harness:
    """Drives a `ServerSession`; remembers its events, and the work that it starts."""

    def __init__(
        self,
        *,
        score: Score = loud,
        judge_words: JudgeWords | None = None,
        transcribes_early: bool = False,
        audio_store: AudioStore | None = None,
        strict: bool = False,
        session_type: SessionType = SessionType.CONVERSATION,
        model: str | None = "gpt-realtime",
    ) -> None:
        count = itertools.count(1)
        self.now = 0.0
        self.session = ServerSession(
            session_type=session_type,
            model=model,
            score=score,
            judge_words=judge_words,
            new_id=lambda prefix: f"{prefix}_{next(count)}",
            transcribes_early=transcribes_early,
            audio_store=audio_store,
            strict=strict,
        )
        self.engine = Engine(lambda result: self.session.send(result, self.now))
        self.events: list[ga.KnownServerEvent] = []
        self.commands: list[ConversationWork] = []
        self.take()

    def send(self, frame: dict[str, object]) -> list[str]:
        """Hand over a client event; return the types that it caused, deltas in a row once."""
        event = codec.decode(json.dumps(frame), direction="client")
        self.session.receive(event, self.now)
        return self.take()

    def say(self, ms: int, *, silence_ms: int = 0) -> list[str]:
        """Append sound, then silence."""
        sound = array("h", [8000] * (PCM16.bytes(ms) // 2)).tobytes()
        audio = sound + bytes(PCM16.bytes(silence_ms))
        self.session.receive(ga.InputAudioBufferAppendEvent.of(audio), self.now)
        return self.take()

    def wait(self) -> list[str]:
        """Let the time pass until the session's next deadline, and return what comes of it."""
        deadline = self.session.next_deadline()
        assert deadline is not None, "the session waits for nothing"
        self.now = deadline
        self.session.handle_deadline(self.now)
        return self.take()

    def take(self) -> list[str]:
        """Return the types of the events since the last call."""
        new: list[ga.KnownServerEvent] = []
        for effect in self.session.effects():
            if isinstance(effect, SendEvent):
                new.append(effect.event)
            else:
                self.commands.append(effect)
        self.events += new
        return [kind for kind, _ in itertools.groupby(event.type for event in new)]

    def last(self, kind: str) -> ga.KnownServerEvent:
        """Return the latest event of a type."""
        return next(event for event in reversed(self.events) if event.type == kind)

    def configure(self, **session: object) -> list[str]:
        """Send a `session.update`."""
        return self.send({"type": "session.update", "session": {"type": "realtime", **session}})


@pytest.fixture
def harness() -> Harness:
    """A session that has said `session.created`."""
    return Harness()
