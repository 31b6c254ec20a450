"""Short sequences of frames against a server's core: any client, any engine, any timing."""

from __future__ import annotations

import itertools
import json
from array import array
from typing import TYPE_CHECKING, Any, Final

from tests.fuzz.mutation import Mutator
from tests.server.grammar import Grammar
from tests.server.session.conftest import loud

from duologue.errors import DecodeError
from duologue.protocol import ga
from duologue.protocol.dialects import InvalidClientEvent, dialect_adapter, voice_live_adapter
from duologue.protocol.formats import PCM16
from duologue.protocol.ga import translation
from duologue.protocol.model import UNSET
from duologue.server.session import engine_work as work
from duologue.server.session.config import SessionType
from duologue.server.session.session import ServerSession
from duologue.server.session.translation import TranslationServerSession
from duologue.server.session.validation import InvalidRequest
from duologue.session.contract import SendEvent

if TYPE_CHECKING:
    from random import Random

    from duologue.protocol.codec import Dialect

__all__ = ["ServerSequence", "TranslationSequence", "server_sequence"]

MAX_EVENTS: Final = 30
MAX_DEADLINES: Final = 50
LATER: Final = 10.0

SPEECH: Final = array("h", [8000] * (PCM16.bytes(300) // 2)).tobytes()
SILENCE: Final = bytes(PCM16.bytes(700))


def server_sequence(random: Random) -> None:
    """Play one sequence, one in eight of them a translation."""
    (TranslationSequence if random.random() < 1 / 8 else ServerSequence)(random).play()


class _Sequence:
    """What conversations and translations share: frames in, events out, an engine that is late."""

    session: Any
    adapter: Any
    may_be_late = True
    """Whether results of a job may come after its end."""

    def __init__(self, random: Random, mutator: Mutator) -> None:
        self.random: Final = random
        self.mutator: Final = mutator
        self.now = 1.0
        self.jobs: Final[list[Any]] = []
        self.old: Final[list[Any]] = []

    def play(self) -> None:
        """Take steps, and end the session."""
        self.carry_out()
        steps = [self._frame] * 6 + [self._append, self._append, *[self._engine] * 3, self._wait]
        for _ in range(self.random.randrange(1, MAX_EVENTS)):
            self.random.choice(steps)()
            self.carry_out()
        self.session.end(None)

    def carry_out(self) -> None:
        for effect in self.session.effects():
            if isinstance(effect, SendEvent):
                for frame in self.adapter.encode_server(effect.event):
                    self.on_frame(json.loads(frame))
            elif isinstance(effect, work.CancelWork):
                self.jobs[:] = [j for j in self.jobs if job_id(j) != effect.target_id]
            elif job_id(effect) is not None:
                self.jobs.append(effect)

    def on_frame(self, frame: dict[str, Any]) -> None:
        for known in (frame.get("item_id"), frame.get("response_id"), frame.get("event_id")):
            if isinstance(known, str):
                self.mutator.ids.append(known)

    def receive(self, frame: bytes) -> None:
        """Pass a frame on as `Connection` does."""
        try:
            events = self.adapter.decode_client(frame)
        except DecodeError:
            refusal = InvalidRequest("invalid_json", "Invalid event.")
            self.session.report_error(refusal.error(UNSET), self.now)
        except InvalidClientEvent as error:
            refusal = InvalidRequest(error.code, error.message, error.param)
            self.session.report_error(refusal.error(error.event_id), self.now)
        else:
            for event in events:
                self.session.receive(event, self.now)

    def _frame(self) -> None:
        self.receive(self.mutator.with_known_ids())

    def _append(self) -> None:
        audio = self.random.choice((SPEECH, SILENCE, SILENCE, b"", b"\1", SPEECH + SILENCE))
        self.append(audio)

    def append(self, audio: bytes) -> None:
        self.session.receive(ga.InputAudioBufferAppendEvent.of(audio), self.now)

    def _wait(self) -> None:
        self.now += self.random.choice((0.01, 1.0, LATER))
        for _ in range(MAX_DEADLINES):
            deadline = self.session.next_deadline()
            if deadline is None or deadline > self.now:
                return
            self.session.handle_deadline(self.now)
            self.carry_out()
        raise AssertionError("the deadline stays due: the event loop would spin")

    def _engine(self) -> None:
        """Let the engine go on with a job, or with one that was cancelled or is done."""
        if self.old and self.random.random() < 0.1:
            job = self.random.choice(self.old)
        elif self.jobs:
            job = self.random.choice(self.jobs)
        else:
            return
        result, is_last = self.result(job)
        if is_last and job in self.jobs:
            self.jobs.remove(job)
        if self.may_be_late:
            self.old.append(job)
        self.session.send(result, self.now)

    def result(self, job: Any) -> tuple[Any, bool]:
        raise NotImplementedError


def job_id(effect: Any) -> str | None:
    """Return the id by which a job is cancelled."""
    return getattr(effect, "response_id", None) or getattr(effect, "item_id", None)


class ServerSequence(_Sequence):
    """A conversation or a transcription session; its events must follow the grammar."""

    def __init__(self, random: Random) -> None:
        kind = random.choice(("ga", "ga", "beta", "voice live"))
        dialect: Dialect = "ga" if kind == "ga" else "beta"
        chance = random.choice((0.1, 0.5, 0.9))
        super().__init__(random, Mutator(random, dialect, "client", chance=chance))
        numbers = itertools.count(1)
        self.adapter = voice_live_adapter() if kind == "voice live" else dialect_adapter(dialect)
        self._is_like_openai = kind != "voice live"
        is_transcription = random.random() < 0.2
        self._grammar: Final = Grammar(dialect)
        self.session = ServerSession(
            model="gpt-realtime",
            score=loud,
            new_id=lambda prefix: f"{prefix}_{next(numbers)}",
            judge_words=(lambda words: len(words) / 10) if random.random() < 0.3 else None,
            transcribes_early=random.random() < 0.3,
            strict=random.random() < 0.3,
            session_type=(
                SessionType.TRANSCRIPTION if is_transcription else SessionType.CONVERSATION
            ),
        )

    def on_frame(self, frame: dict[str, Any]) -> None:
        super().on_frame(frame)
        kind = frame["type"]
        if self._is_like_openai and not kind.startswith("mcp_list_tools."):
            self._grammar.feed(frame | {"type": kind.removeprefix("transcription_")})

    def result(self, job: Any) -> tuple[Any, bool]:
        if isinstance(job, work.Transcribe):
            results: list[tuple[Any, bool]] = [
                (work.TranscriptDelta(job.item_id, "so"), False),
                (work.TranscriptDelta(job.item_id, ""), False),
                (work.TranscriptDone(job.item_id, "so it is"), True),
                (work.TranscriptDone(job.item_id, ""), True),
                (work.TranscriptFailed(job.item_id, "no"), True),
            ]
            return self.random.choice(results)
        target = job.response_id
        tokens = work.TextTokens(5, 1, 3)
        call = work.ResponseFunctionCall(target, "get_weather", self.random.choice(("{}", "no")))
        results = [
            (work.ResponseTextChunk(target, "Well. "), False),
            (work.ResponseTextChunk(target, ""), False),
            (call, False),
            (work.GenerationFinished(target), True),
            (work.GenerationFinished(target, tokens, truncated=True), True),
            (work.GenerationFailed(target, "no", "engine_failed"), True),
        ]
        if job.speaks:
            results += [(work.ResponseAudioChunk(target, bytes(4800)), False)] * 2
        return self.random.choice(results)


class TranslationSequence(_Sequence):
    """A translation session."""

    may_be_late = False  # its results do not say which job they are of

    def __init__(self, random: Random) -> None:
        chance = random.choice((0.1, 0.5, 0.9))
        super().__init__(random, Mutator(random, "ga", "client", "translation", chance=chance))
        numbers = itertools.count(1)
        self.adapter = dialect_adapter("ga", "translation")
        self.session = TranslationServerSession(
            model="gpt-translate",
            score=loud,
            new_id=lambda prefix: f"{prefix}_{next(numbers)}",
        )

    def append(self, audio: bytes) -> None:
        append = translation.RealtimeTranslationInputAudioBufferAppendEvent
        self.session.receive(append.of(audio), self.now)

    def carry_out(self) -> None:
        for effect in self.session.effects():
            if isinstance(effect, SendEvent):
                for frame in self.adapter.encode_server(effect.event):
                    self.on_frame(json.loads(frame))
            elif isinstance(effect, work.Translate):
                self.jobs.append(effect)

    def result(self, job: Any) -> tuple[Any, bool]:
        results: list[tuple[Any, bool]] = [
            (work.SourceTranscriptChunk("so"), False),
            (work.TranslationTextChunk("also"), False),
            (work.TranslationAudioChunk(bytes(4800)), False),
            (work.TranslationFinished(), True),
            (work.TranslationFailed("no", "engine_failed"), True),
        ]
        return self.random.choice(results)
